//! What systemd hears of a server, on a real notification socket.

use crate::support::{PATIENCE, Process, configured};
use std::{os::unix::net::UnixDatagram, time::Duration};

struct Systemd {
    socket: UnixDatagram,
    _folder: tempfile::TempDir,
}

impl Systemd {
    /// Listens, and starts a server that is told of it.
    async fn start(watchdog: Option<Duration>) -> (Self, Process) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let config = configured("");
        let mut command = Process::command(config.path());
        command.env("NOTIFY_SOCKET", &path);
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
    let (systemd, server) = Systemd::start(None).await;
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
    let (systemd, _server) = Systemd::start(Some(Duration::from_millis(600))).await;
    systemd.hear_until("READY=1");
    for _ in 0..3 {
        systemd.hear_until("WATCHDOG=1");
    }
}
