//! Starts that cannot succeed. Each ends with exit code 2 and a sentence that says what, where and what to do, and
//! leaves everything as it was; and an agent that cannot start takes nothing with it but its own session.

mod crowd;

use crate::support::{
    PATIENCE, Process, SEAWALL, configure, configured, of_type, processes_in, types,
};
use std::{
    ffi::OsStr,
    fs,
    io::Read,
    net::TcpListener,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

/// Runs a command that must end by itself: its exit code and what it said on stderr.
fn ended(mut command: Command) -> (Option<i32>, String) {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if start.elapsed() < PATIENCE => std::thread::yield_now(),
            None => {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("it started, and should not have");
            }
        }
    };
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (status.code(), said)
}

/// The start is refused, and the one line that says so, below the log, holds all of these words.
#[track_caller]
fn refused(command: Command, words: &[&str]) -> String {
    let (code, said) = ended(command);
    assert_eq!(code, Some(2), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    let reason = said.split_once("seawall: ").map(|(_, reason)| reason).unwrap_or(&said);
    for word in words {
        assert!(reason.contains(word), "`{word}` is not in: {reason}");
    }
    reason.to_owned()
}

/// Every file below a folder with its bytes.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut open = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => found.push((path.clone(), fs::read(&path).unwrap())),
            }
        }
    }
    found.sort();
    found
}

// Scenario 70.
#[test]
fn a_faulty_configuration_is_refused_with_file_line_and_key_and_nothing_is_made() {
    for (extra, place, words) in [
        ("[streams]\nheart_beat = \"20s\"", 2, &["streams.heart_beat", "heartbeat"][..]),
        ("[streams]\nheartbeat = 20", 2, &["streams.heartbeat", "duration", "got 20"]),
        ("[streams]\nheartbeat = \"2h\"", 2, &["streams.heartbeat", "1h"]),
        ("[sessions]\nmax_live = \"many\"", 2, &["sessions.max_live", "whole number"]),
        ("[sesions]\nmax_live = 1", 1, &["sesions", "sessions"]),
        ("[streams\nheartbeat = \"20s\"", 1, &["not TOML"]),
        ("[streams]\nheartbeat = \"20s\"\nheartbeat = \"21s\"", 3, &["heartbeat", "duplicate"]),
        (
            "[supervision]\nbackoff_min = \"9s\"\nbackoff_max = \"1s\"",
            2,
            &["backoff_min", "backoff_max"],
        ),
        (
            "[agents.mine]\nprotocol = \"smoke-signals\"\ncommand = \"x\"",
            2,
            &["agents.mine.protocol", "acp"],
        ),
        ("[agents.mine]\nprotocol = \"lines\"", 1, &["agents.mine", "command"]),
        (
            "[[auth.tokens]]\nname = \"ann\"\nrole = \"viewer\"\nsha256 = \"00\"",
            4,
            &["auth.tokens[0].sha256", "64 hex digits"],
        ),
        (
            "[[auth.tokens]]\nname = \"ann\"\nrole = \"viewer\"\nsha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"\nagents = [\"nobody\"]",
            5,
            &["auth.tokens[0].agents", "nobody"],
        ),
        ("[server]\ntls_cert = \"x.pem\"", 3, &["server.tls_cert"]),
    ] {
        let folder = configured(extra);
        let file = folder.path().join("seawall.toml");
        let text = fs::read_to_string(&file).unwrap();
        let first = extra.lines().next().unwrap();
        let line = text.lines().position(|line| line == first).unwrap() + place;
        let place = format!("{}:{line}: ", file.display());
        let before = contents(folder.path());
        let mut words = words.to_vec();
        words.push(&place);
        let reason = refused(Process::command(folder.path()), &words);
        assert_eq!(contents(folder.path()), before, "{extra}");
        let mut check = Command::new(SEAWALL);
        check.arg("check-config").arg("--config").arg(&file).stdout(Stdio::null());
        assert_eq!(
            ended(check),
            (Some(2), format!("seawall: {reason}")),
            "check-config says the same"
        );
    }
}

#[test]
fn every_fault_is_named_at_once() {
    let folder = configured("[streams]\nheartbeat = 1\nsync_batch = 0\n[sessions]\nmax_life = 3\n");
    let reason = refused(
        Process::command(folder.path()),
        &["streams.heartbeat", "streams.sync_batch", "sessions.max_life"],
    );
    assert_eq!(reason.lines().count(), 3, "{reason}");
}

#[test]
fn a_configuration_that_cannot_be_read_is_named() {
    let folder = configured("");
    let file = folder.path().join("seawall.toml");
    fs::write(&file, b"[streams]\n# \xff\n").unwrap();
    let name = file.display().to_string();
    refused(Process::command(folder.path()), &[&name, "UTF-8"]);
    fs::remove_file(&file).unwrap();
    refused(Process::command(folder.path()), &[&name, "No such file"]);
    fs::create_dir(&file).unwrap();
    refused(Process::command(folder.path()), &[&name, "directory"]);
}

#[test]
fn a_faulty_variable_is_named() {
    let folder = configured("");
    let mut command = Process::command(folder.path());
    command.env("SEAWALL__STREAMS__HEARTBEAT", "soon");
    refused(command, &["SEAWALL__STREAMS__HEARTBEAT", "duration", "soon"]);
    let mut command = Process::command(folder.path());
    command.env("SEAWALL__STREAMS__HEARTBEET", "20s");
    refused(command, &["SEAWALL__STREAMS__HEARTBEET"]);
}

#[tokio::test]
async fn a_variable_that_is_not_text_and_not_ours_does_not_matter() {
    let folder = configured("");
    // Without store.path the data folder is looked for in the environment.
    let file = folder.path().join("seawall.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\npath = ", "\n# path = ")).unwrap();
    let mut command = Process::command(folder.path());
    command.env("STATE_DIRECTORY", folder.path().join("data"));
    command.env("NOT_TEXT", OsStr::from_bytes(b"\xff\xfe"));
    let server = Process::start_as(command, folder).await;
    server.get("/v1/sessions").await.expect(200);
    assert!(server.folder.path().join("data/seawall.db").exists());
}

