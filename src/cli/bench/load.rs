//! One thread that publishes and reads everything, by epoll: a client that costs little, the same for every server. What
//! it waits for is in the plan; what it saw is counted line by line.

mod probe;
mod reader;
mod writer;

use super::{
    figures::{Figures, Times, rounded},
    meter,
    scan::Tally,
    target::{Publisher, Subscription, Target},
};
use anyhow::ensure;
pub(super) use probe::Probe;
use reader::Reader;
use rustix::{
    event::{Timespec, epoll},
    fd::OwnedFd,
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};
use writer::Writer;

/// So long nothing may come before it is given up.
const PATIENCE: Duration = Duration::from_secs(20);
/// What has taken so long is given up even if something comes.
const LIMIT: Duration = Duration::from_secs(30);
/// One read.
const SCRATCH: usize = 64 * 1024;

/// What is done to a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) topics: usize,
    /// Of each topic.
    pub(super) readers: usize,
    pub(super) producers: usize,
    /// How many lines of a producer may be on their way to readers.
    pub(super) window: usize,
    /// Bytes.
    pub(super) line: usize,
    /// Lines a second, evenly, instead of as many as the window allows.
    pub(super) rate: Option<f64>,
    /// How long it is measured, or how many lines are; before that a fifth of it warms up.
    pub(super) length: Length,
    /// No topic gets more lines than this.
    pub(super) each: u64,
    /// Further readers of the first topic, which read nothing until the end.
    pub(super) stalled: usize,
    /// Publishes in the way that is acknowledged. Without readers that is what is measured.
    pub(super) post: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Length {
    Time(Duration),
    Lines(u64),
}

/// What was seen of it.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) seconds: f64,
    pub(super) published: u64,
    /// Or acknowledged, where nobody reads.
    pub(super) delivered: u64,
    pub(super) is_posted: bool,
    pub(super) times: Times,
    pub(super) tally: Tally,
    /// What the stalled readers saw when they read on.
    pub(super) stalled: Tally,
    pub(super) cpu: f64,
    /// MiB of the server: before its readers came, when the last line was delivered, and at its highest.
    pub(super) memory: (f64, f64, f64),
}

/// Lines of a topic that some reader has not seen.
#[derive(Default)]
struct Topic {
    /// Of the first of them.
    first: u64,
    /// When each was sent, by which producer, and how many readers it has reached.
    under_way: VecDeque<(Instant, usize, usize)>,
}

pub(super) struct Load {
    plan: Plan,
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    readers: Vec<Reader>,
    writers: Vec<Writer>,
    by_topic: bool,
    topics: Vec<Topic>,
    /// Of each producer: its lines on their way, and which of its topics is next.
    producers: Vec<(usize, usize)>,
    published: u64,
    delivered: u64,
    times: Times,
    progress: Instant,
    scratch: Vec<u8>,
}

impl Plan {
    /// One topic, one producer; what differs is set beside it.
    pub(super) fn new(readers: usize, length: Length) -> Self {
        let (topics, producers, window) = (1, 1, 1);
        Self {
            topics,
            readers,
            producers,
            window,
            line: 256,
            rate: None,
            length,
            each: u64::MAX,
            stalled: 0,
            post: false,
        }
    }

    fn warm(&self) -> Length {
        match self.length {
            Length::Time(time) => Length::Time(time / 5),
            Length::Lines(lines) => Length::Lines(lines / 5),
        }
    }
}

