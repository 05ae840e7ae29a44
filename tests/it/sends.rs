//! Sending: what a receipt means, what a second post does, in which order messages go, and what is refused.

use crate::support::*;
use serde_json::{Value, json};

/// Makes a session whose turn of `m0` goes on until it is cancelled.
async fn busy(server: &Api) -> (String, Sse) {
    let id = server.create("demo").await;
    server.send(&id, "m0", "hang").await;
    let mut log = server.follow(&id).await;
    log.events_until(is("agent.message")).await;
    (id, log)
}

// Scenario 40
#[tokio::test]
async fn a_receipt_names_the_stored_message() {
    let server = Process::start("").await;
    let (id, _log) = busy(&server).await;
    let receipt = server.send(&id, "m1", "later").await;
    // It is there when the receipt is: no waiting.
    let events = server.events(&id).await;
    let message = of_type(&events, "user.message")[1];
    assert_eq!(message["seq"], receipt["seq"]);
    assert_eq!(message["data"]["message_id"], "m1");
    assert_eq!(message["data"]["content"], json!([{ "type": "text", "text": "later" }]));
    assert_eq!(server.session(&id).await["queued_messages"], 1);
}

// Scenarios 41, 42
#[tokio::test]
async fn one_message_posted_often_is_one_event_and_one_dispatch() {
    let server = Process::start("").await;
    let id = server.create("demo").await;
    let posts = (0..8).map(|_| server.try_send(&id, "m1", "once"));
    let mut receipts: Vec<Value> = Vec::new();
    for answer in futures_util::future::join_all(posts).await {
        receipts.push(answer.expect(202));
    }
    server.turn(&id, "m1").await;
    // As text and as a block it is the same message.
    let block = json!({ "message_id": "m1", "content": [{ "type": "text", "text": "once" }] });
    receipts.push(server.post_message(&id, block).await.expect(202));

    let first: Vec<_> = receipts.iter().filter(|receipt| receipt["duplicate"] == false).collect();
    assert_eq!(first.len(), 1, "{receipts:#?}");
    assert!(receipts.iter().all(|receipt| receipt["seq"] == first[0]["seq"]), "{receipts:#?}");
    let events = server.events(&id).await;
    assert_eq!(message_ids(&events, "user.message"), ["m1"]);
    assert_eq!(message_ids(&events, "message.dispatched"), ["m1"]);
}

// Scenario 41
#[tokio::test]
async fn another_content_under_a_known_id_is_a_conflict_and_changes_nothing() {
    let server = Process::start("").await;
    let (id, _log) = busy(&server).await;
    server.send(&id, "m1", "first").await;
    let before = server.events(&id).await;
    server.try_send(&id, "m1", "second").await.refused(409, "message_conflict");
    assert_eq!(server.events(&id).await, before);
}

// Scenario 41
#[tokio::test]
async fn a_duplicate_interrupts_nothing() {
    let server = Process::start("").await;
    let (id, _log) = busy(&server).await;
    let again = json!({ "message_id": "m0", "text": "hang", "interrupt": true });
    assert_eq!(server.post_message(&id, again).await.expect(202)["duplicate"], true);
    assert_eq!(of_type(&server.events(&id).await, "interrupt.requested").len(), 0);
    assert_eq!(server.session(&id).await["client_state"], "running");
}

// Scenario 41
#[tokio::test]
async fn a_duplicate_resumes_nothing() {
    let server = Process::start("").await;
    let id = server.create("demo").await;
    server.send(&id, "m1", "hello").await;
    server.turn(&id, "m1").await;
    server.stop_session(&id, json!({})).await;
    let before = server.look_until(&id, ends("stopped")).await;
    let receipt = server.send(&id, "m1", "hello").await;
    assert_eq!(receipt["duplicate"], true);
    assert_eq!(server.events(&id).await, before);
    assert_eq!(server.session(&id).await["state"], "ENDED");
}