// The start order of contract 8: the lock, then the ports, then the store.
#[test]
fn a_port_that_is_taken_is_named_with_its_key_and_no_database_is_made() {
    for key in ["server", "admin"] {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let folder = configured("");
        let mut command = Process::command(folder.path());
        command.env(format!("SEAWALL__{}__LISTEN", key.to_uppercase()), &address);
        refused(command, &[&address, &format!("{key}.listen"), "in use", "choose another"]);
        let made = contents(&folder.path().join("data"));
        let names: Vec<_> =
            made.iter().filter_map(|(path, _)| path.file_name()?.to_str()).collect();
        assert_eq!(names, ["lock"]);
    }
}

#[test]
fn a_data_folder_that_cannot_be_made_or_written_is_named() {
    // The rights of the tests' user may be unlimited; below a file is no folder for anybody.
    for below in ["file/data/seawall.db", "file/seawall.db"] {
        let folder = configured("");
        fs::write(folder.path().join("file"), "a regular file").unwrap();
        let path = folder.path().join(below);
        let mut command = Process::command(folder.path());
        command.env("SEAWALL__STORE__PATH", &path);
        let before = contents(folder.path());
        refused(command, &[path.parent().unwrap().to_str().unwrap(), "store.path", "writable"]);
        assert_eq!(contents(folder.path()), before);
    }
    let folder = configured("");
    let path = folder.path().join("data/seawall.db");
    fs::create_dir_all(&path).unwrap();
    refused(Process::command(folder.path()), &[path.to_str().unwrap()]);
}

