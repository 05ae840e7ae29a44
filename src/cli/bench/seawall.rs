//! Our own server as a load sees it: a topic is a session, whose agent is a child that prints what the load hands it over a
//! socket. A line goes the whole way: from a child's pipe through the log to the streams.

use super::{
    agent::TOPIC_VARIABLE,
    server::{AT_A_TIME, BenchServer, HEAD_AT_START, Place},
    target::{self, HTTP_OK, Publisher, Setup, Subject, Subscription, Target},
};
use crate::{domain::SessionId, wire::api::CreateSession};
use anyhow::{Context, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read},
    net::SocketAddr,
    os::unix::net::{UnixListener, UnixStream},
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

pub(super) const SEAWALL: &str = "seawall";
pub(super) const IN_MEMORY: &str = "seawall in memory";

/// How long the children of all sessions have to come, once their sessions are there.
const CHILDREN: Duration = Duration::from_secs(120);
/// Long enough for a runtime to look at its sockets.
const SETTLE: Duration = Duration::from_millis(2);

pub(super) fn subject() -> Subject {
    let start = |setup: &Setup| -> anyhow::Result<Box<dyn Target>> {
        Ok(Box::new(Seawall::start(setup, Place::Disk)?))
    };
    Subject { name: SEAWALL, durable: true, start: Box::new(start) }
}

/// The same server where fdatasync costs nothing: what it would be without durability.
pub(super) fn in_memory() -> Subject {
    let start = |setup: &Setup| -> anyhow::Result<Box<dyn Target>> {
        Ok(Box::new(Seawall::start(setup, Place::Memory)?))
    };
    Subject { name: IN_MEMORY, durable: false, start: Box::new(start) }
}

pub(super) struct Seawall {
    pub(super) server: BenchServer,
    runtime: Runtime,
    listener: UnixListener,
    pub(super) sessions: Vec<SessionId>,
    /// Of each session, from its child.
    children: Vec<Option<UnixStream>>,
    address: SocketAddr,
}

impl Seawall {
    pub(super) fn start(setup: &Setup, place: Place) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let server = runtime.block_on(BenchServer::start(setup, place))?;
        let listener = UnixListener::bind(server.socket())?;
        listener.set_nonblocking(true)?;
        let address = server.address.parse()?;
        let (sessions, children) = (Vec::new(), Vec::new());
        Ok(Self { server, runtime, listener, sessions, children, address })
    }

    /// Waits until the log of each of these sessions has so many lines of its child.
    pub(super) fn until_heads(&self, sessions: &[SessionId], lines: u64) -> anyhow::Result<()> {
        let wanted = HEAD_AT_START + lines;
        self.block_on(async {
            for session in sessions {
                self.server.until(*session, |head, _| head >= wanted).await?;
            }
            Ok(())
        })
    }

    /// While a load ran, nobody looked after the connections of these calls: what the server has closed is noticed first.
    pub(super) fn block_on<T>(
        &self,
        call: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        self.runtime.block_on(async {
            tokio::time::sleep(SETTLE).await;
            call.await
        })
    }

    /// A stream of these sessions, each from behind so many lines of its child.
    pub(super) fn after(&self, sessions: &[usize], lines: u64) -> Subscription {
        let names: Vec<String> =
            sessions.iter().map(|session| self.sessions[*session].to_string()).collect();
        let seq = HEAD_AT_START + lines;
        let after: Vec<String> = names.iter().map(|name| format!("{name}:{seq}")).collect();
        let path = format!("/v1/stream?sessions={}&after={}", names.join(","), after.join(","));
        let request = self.get(&path);
        Subscription { ready: (request.ready.0, sessions.len()), ..request }
    }

    /// Reads of the log by streams and pages so far.
    pub(super) fn pages_read(&self) -> anyhow::Result<u64> {
        Ok(self.block_on(self.server.status())?.store.pages_read)
    }

    pub(super) fn get(&self, path: &str) -> Subscription {
        let token = &self.server.token;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        let (address, request) = (self.address, request.into_bytes());
        Subscription { address, request, ready: (b"event: snapshot", 1), http: true }
    }

    /// Each child connects, and says whose it is.
    fn accept(&self, children: &mut [Option<UnixStream>]) -> anyhow::Result<()> {
        let start = Instant::now();
        let mut missing = children.len();
        while missing > 0 {
            let (mut child, _) = match self.listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ensure!(start.elapsed() < CHILDREN, "{missing} children do not come");
                    std::thread::sleep(SETTLE);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            missing -= 1;
            child.set_nonblocking(false)?;
            let mut topic = String::new();
            let mut byte = [0];
            while child.read(&mut byte)? == 1 && byte != *b"\n" {
                topic.push(byte[0].into());
            }
            child.set_nonblocking(true)?;
            let topic: usize = topic.parse().context("a child has no number")?;
            *children.get_mut(topic).context("a child's number is too high")? = Some(child);
        }
        Ok(())
    }
}

