//! Calls that are repeated until they are answered: the same id and body again and again, which the server does once.
//! One call at a time, for as long as its caller waits; what must outlive the caller belongs into an outbox.

use super::{
    Client, ClientError,
    backoff::jitter,
    retry::{self, Pace, Verdict, verdict},
};
use crate::{
    domain::SessionId,
    wire::api::{CreateSession, CreatedView, Receipt, SendMessage},
};
use std::time::Duration;

/// How long to go on sending.
#[derive(Clone, Copy, Debug)]
pub struct SendOptions {
    /// No new try begins later than this after the first.
    pub deadline: Duration,
    pub first_delay: Duration,
    pub max_delay: Duration,
}

impl Default for SendOptions {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(60),
            first_delay: retry::FIRST_DELAY,
            max_delay: retry::MAX_DELAY,
        }
    }
}

impl Client {
    /// Posts a message until it is acknowledged, refused for good, or `options.deadline` has passed; then the last
    /// failure is returned, and whether the message was kept is not known unless it was refused.
    pub async fn send(
        &self,
        session: SessionId,
        body: &SendMessage,
        options: SendOptions,
    ) -> Result<Receipt, ClientError> {
        self.until_answered(options, || self.post_message(session, body)).await
    }

    /// Creates a session likewise. `body.session_id` makes the call repeatable; without it there is one try.
    pub async fn create(
        &self,
        body: &CreateSession,
        options: SendOptions,
    ) -> Result<CreatedView, ClientError> {
        if body.session_id.is_none() {
            return self.create_session(body).await;
        }
        self.until_answered(options, || self.create_session(body)).await
    }

    async fn until_answered<T, F>(
        &self,
        options: SendOptions,
        attempt: impl Fn() -> F,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let give_up = self.clock.now() + options.deadline;
        let mut pace = Pace::new(options.first_delay, options.max_delay);
        loop {
            let error = match attempt().await {
                Err(error) if verdict(&error) == Verdict::Again => error,
                answer => return answer,
            };
            let (delay, _) = pace.after(&error, jitter());
            let next = self.clock.now() + delay;
            if next > give_up {
                return Err(error);
            }
            self.clock.sleep_until(next).await;
        }
    }
}
