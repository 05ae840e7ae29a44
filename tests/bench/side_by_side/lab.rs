//! actix-web-lab with a channel for each stream: the program `lab` beside this one.

use crate::process::{Process, get};
use seawall::cli::bench::target::{
    HTTP_OK, Publisher, Setup, Subject, Subscription, Target, connect, loopback, post,
};
use std::process::Command;

struct Lab(Process);

pub fn subject() -> Subject {
    let start = |setup: &Setup| -> anyhow::Result<Box<dyn Target>> {
        let process = Process::start(setup, |_, port| {
            let mut command = Command::new(std::env::current_exe()?.with_file_name("lab"));
            command.arg(port.to_string());
            Ok(command)
        })?;
        Ok(Box::new(Lab(process)))
    };
    Subject { name: "actix-web-lab", durable: false, start: Box::new(start) }
}

impl Target for Lab {
    fn processes(&self) -> Vec<u32> {
        self.0.all()
    }

    fn prepare(&mut self, _: usize) -> anyhow::Result<()> {
        Ok(())
    }

    fn subscription(&self, topic: usize) -> Subscription {
        let (address, request) = (loopback(self.0.port), get(&format!("/sub/t{topic}")));
        Subscription { address, request, ready: (b": hi", 1), http: true }
    }

    fn publishers(&mut self, producers: usize) -> anyhow::Result<Vec<Publisher>> {
        let publisher = |_| {
            let encode = |topic: usize, line: &[u8], out: &mut Vec<u8>| {
                post(&format!("/pub/t{topic}"), "Content-Type: text/plain\r\n", line, out);
            };
            let pipe = Box::new(connect(loopback(self.0.port))?);
            Ok(Publisher { pipe, encode: Box::new(encode), ack: Some(HTTP_OK), pipelined: 16 })
        };
        (0..producers).map(publisher).collect()
    }
}
