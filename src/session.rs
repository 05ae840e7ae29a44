//! One session: a pure machine that decides, an actor that carries out, and a tail that joins stored and live
//! events for one reader.

pub(crate) mod actor;
mod ladder;
pub(crate) mod launch;
pub mod machine;
pub(crate) mod news;
mod settled;
pub(crate) mod surroundings;
pub mod tail;
mod tally;
pub(crate) mod trial;

use crate::{
    domain::{
        ContentBlock, MessageId, Seq, State,
        event::{Outcome, RequestId},
    },
    store::StoreError,
};
use std::time::Duration;

/// What a person or a program asks of a session.
#[derive(Clone, Debug)]
pub enum Request {
    Send {
        message_id: MessageId,
        content: Vec<ContentBlock>,
        interrupt: bool,
    },
    Withdraw {
        message_id: MessageId,
    },
    Interrupt,
    /// `grace`: the time for the gentle rungs of the stop ladder; None: `close_grace`.
    Stop {
        grace: Option<Duration>,
    },
    /// SIGKILL to the child with its tree; what follows, policy says as of any other death.
    Kill,
    Resume,
    AnswerPermission {
        permission_id: RequestId,
        outcome: Outcome,
    },
    AnswerQuestion {
        question_id: RequestId,
        outcome: Outcome,
    },
    Rename {
        title: Option<String>,
    },
    Delete,
}

/// What a session answers, after the commit where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The message is kept; `duplicate` where it was known already, and then nothing was done.
    Receipt {
        seq: Seq,
        duplicate: bool,
    },
    /// `requested: false`: there was nothing to interrupt, and no event tells of it.
    Interrupt {
        requested: bool,
    },
    /// `requested: false`: there was no child.
    Kill {
        requested: bool,
    },
    Done,
}

/// Why a session refuses.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no such session")]
    Unknown,
    #[error("the session was deleted; its id is not given out again")]
    Deleted,
    #[error(
        "session_id is taken by a session that was created with another body; choose another id"
    )]
    CreateConflict,
    #[error(
        "there is no agent profile `{0}`; configure [agents.{0}] or choose one that is configured"
    )]
    UnknownAgent(String),
    /// A field's value is not allowed here.
    #[error("{field}: {detail}")]
    Invalid { field: &'static str, detail: String },
    #[error(
        "message_id was already used in this session with another content; choose a new message_id"
    )]
    MessageConflict,
    #[error("the message was already given to the agent and cannot be withdrawn")]
    AlreadyDispatched,
    #[error("there is no such message in this session")]
    UnknownMessage,
    #[error("there is no such {0} in this session")]
    UnknownRequest(&'static str),
    #[error("it was already settled")]
    RequestClosed { resolution: Outcome, by: Option<String> },
    #[error(
        "{limit} messages wait already (sessions.max_queued_messages); wait until one is dispatched"
    )]
    QueueFull { limit: usize },
    #[error("{limit} sessions are live already (sessions.max_live); stop one")]
    TooManySessions { limit: usize },
    #[error("{limit} requests are under way already; try again")]
    Busy { limit: usize },
    #[error("the server is draining and takes no new work; try again later or elsewhere")]
    Draining,
    #[error("a session in state {0} does not take this")]
    WrongState(State),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The actor died with the request in its hands: it may or may not have been done. Asking again is safe.
    #[error("the session was restarted while it worked on this; ask again")]
    Interrupted,
}
