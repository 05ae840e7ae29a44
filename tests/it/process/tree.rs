//! What becomes of all the processes below a guard.

use super::support::*;
use rustix::process::{Pid, Signal, kill_process};
use seawall::{
    process::{ChildSpec, GroupSignal, Marker, Order, sweep::sweep},
    supervise::End,
};
use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

#[actix::test]
async fn a_grandchild_that_holds_the_pipe_does_not_hold_the_exit() {
    let mut run = sh("sleep 1000 & echo bye; exit 5").await;
    let exit = run.exit().await;
    assert_eq!(exit.exit_code, Some(5));
    assert_eq!(names(&exit), ["sleep"]);
    assert!(!alive(exit.killed[0].pid));
    assert_eq!(run.stdout, ["bye"]);
}

#[actix::test]
async fn grandchildren_that_flee_by_setsid_and_double_fork_are_killed_and_listed() {
    let flee = "(sleep 1000 & echo $!; env -i sleep 1001 & echo $!) & exec tail -f /dev/null";
    let mut run = sh(&format!("setsid sh -c '{flee}' & echo $!; exec cat")).await;
    run.heard(3).await;
    let mut fled: Vec<u32> = run.stdout.iter().map(|pid| pid.parse().unwrap()).collect();
    fled.sort_unstable();
    run.order(Order::Kill);
    let exit = run.exit().await;
    assert_eq!(exit.signal, Some(9));
    let mut killed: Vec<_> = exit.killed.iter().map(|killed| killed.pid).collect();
    killed.sort_unstable();
    // The subshell in between may have had the time to end, or not.
    killed.retain(|pid| fled.contains(pid));
    assert_eq!(killed, fled);
    assert!(exit.killed.iter().all(|killed| !alive(killed.pid)));
}

#[actix::test]
async fn a_process_that_runs_from_its_pid_is_caught() {
    // It gives up by itself, so that a killed test leaves nothing behind, and takes its time: a flood of new pids wraps
    // around, and other tests would meet theirs again.
    let runner = "import os,select,time\nend=time.monotonic()+30\nprint('runs', flush=True)\nwhile time.monotonic()<end:\n  if os.fork(): os._exit(0)\n  select.select([],[],[],0.002)\n";
    let mut run = sh(&format!("setsid python3 -c \"{runner}\" & exec cat")).await;
    run.heard(1).await;
    run.order(Order::Kill);
    let exit = run.exit().await;
    assert_eq!(exit.signal, Some(9));
    assert!(names(&exit).contains(&"python3"), "{exit:?}");
}

#[actix::test]
async fn a_child_that_ignores_everything_is_killed() {
    let mut run = sh("trap '' INT TERM HUP QUIT; echo ready; kill -STOP $$; echo never").await;
    run.heard(1).await;
    run.order(Order::Signal(GroupSignal::Terminate));
    run.order(Order::Kill);
    assert_eq!(run.exit().await.signal, Some(9));
}

/// Scenario 78.
#[actix::test]
async fn the_death_of_the_guard_takes_the_tree_along_and_is_told() {
    let mut run =
        sh("setsid sleep 1000 & sleep 1001 & env -i sleep 1002 & echo ready; exec cat").await;
    run.heard(1).await;
    let guard = Pid::from_raw(parent(run.pid).try_into().unwrap()).unwrap();
    kill_process(guard, Signal::KILL).unwrap();
    let exit = run.exit().await;
    assert_eq!((exit.exit_code, exit.signal), (None, None));
    assert_eq!(exit.killed.len(), 3, "{exit:?}");
    assert!(run.failed[0].contains("guard"), "{:?}", run.failed);
    gone(run.pid).await;
    assert!(!alive(guard.as_raw_pid().try_into().unwrap()), "the guard was not reaped");
}

#[actix::test]
async fn a_transport_that_nobody_holds_ends_and_its_tree_with_it() {
    let mut run = sh("setsid sleep 1000 & echo $!; exec cat").await;
    run.heard(1).await;
    let grandchild = run.stdout[0].parse().unwrap();
    let guard = parent(run.pid);
    run.addr = None;
    assert_eq!(run.end.await, Ok(End::Stopped));
    for pid in [guard, run.pid, grandchild] {
        gone(pid).await;
    }
    // The guard is ours to reap, and is, though its transport is no more.
    while alive(guard) {
        tokio::task::yield_now().await;
    }
}

#[actix::test]
async fn a_panic_in_a_transport_ends_its_tree() {
    let mut run = sh("echo ready; read line; echo panic; exec sleep 1000").await;
    run.heard(1).await;
    let guard = parent(run.pid);
    run.prompt("m1", "go");
    assert!(matches!((&mut run.end).await, Ok(End::Panicked(_))));
    for pid in [guard, run.pid] {
        gone(pid).await;
    }
}

