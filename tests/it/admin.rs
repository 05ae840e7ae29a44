//! What an administrator sees and does, over the admin listener.

mod metrics;
mod sessions;

use crate::support::{Api, Driven, Process, is, turn_of, within};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;

const CALLS: [(&str, &str); 16] = [
    ("GET", "/metrics"),
    ("GET", "/admin/status"),
    ("GET", "/admin/history"),
    ("GET", "/admin/sessions"),
    ("GET", "/admin/sessions/00000000-0000-0000-0000-000000000001"),
    ("POST", "/admin/sessions/00000000-0000-0000-0000-000000000001/kill"),
    ("GET", "/admin/supervision"),
    ("GET", "/admin/connections"),
    ("DELETE", "/admin/connections/00000000-0000-0000-0000-000000000001"),
    ("POST", "/admin/sync"),
    ("POST", "/admin/drain"),
    ("DELETE", "/admin/drain"),
    ("POST", "/admin/backup"),
    ("GET", "/admin/config"),
    ("POST", "/admin/reload"),
    ("PUT", "/admin/log"),
];

/// Those that a console needs: the public listener has them too, where it is told to.
const CONSOLE: [(&str, &str); 9] = [
    ("GET", "/admin/status"),
    ("GET", "/admin/history"),
    ("GET", "/admin/sessions"),
    ("GET", "/admin/sessions/00000000-0000-0000-0000-000000000001"),
    ("GET", "/admin/connections"),
    ("DELETE", "/admin/connections/00000000-0000-0000-0000-000000000001"),
    ("GET", "/admin/supervision"),
    ("POST", "/admin/drain"),
    ("DELETE", "/admin/drain"),
];

const ADMIN: &str = "swt_the-token-of-an-admin";
const OPERATOR: &str = "swt_the-token-of-an-operator";
const VIEWER: &str = "swt_the-token-of-a-viewer";

fn tokens() -> String {
    [("ada", "admin", ADMIN), ("otto", "operator", OPERATOR), ("vera", "viewer", VIEWER)]
        .map(|(name, role, token)| {
            let digest = HEXLOWER.encode(&Sha256::digest(token));
            format!(
                "[[auth.tokens]]\nname = \"{name}\"\nrole = \"{role}\"\nsha256 = \"{digest}\"\n"
            )
        })
        .concat()
}

/// The call is refused to everybody but an administrator.
async fn refused_to_others(api: &Api, method: &str, path: &str) {
    let stranger = api.with_token(None);
    stranger.call(stranger.request(method, path)).await.refused(401, "unauthorized");
    for token in [OPERATOR, VIEWER] {
        let other = api.with_token(Some(token));
        other.call(other.request(method, path)).await.refused(403, "forbidden");
    }
}

/// Scenario 74.
#[tokio::test]
async fn only_an_administrator_may_use_the_admin_calls() {
    let server = Process::start(&tokens()).await;
    let admin = server.admin().with_token(Some(ADMIN));
    for (method, path) in CALLS {
        refused_to_others(&admin, method, path).await;
        // The public listener does not have them.
        server.call(server.request(method, path)).await.refused(404, "not_found");
    }
    for (method, path) in CONSOLE {
        let path = format!("/v1{path}");
        let public = server.with_token(Some(ADMIN));
        public.call(public.request(method, &path)).await.refused(404, "not_found");
    }
    for path in ["/healthz", "/readyz", "/version", "/admin/openapi.json"] {
        admin.with_token(None).get(path).await.expect(200);
    }
    // The table has every call that the document has.
    let document = admin.get("/admin/openapi.json").await.expect(200);
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let path = path.replace("{id}", "00000000-0000-0000-0000-000000000001");
            let is_open = operation["security"] == json!([{}]);
            let call = (method.to_uppercase(), path);
            let is_listed =
                CALLS.iter().any(|(method, path)| call == ((*method).into(), (*path).into()));
            assert!(is_listed != is_open, "{call:?}");
        }
    }
}

