//! The proxy itself: that what it is told to do to a connection happens, so that tests through it can fail. There is no
//! server of ours here.

use crate::support::{End, Flow, Proxy, Rules, Spot, Write, within};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A proxy under these rules with both ends of its first connection.
async fn joined(rules: Rules) -> (Proxy, TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::to_address(listener.local_addr().unwrap());
    proxy.each(move |_| rules.clone());
    let (client, server) = connect(&proxy, &listener).await;
    (proxy, client, server)
}

async fn connect(proxy: &Proxy, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(proxy.address()).await.unwrap();
    let (server, _) = within("a connection", listener.accept()).await.unwrap();
    (client, server)
}

fn down(flow: Flow) -> Rules {
    Rules { down: flow, ..Rules::default() }
}

async fn read(socket: &mut TcpStream, count: usize) -> String {
    let mut bytes = vec![0; count];
    within("bytes", socket.read_exact(&mut bytes)).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

/// All that comes until the end; None where it ends by a reset.
async fn read_all(socket: &mut TcpStream) -> Option<String> {
    let mut text = String::new();
    within("an end", socket.read_to_string(&mut text)).await.ok().map(|_| text)
}

#[tokio::test]
async fn without_rules_bytes_and_ends_pass_both_ways() {
    let (proxy, mut client, mut server) = joined(Rules::default()).await;
    client.write_all(b"question").await.unwrap();
    assert_eq!(read(&mut server, 8).await, "question");
    server.write_all(b"answer").await.unwrap();
    drop(server);
    assert_eq!(read_all(&mut client).await.unwrap(), "answer");
    assert_eq!(proxy.cuts(), 0);
}

#[tokio::test]
async fn a_connection_is_cut_after_exactly_so_many_bytes_either_way() {
    let (proxy, mut client, mut server) =
        joined(down(Flow { cut_after: Some(5), ..Flow::default() })).await;
    server.write_all(b"abc").await.unwrap();
    server.write_all(b"defgh").await.unwrap();
    assert_eq!(read_all(&mut client).await.unwrap(), "abcde");
    proxy.cuts_reach(1).await;
    let up = Flow { cut_after: Some(2), ..Flow::default() };
    let (_proxy, mut client, mut server) = joined(Rules { up, ..Rules::default() }).await;
    client.write_all(b"abc").await.unwrap();
    assert_eq!(read_all(&mut server).await.unwrap(), "ab");
}

#[tokio::test]
async fn a_connection_is_cut_where_a_text_stands_also_when_it_comes_in_pieces() {
    let (proxy, mut client, mut server) = joined(Rules::default()).await;
    server.write_all(b"before the rule").await.unwrap();
    assert_eq!(read(&mut client, 15).await, "before the rule");
    proxy.last().change(|rules| {
        rules.down.cut_at = Some(Spot { text: "needle".into(), then: 3 });
    });
    server.write_all(b"hay nee").await.unwrap();
    assert_eq!(read(&mut client, 7).await, "hay nee");
    server.write_all(b"dles hay").await.unwrap();
    assert_eq!(read_all(&mut client).await.unwrap(), "");
    proxy.cuts_reach(1).await;
    let cut_at = Some(Spot { text: "needle".into(), then: 7 });
    let (_proxy, mut client, mut server) = joined(down(Flow { cut_at, ..Flow::default() })).await;
    server.write_all(b"a needle, and hay").await.unwrap();
    assert_eq!(read_all(&mut client).await.unwrap(), "a needle,");
}

#[tokio::test]
async fn a_reset_is_an_error_to_both_sides() {
    let (proxy, mut client, mut server) = joined(Rules::default()).await;
    client.write_all(b"x").await.unwrap();
    read(&mut server, 1).await;
    proxy.last().end(End::Reset);
    assert_eq!(read_all(&mut client).await, None);
    assert_eq!(read_all(&mut server).await, None);
    proxy.last().over().await;
}

#[tokio::test]
async fn a_held_connection_takes_what_its_sockets_hold_and_keeps_even_an_end_to_itself() {
    let (proxy, mut client, mut server) = joined(Rules::default()).await;
    proxy.last().hold(true);
    let mut written = 0;
    while let Ok(Ok(count)) =
        tokio::time::timeout(Duration::from_millis(100), server.write(&[b'x'; 65_536])).await
    {
        written += count;
        assert!(written < 64 << 20, "somebody reads");
    }
    drop(server);
    let mut byte = [0];
    assert!(client.try_read(&mut byte).is_err(), "neither bytes nor an end");
    assert!(!proxy.last().is_over());
    proxy.last().hold(false);
    assert_eq!(read_all(&mut client).await.unwrap().len(), written);
}

#[tokio::test]
async fn what_is_lost_is_read_and_never_comes() {
    let (proxy, mut client, mut server) =
        joined(down(Flow { lost: true, ..Flow::default() })).await;
    // Far more than sockets hold: somebody reads it.
    within("all is taken", server.write_all(&vec![b'x'; 64 << 20])).await.unwrap();
    server.write_all(b"abc").await.unwrap();
    // The other way nothing is lost, and by now the bytes before have been taken.
    client.write_all(b"y").await.unwrap();
    read(&mut server, 1).await;
    assert!(client.try_read(&mut [0]).is_err());
    assert!(!proxy.last().is_over());
}

#[tokio::test]
async fn delayed_and_throttled_bytes_take_at_least_their_time_and_come_whole() {
    let delay = Duration::from_millis(80);
    let (_proxy, mut client, mut server) = joined(down(Flow { delay, ..Flow::default() })).await;
    let start = Instant::now();
    server.write_all(b"late").await.unwrap();
    assert_eq!(read(&mut client, 4).await, "late");
    assert!(start.elapsed() >= delay);

    let rate = Some(40_000);
    let (proxy, mut client, mut server) =
        joined(down(Flow { bytes_per_second: rate, ..Flow::default() })).await;
    let start = Instant::now();
    server.write_all(&[b'x'; 4_000]).await.unwrap();
    assert_eq!(read(&mut client, 4_000).await.len(), 4_000);
    assert!(start.elapsed() >= Duration::from_millis(99), "{:?}", start.elapsed());
    // The rest of an hour's worth comes at once when the limit is lifted.
    proxy.last().change(|rules| rules.down.bytes_per_second = Some(1));
    server.write_all(&[b'x'; 3_600]).await.unwrap();
    assert_eq!(read(&mut client, 1).await, "x");
    proxy.last().change(|rules| rules.down.bytes_per_second = None);
    assert_eq!(read(&mut client, 3_599).await.len(), 3_599);
}

#[tokio::test]
async fn split_bytes_come_piece_by_piece() {
    let flow = Flow { write: Write::Split(1), bytes_per_second: Some(200), ..Flow::default() };
    let (_proxy, mut client, mut server) = joined(down(flow)).await;
    server.write_all(b"abc").await.unwrap();
    for piece in ["a", "b", "c"] {
        let mut bytes = [0; 8];
        let count = within("a piece", client.read(&mut bytes)).await.unwrap();
        assert_eq!(std::str::from_utf8(&bytes[..count]).unwrap(), piece);
    }
}

#[tokio::test]
async fn joined_bytes_wait_for_more_or_for_the_end_of_the_rule_or_of_the_sender() {
    let (proxy, mut client, mut server) =
        joined(down(Flow { write: Write::Join(5), ..Flow::default() })).await;
    let mut bytes = [0; 16];
    server.write_all(b"ab").await.unwrap();
    server.write_all(b"cde").await.unwrap();
    let count = within("a piece", client.read(&mut bytes)).await.unwrap();
    assert_eq!(&bytes[..count], b"abcde");
    server.write_all(b"f").await.unwrap();
    proxy.last().change(|rules| rules.down.write = Write::AsTheyCome);
    assert_eq!(read(&mut client, 1).await, "f");
    proxy.last().change(|rules| rules.down.write = Write::Join(5));
    server.write_all(b"g").await.unwrap();
    drop(server);
    assert_eq!(read_all(&mut client).await.unwrap(), "g");
}

#[tokio::test]
async fn a_swallowed_answer_is_the_only_one_that_is_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::to_address(listener.local_addr().unwrap());
    proxy.swallow_next();
    for expected in ["", "answer"] {
        let (mut client, mut server) = connect(&proxy, &listener).await;
        client.write_all(b"question").await.unwrap();
        assert_eq!(read(&mut server, 8).await, "question", "it reaches the server all the same");
        server.write_all(b"answer").await.unwrap();
        drop(server);
        assert_eq!(read_all(&mut client).await.unwrap(), expected);
    }
    assert_eq!((proxy.to_swallow(), proxy.cuts()), (0, 1));
}

