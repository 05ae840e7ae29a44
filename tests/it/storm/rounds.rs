//! Children with grandchildren, started and stopped again and again: what they leave behind in the process table and in the
//! server itself. What they say is not looked at.

use super::*;
use std::fs;

/// Rounds before the measurement: caches fill, threads start.
const WARM_UP: usize = 10;

const CONFIG: &str = "[sessions]\nmax_live = 10000\nclose_grace = \"1s\"\n";

/// The growth of the resident memory that is no leak, in KiB.
const GROWTH: u64 = 5 * 1024;

/// The server's children, zombies among them.
fn children(pid: u32) -> usize {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let of_task = |task: std::io::Result<fs::DirEntry>| {
        fs::read_to_string(task.ok()?.path().join("children")).ok()
    };
    tasks.filter_map(of_task).map(|children| children.split_whitespace().count()).sum()
}

async fn round(server: &Process) {
    let id = server.create("demo").await;
    server.send(&id, "m1", "fork").await;
    server.turn(&id, "m1").await;
    server.stop_session(&id, json!({})).await;
    server.look_until(&id, ends("stopped")).await;
}

/// Contract 9, "Nothing is left behind".
#[tokio::test]
async fn children_that_fork_come_and_go_and_leave_nothing_in_the_server_or_beside_it() {
    let rounds = size(40, 500);
    let server = Process::start(CONFIG).await;
    for _ in 0..WARM_UP {
        round(&server).await;
    }
    let quiet = || children(server.pid()) == 0 && processes_in(server.folder.path()).is_empty();
    let is_quiet = "no child, no zombie and no orphan is left";
    eventually(is_quiet, quiet);
    let before = Held::of(server.pid());
    for _ in 0..rounds {
        round(&server).await;
    }
    eventually(is_quiet, quiet);
    eventually("the descriptors are as before", || {
        Held::of(server.pid()).descriptors <= before.descriptors
    });
    let after = Held::of(server.pid());
    eprintln!(
        "{rounds} rounds: {} descriptors, then {}; {} KiB, then {}",
        before.descriptors, after.descriptors, before.resident_kib, after.resident_kib
    );
    assert!(after.resident_kib < before.resident_kib + GROWTH);
}
