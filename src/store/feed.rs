//! The live end of a session's log, shared by the writer and all who follow it: head, newest lines, row. It holds
//! state and not messages, so that a reader may miss, repeat or merge wake-ups and still see everything.

use super::{
    Line, Stored,
    doorbell::Reader,
    held::{Held, Holds},
};
use crate::domain::{Seq, Session, SessionId};
use bytes::Bytes;
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    ptr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::sync::broadcast;

/// How many of the newest lines a feed keeps, and how many bytes of them: enough for a reconnect within the default
/// replay cap to need no storage read.
const HOT_LINES: usize = 256;
const HOT_BYTES: usize = 256 * 1024;

/// How many changes of rows a lagging receiver can catch up with.
const CHANGES: usize = 1024;

/// The feeds of the sessions that somebody follows. A session that nobody follows has none and costs nothing.
#[derive(Debug)]
pub(crate) struct Feeds {
    feeds: Mutex<HashMap<SessionId, Weak<Feed>>>,
    changes: broadcast::Sender<SessionId>,
    holds: Arc<Holds>,
}

impl Default for Feeds {
    fn default() -> Self {
        let changes = broadcast::Sender::new(CHANGES);
        let holds = Arc::new(Holds::new(changes.clone()));
        Self { feeds: Mutex::default(), changes, holds }
    }
}

#[derive(Debug)]
pub(crate) struct Feed {
    session: SessionId,
    key: u32,
    /// A copy of `Live::head`, so that comparing heads takes no lock.
    head: AtomicU64,
    /// Set under the lock of `live`, read without it.
    deleted: AtomicBool,
    live: Mutex<Live>,
    holds: Arc<Holds>,
}

#[derive(Debug)]
struct Live {
    head: Seq,
    first: Seq,
    row: Arc<Session>,
    queued: u32,
    /// The lines up to `head`, without a hole.
    hot: VecDeque<Bytes>,
    hot_bytes: usize,
    readers: Vec<Weak<dyn Reader>>,
}

/// A reader's hold on a session's live end. Cheap to keep; dropping it ends the following.
#[derive(Clone, Debug)]
pub struct Watch(Arc<Feed>);

/// A session's row with the head at which it is true.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub session: Arc<Session>,
    pub head: Seq,
    /// The lowest seq that is still stored.
    pub first: Seq,
    pub queued: u32,
}

impl Watch {
    pub fn session(&self) -> SessionId {
        self.0.session
    }

    /// The session's short number in its store.
    pub fn key(&self) -> u32 {
        self.0.key
    }

    /// The highest committed seq. Takes no lock.
    pub fn head(&self) -> Seq {
        Seq(self.0.head.load(Ordering::Acquire))
    }

    /// The session was deleted; nothing comes any more.
    pub fn is_deleted(&self) -> bool {
        self.0.deleted.load(Ordering::Acquire)
    }

    /// Tells all who ask that the session has events that the store does not take now, until the guard is dropped.
    pub fn hold(&self) -> Held {
        self.0.holds.hold(self.0.session)
    }

    pub fn snapshot(&self) -> Snapshot {
        let live = self.0.lock();
        Snapshot {
            session: live.row.clone(),
            head: live.head,
            first: live.first,
            queued: live.queued,
        }
    }

    /// The lines after `cursor`, as many as fit `max_lines` and `max_bytes` but at least one where there is one;
    /// None where the next line is not in memory any more and has to be read from the log.
    pub fn lines_after(
        &self,
        cursor: Seq,
        max_lines: usize,
        max_bytes: usize,
    ) -> Option<Vec<Line>> {
        if cursor >= self.head() {
            return Some(Vec::new());
        }
        let live = self.0.lock();
        let oldest_hot = live.head.0 + 1 - live.hot.len() as u64;
        let skip = usize::try_from((cursor.0 + 1).checked_sub(oldest_hot)?).ok()?;
        if skip >= live.hot.len() {
            // The next line was too large to be kept, and no later one is here either.
            return None;
        }
        let mut bytes = 0;
        let mut lines = Vec::new();
        for (seq, line) in (cursor.0 + 1..).zip(live.hot.range(skip..)).take(max_lines.max(1)) {
            bytes += line.len();
            if bytes > max_bytes && !lines.is_empty() {
                break;
            }
            lines.push(Line { seq: Seq(seq), bytes: line.clone() });
        }
        Some(lines)
    }
}

impl Feed {
    fn lock(&self) -> MutexGuard<'_, Live> {
        // Every change under this lock is complete before anything in it can panic.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feeds {
    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Weak<Feed>>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn changes(&self) -> broadcast::Receiver<SessionId> {
        self.changes.subscribe()
    }

    /// Tells that a session's row or queue is another one now.
    pub(crate) fn changed(&self, session: SessionId) {
        // Nobody may be listening.
        let _ = self.changes.send(session);
    }

