//! Redis: publish and subscribe, which keep nothing, and streams with `appendfsync always`, whose appends are durable.

use crate::process::Process;
use seawall::cli::bench::target::{
    Publisher, Setup, Subject, Subscription, Target, connect, loopback,
};
use std::{io::Write, process::Command};

struct Redis(Process);

/// The same server, with its log.
struct Durable(Redis);

pub fn subject() -> Subject {
    let start = |setup: &Setup| -> anyhow::Result<Box<dyn Target>> {
        Ok(Box::new(start(setup, &["--appendonly", "no"])?))
    };
    Subject { name: "redis", durable: false, start: Box::new(start) }
}

pub fn durable() -> Subject {
    let start = |setup: &Setup| -> anyhow::Result<Box<dyn Target>> {
        Ok(Box::new(Durable(start(setup, &["--appendonly", "yes", "--appendfsync", "always"])?)))
    };
    Subject { name: "redis XADD", durable: true, start: Box::new(start) }
}

fn start(setup: &Setup, options: &[&str]) -> anyhow::Result<Redis> {
    let process = Process::start(setup, |folder, port| {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--tcp-backlog", "4096", "--save", ""]);
        command.args(["--port", &port.to_string(), "--dir"]).arg(folder).args(options);
        Ok(command)
    })?;
    Ok(Redis(process))
}

/// A call as the protocol writes it.
fn call(words: &[&[u8]], out: &mut Vec<u8>) {
    // Writing to memory cannot fail.
    let _ = write!(out, "*{}\r\n", words.len());
    for word in words {
        let _ = write!(out, "${}\r\n", word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

impl Target for Redis {
    fn processes(&self) -> Vec<u32> {
        self.0.all()
    }

    fn prepare(&mut self, _: usize) -> anyhow::Result<()> {
        Ok(())
    }

    fn subscription(&self, topic: usize) -> Subscription {
        let mut request = Vec::new();
        call(&[b"SUBSCRIBE", format!("t{topic}").as_bytes()], &mut request);
        let (address, ready) = (loopback(self.0.port), (b"subscribe".as_slice(), 1));
        Subscription { address, request, ready, http: false }
    }

    fn publishers(&mut self, producers: usize) -> anyhow::Result<Vec<Publisher>> {
        let publisher = |_| {
            let encode = |topic: usize, line: &[u8], out: &mut Vec<u8>| {
                call(&[b"PUBLISH", format!("t{topic}").as_bytes(), line], out);
            };
            let (pipe, ack) = (Box::new(connect(loopback(self.0.port))?), Some(b":".as_slice()));
            Ok(Publisher { pipe, encode: Box::new(encode), ack, pipelined: usize::MAX })
        };
        (0..producers).map(publisher).collect()
    }
}

impl Target for Durable {
    fn processes(&self) -> Vec<u32> {
        self.0.processes()
    }

    fn prepare(&mut self, _: usize) -> anyhow::Result<()> {
        Ok(())
    }

    fn subscription(&self, topic: usize) -> Subscription {
        self.0.subscription(topic)
    }

    fn publishers(&mut self, producers: usize) -> anyhow::Result<Vec<Publisher>> {
        let publisher = |_| {
            let encode = |topic: usize, line: &[u8], out: &mut Vec<u8>| {
                call(&[b"XADD", format!("t{topic}").as_bytes(), b"*", b"line", line], out);
            };
            let pipe = Box::new(connect(loopback(self.0.0.port))?);
            // The answer is the new entry's id, as one string.
            let ack = Some(b"$".as_slice());
            Ok(Publisher { pipe, encode: Box::new(encode), ack, pipelined: 1 })
        };
        (0..producers).map(publisher).collect()
    }
}
