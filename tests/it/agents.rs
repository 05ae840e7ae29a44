//! Real agents: an ACP agent that is not ours, and the programs that everybody has, spoken to as plain lines.

mod claude;

use crate::support::*;
use serde_json::{Value, json};
use std::path::Path;

/// A profile for the example agent of the ACP SDK.
fn example_profile() -> String {
    let agent = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/agents/node_modules/@agentclientprotocol/sdk/dist/examples/agent.js");
    assert!(
        agent.exists(),
        "{} is not there; run scripts/setup, which installs it",
        agent.display()
    );
    let agent = agent.display();
    format!("[agents.example]\nprotocol = \"acp\"\ncommand = \"node\"\nargs = [\"{agent}\"]\n")
}

/// Has the example agent's turn with its permission answered so; all events.
async fn example_turn(kind: &str) -> Vec<Value> {
    let server = Process::start(&example_profile()).await;
    let id = server.create("example").await;
    server.send(&id, "m1", "hello").await;
    let mut log = server.follow(&id).await;
    let events = log.events_until(is("permission.requested")).await;
    let asked = only(&events, "permission.requested");
    assert_eq!(server.session(&id).await["client_state"], "requires_action");
    let options = asked["options"].as_array().expect("options");
    let option = options.iter().find(|option| option["kind"] == kind).expect("an option");
    let body = json!({ "outcome": "selected", "option_id": option["option_id"] });
    let permission_id = asked["permission_id"].as_str().expect("an id");
    server.settle(&id, permission_id, body).await.expect(200);
    log.events_until(turn_of("m1")).await;
    let events = server.events(&id).await;
    assert_eq!(only(&events, "turn.ended")["stop_reason"], "end_turn");
    assert_dense(&events, 1);
    // What the adapter does not know would be kept raw: everything of this agent's it knows.
    assert_eq!(of_type(&events, "agent.raw").len(), 0);
    events
}

/// The tool calls and their updates: which call, and its status.
fn tools(events: &[Value]) -> Vec<(&str, &str)> {
    let names = ["agent.tool_call", "agent.tool_update"];
    let tools = events.iter().filter(|event| names.iter().any(|name| event["type"] == *name));
    tools
        .map(|event| {
            let text = |key: &str| event["data"][key].as_str().expect("a text");
            (text("tool_call_id"), text("status"))
        })
        .collect()
}

#[tokio::test]
async fn the_sdks_example_agent_does_its_work_with_the_permission_to() {
    let events = example_turn("allow_once").await;
    assert_eq!(
        tools(&events),
        [
            ("call_1", "pending"),
            ("call_1", "completed"),
            ("call_2", "pending"),
            ("call_2", "completed")
        ]
    );
    assert!(said(&events).contains("Perfect! I've successfully updated"), "{}", said(&events));
}

#[tokio::test]
async fn the_sdks_example_agent_takes_no_for_an_answer() {
    let events = example_turn("reject_once").await;
    let statuses = [("call_1", "pending"), ("call_1", "completed"), ("call_2", "pending")];
    assert_eq!(tools(&events), statuses);
    assert!(said(&events).contains("I'll skip the configuration update"), "{}", said(&events));
}

#[tokio::test]
async fn the_sdks_example_agent_is_cancelled_while_it_waits_and_goes_on() {
    let server = Process::start(&example_profile()).await;
    let id = server.create("example").await;
    server.send(&id, "m1", "hello").await;
    let mut log = server.follow(&id).await;
    log.events_until(is("agent.message")).await;
    let urgent = json!({ "message_id": "m2", "text": "something else", "interrupt": true });
    server.post_message(&id, urgent).await.expect(202);
    let says = |event: &Value| event["data"]["delta"].as_str().is_some_and(|text| !text.is_empty());
    let events = log.events_until(says).await;
    assert_eq!(only(&events, "turn.ended")["stop_reason"], "cancelled");
    assert_eq!(only(&events, "message.dispatched")["message_id"], "m2");
    assert_eq!(of_type(&events, "interrupt.completed").len(), 1);
    assert_eq!(server.session(&id).await["run"], 1);
}

/// As much of Codex's app-server as a session needs: a shell that answers by the method.
const CODEX: &str = r#"
[ "$1" = app-server ] || exit 9
while read -r line; do
  id=${line#*\"id\":} id=${id%%,*}
  case $line in
  *'"initialize"'* | *'"account/read"'*) echo "{\"id\":$id,\"result\":{}}" ;;
  *'"thread/start"'*) echo "{\"id\":$id,\"result\":{\"thread\":{\"id\":\"th\"}}}" ;;
  *'"thread/resume"'*'"th"'*) echo "{\"id\":$id,\"result\":{\"thread\":{\"id\":\"th\"}}}" ;;
  *'"turn/start"'*)
    echo "{\"id\":$id,\"result\":{\"turn\":{\"id\":\"t\"}}}"
    echo '{"method":"turn/started","params":{"threadId":"th","turn":{"id":"t"}}}'
    echo '{"method":"item/agentMessage/delta","params":{"threadId":"th","itemId":"i","delta":"hello"}}'
    echo '{"method":"turn/completed","params":{"threadId":"th","turn":{"id":"t","status":"completed"}}}'
    ;;
  esac
done
"#;

