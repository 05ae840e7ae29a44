//! Servers to test: the real binary in a process of its own, or in this process with a clock moved by hand. Both are
//! spoken to as any client does, over HTTP. Every wait has a limit, so that a defect is a failure and not a hang.

mod crashed;
mod disk;
mod held;
mod left;
mod narrow;
mod proxy;
mod random;
mod reread;
mod signals;
mod steer;
mod stored;
mod tls;

pub(crate) use disk::Disk;
pub(crate) use held::Held;
pub(crate) use left::*;
pub(crate) use proxy::*;
pub(crate) use random::{Random, size};
pub(crate) use signals::{configure, configured};
pub(crate) use steer::*;
use stored::copied_database;
pub(crate) use stored::{StoredSession, read_database, read_tests, stored_lines};
pub(crate) use tls::{Authority, with_tls};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use seawall::{
    clock::Clock,
    domain::{SessionId, State, Timestamp},
    process::child::Launcher,
    registry::Registry,
    server::{Inherited, Server, ServerOptions},
    store::{EventLog, Snapshot},
    wire::sse::{Decoder, ServerEvent},
};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    pin::Pin,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long anything may take before it counts as broken; generous, for slow machines.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const SEAWALL: &str = env!("CARGO_BIN_EXE_seawall");

/// Waits for a condition that only looking can tell, by looking again and again.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "it did not come to pass: {what}");
        std::thread::yield_now();
    }
}

/// Fails the test instead of waiting for ever.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("it did not come to pass: {what}"),
    }
}

/// The way to a server's API, with a token.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) url: String,
    pub(crate) admin_url: String,
    pub(crate) token: Option<String>,
    http: reqwest::Client,
}

/// A status with a JSON body; null where there was none.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// The body, where the status is this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// A problem document with this status and code.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Value {
        assert_eq!(
            (self.status, self.body["code"].as_str()),
            (status, Some(code)),
            "{}",
            self.body
        );
        self.body
    }
}

impl Api {
    fn new(url: String, admin_url: String, token: Option<String>) -> Self {
        // A connection that the server is about to close for its idleness must not be used for another call.
        let http = seawall::client::http().pool_idle_timeout(Duration::from_secs(1));
        Self { url, admin_url, token, http: http.build().expect("a client") }
    }

    /// The same server with another credential, or none.
    pub(crate) fn with_token(&self, token: Option<&str>) -> Self {
        Self { token: token.map(Into::into), ..self.clone() }
    }

    /// A request that can be changed before it is sent; `path` begins with a slash.
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().expect("a method");
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn call(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = within("an answer", request.send()).await.expect("an answer");
        let status = response.status().as_u16();
        let text = within("a body", response.text()).await.expect("a body");
        Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::Null) }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(self.request("GET", path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(self.request("POST", path).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call(self.request("DELETE", path)).await
    }

    /// The same credential at the admin listener.
    pub(crate) fn admin(&self) -> Self {
        Self { url: self.admin_url.clone(), ..self.clone() }
    }

    /// Makes a session; its id.
    pub(crate) async fn create(&self, agent: &str) -> String {
        let session = self.post("/v1/sessions", json!({ "agent": agent })).await.expect(201);
        session["id"].as_str().expect("an id").into()
    }

    pub(crate) async fn session(&self, id: &str) -> Value {
        self.get(&format!("/v1/sessions/{id}")).await.expect(200)
    }

    /// Sends a text; the receipt.
    pub(crate) async fn send(&self, id: &str, message_id: &str, text: &str) -> Value {
        let body = json!({ "message_id": message_id, "text": text });
        self.post(&format!("/v1/sessions/{id}/messages"), body).await.expect(202)
    }

    /// All events of a session, from the first one.
    pub(crate) async fn events(&self, id: &str) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let after = events.len();
            let path = format!("/v1/sessions/{id}/events?after={after}&limit=1000");
            let page = self.get(&path).await.expect(200);
            events.extend(page["events"].as_array().expect("events").iter().cloned());
            if page["has_more"] == false {
                return events;
            }
        }
    }

    /// Opens `GET {path}`; it must answer 200.
    pub(crate) async fn stream(&self, path: &str) -> Sse {
        self.stream_with(self.request("GET", path)).await
    }

    pub(crate) async fn stream_with(&self, request: reqwest::RequestBuilder) -> Sse {
        let response = within("a stream", request.send()).await.expect("a stream");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Sse::from(response)
    }

    /// Follows a session from its first event until one fits; gives all that came.
    pub(crate) async fn until(&self, id: &str, fits: impl FnMut(&Value) -> bool) -> Vec<Value> {
        let mut stream = self.stream(&format!("/v1/stream?sessions={id}&after={id}:0")).await;
        stream.events_until(fits).await
    }

    /// Follows a session until the turn of this message has ended; gives all its events.
    pub(crate) async fn turn(&self, id: &str, message_id: &str) -> Vec<Value> {
        self.until(id, |event| {
            event["type"] == "turn.ended" && event["data"]["message_id"] == message_id
        })
        .await
    }

    /// Follows a session until it is in this state; gives all its events.
    pub(crate) async fn state(&self, id: &str, state: &str) -> Vec<Value> {
        self.until(id, |event| event["type"] == "session.state" && event["data"]["to"] == state)
            .await
    }
}

