//! Permissions: asked once, answered once, by whoever is first, and never left open.

use crate::support::*;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::time::Duration;

/// Makes a session whose agent waits for a permission; its id, its log, and what was asked.
async fn asking(server: &Api, agent: &str) -> (String, Sse, Value) {
    let id = server.create(agent).await;
    server.send(&id, "m1", "ask").await;
    let mut log = server.follow(&id).await;
    let events = log.events_until(is("permission.requested")).await;
    let asked = only(&events, "permission.requested").clone();
    (id, log, asked)
}

fn name(asked: &Value) -> &str {
    asked["permission_id"].as_str().expect("an id")
}

fn select(option: &str) -> Value {
    json!({ "outcome": "selected", "option_id": option })
}

#[tokio::test]
async fn an_answer_reaches_the_agent_and_everybody() {
    let server = Process::start("").await;
    for (option, word) in [("once", "You allowed it: once."), ("no", "You rejected it: no.")] {
        let (id, mut log, asked) = asking(&server, "demo").await;
        let session = server.session(&id).await;
        assert_eq!(session["client_state"], "requires_action");
        assert_eq!(session["pending_permissions"], json!([asked]));
        let options: Vec<_> = asked["options"].as_array().unwrap().iter().collect();
        assert_eq!(
            options[0],
            &json!({ "option_id": "once", "name": "Allow", "kind": "allow_once" })
        );

        server.settle(&id, name(&asked), select(option)).await.expect(200);
        let events = log.events_until(turn_of("m1")).await;
        let resolved = only(&events, "permission.resolved");
        assert_eq!(resolved["permission_id"], asked["permission_id"]);
        assert_eq!(
            (&resolved["outcome"], &resolved["option_id"]),
            (&json!("selected"), &json!(option))
        );
        assert!(resolved["by"].is_string(), "{resolved}");
        assert_eq!(said(&events), word);
        let session = server.session(&id).await;
        assert_eq!(session["client_state"], "idle");
        assert_eq!(session["pending_permissions"], json!([]));
    }
}

// Scenario 34
#[tokio::test]
async fn of_two_answers_at_once_one_wins_and_the_other_is_told_which() {
    let server = Process::start("").await;
    let (id, mut log, asked) = asking(&server, "demo").await;
    let (first, second) = tokio::join!(
        server.settle(&id, name(&asked), select("once")),
        server.settle(&id, name(&asked), select("never")),
    );
    let (won, lost, option) = match first.status {
        200 => (first, second, "once"),
        _ => (second, first, "never"),
    };
    won.expect(200);
    let problem = lost.refused(409, "permission_closed");
    assert_eq!(problem["resolution"], select(option));
    assert!(problem["by"].is_string(), "{problem}");
    let events = log.events_until(turn_of("m1")).await;
    assert_eq!(only(&events, "permission.resolved")["option_id"], option);
    // Long after, it is the same.
    let late = server.settle(&id, name(&asked), json!({ "outcome": "cancelled" })).await;
    assert_eq!(late.refused(409, "permission_closed")["resolution"], select(option));
}

#[tokio::test]
async fn an_answer_that_is_none_changes_nothing() {
    let server = Process::start("").await;
    let (id, mut log, asked) = asking(&server, "demo").await;
    let before = server.events(&id).await;
    server.settle(&id, "p9.9", select("once")).await.refused(404, "not_found");
    for (body, place) in [
        (select("perhaps"), "option_id"),
        (json!({ "outcome": "selected" }), "option_id"),
        (json!({ "outcome": "granted" }), "outcome"),
        (json!({}), "outcome"),
        (json!({ "outcome": "cancelled", "why": "x" }), "why"),
    ] {
        let answer = server.settle(&id, name(&asked), body.clone()).await;
        let problem = answer.refused(400, "invalid_body");
        assert!(problem["detail"].as_str().unwrap().contains(place), "{body}: {problem}");
    }
    assert_eq!(server.events(&id).await, before);
    server.settle(&id, name(&asked), json!({ "outcome": "cancelled" })).await.expect(200);
    let events = log.events_until(turn_of("m1")).await;
    assert_eq!(only(&events, "permission.resolved")["outcome"], "cancelled");
    assert_eq!(said(&events), "You gave no answer.");
}

