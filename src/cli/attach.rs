//! `seawall attach`: a session on a terminal. It shows what the stream brings and sends what is typed; leaving ends
//! nothing but the watching.

mod paint;
mod render;
mod requests;
mod typed;

use super::{
    failure::Unsuccessful,
    new::message,
    output::Output,
    words::{client_state, doing},
};
use crate::{
    client::{Begin, Client, EventQuery, LogEvent, StreamItem, StreamRequest},
    clock::Clock,
    domain::{Body, Seq, SessionId, State, event::Permission},
    wire::api::{ByeReason, GapFrame, SnapshotFrame},
};
use paint::Style;
use render::Renderer;
use requests::Requests;
use std::{
    io::{self, BufRead, IsTerminal},
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use typed::{Breaks, Typed};

/// How much of the past is shown where nobody asked for more.
const RECENT: u32 = 50;

/// How long leaving waits for messages that the server does not have yet.
const LEAVING: Duration = Duration::from_secs(5);

struct Attached {
    output: Output,
    renderer: Renderer,
    /// The oldest first; that one a number answers.
    permissions: Vec<Permission>,
    state: State,
}

pub(super) async fn run(
    client: &Client,
    output: &Output,
    id: SessionId,
    after: Option<u64>,
) -> anyhow::Result<()> {
    let session = client.session(id).await?;
    let mut attached = Attached {
        output: *output,
        renderer: Renderer::new(output.color),
        permissions: Vec::new(),
        state: session.state,
    };
    attached.say(
        Style::Dim,
        &format!("- {} {id}: {}, {}", session.agent, session.state, doing(&session)),
    )?;
    let cursor = match after {
        Some(seq) => Seq(seq),
        None => attached.show_recent(client, id).await?,
    };
    follow(client, attached, id, cursor).await
}

async fn follow(
    client: &Client,
    mut attached: Attached,
    id: SessionId,
    cursor: Seq,
) -> anyhow::Result<()> {
    let begin = Begin::After(vec![(id, cursor)]);
    let mut stream = client.stream(StreamRequest::session(id, begin));
    let (requests, mut failures) = Requests::new(client.clone(), id);
    let mut lines = lines_of_stdin();
    let mut typing = true;
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut breaks = Breaks::default();
    while typing || attached.state.is_live() || !attached.is_piped() {
        tokio::select! {
            item = stream.next() => match item? {
                Some(item) => attached.show(&item)?,
                None => break,
            },
            line = lines.recv(), if typing => match line {
                Some(line) => attached.act(&line, &requests)?,
                // On a terminal that was Ctrl-D; the end of a pipe only ends the typing.
                None if attached.is_piped() => typing = false,
                None => break,
            },
            _ = interrupts.recv() => {
                if breaks.pressed(Clock::system().now()) {
                    break;
                }
                requests.interrupt();
            },
            Some(failure) = failures.recv() => attached.say(Style::Red, &format!("! {failure}"))?,
        }
    }
    let in_time = requests.finish(LEAVING).await;
    while let Ok(failure) = failures.try_recv() {
        attached.say(Style::Red, &format!("! {failure}"))?;
    }
    match in_time {
        true => Ok(()),
        false => Err(Unsuccessful("left before the server had every message".into()).into()),
    }
}

impl Attached {
    fn is_piped(&self) -> bool {
        !io::stdin().is_terminal()
    }

    /// A line that is no event: beside the output where that is for programs.
    fn say(&mut self, style: Style, text: &str) -> io::Result<()> {
        if self.output.json {
            self.output.remark(text);
            return Ok(());
        }
        let text = self.renderer.say(style, text);
        self.output.write(&text)
    }

    /// Shows the newest page of history; where the stream goes on.
    async fn show_recent(&mut self, client: &Client, id: SessionId) -> anyhow::Result<Seq> {
        let query = EventQuery { limit: Some(RECENT), ..Default::default() };
        let page = client.events(id, &query).await?;
        let mut cursor = page.head_seq;
        if page.has_more {
            self.say(Style::Dim, &format!("- earlier: seawall attach {id} --after 0"))?;
        }
        for line in &page.events {
            let event = LogEvent::parse(line.get().to_owned().into())?;
            cursor = event.seq;
            self.show_event(&event)?;
        }
        Ok(cursor)
    }

    fn show(&mut self, item: &StreamItem) -> io::Result<()> {
        match item {
            StreamItem::Event(event) => self.show_event(event),
            StreamItem::Snapshot(snapshot) => self.settle(snapshot),
            StreamItem::Gap(gap) => self.show_gap(gap),
            StreamItem::Lost(lost) => {
                let seconds = lost.retry_in.as_secs_f32();
                self.say(Style::Red, &format!("! {}; trying again in {seconds:.1} s", lost.cause))
            }
            StreamItem::Server(server) if server.draining => {
                self.say(Style::Dim, "- the server takes no new work for now")
            }
            StreamItem::Bye(bye) => self.say(
                Style::Dim,
                match bye.reason {
                    ByeReason::Shutdown => "- the server shuts down; waiting for it to come back",
                    ByeReason::Deleted => "- the session was deleted",
                    ByeReason::Slow => "- the server let go of this slow reader; coming back",
                    ByeReason::Revoked => "- the token is not valid any more",
                },
            ),
            _ => Ok(()),
        }
    }

    fn show_event(&mut self, event: &LogEvent) -> io::Result<()> {
        match event.body() {
            Some(Body::PermissionRequested(permission)) => self.permissions.push(permission),
            Some(Body::PermissionResolved { permission_id, .. }) => {
                self.permissions.retain(|waiting| waiting.permission_id != permission_id);
            }
            Some(Body::SessionState { to, .. }) => self.state = to,
            _ => {}
        }
        if self.output.json {
            return self.output.write_bytes(&[&event.line, b"\n".as_slice()].concat());
        }
        let text = self.renderer.event(event);
        self.output.write(&text)
    }

    /// The truth after the events that were missed: what still waits for an answer is asked, once.
    fn settle(&mut self, snapshot: &SnapshotFrame) -> io::Result<()> {
        self.state = snapshot.state;
        for permission in &snapshot.pending_permissions {
            let asked = |known: &Permission| known.permission_id == permission.permission_id;
            if !self.output.json && !self.permissions.iter().any(asked) {
                let text = self.renderer.ask(permission);
                self.output.write(&text)?;
            }
        }
        self.permissions.clone_from(&snapshot.pending_permissions);
        if self.output.terminal {
            let doing = client_state(snapshot.client_state);
            self.say(
                Style::Dim,
                &format!("- {doing}; type to it, Ctrl-C interrupts, Ctrl-D leaves"),
            )?;
        }
        Ok(())
    }

    fn show_gap(&mut self, gap: &GapFrame) -> io::Result<()> {
        let id = gap.session_id;
        let text = match (gap.after, gap.missed) {
            (Some(after), Some(missed)) if missed > 0 => {
                format!("- {missed} events are not shown: seawall events {id} --after {after}")
            }
            _ => "- the server's log begins anew here".to_owned(),
        };
        self.say(Style::Dim, &text)
    }

    fn act(&mut self, line: &str, requests: &Requests) -> io::Result<()> {
        match typed::read(line, self.permissions.first()) {
            Typed::Nothing => {}
            Typed::Message(text) => {
                let message = message(text, None);
                // A pipe shows nothing of what came through it, so the event does.
                if !self.is_piped() {
                    self.renderer.typed(message.message_id.clone());
                }
                requests.send(message);
            }
            Typed::Answer { permission_id, answer } => requests.answer(permission_id, answer),
            Typed::NoSuchOption { options } => {
                self.say(
                    Style::Red,
                    &format!("! there is no such option; type a number from 0 to {options}"),
                )?;
            }
        }
        Ok(())
    }
}

/// Lines from stdin, read by a thread of its own: a read cannot be called off, and leaving must not wait for one.
fn lines_of_stdin() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    lines
}
