//! A core part that does not get on: it is named, what does not need it goes on, and nobody who looks hangs as well.

use crate::support::{Answer, Driven, PATIENCE, within};
use serde_json::{Value, json};
use std::{
    sync::Mutex,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// The registry waits at the next request that it is asked, for as long as this lives; the server could not end else.
struct Hanging {
    release: Option<std::sync::mpsc::Sender<()>>,
    reached: mpsc::UnboundedReceiver<()>,
}

impl Hanging {
    fn begin() -> Self {
        let (reach, reached) = mpsc::unbounded_channel();
        let (release, released) = std::sync::mpsc::channel();
        let released = Mutex::new(released);
        fail::cfg_callback("registry::ask", move || {
            let _ = reach.send(());
            // It ends when the sender is dropped.
            let _ = released.lock().unwrap().recv();
        })
        .unwrap();
        Self { release: Some(release), reached }
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.release = None;
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

/// What the supervision tree says of the registry. Of one that hangs the answer about sessions does not come, and is not
/// waited for once some time has passed.
async fn registry_state(server: &Driven) -> Value {
    let admin = server.admin();
    let looking = async { admin.get("/admin/supervision").await.expect(200) };
    let waiting = async {
        loop {
            server.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        tree = looking => tree["children"][1]["state"].clone(),
        () = waiting => unreachable!("it has no end"),
    }
}

#[tokio::test]
async fn a_registry_that_hangs_is_named_while_streams_and_history_go_on() {
    let server = Driven::start("").await;
    let id = server.create("cat").await;
    let path = format!("/v1/sessions/{id}");
    server.admin().get("/healthz").await.expect(200);

    let mut hanging = Hanging::begin();
    let asking = {
        let (api, path) = (server.api.clone(), format!("{path}/resume"));
        tokio::spawn(async move { api.post(&path, json!({})).await })
    };
    within("the registry has the request", hanging.reached.recv()).await.unwrap();
    health(&server, |answer| {
        let status = |part: &str| answer.body["checks"][part]["status"].clone();
        answer.status == 503 && status("registry") == "failed" && status("store") == "ok"
    })
    .await;
    server.get(&path).await.expect(200);
    server.get(&format!("{path}/events")).await.expect(200);
    assert_eq!(registry_state(&server).await, "hanging");
    drop(hanging);
    health(&server, |answer| answer.status == 200).await;
    asking.await.unwrap().expect(202);
}
