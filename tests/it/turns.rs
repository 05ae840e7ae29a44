//! Interrupts: of turns that listen, of turns that do not, and of children that cannot.

use crate::support::*;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::time::Duration;

const STEP: Duration = Duration::from_secs(5);

/// Makes a session on which this prompt, as `m1`, has said something.
async fn running(server: &Api, prompt: &str) -> (String, Sse) {
    let id = server.create("demo").await;
    server.send(&id, "m1", prompt).await;
    let mut log = server.follow(&id).await;
    log.events_until(is("agent.message")).await;
    (id, log)
}

// Scenario 56
#[tokio::test]
async fn an_interrupted_turn_ends_as_cancelled_and_the_follow_up_is_the_next_input() {
    let server = Process::start("").await;
    let (id, mut log) = running(&server, "slow 1000 10").await;
    assert!(server.interrupt(&id).await);
    server.send(&id, "m2", "what did you do").await;
    let events = log.events_until(turn_of("m2")).await;
    let order: Vec<_> = types(&events)
        .into_iter()
        .filter(|name| name.starts_with("interrupt.") || name.starts_with("turn."))
        .collect();
    let expected =
        ["interrupt.requested", "turn.ended", "interrupt.completed", "turn.started", "turn.ended"];
    assert_eq!(order, expected);
    assert_eq!(of_type(&events, "turn.ended")[0]["data"]["stop_reason"], "cancelled");
    assert_eq!(of_type(&events, "turn.ended")[1]["data"]["stop_reason"], "end_turn");
    assert_eq!(server.session(&id).await["run"], 1);
}

#[tokio::test]
async fn an_interrupt_of_nothing_is_no_event() {
    let server = Process::start("").await;
    let id = server.create("demo").await;
    let before = server.state(&id, "ACTIVE").await;
    assert!(!server.interrupt(&id).await);
    server.stop_session(&id, json!({})).await;
    let events = server.until(&id, ends("stopped")).await;
    assert!(!server.interrupt(&id).await);
    assert_eq!(of_type(&events, "interrupt.requested").len(), 0);
    assert_eq!(events[..before.len()], before);
    assert_eq!(server.events(&id).await, events);
}

#[tokio::test]
async fn a_second_interrupt_joins_the_first() {
    let server = Driven::start("").await;
    let (id, mut log) = running(&server, "ignore-interrupt").await;
    let (first, second) = tokio::join!(server.interrupt(&id), server.interrupt(&id));
    assert!(first && second);
    let urgent = json!({ "message_id": "m2", "text": "listen", "interrupt": true });
    server.post_message(&id, urgent).await.expect(202);
    server.advance(STEP);
    let events = log.events_until(is("interrupt.failed")).await;
    assert_eq!(of_type(&events, "interrupt.requested").len(), 1);
}

// Scenario 58
#[tokio::test]
async fn an_interrupt_that_is_ignored_grows_to_sigint_and_to_a_restart() {
    let server = Driven::start("").await;
    let (id, mut log) = running(&server, "ignore-interrupt").await;
    let pid = server.session(&id).await["pid"].clone();
    server.send(&id, "m2", "listen").await;
    assert!(server.interrupt(&id).await);
    log.events_until(is("interrupt.requested")).await;
    server.advance(STEP);
    let events = log.events_until(is("interrupt.failed")).await;
    assert_eq!(only(&events, "interrupt.failed")["escalated_to"], "sigint");
    server.advance(STEP);
    let events = log.events_until(is("transport.restarting")).await;
    assert_eq!(only(&events, "interrupt.failed")["escalated_to"], "restart");
    assert_eq!(only(&events, "transport.exited")["signal"], 9);
    assert_eq!(only(&events, "turn.ended")["stop_reason"], "transport_lost");
    assert_eq!(failure(&events, "m1").unwrap()["uncertain"], true);

    server.advance(Duration::from_secs(10));
    let events = log.events_until(turn_of("m2")).await;
    assert_eq!(message_ids(&events, "message.dispatched"), ["m2"]);
    assert_ne!(server.session(&id).await["pid"], pid);
    assert_eq!(of_type(&server.events(&id).await, "interrupt.completed").len(), 0);
}

