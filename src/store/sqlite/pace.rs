//! When the next group is committed. A commit costs about the same for one event as for fifty, so that what many quiet
//! sessions say is worth a moment's wait for company; nobody who waits for an answer is made to wait for it.

use crate::domain::SessionId;
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

/// From the beginning of one group to that of the next, where nobody waits for the next one's answers. Nobody sees it, and
/// it halves the processor time of many sessions that write a little.
const INTERVAL: Duration = Duration::from_millis(2);

#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the last group began.
    begun: Option<Instant>,
    /// Who was answered by it.
    answered: HashSet<SessionId>,
    /// Somebody waits for the group that is being gathered.
    is_urgent: bool,
}

impl Pace {
    /// A job has joined the next group; `quiet` names the session of one that nobody waits for. A session that was
    /// answered just now and writes again has more to say than there is room for in one append: it waits after all.
    pub(super) fn joined(&mut self, quiet: Option<SessionId>) {
        self.is_urgent |= quiet.is_none_or(|session| self.answered.contains(&session));
    }

    /// How long the group may wait for more.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        match self.begun {
            Some(begun) if !self.is_urgent => (begun + INTERVAL).saturating_duration_since(now),
            _ => Duration::ZERO,
        }
    }

    /// The group begins, with jobs of these sessions.
    pub(super) fn begin(&mut self, now: Instant, sessions: impl Iterator<Item = SessionId>) {
        self.begun = Some(now);
        self.is_urgent = false;
        self.answered.clear();
        self.answered.extend(sessions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::sample::id;

    #[test]
    fn what_many_sessions_say_now_and_then_waits_for_company() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        pace.joined(Some(id(1)));
        assert_eq!(pace.wait(start), Duration::ZERO, "after a silence nothing waits");
        pace.begin(start, [id(1)].into_iter());
        pace.joined(Some(id(2)));
        assert_eq!(pace.wait(start), INTERVAL);
        pace.joined(Some(id(3)));
        assert_eq!(pace.wait(start + INTERVAL / 2), INTERVAL / 2);
        assert_eq!(pace.wait(start + INTERVAL * 2), Duration::ZERO);
    }

    #[test]
    fn nobody_who_waits_for_an_answer_waits_for_company() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        pace.begin(start, [id(1), id(2)].into_iter());
        pace.joined(Some(id(3)));
        assert_eq!(pace.wait(start), INTERVAL);
        pace.joined(None);
        assert_eq!(pace.wait(start), Duration::ZERO, "a message, a watch");
        pace.begin(start, [id(3)].into_iter());
        pace.joined(Some(id(3)));
        assert_eq!(pace.wait(start), Duration::ZERO, "it wrote as soon as it was answered");
        pace.begin(start, [id(3)].into_iter());
        pace.joined(Some(id(1)));
        assert_eq!(pace.wait(start), INTERVAL, "that was a group ago");
    }
}
