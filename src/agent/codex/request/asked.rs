//! Codex's requests in our words, and our outcomes in Codex's. Options are chosen by what they mean; a decision without a
//! meaning here keeps its name.

use super::{Items, form::Form};
use crate::{
    agent::AgentRequest,
    domain::event::{Outcome, PermissionOption},
};
use serde_json::{Map, Value, json};

/// What an answer is made from.
#[derive(Debug)]
pub(super) enum Asked {
    /// Command or file change: the decisions as Codex listed them, by the ids of our options.
    Approval {
        decisions: Vec<(String, Value)>,
    },
    /// More permissions than the sandbox gives.
    Permissions {
        wanted: Value,
    },
    Input,
    /// Of an MCP server, by way of Codex.
    Elicitation {
        form: Option<Form>,
    },
}

/// What people see.
#[derive(Debug)]
pub(super) enum Shown {
    Permission { tool_call: Value, options: Vec<PermissionOption> },
    Question { questions: Value },
}

impl Asked {
    /// None: nothing that people could answer.
    pub(super) fn read(
        method: &str,
        params: &Value,
        request: AgentRequest,
        items: Option<&Items>,
    ) -> Option<(Self, Shown)> {
        let fields = params.as_object()?;
        match method {
            "item/commandExecution/requestApproval" | "item/fileChange/requestApproval" => {
                let (decisions, options) = decisions(fields.get("availableDecisions"));
                let tool_call = tool_call(fields, items);
                Some((Self::Approval { decisions }, Shown::Permission { tool_call, options }))
            }
            "item/permissions/requestApproval" => {
                let wanted = fields.get("permissions").cloned().unwrap_or_default();
                let options = vec![
                    option("turn", "Allow for this turn", "allow_once"),
                    option("session", "Allow for this session", "allow_always"),
                    option("decline", "Decline", "reject_once"),
                ];
                let tool_call = tool_call(fields, items);
                Some((Self::Permissions { wanted }, Shown::Permission { tool_call, options }))
            }
            "item/tool/requestUserInput" => {
                let questions = fields.get("questions")?.as_array()?;
                let questions = questions.iter().map(question).collect();
                Some((Self::Input, Shown::Question { questions }))
            }
            "mcpServer/elicitation/request" => Some(elicitation(fields, request)),
            _ => None,
        }
    }

    /// The `result` of the response.
    pub(super) fn answer(self, outcome: &Outcome) -> Value {
        match self {
            Self::Approval { decisions } => json!({ "decision": decision(decisions, outcome) }),
            Self::Permissions { wanted } => match outcome {
                Outcome::Selected { option_id } if option_id == "turn" => {
                    json!({ "permissions": wanted, "scope": "turn" })
                }
                Outcome::Selected { option_id } if option_id == "session" => {
                    json!({ "permissions": wanted, "scope": "session" })
                }
                _ => json!({ "permissions": {}, "scope": "turn" }),
            },
            Self::Input => json!({ "answers": answers(outcome) }),
            Self::Elicitation { form } => match outcome {
                Outcome::Selected { option_id } if option_id == "accept" => {
                    json!({ "action": "accept", "content": {}, "_meta": null })
                }
                Outcome::Answered { answers } => {
                    let content = form.map(|form| form.content(answers));
                    json!({ "action": "accept", "content": content, "_meta": null })
                }
                Outcome::Cancelled => json!({ "action": "cancel", "content": null, "_meta": null }),
                Outcome::Selected { .. } | Outcome::Expired => {
                    json!({ "action": "decline", "content": null, "_meta": null })
                }
            },
        }
    }
}

/// Codex takes these where it lists none.
const USUAL: [&str; 4] = ["accept", "acceptForSession", "decline", "cancel"];

fn decisions(listed: Option<&Value>) -> (Vec<(String, Value)>, Vec<PermissionOption>) {
    let usual = || USUAL.iter().map(|word| Value::from(*word)).collect();
    let listed = listed.and_then(Value::as_array).filter(|listed| !listed.is_empty());
    let listed: Vec<Value> = listed.cloned().unwrap_or_else(usual);
    let mut decisions: Vec<(String, Value)> = Vec::new();
    let mut options = Vec::new();
    for decision in listed {
        let (mut id, name, kind) = describe(&decision);
        // Amendments of one kind may be several.
        if decisions.iter().any(|(taken, _)| *taken == id) {
            id = format!("{id}-{}", decisions.len() + 1);
        }
        options.push(PermissionOption { option_id: id.clone(), name, kind });
        decisions.push((id, decision));
    }
    (decisions, options)
}

