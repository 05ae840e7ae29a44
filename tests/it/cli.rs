//! The command line against a server that runs: what is printed, what is done, and the exit code that scripts go by.

mod admin;
mod attach;
mod doctor;
mod outbox;
mod terminal;

use crate::support::{Process, SEAWALL, configure, configured, ends, is, of_type, turn_of};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Output, Stdio},
    sync::Arc,
};
use tempfile::TempDir;

/// A command for this server, with its token.
fn seawall(server: &Process, args: &[&str]) -> Command {
    let mut command = bare(args);
    command.env("SEAWALL_URL", &server.url);
    command.env("SEAWALL_TOKEN", server.token.as_deref().unwrap_or_default());
    command.env("XDG_STATE_HOME", server.folder.path().join("state"));
    command
}

/// A server on one port for as many lives as it has, so that its clients find the next one.
struct Lives {
    port: String,
}

impl Lives {
    fn new() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Self { port: listener.local_addr().unwrap().to_string() }
    }

    async fn start(&self, folder: Arc<TempDir>) -> Process {
        let mut command = Process::command(folder.path());
        command.env("SEAWALL__SERVER__LISTEN", &self.port);
        Process::start_as(command, folder).await
    }
}

/// A command that knows no server.
fn bare(args: &[&str]) -> Command {
    let mut command = Command::new(SEAWALL);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in
        ["SEAWALL_URL", "SEAWALL_TOKEN", "SEAWALL_CONFIG", "STATE_DIRECTORY", "XDG_STATE_HOME"]
    {
        command.env_remove(name);
    }
    command.env("HOME", "/nonexistent");
    command
}

/// Runs it; what it printed, where it ended with this code.
#[track_caller]
fn run(mut command: Command, code: i32) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(code), "{command:?}: {stderr}");
    assert!(
        code == 0 || stderr.starts_with("seawall: ") || stderr.starts_with("error: "),
        "{stderr}"
    );
    let said = String::from_utf8(stdout).unwrap();
    if code == 0 { said } else { said + &stderr }
}

#[track_caller]
fn done(server: &Process, args: &[&str]) -> String {
    run(seawall(server, args), 0)
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_session_is_made_listed_shown_and_removed() {
    let server = Process::start("").await;
    let id = done(&server, &["new", "cat", "--title", "my \x1b[2Jtitle", "-m", "hello"]);
    let id = id.strip_suffix('\n').expect("the id and nothing else").to_owned();
    let events = server.until(&id, is("agent.output")).await;
    assert_eq!(of_type(&events, "agent.output")[0]["data"]["text"], "hello");

    let list = done(&server, &["ls"]);
    assert!(list.starts_with(&id) && list.lines().count() == 1, "{list}");
    assert!(list.contains("ACTIVE") && !list.contains('\x1b'), "{list:?}");
    let shown = done(&server, &["show", &id]);
    assert!(shown.contains(&format!("{:<9}{id}\n", "id")), "{shown}");
    assert!(!shown.contains('\x1b'), "{shown:?}");
    assert_eq!(done(&server, &["ls", "--state", "ended"]), "");

    assert_eq!(done(&server, &["rm", &id]), format!("deleted {id}\n"));
    server.get(&format!("/v1/sessions/{id}")).await.refused(404, "not_found");
}

#[tokio::test]
async fn json_is_the_apis_own() {
    let server = Process::start("").await;
    let made = objects(&done(&server, &["--json", "new", "cat", "-m", "hello"]));
    let id = made[0]["id"].as_str().unwrap();
    assert_eq!(made[0]["receipt"]["seq"], 2, "{made:?}");
    server.until(id, is("agent.output")).await;
    // The watcher that this was is still known for some seconds; nothing else changes.
    let session = server.session(id).await;
    assert_eq!(objects(&done(&server, &["show", id, "--json"])), [session]);
    let list = server.get("/v1/sessions").await.expect(200);
    assert_eq!(json!(objects(&done(&server, &["ls", "--json"]))), list["sessions"]);
    let receipt = objects(&done(&server, &["send", id, "again", "--message-id", "m2", "--json"]));
    let again = server.send(id, "m2", "again").await;
    assert_eq!((&receipt[0]["seq"], &receipt[0]["duplicate"]), (&again["seq"], &json!(false)));
    assert_eq!(objects(&done(&server, &["interrupt", id, "--json"])), [json!({"requested": true})]);
    assert_eq!(objects(&done(&server, &["stop", id, "--json"])), [json!({"accepted": true})]);
}

#[tokio::test]
async fn send_waits_for_the_answer_and_tells_how_the_turn_ended() {
    let server = Process::start("").await;
    let id = server.create("demo").await;
    assert_eq!(done(&server, &["send", &id, "flood 3", "--wait"]), "1 2 3 \n");
    let mut piped = seawall(&server, &["send", &id, "-", "--wait"]);
    piped.stdin(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"from a pipe\n").unwrap();
    let Output { status, stdout, .. } = child.wait_with_output().unwrap();
    assert!(status.success());
    assert_eq!(String::from_utf8(stdout).unwrap(), "You said: from a pipe\n");

    let said = run(seawall(&server, &["send", &id, "crash", "--wait"]), 1);
    assert!(said.contains("transport lost") || said.contains("transport_lost"), "{said}");
    let first = done(&server, &["send", &id, "flood 1", "--message-id", "mine"]);
    let second = done(&server, &["send", &id, "flood 1", "--message-id", "mine"]);
    assert!(first.starts_with("accepted as mine (event "), "{first}");
    assert_eq!(second, first.replace(")\n", ", known already)\n"));
    let said = run(seawall(&server, &["send", &id, "other", "--message-id", "mine"]), 1);
    assert!(said.contains("message_conflict"), "{said}");
    run(seawall(&server, &["send", &id, ""]), 2);
}

/// Reads lines of a command until one fits.
fn lines_until(child: &mut Child, mut fits: impl FnMut(&str) -> bool) -> Vec<String> {
    let mut lines = Vec::new();
    let stdout = child.stdout.as_mut().unwrap();
    for line in BufReader::with_capacity(1, stdout).lines() {
        let line = line.unwrap();
        let is_last = fits(&line);
        lines.push(line);
        if is_last {
            return lines;
        }
    }
    panic!("it ended before: {lines:#?}");
}

#[tokio::test]
async fn events_are_the_stored_lines_and_go_on_live_over_a_restart_of_the_server() {
    let lives = Lives::new();
    let server = lives.start(configured("")).await;
    let id = server.create("demo").await;
    server.send(&id, "m1", "flood 5").await;
    server.turn(&id, "m1").await;
    let lines = server.lines(&id).await;
    assert_eq!(done(&server, &["events", &id]), lines.join("\n") + "\n");
    assert_eq!(done(&server, &["events", &id, "--after", "3"]), lines[3..].join("\n") + "\n");

    let mut follow = seawall(&server, &["events", &id, "--follow"]).spawn().unwrap();
    let mut heard = lines_until(&mut follow, |line| *line == lines[lines.len() - 1]);
    server.send(&id, "m2", "flood 5").await;
    let ends_turn = |line: &str, message: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["type"] == "turn.ended" && event["data"]["message_id"] == message
    };
    heard.extend(lines_until(&mut follow, |line| ends_turn(line, "m2")));
    let server = lives.start(server.kill()).await;
    server.send(&id, "m3", "flood 5").await;
    heard.extend(lines_until(&mut follow, |line| ends_turn(line, "m3")));
    follow.kill().unwrap();
    follow.wait().unwrap();
    let lines = server.lines(&id).await;
    assert_eq!(heard, lines[..heard.len()]);
}

