//! actix-web-lab with a channel for each stream: the program `lab` beside this one.

use crate::process::{Process, get};
use seawall::cli::bench::target::{
    HTTP_OK, Publisher, Setup, Subject, Subscription, Target, connect, loopback, post,
};
use std::process::Command;

struct Lab {
    process: Process,
    /// Lines that a producer may have on their way.
    pipelined: usize,
}

pub fn subject() -> Subject {
    started("actix-web-lab", 16)
}

/// Without a reader it keeps nothing and tells nobody: a handler of actix-web that does nothing.
pub fn bare() -> Subject {
    started("bare actix-web", 1)
}

fn started(name: &'static str, pipelined: usize) -> Subject {
    let start = move |setup: &Setup| -> anyhow::Result<Box<dyn Target>> {
        let process = Process::start(setup, |_, port| {
            let mut command = Command::new(std::env::current_exe()?.with_file_name("lab"));
            command.arg(port.to_string());
            Ok(command)
        })?;
        Ok(Box::new(Lab { process, pipelined }))
    };
    Subject { name, durable: false, start: Box::new(start) }
}

impl Target for Lab {
    fn processes(&self) -> Vec<u32> {
        self.process.all()
    }

    fn prepare(&mut self, _: usize) -> anyhow::Result<()> {
        Ok(())
    }

    fn subscription(&self, topic: usize) -> Subscription {
        let (address, request) = (loopback(self.process.port), get(&format!("/sub/t{topic}")));
        Subscription { address, request, ready: (b": hi", 1), http: true }
    }

    fn publishers(&mut self, producers: usize) -> anyhow::Result<Vec<Publisher>> {
        let publisher = |_| {
            let encode = |topic: usize, line: &[u8], out: &mut Vec<u8>| {
                post(&format!("/pub/t{topic}"), "Content-Type: text/plain\r\n", line, out);
            };
            let pipe = Box::new(connect(loopback(self.process.port))?);
            Ok(Publisher {
                pipe,
                encode: Box::new(encode),
                ack: Some(HTTP_OK),
                pipelined: self.pipelined,
            })
        };
        (0..producers).map(publisher).collect()
    }
}
