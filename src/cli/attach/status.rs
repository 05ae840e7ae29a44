//! How things stand, in the few words of a prompt: the connection, the agent, and what the server does not have yet.
//! Pure: facts and a time in, words out.

use crate::{
    client::EntryState,
    client::OutboxState,
    domain::{ClientState, State, Timestamp},
};

/// The stream's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Connecting,
    Live,
    Lost { until: Timestamp },
}

#[derive(Debug)]
pub(super) struct Status {
    pub(super) link: Link,
    pub(super) state: State,
    pub(super) running: bool,
    /// How many options the permission has that waits for an answer.
    pub(super) options: Option<usize>,
}

impl Status {
    pub(super) fn doing(&mut self, doing: ClientState) {
        self.running = doing != ClientState::Idle;
    }

    pub(super) fn prompt(&self, outbox: &OutboxState, now: Timestamp) -> String {
        let mut words = vec![self.link(now)];
        if outbox.signed_out {
            words = vec!["signed out".into()];
        }
        if self.link == Link::Live {
            match self.state {
                State::Ended => words.push("ended".into()),
                State::Closing => words.push("closing".into()),
                _ if self.running && self.options.is_none() => words.push("running".into()),
                _ => {}
            }
        }
        let pending = outbox.pending();
        if pending > 0 {
            words.push(format!("{pending} unacknowledged"));
        }
        let failed = |entry: &&_| is_failed(entry);
        match outbox.entries.iter().filter(failed).count() {
            0 => {}
            count => words.push(format!("{count} failed: /pending")),
        }
        if let Some(options) = self.options {
            words.push(format!("answer 0-{options}"));
        }
        format!("[{}] > ", words.join(" · "))
    }

    fn link(&self, now: Timestamp) -> String {
        match self.link {
            Link::Connecting => "connecting".into(),
            Link::Live => "live".into(),
            Link::Lost { until } => match (until - now).as_millis().div_ceil(1000) {
                0 => "reconnecting".into(),
                seconds => format!("reconnecting in {seconds} s"),
            },
        }
    }
}

/// What a person still has to decide about.
pub(super) fn is_failed(entry: &crate::client::Entry) -> bool {
    matches!(entry.state, EntryState::Failed { .. } | EntryState::Uncertain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::new::message, client::Entry};

    fn status(link: Link) -> Status {
        Status { link, state: State::Active, running: false, options: None }
    }

    #[test]
    fn the_connection_stands_first_and_what_is_unacknowledged_behind_it() {
        let now = Timestamp::from_millis(1000);
        let entry =
            |text: &str, state| Entry { state, ..Entry::pending(message(text.into(), None)) };
        let nothing = OutboxState::default();
        let some = OutboxState {
            entries: vec![
                entry("a", EntryState::Pending),
                entry("b", EntryState::Uncertain),
                entry("c", EntryState::Accepted),
            ],
            ..OutboxState::default()
        };
        let until = Timestamp::from_millis(3001);
        for (link, outbox, expected) in [
            (Link::Live, &nothing, "[live] > "),
            (Link::Connecting, &nothing, "[connecting] > "),
            (Link::Lost { until }, &nothing, "[reconnecting in 3 s] > "),
            (
                Link::Lost { until: now },
                &some,
                "[reconnecting · 1 unacknowledged · 1 failed: /pending] > ",
            ),
        ] {
            assert_eq!(status(link).prompt(outbox, now), expected);
        }
        let signed_out = OutboxState { signed_out: true, ..some };
        assert!(status(Link::Live).prompt(&signed_out, now).starts_with("[signed out · 1 unack"));
    }

    #[test]
    fn a_permission_that_waits_is_asked_for_in_the_prompt() {
        let now = Timestamp::from_millis(0);
        let mut status = status(Link::Live);
        status.doing(ClientState::Running);
        assert_eq!(status.prompt(&OutboxState::default(), now), "[live · running] > ");
        status.options = Some(3);
        assert_eq!(status.prompt(&OutboxState::default(), now), "[live · answer 0-3] > ");
    }
}
