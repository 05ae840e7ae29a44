//! Readers of one log while all that lies between goes wrong: lines late, lost, doubled and in any order, wake-ups lost,
//! pages old, the log pruned, streams cut and resumed. What each of these does alone is not tested here.

use super::replay::{Begin, Gap, Plan, Progress, has_fallen_behind, plan};
use crate::{
    domain::Seq,
    session::tail::{Live, Next, Paged, Tail},
    store::{Line, Page},
    wire::api::GapReason,
};
use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use std::{cell::RefCell, collections::VecDeque};

const CAP: u64 = 5;
const READERS: usize = 2;

/// What is committed: `first..=head`.
#[derive(Clone, Copy, Debug)]
struct Log {
    first: u64,
    head: u64,
}

impl Log {
    fn page(self, after: Seq, limit: u64) -> Page {
        let begin = self.first.max(after.0 + 1);
        let lines: Vec<_> = (begin..=self.head.min(begin + limit)).map(line).collect();
        let has_more = lines.last().is_some_and(|line| line.seq.0 < self.head);
        Page { lines, first: Seq(self.first), head: Seq(self.head), has_more }
    }
}

fn line(seq: u64) -> Line {
    Line { seq: Seq(seq), bytes: Bytes::new() }
}

/// A live side that answers once, with what it was told to.
#[derive(Debug, Default)]
struct Unreliable(RefCell<Option<Vec<Line>>>);

impl Live for Unreliable {
    fn lines_after(&self, _: Seq, _: usize, _: usize) -> Option<Vec<Line>> {
        self.0.take()
    }
}

/// What live delivery makes of the lines after `cursor`: only that they are committed can be relied on.
fn offered(kind: u8, cursor: u64, head: u64) -> Option<Vec<Line>> {
    let next = cursor + 1;
    let seqs: Vec<u64> = match kind % 10 {
        0 => return None,
        1 => vec![],
        2 | 3 => (next..next + 4).collect(),
        4 => (next + 1..next + 4).collect(),
        5 => (next..next + 3).flat_map(|seq| [seq, seq]).collect(),
        6 => (next..next + 3).chain(next..next + 4).collect(),
        7 => (cursor.saturating_sub(2)..next + 2).collect(),
        8 => (next..next + 3).rev().collect(),
        _ => vec![next, next + 2, next + 3],
    };
    Some(seqs.into_iter().filter(|seq| (1..=head).contains(seq)).map(line).collect())
}

#[derive(Clone, Copy, Debug)]
enum Frame {
    Event(u64),
    Gap(Gap, Plan),
}

/// A client with its stream, and the server's end of it.
#[derive(Debug)]
struct Reader {
    tail: Tail<Unreliable>,
    /// The head it was last woken for.
    upto: Seq,
    asked: Option<Seq>,
    page: Option<Page>,
    at_last_tick: Progress,
    wire: VecDeque<Frame>,
    /// The client has every event up to this one, but for those that gaps told of.
    seen: u64,
}

impl Reader {
    fn connect(begin: Begin, seen: u64, log: Log) -> Self {
        let plan = plan(begin, Seq(log.first), Seq(log.head), CAP);
        assert!(log.head - plan.cursor.0 <= CAP, "a replay storm: {plan:?} of {log:?}");
        let at_last_tick = Progress { cursor: plan.cursor, head: Seq(log.head) };
        let tail = Tail::new(Unreliable::default(), plan.cursor);
        let upto = Seq(log.head);
        let wire = plan.gap.map(|gap| Frame::Gap(gap, plan)).into_iter().collect();
        // A new watch knows nothing and is told nothing of what was before.
        let seen = if begin == Begin::Head { log.head } else { seen };
        Self { tail, upto, asked: None, page: None, at_last_tick, wire, seen }
    }

    /// The stream asks what comes next.
    fn looks(&mut self, offered: Option<Vec<Line>>) {
        self.tail.watch().0.replace(offered);
        match self.tail.next(self.upto, 100, 100) {
            Next::UpToDate => assert!(self.tail.cursor() >= self.upto, "it stalls: {self:?}"),
            Next::Lines(lines) => self.writes(lines),
            Next::Read { after } => self.asked = Some(after),
        }
        self.tail.watch().0.take();
    }

    fn writes(&mut self, lines: Vec<Line>) {
        for line in lines {
            assert!(line.seq <= self.upto, "{line:?} before its time: {self:?}");
            self.tail.take(&line);
            self.wire.push_back(Frame::Event(line.seq.0));
        }
    }

    fn reads(&mut self, log: Log, limit: u64) {
        if let Some(after) = self.asked.take() {
            self.page = Some(log.page(after, limit));
        }
    }

    fn has_read(&mut self, log: Log) {
        let Some(page) = self.page.take() else { return };
        match self.tail.page(page, self.upto) {
            Paged::Lines(lines) => self.writes(lines),
            Paged::Pruned { first } => {
                let plan = plan(Begin::After(self.tail.cursor()), first, Seq(log.head), CAP);
                self.skips(plan);
            }
        }
    }

    fn skips(&mut self, plan: Plan) {
        self.tail.jump(plan.cursor);
        self.wire.extend(plan.gap.map(|gap| Frame::Gap(gap, plan)));
    }

