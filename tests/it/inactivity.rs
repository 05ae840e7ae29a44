//! An agent of which nothing is heard in the midst of its turn. The clock of these servers is moved by hand.

use crate::support::*;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(600);
const MOMENT: Duration = Duration::from_millis(1);

/// Makes a session on which this prompt, as `m1`, has said something.
async fn running(server: &Driven, agent: &str, prompt: &str) -> String {
    let id = server.create(agent).await;
    server.send(&id, "m1", prompt).await;
    server.look_until(&id, is("agent.message")).await;
    server.settled(&id).await;
    id
}

async fn inactive(server: &Driven, id: &str) -> usize {
    of_type(&server.events(id).await, "agent.inactive").len()
}

#[tokio::test]
async fn a_turn_has_no_limit_but_an_agent_that_hangs_in_it_is_told_of_once() {
    let server = Driven::start("").await;
    let id = running(&server, "demo", "hang").await;
    let spoke = server.events(&id).await.last().unwrap()["ts"].clone();
    server.advance(LIMIT - MOMENT);
    server.settled(&id).await;
    assert_eq!(inactive(&server, &id).await, 0);
    server.advance(MOMENT);
    let events = server.look_until(&id, is("agent.inactive")).await;
    assert_eq!(only(&events, "agent.inactive")["since"], spoke);
    server.advance(20 * LIMIT);
    server.settled(&id).await;
    assert_eq!(inactive(&server, &id).await, 1);
    assert_eq!(server.session(&id).await["client_state"], "running");
}

#[tokio::test]
async fn an_agent_that_waits_for_a_person_is_not_inactive() {
    let server = Driven::start("").await;
    let id = server.create("demo").await;
    server.send(&id, "m1", "ask").await;
    server.look_until(&id, is("permission.requested")).await;
    server.advance(60 * LIMIT);
    server.settled(&id).await;
    assert_eq!(inactive(&server, &id).await, 0);
}

#[tokio::test]
async fn a_profile_may_have_an_agent_that_hangs_interrupted_and_what_waits_goes_on() {
    let profile = demo_profile("hasty", "inactivity_interrupt = true");
    let server = Driven::start(&profile).await;
    let id = running(&server, "hasty", "hang").await;
    server.send(&id, "m2", "what now").await;
    server.advance(LIMIT);
    let events = server.look_until(&id, turn_of("m2")).await;
    let order: Vec<&str> = types(&events)
        .into_iter()
        .filter(|name| ["agent.inactive", "turn.ended"].contains(name) || name.starts_with("int"))
        .collect();
    let expected = [
        "agent.inactive",
        "interrupt.requested",
        "turn.ended",
        "interrupt.completed",
        "turn.ended",
    ];
    assert_eq!(order, expected);
    assert_eq!(only(&events, "interrupt.requested")["by"], "inactivity");
    let ends = of_type(&events, "turn.ended");
    assert_eq!(ends[0]["data"]["stop_reason"], "cancelled");
    assert_eq!(ends[1]["data"]["stop_reason"], "end_turn");
}

#[tokio::test]
async fn an_agent_that_hangs_and_hears_nothing_is_replaced_and_resumed() {
    let profile = demo_profile("hasty", "inactivity_interrupt = true");
    let server = Driven::start(&profile).await;
    let id = running(&server, "hasty", "deaf").await;
    server.advance(LIMIT);
    server.look_until(&id, is("interrupt.requested")).await;
    server.advance(Duration::from_secs(5));
    // It ends by SIGINT, and says so.
    let events = server.look_until(&id, is("transport.restarting")).await;
    assert_eq!(only(&events, "interrupt.failed")["escalated_to"], "sigint");
    assert_eq!(only(&events, "turn.ended")["stop_reason"], "cancelled");
    server.advance(Duration::from_secs(1));
    server.look_until(&id, |event| event["data"]["context"] == "resumed").await;
}

#[tokio::test]
async fn while_the_log_takes_nothing_an_agent_is_not_called_silent() {
    let server = Driven::start("").await;
    let id = running(&server, "demo", "hang").await;
    fail::cfg("log::commit", "return").unwrap();
    // It is detached, which cannot be written.
    server.advance(Duration::from_secs(5));
    let unavailable = |row: &serde_json::Value| row["store"] == "unavailable";
    let start = std::time::Instant::now();
    while !unavailable(&server.session(&id).await) {
        assert!(start.elapsed() < PATIENCE, "the log takes all");
    }
    server.advance(LIMIT);
    server.withdraw(&id, "none").await.refused(503, "store_unavailable");
    fail::remove("log::commit");
    // It is tried again after a moment of this clock; which one depends on when the last attempt has failed.
    while unavailable(&server.session(&id).await) {
        server.advance(Duration::from_secs(1));
    }
    server.look_until(&id, becomes("DETACHED")).await;
    server.settled(&id).await;
    assert_eq!(inactive(&server, &id).await, 0);
    server.advance(LIMIT);
    server.look_until(&id, is("agent.inactive")).await;
}
