//! A secret of the configuration or of a request is written nowhere: not in the most talkative log, in no answer, event
//! or file.

use super::{ADMIN, VIEWER, raw, tokens};
use crate::support::{Process, configured};
use serde_json::json;
use std::fs;

const OF_A_PROFILE: &str = "the-key-of-a-profile";
const UNKNOWN: &str = "one-that-nobody-knows";

// Scenario 75.
#[tokio::test]
async fn secrets_are_written_nowhere() {
    let profile = format!("[agents.demo]\nenv = {{ API_KEY = \"{OF_A_PROFILE}\" }}\n");
    let folder = configured(&(profile + &tokens()));
    let mut command = Process::command(folder.path());
    command.env("RUST_LOG", "trace");
    let server = Process::start_as(command, folder).await;
    let admin = server.with_token(Some(ADMIN));
    let session = admin.create("demo").await;
    admin.send(&session, "m1", "flood 3").await;
    let events = admin.turn(&session, "m1").await;
    let mut answers = vec![json!(events), admin.session(&session).await];
    for (token, path) in [
        (Some(ADMIN), "/v1/sessions/unknown"),
        (Some(VIEWER), "/v1/none"),
        (Some("swt_one-that-nobody-knows"), "/v1/sessions"),
        (None, "/v1/sessions?token=swt_one-that-nobody-knows"),
    ] {
        answers.push(server.with_token(token).get(path).await.body);
    }
    let cookie = super::login::cookie(&server, ADMIN).await;
    let (_, value) = cookie.split_once('=').unwrap();
    let anybody = server.with_token(None);
    answers.push(
        anybody.call(anybody.request("GET", "/v1/sessions").header("Cookie", &cookie)).await.body,
    );
    for body in [
        json!({"token": format!("swt_{UNKNOWN}")}),
        json!({"token": [UNKNOWN]}),
        json!({"tokens": ADMIN}),
        json!(ADMIN),
    ] {
        answers.push(anybody.post("/v1/login", body).await.body);
    }
    for path in ["/readyz", "/healthz", "/metrics"] {
        answers.push(server.admin().get(path).await.body);
    }
    for path in [
        "/admin/status",
        "/admin/history",
        "/admin/supervision",
        "/admin/connections",
        "/admin/config",
    ] {
        answers.push(admin.admin().get(path).await.body);
    }
    let bad = format!("Authorization: Bearer {ADMIN}\r\nAuthorization: Bearer {ADMIN}\r\n");
    raw(
        &server,
        &format!("GET /v1/sessions HTTP/1.1\r\nHost: localhost\r\n{bad}Connection: close\r\n\r\n"),
    )
    .await;
    raw(&server, &format!("Bearer {ADMIN}\r\n\r\n")).await;
    let log = server.log();
    assert!(log.len() > 1000, "the log is not the talkative one: {log}");
    let folder = server.folder.clone();
    let mut places =
        vec![("the log".to_owned(), log), ("an answer".to_owned(), json!(answers).to_string())];
    drop(server);
    let key = fs::read_to_string(folder.path().join("data/cookie.key")).unwrap();
    for entry in fs::read_dir(folder.path().join("data")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|name| name != "cookie.key") {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            places.push((path.display().to_string(), text));
        }
    }
    for (place, text) in places {
        // Whoever sees one of these knows enough of a token.
        for secret in [&ADMIN[4..], &VIEWER[4..], UNKNOWN, OF_A_PROFILE, value, key.trim()] {
            let line = text.lines().find(|line| line.contains(secret)).unwrap_or_default();
            assert!(line.is_empty(), "{place}: {line}");
        }
    }
}