#[tokio::test]
async fn a_session_is_interrupted_stopped_and_resumed() {
    let server = Process::start("").await;
    let id = server.create("demo").await;
    server.state(&id, "ACTIVE").await;
    assert_eq!(done(&server, &["interrupt", &id]), "there was nothing to interrupt\n");
    server.send(&id, "m1", "hang").await;
    server.until(&id, is("agent.message")).await;
    assert!(done(&server, &["interrupt", &id]).starts_with("interrupt requested"));
    let events = server.until(&id, turn_of("m1")).await;
    assert_eq!(of_type(&events, "turn.ended")[0]["data"]["stop_reason"], "cancelled");
    assert_eq!(done(&server, &["stop", &id, "--grace", "5s"]), "stop requested\n");
    server.until(&id, ends("stopped")).await;
    assert_eq!(done(&server, &["resume", &id]), "resume requested\n");
    server.until(&id, |event| event["type"] == "transport.started" && event["run"] == 2).await;
}

#[tokio::test]
async fn exit_codes_tell_who_said_no() {
    let server = Process::start("[sessions]\nmax_live = 1\n").await;
    let id = server.create("cat").await;
    let absent = "00000000-0000-4000-8000-000000000000";
    // The server says no.
    for (args, word) in [
        (&["show", absent][..], "not_found"),
        (&["show", "ffffffff"], "there is no session `ffffffff`"),
        (&["new", "nobody"], "unknown_agent"),
        (&["stop", absent], "not_found"),
        (&["rm", absent], "not_found"),
        (&["events", absent], "not_found"),
        (&["attach", absent], "not_found"),
    ] {
        let said = run(seawall(&server, args), 1);
        assert!(said.contains(word), "{args:?}: {said}");
    }
    for args in [&["ls"][..], &["ls", "--watch"], &["show", &id], &["send", &id, "x"]] {
        let mut command = seawall(&server, args);
        command.env("SEAWALL_TOKEN", "wrong");
        let said = run(command, 1);
        assert!(
            said.contains("unauthorized") && said.contains("$SEAWALL_TOKEN"),
            "{args:?}: {said}"
        );
        assert!(!said.contains("wrong"), "{said}");
    }
    // What was typed makes no sense.
    for args in [
        &["frobnicate"][..],
        &["show"],
        &["show", "no-id!"],
        &["send", &id],
        &["ls", "--url", "nonsense"],
    ] {
        run(seawall(&server, args), 2);
    }
    // Nobody is there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for args in [&["ls"][..], &["show", &id], &["ls", "--watch"], &["interrupt", &id]] {
        let mut command = seawall(&server, args);
        command.env("SEAWALL_URL", format!("http://{port}"));
        let said = run(command, 3);
        assert!(
            said.contains(&port.to_string()) && said.contains("seawall serve"),
            "{args:?}: {said}"
        );
    }
}

