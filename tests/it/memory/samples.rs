//! What a process held over time, and whether that grows: medians, and the slope of a straight line through it.

use crate::support::Held;
use std::time::{Duration, Instant};

#[derive(Clone, Copy)]
pub(super) struct Sample {
    at: Duration,
    pub(super) held: Held,
}

pub(super) struct Samples {
    pid: u32,
    start: Instant,
    taken: Vec<Sample>,
}

impl Samples {
    pub(super) fn new(pid: u32) -> Self {
        Self { pid, start: Instant::now(), taken: Vec::new() }
    }

    pub(super) fn take(&mut self) {
        self.taken.push(Sample { at: self.start.elapsed(), held: Held::of(self.pid) });
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub(super) fn all(&self) -> &[Sample] {
        &self.taken
    }

    pub(super) fn last(&self) -> Option<Held> {
        self.taken.last().map(|sample| sample.held)
    }

    /// Those that were taken later than this.
    pub(super) fn after(&self, time: Duration) -> &[Sample] {
        &self.taken[self.taken.partition_point(|sample| sample.at <= time)..]
    }
}

/// Each figure's own median: one that is high for a moment moves none.
pub(super) fn median(samples: &[Sample]) -> Held {
    fn middle<T: Ord + Copy>(samples: &[Sample], figure: impl Fn(&Held) -> T) -> T {
        let mut figures: Vec<T> = samples.iter().map(|sample| figure(&sample.held)).collect();
        figures.sort_unstable();
        figures[figures.len() / 2]
    }
    Held {
        resident_kib: middle(samples, |held| held.resident_kib),
        anonymous_kib: middle(samples, |held| held.anonymous_kib),
        descriptors: middle(samples, |held| held.descriptors),
        threads: middle(samples, |held| held.threads),
    }
}

/// The growth of one figure in KiB, as MiB an hour, by least squares.
pub(super) fn slope(samples: &[Sample], kib: impl Fn(&Held) -> u64) -> f64 {
    let count = samples.len() as f64;
    let hours = |sample: &Sample| sample.at.as_secs_f64() / 3600.0;
    let mib = |sample: &Sample| kib(&sample.held) as f64 / 1024.0;
    let middle_hour = samples.iter().map(hours).sum::<f64>() / count;
    let middle_mib = samples.iter().map(mib).sum::<f64>() / count;
    let (mut joint, mut spread) = (0.0, 0.0);
    for sample in samples {
        let apart = hours(sample) - middle_hour;
        joint += apart * (mib(sample) - middle_mib);
        spread += apart * apart;
    }
    joint / spread
}

#[test]
fn a_line_that_rises_by_three_mib_an_hour_has_that_slope() {
    let line = |kib_a_minute: u64, wave: u64| -> Vec<Sample> {
        let sample = |minute: u64| {
            let kib = 50_000 + minute * kib_a_minute + minute % 2 * wave;
            let held = Held { resident_kib: kib, anonymous_kib: 0, descriptors: 1, threads: 1 };
            Sample { at: Duration::from_secs(minute * 60), held }
        };
        (0..600).map(sample).collect()
    };
    for (kib_a_minute, wave, expected) in [(0, 0, 0.0), (0, 500, 0.0), (51, 0, 3.0), (51, 500, 3.0)]
    {
        let slope = slope(&line(kib_a_minute, wave), |held| held.resident_kib);
        assert!((slope - expected).abs() < 0.05, "{kib_a_minute} {wave}: {slope}");
    }
}
