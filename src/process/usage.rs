//! What processes take of the machine: this one, and trees of children. It looks and does nothing about it.

use super::procfs;
use rustix::{
    param::{clock_ticks_per_second, page_size},
    process::{Resource, getrlimit},
};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
};

/// What this process takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// User and system time together.
    pub cpu_seconds: f64,
    pub resident_bytes: u64,
    pub virtual_bytes: u64,
    pub threads: u64,
    pub open_files: u64,
    /// None: there is no limit.
    pub max_files: Option<u64>,
    /// Since 1970.
    pub started_seconds: f64,
}

/// None where `/proc` is not to be read.
pub fn own() -> Option<Usage> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may hold anything, from `state` on.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let seconds = |ticks: u64| ticks as f64 / clock_ticks_per_second() as f64;
    Some(Usage {
        cpu_seconds: seconds(number(11)? + number(12)?),
        resident_bytes: number(21)? * page_size() as u64,
        virtual_bytes: number(20)?,
        threads: number(17)?,
        // The listing has a descriptor of its own.
        open_files: (fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1),
        max_files: getrlimit(Resource::Nofile).current,
        started_seconds: booted()? + seconds(number(19)?),
    })
}

/// When the machine was started, in seconds since 1970.
fn booted() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

/// The memory of each of these processes together with all below it, in bytes. One that is gone is not named.
pub fn resident_of_trees(roots: &[u32]) -> BTreeMap<u32, u64> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for process in procfs::processes().unwrap_or_default() {
        children.entry(process.parent).or_default().push(process.pid);
    }
    let of_tree = |root: u32| {
        let own = resident(root)?;
        let mut below = children.get(&root).cloned().unwrap_or_default();
        let mut sum = own;
        // A pid that was given out anew meanwhile may stand below itself: nobody is counted twice.
        let mut seen = vec![root];
        while let Some(pid) = below.pop() {
            if !seen.contains(&pid) {
                seen.push(pid);
                sum += resident(pid).unwrap_or(0);
                below.extend(children.get(&pid).into_iter().flatten());
            }
        }
        Some((root, sum))
    };
    roots.iter().filter_map(|root| of_tree(*root)).collect()
}

fn resident(pid: u32) -> Option<u64> {
    let pages = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = pages.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{process::Command, time::SystemTime};

    #[test]
    fn this_process_has_taken_something() {
        let usage = own().unwrap();
        assert!(usage.resident_bytes > 100_000 && usage.virtual_bytes >= usage.resident_bytes);
        assert!(usage.threads >= 1 && usage.open_files >= 3, "{usage:?}");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        // The kernel's clocks may be a little apart.
        assert!((now - 3600.0..now + 5.0).contains(&usage.started_seconds), "{usage:?} at {now}");
    }

    #[test]
    fn a_tree_takes_what_all_in_it_take() {
        let me = std::process::id();
        let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let of = resident_of_trees(&[me, child.id()]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(of[&me] > of[&child.id()], "{of:?}");
        assert!(resident_of_trees(&[child.id()]).is_empty(), "it is gone");
    }
}
