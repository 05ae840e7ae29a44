//! The limits that figures are held against: a log that is nothing but appends and fdatasync, sockets that are nothing but
//! written to.

use super::{
    agent::BARE_READY,
    figures::{Figures, Times, rounded},
    place::fresh,
    target::{self, Publisher, Setup, Subject, Subscription, Target, loopback},
};
use anyhow::Context;
use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

pub(super) const BARE_WRITES: &str = "bare writes";
/// What one event of 256 bytes takes in a log: its line.
const RECORD: usize = 300;
/// What is behind the log's head is there already and is written over, as in a log that is kept at its size.
const SEGMENT: u64 = 64 << 20;

/// Appends `batch` records at a time, each followed by fdatasync, for so long.
pub(super) fn log(folder: &Path, batch: usize, length: Duration) -> anyhow::Result<Figures> {
    let path = fresh(folder);
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let records = vec![b'x'; RECORD * batch];
    let (mut times, mut count) = (Times::default(), 0_u64);
    let start = Instant::now();
    while start.elapsed() < length {
        let begun = Instant::now();
        file.write_all(&records)?;
        file.sync_data()?;
        times.add_time(begun.elapsed());
        count += batch as u64;
    }
    let seconds = start.elapsed().as_secs_f64();
    fs::remove_file(&path)?;
    let mut figures = Figures::new();
    figures.insert("appends_per_second".into(), (count as f64 / seconds).round());
    figures.insert("syncs_per_second".into(), (times.len() as f64 / seconds).round());
    figures.insert("batch".into(), batch as f64);
    times.note(&mut figures);
    Ok(figures)
}

/// One record at a time, written over what the file has already: the least that a durable write takes here. With a `pause`
/// before each: a disk and a processor that rest in between take several times what they take without.
pub(super) fn sync(folder: &Path, pause: Duration, length: Duration) -> anyhow::Result<Figures> {
    use std::os::unix::fs::FileExt;
    let path = fresh(folder);
    let file = prepared(&path)?;
    let record = vec![b'x'; 4096];
    let (mut times, mut place) = (Times::default(), 0);
    let start = Instant::now();
    while start.elapsed() < length {
        thread::sleep(pause);
        let begun = Instant::now();
        file.write_all_at(&record, place)?;
        file.sync_data()?;
        times.add_time(begun.elapsed());
        place = (place + record.len() as u64) % SEGMENT;
    }
    let rate = times.len() as f64 / start.elapsed().as_secs_f64();
    fs::remove_file(&path)?;
    let mut figures = Figures::new();
    figures.insert("syncs_per_second".into(), rounded(rate));
    times.note(&mut figures);
    Ok(figures)
}

fn prepared(path: &Path) -> anyhow::Result<File> {
    let mut file = File::create(path)?;
    let zeros = vec![0; 1 << 20];
    for _ in 0..SEGMENT >> 20 {
        file.write_all(&zeros)?;
    }
    file.sync_all()?;
    Ok(file)
}

/// One write for each reader and nothing else: what no server that serves lines one by one can be below.
pub(super) fn subject() -> Subject {
    Subject {
        name: BARE_WRITES,
        durable: false,
        start: Box::new(|setup| Ok(Box::new(Bare::start(setup)?))),
    }
}

struct Bare {
    process: Child,
    port: u16,
}

impl Bare {
    fn start(setup: &Setup) -> anyhow::Result<Self> {
        let mut process =
            Command::new(&setup.program).arg("bench-limit").stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("its stdout is a pipe")?)
            .read_line(&mut line)?;
        Ok(Self { process, port: line.trim().parse().context("its port")? })
    }
}

impl Target for Bare {
    fn processes(&self) -> Vec<u32> {
        vec![self.process.id()]
    }

    fn prepare(&mut self, topics: usize) -> anyhow::Result<()> {
        anyhow::ensure!(topics == 1, "bare writes know one topic");
        Ok(())
    }

    fn subscription(&self, _: usize) -> Subscription {
        let address = loopback(self.port);
        Subscription { address, request: b"S".to_vec(), ready: (BARE_READY, 1), http: false }
    }

    fn publishers(&mut self, _: usize) -> anyhow::Result<Vec<Publisher>> {
        let mut socket = target::connect(loopback(self.port))?;
        socket.write_all(b"P")?;
        let encode = |_: usize, line: &[u8], out: &mut Vec<u8>| {
            let end = out.len() + RECORD;
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(line);
            out.resize(end.max(out.len() + 2), b'\n');
        };
        Ok(vec![Publisher {
            pipe: Box::new(socket),
            encode: Box::new(encode),
            ack: None,
            pipelined: usize::MAX,
        }])
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