// Scenario 58
#[tokio::test]
async fn an_interrupt_does_not_grow_before_its_time() {
    let server = Driven::start("").await;
    let (id, mut log) = running(&server, "ignore-interrupt").await;
    assert!(server.interrupt(&id).await);
    let requested = log.events_until(is("interrupt.requested")).await;
    server.advance(STEP - Duration::from_millis(1));
    // The session has seen the time: what it does now it does after the tick that was not due.
    server.send(&id, "m2", "wait").await;
    server.advance(Duration::from_millis(1));
    let events = log.events_until(is("interrupt.failed")).await;
    let names: Vec<_> =
        types(&events).into_iter().filter(|name| *name != "agent.message").collect();
    assert_eq!(names, ["user.message", "interrupt.failed"]);
    let millis = |event: &serde_json::Value| -> jiff::Timestamp {
        event["ts"].as_str().expect("a time").parse().expect("a time")
    };
    let waited = millis(events.last().unwrap()).duration_since(millis(requested.last().unwrap()));
    assert_eq!(waited.as_millis(), 5000);
}

// Scenario 57
#[tokio::test]
async fn a_sigint_of_ours_that_ends_the_agent_with_0_is_a_restart_and_no_completion() {
    let server = Driven::start("").await;
    // It reads its stdin no more, so the cancel goes unheard.
    let (id, mut log) = running(&server, "deaf").await;
    server.send(&id, "m2", "and now").await;
    assert!(server.interrupt(&id).await);
    log.events_until(is("interrupt.requested")).await;
    server.advance(STEP);
    let events = log.events_until(is("transport.restarting")).await;
    assert_eq!(only(&events, "interrupt.failed")["escalated_to"], "sigint");
    assert_eq!(only(&events, "turn.ended")["stop_reason"], "cancelled");
    assert_eq!(of_type(&events, "interrupt.completed").len(), 1);
    assert_eq!(only(&events, "transport.exited")["exit_code"], 0);
    server.advance(Duration::from_secs(10));
    // It had not taken the follow-up, which the next run gets.
    let events = log.events_until(turn_of("m2")).await;
    assert_eq!(events.last().unwrap()["run"], 2);
    let events = server.events(&id).await;
    assert_eq!(message_ids(&events, "message.dispatched"), ["m1", "m2"]);
    assert_eq!(message_ids(&events, "message.failed"), Vec::<&str>::new());
}

/// An ACP agent that hears no cancel, ends its turn at SIGINT, and lives on.
const SURVIVOR: &str = r#"
import json, os, signal, sys
def tell(**message): os.write(1, json.dumps(message | {"jsonrpc": "2.0"}).encode() + b"\\n")
prompts = []
def cancel(*_):
    if prompts: tell(id=prompts.pop(), result={"stopReason": "cancelled"})
signal.signal(signal.SIGINT, cancel)
for line in iter(sys.stdin.readline, ""):
    asked = json.loads(line)
    method, number = asked["method"], asked.get("id")
    if method == "initialize": tell(id=number, result={"protocolVersion": 1})
    if method == "session/new": tell(id=number, result={"sessionId": "s"})
    if method == "session/prompt":
        prompts.append(number)
        heard = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "heard"}}
        tell(method="session/update", params={"sessionId": "s", "update": heard})
        if "wait" not in line: tell(id=prompts.pop(), result={"stopReason": "end_turn"})
"#;

// Scenario 56
#[tokio::test]
async fn an_agent_that_outlives_our_sigint_gets_the_follow_up_after_a_while() {
    let server = Driven::start(&format!(
        r#"
[agents.survivor]
protocol = "acp"
command = "python3"
args = ["-c", """{SURVIVOR}"""]
"#
    ))
    .await;
    let id = server.create("survivor").await;
    server.send(&id, "m1", "wait").await;
    server.send(&id, "m2", "go").await;
    let mut log = server.follow(&id).await;
    // It has the prompt in its hands: an earlier signal would find nothing to end.
    log.events_until(is("agent.message")).await;
    assert!(server.interrupt(&id).await);
    log.events_until(is("interrupt.requested")).await;
    server.advance(STEP);
    log.events_until(is("interrupt.completed")).await;
    server.advance(STEP);
    let events = log.events_until(turn_of("m2")).await;
    assert_eq!(types(&events)[..2], ["message.dispatched", "turn.started"]);
    assert_eq!(server.session(&id).await["run"], 1);
}

