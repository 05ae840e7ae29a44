//! ElectricSQL's server of Durable Streams, in both of its modes: with a log that is synced before anything is visible, and
//! with none.

use crate::process::{Process, get};
use anyhow::ensure;
use seawall::cli::bench::target::{
    HTTP_OK, Publisher, Setup, Subject, Subscription, Target, connect, loopback, post,
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
};

struct DurableStreams(Process);

pub fn subject(program: &Path, durable: bool) -> Subject {
    let program: PathBuf = program.to_owned();
    let (name, mode) = match durable {
        true => ("durable-streams", "wal"),
        false => ("durable-streams in memory", "memory"),
    };
    let start = move |setup: &Setup| -> anyhow::Result<Box<dyn Target>> {
        let process = Process::start(setup, |folder, port| {
            let mut command = Command::new(&program);
            command.args(["--port", &port.to_string(), "--durability", mode, "--data-dir"]);
            command.arg(folder.join("data"));
            Ok(command)
        })?;
        Ok(Box::new(DurableStreams(process)))
    };
    Subject { name, durable, start: Box::new(start) }
}

fn path(topic: usize) -> String {
    format!("/v1/stream/t{topic}")
}

impl DurableStreams {
    fn follow(&self, topic: usize, offset: &str) -> Subscription {
        Subscription {
            address: loopback(self.0.port),
            request: get(&format!("{}?live=sse&offset={offset}", path(topic))),
            ready: (b"upToDate", 1),
            http: true,
        }
    }
}

impl Target for DurableStreams {
    fn processes(&self) -> Vec<u32> {
        self.0.all()
    }

    fn prepare(&mut self, topics: usize) -> anyhow::Result<()> {
        let mut socket = TcpStream::connect(loopback(self.0.port))?;
        for topic in 0..topics {
            let path = path(topic);
            write!(
                socket,
                "PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                 Content-Length: 0\r\n\r\n"
            )?;
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                socket.read_exact(&mut byte)?;
                answer.push(byte[0]);
            }
            ensure!(answer.starts_with(HTTP_OK), "{}", String::from_utf8_lossy(&answer));
        }
        Ok(())
    }

    fn subscription(&self, topic: usize) -> Subscription {
        self.follow(topic, "now")
    }

    fn replay(&self, topic: usize) -> Option<Subscription> {
        Some(self.follow(topic, "-1"))
    }

    fn publishers(&mut self, producers: usize) -> anyhow::Result<Vec<Publisher>> {
        let publisher = |_| {
            let encode = |topic: usize, line: &[u8], out: &mut Vec<u8>| {
                let body = [b"\"", line, b"\""].concat();
                post(&path(topic), "Content-Type: application/json\r\n", &body, out);
            };
            let pipe = Box::new(connect(loopback(self.0.port))?);
            Ok(Publisher { pipe, encode: Box::new(encode), ack: Some(HTTP_OK), pipelined: 16 })
        };
        (0..producers).map(publisher).collect()
    }

    fn posters(&mut self, producers: usize) -> anyhow::Result<Vec<Publisher>> {
        let mut posters = self.publishers(producers)?;
        posters.iter_mut().for_each(|poster| poster.pipelined = 1);
        Ok(posters)
    }
}