/// An open stream.
pub(crate) struct Sse {
    chunks: Pin<Box<dyn Stream<Item = Bytes> + Send>>,
    decoder: Decoder,
    ready: VecDeque<ServerEvent>,
    last_event_id: String,
}

impl From<reqwest::Response> for Sse {
    fn from(response: reqwest::Response) -> Self {
        // A server that was killed, like a network that broke, ends in the middle of a chunk.
        Self::of(stream::unfold(response, |mut response| async move {
            let chunk = response.chunk().await.ok()??;
            Some((chunk, response))
        }))
    }
}

impl Sse {
    /// Frames out of the bytes of a response's body.
    pub(crate) fn of(chunks: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self {
            chunks: Box::pin(chunks),
            decoder: Decoder::new(16 << 20),
            ready: VecDeque::new(),
            last_event_id: String::new(),
        }
    }

    /// The next frame; None where the server has ended the stream.
    pub(crate) async fn next(&mut self) -> Option<ServerEvent> {
        within("a frame", self.frame()).await
    }

    async fn frame(&mut self) -> Option<ServerEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.last_event_id.clone_from(&event.id);
                return Some(event);
            }
            let chunk = self.chunks.next().await?;
            self.decoder.feed(&chunk).expect("frames within the limit");
            while let Some(event) = self.decoder.next_event() {
                self.ready.push_back(event);
            }
        }
    }

    /// The next log event. What comes between, such as pings, is no sign that there will be one.
    async fn event(&mut self) -> Option<ServerEvent> {
        loop {
            let frame = self.frame().await?;
            assert_ne!(frame.event, "gap", "{:?}", String::from_utf8_lossy(&frame.data));
            if frame.event == "message" {
                return Some(frame);
            }
        }
    }

    /// The next frame of this name (`message` for log events), skipping others; its data, and the last id at it.
    pub(crate) async fn named(&mut self, name: &str) -> (Value, String) {
        loop {
            let event =
                self.next().await.unwrap_or_else(|| panic!("the stream ended before {name}"));
            if event.event == name {
                let id = event.id.clone();
                return (serde_json::from_slice(&event.data).expect("JSON"), id);
            }
        }
    }

    /// Log events up to and with the one that fits. Other frames are skipped, but a gap fails the test.
    pub(crate) async fn events_until(
        &mut self,
        mut fits: impl FnMut(&Value) -> bool,
    ) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let Ok(Some(frame)) = tokio::time::timeout(PATIENCE, self.event()).await else {
                panic!("no event fits, and no more come, after {events:#?}")
            };
            let event: Value = serde_json::from_slice(&frame.data).expect("JSON");
            events.push(event);
            if fits(&events[events.len() - 1]) {
                return events;
            }
        }
    }

    /// The id under which a reconnect goes on after the last frame that was given out.
    pub(crate) fn last_event_id(&self) -> String {
        self.last_event_id.clone()
    }
}