#[tokio::test]
async fn a_line_is_added_to_the_head_of_each_request_and_to_nothing_else() {
    let header = Some("X-Added: yes".into());
    let (_proxy, mut client, mut server) = joined(Rules { header, ..Rules::default() }).await;
    let requests = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n\r\n\r\nabGET /b HTTP/1.1\r\nHost: x\r\n\r\n";
    for byte in requests.as_bytes() {
        client.write_all(&[*byte]).await.unwrap();
    }
    let expected = requests.replace("HTTP/1.1\r\n", "HTTP/1.1\r\nX-Added: yes\r\n");
    assert_eq!(read(&mut server, expected.len()).await, expected);
}

#[tokio::test]
async fn pages_are_served_and_posts_taken_without_the_server() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::to_address(nobody.local_addr().unwrap());
    proxy.serve("/page", "text/html", "<p>");
    let mut posted = proxy.posted();
    let http = seawall::client::http().build().unwrap();
    let page = http.get(format!("{}/page?query", proxy.url())).send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html");
    assert_eq!(page.text().await.unwrap(), "<p>");
    let post = http.post(format!("{}/posted", proxy.url())).body("seen").send().await.unwrap();
    assert_eq!(post.status(), 200);
    assert_eq!(posted.recv().await.unwrap(), "seen");
}
