//! Ending a server from outside, and changing what it finds when it starts again. Nothing here knows its API.

use super::{PATIENCE, Process, config_text};
use rustix::process::{Pid, Signal, kill_process};
use std::{fs, path::Path, process::ExitStatus, sync::Arc, time::Instant};
use tempfile::TempDir;

impl Process {
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Waits for the server's end while other tasks go on.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the server does not end: {}", self.log());
            tokio::task::yield_now().await;
        }
    }
}

/// Writes the configuration of the next server in this folder.
pub(crate) fn configure(folder: &Path, extra: &str) {
    fs::write(folder.join("seawall.toml"), config_text(folder, extra)).expect("a file");
}

/// A folder with a configuration, in which no server has run yet.
pub(crate) fn configured(extra: &str) -> Arc<TempDir> {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    configure(folder.path(), extra);
    folder
}
