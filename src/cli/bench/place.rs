//! The machine, and which of its folders lies on a disk.

use anyhow::{Context, bail};
use serde::Serialize;
use std::{
    env, fs,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// A file system that is in memory, by the number that the kernel has for it.
const TMPFS: i64 = 0x0102_1994;

#[derive(Clone, Debug, Serialize)]
pub(super) struct Place {
    pub(super) cores: usize,
    pub(super) processor: String,
    pub(super) memory_gib: f64,
    pub(super) kernel: String,
    /// Of the folder's file system.
    pub(super) file_system: String,
    pub(super) version: String,
}

impl Place {
    pub(super) fn of(folder: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.map(|rest| rest.trim_start_matches([' ', '\t', ':']).to_owned())
        };
        let kib = after(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
        let kib = kib.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok());
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: after(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
            memory_gib: (kib.unwrap_or_default() / 1024.0 / 1024.0).round(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            file_system: file_system(&read("/proc/self/mounts"), folder),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// The type of the file system that holds a folder: of all mounts above it the longest.
fn file_system(mounts: &str, folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let fields = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let above = fields.filter(|(point, _)| folder.starts_with(point));
    above.max_by_key(|(point, _)| point.len()).map_or_else(String::new, |(_, kind)| kind.to_owned())
}

/// A path that nothing else has: another measurement may run beside this one.
pub(super) fn fresh(folder: &Path) -> PathBuf {
    folder.join(format!("seawall-bench-{}", Uuid::new_v4()))
}

/// Makes such a folder.
pub(super) fn fresh_folder(parent: &Path) -> anyhow::Result<PathBuf> {
    let folder = fresh(parent);
    fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// Where there is a disk: what was asked for, else the first of the usual folders.
pub(super) fn folder(wanted: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(folder) = wanted {
        if is_memory(folder)? {
            bail!("{} is in memory; --folder must be on the disk to be measured", folder.display());
        }
        return Ok(folder.to_owned());
    }
    let usual = [env::temp_dir(), "/var/tmp".into(), env::current_dir()?];
    let on_disk = usual.into_iter().find(|folder| matches!(is_memory(folder), Ok(false)));
    on_disk.context("no temporary folder is on a disk; name one with --folder")
}

fn is_memory(folder: &Path) -> anyhow::Result<bool> {
    let stat = rustix::fs::statfs(folder)
        .with_context(|| format!("cannot use the folder {}", folder.display()))?;
    Ok(stat.f_type as i64 == TMPFS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_on_the_mount_that_is_nearest() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /nowhere/run tmpfs rw 0 0\nb /now btrfs rw 0 0\n";
        let of = |folder: &str| file_system(mounts, Path::new(folder));
        assert_eq!(of("/nowhere/run/x"), "tmpfs");
        assert_eq!(of("/nowhere/runs"), "ext4");
        assert_eq!(of("/now"), "btrfs");
    }

    #[test]
    fn what_is_in_memory_is_no_disk() {
        assert!(is_memory(Path::new("/dev/shm")).unwrap());
        assert!(folder(Some(Path::new("/dev/shm"))).is_err());
    }
}
