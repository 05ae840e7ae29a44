//! Peers that send what no client sends. Each gets one answer or none, and others are served meanwhile.

use super::{ADMIN, VIEWER, tokens};
use crate::support::{Process, Random, within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The longest head that is read, and the most headers in it, by the HTTP library.
const HEAD_MAX: usize = 128 * 1024;
const HEADERS_MAX: usize = 96;

async fn connect(server: &Process) -> TcpStream {
    let address = server.url.trim_start_matches("http://");
    TcpStream::connect(address).await.expect("a connection")
}

/// Sends bytes and reads all that comes back until the server closes.
async fn exchange(server: &Process, bytes: &[u8]) -> String {
    let (mut read, mut write) = connect(server).await.into_split();
    let bytes = bytes.to_owned();
    // What it does not want it does not read to the end.
    let writing = tokio::spawn(async move {
        let _ = write.write_all(&bytes).await;
        write
    });
    let mut answer = Vec::new();
    let _ = within("an end", read.read_to_end(&mut answer)).await;
    writing.abort();
    String::from_utf8_lossy(&answer).into_owned()
}

fn answers(text: &str) -> Vec<&str> {
    text.matches("HTTP/1.1 ").map(|found| found.trim()).collect()
}

/// A second request that hides behind the first one; its answer would show.
const HIDDEN: &str =
    "GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn a_request_that_can_be_read_in_two_ways_is_refused_and_nothing_behind_it_is_read() {
    let server = Process::start(&tokens()).await;
    let session = server.with_token(Some(ADMIN)).create("cat").await;
    let post = |headers: &str, body: &str| {
        format!(
            "POST /v1/sessions/{session}/messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN}\r\n\
             Content-Type: application/json\r\n{headers}\r\n\r\n{body}"
        )
    };
    let chunked = "Transfer-Encoding: chunked";
    for (what, request) in [
        (
            "length and chunks",
            post(&format!("Content-Length: 5\r\n{chunked}"), &format!("0\r\n\r\n{HIDDEN}")),
        ),
        (
            "chunks and length",
            post(&format!("{chunked}\r\nContent-Length: 5"), &format!("0\r\n\r\n{HIDDEN}")),
        ),
        ("two lengths", post("Content-Length: 5\r\nContent-Length: 0", HIDDEN)),
        ("a list of lengths", post("Content-Length: 0, 5", HIDDEN)),
        ("a signed length", post("Content-Length: +0", HIDDEN)),
        ("a negative length", post("Content-Length: -1", HIDDEN)),
        ("a length in hex", post("Content-Length: 0x0", HIDDEN)),
        (
            "two encodings",
            post(
                &format!("{chunked}\r\nTransfer-Encoding: identity"),
                &format!("0\r\n\r\n{HIDDEN}"),
            ),
        ),
        (
            "a list of encodings",
            post("Transfer-Encoding: gzip, chunked", &format!("0\r\n\r\n{HIDDEN}")),
        ),
        ("identity", post("Transfer-Encoding: identity", HIDDEN)),
        ("an encoding that is none", post("Transfer-Encoding: xchunked", HIDDEN)),
        (
            "a space before the colon",
            post("Transfer-Encoding : chunked", &format!("0\r\n\r\n{HIDDEN}")),
        ),
        ("a folded header", post("Transfer-Encoding:\r\n chunked", &format!("0\r\n\r\n{HIDDEN}"))),
        ("a vertical tab", post("Transfer-Encoding: \x0bchunked", &format!("0\r\n\r\n{HIDDEN}"))),
        (
            "a web socket",
            post("Content-Length: 0\r\nConnection: Upgrade\r\nUpgrade: websocket", HIDDEN),
        ),
        (
            "chunks of HTTP/1.0",
            post(&format!("{chunked}\r\nConnection: keep-alive"), &format!("0\r\n\r\n{HIDDEN}"))
                .replacen("HTTP/1.1", "HTTP/1.0", 1),
        ),
        ("a chunk size that overflows", post(chunked, &format!("FFFFFFFFFFFFFFFFF\r\n{HIDDEN}"))),
        ("a negative chunk", post(chunked, &format!("-1\r\n{HIDDEN}"))),
        ("a chunk size with a prefix", post(chunked, &format!("0x0\r\n\r\n{HIDDEN}"))),
        ("a chunk without its end", post(chunked, &format!("2\r\n{{}}XX0\r\n\r\n{HIDDEN}"))),
        ("a chunk that ends in LF", post(chunked, &format!("2\n{{}}\n0\n\n{HIDDEN}"))),
    ] {
        let answer = exchange(&server, request.as_bytes()).await;
        let first = answer.lines().next().unwrap_or_default();
        assert!(answers(&answer).len() <= 1, "{what}: {answer}");
        assert!(!answer.contains("openapi"), "{what}: {answer}");
        assert!(first.is_empty() || first.contains(" 400 "), "{what}: {answer}");
    }
    let events = server.with_token(Some(ADMIN)).events(&session).await;
    assert!(!events.iter().any(|event| event["type"] == "user.message"), "nothing was sent");
}

