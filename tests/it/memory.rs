//! A server that works for long holds as much as it held when it was warm: memory, descriptors, threads. What it answers
//! meanwhile is looked at elsewhere.

mod load;
mod samples;

use crate::support::{Held, Process};
use load::Load;
use samples::{Samples, median};
use std::{num::NonZeroU32, time::Duration};

/// Rounds of a run of all tests, and how many of them are warm-up: caches fill, threads start.
const ROUNDS: usize = 20;
const WARM_UP: usize = 8;

/// The growth of the memory in so few rounds that is no leak, in KiB.
const GROWTH: u64 = 5 * 1024;

/// The part of a long run that is warm-up: ten minutes of an hour.
const WARM_UP_PART: u32 = 6;

/// In MiB an hour, which has some ten thousand rounds, each with two sessions and a dozen streams that come and go: an
/// entry that a table keeps of each session is more than this.
const SLOPE_MAX: f64 = 2.0;

/// In a shorter run, what a server wavers by would be a slope.
const JUDGED: Duration = Duration::from_secs(30 * 60);

/// How long the run is to take: `SEAWALL_MEMORY_MINUTES`; None in a run of all tests.
fn duration() -> Option<Duration> {
    let minutes = std::env::var("SEAWALL_MEMORY_MINUTES").ok()?;
    let number: NonZeroU32 = minutes
        .parse()
        .unwrap_or_else(|_| panic!("SEAWALL_MEMORY_MINUTES={minutes} is no number of minutes"));
    Some(number.get() * Duration::from_secs(60))
}

#[tokio::test]
async fn memory_is_flat_under_a_mixed_load() {
    let server = Process::start(load::CONFIG).await;
    let mut load = Load::start(&server).await;
    match duration() {
        None => few_rounds(&server, &mut load).await,
        Some(time) => long_run(&server, &mut load, time).await,
    }
}

async fn few_rounds(server: &Process, load: &mut Load<'_>) {
    let mut samples = Samples::new(server.pid());
    for _ in 0..ROUNDS {
        load.round().await;
        samples.take();
    }
    let (warm_up, rest) = samples.all().split_at(WARM_UP);
    let before = warm_up[WARM_UP - 1].held;
    let after = rest[rest.len() - 1].held;
    eprintln!("after {WARM_UP} rounds {before:?}, after {ROUNDS} {after:?}");
    assert!(after.anonymous_kib < before.anonymous_kib + GROWTH, "{before:?}, then {after:?}");
    as_before(server, before).await;
}

async fn long_run(server: &Process, load: &mut Load<'_>, time: Duration) {
    let mut samples = Samples::new(server.pid());
    let mut minute = 0;
    while samples.elapsed() < time {
        load.round().await;
        samples.take();
        let now = samples.elapsed().as_secs() / 60;
        if now > minute {
            minute = now;
            eprintln!("minute {minute}: {} rounds, {:?}", samples.all().len(), samples.last());
        }
    }
    let warm = samples.after(time / WARM_UP_PART);
    let tenth = warm.len().div_ceil(10);
    let first = median(&warm[..tenth]);
    let last = median(&warm[warm.len() - tenth..]);
    let slope = samples::slope(warm, |held| held.anonymous_kib);
    let resident = samples::slope(warm, |held| held.resident_kib);
    eprintln!(
        "{} rounds in {} minutes; after the first {}: {slope:+.2} MiB/h, with files {resident:+.2}; from {first:?} to {last:?}",
        samples.all().len(),
        time.as_secs() / 60,
        (time / WARM_UP_PART).as_secs() / 60,
    );
    if time >= JUDGED {
        assert!(slope < SLOPE_MAX, "{slope:+.2} MiB/h are more than {SLOPE_MAX}");
        assert!(last.threads <= first.threads + 2, "{first:?}, then {last:?}");
    }
    as_before(server, first).await;
}

/// Waits until the server has no more descriptors than it had: connections that nobody uses are closed after a while.
async fn as_before(server: &Process, before: Held) {
    crate::support::within("the descriptors are as before", async {
        while Held::of(server.pid()).descriptors > before.descriptors {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
