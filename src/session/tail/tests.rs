//! A reader of a log in memory: what it is handed is contiguous, however it is offered. Waking up is not tested here.

use super::*;
use crate::{
    domain::{Body, Draft, Session, SessionId, Timestamp, event::OutputStream},
    store::{Append, Create, Entry, EventLog, PageFrom, PageQuery, memory::MemoryLog},
};
use bytes::Bytes;
use proptest::prelude::*;
use std::sync::Arc;
use tokio::sync::Notify;

const ALL: Seq = Seq(u64::MAX);

/// One session of a log in memory, and a watch on it.
struct Source {
    log: MemoryLog,
    session: SessionId,
    watch: Watch,
}

impl Source {
    /// With so many events before the watch, and the rest of them after.
    fn with(before: usize, after: usize) -> Self {
        let log = MemoryLog::new();
        let id = SessionId::from_uuid(uuid::Uuid::from_u128(1));
        let now = Timestamp::from_millis(0);
        let session = Session::new(id, "demo".into(), "/".into(), [0; 32], now);
        let create = Create { session, events: vec![output(0)], accept: None };
        log.create(create).wait().unwrap();
        append(&log, id, 1..before);
        let watch = log.watch(id, Arc::new(Notify::new())).wait().unwrap();
        append(&log, id, before..before + after);
        Self { log, session: id, watch }
    }

    fn tail(&self, cursor: u64) -> Tail {
        Tail::new(self.watch.clone(), Seq(cursor))
    }

    fn page(&self, after: u64, limit: usize) -> Page {
        let query = PageQuery {
            session: self.session,
            from: PageFrom::After(Seq(after)),
            limit,
            max_bytes: usize::MAX,
            types: Vec::new(),
        };
        self.log.page(query).wait().unwrap()
    }
}

fn output(number: usize) -> Entry {
    let body = Body::AgentOutput {
        stream: OutputStream::Stdout,
        text: number.to_string(),
        truncated: false,
    };
    Entry::new(&Draft { run: 1, ts: Timestamp::from_millis(0), body }, 1 << 20)
}

fn append(log: &MemoryLog, session: SessionId, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let events = vec![output(number)];
        log.append(Append { session, events, row: None, accept: None }).wait().unwrap();
    }
}

fn line(seq: u64) -> Line {
    Line { seq: Seq(seq), bytes: Bytes::new() }
}

fn made_page(first: u64, seqs: &[u64]) -> Page {
    let lines = seqs.iter().map(|seq| line(*seq)).collect();
    Page { lines, first: Seq(first), head: Seq(100), has_more: false }
}

fn seqs(lines: &[Line]) -> Vec<u64> {
    lines.iter().map(|line| line.seq.0).collect()
}

#[test]
fn what_is_in_memory_needs_no_storage_read() {
    let source = Source::with(1, 3);
    let Next::Lines(lines) = source.tail(1).next(ALL, 10, 10_000) else { panic!("no lines") };
    assert_eq!(seqs(&lines), [2, 3, 4]);
    assert_eq!(source.tail(4).next(Seq(4), 10, 10_000), Next::UpToDate);
    assert_eq!(source.log.pages_read(), 0);
}

#[test]
fn a_reader_that_is_at_the_asked_seq_gets_nothing_beyond_it() {
    let source = Source::with(1, 5);
    assert_eq!(source.tail(3).next(Seq(3), 10, 10_000), Next::UpToDate);
    let Next::Lines(lines) = source.tail(3).next(Seq(4), 10, 10_000) else { panic!("no lines") };
    assert_eq!(seqs(&lines), [4]);
}

#[test]
fn lines_come_in_batches_with_at_least_one_in_each() {
    let source = Source::with(1, 5);
    let batch = |max_lines, max_bytes| match source.tail(1).next(ALL, max_lines, max_bytes) {
        Next::Lines(lines) => seqs(&lines),
        other => panic!("{other:?}"),
    };
    assert_eq!(batch(2, 10_000), [2, 3]);
    assert_eq!(batch(10, 1), [2]);
}

