//! What an attached person does: lines and keys in, messages, answers and commands out. Each goes its one way, through
//! the outbox or as one request; nothing is shown from here but what was refused at once.

use super::{
    Attached, Style,
    editor::Wish,
    status::is_failed,
    typed::{self, Command, Typed},
};
use crate::{cli::new::message, client::OutboxError, domain::MessageId};
use std::{io, ops::ControlFlow};

/// How many older events are shown where nobody says.
const OLDER: u32 = 50;

const GO_ON: ControlFlow<()> = ControlFlow::Continue(());
const LEAVE: ControlFlow<()> = ControlFlow::Break(());

impl Attached {
    pub(super) async fn press(&mut self, bytes: &[u8]) -> anyhow::Result<ControlFlow<()>> {
        let Some(terminal) = &mut self.terminal else { return Ok(GO_ON) };
        for wish in terminal.feed(bytes)? {
            let then = match wish {
                Wish::Line(line) => self.act(&line).await?,
                Wish::Break => self.pressed_break(),
                Wish::Leave => LEAVE,
                Wish::Redraw => GO_ON,
            };
            if then.is_break() {
                return Ok(then);
            }
        }
        Ok(GO_ON)
    }

    pub(super) fn pressed_break(&mut self) -> ControlFlow<()> {
        if self.breaks.pressed(Self::now()) {
            return LEAVE;
        }
        self.requests.interrupt();
        GO_ON
    }

    pub(super) async fn act(&mut self, line: &str) -> anyhow::Result<ControlFlow<()>> {
        let waiting = self.permissions.first();
        // A pipe is a program's: all it writes is meant for the agent.
        let typed = match self.terminal {
            Some(_) => typed::read_typed(line, waiting),
            None => typed::read(line, waiting),
        };
        if !matches!(typed, Typed::Nothing | Typed::Message(_)) && self.terminal.is_some() {
            self.say(Style::Bold, &format!("> {}", line.trim()))?;
        }
        match typed {
            Typed::Nothing => {}
            Typed::Message(text) => self.send(text).await?,
            Typed::Answer { permission_id, answer } => self.requests.answer(permission_id, answer),
            Typed::NoSuchOption { options } => {
                let text = format!("! there is no such option; type a number from 0 to {options}");
                self.say(Style::Red, &text)?;
            }
            Typed::Misused(how) => self.say(Style::Red, &format!("! write {how}"))?,
            Typed::Command(command) => return self.obey(command).await,
        }
        Ok(GO_ON)
    }

    async fn send(&mut self, text: String) -> io::Result<()> {
        let message = message(text.clone(), None);
        let id = message.message_id.clone();
        if let Err(error) = self.outbox.push(message).await {
            return self.say(Style::Red, &format!("! not sent: {error}; it was: {text}"));
        }
        match &self.terminal {
            Some(_) => {
                self.renderer.own(id);
                self.say(Style::Bold, &format!("> {text}"))
            }
            // A pipe shows nothing of what came through it, so the event does.
            None if self.is_piped() => Ok(()),
            None => {
                self.renderer.typed(id);
                Ok(())
            }
        }
    }

    async fn obey(&mut self, command: Command) -> anyhow::Result<ControlFlow<()>> {
        match command {
            Command::Help => self.say(Style::Plain, typed::HELP)?,
            Command::Older(limit) => self.older(limit.unwrap_or(OLDER))?,
            Command::Interrupt => self.requests.interrupt(),
            Command::Stop => self.requests.stop(),
            Command::Quit => return Ok(LEAVE),
            Command::Pending => self.show_pending()?,
            Command::Retry(number) => self.retry(number).await?,
            Command::Discard(number) => {
                if let Some(id) = self.numbered(number)? {
                    let done = self.outbox.discard(&id).await;
                    self.report(done, "- discarded")?;
                }
            }
        }
        Ok(GO_ON)
    }

    fn older(&mut self, limit: u32) -> io::Result<()> {
        if self.loading.is_some() {
            return self.say(Style::Dim, "- older events are on their way");
        }
        let Some(wanted) = self.unshown.newest(limit) else {
            return self.say(Style::Dim, "- there is nothing before what was shown");
        };
        let (client, id) = (self.client.clone(), self.id);
        self.loading =
            Some(Box::pin(async move { (wanted, client.events(id, &wanted.query()).await) }));
        Ok(())
    }

    async fn retry(&mut self, number: Option<usize>) -> io::Result<()> {
        let ids: Vec<MessageId> = match number {
            Some(number) => self.numbered(number)?.into_iter().collect(),
            None => {
                let state = self.outbox.state();
                let failed = state.entries.iter().filter(|entry| is_failed(entry));
                // What may have run is sent again only by its number.
                failed.filter(|entry| !entry.kept).map(|entry| entry.id().clone()).collect()
            }
        };
        if ids.is_empty() && number.is_none() {
            return self
                .say(Style::Dim, "- nothing failed on its way; /pending lists what may have run");
        }
        for id in ids {
            let fresh = message(String::new(), None).message_id;
            self.told.remove(&id);
            // Its text stands on the screen already.
            self.renderer.own(fresh.clone());
            let done = self.outbox.retry(&id, fresh).await;
            self.report(done, "- sent again")?;
        }
        Ok(())
    }

    /// The message with this number in the last `/pending`.
    fn numbered(&mut self, number: usize) -> io::Result<Option<MessageId>> {
        let id = self.listed.get(number - 1).cloned();
        if id.is_none() {
            self.say(Style::Red, "! there is no such number; /pending lists them")?;
        }
        Ok(id)
    }

    fn report(&mut self, done: Result<(), OutboxError>, text: &str) -> io::Result<()> {
        match done {
            Ok(()) => self.say(Style::Dim, text),
            Err(error) => self.say(Style::Red, &format!("! {error}")),
        }
    }
}
