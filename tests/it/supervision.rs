//! Children that die, do not start, do not stop, or leave others behind: the session says so and goes on.

use crate::support::*;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, time::Duration};

fn pid_of(session: &Value) -> Pid {
    let pid = session["pid"].as_i64().expect("a pid");
    Pid::from_raw(i32::try_from(pid).expect("a small number")).expect("not zero")
}

fn alive(pid: u64) -> bool {
    fs::exists(format!("/proc/{pid}")).expect("/proc")
}

/// Makes a session on which this prompt, as `m1`, has said something.
async fn running(server: &Api, prompt: &str) -> (String, Sse) {
    let id = server.create("demo").await;
    server.send(&id, "m1", prompt).await;
    let mut log = server.follow(&id).await;
    log.events_until(is("agent.message")).await;
    (id, log)
}

// Scenario 60
#[tokio::test]
async fn a_child_killed_in_its_turn_leaves_nothing_open_and_the_next_message_works() {
    let server = Process::start("").await;
    let (id, mut log) = running(&server, "hang").await;
    kill_process(pid_of(&server.session(&id).await), Signal::KILL).unwrap();
    let events = log.events_until(is("transport.restarting")).await;
    let names: Vec<_> = types(&events);
    let expected = [
        "transport.exited",
        "agent.message",
        "turn.ended",
        "message.failed",
        "transport.restarting",
    ];
    assert_eq!(names, expected);
    assert_eq!(only(&events, "transport.exited")["signal"], 9);
    let closed = only(&events, "agent.message");
    assert_eq!((&closed["delta"], &closed["final"]), (&json!(""), &json!(true)));
    assert_eq!(only(&events, "turn.ended")["stop_reason"], "transport_lost");
    let failed = json!({ "message_id": "m1", "reason": "transport_lost", "uncertain": true });
    assert_eq!(*only(&events, "message.failed"), failed);

    server.send(&id, "m2", "and now").await;
    let events = log.events_until(turn_of("m2")).await;
    assert_eq!(only(&events, "turn.ended")["stop_reason"], "end_turn");
    let session = server.session(&id).await;
    assert_eq!((&session["run"], &session["restarts"]), (&json!(2), &json!(1)));
    // Uncertain is told, and never run again.
    let all = server.events(&id).await;
    assert_eq!(message_ids(&all, "message.dispatched"), ["m1", "m2"]);
}

// Scenario 60
#[tokio::test]
async fn each_end_of_a_child_is_told_as_it_was_and_the_waits_grow() {
    let server = Driven::start("").await;
    let id = server.create("demo").await;
    let mut log = server.follow(&id).await;
    let mut delays = Vec::new();
    for (message_id, prompt, exit_code, signal) in [
        ("m1", "crash", json!(1), Value::Null),
        ("m2", "crash 42", json!(42), Value::Null),
        ("m3", "crash signal", Value::Null, json!(9)),
    ] {
        server.send(&id, message_id, prompt).await;
        let events = log.events_until(is("transport.restarting")).await;
        let exited = only(&events, "transport.exited");
        assert_eq!((&exited["exit_code"], &exited["signal"]), (&exit_code, &signal));
        // The word that was cut off is kept, and its block is closed.
        assert_eq!(said(&events), "I am just about to cra");
        assert_eq!(of_type(&events, "agent.message").last().unwrap()["data"]["final"], true);
        assert_eq!(failure(&events, message_id).unwrap()["uncertain"], true);
        let restarting = only(&events, "transport.restarting");
        delays.push((restarting["attempt"].as_u64(), restarting["delay_ms"].as_u64().unwrap()));
        server.advance(Duration::from_secs(2));
        log.events_until(becomes("ACTIVE")).await;
    }
    let [(Some(1), first), (Some(2), second), (Some(3), third)] = delays[..] else {
        panic!("{delays:?}")
    };
    assert!((200..=400).contains(&first) && (400..=800).contains(&second), "{delays:?}");
    assert!((800..=1600).contains(&third), "{delays:?}");
}

#[tokio::test]
async fn an_agent_that_leaves_after_its_turn_is_completed_or_restarted_as_its_exit_and_profile_say()
{
    let mut profiles = demo_profile("never", "restart = \"never\"");
    profiles += &demo_profile("always", "restart = \"always\"");
    let server = Process::start(&profiles).await;
    for (agent, prompt, end) in [
        ("demo", "exit 0", Some("completed")),
        ("demo", "exit 3", None),
        ("never", "exit 0", Some("completed")),
        ("never", "exit 3", Some("error")),
        ("always", "exit 0", None),
    ] {
        let id = server.create(agent).await;
        server.send(&id, "m1", prompt).await;
        let mut log = server.follow(&id).await;
        let is_over =
            |event: &Value| becomes("ENDED")(event) || event["type"] == "transport.restarting";
        let events = log.events_until(is_over).await;
        let last = &events.last().unwrap()["data"];
        assert_eq!(last["reason"].as_str(), end, "{agent}: {prompt}");
        // The turn was over, so nothing is uncertain.
        assert_eq!(only(&events, "turn.ended")["stop_reason"], "end_turn");
        assert_eq!(message_ids(&events, "message.failed"), Vec::<&str>::new());
        assert_eq!(
            only(&events, "transport.exited")["exit_code"],
            prompt[5..].parse::<u8>().unwrap()
        );
    }
}