#[tokio::test]
async fn a_thread_of_codex_is_resumed_once_a_turn_has_ended_in_it() {
    let profile = "[agents.codex]\nprotocol = \"codex\"\ncommand = \"sh\"\n";
    let script = toml::Value::from(CODEX).to_string();
    let server = Process::start(&format!("{profile}args = [\"-c\", {script}, \"codex\"]\n")).await;
    let id = server.create("codex").await;
    for (run, message) in [(1, None), (2, Some("m2")), (3, Some("m3"))] {
        server
            .until(&id, |event| event["type"] == "transport.started" && event["run"] == run)
            .await;
        if let Some(message) = message {
            server.send(&id, message, "hi").await;
            assert_eq!(said(&server.turn(&id, message).await).matches("hello").count(), run - 1);
        }
        server.stop_session(&id, json!({})).await;
        server.look_until(&id, ends("stopped")).await;
        server.post(&format!("/v1/sessions/{id}/resume"), json!({})).await.expect(202);
    }
    let events =
        server.until(&id, |event| event["type"] == "transport.started" && event["run"] == 4).await;
    let started = of_type(&events, "transport.started");
    let contexts: Vec<_> = started.iter().map(|event| &event["data"]["context"]).collect();
    // The first run had no turn, so that there was nothing to resume and nothing was lost.
    assert_eq!(contexts, ["new", "new", "resumed", "resumed"]);
}

/// What a session of lines has printed, up to this line.
async fn printed(log: &mut Sse, last: &str) -> Vec<String> {
    let events = log
        .events_until(|event| {
            event["type"] == "agent.output"
                && event["data"]["text"].as_str().is_some_and(|text| text.contains(last))
        })
        .await;
    let outputs = of_type(&events, "agent.output");
    outputs.iter().map(|event| event["data"]["text"].as_str().expect("a text").into()).collect()
}

#[tokio::test]
async fn cat_says_what_it_is_told_line_by_line() {
    let server = Process::start("").await;
    let id = server.create("cat").await;
    let mut log = server.follow(&id).await;
    server.send(&id, "m1", "one\ntwo ünïcødé\n\n\u{1F980} end").await;
    assert_eq!(printed(&mut log, "end").await, ["one", "two ünïcødé", "", "\u{1F980} end"]);
    // Lines have no turns: dispatched is the last word on a message.
    let events = server.events(&id).await;
    assert_eq!(of_type(&events, "turn.started").len(), 0);
    assert_eq!(server.session(&id).await["client_state"], "idle");
    server.stop_session(&id, json!({})).await;
    let events = server.until(&id, ends("stopped")).await;
    assert_eq!(only(&events, "transport.exited")["exit_code"], 0);
    assert_eq!(only(&events, "transport.stopping")["rung"], "close_stdin");
}

#[tokio::test]
async fn a_shell_runs_commands_and_its_exit_is_told() {
    let server = Process::start("").await;
    let id = server.create("sh").await;
    let mut log = server.follow(&id).await;
    server.send(&id, "m1", "cd /; x=7\npwd; echo $((6 * x)); echo oops >&2; echo done").await;
    let lines = printed(&mut log, "done").await;
    let stdout: Vec<_> = lines.iter().filter(|line| *line != "oops").collect();
    assert_eq!(stdout, ["/", "42", "done"]);
    server.send(&id, "m2", "echo $x again; exit 3").await;
    let events = log.events_until(is("transport.restarting")).await;
    let output = of_type(&events, "agent.output");
    assert!(output.iter().any(|event| event["data"]["text"] == "7 again"), "{output:#?}");
    let exited = only(&events, "transport.exited");
    assert_eq!(exited["exit_code"], 3);
    assert!(exited["stderr_tail"].as_str().unwrap().contains("oops"), "{exited}");
    // A message whose write was complete is not told as lost, in whatever way its reader went.
    assert_eq!(message_ids(&events, "message.failed"), Vec::<&str>::new());

    server.send(&id, "m3", "echo \"x is '$x'\"; exit 0").await;
    let events = log.events_until(becomes("ENDED")).await;
    assert!(ends("completed")(events.last().unwrap()));
    let output = of_type(&events, "agent.output");
    assert_eq!(output[0]["data"]["text"], "x is ''", "another run is another shell");
}

#[tokio::test]
async fn python_keeps_what_it_knows_and_an_endless_loop_is_interrupted() {
    let server = Process::start("").await;
    let id = server.create("python").await;
    let mut log = server.follow(&id).await;
    server.send(&id, "m1", "x = 6").await;
    server.send(&id, "m2", "print('x is', x * 7)").await;
    printed(&mut log, "x is 42").await;

    server.send(&id, "m3", "print('round'); exec('while True: pass')").await;
    printed(&mut log, "round").await;
    assert!(server.interrupt(&id).await);
    let events = log
        .events_until(|event| {
            event["data"]["text"].as_str().is_some_and(|text| text.contains("KeyboardInterrupt"))
        })
        .await;
    assert_eq!(of_type(&events, "interrupt.completed").len(), 1);
    server.send(&id, "m4", "print('x is still', x)").await;
    printed(&mut log, "x is still 6").await;
    assert_eq!(server.session(&id).await["run"], 1);
}

#[tokio::test]
async fn an_agent_that_wants_one_line_a_message_gets_its_newlines_escaped() {
    let profile =
        "[agents.liner]\nprotocol = \"lines\"\ncommand = \"cat\"\nescape_newlines = true\n";
    let server = Process::start(profile).await;
    let id = server.create("liner").await;
    let mut log = server.follow(&id).await;
    server.send(&id, "m1", "one\ntwo \\ end").await;
    assert_eq!(printed(&mut log, "end").await, [r"one\ntwo \\ end"]);
}