#[actix::test]
async fn a_child_is_born_into_a_clean_world() {
    let script = "read go; cat /proc/self/status /proc/self/environ; echo; ls /proc/self/fd; cut -d' ' -f1,5,6 /proc/$$/stat";
    let mut clean = spec("sh", &["-c", script]);
    clean.env.insert("SEAWALL_CHILD".into(), "forged".into());
    let marker = clean.marker;
    let mut run = spawned(clean).await;
    let guard = parent(run.pid);
    run.prompt("go", "go");
    assert_eq!(run.exit().await.exit_code, Some(0));
    let lines = |start: &str| -> Vec<&String> {
        run.stdout.iter().filter(|line| line.starts_with(start)).collect()
    };
    for field in ["SigIgn:", "SigBlk:", "SigCgt:"] {
        let mask = lines(field)[0].split_once('\t').unwrap().1;
        // Above 31 are the real-time signals, the first of which are the C library's own.
        let signals = u64::from_str_radix(mask, 16).unwrap() & 0x7fff_ffff;
        assert_eq!(signals, 0, "{field} {signals:x}");
    }
    let environ = lines("PATH=").into_iter().chain(lines("SEAWALL_CHILD=")).next().unwrap();
    let mut names: Vec<_> =
        environ.split('\0').filter_map(|variable| Some(variable.split_once('=')?.0)).collect();
    names.sort_unstable();
    // The shell adds PWD and such for its own children.
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    assert_eq!(names, ["PATH", "SEAWALL_CHILD"]);
    assert!(environ.contains(&format!("SEAWALL_CHILD={marker}\0")), "{environ}");
    let open: Vec<_> = run.stdout.iter().filter(|line| line.len() == 1).collect();
    assert_eq!(open, ["0", "1", "2", "3"], "3 is what ls itself reads");
    assert_eq!(*run.stdout.last().unwrap(), format!("{0} {0} {guard}", run.pid));
}

#[actix::test]
async fn a_child_of_another_account_has_its_rights_and_no_more() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let script =
        "id -u; id -g; id -G; echo again > /dev/stderr; setsid sleep 1000 & echo $!; exec cat";
    let mut run =
        spawned(ChildSpec { user: Some("nobody".into()), ..spec("sh", &["-c", script]) }).await;
    run.heard(4).await;
    assert_eq!(run.stdout[0], "65534");
    assert_eq!(run.stdout[1], run.stdout[2]);
    run.order(Order::Kill);
    let exit = run.exit().await;
    assert_eq!((exit.signal, exit.killed.len()), (Some(9), 1));
    assert_eq!(exit.stderr_tail, "again\n");
}

#[actix::test]
async fn after_many_rounds_there_is_no_zombie_and_no_leaked_descriptor() {
    async fn round(number: usize) {
        let mut run = sh("setsid sleep 1000 & echo ready; exec cat").await;
        run.heard(1).await;
        run.order(if !number.is_multiple_of(8) { Order::Kill } else { Order::CloseStdin });
        assert_eq!(run.exit().await.killed.len(), 1);
        assert!(!alive(run.pid));
    }
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    round(0).await;
    let before = descriptors();
    for number in 0..40 {
        round(number).await;
    }
    assert_eq!(descriptors(), before);
    let me = std::process::id();
    let children: Vec<_> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| alive(*pid) && parent(*pid) == me)
        .collect();
    assert_eq!(children, [0_u32; 0]);
}

#[actix::test]
async fn no_child_survives_a_server_that_is_killed() {
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process::tree::a_server_to_be_killed"])
        .args(["--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let line = lines.map(Result::unwrap).find(|line| line.contains(" runs ")).unwrap();
    let (_, pids) = line.split_once(" runs ").unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    for pid in pids.split(' ') {
        gone(pid.parse().unwrap()).await;
    }
}

#[actix::test]
#[ignore = "not a test: the server of the test above, which waits to be killed"]
async fn a_server_to_be_killed() {
    let mut run = sh("setsid sleep 1000 & echo $!; exec cat").await;
    run.heard(1).await;
    println!("it runs {} {} {}", parent(run.pid), run.pid, run.stdout[0]);
    std::future::pending().await
}

#[test]
fn a_sweep_kills_what_carries_the_marker_and_nothing_else() {
    let (ours, other) = (marker(), marker());
    let marked = |marker: Marker| {
        let mut command = Command::new("sleep");
        command.arg("1000").env("SEAWALL_CHILD", marker.to_string());
        command.spawn().unwrap()
    };
    let (mut first, mut second, mut third) = (marked(ours), marked(ours), marked(other));
    let mut killed: Vec<_> = sweep(ours.store).into_iter().map(|killed| killed.pid).collect();
    killed.sort_unstable();
    let mut expected = [first.id(), second.id()];
    expected.sort_unstable();
    assert_eq!(killed, expected);
    first.wait().unwrap();
    second.wait().unwrap();
    assert!(third.try_wait().unwrap().is_none());
    third.kill().unwrap();
    third.wait().unwrap();
    assert!(sweep(ours.store).is_empty());
}
