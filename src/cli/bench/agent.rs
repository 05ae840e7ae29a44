//! `seawall bench-agent` and `seawall bench-limit`, hidden: the child of a session under measurement, which prints what the
//! measuring process hands it, and the least that a server can do for its readers. Nobody runs them by hand.

use anyhow::Context;
use std::{
    ffi::OsString,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    process::ExitCode,
    sync::mpsc,
};

/// The child's number, by which the measuring process knows it.
pub(super) const TOPIC_VARIABLE: &str = "BENCH_TOPIC";
/// What a bare reader is told once it is among those that are written to.
pub(super) const BARE_READY: &[u8] = b"ready\n";
/// One read of a bare publisher's lines, and so the most that is written at once.
const PIECE: usize = 64 * 1024;

/// Copies from the socket to stdout until the socket ends. It never reads stdin: what the session is sent, waits.
pub fn run(args: &[OsString]) -> ExitCode {
    ended("bench-agent", copy(args.get(2)))
}

fn copy(socket: Option<&OsString>) -> anyhow::Result<()> {
    let socket = socket.context("no socket was named")?;
    let topic = std::env::var(TOPIC_VARIABLE).unwrap_or_default();
    let mut lines = UnixStream::connect(socket).with_context(|| format!("{}", socket.display()))?;
    writeln!(lines, "{topic}")?;
    io::copy(&mut lines, &mut io::stdout())?;
    Ok(())
}

/// Listens on loopback and says where; writes what its publisher sends to all readers, one write for each of them.
pub fn limit() -> ExitCode {
    ended("bench-limit", serve_bare())
}

fn serve_bare() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    let (reader, readers) = mpsc::channel();
    let mut readers = Some(readers);
    loop {
        let (mut socket, _) = listener.accept()?;
        socket.set_nodelay(true)?;
        let mut kind = [0];
        socket.read_exact(&mut kind)?;
        if kind == *b"S" {
            let mut said = socket.try_clone()?;
            reader.send(socket)?;
            said.write_all(BARE_READY)?;
        } else if let Some(readers) = readers.take() {
            std::thread::spawn(move || write_to_all(socket, &readers));
        }
    }
}

fn write_to_all(mut lines: TcpStream, joining: &mpsc::Receiver<TcpStream>) -> io::Result<()> {
    let mut readers = Vec::new();
    let mut piece = vec![0; PIECE];
    loop {
        let length = lines.read(&mut piece)?;
        if length == 0 {
            return Ok(());
        }
        readers.extend(joining.try_iter());
        for reader in &mut readers {
            // A reader that has gone costs the others nothing.
            let _ = reader.write_all(&piece[..length]);
        }
    }
}

fn ended(name: &str, result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("seawall {name}: {error:#}; it is for `seawall bench` to run");
            ExitCode::FAILURE
        }
    }
}
