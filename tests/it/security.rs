//! Who may do what, asked of a server that runs: every route of the document is tried, so that a new one cannot be
//! forgotten. What comes with a cookie, what hostile peers send, and where secrets are looked for stand below.

mod confined;
mod crowd;
mod hostile;
mod login;
mod secrets;

use crate::support::{Api, Process, configured, of_type, within};
use data_encoding::HEXLOWER;
use seawall::wire::problem::ErrorCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, process::Command};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const ADMIN: &str = "swt_the-token-of-an-admin";
const VIEWER: &str = "swt_the-token-of-a-viewer";
/// An operator that may see `cat` and nothing else.
const LIMITED: &str = "swt_the-token-of-a-limited-operator";

fn tokens() -> String {
    [
        ("ada", "admin", ADMIN, ""),
        ("vera", "viewer", VIEWER, ""),
        ("lou", "operator", LIMITED, "agents = [\"cat\"]\n"),
    ]
    .iter()
    .map(|(name, role, token, rest)| {
        let digest = HEXLOWER.encode(&Sha256::digest(token));
        format!(
            "[[auth.tokens]]\nname = \"{name}\"\nrole = \"{role}\"\nsha256 = \"{digest}\"\n{rest}"
        )
    })
    .collect()
}

/// A call of the document, its path filled in for a session.
struct Call {
    method: String,
    path: String,
    /// It works on one session.
    in_session: bool,
}

/// Every call of `/v1/openapi.json` that needs a credential.
async fn calls(api: &Api, session: &str) -> Vec<Call> {
    let document = api.with_token(None).get("/v1/openapi.json").await.expect(200);
    let mut calls = Vec::new();
    for (template, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            if operation["security"] == json!([]) || operation["security"] == json!([{}]) {
                let open = ["/v1/openapi.json", "/v1/login"];
                assert!(open.contains(&template.as_str()), "{template} needs no credential");
                continue;
            }
            let path = template.replace("{id}", session);
            let path = path.replace("{message_id}", "m1").replace("{request_id}", "p1.1");
            let mut path = path.replace("/v1/stream", &format!("/v1/stream?sessions={session}"));
            if let Some((before, after)) = path.split_once("/stream?sessions=") {
                // Only the stream of several sessions takes them in its query.
                if before != "/v1" {
                    path = format!("{before}/stream{}", &after[session.len()..]);
                }
            }
            let in_session = template.starts_with("/v1/sessions/{id}") || template == "/v1/stream";
            calls.push(Call { method: method.to_uppercase(), path, in_session });
        }
    }
    assert!(calls.len() >= 18, "the document is not what it was: {} calls", calls.len());
    calls
}

/// Asks without reading a stream's body to its end.
async fn refusal(request: reqwest::RequestBuilder) -> (u16, String) {
    let response = within("an answer", request.send()).await.expect("an answer");
    let status = response.status().as_u16();
    if response.status().is_success() {
        return (status, String::new());
    }
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem: Value = within("a body", response.json()).await.expect("JSON");
    (status, problem["code"].as_str().expect("a code").into())
}

fn refused(code: ErrorCode) -> (u16, String) {
    let word = serde_json::to_value(code).expect("a word");
    (code.status(), word.as_str().expect("a word").into())
}

// Scenario 74.
#[tokio::test]
async fn no_call_is_open_to_a_stranger() {
    let server = Process::start(&format!("[server]\nlogin_rate = \"off\"\n{}", tokens())).await;
    let admin = server.with_token(Some(ADMIN));
    let session = admin.create("demo").await;
    let digest = HEXLOWER.encode(&Sha256::digest(ADMIN));
    let strangers = [None, Some("wrong"), Some(digest.as_str()), Some(&ADMIN[..ADMIN.len() - 1])];
    for call in calls(&server, &session).await {
        for token in strangers {
            let stranger = server.with_token(token);
            let request = stranger.request(&call.method, &call.path).json(&json!({}));
            let answer = refusal(request).await;
            assert_eq!(answer, refused(ErrorCode::Unauthorized), "{} {}", call.method, call.path);
        }
    }
    let in_query = format!("/v1/sessions?token={ADMIN}");
    server.with_token(None).get(&in_query).await.refused(401, "unauthorized");
}

// Scenario 74. What is refused for its role is refused before its body is looked at.
#[tokio::test]
async fn a_viewer_reads_and_changes_nothing() {
    let server = Process::start(&tokens()).await;
    let admin = server.with_token(Some(ADMIN));
    let session = admin.create("demo").await;
    let before = admin.state(&session, "ACTIVE").await;
    let viewer = server.with_token(Some(VIEWER));
    for call in calls(&server, &session).await {
        let answer = refusal(viewer.request(&call.method, &call.path).body("no JSON")).await;
        let what = format!("{} {}", call.method, call.path);
        if call.method == "GET" {
            assert_eq!(answer.0, 200, "{what}");
        } else if call.path == "/v1/logout" {
            assert_eq!(answer.0, 204, "{what}");
        } else if call.path.starts_with("/v1/connections/") {
            // It opened no stream; its own it may suspend.
            assert_eq!(answer, refused(ErrorCode::NotFound), "{what}");
        } else {
            assert_eq!(answer, refused(ErrorCode::Forbidden), "{what}");
        }
    }
    assert_eq!(admin.events(&session).await[..before.len()], before);
    assert_eq!(admin.session(&session).await["title"], Value::Null);
}

