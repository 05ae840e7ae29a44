//! A core part that does not get on: it is named, what does not need it goes on, and nobody who looks hangs as well.

use crate::support::{Answer, Driven, PATIENCE};
use serde_json::json;
use std::time::{Duration, Instant};

/// The registry waits at the next request that it is asked, for as long as this lives; the server could not end else.
struct Hanging;

impl Hanging {
    fn begin() -> Self {
        fail::cfg("registry::ask", "pause").unwrap();
        Self
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        fail::remove("registry::ask");
    }
}

/// Lets time pass until `/healthz` answers so. On a busy machine the clock outruns a part that does not hang, for a moment.
async fn health(server: &Driven, fits: impl Fn(&Answer) -> bool) {
    let start = Instant::now();
    loop {
        server.advance(Duration::from_secs(5));
        let answer = server.admin().get("/healthz").await;
        if fits(&answer) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "it stays so: {answer:?}");
    }
}

#[tokio::test]
async fn a_registry_that_hangs_is_named_while_streams_and_history_go_on() {
    let server = Driven::start("").await;
    let id = server.create("cat").await;
    let path = format!("/v1/sessions/{id}");
    server.admin().get("/healthz").await.expect(200);

    let hanging = Hanging::begin();
    let asking = {
        let (api, path) = (server.api.clone(), format!("{path}/resume"));
        tokio::spawn(async move { api.post(&path, json!({})).await })
    };
    health(&server, |answer| {
        let status = |part: &str| answer.body["checks"][part]["status"].clone();
        answer.status == 503 && status("registry") == "failed" && status("log writer") == "ok"
    })
    .await;
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

    drop(hanging);
    health(&server, |answer| answer.status == 200).await;
    asking.await.unwrap().expect(202);
}
