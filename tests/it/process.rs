//! Children, real ones: what goes through a transport, and how its run ends.

mod support;
mod tree;

use seawall::{
    domain::event::{Exit, TransportFault},
    process::{ChildSpec, GroupSignal, Happened, Order, child::Launcher, transport::Limits},
    supervise::End,
};
use std::fs;
use support::*;

#[actix::test]
async fn a_prompt_goes_through_the_child_and_closing_stdin_ends_it() {
    let mut run = spawned(spec("cat", &[])).await;
    run.prompt("m1", "hello\nworld");
    assert!(
        matches!(run.happened().await, Happened::Written { message_id } if message_id.as_str() == "m1")
    );
    run.heard(2).await;
    run.order(Order::CloseStdin);
    assert_eq!(run.exit().await, Exit { exit_code: Some(0), ..Exit::default() });
    assert_eq!(run.stdout, ["hello", "world"]);
    assert!(!alive(run.pid));
}

#[actix::test]
async fn an_exit_code_comes_with_all_output_and_the_tail_of_stderr() {
    let mut run = sh("seq 1 20000; echo oops >&2; exit 3").await;
    let exit = run.exit().await;
    assert_eq!((exit.exit_code, exit.signal), (Some(3), None));
    assert_eq!(exit.stderr_tail, "oops\n");
    assert_eq!(run.stderr, ["oops"]);
    assert_eq!(run.stdout.len(), 20_000);
    assert_eq!(run.stdout.last().unwrap(), "20000");
}

#[actix::test]
async fn a_child_that_dies_by_a_signal_says_which() {
    let mut run = sh("kill -SEGV $$").await;
    assert_eq!(run.exit().await, Exit { signal: Some(11), ..Exit::default() });
}

#[actix::test]
async fn group_signals_reach_the_child_as_if_typed() {
    let mut run = sh("trap 'echo int' INT; trap 'echo term; exit 0' TERM; echo ready; while :; do sleep 0.01; done").await;
    run.heard(1).await;
    run.order(Order::Signal(GroupSignal::Interrupt));
    run.heard(2).await;
    run.order(Order::Signal(GroupSignal::Terminate));
    assert_eq!(run.exit().await.exit_code, Some(0));
    assert_eq!(run.stdout, ["ready", "int", "term"]);
}

#[actix::test]
async fn a_kill_before_the_spawn_is_not_lost() {
    let mut run = start(spec("sleep", &["1000"]), guard());
    run.order(Order::Kill);
    assert!(matches!(run.next().await, Happened::Spawned { .. }));
    assert_eq!(run.exit().await.signal, Some(9));
}

#[actix::test]
async fn what_cannot_be_executed_is_said_and_why() {
    let not_a_folder = ChildSpec { cwd: "/no/such/folder".into(), ..spec("cat", &[]) };
    let no_account = ChildSpec { user: Some("no-such-account".into()), ..spec("cat", &[]) };
    let wrong_guard = Launcher { guard: "/no/such/guard".into() };
    let mute_guard = Launcher { guard: "/bin/true".into() };
    for (spec, launcher, expected) in [
        (spec("no-such-program", &[]), guard(), "cannot execute `no-such-program`: not found"),
        (
            spec("/etc/passwd", &[]),
            guard(),
            "cannot execute `/etc/passwd` in `/`: permission denied",
        ),
        (not_a_folder, guard(), "cannot run in `/no/such/folder`"),
        (no_account, guard(), "cannot run as `no-such-account`"),
        (spec("cat", &[]), wrong_guard, "cannot start the guard `/no/such/guard`"),
        (spec("cat", &[]), mute_guard, "the guard did not start the child"),
    ] {
        let mut run = start(spec, launcher);
        match run.next().await {
            Happened::SpawnFailed { code: TransportFault::Spawn, detail } => {
                assert!(detail.starts_with(expected), "{detail}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(run.end.await, Ok(End::Stopped));
    }
}

#[actix::test]
async fn a_line_that_means_nothing_is_told_as_a_sign_of_life() {
    let mut run = sh("echo nothing; exec sleep 1000").await;
    match run.next().await {
        Happened::Said { events, ack } => assert!(events.is_empty() && ack.is_some()),
        other => panic!("{other:?}"),
    }
    run.order(Order::Kill);
    assert_eq!(run.exit().await.signal, Some(9));
}

#[actix::test]
async fn a_child_that_never_reads_is_a_failure_and_is_killed() {
    let mut run = spawned(spec("sleep", &["1000"])).await;
    let text = "x".repeat(64 * 1024);
    for number in 0..Limits::default().stdin_writes + 2 {
        run.prompt(&format!("m{number}"), &text);
    }
    let exit = run.exit().await;
    assert_eq!(exit.signal, Some(9));
    assert_eq!(run.failed.len(), 1);
    assert!(run.failed[0].contains("does not read its stdin"), "{:?}", run.failed);
}

#[actix::test]
async fn a_child_that_closes_its_stdin_and_lives_is_a_failure() {
    let mut run = sh("exec <&-; echo closed; exec sleep 1000").await;
    run.heard(1).await;
    run.prompt("m1", "lost");
    while run.failed.is_empty() {
        run.listen().await;
    }
    assert!(run.failed[0].contains("closed its stdin"), "{:?}", run.failed);
    run.order(Order::Kill);
    assert_eq!(run.exit().await.signal, Some(9));
}

/// Scenario 65.
#[actix::test]
async fn a_line_of_100_mb_is_one_truncated_line_in_bounded_memory() {
    let peak = || -> usize {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let mut run = sh("head -c 100000000 /dev/zero | tr '\\0' x; echo; echo next").await;
    let before = peak();
    assert_eq!(run.exit().await.exit_code, Some(0));
    let lengths: Vec<_> = run.stdout.iter().map(String::len).collect();
    assert_eq!(lengths, [1 << 20, 4]);
    let grown = peak() - before;
    assert!(grown < 16 * 1024, "{grown} KiB more at the peak");
}

/// Scenario 65.
#[actix::test]
async fn a_million_lines_come_in_few_reports() {
    let mut run = sh("yes 0123456789 | head -n 1000000; yes e | head -n 100000 >&2").await;
    assert_eq!(run.exit().await.exit_code, Some(0));
    assert_eq!((run.stdout.len(), run.stderr.len()), (1_000_000, 100_000));
    assert!(run.said < 60_000, "{} reports", run.said);
}

#[actix::test]
async fn a_session_that_takes_nothing_makes_the_child_wait_and_loses_nothing() {
    let mut run = sh("seq 1 100000; echo end >&2").await;
    let mut held = Vec::new();
    while held.len() < 2 {
        match run.next().await {
            Happened::Said { events, ack } => {
                events.into_iter().for_each(|event| run.keep(event));
                held.push(ack);
            }
            other => panic!("{other:?}"),
        }
    }
    // The child is blocked in its write now or soon: it cannot have come to its last word, nor to its exit.
    assert!(run.reports.try_recv().is_err());
    drop(held);
    assert_eq!(run.exit().await.exit_code, Some(0));
    assert_eq!(run.stdout.len(), 100_000);
    assert_eq!(run.stderr, ["end"]);
}
