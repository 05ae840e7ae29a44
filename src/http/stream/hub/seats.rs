//! The streams of a thread by number, by the sessions that they follow, and by when they are to be looked at. What is done
//! with a stream is not known here.

use crate::{
    domain::{SessionId, Timestamp},
    registry::connections::Connection,
};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    mem,
    sync::Arc,
};

pub(super) struct Seats<K> {
    places: Vec<Option<Place<K>>>,
    free: Vec<u32>,
    followers: HashMap<SessionId, Vec<u32>>,
    /// Of each that waits at least one entry that is not behind its time. It is not moved with that time: when it comes up,
    /// the stream is looked at, and says anew.
    due: BinaryHeap<Reverse<(Timestamp, u32)>>,
    /// Counts who had a place.
    turn: u32,
}

pub(super) struct Place<K> {
    pub(super) connection: Option<Arc<Connection>>,
    pub(super) kind: K,
    turn: u32,
    /// The first of its entries.
    due: Option<Timestamp>,
    is_queued: bool,
}

impl<K> Default for Seats<K> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            followers: HashMap::new(),
            due: BinaryHeap::new(),
            turn: 0,
        }
    }
}

impl<K> Seats<K> {
    /// A number that no place has.
    pub(super) const NOBODY: u32 = u32::MAX;

    pub(super) fn take(&mut self, kind: K) -> u32 {
        self.turn = self.turn.wrapping_add(1);
        let place = Place { connection: None, kind, turn: self.turn, due: None, is_queued: false };
        match self.free.pop() {
            Some(index) => {
                self.places[index as usize] = Some(place);
                index
            }
            None => {
                self.places.push(Some(place));
                (self.places.len() - 1) as u32
            }
        }
    }

    fn get(&mut self, index: u32) -> Option<&mut Place<K>> {
        self.places.get_mut(index as usize)?.as_mut()
    }

    pub(super) fn kind(&mut self, index: u32) -> Option<&mut K> {
        self.get(index).map(|place| &mut place.kind)
    }

    /// Names the one who has the place now, and not who had it before.
    pub(super) fn token(&mut self, index: u32) -> u64 {
        let turn = self.get(index).map_or(0, |place| place.turn);
        u64::from(turn) << 32 | u64::from(index)
    }

    /// None: the place is another's by now.
    pub(super) fn index(&mut self, token: u64) -> Option<u32> {
        let (turn, index) = ((token >> 32) as u32, token as u32);
        self.get(index).is_some_and(|place| place.turn == turn).then_some(index)
    }

    pub(super) fn follow(&mut self, index: u32, connection: Arc<Connection>) {
        for followed in &connection.followed {
            self.followers.entry(followed.session()).or_default().push(index);
        }
        if let Some(place) = self.get(index) {
            place.connection = Some(connection);
        }
    }

    /// Gives the place up, with what is on it.
    pub(super) fn leave(&mut self, index: u32) {
        let place = self.places.get_mut(index as usize).and_then(Option::take);
        let Some(place) = place else { return };
        self.free.push(index);
        for followed in place.connection.iter().flat_map(|connection| &connection.followed) {
            let session = followed.session();
            let Some(followers) = self.followers.get_mut(&session) else { continue };
            if let Some(at) = followers.iter().position(|other| *other == index) {
                followers.swap_remove(at);
            }
            if followers.is_empty() {
                self.followers.remove(&session);
            }
        }
    }

    /// Has it served, once, however often that is asked for before.
    pub(super) fn queue(&mut self, index: u32, todo: &mut VecDeque<u32>) {
        if let Some(place) = self.get(index)
            && !mem::replace(&mut place.is_queued, true)
        {
            todo.push_back(index);
        }
    }

    pub(super) fn queue_followers(&mut self, session: SessionId, todo: &mut VecDeque<u32>) {
        for index in self.followers.get(&session).into_iter().flatten() {
            if let Some(place) = &mut self.places[*index as usize]
                && !mem::replace(&mut place.is_queued, true)
            {
                todo.push_back(*index);
            }
        }
    }

    pub(super) fn queue_all(&mut self, todo: &mut VecDeque<u32>) {
        (0..self.places.len() as u32).for_each(|index| self.queue(index, todo));
    }

    /// It is served now: what is asked for from here on comes after.
    pub(super) fn begin(&mut self, index: u32) -> Option<&mut Place<K>> {
        let place = self.get(index)?;
        place.is_queued = false;
        Some(place)
    }

    /// It is to be looked at then.
    pub(super) fn set_due(&mut self, index: u32, due: Timestamp) {
        let Some(place) = self.get(index) else { return };
        if place.due.is_none_or(|first| due < first) {
            place.due = Some(due);
            self.due.push(Reverse((due, index)));
        }
    }

    /// When the first one is to be looked at.
    pub(super) fn first_due(&self) -> Option<Timestamp> {
        self.due.peek().map(|Reverse((due, _))| *due)
    }

    pub(super) fn queue_due(&mut self, now: Timestamp, todo: &mut VecDeque<u32>) {
        while let Some(Reverse((due, index))) = self.due.peek().copied()
            && due <= now
        {
            self.due.pop();
            if let Some(place) = self.get(index)
                && place.due == Some(due)
            {
                place.due = None;
                self.queue(index, todo);
            }
        }
    }

    /// Ends all but these, which are to be served.
    pub(super) fn keep(&mut self, is_kept: impl Fn(&K) -> bool, todo: &mut VecDeque<u32>) {
        for index in 0..self.places.len() as u32 {
            let Some(place) = self.get(index) else { continue };
            place.is_queued = false;
            match is_kept(&place.kind) {
                true => self.queue(index, todo),
                false => self.leave(index),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn due(seats: &mut Seats<()>, now: i64) -> Vec<u32> {
        let mut todo = VecDeque::new();
        seats.queue_due(at(now), &mut todo);
        for index in &todo {
            seats.begin(*index);
        }
        todo.into()
    }

    #[test]
    fn a_place_is_given_again_and_its_former_name_means_nobody() {
        let mut seats = Seats::default();
        let (first, _) = (seats.take(()), seats.take(()));
        let token = seats.token(first);
        assert_eq!(seats.index(token), Some(first));
        seats.leave(first);
        assert_eq!(seats.index(token), None);
        assert_eq!(seats.take(()), first);
        assert_eq!(seats.index(token), None);
    }

    #[test]
    fn who_is_asked_for_often_is_served_once_until_it_is_served() {
        let (mut seats, mut todo) = (Seats::default(), VecDeque::new());
        let index = seats.take(());
        seats.queue(index, &mut todo);
        seats.queue(index, &mut todo);
        assert_eq!(todo.len(), 1);
        seats.begin(index).unwrap();
        seats.queue(index, &mut todo);
        assert_eq!(todo.len(), 2);
    }

    #[test]
    fn a_time_comes_once_and_the_earlier_one_counts() {
        let mut seats = Seats::default();
        let (one, two) = (seats.take(()), seats.take(()));
        seats.set_due(one, at(20));
        seats.set_due(two, at(15));
        // Later: it is looked at when the first one comes, and says so again.
        seats.set_due(one, at(30));
        seats.set_due(two, at(5));
        assert_eq!(seats.first_due(), Some(at(5)));
        assert!(due(&mut seats, 4).is_empty());
        assert_eq!(due(&mut seats, 5), [two]);
        assert_eq!(due(&mut seats, 40), [one], "an entry that was overtaken is nobody's");
        assert_eq!(seats.first_due(), None);
    }
}
