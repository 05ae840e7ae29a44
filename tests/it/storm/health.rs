//! Asks `/healthz` all the time from a thread of its own, so that nothing that the test does is counted as the server's.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::mpsc::{self, RecvTimeoutError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(20);

/// The server answers within this, whatever befalls it.
const LIMIT: Duration = Duration::from_secs(1);

pub(super) struct Health {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<(usize, Duration)>,
}

impl Health {
    /// Watches the server whose admin listener is at this URL.
    pub(super) fn watch(admin_url: &str) -> Self {
        let address = admin_url.trim_start_matches("http://").to_owned();
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let (mut count, mut longest) = (0, Duration::ZERO);
            while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                let start = Instant::now();
                ask(&address);
                longest = longest.max(start.elapsed());
                count += 1;
            }
            (count, longest)
        });
        Self { stop, thread }
    }

    /// Fails where an answer did not come in time. The longest time that one took, and how many came.
    pub(super) fn end(self) -> (usize, Duration) {
        let _ = self.stop.send(());
        let (count, longest) = self.thread.join().expect("every answer was 200");
        assert!(longest < LIMIT, "an answer of /healthz took {longest:?}");
        (count, longest)
    }
}

fn ask(address: &str) {
    let mut socket = TcpStream::connect(address).expect("it listens");
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
