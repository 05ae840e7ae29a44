//! `seawall admin` against a server that runs: over TCP and a unix socket, for people and for programs.

use super::{bare, objects, run};
use crate::support::{Process, configured, is};
use serde_json::{Value, json};
use std::{fs, process::Command};

/// A command for this server's admin listener, with its token.
fn admin(server: &Process, args: &[&str]) -> Command {
    let mut command = bare(&["admin"]);
    command.args(args);
    command.env("SEAWALL_ADMIN_URL", &server.admin_url);
    command.env("SEAWALL_TOKEN", server.token.as_deref().unwrap_or_default());
    command
}

#[track_caller]
fn done(server: &Process, args: &[&str]) -> String {
    run(admin(server, args), 0)
}

#[track_caller]
fn object(server: &Process, args: &[&str]) -> Value {
    let mut objects = objects(&done(server, &[args, &["--json"]].concat()));
    assert_eq!(objects.len(), 1, "{objects:?}");
    objects.remove(0)
}

#[tokio::test]
async fn an_administrator_looks_at_everything_from_the_shell() {
    let server = Process::start("").await;
    let id = server.create("demo").await;
    server.send(&id, "m1", "hang").await;
    let mut stream = server.follow(&id).await;
    let (welcome, _) = stream.named("welcome").await;
    stream.events_until(is("agent.message")).await;
    server.send(&id, "m2", "waits").await;
    let connection = welcome["connection_id"].as_str().unwrap();
    let pid = server.session(&id).await["pid"].to_string();

    let status = done(&server, &["status"]);
    for expected in ["server    seawall ", "1 ACTIVE", "queued    1 message\n", "1 open", " free"] {
        assert!(status.contains(expected), "{expected}: {status}");
    }
    let sessions = done(&server, &["sessions"]);
    assert!(
        sessions.starts_with(&format!("{id}  ACTIVE  running  demo  1  {pid}  ")),
        "{sessions}"
    );
    assert_eq!(done(&server, &["sessions", "--state", "ended"]), "");
    let session = done(&server, &["session", &id[..8]]);
    for expected in [&id, connection, "m2 (event ", "memory", &pid] {
        assert!(session.contains(expected), "{expected}: {session}");
    }
    let connections = done(&server, &["connections"]);
    assert!(connections.starts_with(&format!("{connection}  first  127.0.0.1:")), "{connections}");
    let tree = done(&server, &["tree"]);
    let lines: Vec<_> = tree.lines().collect();
    assert_eq!(lines.len(), 5, "{tree}");
    let transport = format!("    └── process transport, run 1, pid {pid}");
    let of_session = format!("└── session {id}");
    for (line, name) in
        lines.iter().zip(["supervisor", "├── log writer", "├── registry", &of_session, &transport])
    {
        let said = line.strip_prefix(name).unwrap_or_else(|| panic!("{line} is not {name}"));
        assert!(said.trim_start().starts_with("running"), "{tree}");
    }
    assert!(done(&server, &["metrics"]).contains("\nseawall_streams_open 1\n"));

    // Programs get what the API says.
    for (args, path) in [
        (&["tree"][..], "/admin/supervision"),
        (&["session", &id], &format!("/admin/sessions/{id}")),
    ] {
        let mut shown = object(&server, args);
        let mut said = server.admin().get(path).await.expect(200);
        // The agent's memory moves.
        for value in [&mut shown, &mut said] {
            if let Some(child) = value.get_mut("child") {
                child["rss_bytes"] = Value::Null;
            }
        }
        assert_eq!(shown, said);
    }
    assert_eq!(object(&server, &["status"])["streams"]["open"], 1);
    assert_eq!(object(&server, &["sessions"])["id"], id);
    assert_eq!(object(&server, &["connections"])["id"], connection);
}

