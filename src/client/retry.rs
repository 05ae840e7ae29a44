//! Which failures of a call that may be repeated are worth the same call again, and after how long. Pure: it judges
//! answers and works out times; it neither asks nor waits.

use super::{ClientError, backoff::Backoff};
use std::time::Duration;

/// The first delay between two tries of one call, and the longest.
pub(super) const FIRST_DELAY: Duration = Duration::from_millis(250);
pub(super) const MAX_DELAY: Duration = Duration::from_secs(10);

/// A server that asks for more than this is asked earlier.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// What a failure means for the next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The same call may be answered otherwise later.
    Again,
    /// Nobody's call is answered before there is another credential.
    SignedOut,
    /// This call will always be refused.
    Refused,
}

/// No answer, or none that a Seawall gives, says nothing about the call. Of refusals, those that pass by themselves
/// are 408, 429 and 5xx; what is below 400 comes from something between that wants a login of its own.
pub(super) fn verdict(error: &ClientError) -> Verdict {
    match error {
        ClientError::Refused { problem, .. } => match problem.status {
            401 => Verdict::SignedOut,
            408 | 429 => Verdict::Again,
            400..=499 => Verdict::Refused,
            _ => Verdict::Again,
        },
        _ => Verdict::Again,
    }
}

/// The delays between the tries of calls that go one after the other.
#[derive(Clone, Debug)]
pub(super) struct Pace(Backoff);

impl Default for Pace {
    fn default() -> Self {
        Self::new(FIRST_DELAY, MAX_DELAY)
    }
}

impl Pace {
    pub(super) const fn new(first: Duration, max: Duration) -> Self {
        Self(Backoff::new(first, max))
    }

    /// How long to wait after this failure, and how much of that is the server's wish.
    pub(super) fn after(&mut self, error: &ClientError, jitter: f64) -> (Duration, Duration) {
        let asked = error.retry_after().unwrap_or_default().min(RETRY_AFTER_MAX);
        (self.0.next(jitter).max(asked), asked)
    }

    pub(super) fn reset(&mut self) {
        self.0.reset();
    }
}
