//! What systemd hears of a server, on a real notification socket.

use crate::support::{PATIENCE, Process, configured};
use std::{io::Write, net::TcpStream, os::unix::net::UnixDatagram, time::Duration};

/// Far less than a machine would use.
const WATCHDOG: Duration = Duration::from_millis(600);

struct Systemd {
    socket: UnixDatagram,
    _folder: tempfile::TempDir,
}

impl Systemd {
    /// Listens, and starts a server that is told of it.
    async fn start(watchdog: Option<Duration>, failpoints: &str) -> (Self, Process) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let config = configured("");
        let mut command = Process::command(config.path());
        command.env("NOTIFY_SOCKET", &path).env("FAILPOINTS", failpoints);
        if let Some(time) = watchdog {
            command.env("WATCHDOG_USEC", time.as_micros().to_string());
        }
        let server = Process::start_as(command, config).await;
        (Self { socket, _folder: folder }, server)
    }

    /// The next message.
    fn hear(&self) -> String {
        let mut buffer = [0; 1024];
        let length = self.socket.recv(&mut buffer).expect("a message");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    fn hear_until(&self, word: &str) -> Vec<String> {
        let mut heard = Vec::new();
        while !heard.last().is_some_and(|last: &String| last.lines().any(|line| line == word)) {
            heard.push(self.hear());
        }
        heard
    }
}

#[tokio::test]
async fn systemd_hears_that_the_server_is_ready_and_that_it_stops() {
    let (systemd, server) = Systemd::start(None, "").await;
    let ready = systemd.hear_until("READY=1");
    let status = format!("STATUS=serving on {}", server.url);
    assert!(ready.last().unwrap().lines().any(|line| line == status), "{ready:?}");
    let (ended, _) = server.stop().await;
    assert_eq!(ended.code(), Some(0));
    let heard = systemd.hear_until("STOPPING=1");
    assert!(!heard.iter().any(|message| message.contains("WATCHDOG")), "nobody asked: {heard:?}");
}

#[tokio::test]
async fn the_watchdog_is_fed_well_within_its_time() {
    let (systemd, _server) = Systemd::start(Some(WATCHDOG), "").await;
    systemd.hear_until("READY=1");
    for _ in 0..3 {
        systemd.hear_until("WATCHDOG=1");
    }
}

#[tokio::test]
async fn the_watchdog_of_a_server_whose_registry_hangs_is_not_fed() {
    // The registry waits for ever at the first request that it is asked.
    let (systemd, server) = Systemd::start(Some(WATCHDOG), "registry::ask=pause").await;
    systemd.hear_until("WATCHDOG=1");
    // By hand: the answer does not come, and this thread listens to the socket.
    let mut asking = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
    let (id, token) = (uuid::Uuid::new_v4(), server.token.as_deref().unwrap());
    let head = format!(
        "POST /v1/sessions/{id}/interrupt HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"
    );
    asking.write_all(head.as_bytes()).unwrap();
    systemd.socket.set_read_timeout(Some(WATCHDOG * 3)).unwrap();
    let mut buffer = [0; 1024];
    // What was sent before it hung is heard; then there is silence.
    let fed = std::iter::from_fn(|| systemd.socket.recv(&mut buffer).ok()).take(50).count();
    assert!(fed < 50, "it is fed although its registry hangs");
}