// Scenarios 41, 45
#[tokio::test]
async fn a_full_queue_refuses_the_next_and_still_knows_what_it_holds() {
    let server = Process::start("[sessions]\nmax_queued_messages = 2").await;
    let (id, _log) = busy(&server).await;
    let second = server.send(&id, "m1", "a").await;
    server.send(&id, "m2", "b").await;
    let before = server.events(&id).await;

    let body = json!({ "message_id": "m3", "text": "c" });
    let request = server.request("POST", &format!("/v1/sessions/{id}/messages")).json(&body);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 429);
    assert!(response.headers()["retry-after"].to_str().unwrap().parse::<u32>().unwrap() > 0);
    assert_eq!(response.json::<Value>().await.unwrap()["code"], "queue_full");

    let again = server.send(&id, "m1", "a").await;
    assert_eq!((&again["seq"], &again["duplicate"]), (&second["seq"], &json!(true)));
    server.try_send(&id, "m1", "other").await.refused(409, "message_conflict");
    assert_eq!(server.events(&id).await, before);

    // There is room as soon as one goes.
    server.withdraw(&id, "m2").await.expect(204);
    server.send(&id, "m3", "c").await;
}

// Scenario 45
#[tokio::test]
async fn what_cannot_be_read_is_refused_by_the_name_of_its_field_and_stores_nothing() {
    let server = Process::start("").await;
    let id = server.create("demo").await;
    let before = server.look_until(&id, becomes("ACTIVE")).await;
    let blocks = vec![json!({ "type": "text", "text": "x" }); 65];
    for (body, place) in [
        (json!({ "text": "x" }), "message_id"),
        (json!({ "message_id": "", "text": "x" }), "message_id"),
        (json!({ "message_id": "a b", "text": "x" }), "message_id"),
        (json!({ "message_id": "x".repeat(129), "text": "x" }), "message_id"),
        (json!({ "message_id": 7, "text": "x" }), "message_id"),
        (json!({ "message_id": "m1", "text": 7 }), "text"),
        (json!({ "message_id": "m1" }), "content"),
        (json!({ "message_id": "m1", "content": [] }), "content"),
        (json!({ "message_id": "m1", "content": blocks }), "content"),
        (json!({ "message_id": "m1", "content": [{ "type": "song" }] }), "content[0]"),
        (json!({ "message_id": "m1", "content": [{ "type": "text" }] }), "content[0]"),
        (json!({ "message_id": "m1", "text": "x", "interrupt": "yes" }), "interrupt"),
        (json!({ "message_id": "m1", "text": "x", "urgent": true }), "urgent"),
    ] {
        let problem = server.post_message(&id, body.clone()).await.refused(400, "invalid_body");
        assert!(problem["detail"].as_str().unwrap().contains(place), "{body}: {problem}");
    }
    server.try_send(&id, "m1", &"x".repeat(16 << 20)).await.refused(413, "too_large");
    assert_eq!(server.events(&id).await, before);
    // The id was not used up by any of them.
    assert_eq!(server.send(&id, "m1", "x").await["duplicate"], false);
}

// Scenario 45
#[tokio::test]
async fn nothing_can_be_asked_of_a_session_that_is_not_there() {
    let server = Process::start("").await;
    for id in ["00000000-0000-4000-8000-000000000000", "no-session"] {
        let path = format!("/v1/sessions/{id}");
        server.get(&path).await.refused(404, "not_found");
        server.get(&format!("{path}/events")).await.refused(404, "not_found");
        server.get(&format!("{path}/stream")).await.refused(404, "not_found");
        // What is missing is said before what is wrong with the body.
        server.post_message(id, json!({ "nonsense": 1 })).await.refused(404, "not_found");
        server.withdraw(id, "m1").await.refused(404, "not_found");
        for call in ["interrupt", "stop", "resume", "permissions/p1.1", "questions/q1.1"] {
            let outcome = json!({ "outcome": "cancelled" });
            server.post(&format!("{path}/{call}"), outcome).await.refused(404, "not_found");
        }
        server.delete(&path).await.refused(404, "not_found");
    }
}

