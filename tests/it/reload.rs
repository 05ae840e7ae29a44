//! A configuration that is read again while the server runs: what acts at once, for whom, and what a bad file changes.

use crate::support::{Driven, demo_profile, is, of_type, only, within};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{fs, time::Duration};

const ANN: &str = "swt_the-token-of-ann";
const BOB: &str = "swt_the-token-of-bob";

fn token(secret: &str, role: &str, rest: &str) -> String {
    let name = secret.rsplit('-').next().unwrap();
    let digest = HEXLOWER.encode(&Sha256::digest(secret));
    format!(
        "[[auth.tokens]]\nname = \"{name}\"\nrole = \"{role}\"\nsha256 = \"{digest}\"\n{rest}\n"
    )
}

/// Has the server read this configuration, as an administrator other than the first one.
async fn reload_as(server: &Driven, secret: &str, extra: &str) -> Value {
    crate::support::configure(server.folder.path(), extra);
    let admin = server.admin().with_token(Some(secret));
    admin.post("/admin/reload", Value::Null).await.expect(200)
}

async fn value_of(server: &Driven, key: &str) -> Value {
    let config = server.admin().get("/admin/config").await.expect(200);
    let values = config["values"].as_array().unwrap();
    values.iter().find(|value| value["key"] == key).unwrap()["value"].clone()
}

/// Scenario 70.
#[tokio::test]
async fn a_bad_file_changes_nothing_and_every_fault_is_told() {
    let server = Driven::start("[streams]\nheartbeat = \"7s\"\n").await;
    let bad = "[streams]\nheartbeat = \"9s\"\nsync_batch = 0\nhartbeat = \"1s\"\n";
    let problem = server.try_reload(bad).await.refused(422, "invalid_configuration");
    let faults = problem["detail"].as_str().unwrap();
    for fault in ["streams.sync_batch: expected a whole number", "streams.hartbeat: unknown key"] {
        assert!(faults.contains(fault), "{faults}");
    }
    assert_eq!(value_of(&server, "streams.heartbeat").await, "7s");
    server.try_reload("[streams").await.refused(422, "invalid_configuration");
    let reloaded = server.reload("[streams]\nheartbeat = \"9s\"\n").await;
    assert_eq!(reloaded, json!({ "changed": ["streams.heartbeat"], "needs_restart": [] }));
    assert_eq!(value_of(&server, "streams.heartbeat").await, "9s");
}

#[tokio::test]
async fn the_configuration_in_effect_is_shown_with_origins_and_without_secrets() {
    let profile =
        "[agents.own]\nprotocol = \"lines\"\ncommand = \"cat\"\nenv = { KEY = \"s3cret\" }\n";
    let server = Driven::start(&format!("{profile}{}", token(ANN, "admin", ""))).await;
    let admin = server.admin().with_token(Some(ANN));
    let config = admin.get("/admin/config").await.expect(200);
    let shown = config.to_string();
    let digest = HEXLOWER.encode(&Sha256::digest(ANN));
    assert!(!shown.contains("s3cret") && !shown.contains(&digest), "{shown}");
    let value = |key: &str| {
        let values = config["values"].as_array().unwrap();
        values.iter().find(|value| value["key"] == key).unwrap_or_else(|| panic!("{key}")).clone()
    };
    assert_eq!(
        value("sessions.max_live"),
        json!({ "key": "sessions.max_live", "value": 100, "origin": "default" })
    );
    assert_eq!(value("agents.own.env")["value"], json!({ "KEY": "<hidden>" }));
    assert_eq!(value("auth.tokens[0].sha256")["value"], "<hidden>");
    let origin = value("agents.own.command")["origin"].as_str().unwrap().to_owned();
    let file = format!("{}:", server.folder.path().join("seawall.toml").display());
    assert!(origin.starts_with(&file), "{origin}");
}

#[tokio::test]
async fn a_token_that_is_removed_ends_its_streams_and_is_refused_from_then_on() {
    let ann = token(ANN, "admin", "");
    let server = Driven::start(&format!("{ann}{}", token(BOB, "viewer", ""))).await;
    let [ann_api, bob_api] = [ANN, BOB].map(|secret| server.with_token(Some(secret)));
    let id = ann_api.create("cat").await;
    let mut of_ann = ann_api.stream(&format!("/v1/stream?sessions={id}")).await;
    let mut of_bob = bob_api.stream(&format!("/v1/stream?sessions={id}")).await;
    let mut list = bob_api.stream("/v1/sessions/stream").await;
    for stream in [&mut of_ann, &mut of_bob, &mut list] {
        stream.named("welcome").await;
    }
    // The same name with another token is another credential.
    let other =
        token(BOB, "viewer", "").replace(&HEXLOWER.encode(&Sha256::digest(BOB)), &"0".repeat(64));
    reload_as(&server, ANN, &format!("{ann}{other}")).await;
    for stream in [&mut of_bob, &mut list] {
        let bye = json!({ "reason": "revoked", "retry_ms": null });
        assert_eq!(stream.named("bye").await.0, bye);
        assert_eq!(stream.next().await.map(|frame| frame.event), None);
    }
    bob_api.get("/v1/sessions").await.refused(401, "unauthorized");
    ann_api.send(&id, "m1", "hello").await;
    of_ann.events_until(is("agent.output")).await;
}