#[tokio::test]
async fn an_id_may_be_shortened_as_long_as_it_means_one_session() {
    let server = Process::start("").await;
    let ids = ["aaaa0000-0000-4000-8000-000000000001", "aaab0000-0000-4000-8000-000000000002"];
    for id in ids {
        let body = json!({"agent": "cat", "session_id": id, "title": "aaaa in a title is no id"});
        server.post("/v1/sessions", body).await.expect(201);
    }
    for (prefix, id) in
        [("aaaa", ids[0]), ("AAAB", ids[1]), (ids[0], ids[0]), ("aaab0000-", ids[1])]
    {
        let shown = done(&server, &["show", prefix, "--json"]);
        assert_eq!(objects(&shown)[0]["id"], id, "{prefix}");
    }
    let said = run(seawall(&server, &["rm", "aaa"]), 2);
    assert!(
        ids.iter().all(|id| said.contains(id)) && said.contains("give more characters"),
        "{said}"
    );
    assert_eq!(server.get("/v1/sessions").await.body["sessions"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_token_that_was_made_works_when_its_lines_are_in_the_configuration() {
    let printed =
        run(bare(&["token", "--role", "viewer", "--agent", "cat", "--name", "my \"phone\""]), 0);
    let token = printed.lines().find_map(|line| line.strip_prefix("# swt_")).unwrap();
    let token = format!("swt_{token}");
    let folder = configured("");
    configure(folder.path(), &printed);
    assert!(!printed.replace(&format!("# {token}"), "").contains(&token), "{printed}");
    let server = Process::start_in(folder).await;
    let mut command = bare(&["ls"]);
    command.env("SEAWALL_URL", &server.url).env("SEAWALL_TOKEN", &token);
    run(command, 0);
    let mut command = bare(&["new", "cat"]);
    command.env("SEAWALL_URL", &server.url).env("SEAWALL_TOKEN", &token);
    assert!(run(command, 1).contains("forbidden"));
    run(bare(&["token", "--role", "admin", "--agent", "cat"]), 2);
}

#[tokio::test]
async fn on_the_servers_machine_its_owner_needs_no_token() {
    let server = Process::start("").await;
    let mut command = bare(&["ls", "--url", &server.url]);
    command.env("STATE_DIRECTORY", server.folder.path().join("data"));
    run(command, 0);
    assert!(run(bare(&["ls", "--url", &server.url]), 1).contains("unauthorized"));
}

// Contract 10.
#[test]
fn the_configuration_in_effect_is_printed_with_where_each_value_came_from() {
    let folder = configured(
        "[streams]\nheartbeat = \"7s\"\n[agents.mine]\nprotocol = \"lines\"\ncommand = \"cat\"\nenv = { API_KEY = \"very-secret\" }\n",
    );
    let file = folder.path().join("seawall.toml").display().to_string();
    let mut command = bare(&["check-config", "--config", &file]);
    command.env("SEAWALL__SESSIONS__MAX_LIVE", "7");
    assert_eq!(run(command, 0), "the configuration is sound\n");
    let mut command = bare(&["check-config", "--print", "--config", &file]);
    command.env("SEAWALL__SESSIONS__MAX_LIVE", "7");
    let printed = run(command, 0);
    let line = |key: &str| printed.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    assert!(
        line("heartbeat = ").starts_with(&format!("heartbeat = \"7s\"  # {file}:")),
        "{printed}"
    );
    assert_eq!(line("max_live = "), "max_live = 7  # SEAWALL__SESSIONS__MAX_LIVE");
    assert_eq!(line("max_replay_gap = "), "max_replay_gap = 200  # default");
    assert!(printed.contains("API_KEY") && !printed.contains("very-secret"), "{printed}");
    assert!(printed.parse::<toml::Table>().is_ok(), "{printed}");
}

/// They try for a minute, for a server may be on its way back; who waits is told.
#[test]
fn what_is_tried_again_because_nobody_answers_says_so() {
    let nobody = Lives::new();
    for args in [&["new", "demo"][..], &["send", "00000000-0000-4000-8000-000000000001", "hi"]] {
        let mut command = bare(args);
        command.env("SEAWALL_URL", format!("http://{}", nobody.port)).env("SEAWALL_TOKEN", "t");
        let mut waiting = command.spawn().unwrap();
        let mut said = String::new();
        BufReader::new(waiting.stderr.take().unwrap()).read_line(&mut said).unwrap();
        waiting.kill().unwrap();
        waiting.wait().unwrap();
        assert!(said.starts_with("seawall: no answer yet; trying again"), "{said}");
    }
}