impl Target for Seawall {
    fn processes(&self) -> Vec<u32> {
        vec![self.server.pid()]
    }

    fn prepare(&mut self, topics: usize) -> anyhow::Result<()> {
        let server = &self.server;
        let create = |topic: usize| async move {
            let env = BTreeMap::from([(TOPIC_VARIABLE.to_owned(), topic.to_string())]);
            let (agent, cwd, title, message, session_id) = ("bench".into(), None, None, None, None);
            let body = CreateSession { agent, cwd, title, env, message, session_id };
            anyhow::Ok((topic, server.client.create_session(&body).await?.session.id))
        };
        let created = stream::iter(0..topics).map(create).buffer_unordered(AT_A_TIME);
        let mut made: Vec<(usize, SessionId)> = self.block_on(created.try_collect())?;
        made.sort_unstable_by_key(|(topic, _)| *topic);
        self.sessions = made.into_iter().map(|(_, session)| session).collect();
        let mut children: Vec<Option<UnixStream>> = (0..topics).map(|_| None).collect();
        self.accept(&mut children)?;
        self.children = children;
        self.settled(0)
    }

    fn subscription(&self, topic: usize) -> Subscription {
        self.get(&format!("/v1/sessions/{}/stream", self.sessions[topic]))
    }

    fn replay(&self, topic: usize) -> Option<Subscription> {
        let session = self.sessions[topic];
        let path = format!("/v1/sessions/{session}/stream?after={session}:{HEAD_AT_START}");
        Some(self.get(&path))
    }

    fn publishers(&mut self, _: usize) -> anyhow::Result<Vec<Publisher>> {
        let children = self.children.iter_mut().map(|child| {
            let pipe = Box::new(child.take().context("a child's socket is taken")?);
            let encode = |_: usize, line: &[u8], out: &mut Vec<u8>| {
                out.extend_from_slice(line);
                out.push(b'\n');
            };
            let (encode, ack, pipelined) = (Box::new(encode), None, usize::MAX);
            Ok(Publisher { pipe, encode, ack, pipelined })
        });
        children.collect()
    }

    fn by_topic(&self) -> bool {
        true
    }

    fn posters(&mut self, producers: usize) -> anyhow::Result<Vec<Publisher>> {
        let poster = |_| {
            let (sessions, token) = (self.sessions.clone(), self.server.token.clone());
            let encode = move |topic: usize, line: &[u8], out: &mut Vec<u8>| {
                let text = String::from_utf8_lossy(line);
                let number = &text[1..text.find(' ').unwrap_or(text.len())];
                let body = format!(r#"{{"message_id":"m{number}","text":"{text}"}}"#);
                let fields =
                    format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
                let path = format!("/v1/sessions/{}/messages", sessions[topic]);
                target::post(&path, &fields, body.as_bytes(), out);
            };
            let pipe = Box::new(target::connect(self.address)?);
            Ok(Publisher { pipe, encode: Box::new(encode), ack: Some(HTTP_OK), pipelined: 1 })
        };
        (0..producers).map(poster).collect()
    }

    fn settled(&mut self, lines: u64) -> anyhow::Result<()> {
        self.until_heads(&self.sessions, lines)
    }
}