/// Carries a plan out on a server whose topics are new.
pub(super) fn run(target: &mut dyn Target, plan: Plan) -> anyhow::Result<Outcome> {
    target.prepare(plan.topics)?;
    let mut load = Load::new(target, plan)?;
    let before = meter::memory(&target.processes())?.0;
    for topic in 0..plan.topics {
        (0..plan.readers).try_for_each(|_| load.read(target.subscription(topic), topic))?;
    }
    load.until(|load| load.readers.iter().all(Reader::is_ready))?;
    let healthy = load.readers.len();
    for _ in 0..plan.stalled {
        load.read(target.subscription(0), 0)?;
    }
    load.until(|load| load.readers.iter().all(Reader::is_ready))?;
    load.stall(healthy)?;
    load.publish_for(plan.warm())?;
    load.until(|load| load.is_drained())?;
    let mut outcome = Outcome { is_posted: plan.readers == 0, ..Outcome::default() };
    (load.published, load.delivered) = (0, 0);
    load.times.clear();
    let (cpu, start) = (meter::cpu(&target.processes())?, Instant::now());
    load.publish_for(plan.length)?;
    // With a window the last lines come within it; without one the rest counts as well.
    load.until(|load| load.is_drained())?;
    outcome.seconds = start.elapsed().as_secs_f64();
    outcome.cpu = meter::cpu(&target.processes())? - cpu;
    let (now, highest) = meter::memory(&target.processes())?;
    outcome.memory = (before, now, highest);
    (outcome.published, outcome.delivered) = (load.published, load.delivered);
    outcome.times = std::mem::take(&mut load.times);
    load.readers[..healthy].iter().for_each(|reader| outcome.tally.add(reader.scanner.tally));
    if plan.stalled > 0 {
        load.resume(healthy)?;
        load.readers[healthy..].iter().for_each(|reader| outcome.stalled.add(reader.scanner.tally));
    }
    Ok(outcome)
}

/// All these readers at once, until each is live and has so many lines of its topic; how long that takes.
pub(super) fn join(
    target: &dyn Target,
    subscriptions: Vec<Subscription>,
    lines: u64,
) -> anyhow::Result<Outcome> {
    let mut load = Load::empty(Plan::new(subscriptions.len(), Length::Lines(lines)))?;
    let before = meter::memory(&target.processes())?.0;
    let (cpu, start) = (meter::cpu(&target.processes())?, Instant::now());
    subscriptions.into_iter().try_for_each(|subscription| load.read(subscription, 0))?;
    let is_whole = |reader: &Reader| reader.is_ready() && reader.scanner.tally.lines >= lines;
    load.until(|load| load.readers.iter().all(is_whole))?;
    let mut outcome = Outcome { seconds: start.elapsed().as_secs_f64(), ..Outcome::default() };
    outcome.cpu = meter::cpu(&target.processes())? - cpu;
    let (now, highest) = meter::memory(&target.processes())?;
    outcome.memory = (before, now, highest);
    load.readers.iter().for_each(|reader| outcome.tally.add(reader.scanner.tally));
    outcome.delivered = outcome.tally.lines;
    Ok(outcome)
}

/// Puts so many lines into each topic, with nobody there to read; returns when the last has been acknowledged, or is in
/// its log where nothing is. The producers stay until this is dropped.
pub(super) fn fill(target: &mut dyn Target, topics: usize, lines: u64) -> anyhow::Result<Held> {
    target.prepare(topics)?;
    let held = print(target.publishers(topics)?, lines)?;
    target.settled(lines)?;
    Ok(held)
}

/// Has each of these print so many lines, each for a topic of its own.
pub(super) fn print(publishers: Vec<Publisher>, lines: u64) -> anyhow::Result<Held> {
    let topics = publishers.len();
    let mut plan = Plan::new(0, Length::Lines(lines * topics as u64));
    (plan.topics, plan.producers, plan.window, plan.each) = (topics, topics, usize::MAX, lines);
    let mut load = Load::empty(plan)?;
    publishers.into_iter().try_for_each(|publisher| load.write(publisher))?;
    load.publish_for(plan.length)?;
    load.until(|load| load.writers.iter().all(Writer::is_settled))?;
    Ok(Held(load))
}

/// Connections that nothing more is done with; they close when this is dropped.
pub(super) struct Held(Load);

/// Opens these and waits until they are live.
pub(super) fn hold(subscriptions: Vec<Subscription>) -> anyhow::Result<Held> {
    let mut load = Load::empty(Plan::new(subscriptions.len(), Length::Lines(0)))?;
    subscriptions.into_iter().try_for_each(|subscription| load.read(subscription, 0))?;
    load.until(|load| load.readers.iter().all(Reader::is_ready))?;
    Ok(Held(load))
}

impl Held {
    /// Reads what comes, for so long.
    pub(super) fn keep(&mut self, time: Duration) -> anyhow::Result<()> {
        let start = Instant::now();
        while start.elapsed() < time {
            self.0.progress = Instant::now();
            self.0.turn(time.saturating_sub(start.elapsed()))?;
        }
        Ok(())
    }
}

