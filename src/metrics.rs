//! What is counted while the server runs: plain numbers that each room adds to and whoever is asked reads. How they are
//! named and written down is not known here.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// One server's counts, but for its store's ([`StoreMetrics`]).
#[derive(Debug, Default)]
pub struct Metrics {
    /// Events that were written to streams, each time anew for each of them.
    pub sent_events: Counter,
    /// Those among them that were stored before their stream was live.
    pub replayed_events: Counter,
    pub gaps: Split<{ Gap::ALL.len() }>,
    pub restarts: Split<{ Restart::ALL.len() }>,
    /// Sessions that ended because their child failed too often.
    pub gave_up: Counter,
    pub interrupts_requested: Counter,
    pub interrupts: Split<{ Interrupt::ALL.len() }>,
    pub invalid_transitions: Counter,
    /// Reports of a child's earlier run, which were dropped.
    pub late_reports: Counter,
    pub sync_ticks: Counter,
    /// Streams that a tick found behind and woke.
    pub sync_nudges: Counter,
    /// Events that the store has not taken yet.
    pub held_events: Arc<Gauge>,
}

/// One store's counts.
#[derive(Debug)]
pub struct StoreMetrics {
    pub appended_events: Counter,
    /// In events.
    pub commit_size: Histogram,
    /// In nanoseconds.
    pub commit_time: Histogram,
    pub failed_commits: Counter,
    pub pages_read: Counter,
    pub waiting_writes: Gauge,
    pub waiting_reads: Gauge,
}

impl Default for StoreMetrics {
    fn default() -> Self {
        Self {
            appended_events: Counter::default(),
            commit_size: Histogram::new(&COMMIT_EVENTS),
            commit_time: Histogram::new(&COMMIT_NANOS),
            failed_commits: Counter::default(),
            pages_read: Counter::default(),
            waiting_writes: Gauge::default(),
            waiting_reads: Gauge::default(),
        }
    }
}

impl StoreMetrics {
    /// A group of so many events is on disk.
    pub(crate) fn committed(&self, events: u64, took: Duration) {
        self.appended_events.add(events);
        self.commit_size.observe(events);
        self.commit_time.observe(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }
}

/// Up to the jobs of a full group with a few events each.
const COMMIT_EVENTS: [u64; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096];

/// From a commit that waits for no disk to one that nobody would wait for.
const COMMIT_NANOS: [u64; 14] = {
    const MICRO: u64 = 1000;
    const MILLI: u64 = 1_000_000;
    [
        100 * MICRO,
        250 * MICRO,
        500 * MICRO,
        MILLI,
        2500 * MICRO,
        5 * MILLI,
        10 * MILLI,
        25 * MILLI,
        50 * MILLI,
        100 * MILLI,
        250 * MILLI,
        500 * MILLI,
        1000 * MILLI,
        5000 * MILLI,
    ]
};

/// Defines what a count is split by: the variants, in order, each with its word.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident { $($(#[$what:meta])* $variant:ident = $word:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$what])* $variant,)+
        }

        impl $name {
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl From<$name> for usize {
            fn from(kind: $name) -> Self {
                kind as Self
            }
        }
    )+};
}

kinds! {
    /// Why a stream leaves events out.
    Gap {
        ReplayCap = "replay_cap",
        Retention = "retention",
        CursorAhead = "cursor_ahead",
        UnknownCursor = "unknown_cursor",
    }

    /// Why something is started again.
    Restart {
        /// The child exited by itself.
        Exit = "exit",
        /// Somebody else ended the child by a signal.
        Signal = "signal",
        /// It did not answer an interrupt and was killed for it.
        Interrupt = "interrupt",
        /// An administrator had it killed.
        Killed = "killed",
        /// It talked nonsense, or could not be talked to.
        Protocol = "protocol",
        Handshake = "handshake",
        AuthRequired = "auth_required",
        /// It has forgotten its session.
        Resume = "resume",
        Spawn = "spawn",
        TransportPanic = "transport_panic",
        SessionPanic = "session_panic",
        RegistryPanic = "registry_panic",
    }

    /// What became of an interrupt; of one that is escalated more is to come.
    Interrupt {
        Completed = "completed",
        EscalatedToSigint = "escalated_to_sigint",
        EscalatedToRestart = "escalated_to_restart",
        /// The child died before it answered.
        Failed = "failed",
    }
}

/// Only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: u64) {
        // Nothing is concluded from one number about another.
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters by kind.
#[derive(Debug)]
pub struct Split<const N: usize>([Counter; N]);

impl<const N: usize> Default for Split<N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl<const N: usize> Split<N> {
    /// `kind`: of the enum whose kinds these are.
    pub fn of(&self, kind: impl Into<usize>) -> &Counter {
        &self.0[kind.into()]
    }
}

/// Goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// At most what was added before.
    pub fn subtract(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one of many has in a gauge, taken out again when it is dropped.
#[derive(Debug)]
pub struct Share {
    gauge: Arc<Gauge>,
    size: u64,
}

impl Share {
    pub fn new(gauge: Arc<Gauge>) -> Self {
        Self { gauge, size: 0 }
    }

    pub fn set(&mut self, size: u64) {
        self.gauge.add(size);
        self.gauge.subtract(std::mem::replace(&mut self.size, size));
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.gauge.subtract(self.size);
    }
}

/// How often a value was within which bound.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One more than bounds: what is over the last one.
    counts: Box<[Counter]>,
    sum: Counter,
}

impl Histogram {
    /// `bounds` in ascending order.
    fn new(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| Counter::default()).collect();
        Self { bounds, counts, sum: Counter::default() }
    }

    pub fn observe(&self, value: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        self.counts[place].add(1);
        self.sum.add(value);
    }

    /// How many values were at most each bound, for all bounds.
    pub fn buckets(&self) -> Vec<(u64, u64)> {
        let mut count = 0;
        let up_to = |(bound, counter): (&u64, &Counter)| {
            count += counter.get();
            (*bound, count)
        };
        self.bounds.iter().zip(&self.counts).map(up_to).collect()
    }

    /// How many values were over the last bound.
    pub fn beyond(&self) -> u64 {
        self.counts.last().map_or(0, Counter::get)
    }

    pub fn sum(&self) -> u64 {
        self.sum.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_in_the_first_bucket_that_holds_it_and_in_all_after_it() {
        let histogram = Histogram::new(&[1, 10]);
        for value in [0, 1, 2, 10, 11, 500] {
            histogram.observe(value);
        }
        assert_eq!(histogram.buckets(), [(1, 2), (10, 4)]);
        assert_eq!((histogram.beyond(), histogram.sum()), (2, 524));
    }

    #[test]
    fn a_share_counts_as_long_as_it_lives() {
        let gauge = Arc::new(Gauge::default());
        let (mut one, mut two) = (Share::new(gauge.clone()), Share::new(gauge.clone()));
        one.set(3);
        two.set(2);
        one.set(1);
        assert_eq!(gauge.get(), 3);
        drop(one);
        assert_eq!(gauge.get(), 2);
        drop(two);
        assert_eq!(gauge.get(), 0);
    }

    #[test]
    fn every_kind_has_a_counter_of_its_own() {
        let metrics = Metrics::default();
        for (index, kind) in Restart::ALL.into_iter().enumerate() {
            metrics.restarts.of(kind).add(index as u64);
        }
        let counts = Restart::ALL.map(|kind| metrics.restarts.of(kind).get());
        assert!(counts.iter().copied().eq(0..Restart::ALL.len() as u64));
    }
}
