//! Sessions that outlive their process: without work the agent is stopped, and the next message starts it again. The
//! clock of these servers is moved by hand.

use crate::support::*;
use serde_json::{Value, json};
use std::{
    path::Path,
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(900);
const MOMENT: Duration = Duration::from_millis(1);

fn thrifty(lines: &str) -> String {
    demo_profile("thrifty", &format!("park_after = \"15m\"\n{lines}"))
}

/// Makes a session that has done a turn; its row.
async fn idle(server: &Driven) -> Value {
    let id = server.create("thrifty").await;
    server.send(&id, "m1", "hello").await;
    server.look_until(&id, turn_of("m1")).await;
    server.settled(&id).await;
    server.session(&id).await
}

/// Makes a session whose agent was stopped.
async fn parked(server: &Driven) -> String {
    let session = idle(server).await;
    let id = session["id"].as_str().unwrap();
    server.advance(LIMIT);
    server.look_until(id, is("transport.exited")).await;
    id.into()
}

#[tokio::test]
async fn a_session_without_work_has_no_process_and_goes_on_with_the_next_message() {
    let server = Driven::start(&thrifty("")).await;
    let before = idle(&server).await;
    let id = before["id"].as_str().unwrap();
    server.advance(LIMIT - MOMENT);
    server.settled(id).await;
    assert_eq!(server.session(id).await["pid"], before["pid"]);
    server.advance(MOMENT);
    server.look_until(id, is("transport.exited")).await;
    let parked = server.session(id).await;
    assert!(["ACTIVE", "DETACHED"].contains(&parked["state"].as_str().unwrap()), "{parked}");
    assert_eq!((&parked["pid"], &parked["client_state"]), (&Value::Null, &json!("idle")));
    assert_eq!((&parked["run"], &parked["restarts"]), (&json!(1), &json!(0)));
    assert!(!Path::new(&format!("/proc/{}", before["pid"])).exists(), "the process is there");

    server.send(id, "m2", "are you there").await;
    let events = server.look_until(id, turn_of("m2")).await;
    let starts = of_type(&events, "transport.started");
    assert_eq!(starts[1]["data"]["context"], "resumed");
    assert_eq!(starts[1]["data"]["agent_session_id"], starts[0]["data"]["agent_session_id"]);
    assert!(of_type(&events, "transport.restarting").is_empty());
    assert!(of_type(&events, "message.failed").is_empty());
    let session = server.session(id).await;
    assert_eq!((&session["run"], &session["restarts"]), (&json!(2), &json!(0)));
}

#[tokio::test]
async fn parking_as_often_as_one_likes_is_no_failure() {
    let server = Driven::start(&thrifty("")).await;
    let id = parked(&server).await;
    for run in 2..8 {
        let message = format!("m{run}");
        server.send(&id, &message, "hello").await;
        let ended = |event: &Value| {
            event["type"] == "turn.ended" && event["data"]["message_id"] == message.as_str()
        };
        server.look_until(&id, ended).await;
        server.settled(&id).await;
        server.advance(LIMIT);
        let exited = |event: &Value| event["type"] == "transport.exited" && event["run"] == run;
        server.look_until(&id, exited).await;
    }
    let tree = server.admin().get("/admin/supervision").await.expect(200);
    let session = tree["children"].as_array().unwrap().iter().find(|node| node["session_id"] == id);
    let session = session.unwrap();
    assert_eq!((&session["failures"], &session["children"]), (&json!(0), &Value::Null), "{tree}");
    assert_eq!(server.session(&id).await["restarts"], 0);
}

#[tokio::test]
async fn a_stream_of_a_parked_session_is_quiet_and_sees_it_wake() {
    let server = Driven::start(&thrifty("")).await;
    let id = parked(&server).await;
    let mut stream = server.stream(&format!("/v1/stream?sessions={id}")).await;
    let (snapshot, _) = stream.named("snapshot").await;
    assert_eq!((&snapshot["client_state"], &snapshot["run"]), (&json!("idle"), &json!(1)));
    server.advance(Duration::from_secs(30));
    server.send(&id, "m2", "hello").await;
    let events = stream.events_until(turn_of("m2")).await;
    let states: Vec<&Value> =
        of_type(&events, "session.state").iter().map(|event| &event["data"]["to"]).collect();
    assert!(states.ends_with(&[&json!("STARTING"), &json!("ACTIVE")]), "{states:?}");
    assert!(of_type(&events, "transport.exited").is_empty());
}

#[tokio::test]
async fn a_resume_starts_the_agent_and_a_stop_ends_the_session() {
    let server = Driven::start(&thrifty("")).await;
    let id = parked(&server).await;
    assert!(!server.interrupt(&id).await);
    server.resume(&id).await.expect(202);
    server.look_until(&id, |event| event["data"]["context"] == "resumed").await;
    server.settled(&id).await;
    server.advance(LIMIT);
    server.look_until(&id, |event| event["type"] == "transport.exited" && event["run"] == 2).await;
    server.stop_session(&id, json!({})).await;
    server.look_until(&id, ends("stopped")).await;
    server.send(&id, "m2", "hello").await;
    server.look_until(&id, turn_of("m2")).await;
}

#[tokio::test]
async fn an_agent_that_would_forget_is_left_running() {
    let server = Driven::start(&thrifty("env = { DEMO_AGENT_NO_RESUME = \"1\" }")).await;
    let session = idle(&server).await;
    let id = session["id"].as_str().unwrap();
    server.advance(10 * LIMIT);
    server.settled(id).await;
    assert_eq!(server.session(id).await["pid"], session["pid"]);
}

#[tokio::test]
async fn a_parked_session_that_panics_is_rebuilt_parked() {
    let server = Driven::start(&thrifty("")).await;
    let id = parked(&server).await;
    let before = server.events(&id).await.len();
    fail::cfg("session::ask", "1*panic(as told)").unwrap();
    // Until the dead actor is known as such, who asks is told to ask again.
    let start = Instant::now();
    while server.try_send(&id, "m2", "hello").await.status != 202 {
        assert!(start.elapsed() < PATIENCE, "it is not taken up again");
    }
    fail::remove("session::ask");
    let events = server.look_until(&id, turn_of("m2")).await;
    assert!(of_type(&events[before..], "transport.failed").is_empty(), "{events:#?}");
    assert!(of_type(&events, "transport.restarting").is_empty());
}

#[tokio::test]
async fn a_crash_of_the_server_ends_a_parked_session_and_its_next_message_resumes_it() {
    let server = Process::start(&demo_profile("thrifty", "park_after = \"1ms\"")).await;
    let id = server.create("thrifty").await;
    server.until(&id, is("transport.exited")).await;
    let folder = server.kill();
    let server = Process::start_in(folder).await;
    let events = server.until(&id, ends("server_restart")).await;
    assert_eq!(of_type(&events, "transport.exited").len(), 1);
    server.send(&id, "m1", "hello").await;
    let events = server.turn(&id, "m1").await;
    assert_eq!(of_type(&events, "transport.started").last().unwrap()["data"]["context"], "resumed");
}
