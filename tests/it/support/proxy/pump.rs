//! The bytes of one connection, both ways, under rules that may change at any time. Which rules those are is said
//! elsewhere.

use super::{
    End, Flow, Page, Rules, State, Write,
    head::{Part, Requests, asked, length, with_line},
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    time::{Instant, timeout_at},
};

const CHUNK: usize = 16 * 1024;

/// How a connection came to its end.
pub(super) enum Ended {
    /// One of the peers closed it.
    Closed,
    /// A rule ended it.
    Cut(End),
    /// The client asked for something that the proxy serves itself.
    Served(Page),
}

pub(super) struct Connection {
    client: TcpStream,
    server: TcpStream,
    rules: watch::Receiver<Rules>,
    state: Arc<Mutex<State>>,
}

impl Connection {
    pub(super) fn new(
        client: TcpStream,
        server: TcpStream,
        rules: watch::Receiver<Rules>,
        state: Arc<Mutex<State>>,
    ) -> Self {
        for socket in [&client, &server] {
            socket.set_nodelay(true).expect("a socket");
        }
        Self { client, server, rules, state }
    }

    /// Passes bytes on until the connection is to end.
    pub(super) async fn run(&mut self) -> Ended {
        let (from_client, to_client) = self.client.split();
        let (from_server, to_server) = self.server.split();
        let mut rules = self.rules.clone();
        let up = Up {
            pipe: Pipe::new(to_server, self.rules.clone(), |rules| &rules.up),
            state: self.state.clone(),
            posting: None,
        };
        let down = Pipe::new(to_client, self.rules.clone(), |rules| &rules.down);
        tokio::select! {
            ended = up.run(from_client) => ended,
            ended = run_down(down, from_server, &self.state) => ended,
            Ok(end) = rules.wait_for(|rules| rules.end.is_some()) => {
                Ended::Cut(end.end.expect("it was waited for"))
            }
        }
    }

    pub(super) async fn close(mut self, ended: Ended) {
        match ended {
            Ended::Closed | Ended::Cut(End::Close) => {}
            Ended::Cut(End::Reset) => {
                for socket in [&self.client, &self.server] {
                    rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO))
                        .expect("a socket");
                }
            }
            Ended::Served(page) => {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    page.content_type,
                    page.body.len()
                );
                // Whom it is for may have gone.
                let _ = self.client.write_all(&[head.as_bytes(), &page.body].concat()).await;
                let _ = self.client.shutdown().await;
            }
        }
    }
}

/// From the client to the server: the direction whose heads are read.
struct Up<'a> {
    pipe: Pipe<'a>,
    state: Arc<Mutex<State>>,
    /// A body for the proxy itself: how long it will be, and what is there of it.
    posting: Option<(usize, Vec<u8>)>,
}

impl Up<'_> {
    async fn run(mut self, mut from: ReadHalf<'_>) -> Ended {
        let mut requests = Requests::default();
        loop {
            let chunk = match self.pipe.read(&mut from).await {
                Err(ended) => return ended,
                Ok(chunk) if chunk.is_empty() => return self.pipe.finish().await,
                Ok(chunk) => chunk,
            };
            let passed = match self.reads_heads() {
                false => self.pipe.pass(chunk).await,
                true => self.take(requests.feed(&chunk)).await,
            };
            if let Err(ended) = passed {
                return ended;
            }
        }
    }

    fn reads_heads(&self) -> bool {
        let state = self.state.lock().expect("not poisoned");
        let has_own = !state.pages.is_empty() || state.posted.is_some();
        has_own || self.pipe.rules.borrow().header.is_some()
    }

    async fn take(&mut self, parts: Vec<Part>) -> Result<(), Ended> {
        for part in parts {
            match (part, &mut self.posting) {
                (Part::Head(head), _) => self.take_head(&head).await?,
                (Part::Body(body), None) => self.pipe.pass(body).await?,
                (Part::Body(body), Some((length, posted))) => {
                    posted.extend(body);
                    if posted.len() == *length {
                        let text = String::from_utf8(std::mem::take(posted)).expect("UTF-8");
                        let state = self.state.lock().expect("not poisoned");
                        let posted = state.posted.as_ref().expect("somebody who takes it");
                        // The test may have ended.
                        let _ = posted.send(text);
                        return Err(Ended::Served(Page {
                            content_type: "text/plain",
                            body: Vec::new(),
                        }));
                    }
                }
            }
        }
        Ok(())
    }

    async fn take_head(&mut self, head: &str) -> Result<(), Ended> {
        let (method, path) = asked(head);
        let (page, takes_posts) = {
            let state = self.state.lock().expect("not poisoned");
            (state.pages.get(path).cloned(), state.posted.is_some())
        };
        if let Some(page) = page {
            return Err(Ended::Served(page));
        }
        if takes_posts && (method, path) == ("POST", "/posted") {
            self.posting = Some((length(head), Vec::new()));
            return Ok(());
        }
        let header = self.pipe.rules.borrow().header.clone();
        let head = header.map_or_else(|| head.to_owned(), |line| with_line(head, &line));
        self.pipe.pass(head.into_bytes()).await
    }
}