// A body that nobody reads is not taken for the next request.
#[tokio::test]
async fn the_body_of_a_refused_request_is_no_request() {
    let server = Process::start(&tokens()).await;
    let request = format!(
        "POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{HIDDEN}{}",
        HIDDEN.len(),
        HIDDEN.replace("/v1/openapi.json", "/v1/none"),
    );
    let answer = exchange(&server, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn heads_are_bounded_in_bytes_and_in_number() {
    let server = Process::start(&tokens()).await;
    let get = |headers: &str| {
        format!(
            "GET /v1/sessions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN}\r\nConnection: close\r\n{headers}\r\n"
        )
    };
    let many =
        |count: usize| (0..count).map(|number| format!("X-{number}: y\r\n")).collect::<String>();
    let status = async |request: String| {
        let answer = exchange(&server, request.as_bytes()).await;
        answer.get(9..12).unwrap_or_default().to_owned()
    };
    assert_eq!(status(get(&many(HEADERS_MAX - 3))).await, "200");
    for request in [
        get(&many(HEADERS_MAX + 1)),
        get(&many(100_000)),
        get(&format!("X: {}\r\n", "y".repeat(2 * HEAD_MAX))),
        get(&format!("{}: y\r\n", "X".repeat(2 * HEAD_MAX))),
        format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "y".repeat(2 * HEAD_MAX)),
        format!("{} / HTTP/1.1\r\nHost: localhost\r\n\r\n", "G".repeat(2 * HEAD_MAX)),
    ] {
        let status = status(request).await;
        assert!(["", "400", "414", "431"].contains(&status.as_str()), "{status}");
    }
    server.with_token(Some(ADMIN)).get("/v1/sessions").await.expect(200);
}

// An announced body is refused before it comes; one in chunks as soon as it is too long.
#[tokio::test]
async fn a_body_without_an_end_is_given_up_at_the_limit() {
    let server =
        Process::start(&format!("[server]\nmax_body_bytes = \"64KiB\"\n{}", tokens())).await;
    let session = server.with_token(Some(ADMIN)).create("cat").await;
    for (path, length) in
        [(format!("/v1/sessions/{session}/messages"), 1 << 20), ("/v1/sessions".into(), 4 << 20)]
    {
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN}\r\n\
             Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
        while request.len() < length {
            request.push_str(&chunk);
        }
        let answer = exchange(&server, request.as_bytes()).await;
        // A peer that still sends when the server closes may lose the answer.
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
    let answer = exchange(
        &server,
        format!(
            "POST /v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            u64::MAX
        )
        .as_bytes(),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // Deep nesting is refused by the parser, not by the stack.
    let nested = "[".repeat(60_000);
    let admin = server.with_token(Some(ADMIN));
    let request = admin.request("POST", "/v1/sessions").header("Content-Type", "application/json");
    admin.call(request.body(nested)).await.refused(400, "invalid_body");
}

#[tokio::test]
async fn heads_that_do_not_come_are_given_up_and_others_are_served_meanwhile() {
    let server = Process::start(&tokens()).await;
    let mut silent = Vec::new();
    for number in 0..200 {
        let mut socket = connect(&server).await;
        if number % 2 == 0 {
            socket.write_all(b"GET /v1/sessions HTTP/1.1\r\nHost: local").await.unwrap();
        }
        silent.push(socket);
    }
    let admin = server.with_token(Some(ADMIN));
    let session = admin.create("demo").await;
    admin.send(&session, "m1", "hello").await;
    admin.turn(&session, "m1").await;
    for mut socket in silent {
        let mut answer = Vec::new();
        let _ =
            within("a head that does not come is given up", socket.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
}

// The time for a head holds for the first one of a connection alone, so strangers have no second one.
#[tokio::test]
async fn a_connection_goes_on_for_a_known_credential_only() {
    let server = Process::start(&tokens()).await;
    let get = |path: &str, token: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n")
    };
    let open = HIDDEN.replace("Connection: close\r\n", "");
    for stranger in [
        get("/v1/sessions", "swt_wrong"),
        get("/v1/none", ADMIN),
        open.replace("localhost", "evil.example"),
        open,
    ] {
        // The next head is begun and never ended.
        let answer = exchange(&server, format!("{stranger}GET /v1/ses").as_bytes()).await;
        assert_eq!(answers(&answer).len(), 1, "{stranger}: {answer}");
        assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    }
    let both = get("/v1/sessions", ADMIN) + HIDDEN;
    assert_eq!(answers(&exchange(&server, both.as_bytes()).await).len(), 2);
}

// A body in chunks may have no end; what is left of it when the answer is known is not waited for.
#[tokio::test]
async fn what_is_left_of_a_refused_body_in_chunks_is_not_waited_for() {
    let server = Process::start(&tokens()).await;
    for (token, status) in [("swt_wrong", "401"), (VIEWER, "403")] {
        let request = format!(
            "POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{{\"x\""
        );
        let answer = exchange(&server, request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

#[tokio::test]
async fn random_bytes_do_no_harm() {
    let server = Process::start(&tokens()).await;
    let mut random = Random::new(75);
    for round in 0..100 {
        let mut bytes: Vec<u8> = (0..random.below(4000)).map(|_| random.below(256) as u8).collect();
        if round % 2 == 0 {
            bytes.splice(
                0..0,
                *b"POST /v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n",
            );
        }
        let mut socket = connect(&server).await;
        let _ = socket.write_all(&bytes).await;
        let _ = socket.shutdown().await;
        let mut answer = Vec::new();
        let _ = within("an end", socket.read_to_end(&mut answer)).await;
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{answer:?} to {bytes:?}");
        assert!(!answer.starts_with(b"HTTP/1.1 5"), "{answer:?} to {bytes:?}");
    }
    server.with_token(Some(ADMIN)).get("/v1/sessions").await.expect(200);
    assert!(!server.log().contains("panic"), "{}", server.log());
}

#[tokio::test]
async fn malformed_requests_leave_nothing_in_the_log() {
    let server = Process::start(&tokens()).await;
    let told = || server.log().contains("serves on");
    crate::support::eventually("the server tells where it is", told);
    let before = server.log();
    for nonsense in ["\0\0\0\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\n:\r\n\r\n"] {
        exchange(&server, nonsense.as_bytes()).await;
    }
    // A line about something else, behind which none of theirs would come.
    let id = server.with_token(Some(ADMIN)).create("cat").await;
    crate::support::eventually("the session is told of", || server.log().contains(&id));
    let log = server.log();
    let mut lines = log.strip_prefix(&before).expect("it only grows").lines();
    assert!(lines.all(|line| line.contains(&id)), "{log}");
}
