//! What an attached person asks for beside messages: interrupts, stops and answers, each carried out at once, beside
//! the stream, and once. Failures come back as sentences; none of this is tried again by itself.

use super::typed::Answer;
use crate::{
    client::{Client, ClientError},
    domain::SessionId,
};
use tokio::sync::mpsc;

pub(super) struct Requests {
    client: Client,
    session: SessionId,
    failures: mpsc::UnboundedSender<String>,
}

impl Requests {
    /// Failures are few: at most one for each thing that a person does.
    pub(super) fn new(
        client: Client,
        session: SessionId,
    ) -> (Self, mpsc::UnboundedReceiver<String>) {
        let (failures, failed) = mpsc::unbounded_channel();
        (Self { client, session, failures }, failed)
    }

    pub(super) fn interrupt(&self) {
        let (client, session) = (self.client.clone(), self.session);
        self.spawn(async move {
            match client.interrupt(session).await {
                Ok(answer) if answer.requested => None,
                Ok(_) => Some("there is nothing to interrupt; Ctrl-C again leaves".into()),
                Err(error) => Some(failed("the interrupt", &error)),
            }
        });
    }

    pub(super) fn stop(&self) {
        let (client, session) = (self.client.clone(), self.session);
        self.spawn(async move {
            client.stop(session, None).await.err().map(|error| failed("the stop", &error))
        });
    }

    pub(super) fn answer(&self, permission_id: String, answer: Answer) {
        let (client, session) = (self.client.clone(), self.session);
        self.spawn(async move {
            let answered = client.answer_permission(session, &permission_id, &answer.into()).await;
            answered.err().map(|error| failed("the answer", &error))
        });
    }

    fn spawn(&self, work: impl Future<Output = Option<String>> + Send + 'static) {
        let failures = self.failures.clone();
        tokio::spawn(async move {
            if let Some(failure) = work.await {
                // Received for as long as the person is attached.
                let _ = failures.send(failure);
            }
        });
    }
}

/// Whoever asked decides about asking again.
fn failed(what: &str, error: &ClientError) -> String {
    let known = match error {
        ClientError::Refused { .. } => "",
        _ => "; it may have arrived",
    };
    format!("{what} failed and is not repeated: {error}{known}")
}
