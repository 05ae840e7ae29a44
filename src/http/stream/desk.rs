//! What the streams of a thread share while they are served one after another: the time, the limits, a buffer, and the
//! frames that were written last, which the next stream may need as well.

use super::chunk::Chunk;
use crate::{
    config::Config,
    domain::{Seq, Timestamp, cursor::SessionKey},
};
use bytes::BytesMut;
use std::time::Duration;

/// How much is handed over at once at most, but for a frame that is larger: enough for one system call to be worth it, and
/// little enough to be kept for a thousand readers that take nothing.
const CHUNK: usize = 64 * 1024;

pub(super) struct Desk {
    pub(super) now: Timestamp,
    pub(super) limits: Limits,
    pub(super) buffer: BytesMut,
    pub(super) batch: Option<Batch>,
}

/// As the configuration says at this moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) max_replay_gap: u64,
    pub(super) sync_batch: usize,
    /// Of one chunk.
    pub(super) frames: usize,
    pub(super) bytes: usize,
    pub(super) suspend_grace: Duration,
}

/// Frames of events under a token with this session alone. They are the same for every stream that has it alone and is at
/// `from`.
pub(super) struct Batch {
    pub(super) key: SessionKey,
    pub(super) from: Seq,
    pub(super) to: Seq,
    pub(super) chunk: Chunk,
}

impl Desk {
    pub(super) fn new(now: Timestamp, config: &Config) -> Self {
        Self { now, limits: Limits::of(config), buffer: BytesMut::new(), batch: None }
    }
}

impl Limits {
    pub(super) fn of(config: &Config) -> Self {
        let streams = &config.streams;
        Self {
            max_replay_gap: streams.max_replay_gap,
            sync_batch: streams.sync_batch,
            frames: streams.queue_frames,
            bytes: streams.queue_bytes.min(CHUNK),
            suspend_grace: config.sessions.suspend_grace,
        }
    }
}
