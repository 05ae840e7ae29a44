//! A transport with a real child, and a probe in the place of its session.

use actix::{Actor, Addr, Context, Handler};
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};
use seawall::{
    agent::{AgentEvent, Codec, Output, RawLine},
    clock::Clock,
    domain::{
        ContentBlock, MessageId, SessionId, StoreId,
        event::{Exit, Outcome, OutputStream, TransportFault},
    },
    process::{
        ChildSpec, Happened, Marker, Order, Report,
        child::Launcher,
        transport::{Limits, Transport, TransportStart},
    },
    supervise::{self, End},
};
use std::{collections::BTreeMap, fs, time::Duration};
use tokio::sync::{mpsc, oneshot};

/// Lines out, lines in; a line `nothing` means nothing, and a line `panic` panics.
struct Echo;

impl Codec for Echo {
    fn start(&mut self, _: &mut Output) {}

    fn line(&mut self, line: RawLine<'_>, out: &mut Output) {
        assert_ne!(line.bytes, b"panic");
        if line.bytes == b"nothing" {
            return;
        }
        out.events.push(AgentEvent::Output {
            stream: OutputStream::Stdout,
            text: String::from_utf8_lossy(line.bytes).into_owned(),
            truncated: line.truncated,
        });
    }

    fn prompt(&mut self, _: &MessageId, content: &[ContentBlock], out: &mut Output) {
        for block in content {
            if let Some(text) = serde_json::to_value(block).unwrap()["text"].as_str() {
                out.stdin.extend_from_slice(text.as_bytes());
            }
        }
        out.stdin.push(b'\n');
    }

    fn cancel(&mut self, _: &mut Output) {}

    fn answer(&mut self, _: seawall::agent::AgentRequest, _: &Outcome, _: &mut Output) {}
}

struct Probe(mpsc::UnboundedSender<Report>);

impl Actor for Probe {
    type Context = Context<Self>;
}

impl Handler<Report> for Probe {
    type Result = ();

    fn handle(&mut self, report: Report, _: &mut Context<Self>) {
        let _ = self.0.send(report);
    }
}

/// A transport under watch, with a probe for a session.
pub(super) struct Run {
    pub(super) addr: Option<Addr<Transport>>,
    pub(super) reports: mpsc::UnboundedReceiver<Report>,
    pub(super) end: oneshot::Receiver<End>,
    pub(super) pid: u32,
    /// What was heard so far, by stream.
    pub(super) stdout: Vec<String>,
    pub(super) stderr: Vec<String>,
    pub(super) failed: Vec<String>,
    pub(super) said: usize,
}

pub(super) fn marker() -> Marker {
    Marker {
        store: StoreId::from_uuid(uuid::Uuid::new_v4()),
        session: SessionId::from_uuid(uuid::Uuid::new_v4()),
        run: 7,
    }
}

pub(super) fn spec(command: &str, args: &[&str]) -> ChildSpec {
    ChildSpec {
        command: command.into(),
        args: args.iter().map(ToString::to_string).collect(),
        env: BTreeMap::from([("PATH".into(), std::env::var("PATH").unwrap())]),
        cwd: "/".into(),
        user: None,
        marker: marker(),
        max_line_bytes: 1 << 20,
    }
}

pub(super) fn guard() -> Launcher {
    Launcher { guard: env!("CARGO_BIN_EXE_seawall").into() }
}

pub(super) fn start(spec: ChildSpec, launcher: Launcher) -> Run {
    let (sender, reports) = mpsc::unbounded_channel();
    let report = Probe(sender).start().recipient();
    let start = TransportStart {
        run: spec.marker.run,
        spec,
        codec: Box::new(Echo),
        launcher,
        report,
        drain_grace: Duration::from_millis(250),
        clock: Clock::system(),
        limits: Limits::default(),
    };
    let (ended, end) = oneshot::channel();
    let addr = supervise::start(
        &actix::Arbiter::current(),
        64,
        |_| Transport::new(start),
        |end| ended.send(end).unwrap(),
    );
    Run {
        addr: Some(addr),
        reports,
        end,
        pid: 0,
        stdout: Vec::new(),
        stderr: Vec::new(),
        failed: Vec::new(),
        said: 0,
    }
}

/// A shell script that runs.
pub(super) async fn sh(script: &str) -> Run {
    spawned(spec("sh", &["-c", script])).await
}

pub(super) async fn spawned(spec: ChildSpec) -> Run {
    let mut run = start(spec, guard());
    match run.next().await {
        Happened::Spawned { pid } => run.pid = pid,
        other => panic!("{other:?}"),
    }
    run
}

impl Run {
    pub(super) fn order(&self, order: Order) {
        self.addr.as_ref().unwrap().do_send(order);
    }

    pub(super) fn prompt(&self, id: &str, text: &str) {
        let block = serde_json::json!({"type": "text", "text": text});
        let content = vec![serde_json::from_value(block).unwrap()];
        self.order(Order::Prompt { message_id: id.parse().unwrap(), content });
    }

    pub(super) async fn next(&mut self) -> Happened {
        let report = self.reports.recv().await.expect("the probe lives");
        assert_eq!(report.run, 7);
        report.what
    }

    /// Keeps what is heard up to something else.
    pub(super) async fn happened(&mut self) -> Happened {
        loop {
            match self.next().await {
                Happened::Said { events, ack } => {
                    self.said += 1;
                    events.into_iter().for_each(|event| self.keep(event));
                    drop(ack);
                }
                other => return other,
            }
        }
    }

    pub(super) fn keep(&mut self, event: AgentEvent) {
        match event {
            AgentEvent::Output { stream: OutputStream::Stdout, text, .. } => self.stdout.push(text),
            AgentEvent::Output { stream: OutputStream::Stderr, text, .. } => self.stderr.push(text),
            AgentEvent::Failed { code: TransportFault::Protocol, detail } => {
                self.failed.push(detail)
            }
            other => panic!("{other:?}"),
        }
    }

    /// Waits until `lines` lines of stdout were heard.
    pub(super) async fn heard(&mut self, lines: usize) {
        while self.stdout.len() < lines {
            self.listen().await;
        }
    }

    pub(super) async fn listen(&mut self) {
        match self.next().await {
            Happened::Said { events, .. } => events.into_iter().for_each(|event| self.keep(event)),
            other => panic!("{other:?}"),
        }
    }

    /// The last report; none comes after it, and the actor has stopped.
    pub(super) async fn exit(&mut self) -> Exit {
        let exit = loop {
            match self.happened().await {
                Happened::Exited(exit) => break exit,
                Happened::Written { .. } => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((&mut self.end).await, Ok(End::Stopped));
        assert!(self.reports.try_recv().is_err());
        exit
    }
}

pub(super) fn names(exit: &Exit) -> Vec<&str> {
    let mut names: Vec<_> = exit.killed.iter().map(|killed| killed.name.as_str()).collect();
    names.sort_unstable();
    names
}

pub(super) fn alive(pid: u32) -> bool {
    fs::exists(format!("/proc/{pid}")).unwrap()
}

/// Waits for the end of a process that is not our child.
pub(super) async fn gone(pid: u32) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    // An error: it is gone already.
    if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) {
        let wait = move || poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None).unwrap();
        tokio::task::spawn_blocking(wait).await.unwrap();
    }
}

pub(super) fn parent(pid: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap()
}
