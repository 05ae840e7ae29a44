//! How long to wait before trying again: exponential, capped, with jitter. Arithmetic on times; nothing here waits.

use std::time::Duration;

/// Delays that double from `base` to `max` until something succeeds.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    base: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub(super) const fn new(base: Duration, max: Duration) -> Self {
        Self { base, max, failures: 0 }
    }

    /// What the server asks for as the first delay.
    pub(super) fn set_base(&mut self, base: Duration) {
        self.base = base;
    }

    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The delay after another failure. `jitter`, from 0 to 1, spreads it over its upper half, so that clients that
    /// failed together do not return together.
    pub(super) fn next(&mut self, jitter: f64) -> Duration {
        // 2^16 seconds is beyond every cap; more would only overflow.
        let factor = 1 << self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        let whole = self.base.saturating_mul(factor).min(self.max);
        whole / 2 + (whole / 2).mul_f64(jitter.clamp(0.0, 1.0))
    }
}

/// From 0 to 1. Without an entropy source the middle is as good as any.
pub(super) fn jitter() -> f64 {
    f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_cap_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        let mut delays = || backoff.next(1.0).as_secs();
        assert_eq!([(); 7].map(|()| delays()), [1, 2, 4, 8, 16, 30, 30]);
        backoff.reset();
        assert_eq!(backoff.next(1.0), Duration::from_secs(1));
    }

    #[test]
    fn jitter_takes_at_most_half_away() {
        let mut backoff = Backoff::new(Duration::from_secs(10), Duration::from_secs(10));
        for (jitter, millis) in [(0.0, 5000), (0.5, 7500), (1.0, 10_000), (7.0, 10_000)] {
            assert_eq!(backoff.next(jitter), Duration::from_millis(millis), "{jitter}");
        }
    }

    #[test]
    fn a_server_that_asks_for_ages_or_for_nothing_is_kept_in_bounds() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        backoff.set_base(Duration::MAX);
        assert_eq!(backoff.next(1.0), Duration::from_secs(30));
        backoff.set_base(Duration::ZERO);
        for _ in 0..100 {
            assert_eq!(backoff.next(1.0), Duration::ZERO);
        }
    }
}