// Scenario 61
#[tokio::test]
async fn four_exits_end_the_session_others_never_notice_and_the_next_send_starts_afresh() {
    let server = Driven::start("").await;
    let (other, mut other_log) = running(&server, "slow 1000 5").await;
    let id = server.create("demo").await;
    let mut log = server.follow(&id).await;
    for message_id in ["m1", "m2", "m3"] {
        server.advance(Duration::from_secs(2));
        server.send(&id, message_id, "crash").await;
        log.events_until(is("transport.restarting")).await;
    }
    server.send(&id, "m4", "crash").await;
    server.send(&id, "m5", "never").await;
    server.advance(Duration::from_secs(2));
    let events = log
        .events_until(|event| event["data"]["message_id"] == "m5" && is("message.failed")(event))
        .await;
    assert_eq!(only(&events, "transport.gave_up")["attempt"], 4);
    assert!(events.iter().any(|event| ends("restart_limit")(event)));
    let failed = json!({ "message_id": "m5", "reason": "session_ended", "uncertain": false });
    assert_eq!(*failure(&events, "m5").unwrap(), failed);

    // Not a moment later on the clock, and still it has all its restarts again.
    server.send(&id, "m6", "crash").await;
    let events = log.events_until(is("transport.restarting")).await;
    assert_eq!(only(&events, "transport.restarting")["attempt"], 1);
    server.advance(Duration::from_secs(2));
    server.send(&id, "m7", "hello").await;
    log.events_until(turn_of("m7")).await;

    assert_eq!(server.session(&other).await["client_state"], "running");
    assert!(server.interrupt(&other).await);
    let events = other_log.events_until(turn_of("m1")).await;
    assert_eq!(events.last().unwrap()["run"], 1);
}

// Scenario 60
#[tokio::test]
async fn a_child_that_exits_in_its_handshake_is_restarted_by_policy_until_the_limit() {
    let profile = demo_profile("shy", "env = { DEMO_AGENT_HANDSHAKE = \"exit\" }");
    let settings = "[supervision]\nbackoff_min = \"1ms\"\nbackoff_max = \"2ms\"\n";
    let server = Process::start(&format!("{settings}{profile}")).await;
    let id = server.create("shy").await;
    server.send(&id, "m1", "hello").await;
    let events = server.until(&id, is("message.failed")).await;
    assert_eq!(of_type(&events, "transport.exited").len(), 4);
    for exited in of_type(&events, "transport.exited") {
        assert_eq!(exited["data"]["exit_code"], 1);
        let tail = exited["data"]["stderr_tail"].as_str().unwrap();
        assert!(tail.contains("exits in its handshake"), "{tail}");
    }
    assert_eq!(of_type(&events, "transport.started").len(), 0);
    assert!(events.iter().any(|event| ends("restart_limit")(event)));
    // It was never given to an agent.
    let failed = json!({ "message_id": "m1", "reason": "session_ended", "uncertain": false });
    assert_eq!(*only(&events, "message.failed"), failed);
}

#[tokio::test]
async fn a_start_that_cannot_work_fails_at_once_and_says_why() {
    let mut profiles = demo_profile("stranger", "env = { DEMO_AGENT_HANDSHAKE = \"auth\" }");
    profiles += &demo_profile("babbler", "env = { DEMO_AGENT_HANDSHAKE = \"garbage\" }");
    profiles += "[agents.nothing]\nprotocol = \"acp\"\ncommand = \"no-such-program\"\n";
    let server = Process::start(&profiles).await;
    for (agent, code, detail) in [
        ("stranger", "auth_required", "Demo login"),
        ("babbler", "handshake", "initialize"),
        ("nothing", "spawn", "no-such-program"),
    ] {
        let body = json!({ "agent": agent, "message": { "message_id": "m1", "text": "hello" } });
        let session = server.post("/v1/sessions", body).await.expect(201);
        let id = session["id"].as_str().unwrap();
        let events = server.until(id, is("message.failed")).await;
        let failed = only(&events, "transport.failed");
        assert_eq!(failed["code"], code, "{failed}");
        assert!(failed["detail"].as_str().unwrap().contains(detail), "{failed}");
        assert!(events.iter().any(|event| ends("start_failed")(event)), "{events:#?}");
        assert_eq!(of_type(&events, "transport.restarting").len(), 0);
        assert_eq!(only(&events, "message.failed")["reason"], "session_ended");
        let session = server.session(id).await;
        assert_eq!((&session["state"], &session["pid"]), (&json!("ENDED"), &Value::Null));
    }
}

