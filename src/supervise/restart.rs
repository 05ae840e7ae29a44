//! How often and how soon something that failed is started again. Arithmetic on times that are passed in; nothing
//! here waits, reads a clock or starts anything.

use crate::domain::Timestamp;
use std::{collections::VecDeque, time::Duration};

/// The limits of restarting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// So many failures within `within` are restarted; the next one is given up on. 0: nothing is restarted.
    pub max_restarts: u32,
    pub within: Duration,
    /// No restart comes sooner than this after the failure.
    pub backoff_min: Duration,
    /// No restart comes later than this; less than `backoff_min` counts as `backoff_min`.
    pub backoff_max: Duration,
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Start again after `delay`; it is the `attempt`th restart in the window, from 1.
    Restart { attempt: u32, delay: Duration },
    /// It failed for the `attempt`th time in the window, which is once too often.
    GiveUp { attempt: u32 },
}

/// The failures of one thing that are in the window; at most `max_restarts + 1` of them are remembered.
#[derive(Clone, Debug)]
pub struct RestartHistory {
    policy: RestartPolicy,
    failures: VecDeque<Timestamp>,
}

impl RestartHistory {
    pub const fn new(policy: RestartPolicy) -> Self {
        Self { policy, failures: VecDeque::new() }
    }

    pub const fn policy(&self) -> RestartPolicy {
        self.policy
    }

    /// Other limits for the failures to come, and for those that are remembered.
    pub fn set_policy(&mut self, policy: RestartPolicy) {
        self.policy = policy;
    }

    /// How many failures count at `now`.
    pub fn in_window(&self, now: Timestamp) -> usize {
        let within = self.policy.within;
        self.failures.iter().filter(|failure| now - **failure < within).count()
    }

    /// Counts a failure at `now` and says what to do.
    ///
    /// The upper bound of the delay doubles with each failure in the window, from twice `backoff_min` up to
    /// `backoff_max`, and `jitter` (from 0 up to 1) chooses a point in its upper half ("equal jitter"): things that
    /// failed together spread out, and a later attempt never waits less than an earlier one could.
    pub fn next(&mut self, now: Timestamp, jitter: f64) -> Decision {
        let within = self.policy.within;
        self.failures.retain(|failure| now - *failure < within);
        self.failures.push_back(now);
        let attempt = u32::try_from(self.failures.len()).unwrap_or(u32::MAX);
        if attempt > self.policy.max_restarts {
            self.failures.pop_front();
            return Decision::GiveUp { attempt };
        }
        Decision::Restart { attempt, delay: self.delay(attempt, jitter) }
    }

    fn delay(&self, attempt: u32, jitter: f64) -> Duration {
        let RestartPolicy { backoff_min, backoff_max, .. } = self.policy;
        let backoff_max = backoff_max.max(backoff_min);
        let upper = 2_u32
            .checked_pow(attempt)
            .and_then(|factor| backoff_min.checked_mul(factor))
            .map_or(backoff_max, |delay| delay.min(backoff_max));
        let lower = (upper / 2).max(backoff_min);
        lower + (upper - lower).mul_f64(jitter.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RestartPolicy = RestartPolicy {
        max_restarts: 3,
        within: Duration::from_secs(60),
        backoff_min: Duration::from_millis(200),
        backoff_max: Duration::from_secs(10),
    };

    /// Failures at these seconds, no jitter: the delays in ms, None where it is given up.
    fn check(policy: RestartPolicy, seconds: &[i64], expected: &[Option<u64>]) {
        let mut history = RestartHistory::new(policy);
        let delays: Vec<_> = seconds
            .iter()
            .map(|second| match history.next(Timestamp::from_millis(second * 1000), 0.0) {
                Decision::Restart { delay, .. } => Some(delay.as_millis() as u64),
                Decision::GiveUp { .. } => None,
            })
            .collect();
        assert_eq!(delays, expected, "failures at {seconds:?}");
    }

    #[test]
    fn the_fourth_failure_in_the_window_is_given_up_on() {
        check(POLICY, &[0, 1, 2, 3], &[Some(200), Some(400), Some(800), None]);
        check(POLICY, &[0, 0, 0, 0, 0], &[Some(200), Some(400), Some(800), None, None]);
        check(POLICY, &[0, 20, 40, 59], &[Some(200), Some(400), Some(800), None]);
    }

    #[test]
    fn the_window_forgets_failures_and_the_delay_shrinks_with_it() {
        check(POLICY, &[0, 20, 40, 60], &[Some(200), Some(400), Some(800), Some(800)]);
        check(POLICY, &[0, 1, 2, 3, 100], &[Some(200), Some(400), Some(800), None, Some(200)]);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_open_the_window() {
        check(POLICY, &[100, 50, 20, 0], &[Some(200), Some(400), Some(800), None]);
    }

    #[test]
    fn delays_double_up_to_the_maximum() {
        let patient = RestartPolicy { max_restarts: 40, ..POLICY };
        let expected = [200, 400, 800, 1600, 3200, 5000, 5000, 5000];
        check(patient, &[0; 8], &expected.map(Some));
        let mut history = RestartHistory::new(patient);
        for attempt in 1..=40 {
            let Decision::Restart { attempt: counted, delay } =
                history.next(Timestamp::from_millis(0), 0.999)
            else {
                panic!("given up at {attempt}");
            };
            assert_eq!(counted, attempt);
            assert!(delay >= POLICY.backoff_min && delay <= POLICY.backoff_max, "{delay:?}");
        }
    }

    #[test]
    fn jitter_spreads_the_delay_up_to_the_next_step() {
        let delay =
            |jitter| match RestartHistory::new(POLICY).next(Timestamp::from_millis(0), jitter) {
                Decision::Restart { delay, .. } => delay.as_millis(),
                Decision::GiveUp { .. } => panic!("the first failure is restarted"),
            };
        assert_eq!(delay(0.0), 200);
        assert_eq!(delay(0.5), 300);
        assert_eq!(delay(1.0), 400);
        assert_eq!(delay(f64::INFINITY), 400);
    }

    #[test]
    fn odd_policies_have_a_meaning() {
        check(RestartPolicy { max_restarts: 0, ..POLICY }, &[0, 100], &[None, None]);
        let upside_down = RestartPolicy { backoff_max: Duration::ZERO, ..POLICY };
        check(upside_down, &[0, 1], &[Some(200), Some(200)]);
    }

    #[test]
    fn the_memory_of_a_thing_that_fails_all_the_time_is_bounded() {
        let mut history = RestartHistory::new(POLICY);
        for millis in 0..1000 {
            history.next(Timestamp::from_millis(millis), 0.0);
        }
        assert!(history.failures.len() <= 4);
    }
}
