//! What holds of every sequence of a session's events, whatever made them. It is checked after each step of each test.

use crate::domain::{Body, Draft, MessageId, Session, State};
use std::collections::BTreeSet;

/// The reading of a log that knows nothing of the machine.
#[derive(Clone, Debug)]
pub(super) struct Laws {
    /// The events so far, folded.
    pub(super) session: Session,
    dispatched: BTreeSet<MessageId>,
    failed: BTreeSet<MessageId>,
}

impl Laws {
    pub(super) fn new(session: Session) -> Self {
        Self { session, dispatched: BTreeSet::new(), failed: BTreeSet::new() }
    }

    /// Adds an event; panics where no log may go on with it.
    pub(super) fn see(&mut self, draft: &Draft) {
        let before = self.session.clone();
        self.session.apply(draft);
        match &draft.body {
            Body::SessionState { from: None, to, .. } => assert_eq!(*to, State::Created),
            Body::SessionState { from: Some(from), to, .. } => {
                assert_eq!(*from, before.state, "a state change begins where the last one ended");
                assert!(from.may_become(*to), "{from} -> {to}");
                let runs = before.run + u32::from(*to == State::Starting);
                assert_eq!(draft.run, runs, "the run grows with STARTING and with nothing else");
            }
            Body::MessageDispatched { message_id } => {
                assert!(!self.failed.contains(message_id), "{message_id} failed before");
                assert!(self.dispatched.insert(message_id.clone()), "{message_id} twice");
                assert!(before.turn.is_none(), "{message_id} while a turn is open");
            }
            Body::MessageFailed { message_id, uncertain, .. } => {
                assert!(self.failed.insert(message_id.clone()), "{message_id} failed twice");
                assert!(!uncertain || self.dispatched.contains(message_id), "{message_id}");
            }
            Body::TurnStarted { .. } => assert_eq!(before.turn, None, "two turns at once"),
            Body::TurnEnded { turn_id, .. } => {
                let open = before.turn.map(|turn| turn.turn_id);
                assert_eq!(open.as_ref(), Some(turn_id), "another turn is open");
            }
            Body::PermissionResolved { permission_id, .. } => {
                assert!(before.permissions.iter().any(|open| open.permission_id == *permission_id));
            }
            Body::QuestionResolved { question_id, .. } => {
                assert!(before.questions.iter().any(|open| open.question_id == *question_id));
            }
            Body::AgentInactive { since } => {
                assert!(*since < draft.ts);
                assert!(before.turn.is_some() || before.dispatched.is_some(), "it has no turn");
                assert!(before.permissions.is_empty() && before.questions.is_empty());
            }
            Body::InterruptRequested { .. } => assert_eq!(before.interrupt, None),
            Body::InterruptCompleted { .. } | Body::InterruptFailed { .. } => {
                assert_ne!(before.interrupt, None, "the outcome of nothing");
            }
            _ => {}
        }
        if matches!(draft.body, Body::SessionState { to: State::Ended | State::Starting, .. }) {
            self.nothing_is_open();
        }
    }

    /// A log never has an open end from an earlier life.
    fn nothing_is_open(&self) {
        let session = &self.session;
        assert_eq!(session.turn, None);
        assert_eq!(session.block, None);
        assert_eq!(session.permissions, []);
        assert_eq!(session.questions, []);
        assert_eq!(session.interrupt, None);
        assert_eq!(session.pid, None);
    }

    pub(super) fn is_failed(&self, message: &MessageId) -> bool {
        self.failed.contains(message)
    }

    pub(super) fn is_dispatched(&self, message: &MessageId) -> bool {
        self.dispatched.contains(message)
    }
}