async fn run_down(mut pipe: Pipe<'_>, mut from: ReadHalf<'_>, state: &Mutex<State>) -> Ended {
    loop {
        match pipe.read(&mut from).await {
            Err(ended) => return ended,
            Ok(chunk) if chunk.is_empty() => return pipe.finish().await,
            Ok(chunk) => {
                {
                    let mut state = state.lock().expect("not poisoned");
                    if state.to_swallow > 0 {
                        // The server answers, so it has done what was asked.
                        state.to_swallow -= 1;
                        return Ended::Cut(End::Close);
                    }
                }
                if let Err(ended) = pipe.pass(chunk).await {
                    return ended;
                }
            }
        }
    }
}

/// One direction.
struct Pipe<'a> {
    to: WriteHalf<'a>,
    rules: watch::Receiver<Rules>,
    side: fn(&Rules) -> &Flow,
    passed: usize,
    /// What has passed, where a rule looks for something in it.
    seen: Vec<u8>,
    /// What waits to be joined by more.
    joined: Vec<u8>,
}

impl<'a> Pipe<'a> {
    fn new(to: WriteHalf<'a>, rules: watch::Receiver<Rules>, side: fn(&Rules) -> &Flow) -> Self {
        Self { to, rules, side, passed: 0, seen: Vec::new(), joined: Vec::new() }
    }

    fn flow(&mut self) -> Flow {
        (self.side)(&self.rules.borrow_and_update()).clone()
    }

    /// The rules as they are when nothing is held any more.
    async fn free(&mut self) -> Flow {
        loop {
            let flow = self.flow();
            if !flow.held {
                return flow;
            }
            changed(&mut self.rules).await;
        }
    }

    /// The next bytes; none where the sender has ended.
    async fn read(&mut self, from: &mut ReadHalf<'_>) -> Result<Vec<u8>, Ended> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let flow = self.free().await;
            if flow.room(self.passed, &self.seen, &[]) == Some(0) {
                return Err(Ended::Cut(flow.how));
            }
            if !matches!(flow.write, Write::Join(_)) && !self.joined.is_empty() {
                let joined = std::mem::take(&mut self.joined);
                self.write(joined).await?;
                continue;
            }
            let read = tokio::select! {
                read = from.read(&mut chunk) => read,
                () = changed(&mut self.rules) => continue,
            };
            let flow = self.flow();
            match read {
                // A peer that is reset has gone, like one that has closed.
                Ok(0) | Err(_) if flow.lost => std::future::pending().await,
                // It was held before this came.
                Ok(0) | Err(_) if flow.held => {}
                Ok(0) | Err(_) => return Ok(Vec::new()),
                Ok(_) if flow.lost => {}
                Ok(count) => {
                    chunk.truncate(count);
                    return Ok(chunk);
                }
            }
        }
    }

    /// Passes bytes on as the rules want it.
    async fn pass(&mut self, mut bytes: Vec<u8>) -> Result<(), Ended> {
        let flow = self.free().await;
        self.wait(Instant::now() + flow.delay).await;
        if let Write::Join(count) = flow.write {
            self.joined.append(&mut bytes);
            if self.joined.len() < count {
                return Ok(());
            }
            bytes = std::mem::take(&mut self.joined);
        }
        self.write(bytes).await
    }

    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Ended> {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let flow = self.free().await;
            let room = flow.room(self.passed, &self.seen, rest);
            let mut piece = rest.len().min(room.unwrap_or(usize::MAX));
            if let Write::Split(count) = flow.write {
                piece = piece.min(count);
            }
            if let Some(rate) = flow.bytes_per_second {
                // Small enough that a slow reader looks slow and not jerky.
                piece = piece.min(usize::try_from(rate / 20).expect("a small number").max(1));
                let pace = Duration::from_secs_f64(piece as f64 / rate as f64);
                if !self.wait(Instant::now() + pace).await {
                    continue;
                }
            }
            let (now, later) = rest.split_at(piece);
            if !now.is_empty() && self.to.write_all(now).await.is_err() {
                return Err(Ended::Closed);
            }
            self.passed += piece;
            if flow.cut_at.is_some() {
                self.seen.extend_from_slice(now);
            }
            rest = later;
            if room == Some(piece) {
                return Err(Ended::Cut(flow.how));
            }
            if flow.write != Write::AsTheyCome {
                // Who reads gets the chance to see each piece alone.
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// The sender has ended: what is left goes on, then so does the end.
    async fn finish(&mut self) -> Ended {
        let joined = std::mem::take(&mut self.joined);
        self.write(joined).await.err().unwrap_or(Ended::Closed)
    }

    /// Waits; false where the rules changed before.
    async fn wait(&mut self, until: Instant) -> bool {
        timeout_at(until, changed(&mut self.rules)).await.is_err()
    }
}

/// Waits for other rules, for ever where nobody can make them any more.
async fn changed(rules: &mut watch::Receiver<Rules>) {
    if rules.changed().await.is_err() {
        std::future::pending().await
    }
}
