//! What the kernel says of processes: their time, their memory, and what the machine did meanwhile that is none of ours.

use anyhow::Context;
use std::{
    collections::{HashMap, HashSet},
    fs,
    time::Instant,
};

/// Linux counts processor time in hundredths of a second, whatever its own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

/// The parent of the kernel's own threads, which work for us.
const KERNEL: u32 = 2;

/// One process's line in /proc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// Its own ticks.
    ticks: u64,
    /// Those of its children that have ended and were waited for.
    children: u64,
}

/// Seconds of processor time so far, of these processes without their children.
pub(super) fn cpu(processes: &[u32]) -> anyhow::Result<f64> {
    let ticks = processes.iter().map(|pid| {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Ok(stat(&text).context("no time in /proc")?.ticks)
    });
    Ok(ticks.sum::<anyhow::Result<u64>>()? as f64 / TICKS_PER_SECOND)
}

/// Resident MiB of these processes together, now and at their highest.
pub(super) fn memory(processes: &[u32]) -> anyhow::Result<(f64, f64)> {
    let (mut now, mut highest) = (0, 0);
    for pid in processes {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        };
        now += kib("VmRSS:").context("no memory in /proc")?;
        highest += kib("VmHWM:").context("no memory in /proc")?;
    }
    Ok((now as f64 / 1024.0, highest as f64 / 1024.0))
}

/// A process and all below it.
pub fn tree(root: u32) -> Vec<u32> {
    let all = all();
    let mut tree: Vec<u32> = below(&all, root).into_iter().collect();
    tree.sort_unstable();
    tree
}

/// The whole machine's time and our part of it, at one moment.
#[derive(Debug)]
pub(super) struct Machine {
    at: Instant,
    busy: u64,
    ours: u64,
}

impl Machine {
    pub(super) fn now() -> Self {
        let all = all();
        let mut mine = below(&all, std::process::id());
        mine.extend(below(&all, KERNEL));
        // Of a process that has ended, its parent keeps the time.
        let ticks = |pid: &u32| all.get(pid).map_or(0, |stat| stat.ticks + stat.children);
        let ours = mine.iter().map(ticks).sum();
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        Self { at: Instant::now(), busy: busy(&text), ours }
    }

    /// How many cores others have used since.
    pub(super) fn others(&self) -> f64 {
        let now = Self::now();
        let busy = now.busy.saturating_sub(self.busy);
        let others = busy.saturating_sub(now.ours.saturating_sub(self.ours));
        others as f64 / TICKS_PER_SECOND / (now.at - self.at).as_secs_f64()
    }
}

fn all() -> HashMap<u32, Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Some((pid, stat(&fs::read_to_string(entry.path().join("stat")).ok()?)?))
        })
        .collect()
}

fn below(all: &HashMap<u32, Stat>, root: u32) -> HashSet<u32> {
    let mut tree = HashSet::from([root]);
    loop {
        let before = tree.len();
        let children = all.iter().filter(|(_, stat)| tree.contains(&stat.parent));
        let children: Vec<u32> = children.map(|(pid, _)| *pid).collect();
        tree.extend(children);
        if tree.len() == before {
            return tree;
        }
    }
}

fn stat(text: &str) -> Option<Stat> {
    // The name before may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let parent = fields.get(1)?.parse().ok()?;
    Some(Stat { parent, ticks: number(11)? + number(12)?, children: number(13)? + number(14)? })
}

/// User, nice and system; what interrupts took is nobody's, and on loopback it is part of sending.
fn busy(stat: &str) -> u64 {
    let line = stat.lines().next().unwrap_or_default();
    line.split_whitespace().skip(1).take(3).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_brackets_is_no_field() {
        let line = "7 (a) b (c) S 3 7 7 0 -1 4194304 1 0 0 0 11 22 33 44 20 0 1 0 5 6 7";
        assert_eq!(stat(line), Some(Stat { parent: 3, ticks: 33, children: 77 }));
        assert_eq!(stat("7 (a S 3"), None);
    }

    #[test]
    fn the_machine_is_busy_with_user_nice_and_system_time() {
        assert_eq!(busy("cpu  10 20 30 40 50 60 70\ncpu0 1 2 3 4\n"), 60);
    }

    #[test]
    fn a_tree_has_its_root_and_all_below() {
        let stat = |parent| Stat { parent, ticks: 0, children: 0 };
        let all = HashMap::from([(1, stat(0)), (2, stat(1)), (3, stat(2)), (4, stat(1))]);
        assert_eq!(below(&all, 2), HashSet::from([2, 3]));
    }
}
