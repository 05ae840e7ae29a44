//! Sessions as things: made once however often that is asked for, named, counted, and deleted with all they have.

use crate::support::*;
use serde_json::{Value, json};

const ID: &str = "3f6b8c9e-0000-4000-8000-00000000c0de";

fn alive(pid: u64) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

// Scenario 79
#[tokio::test]
async fn a_create_that_is_repeated_finds_the_same_session() {
    let server = Process::start("").await;
    let body = json!({
        "agent": "demo", "session_id": ID, "title": "one",
        "message": { "message_id": "m1", "text": "hello" },
    });
    let create = |body: &Value| server.post("/v1/sessions", body.clone());
    let first = create(&body).await.expect(201);
    assert_eq!((&first["id"], &first["receipt"]["duplicate"]), (&json!(ID), &json!(false)));
    server.turn(ID, "m1").await;

    let again = create(&body).await.expect(200);
    assert_eq!(again["id"], ID);
    assert_eq!(again["receipt"]["seq"], first["receipt"]["seq"]);
    assert_eq!(again["receipt"]["duplicate"], true);
    let mut other = body.clone();
    other["title"] = json!("two");
    create(&other).await.refused(409, "conflict");
    assert_eq!(message_ids(&server.events(ID).await, "user.message"), ["m1"]);
    assert_eq!(server.session(ID).await["title"], "one");

    server.delete(&format!("/v1/sessions/{ID}")).await.expect(204);
    create(&body).await.refused(410, "gone");
    create(&other).await.refused(410, "gone");
}

// Scenario 79
#[tokio::test]
async fn creates_at_once_with_one_id_make_one_session() {
    let server = Process::start("").await;
    let body = json!({ "agent": "cat", "session_id": ID });
    let creates = (0..8).map(|_| server.post("/v1/sessions", body.clone()));
    let answers = futures_util::future::join_all(creates).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 200, 201]);
    server.state(ID, "ACTIVE").await;
    let events = server.events(ID).await;
    assert_eq!(of_type(&events, "transport.started").len(), 1);
}

#[tokio::test]
async fn a_create_that_is_refused_leaves_nothing_behind() {
    let server = Process::start("").await;
    for (body, status, code, place) in [
        (json!({}), 400, "invalid_body", "agent"),
        (json!({ "agent": "nobody" }), 422, "unknown_agent", "nobody"),
        (json!({ "agent": "demo", "tittle": "x" }), 400, "invalid_body", "tittle"),
        (json!({ "agent": "demo", "session_id": "x" }), 400, "invalid_body", "session_id"),
        (json!({ "agent": "demo", "cwd": "/" }), 400, "invalid_body", "cwd"),
        (json!({ "agent": "demo", "env": { "PATH": "/x" } }), 400, "invalid_body", "PATH"),
        (json!({ "agent": "demo", "title": "x".repeat(201) }), 400, "invalid_body", "title"),
        (json!({ "agent": "demo", "message": { "text": "x" } }), 400, "invalid_body", "message_id"),
        (
            json!({ "agent": "demo", "message": { "message_id": "m1" } }),
            400,
            "invalid_body",
            "message.content",
        ),
    ] {
        let problem = server.post("/v1/sessions", body.clone()).await.refused(status, code);
        assert!(problem["detail"].as_str().unwrap().contains(place), "{body}: {problem}");
    }
    let list = server.get("/v1/sessions").await.expect(200);
    assert_eq!(list["sessions"], json!([]));
}

