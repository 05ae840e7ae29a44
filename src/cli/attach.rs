//! `seawall attach`: a session on a terminal. It shows what the stream brings and sends what is typed; leaving ends
//! nothing but the watching.

mod act;
mod editor;
mod input;
mod keep;
mod keys;
mod paint;
mod render;
mod requests;
mod screen;
mod status;
mod terminal;
mod typed;
mod unshown;
mod view;

use super::{failure::Unsuccessful, output::Output, words::doing};
use crate::{
    client::{Begin, Client, Outbox, StreamItem, StreamRequest},
    clock::Clock,
    domain::{ClientState, MessageId, Seq, SessionId, event::Permission},
    wire::api::SessionView,
};
use input::{Happening, Input, Loading};
use paint::Style;
use render::Renderer;
use requests::Requests;
use status::{Link, Status};
use std::{collections::BTreeSet, io, io::IsTerminal, ops::ControlFlow, time::Duration};
use terminal::Terminal;
use tokio::sync::mpsc;
use typed::Breaks;
use unshown::Unshown;

/// How long leaving waits for messages that the server does not have yet.
const LEAVING: Duration = Duration::from_secs(5);

/// How often a prompt that counts seconds is brought up to date.
const TICK: Duration = Duration::from_millis(500);

struct Attached {
    client: Client,
    id: SessionId,
    output: Output,
    /// None: plain lines in and out.
    terminal: Option<Terminal>,
    renderer: Renderer,
    /// The oldest first; that one a number answers.
    permissions: Vec<Permission>,
    status: Status,
    unshown: Unshown,
    loading: Option<Loading>,
    outbox: Outbox,
    requests: Requests,
    breaks: Breaks,
    /// As `/pending` numbered them last.
    listed: Vec<MessageId>,
    /// Failures that were told already.
    told: BTreeSet<MessageId>,
    said_signed_out: bool,
    greeted: bool,
}

pub(super) async fn run(
    client: &Client,
    output: &Output,
    id: SessionId,
    after: Option<u64>,
) -> anyhow::Result<()> {
    let session = client.session(id).await?;
    let (mut attached, failures) = Attached::new(client, *output, &session)?;
    attached.say(
        Style::Dim,
        &format!("- {} {id}: {}, {}", session.agent, session.state, doing(&session)),
    )?;
    let cursor = match after {
        Some(seq) => {
            attached.unshown.add(Seq::ZERO, Seq(seq));
            Seq(seq)
        }
        None => attached.show_recent().await?,
    };
    attached.show_left_over()?;
    let begin = Begin::After(vec![(id, cursor)]);
    let stream = client.stream(StreamRequest::session(id, begin));
    let keys = attached.terminal.is_some();
    let mut input = Input::new(stream, failures, attached.outbox.watch(), keys)?;
    let followed = attached.follow(&mut input).await;
    attached.leave(&mut input, followed).await
}

impl Attached {
    fn new(
        client: &Client,
        output: Output,
        session: &SessionView,
    ) -> anyhow::Result<(Self, mpsc::UnboundedReceiver<String>)> {
        let (requests, failures) = Requests::new(client.clone(), session.id);
        let kept = keep::open(client, session.id)?;
        let terminal = terminal::is_there(&output).then(|| Terminal::open(output)).transpose()?;
        let mut attached = Self {
            client: client.clone(),
            id: session.id,
            output,
            terminal,
            renderer: Renderer::new(output.color),
            permissions: Vec::new(),
            status: Status {
                link: Link::Connecting,
                state: session.state,
                running: session.client_state != ClientState::Idle,
                options: None,
            },
            unshown: Unshown::default(),
            loading: None,
            outbox: kept.outbox,
            requests,
            breaks: Breaks::default(),
            listed: Vec::new(),
            told: BTreeSet::new(),
            said_signed_out: false,
            greeted: false,
        };
        if let Some(fault) = kept.fault {
            attached.say(Style::Red, &format!("! {fault}"))?;
        }
        Ok((attached, failures))
    }

