//! One connection of a load over which lines are published, and which of them were acknowledged.

use super::super::{
    scan::{self, Needle},
    target::{Encode, Pipe, Publisher},
};
use anyhow::{Context, ensure};
use rustix::{event::epoll, fd::OwnedFd};
use std::{
    io::{ErrorKind, Read, Write},
    time::{Duration, Instant},
};

/// So much is held for a connection that takes nothing; a producer waits beyond that.
const HELD: usize = 256 * 1024;

pub(super) struct Writer {
    pipe: Box<dyn Pipe>,
    encode: Encode,
    acks: Option<Needle>,
    pipelined: usize,
    /// Lines without their acknowledgement.
    waiting: usize,
    /// When the last one was.
    sent: Instant,
    out: Vec<u8>,
    /// How much of it was written.
    written: usize,
    /// The last answer, for when none comes any more.
    answer: Vec<u8>,
}

impl Writer {
    pub(super) fn new(publisher: Publisher) -> Self {
        let Publisher { pipe, encode, ack, pipelined } = publisher;
        let (out, answer, sent) = (Vec::new(), Vec::new(), Instant::now());
        let acks = ack.map(Needle::new);
        Self { pipe, encode, acks, pipelined, waiting: 0, sent, out, written: 0, answer }
    }

    pub(super) fn register(&self, epoll: &OwnedFd, place: usize) -> anyhow::Result<()> {
        if self.acks.is_none() {
            return Ok(());
        }
        let data = epoll::EventData::new_u64((place as u64) << 1 | 1);
        Ok(epoll::add(epoll, self.pipe.as_fd(), data, epoll::EventFlags::IN)?)
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting < self.pipelined && self.out.len() < HELD
    }

    pub(super) fn is_settled(&self) -> bool {
        self.out.is_empty() && self.waiting == 0
    }

    pub(super) fn is_stuck(&self) -> bool {
        !self.out.is_empty()
    }

    pub(super) fn queue(&mut self, topic: usize, number: u64, length: usize, now: Instant) {
        (self.encode)(topic, &scan::line(number, length), &mut self.out);
        self.sent = now;
        if self.acks.is_some() {
            self.waiting += 1;
        }
    }

    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        while self.written < self.out.len() {
            match self.pipe.write(&self.out[self.written..]) {
                Ok(length) => self.written += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("a publisher's connection broke"),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    /// Reads answers; how many lines they acknowledge, and how long the newest of them took.
    pub(super) fn acknowledged(&mut self, scratch: &mut [u8]) -> anyhow::Result<(usize, Duration)> {
        let length = match self.pipe.read(scratch) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok((0, Duration::ZERO)),
            Err(error) => return Err(error).context("a publisher's connection broke"),
        };
        ensure!(
            length > 0,
            "a publisher's connection was closed{}",
            self.said().unwrap_or_default()
        );
        let bytes = &scratch[..length];
        self.answer = bytes[..length.min(300)].to_vec();
        let acknowledged = self.acks.as_mut().map_or(0, |acks| acks.count(bytes));
        self.waiting = self.waiting.saturating_sub(acknowledged);
        Ok((acknowledged, self.sent.elapsed()))
    }

    pub(super) fn said(&self) -> Option<String> {
        let is_waiting = self.waiting > 0 && !self.answer.is_empty();
        is_waiting.then(|| format!("; an answer was {}", String::from_utf8_lossy(&self.answer)))
    }
}
