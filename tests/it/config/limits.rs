//! Sizes and counts at their configured limits: the last that fits, and the first that does not.

use crate::support::{Driven, Process, SEAWALL, configured, demo_profile, of_type, only, within};
use serde_json::{Value, json};
use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

#[tokio::test]
async fn every_test_keeps_its_database_in_its_own_folder() {
    let server = Driven::start("").await;
    assert!(server.folder.path().join("data/seawall.db").exists());
}

#[tokio::test]
async fn only_the_configured_names_are_answered() {
    let server = Driven::start("[server]\nhosts = [\"seawall.example\"]\n").await;
    let ask = |host: &'static str| {
        server.call(server.request("GET", "/v1/sessions").header("Host", host))
    };
    ask("seawall.example").await.expect(200);
    ask("SEAWALL.example:443").await.expect(200);
    ask("localhost").await.refused(421, "foreign_host");
}

#[test]
fn an_address_of_the_network_needs_tls_here_or_at_a_proxy() {
    let tls = "tls_cert = \"/cert.pem\"\ntls_key = \"/key.pem\"\n";
    for (lines, behind_proxy, code) in [("", "false", 2), ("", "true", 0), (tls, "false", 0)] {
        let folder = configured(&format!("[server]\n{lines}"));
        let status = Command::new(SEAWALL)
            .args(["check-config", "--config"])
            .arg(folder.path().join("seawall.toml"))
            .env("SEAWALL__SERVER__LISTEN", "0.0.0.0:7878")
            .env("SEAWALL__SERVER__BEHIND_PROXY", behind_proxy)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(code), "behind_proxy = {behind_proxy}, {lines}");
    }
}

#[tokio::test]
async fn a_message_larger_than_the_limit_is_refused() {
    let server = Driven::start("[server]\nmax_body_bytes = \"2KiB\"\n").await;
    let id = server.create("cat").await;
    server.send(&id, "m1", &"x".repeat(1900)).await;
    let head = server.look_until(&id, |event| event["type"] == "agent.output").await.len();
    server.try_send(&id, "m2", &"x".repeat(2100)).await.refused(413, "too_large");
    assert_eq!(server.session(&id).await["head_seq"], head);
}

#[tokio::test]
async fn an_event_over_the_limit_is_cut_and_says_so() {
    let server = Driven::start("[store]\nmax_event_bytes = \"2KiB\"\n").await;
    let id = server.create("cat").await;
    let text = "x".repeat(5000);
    server.send(&id, "m1", &text).await;
    let events = server.look_until(&id, |event| event["type"] == "agent.output").await;
    let kept = only(&events, "user.message");
    assert_eq!(kept["truncated"], true, "{kept}");
    for line in server.lines(&id).await {
        assert!(line.len() <= 2048, "{} bytes", line.len());
    }
    // The event is cut; what the agent got is not, and it cut its own line only when it was stored.
    let back = only(&events, "agent.output");
    assert_eq!(back["truncated"], true);
    let short = back["text"].as_str().unwrap().len();
    assert!((1000..2048).contains(&short), "{short}");
}

#[tokio::test]
async fn one_event_more_than_the_replay_cap_is_a_gap() {
    let server = Driven::start("[streams]\nmax_replay_gap = 3\n").await;
    let id = server.create("cat").await;
    server.send(&id, "m1", "hello").await;
    let head = server.look_until(&id, |event| event["type"] == "agent.output").await.len();
    let path = |after: usize| format!("/v1/stream?sessions={id}&after={id}:{after}");
    let mut stream = server.stream(&path(head - 3)).await;
    assert_eq!(stream.next().await.unwrap().event, "welcome");
    for seq in head - 2..=head {
        let frame = stream.next().await.unwrap();
        let event: Value = serde_json::from_slice(&frame.data).unwrap();
        assert_eq!((frame.event.as_str(), &event["seq"]), ("message", &json!(seq)));
    }
    let mut stream = server.stream(&path(head - 4)).await;
    assert_eq!(stream.next().await.unwrap().event, "welcome");
    let frame = stream.next().await.unwrap();
    let gap: Value = serde_json::from_slice(&frame.data).unwrap();
    assert_eq!((frame.event.as_str(), &gap["missed"]), ("gap", &json!(4)));
    assert_eq!((&gap["reason"], &gap["resume_at"]), (&json!("replay_cap"), &json!(head)));
}

#[tokio::test]
async fn one_stream_more_than_the_limit_is_refused_until_another_is_closed() {
    let server = Driven::start("[streams]\nmax_streams = 2\n").await;
    let id = server.create("cat").await;
    let path = format!("/v1/stream?sessions={id}");
    let mut first = server.stream(&path).await;
    first.named("welcome").await;
    let _second = server.stream("/v1/sessions/stream").await;
    let problem = server.get(&path).await.refused(429, "too_many_streams");
    assert!(problem["detail"].as_str().unwrap().contains("streams.max_streams"), "{problem}");
    drop(first);
    // The place is free when the server has noticed; whether it has, only trying tells.
    let again = async {
        while server.request("GET", &path).send().await.unwrap().status() != 200 {
            tokio::task::yield_now().await;
        }
    };
    within("a place for another stream", again).await;
}

