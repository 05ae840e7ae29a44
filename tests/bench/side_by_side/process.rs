//! A server of another kind: its process, and the folder that goes with it.

use anyhow::Context;
use seawall::cli::bench::{
    target::{Setup, free_port, until_listening},
    tree,
};
use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

pub struct Process {
    child: Child,
    folder: PathBuf,
    pub port: u16,
}

impl Process {
    /// `command` is given a new folder and a free port.
    pub fn start(
        setup: &Setup,
        command: impl FnOnce(&PathBuf, u16) -> anyhow::Result<Command>,
    ) -> anyhow::Result<Self> {
        let port = free_port()?;
        let folder = setup.folder.join(format!("bench-peer-{port}"));
        fs::create_dir_all(&folder)?;
        let mut command = command(&folder, port)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn();
        let child = child.with_context(|| format!("cannot start {:?}", command.get_program()))?;
        let process = Self { child, folder, port };
        until_listening(port)?;
        Ok(process)
    }

    pub fn all(&self) -> Vec<u32> {
        tree(self.child.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Workers too: some masters wait for their connections before they end, and these have nothing to lose.
        let all = self.all().iter().map(u32::to_string).collect::<Vec<_>>();
        let _ = Command::new("kill").arg("-9").args(all).status();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A GET of a stream of events.
pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
        .into_bytes()
}