impl Load {
    fn empty(plan: Plan) -> anyhow::Result<Self> {
        Ok(Self {
            plan,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(1024),
            readers: Vec::new(),
            writers: Vec::new(),
            by_topic: false,
            topics: (0..plan.topics).map(|_| Topic { first: 1, ..Topic::default() }).collect(),
            producers: vec![(0, 0); plan.producers],
            published: 0,
            delivered: 0,
            times: Times::default(),
            progress: Instant::now(),
            scratch: vec![0; SCRATCH],
        })
    }

    fn new(target: &mut dyn Target, plan: Plan) -> anyhow::Result<Self> {
        let mut load = Self::empty(plan)?;
        load.by_topic = target.by_topic() && !plan.post;
        let publishers = match plan.post {
            true => target.posters(plan.producers)?,
            false => target.publishers(plan.producers)?,
        };
        publishers.into_iter().try_for_each(|publisher| load.write(publisher))?;
        Ok(load)
    }

    /// Takes one more publisher.
    fn write(&mut self, publisher: Publisher) -> anyhow::Result<()> {
        let writer = Writer::new(publisher);
        writer.register(&self.epoll, self.writers.len())?;
        self.writers.push(writer);
        Ok(())
    }

    /// Opens one more reader.
    fn read(&mut self, subscription: Subscription, topic: usize) -> anyhow::Result<()> {
        let reader = Reader::open(subscription, topic, self.plan.line)?;
        reader.register(&self.epoll, self.readers.len())?;
        self.readers.push(reader);
        Ok(())
    }

    fn publish_for(&mut self, length: Length) -> anyhow::Result<()> {
        let start = Instant::now();
        let before = self.published;
        loop {
            let now = Instant::now();
            let sent = self.published - before;
            ensure!(
                matches!(length, Length::Time(_)) || now - start < LIMIT,
                "it takes too long: {}",
                self.state()
            );
            let left = match length {
                Length::Time(time) if now - start >= time => return Ok(()),
                Length::Lines(lines) if sent >= lines => return Ok(()),
                Length::Time(_) => u64::MAX,
                Length::Lines(lines) => lines - sent,
            };
            let wait = match self.plan.rate {
                None => {
                    self.publish(left, now)?;
                    Duration::from_millis(50)
                }
                Some(rate) => {
                    let due = ((now - start).as_secs_f64() * rate) as u64 + 1;
                    self.publish(left.min(due.saturating_sub(sent)), now)?;
                    let next = Duration::from_secs_f64(due as f64 / rate);
                    (start + next).saturating_duration_since(Instant::now())
                }
            };
            self.turn(wait)?;
        }
    }

    /// As many lines as the windows and the connections have room for, and at most these; topics take turns.
    fn publish(&mut self, mut left: u64, now: Instant) -> anyhow::Result<()> {
        let producers = self.plan.producers;
        let topics = self.plan.topics;
        let mut idle = 0;
        let mut producer = self.published as usize % producers;
        while left > 0 && idle < producers {
            let (under_way, turn) = self.producers[producer];
            // A topic is one producer's: over two connections its lines could overtake each other.
            let place = producer + turn * producers;
            let (topic, turn) = if place < topics { (place, turn) } else { (producer, 0) };
            let writer = if self.by_topic { topic } else { producer };
            let state = &mut self.topics[topic];
            let number = state.first + state.under_way.len() as u64;
            let has_room = under_way < self.plan.window && self.writers[writer].has_room();
            if has_room && number <= self.plan.each {
                if self.plan.readers == 0 {
                    state.first += 1;
                } else {
                    state.under_way.push_back((now, producer, 0));
                    self.producers[producer].0 += 1;
                }
                self.producers[producer].1 = turn + 1;
                self.writers[writer].queue(topic, number, self.plan.line, now);
                self.published += 1;
                left -= 1;
                idle = 0;
            } else {
                idle += 1;
            }
            producer = (producer + 1) % producers;
        }
        for writer in &mut self.writers {
            writer.flush()?;
        }
        Ok(())
    }

    fn until(&mut self, done: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let start = Instant::now();
        self.progress = start;
        while !done(self) {
            ensure!(start.elapsed() < LIMIT, "it takes too long: {}", self.state());
            for writer in &mut self.writers {
                writer.flush()?;
            }
            self.turn(Duration::from_millis(20))?;
        }
        Ok(())
    }

    fn is_drained(&self) -> bool {
        self.topics.iter().all(|topic| topic.under_way.is_empty())
            && self.writers.iter().all(Writer::is_settled)
    }

