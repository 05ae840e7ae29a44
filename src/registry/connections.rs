//! The book of open streams: who, which sessions, how far. A connection is shared between its stream, which moves
//! the cursors, and the registry, which reads them and leaves orders; both sides only touch atomics.

use crate::{
    domain::{ConnectionId, Seq, SessionId, Timestamp},
    registry::replay::Progress,
    store::Watch,
    wire::api::ByeReason,
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering},
    },
    task::Waker,
};

/// One open stream.
#[derive(Debug)]
pub struct Connection {
    pub id: ConnectionId,
    /// The name of the credential that opened it.
    pub credential: Arc<str>,
    /// Where the client's end is, as far as that is known.
    pub peer: Option<SocketAddr>,
    pub opened_at: Timestamp,
    pub followed: Vec<Followed>,
    /// Wakes the stream, whatever the reason.
    pub waker: Waker,
    suspended: AtomicBool,
    closing: AtomicU8,
    has_ended: AtomicBool,
    progress_at: AtomicI64,
    bytes: AtomicU64,
}

/// A session on a stream.
#[derive(Debug)]
pub struct Followed {
    pub watch: Watch,
    cursor: AtomicU64,
    /// The stream is to move to the head, with a gap.
    jump: AtomicBool,
    gone: AtomicBool,
}

impl Followed {
    pub fn new(watch: Watch, cursor: Seq) -> Self {
        Self {
            watch,
            cursor: AtomicU64::new(cursor.0),
            jump: AtomicBool::new(false),
            gone: AtomicBool::new(false),
        }
    }

    pub fn session(&self) -> SessionId {
        self.watch.session()
    }

    pub fn progress(&self) -> Progress {
        // The cursor first: it may only seem further behind than it is.
        let cursor = Seq(self.cursor.load(Ordering::Acquire));
        Progress { cursor, head: self.watch.head() }
    }

    pub fn moved_to(&self, cursor: Seq) {
        self.cursor.store(cursor.0, Ordering::Release);
    }

    pub fn order_jump(&self) {
        self.jump.store(true, Ordering::Release);
    }

    pub fn take_jump(&self) -> bool {
        self.jump.swap(false, Ordering::AcqRel)
    }

    /// The stream dropped this session.
    pub fn set_gone(&self) {
        self.gone.store(true, Ordering::Release);
    }

    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }
}

impl Connection {
    pub fn new(
        id: ConnectionId,
        credential: Arc<str>,
        peer: Option<SocketAddr>,
        followed: Vec<Followed>,
        waker: Waker,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            credential,
            peer,
            opened_at: now,
            followed,
            waker,
            suspended: AtomicBool::new(false),
            closing: AtomicU8::new(0),
            has_ended: AtomicBool::new(false),
            progress_at: AtomicI64::new(now.as_millis()),
            bytes: AtomicU64::new(0),
        }
    }

    pub fn is_suspended(&self) -> bool {
        self.suspended.load(Ordering::Acquire)
    }

    /// True where it was not suspended before.
    pub(crate) fn suspend(&self) -> bool {
        let is_new = !self.suspended.swap(true, Ordering::AcqRel);
        self.waker.wake_by_ref();
        is_new
    }

    /// Asks the stream to say goodbye and end.
    pub fn close(&self, reason: ByeReason) {
        let code = 1 + BYE_REASONS.iter().position(|other| *other == reason).unwrap_or(0) as u8;
        self.closing.store(code, Ordering::Release);
        self.waker.wake_by_ref();
    }

    pub fn closing(&self) -> Option<ByeReason> {
        let code = usize::from(self.closing.load(Ordering::Acquire));
        code.checked_sub(1).and_then(|index| BYE_REASONS.get(index).copied())
    }

    pub(super) fn set_ended(&self) {
        self.has_ended.store(true, Ordering::Release);
    }

    /// Nobody is there any more: what was on its way to put it into a book comes too late.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// The socket took so many bytes.
    pub fn progressed(&self, now: Timestamp, bytes: usize) {
        self.progress_at.store(now.as_millis(), Ordering::Release);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// How much was written to it so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// By how many events it is behind the heads of its sessions together.
    pub fn lag(&self) -> u64 {
        let followed = self.followed.iter().filter(|followed| !followed.is_gone());
        followed.map(|followed| followed.progress().behind()).sum()
    }

    pub fn progressed_at(&self) -> Timestamp {
        Timestamp::from_millis(self.progress_at.load(Ordering::Acquire))
    }
}

const BYE_REASONS: [ByeReason; 4] =
    [ByeReason::Shutdown, ByeReason::Deleted, ByeReason::Slow, ByeReason::Revoked];