#[test]
fn a_first_token_that_others_can_read_or_that_is_none_is_refused() {
    let folder = configured("");
    let token = folder.path().join("data/token");
    fs::create_dir_all(token.parent().unwrap()).unwrap();
    fs::write(&token, "swt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n").unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    refused(
        Process::command(folder.path()),
        &[token.to_str().unwrap(), "others can read it", "chmod 600"],
    );
    fs::write(&token, "\n").unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    refused(
        Process::command(folder.path()),
        &[token.to_str().unwrap(), "holds no token", "delete it"],
    );
}

/// Damages a database's file in one way.
type Damage = fn(&mut Vec<u8>);

// Scenario 13.
#[tokio::test]
async fn a_damaged_database_is_refused_by_name_and_left_as_it_is() {
    let server = Process::start("").await;
    let id = server.create("demo").await;
    server.send(&id, "m1", "flood 3000").await;
    server.turn(&id, "m1").await;
    let (status, sound) = server.stop().await;
    assert_eq!(status.code(), Some(0));
    let sound = fs::read(sound.path().join("data/seawall.db")).unwrap();
    let damages: [(&str, Damage); 4] = [
        ("overwritten in the middle", |bytes| {
            let middle = bytes.len() / 2 / 4096 * 4096;
            bytes[middle..middle + 3 * 4096].fill(0xa5);
        }),
        ("cut off", |bytes| bytes.truncate(bytes.len() / 2 / 4096 * 4096)),
        ("without its header", |bytes| bytes[..100].fill(0)),
        ("no database", |bytes| *bytes = b"Dear diary, today I met a daemon.\n".repeat(99)),
    ];
    for (name, damage) in damages {
        let folder = configured("");
        let path = folder.path().join("data/seawall.db");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut bytes = sound.clone();
        damage(&mut bytes);
        fs::write(&path, &bytes).unwrap();
        let words = [path.to_str().unwrap(), "damaged", "nothing was changed", "restore a backup"];
        refused(Process::command(folder.path()), &words);
        assert!(fs::read(&path).unwrap() == bytes, "{name}: the file was changed");
        assert!(!folder.path().join("data/token").exists(), "{name}: a token was made");
    }
}

#[test]
fn a_database_of_another_program_is_refused_and_left_as_it_is() {
    let folder = configured("");
    let path = folder.path().join("data/seawall.db");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)").unwrap();
    drop(conn);
    let before = fs::read(&path).unwrap();
    refused(
        Process::command(folder.path()),
        &[path.to_str().unwrap(), "another program", "store.path"],
    );
    assert!(fs::read(&path).unwrap() == before);
}

// Scenario 77.
#[tokio::test]
async fn a_second_server_on_a_data_folder_is_told_who_has_it_and_the_first_notices_nothing() {
    let server = Process::start("").await;
    let id = server.create("demo").await;
    server.state(&id, "ACTIVE").await;
    let before = (server.session(&id).await, processes_in(server.folder.path()));
    let folder = server.folder.path().display().to_string();
    let pid = server.pid().to_string();
    refused(Process::command(server.folder.path()), &[&folder, &pid, "in use", "store.path"]);
    assert_eq!((server.session(&id).await, processes_in(server.folder.path())), before);
    server.send(&id, "m1", "flood 1").await;
    let events = server.turn(&id, "m1").await;
    assert_eq!(of_type(&events, "transport.started").len(), 1);
}

// The folder is free when its holder is gone, however it went.
#[tokio::test]
async fn a_killed_server_does_not_keep_its_data_folder() {
    let server = Process::start("").await;
    let folder = server.kill();
    assert!(folder.path().join("data/lock").exists());
    Process::start_in(folder).await;
}

