//! The body of a stream that stays with the HTTP library: with TLS, and for clients that know no chunks.

use super::{follower::Follower, hub::Seat};
use bytes::Bytes;
use futures_util::Stream;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The most bytes that are handed over at a time. A reader has made progress when the next ones are asked for, and by
/// that a slow one is told from one that has stopped: at 1 kB/s these take a fraction of the stall limit.
const PIECE: usize = 16 * 1024;

pub(super) struct Body {
    follower: Follower,
    seat: Seat,
    /// What is being handed over; until it is through, the peer may have a frame by half.
    rest: Bytes,
}

impl Body {
    pub(super) fn new(follower: Follower, seat: Seat) -> Self {
        Self { follower, seat, rest: Bytes::new() }
    }
}

impl Stream for Body {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Self { follower, seat, rest } = &mut *self;
        if rest.is_empty() {
            match ready!(seat.poll_chunk(follower, cx)) {
                Some(chunk) => *rest = chunk.content(),
                None => return Poll::Ready(None),
            }
        }
        let piece = rest.split_to(rest.len().min(PIECE));
        let connection = follower.connection();
        connection.progressed(seat.now(), piece.len());
        Poll::Ready(Some(piece))
    }
}