// Scenario 43
#[tokio::test]
async fn sends_at_once_from_two_devices_get_one_order_that_all_see() {
    let server = Process::start("").await;
    let id = server.create("demo").await;
    let (mut here, mut there) = (server.follow(&id).await, server.follow(&id).await);
    let (a, b, c) = tokio::join!(
        server.send(&id, "a", "from here"),
        server.send(&id, "b", "from there"),
        server.send(&id, "c", "from here again"),
    );
    let mut order = [("a", &a), ("b", &b), ("c", &c)];
    order.sort_by_key(|(_, receipt)| receipt["seq"].as_u64());
    let order = order.map(|(id, _)| id);

    let mut ended = 0;
    let mut third_end = |event: &Value| {
        ended += usize::from(event["type"] == "turn.ended");
        ended == 3
    };
    let seen = here.events_until(&mut third_end).await;
    assert_eq!(message_ids(&seen, "user.message"), order);
    assert_eq!(message_ids(&seen, "message.dispatched"), order);
    assert_eq!(message_ids(&seen, "turn.ended"), order);
    let last = seen.last().unwrap()["seq"].clone();
    assert_eq!(there.events_until(|event| event["seq"] == last).await, seen);
}

// Scenarios 44, 56
#[tokio::test]
async fn messages_wait_for_the_running_turn_and_an_urgent_one_goes_first() {
    let server = Process::start("").await;
    let (id, mut log) = busy(&server).await;
    server.send(&id, "m1", "one").await;
    server.send(&id, "m2", "two").await;
    let urgent = json!({ "message_id": "m3", "text": "three", "interrupt": true });
    server.post_message(&id, urgent).await.expect(202);
    log.events_until(turn_of("m2")).await;
    let events = server.events(&id).await;
    assert_eq!(message_ids(&events, "message.dispatched"), ["m0", "m3", "m1", "m2"]);
    assert_eq!(message_ids(&events, "turn.ended"), ["m0", "m3", "m1", "m2"]);
    let reasons: Vec<_> = of_type(&events, "turn.ended");
    assert_eq!(reasons[0]["data"]["stop_reason"], "cancelled");
    assert_eq!(reasons[1]["data"]["stop_reason"], "end_turn");
    assert_eq!(message_ids(&events, "message.failed"), Vec::<&str>::new());
}

#[tokio::test]
async fn a_message_can_be_withdrawn_until_it_is_dispatched() {
    let server = Process::start("").await;
    let (id, mut log) = busy(&server).await;
    server.send(&id, "m1", "never mind").await;
    server.send(&id, "m2", "but this").await;
    server.withdraw(&id, "m1").await.expect(204);
    server.withdraw(&id, "m1").await.expect(204);
    server.withdraw(&id, "m0").await.refused(409, "already_dispatched");
    server.withdraw(&id, "m9").await.refused(404, "not_found");
    assert!(server.interrupt(&id).await);
    log.events_until(turn_of("m2")).await;

    let events = server.events(&id).await;
    assert_eq!(message_ids(&events, "message.dispatched"), ["m0", "m2"]);
    let failed = only(&events, "message.failed");
    assert_eq!(*failed, json!({ "message_id": "m1", "reason": "withdrawn", "uncertain": false }));
    server.withdraw(&id, "m2").await.refused(409, "already_dispatched");
}

// Scenario 44
#[tokio::test]
async fn a_message_to_an_ended_session_gives_it_a_new_run() {
    let server = Process::start("").await;
    let id = server.create("demo").await;
    server.state(&id, "ACTIVE").await;
    server.stop_session(&id, json!({})).await;
    server.look_until(&id, ends("stopped")).await;
    assert_eq!(server.session(&id).await["pid"], Value::Null);
    server.send(&id, "m1", "are you there").await;
    let events = server.turn(&id, "m1").await;
    assert_eq!(events.last().unwrap()["run"], 2);
    let contexts = of_type(&events, "transport.started");
    assert_eq!(contexts[1]["data"]["context"], "resumed", "{contexts:#?}");
    let session = server.session(&id).await;
    assert_eq!((&session["state"], &session["end_reason"]), (&json!("ACTIVE"), &Value::Null));
}

