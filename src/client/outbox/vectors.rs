//! The outbox's queue against `tests/data/outbox`: histories that every implementation must take in the same way.
//! What a step may be is described there.

use super::queue::{Entry, EntryState, Heard, Next, Queue, QueueError};
use crate::{
    client::{ClientError, error::read_problem},
    domain::{MessageId, Seq, Timestamp},
    wire::api::SendMessage,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

fn id(value: &Value) -> MessageId {
    value.as_str().unwrap().parse().unwrap()
}

fn message(id: MessageId, text: &str) -> Arc<SendMessage> {
    Arc::new(SendMessage {
        message_id: id,
        content: None,
        text: Some(text.into()),
        interrupt: false,
    })
}

fn refused(refusal: QueueError) -> Value {
    json!(match refusal {
        QueueError::Full => "full",
        QueueError::Known => "known",
        QueueError::Unknown => "unknown",
        QueueError::InFlight => "in_flight",
        QueueError::NotFailed => "not_failed",
        QueueError::Kept => "kept",
    })
}

fn done(result: Result<(), QueueError>) -> Value {
    result.map_or_else(refused, |()| json!("ok"))
}

fn state(entry: &Entry) -> String {
    match &entry.state {
        EntryState::Pending => "pending".into(),
        EntryState::Accepted => "accepted".into(),
        EntryState::Uncertain => "uncertain".into(),
        EntryState::Failed { reason, .. } => format!("failed:{reason}"),
    }
}

fn restored(entry: &Value) -> Entry {
    let state = match entry["state"].as_str().unwrap() {
        "pending" => EntryState::Pending,
        "uncertain" => EntryState::Uncertain,
        failed => EntryState::Failed {
            reason: failed.strip_prefix("failed:").unwrap().into(),
            detail: String::new(),
        },
    };
    let kept = state == EntryState::Uncertain;
    let message = message(id(&entry["id"]), entry["text"].as_str().unwrap());
    Entry { message, state, kept, seq: None }
}

fn refusal(input: &Value) -> ClientError {
    let status = input["status"].as_u64().unwrap().try_into().unwrap();
    let code = input["code"].as_str().unwrap();
    let document =
        json!({"type": "about:blank", "title": "T", "status": status, "detail": "D", "code": code});
    let problem = Box::new(read_problem(status, document.to_string().as_bytes()));
    ClientError::Refused {
        problem,
        retry_after: input["retry_after"].as_u64().map(Duration::from_secs),
    }
}

fn lost() -> ClientError {
    ClientError::Unreachable { url: "u".into(), cause: "c".into() }
}

/// Does one step; what it gives.
fn step(queue: &mut Queue, now: Timestamp, input: &Value) -> Value {
    let text = input["text"].as_str().unwrap_or_default();
    let jitter = input["jitter"].as_f64().unwrap_or_default();
    match input["type"].as_str().unwrap() {
        "push" => done(queue.push(message(id(&input["id"]), text))),
        "push_many" => {
            let (from, to) = (input["from"].as_u64().unwrap(), input["to"].as_u64().unwrap());
            let prefix = input["prefix"].as_str().unwrap();
            let mut ids = (from..=to).map(|number| format!("{prefix}{number}").parse().unwrap());
            done(ids.try_for_each(|id| queue.push(message(id, "x"))))
        }
        "restore" => {
            let entries = input["entries"].as_array().unwrap();
            done(queue.restore(entries.iter().map(restored).collect()))
        }
        "next" => match queue.next(now) {
            Next::Send(message) => json!({ "send": message.message_id }),
            Next::Wait(until) => json!({ "wait": until.as_millis() }),
            Next::Busy => json!("busy"),
            Next::SignedOut => json!("signed_out"),
            Next::Idle => json!("idle"),
        },
        kind => {
            tell(queue, now, kind, input, jitter);
            match kind {
                "retry" => done(queue.retry(&id(&input["id"]), id(&input["fresh"]))),
                "replace" => {
                    let message = message(id(&input["fresh"]), text);
                    done(queue.replace(&id(&input["id"]), message))
                }
                "discard" => done(queue.discard(&id(&input["id"]))),
                _ => Value::Null,
            }
        }
    }
}

/// Inputs that give nothing.
fn tell(queue: &mut Queue, now: Timestamp, kind: &str, input: &Value, jitter: f64) {
    let seq = input["seq"].as_u64().map(Seq);
    match kind {
        "receipt" => queue.answered(now, &id(&input["id"]), Ok(seq.unwrap()), 0.5),
        "refused" => queue.answered(now, &id(&input["id"]), Err(&refusal(input)), jitter),
        "lost" => queue.answered(now, &id(&input["id"]), Err(&lost()), jitter),
        "kept" => queue.heard(&Heard::Kept(id(&input["id"]), seq)),
        "failed" => queue.heard(&Heard::Failed {
            id: id(&input["id"]),
            reason: input["reason"].as_str().unwrap().into(),
            uncertain: input["uncertain"].as_bool().unwrap(),
        }),
        "signed_in" => queue.signed_in(),
        "reachable" => queue.reachable(),
        "retry" | "replace" | "discard" => {}
        other => panic!("there is no step {other}"),
    }
}

fn state_of(queue: &Queue, form: &Value) -> Value {
    if form.get("entries").is_some() {
        let entries =
            queue.entries().iter().map(|entry| format!("{} {}", entry.id(), state(entry)));
        return json!({ "entries": entries.collect::<Vec<_>>() });
    }
    let mut counts = BTreeMap::<String, u32>::new();
    for entry in queue.entries() {
        let state = state(entry);
        *counts.entry(state.split(':').next().unwrap().to_owned()).or_default() += 1;
    }
    json!({ "counts": counts })
}

fn run(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/outbox/{name}.json"));
    let vector: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut queue = Queue::default();
    for (index, wanted) in vector["steps"].as_array().unwrap().iter().enumerate() {
        let now = Timestamp::from_millis(wanted["at"].as_i64().unwrap());
        let given = step(&mut queue, now, &wanted["do"]);
        let at = format!("{name}, step {index}: {wanted}");
        if let Some(gives) = wanted.get("gives") {
            assert_eq!(given, *gives, "{at}");
        }
        if let Some(then) = wanted.get("then") {
            assert_eq!(state_of(&queue, then), *then, "{at}");
        }
    }
}

// Scenario 48.
#[test]
fn messages_go_in_order_one_at_a_time() {
    run("in-order");
}

// Scenario 49.
#[test]
fn what_may_pass_is_tried_again_with_growing_delays_and_jitter() {
    run("backoff");
    run("passing");
}

// Scenario 49.
#[test]
fn retry_after_is_obeyed() {
    run("retry-after");
}

// Scenario 49.
#[test]
fn a_stream_acknowledges_what_no_answer_did() {
    run("stream");
}

// Scenario 50.
#[test]
fn a_401_halts_the_queue_and_keeps_everything() {
    run("signed-out");
}

// Scenario 50.
#[test]
fn every_other_4xx_fails_the_message_and_the_next_goes_on() {
    run("refused");
    run("again");
}

// Scenario 51.
#[test]
fn a_server_that_is_reached_by_another_way_is_tried_at_once() {
    run("reachable");
}

// Scenario 52.
#[test]
fn the_hundred_and_first_is_refused_on_every_path() {
    run("full");
    run("full-requeue");
}

// Scenario 54.
#[test]
fn what_was_left_is_restored_whole_or_not_at_all() {
    run("restore");
}

#[test]
fn every_vector_is_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/outbox");
    let text = include_str!("vectors.rs");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(name) = name.strip_suffix(".json") {
            assert!(text.contains(&format!("run(\"{name}\")")), "nobody runs {name}");
        }
    }
}