#[tokio::test]
async fn no_more_sessions_are_live_than_may_be() {
    let server = Process::start("[sessions]\nmax_live = 2").await;
    let body = json!({ "agent": "demo", "session_id": ID });
    server.post("/v1/sessions", body.clone()).await.expect(201);
    let second = server.create("cat").await;

    let refused = server.post("/v1/sessions", json!({ "agent": "cat" })).await;
    refused.refused(429, "too_many_sessions");
    // A full house does not hide what is known or wrong.
    server.post("/v1/sessions", body).await.expect(200);
    let unknown = server.post("/v1/sessions", json!({ "agent": "nobody" })).await;
    unknown.refused(422, "unknown_agent");
    let elsewhere = server.post("/v1/sessions", json!({ "agent": "cat", "cwd": "/" })).await;
    elsewhere.refused(400, "invalid_body");
    let list = server.get("/v1/sessions").await.expect(200);
    assert_eq!(list["sessions"].as_array().unwrap().len(), 2);

    // An ended session has given up its place, and gets it back only when there is one.
    server.stop_session(&second, json!({})).await;
    server.look_until(&second, ends("stopped")).await;
    let third = server.create("cat").await;
    let before = server.events(&second).await;
    server.try_send(&second, "m1", "x").await.refused(429, "too_many_sessions");
    server.resume(&second).await.refused(429, "too_many_sessions");
    assert_eq!(server.events(&second).await, before);
    server.delete(&format!("/v1/sessions/{third}")).await.expect(204);
    assert_eq!(server.send(&second, "m1", "x").await["duplicate"], false);
    server.until(&second, is("agent.output")).await;
}

#[tokio::test]
async fn many_creates_at_once_stay_within_the_limit() {
    let server = Process::start("[sessions]\nmax_live = 3").await;
    let creates = (0..10).map(|_| server.post("/v1/sessions", json!({ "agent": "cat" })));
    let answers = futures_util::future::join_all(creates).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 3);
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 7);
}

#[tokio::test]
async fn a_new_title_is_an_event_and_the_same_title_is_none() {
    let server = Process::start("").await;
    let id = server.create("cat").await;
    let path = format!("/v1/sessions/{id}");
    let rename = async |body: Value| server.call(server.request("PATCH", &path).json(&body)).await;
    assert_eq!(rename(json!({ "title": "Ünï" })).await.expect(200)["title"], "Ünï");
    rename(json!({ "title": "Ünï" })).await.expect(200);
    rename(json!({})).await.refused(400, "invalid_body");
    rename(json!({ "title": "x".repeat(201) })).await.refused(400, "invalid_body");
    let events = server.events(&id).await;
    assert_eq!(*only(&events, "session.titled"), json!({ "title": "Ünï" }));
    assert_eq!(rename(json!({ "title": null })).await.expect(200)["title"], Value::Null);
    assert_eq!(server.session(&id).await["title"], Value::Null);
}

// Scenarios 19, 64
#[tokio::test]
async fn a_deleted_session_is_gone_with_its_processes_for_everybody() {
    let server = Process::start("").await;
    let (id, other) = (server.create("demo").await, server.create("cat").await);
    server.send(&id, "m1", "fork").await;
    let text = said(&server.turn(&id, "m1").await);
    let mut pids: Vec<u64> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert_eq!(pids.len(), 2, "{text}");
    pids.push(server.session(&id).await["pid"].as_u64().unwrap());
    assert!(pids.iter().all(|pid| alive(*pid)));

    let mut alone = server.follow(&id).await;
    let mut both = server.stream(&format!("/v1/stream?sessions={id},{other}")).await;
    both.named("snapshot").await;
    both.named("snapshot").await;
    server.delete(&format!("/v1/sessions/{id}")).await.expect(204);
    server.get(&format!("/v1/sessions/{id}")).await.refused(404, "not_found");
    server.get(&format!("/v1/sessions/{id}/events")).await.refused(404, "not_found");
    server.try_send(&id, "m2", "x").await.refused(404, "not_found");
    server.delete(&format!("/v1/sessions/{id}")).await.refused(404, "not_found");

    let gone = json!({ "session_id": id, "reason": "deleted" });
    assert_eq!(alone.named("gone").await.0, gone);
    assert_eq!(alone.named("bye").await.0, json!({ "reason": "deleted", "retry_ms": null }));
    assert!(alone.next().await.is_none());
    assert_eq!(both.named("gone").await.0, gone);
    // The other session of the same stream goes on.
    server.send(&other, "m1", "still here").await;
    let events = both.events_until(is("agent.output")).await;
    assert!(events.iter().all(|event| event["session_id"] == other.as_str()));
    eventually("the whole tree is gone", || !pids.iter().any(|pid| alive(*pid)));
}