#[tokio::test]
async fn a_handshake_that_is_never_answered_fails_after_a_minute() {
    let profile = demo_profile("mute", "env = { DEMO_AGENT_HANDSHAKE = \"hang\" }");
    let server = Driven::start(&profile).await;
    let id = server.create("mute").await;
    server.state(&id, "STARTING").await;
    eventually("the child is there", || !processes_in(server.folder.path()).is_empty());
    server.advance(Duration::from_millis(59_999));
    assert_eq!(server.session(&id).await["state"], "STARTING");
    server.advance(Duration::from_millis(1));
    let events = server.until(&id, ends("start_failed")).await;
    assert_eq!(only(&events, "transport.failed")["code"], "handshake");
    assert_no_process_in(server.folder.path());
}

// Scenario 66
#[tokio::test]
async fn a_stop_of_a_stalled_start_works_at_once() {
    let profile = demo_profile("mute", "env = { DEMO_AGENT_HANDSHAKE = \"hang\" }");
    let server = Driven::start(&profile).await;
    let id = server.create("mute").await;
    server.send(&id, "m1", "hello").await;
    eventually("the child is there", || !processes_in(server.folder.path()).is_empty());
    server.stop_session(&id, json!({})).await;
    // The clock stands: no rung's time passes.
    let events = server.until(&id, is("message.failed")).await;
    assert!(events.iter().any(|event| ends("stopped")(event)));
    assert_no_process_in(server.folder.path());

    // Nor does the wait before a restart hold it up.
    let id = server.create("demo").await;
    server.send(&id, "m1", "crash").await;
    server.until(&id, is("transport.restarting")).await;
    server.stop_session(&id, json!({})).await;
    server.until(&id, ends("stopped")).await;
}

// Scenario 66
#[tokio::test]
async fn each_rung_of_a_stop_is_an_event_with_its_share_of_the_grace() {
    let server = Driven::start("").await;
    let (id, mut log) = running(&server, "ignore-interrupt").await;
    server.stop_session(&id, json!({ "grace_ms": 1000 })).await;
    let share = Duration::from_millis(200);
    for (rung, deadline_ms) in [("cancel", 200), ("close_stdin", 200), ("sigint", 200)] {
        let events = log.events_until(is("transport.stopping")).await;
        let stopping = json!({ "rung": rung, "deadline_ms": deadline_ms });
        assert_eq!(*only(&events, "transport.stopping"), stopping);
        server.advance(share);
    }
    let events = log.events_until(becomes("ENDED")).await;
    let last = json!({ "rung": "sigterm", "deadline_ms": 400 });
    assert_eq!(*only(&events, "transport.stopping"), last);
    assert_eq!(only(&events, "transport.exited")["signal"], 15);
    assert_eq!(only(&events, "turn.ended")["stop_reason"], "transport_lost");
    assert!(
        ends("stopped")(events.last().unwrap())
            || events.iter().any(|event| ends("stopped")(event))
    );
    // A stop of what has ended is no error and no event.
    let before = server.events(&id).await;
    server.stop_session(&id, json!({})).await;
    assert_eq!(server.events(&id).await, before);
}

// Scenario 66
#[tokio::test]
async fn a_child_that_takes_every_signal_is_killed_with_the_last_rung() {
    let server = Driven::start("").await;
    let id = server.create("sh").await;
    let stubborn = "trap '' INT TERM; echo ready; while :; do sleep 1000; done";
    server.send(&id, "m1", stubborn).await;
    let mut log = server.follow(&id).await;
    log.events_until(is("agent.output")).await;
    server.stop_session(&id, json!({ "grace_ms": 100 })).await;
    for (rung, wait) in [("close_stdin", 20), ("sigint", 20), ("sigterm", 40), ("sigkill", 0)] {
        let events = log.events_until(is("transport.stopping")).await;
        assert_eq!(only(&events, "transport.stopping")["rung"], rung);
        server.advance(Duration::from_millis(wait));
    }
    let events = log.events_until(becomes("ENDED")).await;
    assert_eq!(only(&events, "transport.exited")["signal"], 9);
}