#[tokio::test]
async fn the_public_listener_has_the_consoles_admin_calls_where_it_is_told_to() {
    let server = Process::start(&format!("[server]\nadmin_api = true\n{}", tokens())).await;
    let public = server.with_token(Some(ADMIN));
    for (method, path) in CONSOLE {
        let path = format!("/v1{path}");
        refused_to_others(&public, method, &path).await;
        let foreign = public.request(method, &path).header("Host", "evil.example");
        public.call(foreign).await.refused(421, "foreign_host");
        let answer = public.call(public.request(method, &path)).await;
        match path.contains("00000000") {
            true => drop(answer.refused(404, "not_found")),
            false => drop(answer.expect(200)),
        }
    }
    let listed: Vec<_> = CONSOLE.iter().collect();
    for call in CALLS.iter().filter(|call| !listed.contains(call)) {
        let path = format!("/v1{}", call.1);
        public.call(public.request(call.0, &path)).await.refused(404, "not_found");
    }
    let document = public.get("/v1/openapi.json").await.expect(200);
    assert!(document["paths"]["/v1/admin/status"]["get"].is_object());
}

#[tokio::test]
async fn the_status_counts_sessions_streams_messages_and_storage() {
    let server = Driven::start("").await;
    let ended = server.create("cat").await;
    server.stop_session(&ended, json!({})).await;
    server.state(&ended, "ENDED").await;
    let id = server.create("demo").await;
    server.send(&id, "m1", "hang").await;
    let mut stream = server.follow(&id).await;
    stream.events_until(is("agent.message")).await;
    server.send(&id, "m2", "waits").await;
    server.streams_open(1).await;

    let status = server.admin().get("/admin/status").await.expect(200);
    assert_eq!(status["sessions"]["by_state"], json!({ "ACTIVE": 1, "ENDED": 1 }));
    assert_eq!(
        (&status["sessions"]["live"], &status["sessions"]["waiting"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(status["queued_messages"], 1);
    assert_eq!(
        (&status["streams"]["open"], &status["streams"]["suspended"]),
        (&json!(1), &json!(0))
    );
    assert!(status["store"]["bytes"].as_u64().unwrap() >= 4096);
    assert_eq!(status["draining"], false);

    let read = status["store"]["pages_read"].as_u64().unwrap();
    server.get(&format!("/v1/sessions/{id}/events")).await.expect(200);
    let status = server.admin().get("/admin/status").await.expect(200);
    assert_eq!(status["store"]["pages_read"], read + 1);
}

#[tokio::test]
async fn the_history_has_the_last_hour_in_samples() {
    let server = Driven::start("").await;
    let samples = || async {
        let history = server.admin().get("/admin/history").await.expect(200);
        history["samples"].as_array().unwrap().clone()
    };
    let sampled = |count| async move {
        loop {
            let samples = samples().await;
            if samples.len() == count {
                return samples;
            }
            tokio::task::yield_now().await;
        }
    };
    let id = server.create("demo").await;
    let mut stream = server.follow(&id).await;
    server.send(&id, "m1", "hello").await;
    stream.events_until(turn_of("m1")).await;
    server.streams_open(1).await;
    server.settled(&id).await;
    let head = server.session(&id).await["head_seq"].clone();
    // The one that has only begun.
    let begun = within("a sample", sampled(1)).await;
    assert_eq!((&begun[0]["appended"], &begun[0]["over_ms"]), (&head, &json!(0)));

    server.advance(Duration::from_secs(15));
    let first = within("a sample", sampled(2)).await;
    assert_eq!((&first[0]["appended"], &first[0]["over_ms"]), (&head, &json!(15_000)));
    assert_eq!((&first[0]["streams"], &first[0]["restarts"]), (&json!(1), &json!(0)));
    assert_eq!((&first[1]["appended"], &first[1]["over_ms"]), (&json!(0), &json!(0)));
    server.advance(Duration::from_secs(15));
    let second = within("a sample", sampled(3)).await;
    assert_eq!((&second[0], &second[1]["appended"]), (&first[0], &json!(0)));
    // When they are older than an hour, the next one takes their place.
    server.advance(Duration::from_secs(3601));
    let later = within("a sample", sampled(2)).await;
    assert_eq!(later[0]["over_ms"], 3_601_000);
}

#[tokio::test]
async fn streams_are_listed_with_who_and_how_far_and_can_be_closed() {
    let server = Driven::start("").await;
    let id = server.create("cat").await;
    let mut stream = server.follow(&id).await;
    server.send(&id, "m1", "hello").await;
    stream.events_until(is("agent.output")).await;
    let connections = || async {
        let list = server.admin().get("/admin/connections").await.expect(200);
        list["connections"].as_array().unwrap().clone()
    };
    let listed = connections().await;
    let [connection] = &listed[..] else { panic!("{listed:#?}") };
    let head = &server.session(&id).await["head_seq"];
    assert_eq!(
        connection["sessions"],
        json!([{ "session_id": id, "cursor": head, "head_seq": head }])
    );
    assert_eq!((&connection["lag"], &connection["suspended"]), (&json!(0), &json!(false)));
    assert_eq!(connection["credential"], "first");
    assert!(connection["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(connection["bytes"].as_u64().unwrap() > 500);

    let path = format!("/admin/connections/{}", connection["id"].as_str().unwrap());
    server.admin().delete(&path).await.expect(204);
    let (bye, _) = stream.named("bye").await;
    assert_eq!(bye, json!({ "reason": "revoked", "retry_ms": null }));
    assert_eq!(stream.next().await.map(|frame| frame.event), None);
    server.streams_open(0).await;
    server.admin().delete(&path).await.refused(404, "not_found");
}

/// Scenario 72.
#[tokio::test]
async fn a_drained_server_takes_no_new_work_finishes_what_runs_and_can_be_taken_back() {
    let server = Driven::start("").await;
    let id = server.create("demo").await;
    let idle = server.create("demo").await;
    server.send(&id, "m1", "ask").await;
    let mut stream = server.follow(&id).await;
    let events = stream.events_until(is("permission.requested")).await;
    let permission = events.last().unwrap()["data"]["permission_id"].as_str().unwrap().to_owned();

    let admin = server.admin();
    assert_eq!(
        admin.post("/admin/drain", Value::Null).await.expect(200),
        json!({"draining": true})
    );
    assert_eq!(stream.named("server").await.0, json!({"draining": true}));
    assert_eq!(admin.get("/readyz").await.expect(503)["checks"]["drain"]["status"], "failed");
    server.post("/v1/sessions", json!({"agent": "demo"})).await.refused(503, "draining");
    server.try_send(&idle, "new", "hello").await.refused(503, "draining");
    server.try_send(&id, "m1", "ask").await.expect(202);

    let allowed = json!({"outcome": "selected", "option_id": "once"});
    server.settle(&id, &permission, allowed).await.expect(200);
    stream.events_until(turn_of("m1")).await;

    assert_eq!(admin.delete("/admin/drain").await.expect(200), json!({"draining": false}));
    assert_eq!(stream.named("server").await.0, json!({"draining": false}));
    admin.get("/readyz").await.expect(200);
    server.send(&id, "m2", "flood 1").await;
    stream.events_until(turn_of("m2")).await;
}

#[tokio::test]
async fn the_supervision_tree_shows_every_actor_and_what_failed() {
    let server = Driven::start("").await;
    let id = server.create("demo").await;
    let mut stream = server.follow(&id).await;
    stream.events_until(|event| event["data"]["to"] == "ACTIVE").await;
    server.send(&id, "m1", "crash 7").await;
    stream.events_until(is("transport.restarting")).await;
    server.advance(Duration::from_secs(10));
    stream.events_until(|event| event["data"]["to"] == "ACTIVE").await;
    server.settled(&id).await;

    let tree = server.admin().get("/admin/supervision").await.expect(200);
    assert_eq!((&tree["name"], &tree["state"]), (&json!("supervisor"), &json!("running")));
    let names: Vec<_> =
        tree["children"].as_array().unwrap().iter().map(|child| &child["name"]).collect();
    assert_eq!(names, ["log writer", "registry", "session"]);
    let on_failure = |index: usize| tree["children"][index]["on_failure"].clone();
    assert_eq!((on_failure(0), on_failure(1)), (json!("end_process"), json!("restart")));
    let session = &tree["children"][2];
    assert_eq!((&session["session_id"], &session["failures"]), (&json!(id), &json!(0)));
    let transport = &session["children"][0];
    assert_eq!((&transport["state"], &transport["run"]), (&json!("running"), &json!(2)));
    assert_eq!((&transport["failures"], &transport["failures_in_window"]), (&json!(1), &json!(1)));
    let policy = json!({
        "max_restarts": 3, "within_ms": 60_000, "backoff_min_ms": 200, "backoff_max_ms": 10_000,
    });
    assert_eq!(transport["policy"], policy);
    for failure in ["first_failure", "last_failure"] {
        assert_eq!(transport[failure]["cause"], "it exited with code 7", "{failure}");
    }
    assert_eq!(transport["pid"], server.session(&id).await["pid"]);
}
