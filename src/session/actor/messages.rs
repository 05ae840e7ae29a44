//! What is said to a session's actor, and what it says to the registry.

use crate::{
    domain::SessionId,
    session::{Refusal, Reply, Request, machine::Admission, news::ChildNews},
};
use actix::prelude::*;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// A request with the place for its answer. Dropped unanswered, it tells the asker so.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Ask {
    pub(crate) by: String,
    pub(crate) request: Request,
    pub(crate) admission: Admission,
    pub(crate) answer: oneshot::Sender<Result<Reply, Refusal>>,
}

#[derive(Message, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[rtype(result = "()")]
pub(crate) struct Watchers {
    pub(crate) active: u32,
    pub(crate) suspended: u32,
}

/// The registry agrees that the actor is not needed any more.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub(crate) struct Retire;

/// The server shuts down: the running turn gets the grace, then the child is stopped.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Leave {
    pub(crate) grace: Duration,
    pub(crate) done: mpsc::Sender<()>,
}

/// What a session tells the registry.
#[derive(Message, Clone, Debug)]
#[rtype(result = "()")]
pub(crate) struct SessionNews {
    pub(crate) session: SessionId,
    /// Which of the session's actors says so: an earlier one may be heard late.
    pub(crate) generation: u64,
    pub(crate) what: News,
}

#[derive(Clone, Debug)]
pub(crate) enum News {
    /// It has nothing to do. `taken`: how many asks the actor has taken; if the registry sent more, it is not at rest.
    Resting {
        taken: u64,
    },
    Child(ChildNews),
}
