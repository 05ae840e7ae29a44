//! `seawall doctor` with agents that lack one thing each. It needs no server, and leaves nothing running.

use super::{bare, objects, run};
use crate::support::assert_no_process_in;
use serde_json::Value;
use std::{fs, path::Path};
use tempfile::TempDir;

/// A folder with a configuration in which agents run, and these profiles.
fn clinic(profiles: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path().display();
    let text = format!("[agents.\"*\"]\ncwd = \"{cwd}\"\n{profiles}");
    fs::write(folder.path().join("seawall.toml"), text).unwrap();
    folder
}

/// A profile of an agent of ACP that is a script of a shell.
fn scripted(name: &str, script: &str) -> String {
    format!(
        "[agents.{name}]\nprotocol = \"acp\"\ncommand = \"sh\"\nargs = [\"-c\", '''{script}''']\n"
    )
}

/// What it prints, having ended with this code; no process is left then.
#[track_caller]
fn doctor(folder: &Path, args: &[&str], code: i32) -> String {
    let file = folder.join("seawall.toml").display().to_string();
    let said = run(bare(&[&["doctor", "--config", &file], args].concat()), code);
    assert_no_process_in(folder);
    said
}

/// The finding and its sentence for one agent.
#[track_caller]
fn examine(folder: &Path, agent: &str, code: i32) -> (String, String) {
    let said = doctor(folder, &["--json", agent], code);
    let line: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert_eq!((&line["agent"], &line["ok"]), (&agent.into(), &(code == 0).into()), "{said}");
    let text = |key: &str| line[key].as_str().unwrap().to_owned();
    (text("finding"), text("detail"))
}

#[test]
fn an_agent_that_answers_is_ready_and_is_ended_again() {
    let folder = clinic("[agents.cat]\nprotocol = \"lines\"\ncommand = \"cat\"\n");
    assert_eq!(examine(folder.path(), "demo", 0).0, "ready");
    assert_eq!(examine(folder.path(), "cat", 0).0, "ready");
    assert!(doctor(folder.path(), &["demo"], 0).starts_with("demo: ready"));
}

#[test]
fn what_is_missing_is_told_in_a_sentence() {
    let answer = |id: u32, rest: &str| {
        format!(r#"read line; echo '{{"jsonrpc":"2.0","id":{id},{rest}}}'; "#)
    };
    let ways = r#""result":{"protocolVersion":1,"authMethods":[{"id":"web","name":"Log in with a browser"}]}"#;
    let login = answer(1, ways) + &answer(2, r#""error":{"code":-32000,"message":"who are you"}"#);
    let later = answer(1, r#""result":{"protocolVersion":2}"#);
    let quoted = |script: String| scripted("x", &(script + "cat > /dev/null"));
    let program = |rest: &str| format!("[agents.x]\nprotocol = \"acp\"\n{rest}\n");
    for (profile, finding, words) in [
        (
            program("command = \"no-such-agent\""),
            "not_installed",
            "`no-such-agent` is not on the PATH",
        ),
        (program("command = \"cat\"\ncwd = \"/no/such/folder\""), "wrong_cwd", "/no/such/folder"),
        (scripted("x", "echo goodbye >&2; exit 3"), "died", "exit code 3"),
        (scripted("x", "echo goodbye >&2; exit 3"), "died", "its last words: goodbye"),
        (
            scripted("x", "echo \"error: unexpected argument '--acp'\" >&2; exit 2"),
            "too_old",
            "--acp",
        ),
        (quoted(later), "too_old", "version 2"),
        (quoted(login), "not_logged_in", "Log in with a browser (web)"),
        (
            "[agents.x]\nprotocol = \"lines\"\ncommand = \"sh\"\nargs = [\"-c\", \"exit 0\"]\n"
                .into(),
            "died",
            "exit code 0",
        ),
    ] {
        let folder = clinic(&profile);
        let (found, detail) = examine(folder.path(), "x", 1);
        assert_eq!(found, finding, "{detail}");
        assert!(detail.contains(words), "{detail}");
    }
}

#[test]
fn an_agent_that_says_nothing_is_given_up_and_taken_down() {
    let script = "echo Welcome; setsid sleep 1000 & sleep 1000";
    let folder = clinic(&(scripted("x", script) + "[sessions]\nstart_timeout = \"300ms\"\n"));
    let (finding, detail) = examine(folder.path(), "x", 1);
    assert_eq!(finding, "silent");
    assert!(detail.contains("0.3 s (sessions.start_timeout); its last words: Welcome"), "{detail}");
}

#[test]
fn without_a_name_all_agents_are_examined() {
    let folder = clinic("[agents.x]\nprotocol = \"acp\"\ncommand = \"no-such-agent\"\n");
    let said = doctor(folder.path(), &[], 1);
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("demo: ready"), "{said}");
    assert!(lines[1].starts_with("x: not installed"), "{said}");
    assert_eq!(lines[2], "seawall: 1 of 2 agents cannot be used as they are");
    let said = doctor(folder.path(), &["--json"], 1);
    let (json, _) = said.split_once("seawall:").unwrap();
    assert_eq!(objects(json).len(), 2);
}

#[test]
fn an_agent_that_is_not_configured_is_named_with_those_that_are() {
    let folder = clinic("");
    let said = doctor(folder.path(), &["codx"], 2);
    assert!(said.contains("no agent profile `codx`; there are: demo"), "{said}");
}
