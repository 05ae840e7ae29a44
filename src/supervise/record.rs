//! What became of one child so far: since when it runs, how often it failed, and why. Kept for people to look at and
//! for the restart policy; nothing here starts or ends anything.

use super::restart::{Decision, RestartHistory, RestartPolicy};
use crate::domain::Timestamp;

/// A failure, with what is known of its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub at: Timestamp,
    pub cause: String,
}

/// A child's record.
#[derive(Clone, Debug)]
pub struct Record {
    history: RestartHistory,
    since: Timestamp,
    failures: u64,
    /// What began the row of failures that the last one belongs to: in a cascade the later causes follow from it.
    first: Option<Failure>,
    last: Option<Failure>,
}

/// A record as it stands at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// When it was last started.
    pub since: Timestamp,
    /// Over its whole life.
    pub failures: u64,
    /// Those that count towards the limit now.
    pub failures_in_window: usize,
    pub policy: RestartPolicy,
    pub first_failure: Option<Failure>,
    pub last_failure: Option<Failure>,
}

impl Record {
    pub const fn new(policy: RestartPolicy, now: Timestamp) -> Self {
        let history = RestartHistory::new(policy);
        Self { history, since: now, failures: 0, first: None, last: None }
    }

    /// As [`RestartHistory::set_policy`].
    pub fn set_policy(&mut self, policy: RestartPolicy) {
        self.history.set_policy(policy);
    }

    /// It runs, for the first time or again.
    pub fn started(&mut self, now: Timestamp) {
        self.since = now;
    }

    /// Notes a failure and says what to do, as [`RestartHistory::next`].
    pub fn failed(&mut self, now: Timestamp, cause: String, jitter: f64) -> Decision {
        if self.history.in_window(now) == 0 {
            self.first = None;
        }
        let failure = Failure { at: now, cause };
        self.failures += 1;
        self.first.get_or_insert_with(|| failure.clone());
        self.last = Some(failure);
        self.history.next(now, jitter)
    }

    pub fn standing(&self, now: Timestamp) -> Standing {
        Standing {
            since: self.since,
            failures: self.failures,
            failures_in_window: self.history.in_window(now),
            policy: self.history.policy(),
            first_failure: self.first.clone(),
            last_failure: self.last.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_first_cause_of_a_cascade_is_kept_until_it_is_over() {
        let policy = RestartPolicy {
            max_restarts: 3,
            within: Duration::from_secs(60),
            backoff_min: Duration::ZERO,
            backoff_max: Duration::ZERO,
        };
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        let mut record = Record::new(policy, at(0));
        for (second, cause) in [(1, "a"), (2, "b"), (50, "c")] {
            record.failed(at(second), cause.into(), 0.0);
        }
        record.started(at(51));
        let standing = record.standing(at(55));
        assert_eq!((standing.failures, standing.failures_in_window), (3, 3));
        assert_eq!(standing.first_failure, Some(Failure { at: at(1), cause: "a".into() }));
        assert_eq!(standing.last_failure, Some(Failure { at: at(50), cause: "c".into() }));
        assert_eq!(standing.since, at(51));

        assert_eq!(record.standing(at(200)).failures_in_window, 0);
        record.failed(at(200), "d".into(), 0.0);
        let standing = record.standing(at(200));
        assert_eq!((standing.failures, standing.failures_in_window), (4, 1));
        assert_eq!(standing.first_failure.unwrap().cause, "d");
    }
}
