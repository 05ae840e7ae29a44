//! What a process holds: memory, descriptors, threads. What of it is too much, its test decides.

use std::fs;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) resident_kib: u64,
    /// Without the pages of files, its own program's above all, which the kernel takes away and brings back as it likes.
    pub(crate) anonymous_kib: u64,
    pub(crate) descriptors: usize,
    pub(crate) threads: u64,
}

impl Held {
    pub(crate) fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let number = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).expect("a line");
            let number = line.split_whitespace().nth(1).expect("a number");
            number.parse().expect("a number")
        };
        Self {
            resident_kib: number("VmRSS:"),
            anonymous_kib: number("RssAnon:"),
            descriptors: fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count(),
            threads: number("Threads:"),
        }
    }
}