#[tokio::test]
async fn an_administrator_acts_from_the_shell() {
    let folder = configured("");
    let backups = folder.path().join("backups");
    fs::create_dir(&backups).unwrap();
    let mut command = Process::command(folder.path());
    command.env("SEAWALL__STORE__BACKUP_DIR", &backups);
    let server = Process::start_as(command, folder).await;
    let id = server.create("demo").await;
    server.state(&id, "ACTIVE").await;

    assert!(done(&server, &["kill", &id[..8]]).starts_with("kill requested"));
    server.until(&id, is("transport.restarting")).await;
    server.stop_session(&id, json!({ "grace_ms": 0 })).await;
    server.state(&id, "ENDED").await;
    assert_eq!(done(&server, &["kill", &id]), "there was no process to kill\n");

    assert!(done(&server, &["drain"]).starts_with("draining: "));
    assert!(done(&server, &["status"]).contains("draining"));
    assert_eq!(object(&server, &["drain", "--undo"]), json!({ "draining": false }));
    assert!(done(&server, &["backup", "one.db"]).starts_with("one.db: "));
    assert!(backups.join("one.db").exists());
    assert!(run(admin(&server, &["backup", "one.db"]), 1).contains("(conflict)"));
    assert_eq!(object(&server, &["sync"])["moved"], 0);

    let mut stream = server.follow(&id).await;
    let (welcome, _) = stream.named("welcome").await;
    let connection = welcome["connection_id"].as_str().unwrap();
    assert_eq!(done(&server, &["disconnect", &connection[..8]]), format!("closed {connection}\n"));
    assert_eq!(stream.named("bye").await.0["reason"], "revoked");
    assert!(run(admin(&server, &["disconnect", connection]), 1).contains("not_found"));
    assert!(run(admin(&server, &["disconnect", "ffff"]), 1).contains("no stream `ffff`"));
}

#[tokio::test]
async fn what_cannot_be_done_is_said_with_the_flag_that_names_the_server() {
    let server = Process::start("").await;
    let mut wrong = admin(&server, &["status"]);
    wrong.env("SEAWALL_TOKEN", "wrong");
    assert!(run(wrong, 1).contains("(unauthorized); give a token in $SEAWALL_TOKEN"));
    let absent = "00000000-0000-4000-8000-000000000000";
    assert!(run(admin(&server, &["session", absent]), 1).contains("(not_found)"));
    run(admin(&server, &["frobnicate"]), 2);
    run(admin(&server, &["kill"]), 2);
    assert!(run(admin(&server, &["log", " "]), 2).contains("`off`"));
    let said = run(admin(&server, &["--admin-url", "unix:relative", "status"]), 2);
    assert!(said.contains("(--admin-url, $SEAWALL_ADMIN_URL)"), "{said}");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = run(admin(&server, &["--admin-url", &format!("http://{port}"), "status"]), 3);
    assert!(said.contains("name it with --admin-url"), "{said}");
    let said = run(admin(&server, &["status", "--admin-url", "unix:/nonexistent/admin.sock"]), 3);
    assert!(said.contains("unix:/nonexistent/admin.sock"), "{said}");
}

/// The owner of the server's machine needs neither token nor port.
#[tokio::test]
async fn a_unix_socket_is_spoken_to_by_its_path() {
    let folder = configured("");
    let socket = folder.path().join("admin.sock");
    let url = format!("unix:{}", socket.display());
    let mut command = Process::command(folder.path());
    command.env("SEAWALL__ADMIN__LISTEN", &url);
    let server = Process::start_as(command, folder).await;
    let id = server.create("cat").await;
    server.state(&id, "ACTIVE").await;
    let ask = |args: &[&str]| {
        let mut command = bare(&["admin", "--admin-url", &url]);
        command.args(args).env("STATE_DIRECTORY", server.folder.path().join("data"));
        run(command, 0)
    };
    let listed = ask(&["sessions"]);
    assert!(listed.starts_with(&id), "{listed}");
    assert!(ask(&["kill", &id[..6]]).starts_with("kill requested"));
    assert!(ask(&["metrics"]).contains("seawall_build_info"));
    assert!(ask(&["tree"]).starts_with("supervisor"));
}