// Contract 2 and 9: what cannot be executed is told at once, by name, and no other session notices.
#[tokio::test]
async fn an_agent_that_cannot_be_executed_ends_its_session_alone_and_is_named() {
    let extra = "[agents.ghost]\nprotocol = \"lines\"\ncommand = \"no-such-program\"\n[agents.file]\nprotocol = \"acp\"\ncommand = \"/etc/passwd\"\n";
    let server = Process::start(extra).await;
    let well = server.create("cat").await;
    for (agent, name, why) in
        [("ghost", "no-such-program", "not found"), ("file", "/etc/passwd", "permission denied")]
    {
        let id = server.create(agent).await;
        let events = server.state(&id, "ENDED").await;
        let failed = of_type(&events, "transport.failed");
        assert_eq!(failed.len(), 1, "{:?}", types(&events));
        assert_eq!(failed[0]["data"]["code"], "spawn");
        let detail = failed[0]["data"]["detail"].as_str().unwrap();
        assert!(detail.contains(name) && detail.contains(why), "{detail}");
        let session = server.session(&id).await;
        assert_eq!((&session["end_reason"], &session["run"]), (&"start_failed".into(), &1.into()));
        // A message starts it again, fails with it, and says so.
        server.send(&id, "m1", "hello?").await;
        let events = server.until(&id, |event| event["type"] == "message.failed").await;
        assert_eq!(of_type(&events, "message.failed")[0]["data"]["reason"], "session_ended");
    }
    server.send(&well, "m1", "still here").await;
    server.until(&well, |event| event["data"]["text"] == "still here").await;
}

// Contract 2: a child that exits in the handshake is restarted by policy; one that is refused its login is not.
#[tokio::test]
async fn an_agent_that_fails_its_handshake_says_why_and_gives_up_within_its_limit() {
    let profile = |how: &str| {
        format!(
            "[agents.{how}]\nprotocol = \"acp\"\ncommand = \"seawall:self\"\nargs = [\"demo-agent\"]\nenv = {{ DEMO_AGENT_HANDSHAKE = \"{how}\" }}\n"
        )
    };
    let quick = "[supervision]\nmax_restarts = 2\nbackoff_min = \"1ms\"\nbackoff_max = \"4ms\"\n";
    let extra = [profile("exit"), profile("auth"), profile("garbage"), quick.into()].concat();
    let server = Process::start(&extra).await;

    let id = server.create("exit").await;
    let events = server.state(&id, "ENDED").await;
    assert_eq!(of_type(&events, "transport.exited").len(), 3);
    assert_eq!(of_type(&events, "transport.restarting").len(), 2);
    assert_eq!(of_type(&events, "transport.gave_up").len(), 1);
    assert_eq!(server.session(&id).await["end_reason"], "restart_limit");

    let id = server.create("auth").await;
    let events = server.state(&id, "ENDED").await;
    let failed = of_type(&events, "transport.failed");
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["data"]["code"], "auth_required");
    assert_eq!(server.session(&id).await["end_reason"], "start_failed");

    let id = server.create("garbage").await;
    let events = server.state(&id, "ENDED").await;
    let session = server.session(&id).await;
    assert!(
        ["start_failed", "restart_limit"].contains(&session["end_reason"].as_str().unwrap()),
        "{:?}",
        types(&events)
    );
    assert!(events.iter().any(|event| matches!(
        event["type"].as_str(),
        Some("transport.failed" | "transport.gave_up")
    )));
}

// A profile that is gone does not take its sessions with it.
#[tokio::test]
async fn sessions_whose_profile_was_removed_can_be_read_and_deleted() {
    let profile = "[agents.former]\nprotocol = \"lines\"\ncommand = \"cat\"\n";
    let server = Process::start(profile).await;
    let id = server.create("former").await;
    server.send(&id, "m1", "hello").await;
    server.until(&id, |event| event["type"] == "agent.output").await;
    let folder = server.kill();
    configure(folder.path(), "");
    let server = Process::start_in(folder).await;
    assert_eq!(server.session(&id).await["state"], "ENDED");
    assert!(!of_type(&server.events(&id).await, "agent.output").is_empty());
    server.delete(&format!("/v1/sessions/{id}")).await.expect(204);
    server.get(&format!("/v1/sessions/{id}")).await.refused(404, "not_found");
}