#[tokio::test]
async fn a_token_that_may_see_less_ends_its_streams_and_one_that_may_see_more_does_not() {
    let ann = token(ANN, "admin", "");
    let bob = |agents: &str| format!("{ann}{}", token(BOB, "viewer", agents));
    let server = Driven::start(&bob("agents = [\"cat\", \"sh\"]")).await;
    let [ann_api, bob_api] = [ANN, BOB].map(|secret| server.with_token(Some(secret)));
    let id = ann_api.create("cat").await;
    let mut stream = bob_api.stream(&format!("/v1/stream?sessions={id}")).await;
    reload_as(&server, ANN, &bob("")).await;
    ann_api.send(&id, "m1", "hello").await;
    stream.events_until(is("agent.output")).await;
    // It was opened with less than it would see now, and all of that is still granted.
    reload_as(&server, ANN, &bob("agents = [\"sh\", \"cat\", \"demo\"]")).await;
    ann_api.send(&id, "m2", "hello").await;
    stream.events_until(is("agent.output")).await;
    reload_as(&server, ANN, &bob("agents = [\"sh\"]")).await;
    assert_eq!(stream.named("bye").await.0["reason"], "revoked");
    bob_api.get(&format!("/v1/sessions/{id}")).await.refused(404, "not_found");
}

#[tokio::test]
async fn the_first_token_is_valid_again_when_no_other_is_configured() {
    let server = Driven::start("").await;
    let id = server.create("cat").await;
    let mut stream = server.follow(&id).await;
    stream.named("welcome").await;
    let reloaded = server.reload(&token(ANN, "admin", "")).await;
    assert_eq!(reloaded["changed"], json!(["auth.tokens"]));
    assert_eq!(stream.named("bye").await.0["reason"], "revoked");
    server.get("/v1/sessions").await.refused(401, "unauthorized");
    reload_as(&server, ANN, "").await;
    server.get("/v1/sessions").await.expect(200);
    server.with_token(Some(ANN)).get("/v1/sessions").await.refused(401, "unauthorized");
}

#[tokio::test]
async fn limits_act_on_sessions_that_are_live_already() {
    // The clock is moved by as much as a stream may take nothing.
    let hanging = demo_profile("slow", "env = { DEMO_AGENT_HANDSHAKE = \"hang\" }")
        + "[streams]\nstall_timeout = \"9h\"\n";
    let server = Driven::start(&hanging).await;
    let waiting = server.create("slow").await;
    let asking = server.create("demo").await;
    let idle = server.create("cat").await;
    let mut stream = server.follow(&asking).await;
    stream.events_until(|event| event["data"]["to"] == "ACTIVE").await;
    server.row_in(&idle, seawall::domain::State::Active).await;
    server.send(&waiting, "m1", "one").await;
    let limits = "[sessions]\nmax_queued_messages = 1\npermission_timeout = \"1m\"\ndetach_timeout = \"1h\"\nstart_timeout = \"2h\"\n";
    let reloaded = server.reload(&format!("{hanging}{limits}")).await;
    assert_eq!(reloaded["changed"].as_array().unwrap().len(), 4, "{reloaded}");

    server.try_send(&waiting, "m2", "two").await.refused(429, "queue_full");

    server.send(&asking, "m1", "ask").await;
    stream.events_until(is("permission.requested")).await;
    server.advance(Duration::from_secs(60));
    let events = stream.events_until(is("permission.resolved")).await;
    assert_eq!(only(&events, "permission.resolved")["outcome"], "expired");

    // Nothing happens to it but that the time passes, which is shorter now than when it began.
    server.advance(Duration::from_secs(3600));
    server.row_in(&idle, seawall::domain::State::Closing).await;
}

#[tokio::test]
async fn limits_of_streams_act_on_those_that_are_opened_and_a_welcome_is_kept() {
    let server = Driven::start("").await;
    let id = server.create("cat").await;
    server.send(&id, "m1", "hello").await;
    let head = server.look_until(&id, |event| event["type"] == "agent.output").await.len();
    let path = format!("/v1/stream?sessions={id}&after={id}:{}", head - 4);
    let mut before = server.stream(&path).await;
    assert_eq!(before.named("welcome").await.0["heartbeat_ms"], 20_000);
    before.named("message").await;
    server.reload("[streams]\nheartbeat = \"1s\"\nmax_replay_gap = 3\nmax_streams = 2\n").await;
    let mut after = server.stream(&path).await;
    assert_eq!(after.named("welcome").await.0["heartbeat_ms"], 1000);
    assert_eq!(after.named("gap").await.0["missed"], 4);
    server.get(&path).await.refused(429, "too_many_streams");
    after.named("snapshot").await;
    before.named("snapshot").await;
    // A second is a heartbeat of the new one; the old one keeps what its client was told.
    server.advance(Duration::from_secs(1));
    after.named("ping").await;
    server.send(&id, "m2", "hello").await;
    assert_eq!(before.next().await.unwrap().event, "message");
}

