//! What an attached person asks for, carried out beside the stream: messages one after the other, in the order in
//! which they were typed; interrupts and answers at once. Failures come back as sentences.

use super::typed::Answer;
use crate::{
    client::{Client, SendOptions},
    domain::SessionId,
    wire::api::SendMessage,
};
use std::time::Duration;
use tokio::{sync::mpsc, task::JoinHandle};

/// Messages that were typed and not yet acknowledged.
const WAITING: usize = 64;

pub(super) struct Requests {
    client: Client,
    session: SessionId,
    messages: mpsc::Sender<SendMessage>,
    sender: JoinHandle<()>,
    failures: mpsc::UnboundedSender<String>,
}

impl Requests {
    /// Failures are few: at most one for each thing that a person does.
    pub(super) fn new(
        client: Client,
        session: SessionId,
    ) -> (Self, mpsc::UnboundedReceiver<String>) {
        let (failures, failed) = mpsc::unbounded_channel();
        let (messages, mut queue) = mpsc::channel::<SendMessage>(WAITING);
        let sender = tokio::spawn({
            let (client, failures) = (client.clone(), failures.clone());
            async move {
                while let Some(message) = queue.recv().await {
                    if let Err(error) = client.send(session, &message, SendOptions::default()).await
                    {
                        let text = message.text.as_deref().unwrap_or_default();
                        let _ = failures.send(format!("not sent: {error}; it was: {text}"));
                    }
                }
            }
        });
        (Self { client, session, messages, sender, failures }, failed)
    }

    pub(super) fn send(&self, message: SendMessage) {
        if let Err(error) = self.messages.try_send(message) {
            let text = error.into_inner().text.unwrap_or_default();
            self.fail(format!(
                "not sent: {WAITING} messages wait for the server already; it was: {text}"
            ));
        }
    }

    pub(super) fn interrupt(&self) {
        let (client, session, failures) =
            (self.client.clone(), self.session, self.failures.clone());
        tokio::spawn(async move {
            let _ = match client.interrupt(session).await {
                Ok(answer) if answer.requested => Ok(()),
                Ok(_) => failures.send("there is nothing to interrupt; Ctrl-C again leaves".into()),
                Err(error) => failures.send(format!("the interrupt failed: {error}")),
            };
        });
    }

    pub(super) fn answer(&self, permission_id: String, answer: Answer) {
        let (client, session, failures) =
            (self.client.clone(), self.session, self.failures.clone());
        tokio::spawn(async move {
            if let Err(error) =
                client.answer_permission(session, &permission_id, &answer.into()).await
            {
                let _ = failures.send(format!("not answered: {error}"));
            }
        });
    }

    /// Waits until all that was typed is with the server. False: it was not in time.
    pub(super) async fn finish(self, time: Duration) -> bool {
        drop(self.messages);
        tokio::time::timeout(time, self.sender).await.is_ok()
    }

    fn fail(&self, why: String) {
        // Received for as long as the person is attached.
        let _ = self.failures.send(why);
    }
}
