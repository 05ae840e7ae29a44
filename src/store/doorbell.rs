//! Who is told that a session has news, and the one who is told for all readers of a thread: a commit then wakes a thread
//! once, and not each of its thousand readers. What the news are is read from the feed.

use crate::domain::SessionId;
use std::{
    collections::HashSet,
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Wake, Waker},
};
use tokio::sync::Notify;

/// Follows sessions. It may be told too often, and has to look in the feed in any case.
pub trait Reader: fmt::Debug + Send + Sync {
    /// Called by the writer, behind the commit: it must neither wait nor panic.
    fn news(&self, session: SessionId);
}

impl Reader for Notify {
    fn news(&self, _: SessionId) {
        // It leaves a permit where nobody waits yet: no news fall between a look and a wait.
        self.notify_one();
    }
}

/// The door of one thread's readers. Whoever rings twice before it is answered rang once, so that it holds at most the
/// sessions that are followed and the readers that there are.
#[derive(Debug, Default)]
pub struct Doorbell(Mutex<Rung>);

/// What was rung for.
#[derive(Debug, Default)]
pub struct Rung {
    /// They have news.
    pub sessions: HashSet<SessionId>,
    /// They are to look, whatever the reason.
    pub readers: HashSet<u32>,
    /// Everybody is.
    pub all: bool,
    waker: Option<Waker>,
}

impl Rung {
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.readers.is_empty() && !self.all
    }
}

impl Doorbell {
    /// Asks one reader to look.
    pub fn ring(&self, reader: u32) {
        self.rung(|rung| {
            rung.readers.insert(reader);
        });
    }

    /// Asks all to look.
    pub fn ring_all(&self) {
        self.rung(|rung| rung.all = true);
    }

    /// Takes into `rung`, which is empty, what was rung for since the last time; the next ring wakes who asks.
    pub fn answer(&self, cx: &Context<'_>, rung: &mut Rung) {
        let mut waiting = self.lock();
        // What was handed out comes back with its room.
        mem::swap(&mut *waiting, rung);
        waiting.waker = rung.waker.take().filter(|waker| waker.will_wake(cx.waker()));
        waiting.waker.get_or_insert_with(|| cx.waker().clone());
    }

    fn rung(&self, ring: impl FnOnce(&mut Rung)) {
        let mut waiting = self.lock();
        let is_first = waiting.is_empty();
        ring(&mut waiting);
        let waker = waiting.waker.clone().filter(|_| is_first);
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Rung> {
        // Each change under this lock is one that cannot be left by half.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader for Doorbell {
    fn news(&self, session: SessionId) {
        self.rung(|rung| {
            rung.sessions.insert(session);
        });
    }
}

/// Rings for one reader, also as a task's waker.
#[derive(Debug)]
pub struct Ring {
    pub doorbell: Arc<Doorbell>,
    pub reader: u32,
}

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.doorbell.ring(self.reader);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn session(number: u128) -> SessionId {
        SessionId::from_uuid(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn many_rings_wake_once_until_they_are_answered() {
        let (doorbell, woken) = (Arc::new(Doorbell::default()), Arc::new(Woken::default()));
        let waker = Waker::from(woken.clone());
        let cx = Context::from_waker(&waker);
        let mut rung = Rung::default();
        // What was rung for before anybody listened is not lost.
        doorbell.ring(7);
        doorbell.answer(&cx, &mut rung);
        assert_eq!(mem::take(&mut rung.readers), HashSet::from([7]));
        for _ in 0..3 {
            doorbell.news(session(1));
            doorbell.news(session(2));
            Waker::from(Arc::new(Ring { doorbell: doorbell.clone(), reader: 3 })).wake();
        }
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        doorbell.answer(&cx, &mut rung);
        assert_eq!(mem::take(&mut rung.sessions), HashSet::from([session(1), session(2)]));
        assert_eq!(mem::take(&mut rung.readers), HashSet::from([3]));
        assert!(!rung.all);
        doorbell.ring_all();
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
        doorbell.answer(&cx, &mut rung);
        assert!(rung.all && rung.sessions.is_empty());
    }
}