/// The id, the name and the kind of a decision.
fn describe(decision: &Value) -> (String, String, String) {
    let (word, detail) = match decision {
        Value::String(word) => (word.as_str(), &Value::Null),
        Value::Object(fields) => match fields.iter().next() {
            Some((word, detail)) => (word.as_str(), detail),
            None => ("{}", &Value::Null),
        },
        _ => ("?", &Value::Null),
    };
    let (name, kind) = match word {
        "accept" => ("Allow".to_owned(), "allow_once"),
        "acceptForSession" => ("Allow for this session".to_owned(), "allow_always"),
        "acceptWithExecpolicyAmendment" => {
            let words = detail["execpolicy_amendment"].as_array().into_iter().flatten();
            let begin = words.filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
            (format!("Always allow what begins with: {begin}"), "allow_always")
        }
        "applyNetworkPolicyAmendment" => {
            let rule = &detail["network_policy_amendment"];
            let host = rule["host"].as_str().unwrap_or("this host");
            match rule["action"].as_str() {
                Some("allow") => (format!("Always allow {host}"), "allow_always"),
                Some("deny") => (format!("Always refuse {host}"), "reject_always"),
                _ => (format!("Change the rule for {host}"), word),
            }
        }
        "decline" => ("Decline and go on".to_owned(), "reject_once"),
        "cancel" => ("Decline and end the turn".to_owned(), "reject_once"),
        other => (other.to_owned(), other),
    };
    (word.to_owned(), name, kind.to_owned())
}

/// Nobody's answer lets the agent go on without; a cancel ends its turn, as Codex means it to.
fn decision(decisions: Vec<(String, Value)>, outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Selected { option_id } => {
            let chosen = decisions.into_iter().find(|(id, _)| id == option_id);
            chosen.map_or_else(|| "decline".into(), |(_, decision)| decision)
        }
        Outcome::Cancelled => "cancel".into(),
        Outcome::Expired | Outcome::Answered { .. } => "decline".into(),
    }
}

/// The tool call that an approval is for. The request names it and says the rest itself, or the item did.
fn tool_call(fields: &Map<String, Value>, items: Option<&Items>) -> Value {
    let text = |key: &str| fields.get(key).and_then(Value::as_str);
    let id = text("itemId").unwrap_or_default();
    let tool = items.and_then(|items| items.tool(id));
    let title = tool.map(|tool| tool.title.as_str()).or_else(|| text("command"));
    let title = title.or_else(|| text("reason")).unwrap_or("More permissions");
    let kind = tool.map_or("other", |tool| tool.kind);
    let asked = ["threadId", "turnId", "itemId", "availableDecisions"];
    let rest =
        fields.iter().filter(|(key, value)| !asked.contains(&key.as_str()) && !value.is_null());
    let rest: Map<_, _> = rest.map(|(key, value)| (key.clone(), value.clone())).collect();
    json!({ "tool_call_id": id, "title": title, "kind": kind, "status": "pending", "raw_input": rest })
}

fn option(id: &str, name: &str, kind: &str) -> PermissionOption {
    PermissionOption { option_id: id.into(), name: name.into(), kind: kind.into() }
}

/// A question with its names in snake_case.
fn question(question: &Value) -> Value {
    let Some(fields) = question.as_object() else {
        return question.clone();
    };
    let name = |key: &str| match key {
        "isOther" => "is_other".to_owned(),
        "isSecret" => "is_secret".to_owned(),
        other => other.to_owned(),
    };
    fields.iter().map(|(key, value)| (name(key), value.clone())).collect()
}

/// Each answer as the list of texts that Codex wants; whoever answers may say a text or a list.
fn answers(outcome: &Outcome) -> Value {
    let Outcome::Answered { answers: Value::Object(answers) } = outcome else {
        return json!({});
    };
    let texts = |answer: &Value| match answer.get("answers").unwrap_or(answer) {
        Value::Array(texts) => texts.iter().map(text).collect(),
        Value::Null => Vec::new(),
        Value::String(text) if text.is_empty() => Vec::new(),
        other => vec![text(other)],
    };
    let answer =
        |(id, answer): (&String, &Value)| (id.clone(), json!({ "answers": texts(answer) }));
    answers.iter().map(answer).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What has nothing to fill in is a yes or no.
fn elicitation(fields: &Map<String, Value>, AgentRequest(number): AgentRequest) -> (Asked, Shown) {
    let text = |key: &str| fields.get(key).and_then(Value::as_str);
    let server = text("serverName").unwrap_or("an MCP server");
    let message = text("message").or_else(|| text("title"));
    let message = message.map_or_else(|| format!("{server} asks"), str::to_owned);
    if let Some(form) = Form::of(fields.get("requestedSchema")) {
        let questions = form.questions(&message);
        return (Asked::Elicitation { form: Some(form) }, Shown::Question { questions });
    }
    let tool_call = json!({
        "tool_call_id": format!("elicitation-{number}"),
        "title": message,
        "kind": "other",
        "status": "pending",
        "raw_input": fields,
    });
    let options =
        vec![option("accept", "Accept", "allow_once"), option("decline", "Decline", "reject_once")];
    (Asked::Elicitation { form: None }, Shown::Permission { tool_call, options })
}
