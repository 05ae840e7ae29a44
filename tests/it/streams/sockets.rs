//! Plain streams, whose socket is taken from the HTTP library once the head of the answer is written: spoken to by hand, byte
//! by byte.

use crate::support::{Api, Authority, Process, with_tls, within};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How many streams have their socket to themselves.
async fn on_sockets(api: &Api) -> usize {
    let request = api.admin().request("GET", "/metrics");
    let text = within("the metrics", request.send()).await.unwrap().text().await.unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix("seawall_streams_on_sockets "));
    value.expect("the gauge").parse().unwrap()
}

/// The ids of the open streams.
async fn open(api: &Api) -> Vec<String> {
    let book = api.admin().get("/admin/connections").await.expect(200);
    let id = |stream: &Value| stream["id"].as_str().expect("an id").to_owned();
    book["connections"].as_array().expect("a list").iter().map(id).collect()
}

/// Waits until so many streams are open.
async fn until_open(api: &Api, count: usize) {
    within("so many streams", async {
        while open(api).await.len() != count {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A connection on which `text` was sent, with `KNOWN` replaced by the headers that every request needs.
async fn connection(server: &Process, text: &str) -> TcpStream {
    let address = server.url.strip_prefix("http://").expect("no TLS");
    let mut socket = TcpStream::connect(address).await.unwrap();
    let token = server.token.as_deref().expect("a token");
    let known = format!("Host: {address}\r\nAuthorization: Bearer {token}\r\n");
    socket.write_all(text.replace("KNOWN", &known).as_bytes()).await.unwrap();
    socket
}

/// Reads until `end` has come; all that came.
async fn read_until(socket: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.contains(end) {
        let mut bytes = [0; 4096];
        let count = within(end, socket.read(&mut bytes)).await.unwrap();
        assert_ne!(count, 0, "it ended before {end:?}: {text}");
        text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
    text
}

/// What the peer still says, to its end.
async fn rest(socket: &mut TcpStream) -> String {
    let mut text = String::new();
    within("the end", socket.read_to_string(&mut text)).await.unwrap();
    text
}

#[tokio::test]
async fn a_plain_stream_writes_to_its_socket_and_others_through_the_library() {
    let server = Process::start("").await;
    let id = server.create("cat").await;
    let path = format!("/v1/sessions/{id}/stream");
    let mut plain = server.stream(&path).await;
    plain.named("snapshot").await;
    assert_eq!(on_sockets(&server).await, 1);
    // It knows no chunks.
    let mut old = connection(&server, &format!("GET {path} HTTP/1.0\r\nKNOWN\r\n")).await;
    let answer = read_until(&mut old, "event: snapshot").await;
    assert!(!answer.contains("chunked"), "{answer}");
    // Something of it would be left to be read.
    let text = format!("GET {path} HTTP/1.1\r\nKNOWNContent-Length: 2\r\n\r\n{{}}");
    let mut with_body = connection(&server, &text).await;
    read_until(&mut with_body, "event: snapshot").await;
    assert_eq!(open(&server).await.len(), 3);
    assert_eq!(on_sockets(&server).await, 1);
    drop(plain);
    until_open(&server, 2).await;
    assert_eq!(on_sockets(&server).await, 0);
}

#[tokio::test]
async fn a_stream_with_tls_stays_with_the_library() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let server = Process::start(&with_tls(&authority.certify(folder.path()))).await;
    let api = server.trusting(&authority);
    let id = api.create("cat").await;
    let mut stream = api.stream(&format!("/v1/sessions/{id}/stream")).await;
    stream.named("snapshot").await;
    assert_eq!((open(&api).await.len(), on_sockets(&api).await), (1, 0));
}

#[tokio::test]
async fn the_head_and_the_end_of_a_plain_stream_are_those_of_an_answer_in_chunks() {
    let server = Process::start("").await;
    let id = server.create("cat").await;
    let text = format!("GET /v1/sessions/{id}/stream HTTP/1.1\r\nKNOWN\r\n");
    let mut socket = connection(&server, &text).await;
    let answer = read_until(&mut socket, "event: snapshot").await;
    let (head, _) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    for header in [
        "transfer-encoding: chunked",
        "connection: close",
        "content-type: text/event-stream",
        "cache-control: no-store",
        "x-accel-buffering: no",
        "x-content-type-options: nosniff",
    ] {
        assert!(head.lines().any(|line| line.eq_ignore_ascii_case(header)), "{header}: {head}");
    }
    server.delete(&format!("/v1/sessions/{id}")).await.expect(204);
    let end = rest(&mut socket).await;
    assert!(end.contains("event: bye") && end.ends_with("\r\n0\r\n\r\n"), "{end}");
    assert_eq!(on_sockets(&server).await, 0);
}

/// What stands behind the request would be answered after the stream, which has no after.
#[tokio::test]
async fn what_a_client_sends_behind_its_request_harms_no_stream_and_is_not_answered() {
    let server = Process::start("").await;
    let id = server.create("cat").await;
    let stream = format!("GET /v1/sessions/{id}/stream HTTP/1.1\r\nKNOWN\r\n");
    let before = "GET /v1/sessions HTTP/1.1\r\nKNOWN\r\n";
    let mut socket = connection(&server, &format!("{before}{stream}{before}")).await;
    let answer = read_until(&mut socket, "event: snapshot").await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
    assert_eq!(on_sockets(&server).await, 1);
    socket.write_all(&[b'x'; 10_000]).await.unwrap();
    server.send(&id, "m1", "hello").await;
    read_until(&mut socket, "hello").await;
    server.delete(&format!("/v1/sessions/{id}")).await.expect(204);
    let end = rest(&mut socket).await;
    assert!(end.contains("event: bye") && !end.contains("HTTP/1.1"), "{end}");
}

#[tokio::test]
async fn a_client_that_closes_its_side_ends_its_own_stream_alone() {
    let server = Process::start("").await;
    let id = server.create("cat").await;
    let text = format!("GET /v1/sessions/{id}/stream HTTP/1.1\r\nKNOWN\r\n");
    let mut leaving = connection(&server, &text).await;
    read_until(&mut leaving, "event: snapshot").await;
    let [left] = &open(&server).await[..] else { panic!("one stream") };
    let mut staying = connection(&server, &text).await;
    read_until(&mut staying, "event: snapshot").await;
    leaving.shutdown().await.unwrap();
    let end = rest(&mut leaving).await;
    assert!(!end.contains("event: bye"), "nobody is there to be told: {end}");
    until_open(&server, 1).await;
    assert!(!open(&server).await.contains(left));
    server.send(&id, "m1", "hello").await;
    read_until(&mut staying, "hello").await;
}

/// Promise 6. All streams of a thread are served by one task: what one of them does must not end the others.
#[tokio::test]
async fn a_stream_that_panics_is_cut_and_the_others_of_its_thread_go_on() {
    let folder = crate::support::configured("[server]\nworkers = 1\n");
    let mut command = Process::command(folder.path());
    // While it opens a stream is looked at as often as its session says something: a few times, and not as many as this.
    command.env("FAILPOINTS", "stream::gather=50*off->1*panic->off");
    let server = Process::start_as(command, folder).await;
    let id = server.create("cat").await;
    let text = format!("GET /v1/sessions/{id}/stream HTTP/1.1\r\nKNOWN\r\n");
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut socket = connection(&server, &text).await;
        read_until(&mut socket, "event: snapshot").await;
        streams.push(socket);
    }
    // Each message has both looked at: after enough of them one panics.
    for number in 0.. {
        let said = format!("hello {number}.");
        server.send(&id, &format!("m{number}"), &said).await;
        let mut served = Vec::new();
        for mut socket in streams {
            if goes_on(&mut socket, &said).await {
                served.push(socket);
            }
        }
        streams = served;
        if streams.len() < 2 {
            break;
        }
    }
    assert_eq!(streams.len(), 1, "{}", server.log());
    let said = "a stream panicked and is cut";
    crate::support::eventually("it stands in the log", || server.log().contains(said));
    until_open(&server, 1).await;
    server.send(&id, "last", "goodbye").await;
    read_until(&mut streams[0], "goodbye").await;
    // The thread serves new ones as well.
    let mut socket = connection(&server, &text).await;
    read_until(&mut socket, "event: snapshot").await;
}

/// Whether `said` comes on a stream, and not its end.
async fn goes_on(socket: &mut TcpStream, said: &str) -> bool {
    let mut text = String::new();
    while !text.contains(said) {
        let mut bytes = [0; 4096];
        let count = within("the echo or the end", socket.read(&mut bytes)).await.unwrap();
        if count == 0 {
            return false;
        }
        text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
    true
}
