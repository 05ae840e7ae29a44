//! nats-server without JetStream: subjects that keep nothing, and publishing that nobody acknowledges.

use crate::process::Process;
use seawall::cli::bench::target::{
    Publisher, Setup, Subject, Subscription, Target, connect, loopback,
};
use std::{
    io::{Read, Write},
    process::Command,
};

const CONNECT: &str = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n";

struct Nats(Process);

pub fn subject() -> Subject {
    let start = |setup: &Setup| -> anyhow::Result<Box<dyn Target>> {
        let process = Process::start(setup, |_, port| {
            let mut command = Command::new("nats-server");
            command.args(["-a", "127.0.0.1", "-p", &port.to_string()]);
            Ok(command)
        })?;
        Ok(Box::new(Nats(process)))
    };
    Subject { name: "nats-server", durable: false, start: Box::new(start) }
}

impl Target for Nats {
    fn processes(&self) -> Vec<u32> {
        self.0.all()
    }

    fn prepare(&mut self, _: usize) -> anyhow::Result<()> {
        Ok(())
    }

    fn subscription(&self, topic: usize) -> Subscription {
        let request = format!("{CONNECT}SUB t{topic} 1\r\nPING\r\n").into_bytes();
        let (address, ready) = (loopback(self.0.port), (b"PONG".as_slice(), 1));
        Subscription { address, request, ready, http: false }
    }

    fn publishers(&mut self, producers: usize) -> anyhow::Result<Vec<Publisher>> {
        let publisher = |_| {
            let encode = |topic: usize, line: &[u8], out: &mut Vec<u8>| {
                // Writing to memory cannot fail.
                let _ = write!(out, "PUB t{topic} {}\r\n", line.len());
                out.extend_from_slice(line);
                out.extend_from_slice(b"\r\n");
            };
            let mut socket = connect(loopback(self.0.port))?;
            socket.set_nonblocking(false)?;
            socket.write_all(CONNECT.as_bytes())?;
            // What it says of itself.
            let _ = socket.read(&mut [0; 4096])?;
            socket.set_nonblocking(true)?;
            let (pipe, pipelined) = (Box::new(socket), usize::MAX);
            Ok(Publisher { pipe, encode: Box::new(encode), ack: None, pipelined })
        };
        (0..producers).map(publisher).collect()
    }
}
