//! What an attached person is shown: events, the connection, what was left out, what became of messages. Each thing
//! once; nothing is sent from here.

use super::{Attached, Link, Style, render::Renderer, status::is_failed, unshown::Wanted};
use crate::{
    cli::words::client_state,
    client::{ClientError, EntryState, EventQuery, LogEvent, StreamItem},
    domain::{Body, Seq, event::Permission},
    wire::api::{ByeReason, EventPage, GapFrame, SnapshotFrame},
};
use std::io;

/// How much of the past is shown where nobody asked for more.
const RECENT: u32 = 50;

impl Attached {
    /// Shows the newest page of history; where the stream goes on.
    pub(super) async fn show_recent(&mut self) -> anyhow::Result<Seq> {
        let query = EventQuery { limit: Some(RECENT), ..Default::default() };
        let page = self.client.events(self.id, &query).await?;
        let mut cursor = page.head_seq;
        if page.has_more {
            let text = match self.terminal {
                Some(_) => "- /older shows what was before".to_owned(),
                None => format!("- earlier: seawall attach {} --after 0", self.id),
            };
            self.say(Style::Dim, &text)?;
        }
        for (index, line) in page.events.iter().enumerate() {
            let event = LogEvent::parse(line.get().to_owned().into())?;
            cursor = event.seq;
            if index == 0 {
                self.unshown.add(Seq(page.first_seq.0.saturating_sub(1)), Seq(cursor.0 - 1));
            }
            self.show_event(&event)?;
        }
        Ok(cursor)
    }

    /// What an earlier attach did not get rid of.
    pub(super) fn show_left_over(&mut self) -> io::Result<()> {
        let state = self.outbox.state();
        if state.pending() > 0 {
            let text =
                format!("- {} of an earlier attach wait to be sent", messages(state.pending()));
            self.say(Style::Dim, &text)?;
        }
        self.show_outbox()
    }

    pub(super) fn show(&mut self, item: &StreamItem) -> io::Result<()> {
        match item {
            StreamItem::Event(event) => self.show_event(event),
            StreamItem::Snapshot(snapshot) => self.settle(snapshot),
            StreamItem::Gap(gap) => self.show_gap(gap),
            StreamItem::Welcome(_) => {
                let was_lost = matches!(self.status.link, Link::Lost { .. });
                self.status.link = Link::Live;
                if was_lost && self.terminal.is_some() {
                    self.say(Style::Dim, "- connected again")?;
                }
                Ok(())
            }
            StreamItem::Lost(lost) => {
                let was_live = !matches!(self.status.link, Link::Lost { .. });
                self.status.link = Link::Lost { until: Self::now() + lost.retry_in };
                match self.terminal {
                    // The prompt tells the rest.
                    Some(_) if was_live => self.say(Style::Red, &format!("! {}", lost.cause)),
                    Some(_) => Ok(()),
                    None => {
                        let seconds = lost.retry_in.as_secs_f32();
                        self.say(
                            Style::Red,
                            &format!("! {}; trying again in {seconds:.1} s", lost.cause),
                        )
                    }
                }
            }
            StreamItem::Server(server) if server.draining => {
                self.say(Style::Dim, "- the server takes no new work for now")
            }
            StreamItem::Bye(bye) => {
                self.status.link = match bye.retry_ms {
                    Some(retry) => {
                        Link::Lost { until: Self::now() + std::time::Duration::from_millis(retry) }
                    }
                    None => Link::Connecting,
                };
                self.say(Style::Dim, farewell(bye.reason))
            }
            _ => Ok(()),
        }
    }

    fn show_event(&mut self, event: &LogEvent) -> io::Result<()> {
        match event.body() {
            Some(Body::PermissionRequested(permission)) => self.permissions.push(permission),
            Some(Body::PermissionResolved { permission_id, .. }) => {
                self.permissions.retain(|waiting| waiting.permission_id != permission_id);
            }
            Some(Body::SessionState { to, client_state, .. }) => {
                self.status.state = to;
                self.status.doing(client_state);
            }
            Some(Body::TurnStarted { .. }) => self.status.running = true,
            Some(Body::TurnEnded { .. }) => self.status.running = false,
            _ => {}
        }
        if self.output.json {
            return self.output.write_bytes(&[&event.line, b"\n".as_slice()].concat());
        }
        let text = self.renderer.event(event);
        self.write(&text)
    }

