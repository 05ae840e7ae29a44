//! Times as configured, on a clock that is moved by hand: nothing happens a moment before, and it happens then.

use crate::support::{Driven, becomes, demo_profile, is, of_type, only, within};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The length of every time that is configured here; no default is 7 s.
const SPAN: Duration = Duration::from_secs(7);
const MOMENT: Duration = Duration::from_millis(1);

/// Moves the clock to a moment before the span's end, looks, and moves it over the end.
async fn pass_span(server: &Driven, id: &str, what: &str) {
    server.advance(SPAN - MOMENT);
    let before = server.events(id).await;
    assert!(!before.iter().any(|event| fits(event, what)), "{what} came too early");
    server.advance(MOMENT);
    server.look_until(id, |event| fits(event, what)).await;
}

/// An event of this type, or the change to this state.
fn fits(event: &Value, what: &str) -> bool {
    event["type"] == what || (event["type"] == "session.state" && event["data"]["to"] == what)
}

#[tokio::test]
async fn silence_is_broken_after_the_configured_heartbeat() {
    let server = Driven::start("[streams]\nheartbeat = \"7s\"\n").await;
    let mut stream = server.stream("/v1/sessions/stream").await;
    let (welcome, _) = stream.named("welcome").await;
    assert_eq!(welcome["heartbeat_ms"], 7000);
    stream.named("sessions").await;
    server.advance(SPAN);
    assert_eq!(stream.next().await.unwrap().event, "ping");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_is_given_up() {
    let server = Driven::start("[server]\nrequest_timeout = \"7s\"\n").await;
    let id = server.create("cat").await;
    let token = server.token.clone().unwrap();
    let mut socket = TcpStream::connect(server.url.trim_start_matches("http://")).await.unwrap();
    let head = format!(
        "POST /v1/sessions/{id}/messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body when it begins to wait for it.
    let mut asked = [0; 25];
    within("the server reads", socket.read_exact(&mut asked)).await.unwrap();
    assert!(asked.starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&asked));
    let mut answer = Vec::new();
    let wait = async {
        let mut bytes = [0; 4096];
        while !answer.starts_with(b"HTTP/1.1 408") {
            server.advance(SPAN);
            let read = tokio::select! {
                read = socket.read(&mut bytes) => read.unwrap(),
                () = tokio::task::yield_now() => continue,
            };
            assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&bytes[..read]);
        }
    };
    within("an answer", wait).await;
    assert!(String::from_utf8_lossy(&answer).contains("request_timeout"));
}

#[tokio::test]
async fn a_handshake_longer_than_the_start_timeout_fails_the_start() {
    let profile = demo_profile("slow", "env = { DEMO_AGENT_HANDSHAKE = \"hang\" }");
    let server = Driven::start(&format!("{profile}[sessions]\nstart_timeout = \"7s\"\n")).await;
    let id = server.create("slow").await;
    server.look_until(&id, becomes("STARTING")).await;
    pass_span(&server, &id, "transport.failed").await;
    let events = server.look_until(&id, becomes("ENDED")).await;
    let failed = only(&events, "transport.failed");
    assert_eq!(failed["code"], "handshake");
    let detail = failed["detail"].as_str().unwrap();
    assert!(detail.contains("7 s") && detail.contains("sessions.start_timeout"), "{detail}");
    assert_eq!(server.session(&id).await["end_reason"], "start_failed");
}

#[tokio::test]
async fn the_times_of_an_unwatched_session_are_the_configured_ones() {
    let extra =
        "[sessions]\ndetach_after = \"7s\"\ndetach_timeout = \"14s\"\nclose_grace = \"7s\"\n";
    let server = Driven::start(extra).await;
    let id = server.create("cat").await;
    server.look_until(&id, becomes("ACTIVE")).await;
    pass_span(&server, &id, "DETACHED").await;
    // The timeout counts from the first ACTIVE.
    pass_span(&server, &id, "CLOSING").await;
    pass_span(&server, &id, "transport.stopping").await;
    server.look_until(&id, becomes("ENDED")).await;
    assert_eq!(server.session(&id).await["end_reason"], "detach_timeout");
}

#[tokio::test]
async fn a_session_in_the_background_is_detached_after_the_configured_grace() {
    let server = Driven::start("[sessions]\nsuspend_grace = \"7s\"\n").await;
    let id = server.create("cat").await;
    server.look_until(&id, becomes("ACTIVE")).await;
    let mut stream = server.stream(&format!("/v1/stream?sessions={id}")).await;
    let (welcome, _) = stream.named("welcome").await;
    let path = format!("/v1/connections/{}/suspend", welcome["connection_id"].as_str().unwrap());
    server.call(server.request("POST", &path)).await.expect(204);
    server.look_until(&id, becomes("SUSPENDED")).await;
    pass_span(&server, &id, "DETACHED").await;
}

#[tokio::test]
async fn the_stop_ladder_shares_the_configured_grace() {
    let server = Driven::start("[sessions]\nclose_grace = \"10m\"\n").await;
    let id = server.create("demo").await;
    server.send(&id, "m1", "ignore-interrupt").await;
    server.look_until(&id, is("agent.message")).await;
    server.stop_session(&id, json!({})).await;
    let mut deadlines = Vec::new();
    for rung in ["cancel", "close_stdin", "sigint", "sigterm"] {
        let stands =
            |event: &Value| event["type"] == "transport.stopping" && event["data"]["rung"] == rung;
        let events = server.look_until(&id, stands).await;
        let millis = of_type(&events, "transport.stopping").last().unwrap()["data"]["deadline_ms"]
            .as_u64()
            .unwrap();
        deadlines.push(millis);
        server.advance(Duration::from_millis(millis));
    }
    assert_eq!(deadlines, [120_000, 120_000, 120_000, 240_000]);
    server.look_until(&id, becomes("ENDED")).await;
}

