//! A core part that does not get on: it is named, what does not need it goes on, and nobody who looks hangs as well.

use crate::support::{Answer, Driven, PATIENCE};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Lets time pass until `/healthz` answers with this status.
async fn health(server: &Driven, status: u16) -> Value {
    let start = Instant::now();
    loop {
        server.advance(Duration::from_secs(5));
        let Answer { status: now, body } = server.admin().get("/healthz").await;
        if now == status {
            return body;
        }
        assert!(start.elapsed() < PATIENCE, "it stays at {now}: {body}");
    }
}

#[tokio::test]
async fn a_registry_that_hangs_is_named_while_streams_and_history_go_on() {
    let server = Driven::start("").await;
    let id = server.create("cat").await;
    let path = format!("/v1/sessions/{id}");
    server.admin().get("/healthz").await.expect(200);

    fail::cfg("registry::ask", "pause").unwrap();
    let asking = {
        let (api, path) = (server.api.clone(), format!("{path}/resume"));
        tokio::spawn(async move { api.post(&path, json!({})).await })
    };
    let body = health(&server, 503).await;
    assert_eq!(body["checks"]["registry"]["status"], "failed");
    assert_eq!(body["checks"]["log writer"]["status"], "ok");
    server.get(&path).await.expect(200);
    server.get(&format!("{path}/events")).await.expect(200);
    let admin = server.admin();
    let looking = async { admin.get("/admin/supervision").await.expect(200) };
    let waiting = async {
        // The answer about the sessions does not come, and is not waited for.
        loop {
            server.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    };
    let tree = tokio::select! {
        tree = looking => tree,
        () = waiting => unreachable!("it has no end"),
    };
    let registry = &tree["children"][1];
    assert_eq!((&registry["name"], &registry["state"]), (&json!("registry"), &json!("hanging")));

    fail::remove("registry::ask");
    health(&server, 200).await;
    asking.await.unwrap().expect(202);
}
