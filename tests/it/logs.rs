//! What the server logs, in which form, and that both can be changed while it runs.

use crate::support::{Driven, Process, configure, configured, eventually};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::MetadataExt, process::Child};

#[tokio::test]
async fn what_is_logged_is_changed_by_a_call_and_by_a_reload() {
    let server = Process::start("").await;
    let admin = server.admin();
    let logged = |line: &str| server.log().matches(line).count();
    let drain = || async { admin.post("/admin/drain", Value::Null).await.expect(200) };
    let undrain = || async { admin.delete("/admin/drain").await.expect(200) };
    let filter = |filter: &'static str| {
        admin.call(admin.request("PUT", "/admin/log").json(&json!({ "filter": filter })))
    };
    drain().await;
    eventually("it is logged", || logged("draining=true") == 1);
    let set = filter("warn,seawall::registry=debug").await.expect(200);
    assert_eq!(set, json!({ "filter": "warn,seawall::registry=debug" }));
    undrain().await;
    let problem = filter("seawall=loud").await.refused(422, "invalid_configuration");
    assert!(problem["detail"].as_str().unwrap().contains("loud"), "{problem}");
    // The file's filter acts again.
    admin.post("/admin/reload", Value::Null).await.expect(200);
    eventually("it is logged", || logged("the configuration was read again") == 1);
    assert_eq!(logged("draining=false"), 0, "{}", server.log());
    drain().await;
    eventually("it is logged", || logged("draining=true") == 2);
    configure(server.folder.path(), "[log]\nfilter = \"error\"\n");
    admin.post("/admin/reload", Value::Null).await.expect(200);
    undrain().await;
    configure(server.folder.path(), "");
    admin.post("/admin/reload", Value::Null).await.expect(200);
    eventually("it is logged", || logged("the configuration was read again") == 2);
    assert_eq!(logged("draining=false"), 0, "{}", server.log());
}

#[tokio::test]
async fn a_server_that_does_not_own_the_log_says_so() {
    let server = Driven::start("").await;
    let admin = server.admin();
    let body = json!({ "filter": "info" });
    admin.call(admin.request("PUT", "/admin/log").json(&body)).await.refused(422, "not_configured");
}

#[tokio::test]
async fn every_line_of_a_json_log_is_an_object_with_our_fields() {
    let server = Process::start("[log]\nformat = \"json\"\nfilter = \"debug\"\n").await;
    let id = server.create("cat").await;
    server.stop_session(&id, json!({})).await;
    server.state(&id, "ENDED").await;
    server.admin().post("/admin/drain", Value::Null).await.expect(200);
    eventually("it is logged", || server.log().contains("draining was changed"));
    let log = server.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        let ts = line["ts"].as_str().unwrap();
        assert!(ts.len() == 24 && ts.ends_with('Z'), "{line}");
        for field in ["level", "target", "message"] {
            assert!(line[field].is_string(), "{line}");
        }
    }
    let of_session: Vec<_> = lines
        .iter()
        .filter(|line| line["session"] == *id && line["level"] == "info")
        .map(|line| line["message"].as_str().unwrap())
        .collect();
    assert_eq!(of_session, ["a session was created", "a session ended"]);
    let draining = lines.iter().find(|line| line["message"] == "draining was changed").unwrap();
    assert_eq!((&draining["by"], &draining["draining"]), (&json!("first"), &json!(true)));
    assert_eq!(
        (&draining["level"], &draining["target"]),
        (&json!("info"), &json!("seawall::http::admin::drain"))
    );
}

/// Killed where its test fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_log_that_goes_to_the_journal_has_priorities_and_no_times() {
    let folder = configured("");
    let path = folder.path().join("journal");
    let journal = fs::File::create(&path).unwrap();
    let file = journal.metadata().unwrap();
    let mut command = Process::command(folder.path());
    command.stderr(journal).env("JOURNAL_STREAM", format!("{}:{}", file.dev(), file.ino()));
    let _server = Killed(command.spawn().unwrap());
    eventually("it serves", || fs::read_to_string(&path).unwrap().contains("serves on http://"));
    let text = fs::read_to_string(&path).unwrap();
    for line in text.lines() {
        assert!(line.starts_with("<6>seawall::"), "{line}");
    }
}
