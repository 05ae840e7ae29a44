//! `seawall attach` as it is used: on pipes by scripts, and on a terminal by a person who presses Ctrl-C.

use super::{lines_until, seawall};
use crate::support::{Process, SEAWALL, is, of_type, only, turn_of};
use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
};

fn typed(child: &mut Child, text: &str) {
    child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
}

#[tokio::test]
async fn what_is_typed_is_sent_and_a_permission_is_asked_and_answered_in_place() {
    let server = Process::start("").await;
    let id = server.create("demo").await;
    let mut command = seawall(&server, &["attach", &id]);
    let mut attached = command.stdin(Stdio::piped()).spawn().unwrap();
    typed(&mut attached, "flood 3\n");
    lines_until(&mut attached, |line| line.contains("1 2 3"));
    typed(&mut attached, "ask\n");
    let asked = lines_until(&mut attached, |line| line.contains("Always reject"));
    assert!(asked.iter().any(|line| line.contains("Always allow")), "{asked:#?}");
    typed(&mut attached, "1\n");
    lines_until(&mut attached, |line| line.contains("You allowed it: once."));
    let events = server.events(&id).await;
    assert_eq!(only(&events, "permission.resolved")["option_id"], "once");
    assert_eq!(of_type(&events, "user.message").len(), 2, "the answer is no message");

    // The end of a pipe ends the typing, and the end of the session the watching.
    drop(attached.stdin.take());
    super::done(&server, &["stop", &id]);
    let output = attached.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Reads until a line has these words (true), or the output ends (false).
fn said_or_left(child: &mut Child, words: &str) -> bool {
    let output = BufReader::new(child.stdout.as_mut().unwrap());
    output.lines().any(|line| line.unwrap().contains(words))
}

#[tokio::test]
async fn ctrl_c_interrupts_the_turn_and_twice_leaves_while_the_session_goes_on() {
    let server = Process::start("").await;
    let id = server.create("demo").await;
    // Its own terminal; -e gives back the exit code, -f shows what is printed at once.
    let mut command = Command::new("script");
    command.args(["-qefc", &format!("{SEAWALL} attach {id}"), "/dev/null"]);
    command.env("SEAWALL_URL", &server.url).env("SEAWALL_TOKEN", server.token.as_deref().unwrap());
    command.env("XDG_STATE_HOME", server.folder.path().join("state"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut attached = command.spawn().unwrap();
    typed(&mut attached, "hang\r");
    server.until(&id, is("agent.message")).await;
    typed(&mut attached, "\x03");
    let events = server.until(&id, |event| event["type"] == "turn.ended").await;
    assert_eq!(only(&events, "turn.ended")["stop_reason"], "cancelled");
    only(&events, "interrupt.requested");
    // The second leaves, unless the machine was so slow that the first does not count any more; then it says so, and
    // the next one is the second.
    typed(&mut attached, "\x03");
    while said_or_left(&mut attached, "Ctrl-C again leaves") {
        typed(&mut attached, "\x03");
    }
    let output = attached.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    server.send(&id, "m9", "flood 1").await;
    let events = server.until(&id, turn_of("m9")).await;
    assert_eq!(of_type(&events, "transport.started").len(), 1, "the agent was not disturbed");
}
