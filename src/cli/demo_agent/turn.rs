//! The turns of the demo agent: each command of the script as a short play of session updates. A turn that is
//! cancelled is dropped where it stands, so none of them looks for a cancel.

use super::{
    End,
    script::{Act, HELP},
    wire::{Gone, Wire},
};
use serde_json::{Value, json};
use std::{future::pending, process::Stdio, time::Duration};
use tokio::{process::Command, sync::mpsc, time::sleep};

/// Between two chunks of an answer, so that it can be seen to stream.
const STREAM_STEP: Duration = Duration::from_millis(20);

/// How a turn came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// With this stop reason.
    Stop(&'static str),
    /// With `end_turn`, after which the agent exits.
    ThenExit(u8),
    /// With no response at all.
    Leave(End),
}

/// What a turn plays on.
pub(super) struct Stage {
    pub(super) session_id: String,
    pub(super) wire: Wire,
    /// The results of the requests that the turn made.
    pub(super) answers: mpsc::Receiver<Value>,
}

pub(super) async fn perform(act: Act, mut stage: Stage) -> Result<Finish, Gone> {
    match act {
        Act::Echo(text) => stage.echo(&text).await?,
        Act::Help => stage.say(HELP).await?,
        Act::Slow { chunks, step } => stage.count(chunks, step).await?,
        Act::Flood(chunks) => stage.count(chunks, Duration::ZERO).await?,
        Act::Big(bytes) => stage.say(&"x".repeat(bytes)).await?,
        Act::Think => stage.think().await?,
        Act::Plan => stage.plan().await?,
        Act::Tool => stage.tool().await?,
        Act::Ask => return stage.ask().await,
        Act::Fork => stage.fork().await?,
        Act::Stderr(text) => {
            eprintln!("{text}");
            stage.say("It is on stderr.").await?;
        }
        Act::Garbage => stage.garbage().await?,
        Act::Crash(end) => {
            stage.say("I am just about to cra").await?;
            return Ok(Finish::Leave(end));
        }
        Act::Exit(code) => {
            stage.say("Good bye.").await?;
            return Ok(Finish::ThenExit(code));
        }
        Act::Hang => {
            stage.say("I shall say no more.").await?;
            pending::<()>().await;
        }
        Act::Deaf => {
            stage.say("I shall hear no more.").await?;
            pending::<()>().await;
        }
        Act::IgnoreInterrupt => loop {
            stage.say("I go on. ").await?;
            sleep(Duration::from_secs(1)).await;
        },
    }
    Ok(Finish::Stop("end_turn"))
}

impl Stage {
    async fn update(&self, update: Value) -> Result<(), Gone> {
        let params = json!({"sessionId": self.session_id, "update": update});
        let message = json!({"jsonrpc": "2.0", "method": "session/update", "params": params});
        self.wire.message(&message).await
    }

    async fn say(&self, text: &str) -> Result<(), Gone> {
        self.chunk("agent_message_chunk", text).await
    }

    async fn chunk(&self, kind: &str, text: &str) -> Result<(), Gone> {
        let content = json!({"type": "text", "text": text});
        self.update(json!({"sessionUpdate": kind, "content": content})).await
    }

    async fn echo(&self, text: &str) -> Result<(), Gone> {
        self.say("You said: ").await?;
        for word in text.split_inclusive(char::is_whitespace) {
            sleep(STREAM_STEP).await;
            self.say(word).await?;
        }
        Ok(())
    }

    async fn count(&self, chunks: u64, step: Duration) -> Result<(), Gone> {
        for number in 1..=chunks {
            if !step.is_zero() {
                sleep(step).await;
            }
            self.say(&format!("{number} ")).await?;
        }
        Ok(())
    }

    async fn think(&self) -> Result<(), Gone> {
        for thought in ["Let me see. ", "They want me to think, ", "and I am thinking."] {
            self.chunk("agent_thought_chunk", thought).await?;
            sleep(STREAM_STEP).await;
        }
        self.say("I thought about it.").await
    }

