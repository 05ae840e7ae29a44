//! What is behind: pages of history over HTTP against a static answer of the same server, and a cold replay of the whole
//! log out of the store.

use super::{
    figures::{Figures, Times, rounded},
    load, meter,
    run::Run,
    seawall::{SEAWALL, Seawall},
    server::Place,
    stored::{self, Folder},
};
use crate::{
    domain::Seq,
    store::{EventLog, PageFrom, PageQuery, sqlite::Durability},
};
use anyhow::{Context, ensure};
use rustix::fs::Advice;
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    time::Instant,
};

/// A page is 200 events, some 60 KB; so many of them are behind.
const PAGES: usize = 50;
const PAGE: u64 = 200;
const REQUESTS: usize = 1_000;
/// Pages, each on a connection of its own.
const ALONE: &str = "pages, a connection each";
/// A static answer.
const STATIC: &str = "/v1/openapi.json";
/// Of the log that is replayed.
const EVENTS: usize = 1_000_000;
const SESSIONS: u64 = 100;
/// One page of a replay.
const REPLAY_PAGE: usize = 1_000;

pub(super) fn measure(run: &mut Run) -> anyhow::Result<()> {
    pages(run)?;
    let events = run.count(EVENTS) as u64;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let folder = Folder::new(&run.setup)?;
    runtime.block_on(async {
        let log = folder.open(Durability::Normal)?;
        stored::make(&log, 0, SESSIONS, 0).await?;
        stored::fill(&log, SESSIONS, events).await?;
        anyhow::Ok(log.close().await?)
    })?;
    for round in 0..run.rounds {
        run.sample(("history", "cold replay"), "seawall store", round, |_| {
            drop_caches(&folder.0)?;
            runtime.block_on(replay(&folder))
        })?;
    }
    Ok(())
}

/// All events of all sessions, once.
async fn replay(folder: &Folder) -> anyhow::Result<Figures> {
    let log = folder.open(Durability::Normal)?;
    let own = [std::process::id()];
    let (cpu, start) = (meter::cpu(&own)?, Instant::now());
    let mut events = 0_u64;
    for number in 0..SESSIONS {
        let mut after = Seq(0);
        loop {
            let (session, from, types) = (stored::id(number), PageFrom::After(after), Vec::new());
            let max_bytes = 4 << 20;
            let query = PageQuery { session, from, limit: REPLAY_PAGE, max_bytes, types };
            let page = log.page(query).await?;
            events += page.lines.len() as u64;
            let Some(last) = page.lines.last() else { break };
            after = last.seq;
            if !page.has_more {
                break;
            }
        }
    }
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), meter::cpu(&own)? - cpu);
    log.close().await?;
    let mut figures = Figures::new();
    figures.insert("events_per_second".into(), (events as f64 / seconds).round());
    figures.insert("events_per_core_second".into(), (events as f64 / cpu.max(0.01)).round());
    Ok(figures)
}

fn pages(run: &mut Run) -> anyhow::Result<()> {
    let requests = run.count(REQUESTS);
    let mut server = Seawall::start(&run.setup, Place::Disk)?;
    let _child = load::fill(&mut server, 1, PAGES as u64 * PAGE)?;
    let session = server.sessions[0];
    let page = |number: usize| {
        let after = (number % PAGES) as u64 * PAGE;
        format!("/v1/sessions/{session}/events?after={after}&limit={PAGE}")
    };
    for round in 0..run.rounds {
        let server = &server;
        let mut ask = |case: &str, subject: &str, path: Path<'_>, count: usize| {
            let is_kept = case != ALONE;
            run.sample(("history", case), subject, round, |_| fetch(server, path, count, is_kept))
        };
        // A static answer needs no credential, and so its connection is not kept.
        ask(ALONE, "static answer", &|_| STATIC.into(), requests)?;
        ask(ALONE, SEAWALL, &page, requests)?;
        ask("pages on one connection", SEAWALL, &page, requests)?;
        ask("one page again", SEAWALL, &|_| page(3), requests)?;
        drop_caches(server.server.folder())?;
        ask("cold pages", SEAWALL, &page, PAGES)?;
    }
    Ok(())
}

/// The path of each request.
type Path<'a> = &'a dyn Fn(usize) -> String;

/// One request after the other, on one connection or each on its own.
fn fetch(server: &Seawall, path: Path<'_>, count: usize, is_kept: bool) -> anyhow::Result<Figures> {
    let connect = || TcpStream::connect(&server.server.address);
    let mut socket = connect()?;
    let (mut times, mut bytes) = (Times::default(), 0);
    let mut buffer = vec![0; 1 << 20];
    let cpu = server.server.cpu()?;
    let start = Instant::now();
    for number in 0..count {
        let begun = Instant::now();
        if !is_kept {
            socket = connect()?;
        }
        socket.write_all(&server.get(&path(number)).request)?;
        bytes += answer(&mut socket, &mut buffer)?;
        times.add_time(begun.elapsed());
    }
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), server.server.cpu()? - cpu);
    let mut figures = Figures::new();
    figures.insert("requests_per_second".into(), (count as f64 / seconds).round());
    figures.insert("answer_kib".into(), rounded(bytes as f64 / 1024.0 / count as f64));
    figures.insert("server_cpu_us".into(), rounded(cpu * 1e6 / count as f64));
    let (median, answer) = (times.micros(500), bytes as f64 / 1024.0 / count as f64);
    // A static answer of the page's own size does not exist; this is comparable all the same.
    figures.insert("p50_us_per_60_kib".into(), rounded(median * 60.0 / answer));
    times.note(&mut figures);
    Ok(figures)
}

/// Reads one answer, whose head says how long it is; its body's bytes.
fn answer(socket: &mut TcpStream, buffer: &mut [u8]) -> anyhow::Result<usize> {
    let mut length = 0;
    loop {
        let read = socket.read(&mut buffer[length..])?;
        ensure!(read > 0, "the server closed the connection");
        length += read;
        let text = String::from_utf8_lossy(&buffer[..length.min(2048)]).to_ascii_lowercase();
        let Some(end) = text.find("\r\n\r\n") else { continue };
        ensure!(text.starts_with("http/1.1 200"), "{}", &text[..end]);
        let body = text[..end].lines().find_map(|line| line.strip_prefix("content-length: "));
        let body: usize = body.context("no length")?.trim().parse()?;
        if length >= end + 4 + body {
            return Ok(body);
        }
    }
}

/// The files are read from the disk again.
fn drop_caches(folder: &std::path::Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() {
            let file = fs::File::open(&path)?;
            file.sync_all()?;
            rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}