// Scenario 57
#[tokio::test]
async fn an_interrupt_of_a_stopped_process_ends_in_a_restart_and_the_follow_up_goes_on() {
    let server = Driven::start("").await;
    let (id, mut log) = running(&server, "hang").await;
    let pid = server.session(&id).await["pid"].as_i64().unwrap();
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::STOP).unwrap();
    let urgent = json!({ "message_id": "m2", "text": "hello", "interrupt": true });
    server.post_message(&id, urgent).await.expect(202);
    log.events_until(is("interrupt.requested")).await;
    for escalated_to in ["sigint", "restart"] {
        server.advance(STEP);
        let events = log.events_until(is("interrupt.failed")).await;
        assert_eq!(only(&events, "interrupt.failed")["escalated_to"], escalated_to);
    }
    log.events_until(is("transport.restarting")).await;
    server.advance(Duration::from_secs(10));
    log.events_until(turn_of("m2")).await;
}

// Scenario 57
#[tokio::test]
async fn an_interrupt_of_a_child_that_starts_or_waits_to_be_restarted_asks_for_nothing() {
    let hang = demo_profile("mute", "env = { DEMO_AGENT_HANDSHAKE = \"hang\" }");
    let server = Driven::start(&hang).await;
    let id = server.create("mute").await;
    server.state(&id, "STARTING").await;
    assert!(!server.interrupt(&id).await);
    let urgent = json!({ "message_id": "m1", "text": "hello", "interrupt": true });
    server.post_message(&id, urgent.clone()).await.expect(202);
    assert_eq!(of_type(&server.events(&id).await, "interrupt.requested").len(), 0);

    let id = server.create("demo").await;
    let mut log = server.follow(&id).await;
    server.send(&id, "m0", "crash").await;
    log.events_until(is("transport.restarting")).await;
    assert!(!server.interrupt(&id).await);
    server.post_message(&id, urgent).await.expect(202);
    server.advance(Duration::from_secs(10));
    // The next run gets the follow-up.
    let events = log.events_until(turn_of("m1")).await;
    assert_eq!(events.last().unwrap()["run"], 2);
    assert_eq!(of_type(&events, "interrupt.requested").len(), 0);
}

// Scenario 59, a few rounds of it
#[tokio::test]
async fn interrupts_at_any_moment_of_an_agent_that_dies_leave_no_message_untold() {
    let settings =
        "[supervision]\nmax_restarts = 1000\nbackoff_min = \"1ms\"\nbackoff_max = \"5ms\"";
    let server = Process::start(settings).await;
    let id = server.create("demo").await;
    let prompts = ["slow 1000 1", "crash", "hello", "tool", "crash signal", "exit 0", "flood 100"];
    let mut log = server.follow(&id).await;
    for number in 0..21 {
        let message_id = format!("m{number}");
        server.send(&id, &message_id, prompts[number % prompts.len()]).await;
        for _ in 0..=number % 3 {
            server.interrupt(&id).await;
        }
        // Now before the turn, now in it, now after what it has said.
        if number % 2 == 0 {
            log.events_until(|event| {
                event["data"]["message_id"] == message_id && event["type"] == "message.dispatched"
            })
            .await;
        }
        server.get("/v1/sessions").await.expect(200);
    }
    let urgent = json!({ "message_id": "last", "text": "hello", "interrupt": true });
    server.post_message(&id, urgent).await.expect(202);
    server.send(&id, "after", "the end").await;
    let last = |event: &serde_json::Value| {
        event["data"]["message_id"] == "after"
            && (event["type"] == "turn.ended" || event["type"] == "message.failed")
    };
    log.events_until(last).await;
    let events = server.events(&id).await;
    assert_dense(&events, 1);
    let (sent, dispatched) =
        (message_ids(&events, "user.message"), message_ids(&events, "message.dispatched"));
    assert_eq!(sent.len(), 23);
    for message_id in sent {
        let times = dispatched.iter().filter(|id| **id == message_id).count();
        let ended = of_type(&events, "turn.ended");
        let ends = ended.iter().filter(|event| event["data"]["message_id"] == message_id).count();
        assert_eq!(times, 1, "{message_id} was dispatched {times} times");
        assert!(ends == 1 || failure(&events, message_id).is_some(), "{message_id} has no end");
    }
}