// Scenario 74. Another agent's session and one that never was cannot be told apart.
#[tokio::test]
async fn what_a_credential_may_not_see_looks_like_what_is_not_there() {
    let server = Process::start(&tokens()).await;
    let hidden = server.with_token(Some(ADMIN)).create("demo").await;
    let limited = server.with_token(Some(LIMITED));
    let absent = "00000000-0000-4000-8000-000000000000";
    for call in calls(&server, &hidden).await.iter().filter(|call| call.in_session) {
        let ask =
            |path: String| limited.call(limited.request(&call.method, &path).json(&json!({})));
        let of_hidden = ask(call.path.clone()).await;
        let of_absent = ask(call.path.replace(&hidden, absent)).await;
        of_hidden.clone().refused(404, "not_found");
        assert_eq!(of_hidden, of_absent, "{} {}", call.method, call.path);
    }
    let hidden_agent = limited.post("/v1/sessions", json!({"agent": "demo"})).await;
    let absent_agent = limited.post("/v1/sessions", json!({"agent": "none"})).await;
    hidden_agent.clone().refused(422, "unknown_agent");
    assert_eq!(
        hidden_agent.body["detail"].as_str().map(|text| text.replace("demo", "none")),
        absent_agent.body["detail"].as_str().map(Into::into)
    );
}

