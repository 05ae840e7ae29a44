//! A start of an agent that is none of a session's: launched in the same way, through its handshake, and ended again.
//! What it says about the agent is for others to judge.

use super::{
    Refusal,
    actor::{DRAIN_GRACE, MAILBOX},
    launch,
};
use crate::{
    agent::{AgentEvent, Protocol},
    clock::Clock,
    config::Agent,
    domain::{
        Session, SessionId, StoreId,
        event::{Exit, OutputStream, TransportFault},
    },
    process::{
        Happened, Order, Report,
        child::Launcher,
        transport::{Limits, Transport, TransportStart},
    },
    supervise::watch,
};
use actix::prelude::*;
use std::time::Duration;
use tokio::sync::mpsc;
use uuid::Uuid;

/// An agent of plain lines has no handshake. One that its own arguments do not please ends within this time.
const GLANCE: Duration = Duration::from_millis(500);

/// For an agent whose stdin was closed; then it is killed.
const FAREWELL: Duration = Duration::from_secs(2);

/// For the guard, which needs less by its own account.
const LAST_WAIT: Duration = Duration::from_secs(15);

/// What a trial showed.
#[derive(Debug, PartialEq)]
pub(crate) struct Trial {
    pub(crate) outcome: Outcome,
    /// The last line on its stdout that was not of its protocol.
    pub(crate) said: String,
    pub(crate) stderr_tail: String,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    /// The handshake is done; without one, it runs.
    Ready,
    Failed {
        code: TransportFault,
        detail: String,
    },
    /// The profile's folder is no folder.
    Folder {
        detail: String,
    },
    NotSpawned {
        detail: String,
    },
    Exited(Exit),
    /// Nothing came of it in the time it had.
    Silent,
}

/// Starts the agent of a profile and ends it again; `patience`: for its handshake.
pub(crate) async fn run(
    name: &str,
    agent: &Agent,
    launcher: Launcher,
    clock: &Clock,
    patience: Duration,
) -> Trial {
    let silent = |outcome| Trial { outcome, said: String::new(), stderr_tail: String::new() };
    let start = match begin(name, agent, clock) {
        Ok(begin) => begin,
        Err(detail) => return silent(Outcome::Folder { detail }),
    };
    let (tell, mut told) = mpsc::channel(NEWS);
    let witness = watch::start(
        &Arbiter::current(),
        MAILBOX,
        move |_| Witness { tell, said: String::new(), has_spoken: false },
        |_| {},
    );
    let report = witness.clone().recipient();
    let transport = watch::start(
        &Arbiter::current(),
        MAILBOX,
        move |_| Transport::new(start(launcher, report)),
        |_| {},
    );
    let mut outcome = tokio::select! {
        news = told.recv() => verdict(news),
        () = clock.sleep(patience) => Outcome::Silent,
    };
    let mut end = None;
    if outcome == Outcome::Ready && agent.protocol == Protocol::Lines {
        end = gone(&mut told, clock, GLANCE).await;
        if let Some((exit, _)) = &end {
            outcome = Outcome::Exited(exit.clone());
        }
    }
    for (order, patience) in [(Order::CloseStdin, FAREWELL), (Order::Kill, LAST_WAIT)] {
        if end.is_none() {
            transport.do_send(order);
            end = gone(&mut told, clock, patience).await;
        }
    }
    let (exit, said) = end.unwrap_or_default();
    Trial { outcome, said, stderr_tail: exit.stderr_tail }
}

/// A session that is nowhere stored, so that the agent is given what a session's would be.
fn begin(
    name: &str,
    agent: &Agent,
    clock: &Clock,
) -> Result<impl FnOnce(Launcher, Recipient<Report>) -> TransportStart + Send + 'static, String> {
    let cwd = launch::working_directory(agent, None).map_err(|refusal| match refusal {
        Refusal::Invalid { detail, .. } => detail,
        other => other.to_string(),
    })?;
    let id = SessionId::from_uuid(Uuid::now_v7());
    let mut session = Session::new(id, name.to_owned(), cwd, [0; 32], clock.now());
    session.run = 1;
    let spec = launch::child_spec(agent, &session, StoreId::from_uuid(Uuid::new_v4()))?;
    let codec = agent.protocol.codec(launch::codec_options(agent, &session));
    let clock = clock.clone();
    Ok(move |launcher, report| TransportStart {
        run: session.run,
        spec,
        codec,
        launcher,
        report,
        drain_grace: DRAIN_GRACE,
        clock,
        limits: Limits::default(),
    })
}

/// A verdict and an end are all there is.
const NEWS: usize = 2;

enum News {
    Verdict(Outcome),
    Gone(Exit, String),
}

fn verdict(news: Option<News>) -> Outcome {
    match news {
        Some(News::Verdict(outcome)) => outcome,
        Some(News::Gone(exit, _)) => Outcome::Exited(exit),
        None => Outcome::Exited(Exit::default()),
    }
}

/// Waits for the end of the child and its tree.
async fn gone(
    told: &mut mpsc::Receiver<News>,
    clock: &Clock,
    patience: Duration,
) -> Option<(Exit, String)> {
    let end = async {
        loop {
            match told.recv().await {
                Some(News::Gone(exit, said)) => return (exit, said),
                Some(News::Verdict(_)) => {}
                None => return Default::default(),
            }
        }
    };
    tokio::select! {
        end = end => Some(end),
        () = clock.sleep(patience) => None,
    }
}

/// Hears what the transport reports, and passes on the first thing that decides and the end.
struct Witness {
    tell: mpsc::Sender<News>,
    said: String,
    has_spoken: bool,
}

impl Witness {
    fn speak(&mut self, outcome: Outcome) {
        if !std::mem::replace(&mut self.has_spoken, true) {
            // Nobody waits for it any more where this fails.
            let _ = self.tell.try_send(News::Verdict(outcome));
        }
    }

    fn end(&mut self, exit: Exit) {
        let _ = self.tell.try_send(News::Gone(exit, std::mem::take(&mut self.said)));
    }

    fn heard(&mut self, event: AgentEvent) {
        match event {
            AgentEvent::Ready { .. } => self.speak(Outcome::Ready),
            AgentEvent::Failed { code, detail } => self.speak(Outcome::Failed { code, detail }),
            AgentEvent::Output { stream: OutputStream::Stdout, text, .. }
                if !text.trim().is_empty() =>
            {
                self.said = text;
            }
            _ => {}
        }
    }
}

impl Actor for Witness {
    type Context = Context<Self>;
}

impl Handler<Report> for Witness {
    type Result = ();

    fn handle(&mut self, Report { what, .. }: Report, _: &mut Context<Self>) {
        match what {
            Happened::SpawnFailed { detail, .. } => {
                self.speak(Outcome::NotSpawned { detail });
                self.end(Exit::default());
            }
            Happened::Said { events, .. } => events.into_iter().for_each(|event| self.heard(event)),
            Happened::Exited(exit) => {
                self.speak(Outcome::Exited(exit.clone()));
                self.end(exit);
            }
            Happened::Spawned { .. } | Happened::Written { .. } => {}
        }
    }
}