    /// The truth after the events that were missed: what still waits for an answer is asked, once.
    fn settle(&mut self, snapshot: &SnapshotFrame) -> io::Result<()> {
        self.status.state = snapshot.state;
        self.status.doing(snapshot.client_state);
        for permission in &snapshot.pending_permissions {
            let asked = |known: &Permission| known.permission_id == permission.permission_id;
            if !self.output.json && !self.permissions.iter().any(asked) {
                let text = self.renderer.ask(permission);
                self.write(&text)?;
            }
        }
        self.permissions.clone_from(&snapshot.pending_permissions);
        if self.output.terminal && !std::mem::replace(&mut self.greeted, true) {
            let doing = client_state(snapshot.client_state);
            let help = match self.terminal {
                Some(_) => ", /help tells more",
                None => "",
            };
            self.say(
                Style::Dim,
                &format!("- {doing}; type to it, Ctrl-C interrupts, Ctrl-D leaves{help}"),
            )?;
        }
        Ok(())
    }

    fn show_gap(&mut self, gap: &GapFrame) -> io::Result<()> {
        let id = gap.session_id;
        let text = match (gap.after, gap.missed) {
            (Some(after), Some(missed)) if missed > 0 => {
                self.unshown.add(after, gap.resume_at);
                match self.terminal {
                    Some(_) => format!("- {missed} events are not shown: /older shows them"),
                    None => format!(
                        "- {missed} events are not shown: seawall events {id} --after {after}"
                    ),
                }
            }
            _ => {
                self.unshown.clear();
                "- the server's log begins anew here".to_owned()
            }
        };
        self.say(Style::Dim, &text)
    }

    /// Older events below what is there, marked as what they are.
    pub(super) fn show_older(
        &mut self,
        wanted: Wanted,
        page: Result<EventPage, ClientError>,
    ) -> anyhow::Result<()> {
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                return Ok(self.say(Style::Red, &format!("! older events do not come: {error}"))?);
            }
        };
        let mut events = Vec::new();
        for line in &page.events {
            let event = LogEvent::parse(line.get().to_owned().into())?;
            if event.seq > wanted.after {
                events.push(event);
            }
        }
        let first = events.first().map(|event| event.seq);
        self.unshown.take(wanted, &page, first);
        let (Some(first), Some(last)) = (first, events.last()) else {
            return Ok(self.say(Style::Dim, "- what was before is not stored any more")?);
        };
        self.say(Style::Dim, &format!("- earlier, events {first} to {}:", last.seq))?;
        let mut renderer = Renderer::new(self.output.color);
        let mut text: String = events.iter().map(|event| renderer.event(event)).collect();
        let more = match self.unshown.count() {
            0 => "that is all".to_owned(),
            more => format!("{more} more: /older"),
        };
        text += &renderer.say(Style::Dim, &format!("- until event {}; {more}", last.seq));
        Ok(self.write(&text)?)
    }

    /// Tells once of each message that failed on its way, and of what keeps all of them.
    pub(super) fn show_outbox(&mut self) -> io::Result<()> {
        let state = self.outbox.state();
        for entry in state.entries.iter().filter(|entry| !entry.kept && is_failed(entry)) {
            if !self.told.insert(entry.id().clone()) {
                continue;
            }
            let EntryState::Failed { detail, .. } = &entry.state else { continue };
            let text = entry.message.text.as_deref().unwrap_or_default();
            self.say(Style::Red, &format!("! not sent: {detail}; it was: {text}"))?;
        }
        if state.signed_out && !std::mem::replace(&mut self.said_signed_out, true) {
            let text = "! the server does not take this token any more; what is typed is kept";
            self.say(Style::Red, text)?;
        }
        Ok(())
    }

    /// What the server does not have, and what failed, with numbers.
    pub(super) fn show_pending(&mut self) -> io::Result<()> {
        let state = self.outbox.state();
        let unsettled = state.entries.iter().filter(|entry| entry.state != EntryState::Accepted);
        let mut lines = Vec::new();
        self.listed.clear();
        for entry in unsettled {
            self.listed.push(entry.id().clone());
            let how = match &entry.state {
                EntryState::Failed { detail, .. } => format!("failed ({detail})"),
                EntryState::Uncertain => "may have run".into(),
                _ if state.in_flight.as_ref() == Some(entry.id()) => "on its way".into(),
                _ => "waits".into(),
            };
            let text = entry.message.text.as_deref().unwrap_or("[content]");
            lines.push(format!("  {}  {how}: {text}", self.listed.len()));
        }
        if lines.is_empty() {
            lines.push("- the server has every message".into());
        }
        self.say(Style::Plain, &lines.join("\n"))
    }
}

fn messages(count: usize) -> String {
    if count == 1 { "1 message".into() } else { format!("{count} messages") }
}

fn farewell(reason: ByeReason) -> &'static str {
    match reason {
        ByeReason::Shutdown => "- the server shuts down; waiting for it to come back",
        ByeReason::Deleted => "- the session was deleted",
        ByeReason::Slow => "- the server let go of this slow reader; coming back",
        ByeReason::Revoked => "- the token is not valid any more",
    }
}
