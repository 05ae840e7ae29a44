//! Messages of one session on their way to the server: kept until acknowledged, sent in order, one at a time, over
//! failures and restarts of either side. What to do next is decided in `queue`; nothing here is shown to anybody.

mod file;
mod queue;
mod task;

pub use file::{FileError, StateFile};
pub use queue::{Entry, EntryState, OUTBOX_MAX, QueueError};

use super::{Client, LogEvent};
use crate::{
    domain::{Body, MessageId, SessionId, Timestamp},
    wire::api::SendMessage,
};
use queue::{Heard, Queue};
use std::{sync::Arc, time::Duration};
use task::Command;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

/// Why an outbox did not take something. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OutboxError {
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// It could not be kept, and so it was not taken.
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the outbox is closed")]
    Closed,
}

/// How things stand. Cheap to clone: messages are shared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutboxState {
    /// In the order in which they go; what is settled stands where it was.
    pub entries: Vec<Entry>,
    /// The message that was posted and is not answered yet.
    pub in_flight: Option<MessageId>,
    /// The credential is not valid: nothing goes before [`Outbox::signed_in`].
    pub signed_out: bool,
    /// When the next try begins, after one that failed.
    pub retry_at: Option<Timestamp>,
    /// Why the state file could not be brought up to date; what it holds is older, and safe to send again.
    pub fault: Option<FileError>,
}

impl OutboxState {
    /// How many messages the server has not acknowledged and is still asked to take.
    pub fn pending(&self) -> usize {
        self.entries.iter().filter(|entry| entry.state == EntryState::Pending).count()
    }

    /// Whether the next message would be taken.
    pub fn has_room(&self) -> bool {
        self.entries.iter().filter(|entry| !entry.kept).count() < OUTBOX_MAX
    }

    pub fn entry(&self, id: &MessageId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id() == id)
    }
}

/// The way of messages into one session. Dropped, it stops sending at once; what it took is in the state file.
#[derive(Debug)]
pub struct Outbox {
    commands: mpsc::Sender<Command>,
    state: watch::Receiver<OutboxState>,
    task: JoinHandle<()>,
}

/// Commands that wait for the task: each is a caller who waits for its answer, or an event of a stream.
const COMMANDS: usize = 64;

impl Outbox {
    /// Goes on with what `file` holds, and keeps there what it takes; without a file: in memory.
    pub fn open(
        client: Client,
        session: SessionId,
        file: Option<StateFile>,
    ) -> Result<Self, OutboxError> {
        let mut queue = Queue::default();
        if let Some(file) = &file {
            queue.restore(file.entries().to_vec())?;
        }
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let (task, state) = task::Task::new(client, session, queue, file);
        Ok(Self { commands, state, task: tokio::spawn(task.run(receiver)) })
    }

    /// Takes a message. It is on disk, where there is a file, when this answers Ok; sending it is a matter of time.
    pub async fn push(&self, message: SendMessage) -> Result<(), OutboxError> {
        self.ask(|answer| Command::Push(Arc::new(message), answer)).await
    }

    /// Puts a message that failed, or may have run, at the end of the queue. It goes under `fresh` where the server
    /// knows its own id already.
    pub async fn retry(&self, id: &MessageId, fresh: MessageId) -> Result<(), OutboxError> {
        self.ask(|answer| Command::Retry(id.clone(), fresh, answer)).await
    }

    /// Puts this message at the end of the queue in the place of one that failed or may have run.
    pub async fn replace(&self, id: &MessageId, message: SendMessage) -> Result<(), OutboxError> {
        self.ask(|answer| Command::Replace(id.clone(), Arc::new(message), answer)).await
    }

    /// Forgets a message that is not on its way: one that waits, failed, or may have run.
    pub async fn discard(&self, id: &MessageId) -> Result<(), OutboxError> {
        self.ask(|answer| Command::Discard(id.clone(), answer)).await
    }

    /// Tells what a stream brought: it may acknowledge a message, or say what became of it.
    pub async fn heard(&self, event: &LogEvent) {
        let heard = match event.body() {
            Some(Body::UserMessage { message_id, .. }) => Heard::Kept(message_id, Some(event.seq)),
            Some(Body::MessageDispatched { message_id }) => Heard::Kept(message_id, None),
            Some(Body::MessageFailed { message_id, reason, uncertain }) => {
                let reason = serde_json::to_value(reason).ok();
                let reason = reason.and_then(|word| word.as_str().map(str::to_owned));
                Heard::Failed { id: message_id, reason: reason.unwrap_or_default(), uncertain }
            }
            _ => return,
        };
        self.tell(Command::Heard(heard)).await;
    }

    /// There is a credential again: goes on, as this client.
    pub async fn signed_in(&self, client: Client) {
        self.tell(Command::SignedIn(client)).await;
    }

    /// The server was reached by another way: tries at once, unless it asked to wait.
    pub async fn reachable(&self) {
        self.tell(Command::Reachable).await;
    }

    pub fn state(&self) -> OutboxState {
        self.state.borrow().clone()
    }

    /// Follows the state.
    pub fn watch(&self) -> watch::Receiver<OutboxState> {
        self.state.clone()
    }

    /// Waits until nothing is left to send, at most so long; how many messages are left.
    pub async fn finish(&self, time: Duration) -> usize {
        let mut state = self.state.clone();
        let done = state.wait_for(|state| state.pending() == 0);
        // Either end is an answer: what is left is counted.
        let _ = tokio::time::timeout(time, done).await;
        self.state.borrow().pending()
    }

    async fn tell(&self, command: Command) {
        // The task ends with this handle only.
        let _ = self.commands.send(command).await;
    }

    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), OutboxError>>) -> Command,
    ) -> Result<(), OutboxError> {
        let (answer, answered) = oneshot::channel();
        self.tell(command(answer)).await;
        answered.await.unwrap_or(Err(OutboxError::Closed))
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
