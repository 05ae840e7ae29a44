//! Disks that take nothing more, and take it again: by the kernel's own means, so that every error is a real one. What the
//! server makes of it is not looked at here.

use super::Process;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
};
use tempfile::TempDir;

/// How a server's disk is made full.
pub(crate) enum Disk {
    /// The server may not write to files any more (`RLIMIT_FSIZE`): an I/O error, for every user.
    Limit,
    /// Its data folder is a file system of its own, of a few megabytes, filled up: no space left on the device.
    Small(Mount),
}

/// Makes a disk for the server of a folder; None where that is not allowed.
type MakeDisk = fn(&Arc<TempDir>) -> Option<Disk>;

/// A mounted file system; unmounted at the end.
pub(crate) struct Mount {
    path: PathBuf,
    /// It cannot be removed before.
    _folder: Arc<TempDir>,
}

impl Disk {
    /// Both kinds, or the first alone where file systems may not be mounted.
    pub(crate) fn kinds() -> [MakeDisk; 2] {
        [|_| Some(Self::Limit), |folder| Mount::at(folder).map(Self::Small)]
    }

    /// A server on such a disk, which has space.
    pub(crate) async fn serve(&self, folder: Arc<TempDir>) -> Process {
        // Whoever sets such a limit ignores the signal, or the limit kills instead of refusing.
        let serve = Process::command(folder.path());
        let mut command = Command::new("sh");
        command
            .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
            .arg(serve.get_program())
            .args(serve.get_args())
            .env_remove("SEAWALL_CONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        Process::start_as(command, folder).await
    }

    pub(crate) fn fill(&self, server: &Process) {
        match self {
            Self::Limit => limit(server, Some(0)),
            Self::Small(mount) => {
                let mut rest = OpenOptions::new();
                let mut rest = rest.create(true).append(true).open(mount.ballast()).unwrap();
                while rest.write_all(&[0; 512]).is_ok() {}
            }
        }
    }

    pub(crate) fn free(&self, server: &Process) {
        match self {
            Self::Limit => limit(server, None),
            Self::Small(mount) => mount.free(),
        }
    }

    /// After the server's end.
    pub(crate) fn free_for_the_next(&self) {
        if let Self::Small(mount) = self {
            mount.free();
        }
    }
}

fn limit(server: &Process, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

impl Mount {
    /// Where the server of this folder has its data.
    fn at(folder: &Arc<TempDir>) -> Option<Self> {
        let path = folder.path().join("data");
        fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs"]).arg(&path);
        let mounted = mount.stderr(Stdio::null()).status();
        let is_mounted = mounted.is_ok_and(|status| status.success());
        is_mounted.then(|| Self { path, _folder: folder.clone() })
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }

    fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a server that a failed test has yet to end may still hold a file.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}