// Scenario 47
#[tokio::test]
async fn a_child_that_never_reads_fills_its_queue_and_nothing_else() {
    let sleeper =
        "[agents.sleeper]\nprotocol = \"lines\"\ncommand = \"sleep\"\nargs = [\"1000\"]\n";
    let server = Process::start(&format!("[sessions]\nmax_queued_messages = 3\n{sleeper}")).await;
    let (id, other) = (server.create("sleeper").await, server.create("demo").await);
    server.state(&id, "ACTIVE").await;
    // The pipe takes 64 KiB; the next message waits in the write, three more in the queue.
    let text = "x".repeat(60_000);
    let mut accepted = 0;
    let refused = loop {
        let answer = server.try_send(&id, &format!("m{accepted}"), &text).await;
        if answer.status != 202 {
            break answer;
        }
        accepted += 1;
        assert!(accepted < 10, "the queue never fills");
    };
    refused.refused(429, "queue_full");
    assert_eq!(server.session(&id).await["queued_messages"], 3);
    server.send(&other, "m1", "are you well").await;
    server.turn(&other, "m1").await;

    server.stop_session(&id, json!({ "grace_ms": 500 })).await;
    let waiting = format!("m{}", accepted - 1);
    let is_last = |event: &Value| {
        event["type"] == "message.failed" && event["data"]["message_id"] == waiting.as_str()
    };
    let events = server.until(&id, is_last).await;
    assert!(events.iter().any(|event| ends("stopped")(event)));
    let failed = of_type(&events, "message.failed");
    let uncertain: Vec<_> = failed.iter().map(|event| &event["data"]["uncertain"]).collect();
    // The one whose write was not complete may have been read in part; those in the queue were not.
    assert_eq!(uncertain, [true, false, false, false]);
}

// Scenario 47
#[tokio::test]
async fn a_deaf_agent_fills_its_queue_and_can_be_stopped() {
    let server = Process::start("[sessions]\nmax_queued_messages = 2").await;
    let (id, mut log) = running(&server, "deaf").await;
    server.send(&id, "m2", "x").await;
    server.send(&id, "m3", "x").await;
    server.try_send(&id, "m4", "x").await.refused(429, "queue_full");
    server.stop_session(&id, json!({ "grace_ms": 200 })).await;
    let events =
        log.events_until(|event| failure(std::slice::from_ref(event), "m3").is_some()).await;
    assert!(events.iter().any(|event| ends("stopped")(event)));
    // The cancel and the end of stdin went unheard; SIGINT did it.
    let rungs = of_type(&events, "transport.stopping");
    let rungs: Vec<_> = rungs.iter().map(|event| event["data"]["rung"].as_str().unwrap()).collect();
    assert_eq!(rungs[..3], ["cancel", "close_stdin", "sigint"]);
}

// Scenario 64
#[tokio::test]
async fn rounds_of_sessions_with_grandchildren_leave_no_process_and_no_descriptor() {
    let server = Process::start("").await;
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    let round = async || {
        let id = server.create("demo").await;
        server.send(&id, "m1", "fork").await;
        let text = said(&server.turn(&id, "m1").await);
        let pids: Vec<u64> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
        assert_eq!(pids.len(), 2, "{text}");
        assert!(pids.iter().all(|pid| alive(*pid)));
        server.stop_session(&id, json!({})).await;
        let events = server.look_until(&id, becomes("ENDED")).await;
        // When it says that it has ended, it has.
        assert!(!pids.iter().any(|pid| alive(*pid)), "{pids:?} outlived their session");
        assert_ne!(only(&events, "transport.exited")["killed"], json!([]));
    };
    round().await;
    let before = descriptors();
    for _ in 0..5 {
        round().await;
    }
    assert_eq!(processes_in(server.folder.path()), Vec::<u32>::new());
    // The tests' own connections come and go; pipes and sockets of children would stay.
    eventually("no descriptor is left", || descriptors() <= before);
    let zombies: BTreeSet<_> =
        fs::read_to_string(format!("/proc/{0}/task/{0}/children", server.pid()))
            .unwrap()
            .split_whitespace()
            .map(str::to_owned)
            .collect();
    assert_eq!(zombies, BTreeSet::new());
}

// Scenario 64
#[tokio::test]
async fn an_agent_that_signals_its_whole_group_takes_down_nobody_else() {
    let server = Process::start("").await;
    let (id, other) = (server.create("sh").await, server.create("sh").await);
    server.send(&id, "m1", "trap '' HUP; setsid sleep 1000 & kill -9 0").await;
    let events = server.until(&id, is("transport.restarting")).await;
    assert_eq!(only(&events, "transport.exited")["signal"], 9);
    server.send(&other, "m1", "echo unharmed").await;
    server.until(&other, |event| event["data"]["text"] == "unharmed").await;
    assert_eq!(server.session(&other).await["run"], 1);
}