#[tokio::test]
async fn a_profile_that_was_changed_acts_at_the_next_run_and_a_removed_one_starts_nothing() {
    let profile = |word: &str| {
        format!(
            "[agents.own]\nprotocol = \"lines\"\ncommand = \"sh\"\nargs = [\"-c\", \"echo {word}; cat\"]\n"
        )
    };
    let server = Driven::start(&profile("one")).await;
    let id = server.create("own").await;
    let said = |word: &'static str| move |event: &Value| event["data"]["text"] == word;
    server.look_until(&id, said("one")).await;
    server.reload(&profile("two")).await;
    server.send(&id, "m1", "still here").await;
    server.look_until(&id, said("still here")).await;
    server.stop_session(&id, json!({})).await;
    server.state(&id, "ENDED").await;
    server.post(&format!("/v1/sessions/{id}/resume"), json!({})).await.expect(202);
    let events = server.look_until(&id, said("two")).await;
    assert_eq!(of_type(&events, "transport.started").len(), 2);
    server.reload("").await;
    server.post("/v1/sessions", json!({ "agent": "own" })).await.refused(422, "unknown_agent");
    server.send(&id, "m2", "its child runs").await;
    server.look_until(&id, said("its child runs")).await;
}

#[tokio::test]
async fn a_secret_file_that_was_replaced_acts_at_the_next_run_after_a_reload() {
    let profile = "[agents.own]\nprotocol = \"lines\"\ncommand = \"sh\"\nargs = [\"-c\", \"echo $KEY; cat\"]\nenv_file = { KEY = \"key\" }\n";
    let folder = crate::support::configured(profile);
    let write = |secret: &str| fs::write(folder.path().join("key"), secret).unwrap();
    write("first\n");
    let clock = seawall::clock::Clock::manual(seawall::domain::Timestamp::from_millis(0));
    let server = Driven::start_in(folder.clone(), profile, clock).await;
    let id = server.create("own").await;
    server.look_until(&id, |event| event["data"]["text"] == "first").await;
    write("second\n");
    let reloaded = server.reload(profile).await;
    assert_eq!(reloaded["changed"], json!(["agents.own.env_file"]));
    let id = server.create("own").await;
    server.look_until(&id, |event| event["data"]["text"] == "second").await;
    fs::remove_file(folder.path().join("key")).unwrap();
    let problem = server.try_reload(profile).await.refused(422, "invalid_configuration");
    assert!(problem["detail"].as_str().unwrap().contains("agents.own.env_file"), "{problem}");
    server.create("own").await;
}

#[tokio::test]
async fn included_profiles_come_and_go_with_a_reload() {
    let server = Driven::start("").await;
    let profile = "[agents.more]\nprotocol = \"lines\"\ncommand = \"cat\"\n";
    let path = server.folder.path().join("more.toml");
    fs::write(&path, profile).unwrap();
    // It stands before the first section.
    let own = fs::read_to_string(server.folder.path().join("seawall.toml")).unwrap();
    let text = format!("include = [\"m*.toml\"]\n{own}");
    fs::write(server.folder.path().join("seawall.toml"), text).unwrap();
    let reload = || async { server.admin().post("/admin/reload", Value::Null).await.expect(200) };
    assert_eq!(reload().await["changed"], json!(["agents.more"]));
    server.create("more").await;
    fs::remove_file(path).unwrap();
    assert_eq!(reload().await["changed"], json!(["agents.more"]));
    server.post("/v1/sessions", json!({ "agent": "more" })).await.refused(422, "unknown_agent");
}

#[tokio::test]
async fn a_retention_that_comes_with_a_reload_removes_old_events() {
    let server = Driven::start("").await;
    let id = server.create("cat").await;
    server.send(&id, "m1", "hello").await;
    server.look_until(&id, |event| event["type"] == "agent.output").await;
    server.reload("[store]\nretention_events = 2\n").await;
    let path = format!("/v1/sessions/{id}/events");
    // How long the removal takes, only looking tells. At first the message may still be open; a later round takes it.
    let removed = async {
        while server.get(&path).await.expect(200)["first_seq"] == 1 {
            server.advance(Duration::from_secs(60));
        }
    };
    within("old events are removed", removed).await;
}

#[tokio::test]
async fn sessions_that_wait_for_a_place_get_it_when_there_are_more() {
    let server = Driven::start("[sessions]\nmax_live = 1\n").await;
    server.create("cat").await;
    let problem = server.post("/v1/sessions", json!({ "agent": "cat" })).await;
    problem.refused(429, "too_many_sessions");
    server.reload("[sessions]\nmax_live = 2\n").await;
    server.create("cat").await;
}
