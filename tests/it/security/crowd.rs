//! Crowds of connections: as many as descriptors allow, and more than the server has. Whoever behaves is served.

use super::{ADMIN, VIEWER, tokens};
use crate::support::{Process, configured, within};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How many streams are opened and never read, where descriptors allow.
const STREAMS: usize = 10_000;
/// Descriptors that the test and the server need for themselves.
const OWN: usize = 500;

/// How many connections this process may have, and a server that it starts may serve.
fn allowed() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).expect("up to its own maximum");
    let most = limit.maximum.map_or(usize::MAX, |limit| limit as usize);
    // The server leaves a quarter for children.
    (most / 4 * 3).saturating_sub(OWN)
}

// Scenario 76.
#[tokio::test]
async fn half_open_streams_do_not_keep_a_client_that_behaves_from_being_served() {
    let count = STREAMS.min(allowed());
    println!("{count} streams are opened and never read");
    let server =
        Process::start(&format!("[streams]\nmax_streams = {}\n{}", count + 10, tokens())).await;
    let admin = server.with_token(Some(ADMIN));
    let session = admin.create("demo").await;
    let mut reader = admin.follow(&session).await;
    let request = format!(
        "GET /v1/sessions/{session}/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {VIEWER}\r\n\r\n"
    );
    let address = server.url.trim_start_matches("http://");
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let mut socket = TcpStream::connect(address).await.expect("a place in the backlog");
        socket.write_all(request.as_bytes()).await.expect("it is taken");
        held.push(socket);
    }
    // Fewer events than a stream may be behind before it gets a gap, however slow the machine is.
    admin.send(&session, "m1", "flood 100").await;
    let events = reader.events_until(|event| event["type"] == "turn.ended").await;
    let seqs: Vec<_> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "in order, without a hole");
    admin.create("cat").await;
    let mut first = [0; 12];
    for socket in held.iter_mut().rev().take(100) {
        within("its answer", socket.read_exact(&mut first)).await.expect("an answer");
        assert_eq!(&first, b"HTTP/1.1 200");
    }
}

// Connections take descriptors, and so do agents: whoever only connects must not use them up.
#[tokio::test]
async fn silent_connections_leave_descriptors_for_agents() {
    let folder = configured(&tokens());
    let serve = Process::command(folder.path());
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "ulimit -n 256; exec \"$0\" \"$@\""]).arg(serve.get_program());
    limited.args(serve.get_args()).env_remove("SEAWALL_CONFIG");
    limited.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    limited.stderr(std::process::Stdio::piped());
    let server = Process::start_as(limited, folder).await;
    let address = server.url.trim_start_matches("http://").to_owned();
    let mut silent = Vec::new();
    for _ in 0..250 {
        silent.push(TcpStream::connect(&address).await.expect("a place in the backlog"));
    }
    // It waits until silent ones are given up.
    let admin = server.with_token(Some(ADMIN));
    let session = admin.create("demo").await;
    admin.send(&session, "m1", "hello").await;
    admin.turn(&session, "m1").await;
    drop(silent);
}
