//! What the command line took is sent once, whichever of the two programs is killed, and when. The real binary, killed
//! with SIGKILL, on both ends.

use super::{Lives, lines_until, objects, run, seawall};
use crate::support::{Process, configured, demo_profile, eventually, is, message_ids, of_type};
use serde_json::Value;
use std::{
    fs,
    io::Write,
    path::Path,
    process::{Child, Stdio},
};

fn attach(server: &Process, id: &str) -> Child {
    let mut command = seawall(server, &["attach", id]);
    command.stdin(Stdio::piped()).spawn().unwrap()
}

fn typed(child: &mut Child, text: &str) {
    child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
}

/// What all state files below the server's folder hold.
fn kept(folder: &Path) -> String {
    let mut text = String::new();
    let Ok(servers) = fs::read_dir(folder.join("state/seawall/outbox")) else { return text };
    for server in servers {
        for file in fs::read_dir(server.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "json") {
                // It may just be replaced.
                text += &fs::read_to_string(path).unwrap_or_default();
            }
        }
    }
    text
}

fn texts(events: &[Value]) -> Vec<&str> {
    let messages = of_type(events, "user.message");
    messages.iter().map(|event| event["data"]["content"][0]["text"].as_str().unwrap()).collect()
}

fn has_text(wanted: &'static str) -> impl FnMut(&Value) -> bool {
    move |event| event["type"] == "user.message" && event["data"]["content"][0]["text"] == wanted
}

// Scenarios 48 and 51.
#[tokio::test]
async fn lines_that_are_typed_while_the_server_is_killed_and_started_arrive_once_and_in_order() {
    let lives = Lives::new();
    let server = lives.start(configured("")).await;
    let id = server.create("cat").await;
    let mut attached = attach(&server, &id);
    typed(&mut attached, "one\n");
    // The agent's echo too: what it has when it dies may have run, and is not run again.
    server.until(&id, is("agent.output")).await;
    let folder = server.kill();
    typed(&mut attached, "two\nthree\n");
    eventually("they are kept", || kept(folder.path()).contains("three"));
    let server = lives.start(folder).await;
    typed(&mut attached, "four\n");
    let events = server.until(&id, has_text("four")).await;
    assert_eq!(texts(&events), ["one", "two", "three", "four"]);
    let heard = lines_until(&mut attached, |line| line == "four");
    for word in ["one", "two", "three", "four"] {
        let times = heard.iter().filter(|line| *line == word).count();
        assert_eq!(times, 1, "the agent's {word} is shown once: {heard:#?}");
    }
    eventually("nothing is kept that the server has", || kept(server.folder.path()).is_empty());
    attached.kill().unwrap();
    attached.wait().unwrap();
}

// Scenario 54.
#[tokio::test]
async fn lines_of_an_attach_that_was_killed_are_sent_once_by_the_next_one() {
    let lives = Lives::new();
    let server = lives.start(configured("")).await;
    let id = server.create("cat").await;
    let mut attached = attach(&server, &id);
    typed(&mut attached, "one\n");
    server.until(&id, has_text("one")).await;
    let folder = server.kill();
    typed(&mut attached, "two\nthree\n");
    eventually("they are kept", || kept(folder.path()).contains("three"));
    attached.kill().unwrap();
    attached.wait().unwrap();

    let server = lives.start(folder).await;
    let mut attached = attach(&server, &id);
    let events = server.until(&id, has_text("three")).await;
    assert_eq!(texts(&events), ["one", "two", "three"]);
    eventually("nothing is kept that the server has", || kept(server.folder.path()).is_empty());
    attached.kill().unwrap();
    attached.wait().unwrap();
    let mut again = attach(&server, &id);
    typed(&mut again, "four\n");
    let events = server.until(&id, has_text("four")).await;
    assert_eq!(texts(&events), ["one", "two", "three", "four"]);
    again.kill().unwrap();
    again.wait().unwrap();
}

