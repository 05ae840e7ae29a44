//! Which events of a session were left out so far, newest last, and which page of them to ask for next. Pure: it asks
//! for nothing and shows nothing.

use crate::{client::EventQuery, domain::Seq, wire::api::EventPage};

/// Ranges of events, `after < seq <= upto`, apart and in order.
#[derive(Debug, Default)]
pub(super) struct Unshown(Vec<(Seq, Seq)>);

/// One page to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) after: Seq,
    pub(super) upto: Seq,
    limit: u32,
}

impl Wanted {
    pub(super) fn query(&self) -> EventQuery {
        EventQuery {
            before: Some(self.upto.next()),
            limit: Some(self.limit),
            ..EventQuery::default()
        }
    }
}

impl Unshown {
    /// These were left out, later than all others.
    pub(super) fn add(&mut self, after: Seq, upto: Seq) {
        if after < upto {
            self.0.push((after, upto));
        }
    }

    /// The log began anew: there is nothing before.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// How many are left out.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|(after, upto)| upto.0 - after.0).sum()
    }

    /// The newest that are left out, at most `limit`.
    pub(super) fn newest(&self, limit: u32) -> Option<Wanted> {
        let (after, upto) = *self.0.last()?;
        let limit = u32::try_from(upto.0 - after.0).unwrap_or(u32::MAX).min(limit).clamp(1, 1000);
        Some(Wanted { after, upto, limit })
    }

    /// That page came: what of it was left out, by its first seq; the rest stays left out.
    pub(super) fn take(&mut self, wanted: Wanted, page: &EventPage, first: Option<Seq>) {
        let Some(last) = self.0.last_mut().filter(|last| **last == (wanted.after, wanted.upto))
        else {
            return;
        };
        // A page comes in one piece up to its end; without events there are none any more.
        last.1 = first.map_or(last.0, |first| Seq(first.0.saturating_sub(1)));
        // What is not stored any more cannot be shown.
        last.0 = last.0.max(Seq(page.first_seq.0.saturating_sub(1)));
        if last.0 >= last.1 {
            self.0.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(first_seq: u64) -> EventPage {
        EventPage {
            events: Vec::new(),
            first_seq: Seq(first_seq),
            head_seq: Seq(99),
            has_more: true,
        }
    }

    #[test]
    fn pages_go_back_from_the_newest_gap_to_the_beginning_and_none_is_asked_twice() {
        let mut unshown = Unshown::default();
        unshown.add(Seq(0), Seq(50));
        unshown.add(Seq(80), Seq(90));
        unshown.add(Seq(95), Seq(95));
        assert_eq!(unshown.count(), 60);
        for (limit, upto, before, first) in
            [(7, 90, 91, 84), (100, 83, 84, 81), (30, 50, 51, 21), (30, 20, 21, 1)]
        {
            let wanted = unshown.newest(limit).unwrap();
            assert_eq!((wanted.upto, wanted.query().before), (Seq(upto), Some(Seq(before))));
            unshown.take(wanted, &page(1), Some(Seq(first)));
        }
        assert_eq!((unshown.newest(30), unshown.count()), (None, 0));
    }

    #[test]
    fn what_is_not_stored_any_more_is_not_asked_for() {
        let mut unshown = Unshown::default();
        unshown.add(Seq(0), Seq(50));
        let wanted = unshown.newest(10).unwrap();
        unshown.take(wanted, &page(41), Some(Seq(41)));
        assert_eq!(unshown.newest(10), None);
    }

    #[test]
    fn a_page_that_was_asked_for_before_the_log_began_anew_moves_nothing() {
        let mut unshown = Unshown::default();
        unshown.add(Seq(0), Seq(50));
        let wanted = unshown.newest(10).unwrap();
        unshown.clear();
        unshown.add(Seq(0), Seq(5));
        unshown.take(wanted, &page(1), Some(Seq(41)));
        assert_eq!(unshown.count(), 5);
    }
}
