//! Whether the parts that everything hangs on answer. Who asks them, and what a silence means, is for others.

use crate::domain::Timestamp;
use std::sync::atomic::{AtomicI64, Ordering};

/// A part whose silence nobody else would notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Supervisor,
    Registry,
    Writer,
}

impl Part {
    pub const ALL: [Self; 3] = [Self::Supervisor, Self::Registry, Self::Writer];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Supervisor => "supervisor",
            Self::Registry => "registry",
            Self::Writer => "log writer",
        }
    }
}

/// The last that was heard of each part; shared by who asks and who is asked about it.
#[derive(Debug)]
pub struct Pulse {
    /// Since when a part has not answered, in milliseconds; [`ANSWERS`] where it does.
    silent_since: [AtomicI64; Part::ALL.len()],
}

const ANSWERS: i64 = i64::MAX;

impl Default for Pulse {
    fn default() -> Self {
        Self { silent_since: Part::ALL.map(|_| AtomicI64::new(ANSWERS)) }
    }
}

impl Pulse {
    /// Notes whether a part has answered by `now`. True where that is news.
    pub fn note(&self, part: Part, answered: bool, now: Timestamp) -> bool {
        let since = &self.silent_since[part as usize];
        let was_silent = since.load(Ordering::Acquire) != ANSWERS;
        if was_silent == answered {
            since.store(if answered { ANSWERS } else { now.as_millis() }, Ordering::Release);
        }
        was_silent == answered
    }

    /// Since when a part is silent; None where it answers.
    pub fn silent_since(&self, part: Part) -> Option<Timestamp> {
        let since = self.silent_since[part as usize].load(Ordering::Acquire);
        (since != ANSWERS).then_some(Timestamp::from_millis(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_news_once_and_lasts_from_when_it_was_first_noticed() {
        let (pulse, at) = (Pulse::default(), Timestamp::from_millis);
        assert!(!pulse.note(Part::Registry, true, at(1)));
        assert!(pulse.note(Part::Registry, false, at(2)));
        assert!(!pulse.note(Part::Registry, false, at(3)));
        assert_eq!(pulse.silent_since(Part::Registry), Some(at(2)));
        assert_eq!(pulse.silent_since(Part::Writer), None);
        assert!(pulse.note(Part::Registry, true, at(4)));
        assert_eq!(pulse.silent_since(Part::Registry), None);
    }
}
