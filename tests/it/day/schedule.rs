//! What happens in a day, and when: a pure function of a seed. What comes of it is not known here.

use crate::support::Random;
use std::time::Duration;

pub(super) const SESSIONS: usize = 4;
pub(super) const READERS: usize = 4;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// One thing, this long after the one before it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) pause: Duration,
    pub(super) op: Op,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Op {
    Send {
        session: usize,
        text: &'static str,
        interrupt: bool,
    },
    /// A message that was sent before, once more.
    SendAgain {
        session: usize,
        which: usize,
    },
    /// Other content under an id that was used.
    SendOther {
        session: usize,
        which: usize,
    },
    /// The client is gone before the reply comes.
    SendUnheard {
        session: usize,
        text: &'static str,
    },
    Withdraw {
        session: usize,
        which: usize,
    },
    Interrupt(usize),
    Stop(usize),
    Resume(usize),
    Answer {
        session: usize,
        option: &'static str,
    },
    Open {
        reader: usize,
        place: Place,
    },
    Cut(usize),
    /// The agent gets the time for so many events, if it is at work.
    Work {
        session: usize,
        events: u64,
    },
    Suspend(usize),
    Read(usize),
    Tick,
    /// The server crashes while this many messages are on their way.
    Crash {
        amid: usize,
    },
}

/// Where a stream begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    /// By the id of the last frame.
    Token,
    /// By the number of the last event.
    After,
    Head,
}

const TEXTS: [&str; 13] = [
    "hello you",
    "hello you",
    "slow 3 2",
    "tool",
    "think",
    "ask",
    "ask",
    "crash",
    "crash signal",
    "exit 0",
    "hang",
    "flood 30",
    "flood 600",
];

fn pause(random: &mut Random) -> Duration {
    let millis = match random.below(100) {
        0..50 => random.below(100),
        50..75 => random.below(10_000),
        75..95 => random.below(300_000),
        95..99 => random.below(3_600_000),
        _ => random.below(6 * 3_600_000),
    };
    Duration::from_millis(millis)
}

fn op(random: &mut Random) -> Op {
    let session = usize::try_from(random.below(SESSIONS as u64)).expect("an index");
    let reader = usize::try_from(random.below(READERS as u64)).expect("an index");
    let which = usize::try_from(random.below(1000)).expect("an index");
    let text = random.of(&TEXTS);
    match random.below(100) {
        0..24 => Op::Send { session, text, interrupt: random.below(4) == 0 },
        24..32 => Op::SendAgain { session, which },
        32..34 => Op::SendOther { session, which },
        34..38 => Op::SendUnheard { session, text },
        38..40 => Op::Withdraw { session, which },
        40..43 => Op::Interrupt(session),
        43..45 => Op::Stop(session),
        45..46 => Op::Resume(session),
        46..54 => Op::Work { session, events: random.of(&[1, 5, 20, 100, 700]) },
        54..58 => Op::Answer { session, option: random.of(&["once", "no"]) },
        58..69 => {
            let place = random.of(&[Place::Token, Place::Token, Place::After, Place::Head]);
            Op::Open { reader, place }
        }
        69..75 => Op::Cut(reader),
        75..78 => Op::Suspend(reader),
        78..92 => Op::Read(reader),
        92..98 => Op::Tick,
        _ => Op::Crash { amid: usize::try_from(random.below(6)).expect("a few") },
    }
}

/// A day's steps.
pub(super) fn schedule(seed: u64) -> Vec<Step> {
    let mut random = Random::new(seed);
    let mut steps = Vec::new();
    let mut time = Duration::ZERO;
    while time < DAY {
        let pause = pause(&mut random);
        time += pause;
        steps.push(Step { pause, op: op(&mut random) });
    }
    steps
}

#[test]
fn the_same_seed_makes_the_same_day_and_another_seed_another() {
    assert_eq!(schedule(1), schedule(1));
    assert_ne!(schedule(1), schedule(2));
}
