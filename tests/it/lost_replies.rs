//! Answers and requests that the network loses: whoever asks again gets what was meant the first time, once. What the
//! server refuses is not here.

use crate::support::*;
use seawall::{
    client::{Client, SendOptions},
    wire::api::{CreateSession, SendMessage},
};
use serde_json::{Value, json};

/// A server, and the same through a proxy.
async fn server() -> (Process, Proxy, Api) {
    let server = Process::start("").await;
    let proxy = Proxy::to(&server);
    let through = proxy.through(&server);
    (server, proxy, through)
}

fn read<T: serde::de::DeserializeOwned>(body: Value) -> T {
    serde_json::from_value(body).unwrap()
}

async fn get_lost(proxy: &Proxy, request: reqwest::RequestBuilder) {
    proxy.swallow_next();
    let cuts = proxy.cuts();
    assert!(within("no answer", request.send()).await.is_err());
    assert_eq!((proxy.to_swallow(), proxy.cuts()), (0, cuts + 1), "it was answered");
}

/// Scenario 42.
#[tokio::test]
async fn a_message_whose_receipt_was_lost_twice_reaches_the_agent_once() {
    let (server, proxy, through) = server().await;
    let id = server.create("demo").await;
    let body = json!({ "message_id": "m1", "text": "once" });
    for _ in 0..2 {
        let path = format!("/v1/sessions/{id}/messages");
        get_lost(&proxy, through.request("POST", &path).json(&body)).await;
    }
    let receipt = through.send(&id, "m1", "once").await;
    assert_eq!(receipt["duplicate"], true);
    let events = server.turn(&id, "m1").await;
    assert_eq!(only(&events, "user.message")["message_id"], "m1");
    assert_eq!(of_type(&events, "user.message")[0]["seq"], receipt["seq"]);
    assert_eq!(only(&events, "message.dispatched")["message_id"], "m1");
    assert_eq!(said(&events), "You said: once");
}

/// Scenario 42.
#[tokio::test]
async fn a_message_that_was_cut_on_its_way_is_not_there_until_it_is_sent_again() {
    let (server, proxy, through) = server().await;
    let id = server.create("demo").await;
    let text = "x".repeat(100_000);
    let up = Flow { cut_after: Some(50_000), ..Flow::default() };
    proxy.each(move |_| Rules { up: up.clone(), ..Rules::default() });
    let path = format!("/v1/sessions/{id}/messages");
    let request = through.request("POST", &path);
    let body = json!({ "message_id": "m1", "text": text });
    assert!(within("no answer", request.json(&body).send()).await.is_err());
    proxy.each(|_| Rules::default());
    assert_eq!(through.send(&id, "m1", &text).await["duplicate"], false);
    let events = server.turn(&id, "m1").await;
    assert_eq!(only(&events, "user.message")["content"][0]["text"], text);
}

/// Scenario 42. The second post is a duplicate and must not interrupt what the first has begun.
#[tokio::test]
async fn an_urgent_message_whose_receipt_was_lost_interrupts_once() {
    let (server, proxy, through) = server().await;
    let id = server.create("demo").await;
    server.send(&id, "m0", "hang").await;
    let mut log = server.follow(&id).await;
    log.events_until(is("agent.message")).await;
    let body = json!({ "message_id": "m1", "text": "hang", "interrupt": true });
    let path = format!("/v1/sessions/{id}/messages");
    get_lost(&proxy, through.request("POST", &path).json(&body)).await;
    log.events_until(is("agent.message")).await;
    assert_eq!(through.post_message(&id, body).await.expect(202)["duplicate"], true);
    let events = server.events(&id).await;
    assert_eq!(of_type(&events, "interrupt.requested").len(), 1);
    assert_eq!(message_ids(&events, "turn.ended"), ["m0"]);
    assert_eq!(server.session(&id).await["client_state"], "running");
}

/// Scenario 79.
#[tokio::test]
async fn a_session_whose_creation_was_answered_into_the_void_is_the_same_when_it_is_asked_for_again()
 {
    let (server, proxy, through) = server().await;
    let id = uuid::Uuid::new_v4().to_string();
    let body = json!({
        "agent": "demo", "session_id": id, "message": { "message_id": "m1", "text": "hello" },
    });
    get_lost(&proxy, through.request("POST", "/v1/sessions").json(&body)).await;
    let again = through.post("/v1/sessions", body).await.expect(200);
    assert_eq!((&again["id"], &again["receipt"]["duplicate"]), (&json!(id), &json!(true)));
    let events = server.turn(&id, "m1").await;
    assert_eq!(message_ids(&events, "message.dispatched"), ["m1"]);
    assert_eq!(of_type(&events, "transport.started").len(), 1);
    let list = server.get("/v1/sessions").await.expect(200);
    assert_eq!(list["sessions"].as_array().unwrap().len(), 1);
}

/// Scenarios 42 and 79, by the client library, which asks again by itself.
#[tokio::test]
async fn the_client_library_gets_its_answers_though_the_first_ones_are_lost() {
    let (server, proxy, _) = server().await;
    let client = Client::new(&proxy.url(), server.token.as_deref()).unwrap();
    let id = uuid::Uuid::new_v4().to_string();
    let create: CreateSession = read(json!({ "agent": "demo", "session_id": id }));
    proxy.swallow_next();
    let session = client.create(&create, SendOptions::default()).await.unwrap().session;
    assert_eq!(session.id.to_string(), id);
    let send: SendMessage = read(json!({ "message_id": "m1", "text": "once" }));
    proxy.swallow_next();
    let receipt = client.send(session.id, &send, SendOptions::default()).await.unwrap();
    assert!(receipt.duplicate);
    assert_eq!((proxy.to_swallow(), proxy.cuts()), (0, 2));
    let events = server.turn(&id, "m1").await;
    assert_eq!(message_ids(&events, "message.dispatched"), ["m1"]);
    assert_eq!(of_type(&events, "transport.started").len(), 1);
}