/// The configuration of every test server, before what the test adds: profiles for all kinds of agents, in `folder`.
fn config_text(folder: &Path, extra: &str) -> String {
    let (cwd, store) = (folder.join("work"), folder.join("data/seawall.db"));
    fs::create_dir_all(&cwd).expect("a folder");
    let own = [
        ("[server]", "listen = \"127.0.0.1:0\"".to_owned()),
        ("[admin]", "listen = \"127.0.0.1:0\"".to_owned()),
        // What a process leaves to the kernel outlives the process: to wait for the disk would test the disk.
        ("[store]", format!("path = \"{}\"\ndurability = \"normal\"", store.display())),
        ("[agents.\"*\"]", format!("cwd = \"{}\"", cwd.display())),
    ];
    // A section stands once in a file: what the test adds to one of these goes into it.
    own.into_iter().fold(PROFILES.to_owned() + extra + "\n", |text, (header, line)| {
        let section = format!("{header}\n{line}");
        match text.contains(header) {
            true => text.replacen(header, &section, 1),
            false => text + &section + "\n",
        }
    })
}

const PROFILES: &str = r#"
[agents.cat]
protocol = "lines"
command = "cat"
[agents.sh]
protocol = "lines"
command = "sh"
[agents.python]
protocol = "lines"
command = "python3"
args = ["-i", "-u"]
"#;

/// `seawall serve` in a process of its own, in a folder of its own. Dropped, it is killed, and nothing of it may be left.
pub(crate) struct Process {
    pub(crate) api: Api,
    pub(crate) folder: Arc<TempDir>,
    child: Child,
    log: Arc<Mutex<String>>,
}

impl std::ops::Deref for Process {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl Process {
    /// Starts a server with `extra` lines of configuration.
    pub(crate) async fn start(extra: &str) -> Self {
        Self::start_in(configured(extra)).await
    }

    /// Starts a server in the folder of an earlier one, which must have ended.
    pub(crate) async fn start_in(folder: Arc<TempDir>) -> Self {
        let command = Self::command(folder.path());
        Self::start_as(command, folder).await
    }

    /// Starts a server by a [`Self::command`] that was changed.
    pub(crate) async fn start_as(mut command: Command, folder: Arc<TempDir>) -> Self {
        let mut child = command.spawn().expect("a process");
        let log = Arc::new(Mutex::new(String::new()));
        let (address_sender, addresses) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let lines = log.clone();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if let Some((_, rest)) = line.split_once(" serves on ")
                    && let Some((public, admin)) = rest.split_once(", admin on ")
                {
                    // In a log of JSON the line goes on.
                    let admin = admin.split(['"', ' ']).next().unwrap_or_default();
                    let _ = address_sender.send((public.to_owned(), admin.to_owned()));
                }
                let mut log = lines.lock().expect("not poisoned");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let addresses = tokio::task::spawn_blocking(move || addresses.recv_timeout(PATIENCE)).await;
        let Ok(Ok((public, admin))) = addresses else {
            panic!("the server does not start: {}", log.lock().expect("not poisoned"))
        };
        let token = fs::read_to_string(folder.path().join("data/token")).ok();
        let token = token.map(|token| token.trim().to_owned());
        let api = Api::new(public, format!("http://{admin}"), token);
        Self { api, folder, child, log }
    }

    /// `seawall serve` for a folder with a `seawall.toml`, stderr piped.
    pub(crate) fn command(folder: &Path) -> Command {
        let mut command = Command::new(SEAWALL);
        command
            .arg("serve")
            .arg("--config")
            .arg(folder.join("seawall.toml"))
            .env_remove("SEAWALL_CONFIG")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the server has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("not poisoned").clone()
    }

    /// `kill -9`; the folder, for the next server.
    pub(crate) fn kill(mut self) -> Arc<TempDir> {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
        self.folder.clone()
    }

    /// SIGTERM, and waits for the end.
    pub(crate) async fn stop(mut self) -> (ExitStatus, Arc<TempDir>) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        let mut ended = None;
        eventually("the server ends", || {
            ended = self.child.try_wait().expect("it can be waited for");
            ended.is_some()
        });
        (ended.expect("it has ended"), self.folder.clone())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        } else {
            assert_nothing_left_of(self.folder.path());
        }
    }
}

