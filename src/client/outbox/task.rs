//! The one task of an outbox: it asks the queue what to do, does it, and tells it what came of it. Every change is on
//! disk before it is told; what a change means is decided in the queue alone.

use super::{
    Entry, EntryState, FileError, OutboxError, OutboxState, QueueError, StateFile,
    queue::{Heard, Next, Queue},
};
use crate::{
    client::{Client, ClientError, backoff::jitter},
    domain::{MessageId, Seq, SessionId, Timestamp},
    wire::api::SendMessage,
};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

type Answer = oneshot::Sender<Result<(), OutboxError>>;

pub(super) enum Command {
    Push(Arc<SendMessage>, Answer),
    Retry(MessageId, MessageId, Answer),
    Replace(MessageId, Arc<SendMessage>, Answer),
    Discard(MessageId, Answer),
    Heard(Heard),
    SignedIn(Client),
    Reachable,
}

pub(super) struct Task {
    client: Client,
    session: SessionId,
    queue: Queue,
    /// Away while it is being written.
    file: Option<StateFile>,
    posting: Option<BoxFuture<'static, (MessageId, Result<Seq, ClientError>)>>,
    wait: Option<Timestamp>,
    state: watch::Sender<OutboxState>,
    fault: Option<FileError>,
}

impl Task {
    pub(super) fn new(
        client: Client,
        session: SessionId,
        queue: Queue,
        file: Option<StateFile>,
    ) -> (Self, watch::Receiver<OutboxState>) {
        let first = OutboxState { entries: queue.entries().to_vec(), ..OutboxState::default() };
        let (state, receiver) = watch::channel(first);
        (
            Self { client, session, queue, file, posting: None, wait: None, state, fault: None },
            receiver,
        )
    }

    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            self.wait = self.begin();
            self.publish();
            let wait = self.wait;
            let clock = self.client.clock.clone();
            let due = async {
                match wait {
                    Some(until) => clock.sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            let posting = async {
                match &mut self.posting {
                    Some(posting) => posting.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => return,
                },
                (id, answer) = posting => self.answered(&id, answer).await,
                () = due => {}
            }
        }
    }

    /// Posts the next message if its time has come; else when it will be.
    fn begin(&mut self) -> Option<Timestamp> {
        match self.queue.next(self.client.clock.now()) {
            Next::Send(message) => {
                let (client, session) = (self.client.clone(), self.session);
                self.posting = Some(Box::pin(async move {
                    let answer = client.post_message(session, &message).await;
                    (message.message_id.clone(), answer.map(|receipt| receipt.seq))
                }));
                None
            }
            Next::Wait(until) => Some(until),
            Next::Busy | Next::SignedOut | Next::Idle => None,
        }
    }

    async fn answered(&mut self, id: &MessageId, answer: Result<Seq, ClientError>) {
        self.posting = None;
        let now = self.client.clock.now();
        self.queue.answered(now, id, answer.as_ref().copied(), jitter());
        self.settle().await;
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Push(message, answer) => {
                self.change(answer, |queue| queue.push(message)).await
            }
            Command::Retry(id, fresh, answer) => {
                self.change(answer, |queue| queue.retry(&id, fresh)).await;
            }
            Command::Replace(id, message, answer) => {
                self.change(answer, |queue| queue.replace(&id, message)).await;
            }
            Command::Discard(id, answer) => self.change(answer, |queue| queue.discard(&id)).await,
            Command::Heard(heard) => {
                self.queue.heard(&heard);
                if self.queue.in_flight().is_none() {
                    self.posting = None;
                }
                self.settle().await;
            }
            Command::SignedIn(client) => {
                self.client = client;
                self.queue.signed_in();
            }
            Command::Reachable => self.queue.reachable(),
        }
    }

    /// A change that someone asked for: done when it is on disk, else not at all.
    async fn change(
        &mut self,
        answer: Answer,
        change: impl FnOnce(&mut Queue) -> Result<(), QueueError>,
    ) {
        let before = self.queue.clone();
        let mut done = change(&mut self.queue).map_err(OutboxError::from);
        if done.is_ok()
            && let Err(error) = self.save().await
        {
            self.queue = before;
            done = Err(error.into());
        }
        self.publish();
        // Whoever asked may have left; what was done stays done.
        let _ = answer.send(done);
    }

    /// A change that has happened. On disk it may come late: what was acknowledged and stands there still is sent again
    /// after a crash, and the server knows its id.
    async fn settle(&mut self) {
        self.fault = self.save().await.err();
    }

    async fn save(&mut self) -> Result<(), FileError> {
        let Some(mut file) = self.file.take() else {
            return Ok(());
        };
        let entries: Vec<Entry> = self.queue.unsettled().cloned().collect();
        if entries == file.entries() {
            self.file = Some(file);
            return Ok(());
        }
        // fsync takes as long as the disk does; the screen goes on meanwhile.
        let saved = tokio::task::spawn_blocking(move || {
            let saved = file.save(entries);
            (file, saved)
        });
        match saved.await {
            Ok((file, saved)) => {
                self.file = Some(file);
                saved
            }
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    fn publish(&self) {
        let waits = self.queue.entries().iter().any(|entry| entry.state == EntryState::Pending);
        let state = OutboxState {
            entries: self.queue.entries().to_vec(),
            in_flight: self.queue.in_flight().cloned(),
            signed_out: self.queue.is_signed_out() && waits,
            retry_at: self.wait,
            fault: self.fault.clone(),
        };
        self.state.send_if_modified(|old| {
            let is_new = *old != state;
            if is_new {
                *old = state;
            }
            is_new
        });
    }
}