    /// The sessions that have a [`Watch::hold`].
    pub(crate) fn held(&self) -> BTreeSet<SessionId> {
        self.holds.sessions()
    }

    fn get(&self, session: SessionId) -> Option<Arc<Feed>> {
        self.lock().get(&session).and_then(Weak::upgrade)
    }

    /// Joins the session's feed, if it has one.
    pub(crate) fn join(&self, session: SessionId, reader: &Arc<dyn Reader>) -> Option<Watch> {
        let feed = self.get(session)?;
        let mut live = feed.lock();
        // Asked under the lock: a deletion either is seen here or wakes this reader too.
        if feed.deleted.load(Ordering::Acquire) {
            return None;
        }
        // One reader may follow for many, and joins for each of them.
        if !live.readers.iter().any(|known| ptr::addr_eq(known.as_ptr(), Arc::as_ptr(reader))) {
            if live.readers.len() == live.readers.capacity() {
                live.readers.retain(|reader| reader.strong_count() > 0);
                let alive = live.readers.len();
                live.readers.reserve(alive + 1);
            }
            live.readers.push(Arc::downgrade(reader));
        }
        drop(live);
        Some(Watch(feed))
    }

    /// Joins the session's feed, or opens it at `stored`. Only the writer may call this, between two commits: then
    /// `stored` cannot be out of date.
    pub(crate) fn open(&self, stored: Stored, reader: &Arc<dyn Reader>) -> Watch {
        let session = stored.session.id;
        if let Some(watch) = self.join(session, reader) {
            return watch;
        }
        let feed = Arc::new(Feed {
            session,
            key: stored.key,
            head: AtomicU64::new(stored.head.0),
            deleted: AtomicBool::new(false),
            live: Mutex::new(Live {
                head: stored.head,
                first: stored.first,
                row: stored.session,
                queued: stored.queued,
                hot: VecDeque::new(),
                hot_bytes: 0,
                readers: vec![Arc::downgrade(reader)],
            }),
            holds: Arc::clone(&self.holds),
        });
        let mut feeds = self.lock();
        // Swept only where it would otherwise grow, and given room for as many again: the table stays within a small
        // multiple of what is followed, and opening costs a constant on average.
        if feeds.len() == feeds.capacity() {
            feeds.retain(|_, feed| feed.strong_count() > 0);
            let alive = feeds.len();
            feeds.reserve(alive + 1);
        }
        feeds.insert(session, Arc::downgrade(&feed));
        Watch(feed)
    }

    /// Makes a commit visible. The writer calls this after the commit, in the order of the commits.
    pub(crate) fn publish(&self, session: SessionId, commit: Commit) {
        if commit.row.is_some() || commit.queued_change != 0 {
            self.changed(session);
        }
        let Some(feed) = self.get(session) else {
            return;
        };
        let mut live = feed.lock();
        for line in commit.lines {
            live.hot_bytes += line.len();
            live.hot.push_back(line);
            live.head = live.head.next();
        }
        while live.hot.len() > HOT_LINES || live.hot_bytes > HOT_BYTES {
            let Some(line) = live.hot.pop_front() else {
                break;
            };
            live.hot_bytes -= line.len();
        }
        if let Some(row) = commit.row {
            live.row = row;
        }
        live.queued = live.queued.saturating_add_signed(commit.queued_change);
        feed.head.store(live.head.0, Ordering::Release);
        tell(session, &mut live);
    }

    /// Older events were removed. Nobody is woken: who reads the log again sees it there.
    pub(crate) fn pruned(&self, session: SessionId, first: Seq) {
        if let Some(feed) = self.get(session) {
            feed.lock().first = first;
        }
    }

    /// Tells all who follow the session that it is gone.
    pub(crate) fn delete(&self, session: SessionId) {
        self.changed(session);
        let feed = self.lock().remove(&session).and_then(|feed| feed.upgrade());
        let Some(feed) = feed else { return };
        let mut live = feed.lock();
        feed.deleted.store(true, Ordering::Release);
        tell(session, &mut live);
    }
}

/// What a commit changed in a session.
#[derive(Debug, Default)]
pub(crate) struct Commit {
    pub(crate) lines: Vec<Bytes>,
    pub(crate) row: Option<Arc<Session>>,
    pub(crate) queued_change: i32,
}

fn tell(session: SessionId, live: &mut Live) {
    live.readers.retain(|reader| match reader.upgrade() {
        Some(reader) => {
            reader.news(session);
            true
        }
        None => false,
    });
}

#[cfg(test)]
mod tests {
    use super::{super::conformance::sample, *};
    use futures_util::FutureExt;
    use tokio::sync::Notify;

    fn reader(notify: &Arc<Notify>) -> Arc<dyn Reader> {
        notify.clone()
    }

    fn open(feeds: &Feeds, notify: &Arc<Notify>) -> Watch {
        let session = Arc::new(sample::session(1));
        let stored = Stored { key: 1, session, head: Seq::ZERO, first: Seq(1), queued: 0 };
        feeds.open(stored, &reader(notify))
    }