#[tokio::test]
async fn a_stream_follows_no_more_sessions_than_the_limit() {
    let server = Driven::start("[streams]\nmax_sessions_per_stream = 2\n").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(server.create("cat").await);
    }
    let path = |ids: &[String]| format!("/v1/stream?sessions={}", ids.join(","));
    server.stream(&path(&ids[..2])).await.named("welcome").await;
    let problem = server.get(&path(&ids)).await.refused(400, "invalid_query");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("at most 2") && detail.contains("max_sessions_per_stream"), "{detail}");
}

#[tokio::test]
async fn no_more_messages_wait_than_the_limit() {
    let profile = demo_profile("slow", "env = { DEMO_AGENT_HANDSHAKE = \"hang\" }");
    let server = Driven::start(&format!("{profile}[sessions]\nmax_queued_messages = 2\n")).await;
    let id = server.create("slow").await;
    server.send(&id, "m1", "one").await;
    server.send(&id, "m2", "two").await;
    let request = server.request("POST", &format!("/v1/sessions/{id}/messages"));
    let response =
        request.json(&json!({"message_id": "m3", "text": "three"})).send().await.unwrap();
    assert!(response.headers().contains_key("Retry-After"));
    assert_eq!(response.status(), 429);
    server.try_send(&id, "m3", "three").await.refused(429, "queue_full");
    assert_eq!(server.session(&id).await["queued_messages"], 2);
}

#[tokio::test]
async fn a_shorter_shutdown_grace_ends_the_server_sooner() {
    let mut server = Process::start("[server]\nshutdown_grace = \"400ms\"\n").await;
    let id = server.create("demo").await;
    server.send(&id, "m1", "ignore-interrupt").await;
    server.until(&id, |event| event["type"] == "agent.message").await;
    let start = Instant::now();
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.ended().await.code(), Some(0));
    // The default is 20 s, and this agent takes what it gets.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_line_over_the_limit_becomes_one_truncated_event() {
    let profile =
        "[agents.short]\nprotocol = \"lines\"\ncommand = \"sh\"\nmax_line_bytes = \"1KiB\"\n";
    let server = Driven::start(profile).await;
    let id = server.create("short").await;
    server.send(&id, "m1", "head -c 5000 /dev/zero | tr '\\0' x; echo; echo next").await;
    let events = server.look_until(&id, |event| event["data"]["text"] == "next").await;
    let output = of_type(&events, "agent.output");
    assert_eq!(output.len(), 2, "{output:#?}");
    assert_eq!(output[0]["data"]["truncated"], true);
    assert_eq!(output[0]["data"]["text"].as_str().map(str::len), Some(1024));
    assert_eq!(output[1]["data"]["truncated"], false);
}

#[tokio::test]
async fn newlines_of_a_message_are_escaped_where_the_profile_says_so() {
    let profile =
        "[agents.one-line]\nprotocol = \"lines\"\ncommand = \"cat\"\nescape_newlines = true\n";
    let server = Driven::start(profile).await;
    for (agent, heard) in [("one-line", &["a\\nb"][..]), ("cat", &["a", "b"])] {
        let id = server.create(agent).await;
        server.send(&id, "m1", "a\nb").await;
        let last = *heard.last().unwrap();
        let events = server.look_until(&id, |event| event["data"]["text"] == last).await;
        let output = of_type(&events, "agent.output");
        let texts: Vec<_> =
            output.iter().filter_map(|event| event["data"]["text"].as_str()).collect();
        assert_eq!(texts, heard);
    }
}

#[tokio::test]
async fn a_profile_says_what_runs_where_and_with_what() {
    let profile = "[agents.where]\nprotocol = \"lines\"\ncommand = \"sh\"\nargs = [\"-c\", \"echo $0 $1; pwd; cat\", \"zero\", \"one\"]\ncwd = \"/usr\"\n";
    let server = Driven::start(profile).await;
    let id = server.create("where").await;
    assert_eq!(server.session(&id).await["cwd"], "/usr");
    let events = server.look_until(&id, |event| event["data"]["text"] == "/usr").await;
    assert_eq!(of_type(&events, "agent.output")[0]["data"]["text"], "zero one");
}

#[tokio::test]
async fn a_profile_says_after_which_ends_it_is_restarted() {
    let profile = |name: &str, restart: &str, exit: u8| {
        format!(
            "[agents.{name}]\nprotocol = \"lines\"\ncommand = \"sh\"\nargs = [\"-c\", \"exit {exit}\"]\nrestart = \"{restart}\"\n"
        )
    };
    let extra = [
        profile("never", "never", 1),
        profile("clean", "on-failure", 0),
        profile("failing", "on-failure", 1),
        profile("always", "always", 0),
        "[supervision]\nmax_restarts = 1\nbackoff_min = \"0ms\"\nbackoff_max = \"0ms\"\n".into(),
    ];
    let server = Process::start(&extra.concat()).await;
    for (agent, reason, runs) in [
        ("never", "error", 1),
        ("clean", "completed", 1),
        ("failing", "restart_limit", 2),
        ("always", "restart_limit", 2),
    ] {
        let id = server.create(agent).await;
        server.state(&id, "ENDED").await;
        let session = server.session(&id).await;
        assert_eq!(
            (&session["end_reason"], &session["run"]),
            (&json!(reason), &json!(runs)),
            "{agent}"
        );
    }
}