#[test]
fn what_is_not_in_memory_is_read_from_the_log() {
    let source = Source::with(10, 2);
    let tail = source.tail(4);
    assert_eq!(tail.next(ALL, 10, 10_000), Next::Read { after: Seq(4) });
    let Paged::Lines(lines) = tail.page(source.page(4, 3), ALL) else { panic!("pruned") };
    assert_eq!(seqs(&lines), [5, 6, 7]);
}

#[test]
fn a_reader_whose_next_line_has_left_the_memory_reads_the_log_and_comes_back_to_it() {
    let source = Source::with(1, 1000);
    let mut tail = source.tail(1);
    let mut read = Vec::new();
    loop {
        let lines = match tail.next(Seq(1001), 100, 1 << 20) {
            Next::UpToDate => break,
            Next::Lines(lines) => lines,
            Next::Read { after } => match tail.page(source.page(after.0, 300), ALL) {
                Paged::Lines(lines) => lines,
                Paged::Pruned { first } => panic!("pruned up to {first}"),
            },
        };
        for line in lines {
            tail.take(&line);
            read.push(line.seq.0);
        }
    }
    assert_eq!(read, (2..=1001).collect::<Vec<_>>());
    let pages = source.log.pages_read();
    assert!((1..=4).contains(&pages), "{pages} pages");
}

#[test]
fn a_page_gives_only_what_comes_next_without_doubles_and_up_to_the_first_hole() {
    let source = Source::with(1, 0);
    let tail = source.tail(5);
    let check = |page: &[u64], upto: u64, expected: &[u64]| {
        let Paged::Lines(lines) = tail.page(made_page(1, page), Seq(upto)) else { panic!() };
        assert_eq!(seqs(&lines), expected, "{page:?} up to {upto}");
    };
    check(&[6, 7, 8], 100, &[6, 7, 8]);
    check(&[3, 4, 5, 6, 7], 100, &[6, 7]);
    check(&[6, 7, 9, 10], 100, &[6, 7]);
    check(&[5, 6, 6, 7, 5, 7, 8], 100, &[6, 7, 8]);
    check(&[7, 8], 100, &[]);
    check(&[6, 7, 8], 7, &[6, 7]);
    check(&[], 100, &[]);
}

#[test]
fn a_page_that_does_not_reach_back_to_the_cursor_says_where_the_log_begins() {
    let source = Source::with(1, 0);
    let tail = source.tail(5);
    assert_eq!(tail.page(made_page(7, &[7, 8]), ALL), Paged::Pruned { first: Seq(7) });
    assert_eq!(tail.page(made_page(6, &[6]), ALL), Paged::Lines(vec![line(6)]));
}

#[test]
fn the_cursor_moves_over_the_next_line_and_over_no_other() {
    let source = Source::with(1, 0);
    let mut tail = source.tail(5);
    for (taken, cursor) in [(7, 5), (6, 6), (6, 6), (5, 6), (7, 7)] {
        tail.take(&line(taken));
        assert_eq!(tail.cursor(), Seq(cursor), "after {taken}");
    }
    tail.jump(Seq(50));
    assert_eq!(tail.cursor(), Seq(50));
}

proptest! {
    /// Pages may begin and end anywhere and come at any time.
    #[test]
    fn whatever_is_offered_each_line_is_taken_once_and_in_order(
        pages in prop::collection::vec((0u64..40, 0u64..12, 0u64..50), 0..40),
    ) {
        let source = Source::with(1, 0);
        let mut tail = source.tail(0);
        let mut taken = Vec::new();
        for (begin, length, upto) in pages {
            let offered: Vec<_> = (begin + 1..=begin + length).collect();
            let Paged::Lines(lines) = tail.page(made_page(1, &offered), Seq(upto)) else { panic!() };
            for line in lines {
                prop_assert!(line.seq.0 <= upto);
                tail.take(&line);
                taken.push(line.seq.0);
            }
        }
        prop_assert_eq!(&taken, &(1..=tail.cursor().0).collect::<Vec<_>>());
    }
}
