//! Where a (re)connecting stream begins in a session: the replay cap and the gaps, as one pure decision
//! (contract, section 5).

use crate::{domain::Seq, wire::api::GapReason};

/// What the client said about where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Nothing: a new watch, at the head.
    Head,
    After(Seq),
    /// It has a token that says nothing to this store.
    Unknown,
}

/// The cursor that the stream starts from, and the range it will not deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The next event is `cursor + 1`.
    pub cursor: Seq,
    pub gap: Option<Gap>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub after: Option<Seq>,
    pub missed: Option<u64>,
    pub reason: GapReason,
    /// After which seq the history of the gap begins.
    pub history_after: Seq,
}

/// Decides for a session with events `first..=head`; `cap` is `max_replay_gap`.
pub fn plan(begin: Begin, first: Seq, head: Seq, cap: u64) -> Plan {
    let floor = Seq(first.0.saturating_sub(1));
    let after = match begin {
        Begin::Head => return Plan { cursor: head, gap: None },
        Begin::Unknown => {
            let reason = GapReason::UnknownCursor;
            let gap = Gap { after: None, missed: None, reason, history_after: floor };
            return Plan { cursor: head, gap: Some(gap) };
        }
        Begin::After(after) => after,
    };
    let skip_to = |cursor: Seq, reason| Plan {
        cursor,
        gap: Some(Gap {
            after: Some(after),
            missed: Some(cursor.0.saturating_sub(after.0)),
            reason,
            history_after: after.max(floor),
        }),
    };
    if after > head {
        skip_to(head, GapReason::CursorAhead)
    } else if after < floor && head.0 - floor.0 <= cap {
        skip_to(floor, GapReason::Retention)
    } else if after < floor {
        skip_to(head, GapReason::Retention)
    } else if head.0 - after.0 > cap {
        skip_to(head, GapReason::ReplayCap)
    } else {
        Plan { cursor: after, gap: None }
    }
}

/// Whether a live stream that lags is moved to the head: over one whole interval it stayed more than the cap behind
/// and was handed fewer events than the cap.
pub fn has_fallen_behind(cap: u64, earlier: Progress, now: Progress) -> bool {
    earlier.behind() > cap && now.behind() > cap && now.cursor.0 - earlier.cursor.0 < cap
}

/// A stream's place in a session at one tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub cursor: Seq,
    pub head: Seq,
}

impl Progress {
    /// How many events are still to come.
    pub fn behind(self) -> u64 {
        self.head.0.saturating_sub(self.cursor.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(begin: Begin, first: u64, head: u64, cursor: u64, gap: Option<(GapReason, u64)>) {
        let plan = plan(begin, Seq(first), Seq(head), 200);
        assert_eq!(plan.cursor, Seq(cursor), "{begin:?} in {first}..={head}");
        let seen = plan.gap.map(|gap| (gap.reason, gap.missed.unwrap_or(u64::MAX)));
        assert_eq!(seen, gap, "{begin:?} in {first}..={head}");
    }

    #[test]
    fn up_to_the_cap_all_is_replayed_and_one_more_replays_nothing() {
        use Begin::After;
        check(After(Seq(1000)), 1, 1000, 1000, None);
        check(After(Seq(801)), 1, 1000, 801, None);
        check(After(Seq(800)), 1, 1000, 800, None);
        check(After(Seq(799)), 1, 1000, 1000, Some((GapReason::ReplayCap, 201)));
        check(After(Seq(0)), 1, 200, 0, None);
        check(After(Seq(0)), 1, 0, 0, None);
    }

    #[test]
    fn a_new_watch_begins_at_the_head_and_an_unknown_cursor_says_so() {
        check(Begin::Head, 1, 20_000, 20_000, None);
        check(Begin::Unknown, 1, 20_000, 20_000, Some((GapReason::UnknownCursor, u64::MAX)));
    }

    #[test]
    fn a_cursor_ahead_of_the_head_falls_back_to_it() {
        check(Begin::After(Seq(912)), 1, 640, 640, Some((GapReason::CursorAhead, 0)));
    }

    #[test]
    fn below_the_retained_floor_the_rest_is_replayed_if_it_fits() {
        use Begin::After;
        check(After(Seq(99)), 100, 299, 99, None);
        check(After(Seq(98)), 100, 299, 99, Some((GapReason::Retention, 1)));
        check(After(Seq(98)), 100, 300, 300, Some((GapReason::Retention, 202)));
        let plan = plan(After(Seq(5)), Seq(100), Seq(1000), 200);
        assert_eq!(plan.gap.unwrap().history_after, Seq(99), "history begins where something is");
    }

    #[test]
    fn a_stream_has_fallen_behind_only_if_it_stayed_behind_and_made_no_way() {
        let at = |cursor, head| Progress { cursor: Seq(cursor), head: Seq(head) };
        assert!(has_fallen_behind(200, at(0, 1000), at(199, 2000)));
        assert!(has_fallen_behind(200, at(500, 1000), at(699, 2000)));
        assert!(!has_fallen_behind(200, at(0, 1000), at(200, 2000)), "it makes its way");
        assert!(!has_fallen_behind(200, at(500, 1000), at(700, 2000)), "it makes its way");
        assert!(!has_fallen_behind(200, at(0, 200), at(0, 2000)), "it was not behind before");
        assert!(!has_fallen_behind(200, at(0, 1000), at(800, 1000)), "it caught up");
    }
}
