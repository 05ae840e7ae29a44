//! Events and effects in a few words, as the tables write them. Only what tells two outcomes apart is in a text.

use crate::{
    domain::{Body, Draft, event::Exit},
    session::{
        Refusal, Reply,
        machine::{Action, Effect},
    },
};
use serde::Serialize;

fn word(value: impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap();
    value.as_str().map_or_else(String::new, Into::into)
}

pub(super) fn draft(draft: &Draft) -> String {
    let text = match &draft.body {
        Body::SessionState { to, reason, .. } => format!("{to} {}", word(reason)),
        Body::SessionTitled { title } => format!("titled {}", word(title)),
        Body::UserMessage { message_id, .. } => format!("user {message_id}"),
        Body::MessageDispatched { message_id } => format!("dispatched {message_id}"),
        Body::MessageFailed { message_id, reason, uncertain } => {
            let uncertain = if *uncertain { "uncertain" } else { "" };
            format!("failed {message_id} {} {uncertain}", word(reason))
        }
        Body::TurnStarted { message_id, .. } => format!("turn of {}", word(message_id)),
        Body::TurnEnded { message_id, stop_reason, .. } => {
            format!("turn of {} ended {}", word(message_id), word(stop_reason))
        }
        Body::AgentMessage(chunk) | Body::AgentThought(chunk) => {
            let kind = if matches!(draft.body, Body::AgentMessage(_)) { "says" } else { "thinks" };
            let end = if chunk.is_final { "final" } else { "" };
            format!("{kind} {} {end}", word(&chunk.delta))
        }
        Body::PermissionRequested(permission) => format!("asks {}", permission.permission_id),
        Body::PermissionResolved { permission_id, outcome, .. } => {
            format!("{permission_id} {}", serde_json::to_value(outcome).unwrap()["outcome"])
        }
        Body::QuestionRequested(question) => format!("asks {}", question.question_id),
        Body::QuestionResolved { question_id, outcome, .. } => {
            format!("{question_id} {}", serde_json::to_value(outcome).unwrap()["outcome"])
        }
        Body::InterruptRequested { by } => format!("interrupt by {by}"),
        Body::InterruptCompleted { .. } => "interrupt completed".into(),
        Body::InterruptFailed { escalated_to, .. } => {
            format!("interrupt failed {}", word(escalated_to))
        }
        Body::TransportStarted { context, .. } => format!("started {}", word(context)),
        Body::TransportFailed { code, .. } => format!("transport failed {}", word(code)),
        Body::TransportStopping { rung, .. } => format!("rung {}", word(rung)),
        Body::TransportExited(exit) => format!("exited {}", how(exit)),
        Body::TransportRestarting { attempt, .. } => format!("restarting {attempt}"),
        Body::TransportGaveUp { attempt } => format!("gave up {attempt}"),
        body => body.type_name().into(),
    };
    text.replace('"', "").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn how(exit: &Exit) -> String {
    match (exit.exit_code, exit.signal) {
        (Some(code), _) => code.to_string(),
        (None, Some(signal)) => format!("by signal {signal}"),
        (None, None) => "unseen".into(),
    }
}

pub(super) fn effect(effect: &Effect) -> Option<String> {
    Some(match effect {
        Effect::Spawn { run } => format!("spawn {run}"),
        Effect::Order(action) => order(action),
        Effect::Dispatch { message_id, .. } => format!("prompt {message_id}"),
        Effect::Reply { result, .. } => reply(result),
        Effect::Delete { .. } => "delete".into(),
        // The script carries these out and tells what comes of them.
        Effect::Accept { .. }
        | Effect::ReplyKnown { .. }
        | Effect::ReplyWithdrawn { .. }
        | Effect::ReplySettled { .. } => return None,
    })
}

fn order(action: &Action) -> String {
    match action {
        Action::Cancel => "cancel".into(),
        Action::Answer { request, outcome } => {
            let outcome = serde_json::to_value(outcome).unwrap();
            format!("answer {} {}", request.0, word(&outcome["outcome"]))
        }
        Action::CloseStdin => "close stdin".into(),
        Action::Interrupt => "SIGINT".into(),
        Action::Terminate => "SIGTERM".into(),
        Action::Kill => "SIGKILL".into(),
    }
}

pub(super) fn reply(result: &Result<Reply, Refusal>) -> String {
    match result {
        Ok(Reply::Receipt { duplicate: false, .. }) => "receipt".into(),
        Ok(Reply::Receipt { duplicate: true, .. }) => "receipt again".into(),
        Ok(Reply::Interrupt { requested: true }) => "requested".into(),
        Ok(Reply::Interrupt { requested: false }) => "nothing to interrupt".into(),
        Ok(Reply::Kill { requested: true }) => "kill requested".into(),
        Ok(Reply::Kill { requested: false }) => "nothing to kill".into(),
        Ok(Reply::Done) => "done".into(),
        Err(refusal) => {
            let text = format!("{refusal:?}");
            let name = text.split(['(', ' ']).next().unwrap_or_default();
            format!("refused {name}")
        }
    }
}