    async fn follow(&mut self, input: &mut Input) -> anyhow::Result<()> {
        let mut typing = true;
        while typing || self.status.state.is_live() || !self.is_piped() {
            self.refresh()?;
            // A pipe waits until there is room; a person is told that there is none.
            let reading = typing && (!self.is_piped() || self.outbox.state().has_room());
            let is_counting = matches!(self.status.link, Link::Lost { .. });
            let tick = (is_counting && self.terminal.is_some()).then_some(TICK);
            let happening = input.next(reading, &mut self.loading, tick).await?;
            if matches!(happening, Happening::TypingEnded) && self.is_piped() {
                // On a terminal that was Ctrl-D; the end of a pipe only ends the typing.
                typing = false;
            } else if self.handle(happening).await?.is_break() {
                break;
            }
        }
        Ok(())
    }

    async fn handle(&mut self, happening: Happening) -> anyhow::Result<ControlFlow<()>> {
        match happening {
            Happening::Item(item) => {
                if let StreamItem::Event(event) = &*item {
                    self.outbox.heard(event).await;
                }
                if let StreamItem::Welcome(_) = &*item {
                    self.outbox.reachable().await;
                }
                self.show(&item)?;
            }
            Happening::Over | Happening::Leave | Happening::TypingEnded => {
                return Ok(ControlFlow::Break(()));
            }
            Happening::Line(line) => return self.act(&line).await,
            Happening::Keys(bytes) => return self.press(&bytes).await,
            Happening::Break => return Ok(self.pressed_break()),
            Happening::Resized => {
                if let Some(terminal) = &mut self.terminal {
                    terminal.resized()?;
                }
            }
            Happening::Failure(failure) => self.say(Style::Red, &format!("! {failure}"))?,
            Happening::Outbox => self.show_outbox()?,
            Happening::Older(wanted, page) => self.show_older(wanted, page)?,
            // The prompt is brought up to date after everything.
            Happening::Tick => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Gives what is typed a last chance to arrive; it is kept either way.
    async fn leave(
        mut self,
        input: &mut Input,
        followed: anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let state = self.outbox.state();
        let is_hopeless = followed.is_err()
            || state.signed_out
            || (self.terminal.is_some() && matches!(self.status.link, Link::Lost { .. }));
        let left = match is_hopeless {
            true => state.pending(),
            false => self.outbox.finish(LEAVING).await,
        };
        self.show_outbox()?;
        while let Ok(failure) = input.failures.try_recv() {
            self.say(Style::Red, &format!("! {failure}"))?;
        }
        let kept = match left {
            0 => String::new(),
            1 => "left before the server had the last message; the next `seawall attach` sends it"
                .into(),
            left => format!(
                "left before the server had {left} messages; the next `seawall attach` sends them"
            ),
        };
        if followed.is_err() && left > 0 {
            self.say(Style::Red, &format!("! {kept}"))?;
        }
        followed?;
        if left > 0 { Err(Unsuccessful(kept).into()) } else { Ok(()) }
    }

    fn is_piped(&self) -> bool {
        !io::stdin().is_terminal()
    }

    fn now() -> crate::domain::Timestamp {
        Clock::system().now()
    }

    /// A line that is no event: beside the output where that is for programs.
    fn say(&mut self, style: Style, text: &str) -> io::Result<()> {
        if self.output.json {
            self.output.remark(text);
            return Ok(());
        }
        let text = self.renderer.say(style, text);
        self.write(&text)
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        match &mut self.terminal {
            _ if text.is_empty() => Ok(()),
            Some(terminal) => terminal.print(text),
            None => self.output.write(text),
        }
    }

    fn refresh(&mut self) -> io::Result<()> {
        self.status.options = self.permissions.first().map(|permission| permission.options.len());
        let Some(terminal) = &mut self.terminal else { return Ok(()) };
        terminal.set_prompt(self.status.prompt(&self.outbox.state(), Self::now()))
    }
}