    fn publish(feeds: &Feeds, watch: &Watch, lines: impl IntoIterator<Item = usize>) {
        let lines = lines.into_iter().map(|len| Bytes::from(vec![b'x'; len])).collect();
        feeds.publish(watch.session(), Commit { lines, ..Commit::default() });
    }

    fn seqs(lines: Option<Vec<Line>>) -> Option<Vec<u64>> {
        Some(lines?.iter().map(|line| line.seq.0).collect())
    }

    #[test]
    fn the_newest_lines_are_kept_and_older_ones_have_to_be_read() {
        let (feeds, notify) = (Feeds::default(), Arc::new(Notify::new()));
        let watch = open(&feeds, &notify);
        publish(&feeds, &watch, vec![1; HOT_LINES + 10]);
        assert_eq!(watch.head(), Seq(HOT_LINES as u64 + 10));
        assert_eq!(seqs(watch.lines_after(Seq(9), 10, 100)), None);
        assert_eq!(seqs(watch.lines_after(Seq(10), 2, 100)), Some(vec![11, 12]));
        assert_eq!(seqs(watch.lines_after(watch.head(), 2, 100)), Some(vec![]));
        assert_eq!(seqs(watch.lines_after(Seq(u64::MAX), 2, 100)), Some(vec![]));
    }

    #[test]
    fn lines_stop_at_the_byte_limit_but_one_is_always_given() {
        let (feeds, notify) = (Feeds::default(), Arc::new(Notify::new()));
        let watch = open(&feeds, &notify);
        publish(&feeds, &watch, [10, 10, 10]);
        assert_eq!(seqs(watch.lines_after(Seq(0), 9, 20)), Some(vec![1, 2]));
        assert_eq!(seqs(watch.lines_after(Seq(2), 9, 5)), Some(vec![3]));
    }

    #[test]
    fn a_line_too_large_to_be_kept_is_read_from_the_log_and_the_next_from_memory() {
        let (feeds, notify) = (Feeds::default(), Arc::new(Notify::new()));
        let watch = open(&feeds, &notify);
        publish(&feeds, &watch, [10, HOT_BYTES + 1]);
        assert_eq!(watch.lines_after(Seq(0), 9, 20), None);
        assert_eq!(watch.lines_after(Seq(1), 9, 20), None);
        publish(&feeds, &watch, [10]);
        assert_eq!(watch.lines_after(Seq(1), 9, 20), None);
        assert_eq!(seqs(watch.lines_after(Seq(2), 9, 20)), Some(vec![3]));
    }

    #[test]
    fn a_wake_up_before_the_wait_is_not_lost() {
        let (feeds, notify) = (Feeds::default(), Arc::new(Notify::new()));
        let watch = open(&feeds, &notify);
        assert!(notify.notified().now_or_never().is_none());
        publish(&feeds, &watch, [1]);
        publish(&feeds, &watch, [1]);
        assert!(notify.notified().now_or_never().is_some());
        assert!(notify.notified().now_or_never().is_none(), "two wake-ups merge into one");
        assert_eq!(watch.head(), Seq(2));
    }

    #[test]
    fn all_who_follow_share_one_feed_and_each_is_woken() {
        let feeds = Feeds::default();
        let (one, two) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let first = open(&feeds, &one);
        publish(&feeds, &first, [1]);
        let second = feeds.join(first.session(), &reader(&two)).unwrap();
        assert_eq!(seqs(second.lines_after(Seq(0), 9, 9)), Some(vec![1]));
        publish(&feeds, &first, [1]);
        assert!(one.notified().now_or_never().is_some());
        assert!(two.notified().now_or_never().is_some());
    }

    #[test]
    fn a_deletion_wakes_and_ends_the_feed() {
        let (feeds, notify) = (Feeds::default(), Arc::new(Notify::new()));
        let watch = open(&feeds, &notify);
        feeds.delete(watch.session());
        assert!(watch.is_deleted());
        assert!(notify.notified().now_or_never().is_some());
        assert!(feeds.join(watch.session(), &reader(&notify)).is_none());
    }

    #[test]
    fn sessions_and_readers_that_went_away_leave_nothing_to_grow() {
        let feeds = Feeds::default();
        let kept = Arc::new(Notify::new());
        let watch = open(&feeds, &kept);
        for number in 0..10_000 {
            let passing = reader(&Arc::new(Notify::new()));
            let session = Arc::new(sample::session(number));
            let _ = feeds.join(watch.session(), &passing).unwrap();
            feeds
                .open(Stored { key: 1, session, head: Seq(0), first: Seq(1), queued: 0 }, &passing);
        }
        assert!(feeds.lock().capacity() < 64, "{} feeds", feeds.lock().capacity());
        assert!(watch.0.lock().readers.capacity() < 64);
    }
}