#[tokio::test]
async fn a_permission_waits_as_long_as_configured_and_a_profile_may_say_less() {
    let hasty = demo_profile("hasty", "permission_timeout = \"7s\"");
    let extra = format!("{hasty}[sessions]\npermission_timeout = \"14s\"\n");
    let server = Driven::start(&extra).await;
    let [patient, hasty] = [server.create("demo").await, server.create("hasty").await];
    for id in [&patient, &hasty] {
        server.send(id, "m1", "ask").await;
        server.look_until(id, is("permission.requested")).await;
    }
    pass_span(&server, &hasty, "permission.resolved").await;
    pass_span(&server, &patient, "permission.resolved").await;
    for id in [&patient, &hasty] {
        let events = server.events(id).await;
        assert_eq!(only(&events, "permission.resolved")["outcome"], "expired");
    }
}

#[tokio::test]
async fn an_interrupt_climbs_a_step_in_the_configured_time() {
    let server = Driven::start("[sessions]\ninterrupt_step = \"7s\"\n").await;
    let id = server.create("demo").await;
    server.send(&id, "m1", "ignore-interrupt").await;
    server.look_until(&id, is("agent.message")).await;
    assert!(server.interrupt(&id).await);
    server.look_until(&id, is("interrupt.requested")).await;
    pass_span(&server, &id, "interrupt.failed").await;
    let events = server.events(&id).await;
    assert_eq!(only(&events, "interrupt.failed")["escalated_to"], "sigint");
    pass_span(&server, &id, "transport.exited").await;
}

#[tokio::test]
async fn an_agent_is_inactive_after_the_configured_time_and_never_where_that_is_off() {
    let impatient = demo_profile("impatient", "inactivity = \"7s\"");
    let patient = demo_profile("patient", "inactivity = \"off\"");
    let server = Driven::start(&(impatient + &patient)).await;
    let [impatient, patient] = [server.create("impatient").await, server.create("patient").await];
    for id in [&impatient, &patient] {
        server.send(id, "m1", "hang").await;
        server.look_until(id, is("agent.message")).await;
    }
    pass_span(&server, &impatient, "agent.inactive").await;
    server.advance(100 * SPAN);
    server.settled(&patient).await;
    assert!(of_type(&server.events(&patient).await, "agent.inactive").is_empty());
}

#[tokio::test]
async fn an_agent_without_work_is_stopped_after_the_configured_time() {
    let server = Driven::start(&demo_profile("thrifty", "park_after = \"7s\"")).await;
    let id = server.create("thrifty").await;
    server.look_until(&id, becomes("ACTIVE")).await;
    server.send(&id, "m1", "hello").await;
    server.look_until(&id, is("turn.ended")).await;
    pass_span(&server, &id, "transport.stopping").await;
    server.look_until(&id, is("transport.exited")).await;
}

#[tokio::test]
async fn an_agent_is_restarted_as_often_and_as_late_as_configured() {
    let extra = "[supervision]\nmax_restarts = 2\nwithin = \"1h\"\nbackoff_min = \"7s\"\nbackoff_max = \"7s\"\n";
    let server = Driven::start(extra).await;
    let id = server.create("demo").await;
    for number in 1..=3 {
        server.send(&id, &format!("m{number}"), "crash").await;
        let exits = |events: &[Value]| of_type(events, "transport.exited").len();
        let mut seen = 0;
        let events = server
            .look_until(&id, |event| {
                // Every look begins with the first event.
                seen = if event["seq"] == 1 { 0 } else { seen };
                seen += usize::from(event["type"] == "transport.exited");
                seen == number
            })
            .await;
        assert_eq!(exits(&events), number);
        if number < 3 {
            let events = server.look_until(&id, is("transport.restarting")).await;
            let restarts = of_type(&events, "transport.restarting");
            assert_eq!(restarts.len(), number);
            assert_eq!(restarts[number - 1]["data"]["delay_ms"], 7000);
            server.advance(SPAN - MOMENT);
            assert_eq!(of_type(&server.events(&id).await, "transport.started").len(), number);
            server.advance(MOMENT);
        }
    }
    let events = server.look_until(&id, becomes("ENDED")).await;
    only(&events, "transport.gave_up");
    assert_eq!(server.session(&id).await["end_reason"], "restart_limit");
}

#[tokio::test]
async fn failures_that_are_further_apart_than_the_window_are_forgotten() {
    let extra = "[supervision]\nmax_restarts = 1\nwithin = \"7s\"\nbackoff_min = \"0ms\"\nbackoff_max = \"0ms\"\n";
    let server = Driven::start(extra).await;
    let id = server.create("demo").await;
    for number in 1..=3 {
        server.send(&id, &format!("m{number}"), "crash").await;
        let run = json!(number + 1);
        let started = |event: &Value| event["type"] == "transport.started" && event["run"] == run;
        server.look_until(&id, started).await;
        server.advance(SPAN);
    }
    assert!(of_type(&server.events(&id).await, "transport.gave_up").is_empty());
}