    /// Waits for sockets at most so long, and takes what they have.
    fn turn(&mut self, wait: Duration) -> anyhow::Result<()> {
        // What a full pipe would not take is offered again soon.
        let stuck = self.writers.iter().any(Writer::is_stuck);
        let wait = if stuck { wait.min(Duration::from_millis(1)) } else { wait };
        let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
        self.events.clear();
        let events = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, events, Some(&wait)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if self.events.is_empty() {
            ensure!(self.progress.elapsed() < PATIENCE, "nothing comes any more: {}", self.state());
            return Ok(());
        }
        self.progress = Instant::now();
        for index in 0..self.events.len() {
            let data = self.events[index].data.u64();
            let place = (data >> 1) as usize;
            if data & 1 == 1 {
                let (acknowledged, took) = self.writers[place].acknowledged(&mut self.scratch)?;
                if self.plan.readers == 0 && acknowledged > 0 {
                    self.delivered += acknowledged as u64;
                    self.times.add_time(took);
                }
            } else {
                self.take(place)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, place: usize) -> anyhow::Result<()> {
        let Self { readers, scratch, topics, producers, times, delivered, plan, .. } = self;
        let reader = &mut readers[place];
        if reader.asks() {
            return reader.ask(&self.epoll, place);
        }
        let topic = &mut topics[reader.topic];
        let last = reader.scanner.last;
        let mut came = last;
        let now = reader.take(scratch, |number| came = number)?;
        // Of what was left out, the reader is not waited for.
        for number in last + 1..=came {
            let Some(index) = number.checked_sub(topic.first) else { continue };
            let Some(line) = topic.under_way.get_mut(index as usize) else { continue };
            line.2 += 1;
            *delivered += 1;
            times.add(u64::try_from((now - line.0).as_nanos()).unwrap_or(u64::MAX));
        }
        while topic.under_way.front().is_some_and(|line| line.2 >= plan.readers) {
            if let Some((_, producer, _)) = topic.under_way.pop_front() {
                producers[producer].0 -= 1;
            }
            topic.first += 1;
        }
        Ok(())
    }

    /// Readers from here on are not listened to any more.
    fn stall(&mut self, from: usize) -> anyhow::Result<()> {
        self.readers[from..].iter().try_for_each(|reader| reader.unregister(&self.epoll))
    }

    /// Those read on, until each has the last line, or is refused more.
    fn resume(&mut self, from: usize) -> anyhow::Result<()> {
        let last = self.topics[0].first - 1;
        for place in from..self.readers.len() {
            self.readers[place].register(&self.epoll, place)?;
            self.readers[place].may_end = true;
        }
        self.until(|load| {
            load.readers[from..].iter().all(|reader| reader.ended || reader.scanner.last >= last)
        })
    }

    fn state(&self) -> String {
        let ready = self.readers.iter().filter(|reader| reader.is_ready()).count();
        let said = self.writers.iter().find_map(Writer::said).unwrap_or_default();
        format!(
            "{ready} of {} readers are live, {} lines were published, {} delivered{said}",
            self.readers.len(),
            self.published,
            self.delivered
        )
    }
}

impl Outcome {
    pub(super) fn figures(&mut self) -> Figures {
        let mut figures = Figures::new();
        let mut note = |name: &str, value: f64| figures.insert(name.to_owned(), rounded(value));
        let lines = self.delivered.max(1) as f64;
        let rate = match self.is_posted {
            true => "acknowledged_per_second",
            false => "deliveries_per_second",
        };
        note(rate, (self.delivered as f64 / self.seconds).round());
        note("server_cpu_us", self.cpu * 1e6 / lines);
        note("server_cores", self.cpu / self.seconds);
        note("memory_mib", self.memory.1);
        note("memory_growth_mib", self.memory.1 - self.memory.0);
        note("memory_peak_mib", self.memory.2);
        let tally = self.tally;
        note("duplicates", (tally.duplicates + self.stalled.duplicates) as f64);
        note("order_errors", (tally.disordered + self.stalled.disordered) as f64);
        note("silent_gaps", (tally.holes + self.stalled.holes) as f64);
        note("told_gaps", (tally.gaps + self.stalled.gaps) as f64);
        if !self.times.is_empty() {
            self.times.note(&mut figures);
        }
        figures
    }
}