/// A server in this process, on a thread of its own, whose clock moves only by hand.
pub(crate) struct Driven {
    pub(crate) api: Api,
    pub(crate) clock: Clock,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) registry: Registry,
    pub(crate) folder: Arc<TempDir>,
    stop: Option<tokio::sync::oneshot::Sender<Duration>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl std::ops::Deref for Driven {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl Driven {
    pub(crate) async fn start(extra: &str) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        Self::start_in(folder, extra, Clock::manual(Timestamp::from_millis(1_800_000_000_000)))
            .await
    }

    /// Starts a server in the folder of an earlier one; the clock goes on.
    pub(crate) async fn start_in(folder: Arc<TempDir>, extra: &str, clock: Clock) -> Self {
        configure(folder.path(), extra);
        let source = reread::source(folder.path());
        let config = source.read().unwrap_or_else(|e| panic!("{e}"));
        let options = ServerOptions {
            config: Arc::new(config),
            source,
            logger: None,
            data: folder.path().join("data"),
            launcher: Launcher { guard: PathBuf::from(SEAWALL) },
            clock: clock.clone(),
            session_threads: 0,
            inherited: Inherited::default(),
        };
        let (started_sender, started) = tokio::sync::oneshot::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix::System::new().block_on(async move {
                let server = Server::start(options).await.unwrap_or_else(|e| panic!("{e}"));
                let admin = server.admin_address().expect("TCP");
                let rooms = (server.log().clone(), server.registry().clone());
                let _ = started_sender.send((server.url(), admin, rooms));
                match stopped.await {
                    Ok(grace) => server.stop(grace).await,
                    // Gone in the middle of whatever it did; the system takes the threads of HTTP with it.
                    Err(_) => {
                        drop(server);
                        actix::System::current().stop();
                        tokio::task::yield_now().await;
                    }
                }
            });
        });
        let started = within("the server starts", started).await.expect("it starts");
        let (public, admin, (log, registry)) = started;
        let token = fs::read_to_string(folder.path().join("data/token")).ok();
        let token = token.map(|token| token.trim().to_owned());
        let api = Api::new(public, format!("http://{admin}"), token);
        let (stop, thread) = (Some(stop), Some(thread));
        Self { api, clock, log, registry, folder, stop, thread }
    }

    /// Moves the clock.
    pub(crate) fn advance(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Waits until a session's row fits, without watching it as a stream does.
    pub(crate) async fn row(&self, id: &str, fits: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let notify = Arc::new(tokio::sync::Notify::new());
        let id: SessionId = id.parse().expect("an id");
        let watch = self.log.watch(id, notify.clone()).await.expect("a session");
        loop {
            let row = watch.snapshot();
            if fits(&row) {
                return row;
            }
            let what = format!("{id} is {} at {}", row.session.state, row.head);
            within(&what, notify.notified()).await;
        }
    }

    /// Waits until a session is in this state, without watching it.
    pub(crate) async fn row_in(&self, id: &str, state: State) -> Snapshot {
        self.row(id, |row| row.session.state == state).await
    }

    /// Waits until so many streams are open.
    pub(crate) async fn streams_open(&self, count: usize) {
        let start = Instant::now();
        while self.registry.sync().await.expect("a registry").streams != count {
            assert!(start.elapsed() < PATIENCE, "there are not {count} streams");
            tokio::task::yield_now().await;
        }
    }

    /// Waits until the session has handled what the registry told it so far: the withdrawal of a message that never
    /// was goes the same way, and does nothing.
    pub(crate) async fn settled(&self, id: &str) {
        self.delete(&format!("/v1/sessions/{id}/messages/none")).await.refused(404, "not_found");
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // No grace: children are killed at once, without waiting for a clock that stands.
            let _ = stop.send(Duration::ZERO);
        }
        if let Some(thread) = self.thread.take() {
            // What a stopping server waits for must come, also where a test left the clock before it.
            while !thread.is_finished() {
                self.clock.advance(Duration::from_millis(100));
                std::thread::yield_now();
            }
            if thread.join().is_err() && !std::thread::panicking() {
                panic!("the server's thread panicked");
            }
        }
        if !std::thread::panicking() {
            assert_nothing_left_of(self.folder.path());
        }
    }
}