// Scenario 68
#[tokio::test]
async fn an_unanswered_permission_expires_and_the_agent_is_told() {
    let profile = demo_profile("hasty", "permission_timeout = \"1h\"");
    let server = Driven::start(&profile).await;
    for (agent, hours) in [("hasty", 1), ("demo", 12)] {
        let (id, mut log, asked) = asking(&server, agent).await;
        server.advance(Duration::from_secs(hours * 3600 - 1));
        assert_eq!(server.session(&id).await["client_state"], "requires_action");
        server.advance(Duration::from_secs(1));
        let events = log.events_until(turn_of("m1")).await;
        let resolved = only(&events, "permission.resolved");
        assert_eq!((&resolved["outcome"], &resolved["by"]), (&json!("expired"), &Value::Null));
        let resolved_at = of_type(&events, "permission.resolved")[0]["ts"].clone();
        assert_eq!(resolved_at, asked["expires_at"]);
        assert_eq!(said(&events), "You gave no answer.");
        let late = server.settle(&id, name(&asked), select("once")).await;
        let problem = late.refused(409, "permission_closed");
        assert_eq!(problem["resolution"], json!({ "outcome": "expired" }));
        assert_eq!(problem.get("by"), Some(&Value::Null), "nobody has");
    }
}

// Scenarios 30, 34
#[tokio::test]
async fn a_permission_waits_for_whoever_comes_with_its_first_deadline() {
    let server = Driven::start("").await;
    let (id, log, asked) = asking(&server, "demo").await;
    drop(log);
    server.advance(Duration::from_secs(6 * 3600));
    let mut later = server.stream(&format!("/v1/sessions/{id}/stream")).await;
    let (snapshot, _) = later.named("snapshot").await;
    assert_eq!(snapshot["client_state"], "requires_action");
    assert_eq!(snapshot["pending_permissions"], json!([asked]));
    server.settle(&id, name(&asked), select("always")).await.expect(200);
    later.events_until(turn_of("m1")).await;
}

// Scenario 69
#[tokio::test]
async fn a_permission_whose_agent_dies_is_cancelled_and_cannot_be_answered() {
    let server = Process::start("").await;
    let (id, mut log, asked) = asking(&server, "demo").await;
    let pid = server.session(&id).await["pid"].as_i64().unwrap();
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
    let events = log.events_until(is("permission.resolved")).await;
    let resolved = only(&events, "permission.resolved");
    assert_eq!((&resolved["outcome"], &resolved["by"]), (&json!("cancelled"), &Value::Null));
    let late = server.settle(&id, name(&asked), select("once")).await;
    let problem = late.refused(409, "permission_closed");
    assert_eq!(problem["resolution"], json!({ "outcome": "cancelled" }));
    assert_eq!(problem.get("by"), Some(&Value::Null), "nobody has");
    log.events_until(becomes("ACTIVE")).await;
    assert_eq!(server.session(&id).await["client_state"], "idle");
    // The next one is another one.
    server.send(&id, "m2", "ask").await;
    let events = log.events_until(is("permission.requested")).await;
    assert_ne!(only(&events, "permission.requested")["permission_id"], asked["permission_id"]);
}

#[tokio::test]
async fn an_interrupt_cancels_the_permission_before_the_turn() {
    let server = Process::start("").await;
    let (id, mut log, asked) = asking(&server, "demo").await;
    assert!(server.interrupt(&id).await);
    let events = log.events_until(is("interrupt.completed")).await;
    let order: Vec<_> =
        types(&events).into_iter().filter(|name| !name.starts_with("agent.")).collect();
    let expected =
        ["interrupt.requested", "permission.resolved", "turn.ended", "interrupt.completed"];
    assert_eq!(order, expected);
    assert_eq!(only(&events, "permission.resolved")["outcome"], "cancelled");
    assert_eq!(only(&events, "turn.ended")["stop_reason"], "cancelled");
    server.settle(&id, name(&asked), select("once")).await.refused(409, "permission_closed");
}

#[tokio::test]
async fn a_stop_cancels_the_permission_and_the_turn() {
    let server = Process::start("").await;
    let (id, mut log, _) = asking(&server, "demo").await;
    server.stop_session(&id, json!({})).await;
    let events = log.events_until(becomes("ENDED")).await;
    assert_eq!(only(&events, "permission.resolved")["outcome"], "cancelled");
    assert_eq!(only(&events, "turn.ended")["stop_reason"], "cancelled");
    assert_eq!(server.session(&id).await["client_state"], "idle");
}