// Scenario 74: lists, search and streams are filtered alike.
#[tokio::test]
async fn lists_and_streams_show_a_limited_credential_its_own_agents_only() {
    let server = Process::start(&tokens()).await;
    let admin = server.with_token(Some(ADMIN));
    let limited = server.with_token(Some(LIMITED));
    let hidden = admin.create("demo").await;
    let own = limited.create("cat").await;
    for query in ["", "?limit=200", "?agent=demo", "?q=demo", &format!("?q={hidden}")] {
        let list = limited.get(&format!("/v1/sessions{query}")).await.expect(200);
        let ids: Vec<_> =
            list["sessions"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
        let expected = if query.is_empty() || query == "?limit=200" { vec![&own] } else { vec![] };
        assert_eq!(ids, expected, "{query}");
    }

    let path = format!("/v1/stream?sessions={hidden},{own}&list=1&after={hidden}:0,{own}:0");
    let mut stream = limited.stream(&path).await;
    admin.send(&hidden, "m1", "flood 3").await;
    admin.turn(&hidden, "m1").await;
    limited.send(&own, "m1", "the last word").await;
    let mut kinds = BTreeSet::new();
    loop {
        let frame = stream.next().await.expect("a frame");
        let text = String::from_utf8(frame.data.to_vec()).unwrap();
        kinds.insert(frame.event.clone());
        if frame.event == "gone" {
            assert_eq!(
                serde_json::from_str::<Value>(&text).unwrap(),
                json!({"session_id": hidden, "reason": "unknown"})
            );
        } else {
            assert!(!text.contains(&hidden), "{}: {text}", frame.event);
        }
        if text.contains("agent.output") && text.contains("the last word") {
            break;
        }
    }
    assert!(kinds.contains("gone") && kinds.contains("sessions"), "{kinds:?}");
    let mut list = limited.stream("/v1/sessions/stream").await;
    let (sessions, _) = list.named("sessions").await;
    assert!(!sessions.to_string().contains(&hidden));
    assert!(sessions.to_string().contains(&own));
}

// Contract 5: a stream can be suspended by the credential that opened it, and by no other.
#[tokio::test]
async fn a_connection_id_is_no_credential() {
    let server = Process::start(&tokens()).await;
    let viewer = server.with_token(Some(VIEWER));
    let session = server.with_token(Some(ADMIN)).create("cat").await;
    let mut stream = viewer.stream(&format!("/v1/stream?sessions={session}")).await;
    let (welcome, _) = stream.named("welcome").await;
    let path = format!("/v1/connections/{}/suspend", welcome["connection_id"].as_str().unwrap());
    server
        .with_token(Some(ADMIN))
        .call(server.with_token(Some(ADMIN)).request("POST", &path))
        .await
        .refused(404, "not_found");
    viewer.call(viewer.request("POST", &path)).await.expect(204);
}

/// A request as bytes; the answer's status line.
async fn raw(server: &Process, request: &str) -> String {
    let address = server.url.trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    socket.write_all(request.as_bytes()).await.expect("it is taken");
    let mut answer = Vec::new();
    // What is closed hard was answered before.
    let _ = within("an answer", socket.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

// Scenario 75.
#[tokio::test]
async fn a_foreign_host_is_turned_away_on_every_call_whoever_asks() {
    let server = Process::start(&tokens()).await;
    let admin = server.with_token(Some(ADMIN));
    let session = admin.create("demo").await;
    for call in calls(&server, &session).await {
        let request = admin.request(&call.method, &call.path).header("Host", "evil.example:7878");
        let what = format!("{} {}", call.method, call.path);
        assert_eq!(refusal(request).await, refused(ErrorCode::ForeignHost), "{what}");
    }
    assert_eq!(admin.session(&session).await["id"], json!(session), "it is still there");
    for request in [
        format!(
            "GET /v1/sessions HTTP/1.1\r\nAuthorization: Bearer {ADMIN}\r\nConnection: close\r\n\r\n"
        ),
        format!(
            "GET http://evil.example/v1/sessions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN}\r\nConnection: close\r\n\r\n"
        ),
        format!(
            "GET /v1/sessions HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nAuthorization: Bearer {ADMIN}\r\nConnection: close\r\n\r\n"
        ),
    ] {
        let status = raw(&server, &request).await;
        assert!(status.contains(" 421") || status.contains(" 400"), "{status}: {request}");
    }
}

// Contract 7: the first token is its owner's alone, and gone when others are configured.
#[tokio::test]
async fn the_first_token_is_for_its_owner_and_only_while_no_other_is_configured() {
    let server = Process::start("").await;
    let first = server.token.clone().expect("a token was made");
    let path = server.folder.path().join("data/token");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(server.log().contains(path.to_str().unwrap()), "{}", server.log());
    assert!(!server.log().contains(&first));
    server.get("/v1/sessions").await.expect(200);
    let folder = server.kill();
    crate::support::configure(folder.path(), &tokens());
    let server = Process::start_in(folder).await;
    server.with_token(Some(&first)).get("/v1/sessions").await.refused(401, "unauthorized");
    server.with_token(Some(VIEWER)).get("/v1/sessions").await.expect(200);
}

// Scenario 80.
#[tokio::test]
async fn a_child_sees_neither_our_variables_nor_systemds_nor_our_descriptors() {
    let folder = configured(
        "[agents.shell]\nprotocol = \"lines\"\ncommand = \"sh\"\nenv = { OWN = \"of the profile\" }\nenv_allow = [\"ASKED\"]\n",
    );
    let mut command = Process::command(folder.path());
    for name in [
        "SEAWALL_TOKEN",
        "SEAWALL_URL",
        "NOTIFY_SOCKET",
        "LISTEN_FDS",
        "LISTEN_PID",
        "LISTEN_FDNAMES",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "CREDENTIALS_DIRECTORY",
        "STATE_DIRECTORY",
        "RUST_LOG",
        "ANYTHING_ELSE",
    ] {
        command.env(name, "/nonexistent/secret");
    }
    command
        .env("SEAWALL__STREAMS__HEARTBEAT", "19s")
        .env("RUST_LOG", "info")
        .env("LISTEN_FDS", "0");
    command.env("HOME", folder.path()).env("TZ", "UTC").env("TERM", "dumb");
    let server = Process::start_as(command, folder).await;
    let body = json!({"agent": "shell", "env": {"ASKED": "by the caller"}});
    let session = server.post("/v1/sessions", body).await.expect(201);
    let id = session["id"].as_str().unwrap();
    let script = format!("env -0 | tr '\\0' '\\n'; echo; {LIST_DESCRIPTORS}; echo end");
    server.send(id, "m1", &script).await;
    let events = server.until(id, |event| event["data"]["text"] == "end").await;
    let output = of_type(&events, "agent.output");
    let lines: Vec<&str> =
        output.iter().filter_map(|event| event["data"]["text"].as_str()).collect();
    let value = |name: &str| lines.iter().find_map(|line| line.strip_prefix(&format!("{name}=")));
    assert_eq!(value("OWN"), Some("of the profile"));
    assert_eq!(value("ASKED"), Some("by the caller"));
    assert_eq!((value("TZ"), value("TERM")), (Some("UTC"), Some("dumb")));
    let marker = "SEAWALL_CHILD";
    let allowed = [
        "PATH", "HOME", "USER", "LANG", "TZ", "TERM", "OWN", "ASKED", "PWD", "OLDPWD", "SHLVL",
        "_", "fd", marker,
    ];
    for line in lines.iter().filter_map(|line| line.split_once('=')) {
        assert!(allowed.contains(&line.0), "the child sees {}={}", line.0, line.1);
    }
    assert!(value(marker).is_some(), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("/nonexistent/secret")));
    // What this test's own parent left open goes through every process; nothing of the server's does.
    let plain = Command::new("sh").args(["-c", LIST_DESCRIPTORS]).output().unwrap();
    let plain = String::from_utf8(plain.stdout).unwrap();
    let descriptors: Vec<_> = lines.iter().filter(|line| line.starts_with("fd=")).collect();
    assert!(descriptors.len() >= 3, "{lines:#?}");
    for descriptor in descriptors {
        assert!(plain.lines().any(|line| line == *descriptor), "the child has {descriptor}");
    }
}

const LIST_DESCRIPTORS: &str = "for f in /proc/self/fd/*; do echo fd=${f##*/}; done";