    fn ticks(&mut self, log: Log) {
        let now = Progress { cursor: self.tail.cursor(), head: Seq(log.head) };
        if has_fallen_behind(CAP, self.at_last_tick, now) {
            assert!(now.head.0 - now.cursor.0 > CAP);
            let (after, cursor) = (now.cursor, now.head);
            let missed = Some(cursor.0 - after.0);
            let reason = GapReason::ReplayCap;
            let gap = Gap { after: Some(after), missed, reason, history_after: after };
            self.skips(Plan { cursor, gap: Some(gap) });
        }
        self.at_last_tick = now;
        self.upto = now.head;
    }

    /// The oracle: the next event, or word of exactly what will not come and why.
    fn receives(&mut self, frames: usize, log: Log) {
        for frame in self.wire.drain(..frames.min(self.wire.len())) {
            match frame {
                Frame::Event(seq) => assert_eq!(seq, self.seen + 1, "a hole or a double"),
                Frame::Gap(gap, plan) => check_gap(gap, plan, self.seen, log),
            }
            self.seen = match frame {
                Frame::Event(seq) => seq,
                Frame::Gap(_, plan) => plan.cursor.0,
            };
        }
    }

    /// From here on the live side is dead, and everything else as it should be.
    fn settles(&mut self, log: Log) {
        self.upto = Seq(log.head);
        for _ in 0..=log.head {
            self.looks(None);
            self.reads(log, 100);
            self.has_read(log);
            self.receives(usize::MAX, log);
        }
        assert_eq!((self.seen, self.tail.cursor()), (log.head, Seq(log.head)), "{self:?}");
    }
}

fn check_gap(gap: Gap, plan: Plan, seen: u64, log: Log) {
    let cursor = plan.cursor.0;
    if gap.reason == GapReason::UnknownCursor {
        return assert_eq!((gap.after, gap.missed), (None, None));
    }
    assert_eq!(gap.after, Some(Seq(seen)), "{gap:?}");
    assert_eq!(gap.missed, Some(cursor.saturating_sub(seen)), "{gap:?}");
    match gap.reason {
        GapReason::CursorAhead => assert!(cursor < seen),
        GapReason::ReplayCap => assert!(cursor - seen > CAP && gap.history_after.0 == seen),
        _ => {
            let floor = gap.history_after.0;
            assert!(seen < floor && floor < log.first, "nothing was pruned: {gap:?} {log:?}");
            assert!(cursor == floor || cursor - floor > CAP, "it would have fitted: {plan:?}");
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Commit { events: u64, is_heard: bool },
    Prune(u64),
    Wake,
    Look(u8),
    Read(u64),
    PageArrives,
    Receive(usize),
    Tick,
    Cut(Comes),
}

/// How a client comes back.
#[derive(Clone, Copy, Debug)]
enum Comes {
    WhereItWas,
    AnywhereUpTo(u64),
    WithAForeignToken,
    Anew,
}

fn any_op() -> impl Strategy<Value = Op> {
    (0u8..32, any::<u8>()).prop_map(|(kind, how)| {
        let number = u64::from(how);
        match kind {
            0..5 => Op::Commit { events: 1 + number % 4, is_heard: how < 170 },
            5 => Op::Prune(number),
            6 => Op::Wake,
            7..17 => Op::Look(how),
            17..21 => Op::Read(number % 5),
            21..24 => Op::PageArrives,
            24..27 => Op::Receive(usize::from(how % 8)),
            27..29 => Op::Tick,
            _ => Op::Cut(match how {
                0..180 => Comes::WhereItWas,
                180..220 => Comes::AnywhereUpTo(number),
                220..240 => Comes::WithAForeignToken,
                _ => Comes::Anew,
            }),
        }
    })
}

fn happens(op: Op, to: usize, readers: &mut [Reader], log: &mut Log) {
    match op {
        Op::Commit { events, is_heard } => {
            log.head += events;
            if is_heard {
                readers.iter_mut().for_each(|reader| reader.upto = Seq(log.head));
            }
        }
        // Into nothing and beyond: a log may be empty and yet have a head.
        Op::Prune(upto) => log.first = log.first.max(1 + upto % (log.head + 1)),
        _ => happens_to(&mut readers[to], op, *log),
    }
}

fn happens_to(reader: &mut Reader, op: Op, log: Log) {
    match op {
        Op::Commit { .. } | Op::Prune(_) => {}
        Op::Wake => reader.upto = Seq(log.head),
        Op::Look(kind) => reader.looks(offered(kind, reader.tail.cursor().0, log.head)),
        Op::Read(limit) => reader.reads(log, limit),
        Op::PageArrives => reader.has_read(log),
        Op::Receive(frames) => reader.receives(frames, log),
        Op::Tick => reader.ticks(log),
        Op::Cut(comes) => {
            let (begin, seen) = match comes {
                Comes::WhereItWas => (Begin::After(Seq(reader.seen)), reader.seen),
                Comes::AnywhereUpTo(number) => {
                    let seen = number % (log.head + 4);
                    (Begin::After(Seq(seen)), seen)
                }
                Comes::WithAForeignToken => (Begin::Unknown, reader.seen),
                Comes::Anew => (Begin::Head, reader.seen),
            };
            *reader = Reader::connect(begin, seen, log);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_goes_wrong_each_reader_gets_every_event_once_in_order_or_is_told_of_the_gap(
        ops in vec((any_op(), 0..READERS), 0..40),
    ) {
        let mut log = Log { first: 1, head: 1 };
        let begin = Begin::After(Seq(0));
        let mut readers: Vec<_> = (0..READERS).map(|_| Reader::connect(begin, 0, log)).collect();
        for (op, to) in ops {
            happens(op, to, &mut readers, &mut log);
        }
        readers.iter_mut().for_each(|reader| reader.settles(log));
    }
}
