//! Copies of the log that are taken while it is in use, and what they hold. That the copy is opened by a server, and not
//! only by a library, is the point.

use crate::support::{Process, SEAWALL, assert_dense, configure, configured, turn_of};
use serde_json::json;
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command, sync::Arc};
use tempfile::TempDir;

/// Replays of any length, so that a stream shows everything.
const WHOLE_REPLAY: &str = "[streams]\nmax_replay_gap = 1000000\n";

/// A server's folder with one for backups beside its data.
fn with_backups(extra: &str) -> Arc<TempDir> {
    let folder = configured("");
    let backups = folder.path().join("backups");
    fs::create_dir(&backups).unwrap();
    let store = format!("[store]\nbackup_dir = \"{}\"\n{extra}", backups.display());
    configure(folder.path(), &store);
    folder
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

// Scenario 73.
#[tokio::test]
async fn a_backup_under_load_opens_elsewhere_and_holds_all_that_was_acknowledged() {
    let server = Process::start_in(with_backups(WHOLE_REPLAY)).await;
    let busy = server.create("demo").await;
    server.send(&busy, "m0", "flood 3000").await;
    server.turn(&busy, "m0").await;
    server.send(&busy, "m1", "slow 1000000 1").await;
    server.until(&busy, |event| event["seq"] == 3100).await;
    let asked = server.create("cat").await;
    let receipt = server.send(&asked, "m1", "kept").await;
    let head = server.session(&busy).await["head_seq"].as_u64().unwrap();

    let made = server.admin().post("/admin/backup", json!({ "name": "one.db" })).await.expect(201);
    let backups = server.folder.path().join("backups");
    let copy = backups.join("one.db");
    let file = fs::metadata(&copy).unwrap();
    assert_eq!((&made["name"], &made["bytes"]), (&json!("one.db"), &json!(file.len())));
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    assert_eq!(names_in(&backups), ["one.db"], "nothing is left beside it");
    // The load has gone on, and goes on.
    let before = server.session(&busy).await["head_seq"].as_u64().unwrap();
    server.until(&busy, |event| event["seq"].as_u64() > Some(before)).await;

    assert!(server.interrupt(&busy).await);
    server.until(&busy, turn_of("m1")).await;

    // Where the sessions' agents work stays, and is allowed elsewhere too.
    let work = server.folder.clone();
    let elsewhere = configured(&format!(
        "{WHOLE_REPLAY}[agents.\"*\"]\ncwd_allow = [\"{}\"]\n",
        work.path().join("work").display()
    ));
    fs::create_dir_all(elsewhere.path().join("data")).unwrap();
    fs::copy(&copy, elsewhere.path().join("data/seawall.db")).unwrap();
    let original = server.lines(&busy).await;
    drop(server);
    let restored = Process::start_in(elsewhere).await;
    let events = restored.events(&busy).await;
    assert_dense(&events, 1);
    assert!(events.len() as u64 > head, "{} events of {head}", events.len());
    let lines = restored.lines(&busy).await;
    let head = usize::try_from(head).unwrap();
    assert_eq!(lines[..head], original[..head]);
    let again = restored.send(&asked, "m1", "kept").await;
    assert_eq!((&again["seq"], &again["duplicate"]), (&receipt["seq"], &json!(true)));
    restored.send(&busy, "m2", "flood 1").await;
    assert_dense(&restored.until(&busy, turn_of("m2")).await, 1);
}

#[tokio::test]
async fn a_backup_takes_no_place_that_is_taken_and_no_name_that_leads_elsewhere() {
    let server = Process::start_in(with_backups("")).await;
    let backups = server.folder.path().join("backups");
    fs::write(backups.join("taken"), "something else").unwrap();
    let admin = server.admin();
    let make = |name: &str| admin.post("/admin/backup", json!({ "name": name }));
    make("taken").await.refused(409, "conflict");
    assert_eq!(fs::read(backups.join("taken")).unwrap(), b"something else");
    for name in ["", ".", "..", "../x", "a/b", "/tmp/x", ".hidden"] {
        make(name).await.refused(400, "invalid_body");
    }
    admin.post("/admin/backup", json!({})).await.refused(400, "invalid_body");
    // What a backup that was cut short has left is in nobody's way.
    fs::write(backups.join(".new.partial"), "half").unwrap();
    make("new").await.expect(201);
    make("new").await.refused(409, "conflict");
    let mut names = names_in(&backups);
    names.sort();
    assert_eq!(names, ["new", "taken"]);
    fs::remove_dir_all(&backups).unwrap();
    let problem = make("x").await.refused(503, "store_unavailable");
    assert!(problem["detail"].as_str().unwrap().contains("backups/.x.partial"), "{problem}");
    admin.get("/readyz").await.expect(200);
}

#[tokio::test]
async fn without_a_place_for_backups_there_are_none_and_the_answer_names_the_key() {
    let server = Process::start("").await;
    let answer = server.admin().post("/admin/backup", json!({ "name": "one.db" })).await;
    let problem = answer.refused(422, "not_configured");
    assert!(problem["detail"].as_str().unwrap().contains("store.backup_dir"), "{problem}");
}

/// `seawall restore` for the server of this folder; its exit code with all that it says.
fn restore(folder: &Path, backup: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(SEAWALL);
    command.arg("restore").arg(backup).arg("--config").arg(folder.join("seawall.toml"));
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn a_backup_is_restored_while_no_server_runs_and_clients_are_told_to_begin_anew() {
    let server = Process::start_in(with_backups("")).await;
    let id = server.create("cat").await;
    server.send(&id, "m1", "kept").await;
    server.admin().post("/admin/backup", json!({ "name": "one.db" })).await.expect(201);
    let backup = server.folder.path().join("backups/one.db");
    server.send(&id, "m2", "after the backup").await;
    let mut stream = server.stream(&format!("/v1/stream?sessions={id}&after={id}:0")).await;
    stream.events_until(|event| event["data"]["message_id"] == "m2").await;
    let token = stream.last_event_id();

    let (code, said) = restore(server.folder.path(), &backup);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(&server.pid().to_string()), "the holder is named: {said}");

    let (_, folder) = server.stop().await;
    let (code, said) = restore(folder.path(), &backup);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("restored 1 sessions with "), "{said}");

    let server = Process::start_in(folder).await;
    let messages = server.events(&id).await;
    let messages: Vec<_> =
        messages.iter().filter(|event| event["type"] == "user.message").collect();
    assert_eq!(messages.len(), 1, "what came after the backup is not in it");
    let resumed = server.request("GET", &format!("/v1/sessions/{id}/stream"));
    let mut stream = server.stream_with(resumed.header("Last-Event-ID", token)).await;
    let (gap, _) = stream.named("gap").await;
    assert_eq!(gap["reason"], "unknown_cursor");
}

#[tokio::test]
async fn a_backup_that_is_none_is_refused_and_the_database_stays() {
    let server = Process::start("").await;
    let id = server.create("cat").await;
    let (_, folder) = server.stop().await;
    let bad = folder.path().join("novel.txt");
    fs::write(&bad, "my only copy of a novel").unwrap();
    let (code, said) = restore(folder.path(), &bad);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("novel.txt"), "{said}");
    let server = Process::start_in(folder).await;
    server.session(&id).await;
}