// Scenario 54.
#[tokio::test]
async fn send_with_a_state_file_is_finished_by_the_same_command_after_both_were_killed() {
    let lives = Lives::new();
    let server = lives.start(configured("")).await;
    let id = server.create("demo").await;
    server.state(&id, "ACTIVE").await;
    let file = server.folder.path().join("message.json").display().to_string();
    let args = ["send", &id, "flood 3", "--wait", "--state", &file];
    let mut first = seawall(&server, &args);
    let folder = server.kill();
    let mut child = first.spawn().unwrap();
    eventually("it is kept", || fs::read_to_string(&file).is_ok_and(|text| text.contains("flood")));
    child.kill().unwrap();
    child.wait().unwrap();

    let server = lives.start(folder).await;
    assert_eq!(run(seawall(&server, &args), 0), "1 2 3 \n");
    assert!(!Path::new(&file).exists());
    let events = server.events(&id).await;
    assert_eq!(texts(&events), ["flood 3"]);
}

// Scenarios 42 and 54.
#[tokio::test]
async fn send_that_is_killed_while_it_waits_finds_its_answer_again_and_sends_nothing_twice() {
    let server = Process::start(&demo_profile("slow", "")).await;
    let id = server.create("slow").await;
    let file = server.folder.path().join("message.json").display().to_string();
    let args = ["send", &id, "hang", "--wait", "--state", &file];
    let mut child = seawall(&server, &args).spawn().unwrap();
    server.until(&id, is("agent.message")).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let again = seawall(&server, &args).spawn().unwrap();
    super::done(&server, &["interrupt", &id]);
    let output = again.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("cancelled"), "{output:?}");
    let events = server.events(&id).await;
    assert_eq!(message_ids(&events, "message.dispatched").len(), 1);
    assert!(!Path::new(&file).exists(), "what was answered is finished");
}

// Scenario 54.
#[tokio::test]
async fn a_state_file_is_for_one_message_of_one_session_and_one_process() {
    let server = Process::start("").await;
    let id = server.create("demo").await;
    let other = server.create("cat").await;
    let file = server.folder.path().join("message.json").display().to_string();
    let mut waiting =
        seawall(&server, &["send", &id, "hang", "--wait", "--state", &file]).spawn().unwrap();
    server.until(&id, is("agent.message")).await;
    let said = run(seawall(&server, &["send", &id, "hang", "--state", &file]), 2);
    assert!(said.contains(&format!("in use by process {}", waiting.id())), "{said}");
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    let said = run(seawall(&server, &["send", &id, "else", "--state", &file]), 2);
    assert!(said.contains("holds another message"), "{said}");
    let before = fs::read(&file).unwrap();
    let said = run(seawall(&server, &["send", &other, "hang", "--state", &file]), 2);
    assert!(said.contains("left as it is"), "{said}");
    fs::write(&file, "my notes").unwrap();
    let said = run(seawall(&server, &["send", &id, "--state", &file]), 2);
    assert!(said.contains("not an outbox"), "{said}");
    assert_eq!(fs::read(&file).unwrap(), b"my notes");
    fs::write(&file, before).unwrap();
    let receipt = run(seawall(&server, &["send", &id, "--state", &file, "--json"]), 0);
    assert_eq!(objects(&receipt)[0]["duplicate"], true);
    assert!(!Path::new(&file).exists());
}

// Scenario 50.
#[tokio::test]
async fn a_message_that_is_refused_for_good_is_told_and_the_next_one_goes() {
    let server = Process::start("[server]\nmax_body_bytes = \"4KiB\"\n").await;
    let id = server.create("demo").await;
    let mut attached = attach(&server, &id);
    typed(&mut attached, &format!("{}\nflood 1\n", "x".repeat(8000)));
    let said = lines_until(&mut attached, |line| line.starts_with("! not sent"));
    assert!(said.last().unwrap().contains("too_large"), "{said:#?}");
    server.until(&id, |event| event["type"] == "turn.ended").await;
    let events = server.events(&id).await;
    assert_eq!(texts(&events), ["flood 1"]);
    attached.kill().unwrap();
    attached.wait().unwrap();
}

// Scenario 50.
#[tokio::test]
async fn a_token_that_is_not_valid_any_more_loses_no_line() {
    let server = Process::start("").await;
    let id = server.create("cat").await;
    let file = server.folder.path().join("message.json").display().to_string();
    let mut command = seawall(&server, &["send", &id, "hi", "--state", &file]);
    command.env("SEAWALL_TOKEN", "wrong");
    let said = run(command, 1);
    assert!(said.contains("unauthorized") && said.contains(&format!("kept in {file}")), "{said}");
    assert!(run(seawall(&server, &["send", &id, "--state", &file]), 0).starts_with("accepted"));
    let events = server.until(&id, is("agent.output")).await;
    assert_eq!(texts(&events), ["hi"]);
}