    async fn plan(&self) -> Result<(), Gone> {
        let steps = ["Look around", "Make the change", "Check it"];
        for done in 0..=steps.len() {
            let entries: Vec<Value> = steps
                .iter()
                .enumerate()
                .map(|(at, step)| {
                    let status = match at.cmp(&done) {
                        std::cmp::Ordering::Less => "completed",
                        std::cmp::Ordering::Equal => "in_progress",
                        std::cmp::Ordering::Greater => "pending",
                    };
                    json!({"content": step, "priority": "medium", "status": status})
                })
                .collect();
            self.update(json!({"sessionUpdate": "plan", "entries": entries})).await?;
            sleep(STREAM_STEP).await;
        }
        self.say("All according to plan.").await
    }

    async fn tool(&self) -> Result<(), Gone> {
        let mut call = tool_call("tool-1", "Reading the demo's notes", "read");
        call["sessionUpdate"] = json!("tool_call");
        self.update(call).await?;
        sleep(STREAM_STEP).await;
        self.tool_update("tool-1", json!({"status": "in_progress"})).await?;
        sleep(STREAM_STEP).await;
        let text = json!({"type": "text", "text": "There is nothing in them."});
        let content = json!([{"type": "content", "content": text}]);
        let done = json!({"status": "completed", "content": content, "rawOutput": {"lines": 1}});
        self.tool_update("tool-1", done).await?;
        self.say("I have read the notes.").await
    }

    async fn tool_update(&self, id: &str, mut fields: Value) -> Result<(), Gone> {
        fields["sessionUpdate"] = json!("tool_call_update");
        fields["toolCallId"] = json!(id);
        self.update(fields).await
    }

    /// An answer of `cancelled` ends the turn as cancelled, whether a cancel of the turn comes with it or not.
    async fn ask(&mut self) -> Result<Finish, Gone> {
        let call = tool_call("tool-1", "Tidying up the demo", "edit");
        let mut begun = call.clone();
        begun["sessionUpdate"] = json!("tool_call");
        self.update(begun).await?;
        let options = [
            ("once", "Allow", "allow_once"),
            ("always", "Always allow", "allow_always"),
            ("no", "Reject", "reject_once"),
            ("never", "Always reject", "reject_always"),
        ]
        .map(|(id, name, kind)| json!({"optionId": id, "name": name, "kind": kind}));
        let params = json!({"sessionId": self.session_id, "toolCall": call, "options": options});
        let method = "session/request_permission";
        let request = json!({"jsonrpc": "2.0", "id": "ask-1", "method": method, "params": params});
        self.wire.message(&request).await?;
        let answer = self.answers.recv().await.ok_or(Gone)?;
        let outcome = &answer["outcome"];
        let (status, words) = match outcome["optionId"].as_str() {
            Some(option @ ("once" | "always")) => {
                ("completed", format!("You allowed it: {option}."))
            }
            Some(option @ ("no" | "never")) => ("failed", format!("You rejected it: {option}.")),
            Some(other) => ("failed", format!("I never offered `{other}`.")),
            None => {
                self.tool_update("tool-1", json!({"status": "failed"})).await?;
                self.say("You gave no answer.").await?;
                return Ok(Finish::Stop("cancelled"));
            }
        };
        self.tool_update("tool-1", json!({"status": status})).await?;
        self.say(&words).await?;
        Ok(Finish::Stop("end_turn"))
    }

    /// The grandchildren hold our stdout and stderr, as those of real agents do.
    async fn fork(&self) -> Result<(), Gone> {
        let mut near = Command::new("sleep");
        let mut far = Command::new("setsid");
        near.arg("1000");
        far.args(["sleep", "1000"]);
        let mut pids = Vec::new();
        for command in [&mut near, &mut far] {
            match command.stdin(Stdio::null()).spawn() {
                Ok(child) => pids.extend(child.id().map(|pid| pid.to_string())),
                Err(error) => return self.say(&format!("No grandchild: {error}.")).await,
            }
        }
        self.say(&format!("pids: {} (the second in a session of its own)", pids.join(" "))).await
    }

    async fn garbage(&self) -> Result<(), Gone> {
        self.wire.line(b"this is no message".to_vec()).await?;
        self.wire.line(b"\xff\xfe nor is this, and it is no UTF-8".to_vec()).await?;
        self.wire.line(br#"{"half a message"#.to_vec()).await?;
        self.say("That was garbage.").await
    }
}

fn tool_call(id: &str, title: &str, kind: &str) -> Value {
    json!({
        "toolCallId": id, "title": title, "kind": kind, "status": "pending",
        "locations": [{"path": "/demo/notes.md"}], "rawInput": {"path": "/demo/notes.md"},
    })
}