// Scenario 44
#[tokio::test]
async fn a_message_to_a_closing_session_gets_a_new_run_after_the_end() {
    let server = Driven::start("").await;
    let id = server.create("demo").await;
    server.send(&id, "m1", "ignore-interrupt").await;
    let mut log = server.follow(&id).await;
    log.events_until(is("agent.message")).await;
    server.send(&id, "m2", "before the stop").await;
    server.stop_session(&id, json!({ "grace_ms": 1000 })).await;
    log.events_until(is("transport.stopping")).await;
    assert_eq!(server.session(&id).await["state"], "CLOSING");
    server.send(&id, "m3", "after the stop").await;
    for share in [200, 200, 200] {
        server.advance(std::time::Duration::from_millis(share));
        log.events_until(is("transport.stopping")).await;
    }
    let rest = log.events_until(turn_of("m3")).await;
    assert_eq!(message_ids(&rest, "message.dispatched"), ["m3"]);
    let failed = failure(&rest, "m2").unwrap();
    assert_eq!((&failed["reason"], &failed["uncertain"]), (&json!("session_ended"), &json!(false)));
    // m1 was with the agent, so nobody can tell what it did.
    assert_eq!(failure(&rest, "m1").unwrap()["uncertain"], true);
    assert!(rest.iter().any(|event| ends("stopped")(event)));
    assert_eq!(rest.last().unwrap()["run"], 2);
}

// Scenario 44
#[tokio::test]
async fn three_messages_that_wait_at_a_stop_fail_in_the_same_breath() {
    let server = Process::start("").await;
    let (id, mut log) = busy(&server).await;
    for message_id in ["m1", "m2", "m3"] {
        server.send(&id, message_id, "never").await;
    }
    server.stop_session(&id, json!({})).await;
    let events = log
        .events_until(|event| event["data"]["message_id"] == "m3" && is("message.failed")(event))
        .await;
    assert_eq!(message_ids(&events, "message.failed"), ["m1", "m2", "m3"]);
    let end = events.iter().position(|event| becomes("ENDED")(event)).unwrap();
    let after: Vec<_> = types(&events[end..]);
    assert_eq!(after, ["session.state", "message.failed", "message.failed", "message.failed"]);
    for event in of_type(&events, "message.failed") {
        assert_eq!(event["data"]["reason"], "session_ended");
        assert_eq!(event["data"]["uncertain"], false);
    }
    let session = server.session(&id).await;
    assert_eq!((&session["queued_messages"], &session["state"]), (&json!(0), &json!("ENDED")));
    assert_eq!(server.events(&id).await.last(), events.last());
}

// Scenario 44
#[tokio::test]
async fn an_agent_that_exits_with_0_at_once_is_not_started_for_ever() {
    let server = Process::start("[agents.quitter]\nprotocol = \"lines\"\ncommand = \"true\"").await;
    let id = server.create("quitter").await;
    for number in 0..3 {
        server.send(&id, &format!("m{number}"), "hello").await;
    }
    let start = std::time::Instant::now();
    let session = loop {
        let session = server.session(&id).await;
        if session["state"] == "ENDED" && session["queued_messages"] == 0 {
            break session;
        }
        assert!(start.elapsed() < PATIENCE, "{session}");
    };
    assert!(session["run"].as_u64().unwrap() <= 7, "{session}");
    let events = server.events(&id).await;
    let mut dispatched = message_ids(&events, "message.dispatched");
    dispatched.sort_unstable();
    dispatched.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1], "dispatched twice"));
}
