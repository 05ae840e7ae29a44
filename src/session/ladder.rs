//! The stop ladder as arithmetic on times: which rung is due, and until when. It sends nothing itself.

use crate::domain::{Timestamp, event::Rung};
use std::time::Duration;

/// The gentle rungs and the share of the grace that each has, in percent.
const SHARES: [(Rung, u32); 4] =
    [(Rung::Cancel, 20), (Rung::CloseStdin, 20), (Rung::Sigint, 20), (Rung::Sigterm, 40)];

/// Where on the ladder a stop stands. The last rung, SIGKILL to the tree, has no deadline: nothing comes after it.
#[derive(Debug)]
pub(crate) struct StopLadder {
    grace: Duration,
    rung: Rung,
    deadline: Option<Timestamp>,
}

impl StopLadder {
    /// Begins at the first rung that applies; without any grace that is SIGKILL.
    pub(crate) fn begin(now: Timestamp, grace: Duration, can_cancel: bool) -> Self {
        let first = if can_cancel { Rung::Cancel } else { Rung::CloseStdin };
        let mut ladder = Self { grace, rung: first, deadline: None };
        ladder.stand_on(now, if grace.is_zero() { Rung::Sigkill } else { first });
        ladder
    }

    pub(crate) fn rung(&self) -> Rung {
        self.rung
    }

    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// The time that the rung was given.
    pub(crate) fn share(&self) -> Duration {
        SHARES
            .iter()
            .find(|(rung, _)| *rung == self.rung)
            .map_or(Duration::ZERO, |(_, percent)| self.grace * *percent / 100)
    }

    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Climbs one rung. SIGKILL is the last.
    pub(crate) fn climb(&mut self, now: Timestamp) {
        let next = SHARES
            .iter()
            .map(|(rung, _)| *rung)
            .find(|rung| *rung > self.rung)
            .unwrap_or(Rung::Sigkill);
        self.stand_on(now, next);
    }

    /// Leaves less grace from here on: the rung ends no later than its share of it, and at once without any. True
    /// where that is another rung.
    pub(crate) fn hurry(&mut self, now: Timestamp, grace: Duration) -> bool {
        if grace >= self.grace || self.deadline.is_none() {
            return false;
        }
        self.grace = grace;
        if grace.is_zero() {
            self.stand_on(now, Rung::Sigkill);
            return true;
        }
        let until = now + self.share();
        self.deadline = self.deadline.map(|deadline| deadline.min(until));
        false
    }

    fn stand_on(&mut self, now: Timestamp, rung: Rung) {
        self.rung = rung;
        self.deadline = (rung != Rung::Sigkill).then(|| now + self.share());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn climbs(grace_ms: u64, can_cancel: bool) -> Vec<(Rung, i64)> {
        let mut now = Timestamp::from_millis(0);
        let mut ladder = StopLadder::begin(now, Duration::from_millis(grace_ms), can_cancel);
        let mut rungs = vec![(ladder.rung(), 0)];
        while let Some(deadline) = ladder.deadline() {
            assert!(!ladder.is_due(now) && ladder.is_due(deadline));
            now = deadline;
            ladder.climb(now);
            rungs.push((ladder.rung(), now.as_millis()));
        }
        rungs
    }

    #[test]
    fn the_first_four_rungs_share_the_grace_20_20_20_40() {
        use Rung::*;
        assert_eq!(
            climbs(10_000, true),
            [(Cancel, 0), (CloseStdin, 2000), (Sigint, 4000), (Sigterm, 6000), (Sigkill, 10_000)]
        );
    }

    #[test]
    fn a_rung_that_does_not_apply_is_skipped() {
        use Rung::*;
        assert_eq!(
            climbs(10_000, false),
            [(CloseStdin, 0), (Sigint, 2000), (Sigterm, 4000), (Sigkill, 8000)]
        );
    }

    #[test]
    fn a_hurried_rung_ends_sooner_and_never_later() {
        let at = Timestamp::from_millis;
        let mut ladder = StopLadder::begin(at(0), Duration::from_secs(100), true);
        assert_eq!(ladder.deadline(), Some(at(20_000)));
        assert!(!ladder.hurry(at(1000), Duration::from_secs(10)));
        assert_eq!((ladder.rung(), ladder.deadline()), (Rung::Cancel, Some(at(3000))));
        assert!(!ladder.hurry(at(2900), Duration::from_secs(5)));
        assert_eq!(ladder.deadline(), Some(at(3000)));
        assert!(!ladder.hurry(at(2900), Duration::from_secs(600)));
        ladder.climb(at(3000));
        assert_eq!((ladder.rung(), ladder.deadline()), (Rung::CloseStdin, Some(at(4000))));
    }

    #[test]
    fn without_any_grace_left_the_last_rung_is_next_and_there_is_none_after_it() {
        let now = Timestamp::from_millis(0);
        let mut ladder = StopLadder::begin(now, Duration::from_secs(10), true);
        assert!(ladder.hurry(now, Duration::ZERO));
        assert_eq!((ladder.rung(), ladder.deadline()), (Rung::Sigkill, None));
        assert!(!ladder.hurry(now, Duration::ZERO));
    }

    #[test]
    fn no_grace_is_sigkill_at_once() {
        assert_eq!(climbs(0, true), [(Rung::Sigkill, 0)]);
    }
}
