//! What the agent asks: permissions for tools, and questions, which it asks as the permission for a tool that has the answers
//! in its input. Every request of the agent gets an answer, or it would wait for ever.

use super::{text, tool, wire};
use crate::{
    agent::{AgentEvent, AgentRequest, Output},
    domain::event::{Outcome, PermissionOption},
};
use serde_json::{Map, Value, json};

/// The most requests that an agent may wait for at a time; one more is refused.
const OPEN_MAX: usize = 64;

const QUESTION_TOOL: &str = "AskUserQuestion";
const ALLOW_ONCE: &str = "allow_once";
const ALLOW_ALWAYS: &str = "allow_always";
const REJECT_ONCE: &str = "reject_once";

#[derive(Debug, Default)]
pub(super) struct Asks {
    open: Vec<Open>,
    made: u64,
}

#[derive(Debug)]
struct Open {
    request: AgentRequest,
    /// The agent's id.
    id: String,
    tool_use_id: Option<String>,
    /// Given back as it was, or with the answers in it.
    input: Map<String, Value>,
    /// What would have to change so that this is not asked again.
    suggestions: Option<Value>,
}

impl Asks {
    pub(super) fn requested(&mut self, message: Value, out: &mut Output) {
        let request = &message["request"];
        let Some(id) = text(&message, "request_id") else {
            return out.events.push(AgentEvent::Raw(message));
        };
        let refusal = match (text(request, "subtype"), request["input"].as_object()) {
            (Some("can_use_tool"), Some(_)) if self.open.len() >= OPEN_MAX => {
                format!("{OPEN_MAX} requests are open; wait for an answer")
            }
            (Some("can_use_tool"), Some(input)) => {
                return self.ask(id, request, input, out);
            }
            (Some("can_use_tool"), None) => "input must be an object".to_owned(),
            (subtype, _) => {
                format!(
                    "{} is not offered by this client",
                    subtype.unwrap_or("a request without a subtype")
                )
            }
        };
        wire::refuse(id, &refusal, out);
        out.events.push(AgentEvent::Raw(message));
    }

    fn ask(&mut self, id: &str, request: &Value, input: &Map<String, Value>, out: &mut Output) {
        let name = text(request, "tool_name").unwrap_or("a tool");
        let suggestions = request.get("permission_suggestions").cloned();
        let suggestions =
            suggestions.filter(|all| all.as_array().is_some_and(|all| !all.is_empty()));
        let tool_use_id = text(request, "tool_use_id");
        self.made += 1;
        let asked = AgentRequest(self.made);
        let questions = input.get("questions").filter(|_| name == QUESTION_TOOL);
        out.events.push(match questions.filter(|questions| questions.is_array()) {
            Some(questions) => {
                AgentEvent::QuestionRequested { request: asked, questions: questions.clone() }
            }
            None => AgentEvent::PermissionRequested {
                request: asked,
                tool_call: tool_call(request, tool_use_id.unwrap_or(id), name).into(),
                options: options(suggestions.as_ref()),
            },
        });
        self.open.push(Open {
            request: asked,
            id: id.to_owned(),
            tool_use_id: tool_use_id.map(Into::into),
            input: input.clone(),
            suggestions,
        });
    }

    /// The agent takes a request back, and waits for no answer to it.
    pub(super) fn taken_back(&mut self, message: Value, out: &mut Output) {
        let id = text(&message, "request_id");
        match self.open.iter().position(|open| Some(open.id.as_str()) == id) {
            Some(place) => {
                let request = self.open.remove(place).request;
                out.events.push(AgentEvent::RequestCancelled { request });
            }
            // Answered a moment ago, mostly.
            None => out.events.push(AgentEvent::Raw(message)),
        }
    }

    pub(super) fn answer(&mut self, request: AgentRequest, outcome: &Outcome, out: &mut Output) {
        let Some(place) = self.open.iter().position(|open| open.request == request) else {
            return;
        };
        let Open { id, tool_use_id, mut input, suggestions, .. } = self.open.remove(place);
        let answer = match outcome {
            Outcome::Selected { option_id } if option_id == ALLOW_ONCE => allowed(input),
            Outcome::Selected { option_id } if option_id == ALLOW_ALWAYS => {
                let mut answer = allowed(input);
                answer["updatedPermissions"] = suggestions.unwrap_or_default();
                answer
            }
            Outcome::Answered { answers } => {
                let answers = answers_by_question(&input, answers);
                input.insert("answers".into(), answers);
                allowed(input)
            }
            Outcome::Selected { .. } => denied("This was refused."),
            Outcome::Cancelled => denied("This was called off."),
            Outcome::Expired => denied("Nobody answered in time."),
        };
        // A call that is refused is told by its result.
        if let Some(id) = tool_use_id.filter(|_| answer["behavior"] == "allow") {
            out.events.push(AgentEvent::ToolUpdate(tool::in_progress(&id)));
        }
        wire::answer(&id, answer, out);
    }

    #[cfg(test)]
    pub(super) fn open(&self) -> Vec<AgentRequest> {
        self.open.iter().map(|open| open.request).collect()
    }
}

fn allowed(input: Map<String, Value>) -> Value {
    json!({"behavior": "allow", "updatedInput": input})
}

fn denied(message: &str) -> Value {
    json!({"behavior": "deny", "message": message})
}

/// The call, with what the agent says about why it asks.
fn tool_call(request: &Value, id: &str, name: &str) -> Map<String, Value> {
    let mut call = tool::call(id, name, &request["input"]);
    let why: Map<_, _> = ["description", "blocked_path", "decision_reason", "agent_id", "title"]
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), request.get(*key)?.clone())))
        .collect();
    if !why.is_empty() {
        call.insert("_meta".into(), why.into());
    }
    call
}

fn options(suggestions: Option<&Value>) -> Vec<PermissionOption> {
    let option = |id: &str, name: String| PermissionOption {
        option_id: id.to_owned(),
        name,
        kind: id.to_owned(),
    };
    let always = suggestions.and_then(Value::as_array).map(|all| {
        let all: Vec<_> = all.iter().map(suggestion).collect();
        option(ALLOW_ALWAYS, format!("Allow from now on: {}", all.join(", ")))
    });
    let once = option(ALLOW_ONCE, "Allow".to_owned());
    let reject = option(REJECT_ONCE, "Reject".to_owned());
    [Some(once), always, Some(reject)].into_iter().flatten().collect()
}

/// What the agent would not ask about any more, in a few words.
fn suggestion(suggestion: &Value) -> String {
    let texts = |key: &str| {
        let texts = suggestion[key].as_array().into_iter().flatten().filter_map(Value::as_str);
        texts.collect::<Vec<_>>().join(", ")
    };
    match text(suggestion, "type") {
        Some("addRules" | "replaceRules") => {
            let rules = suggestion["rules"].as_array().into_iter().flatten().map(|rule| {
                let tool = text(rule, "toolName").unwrap_or("?");
                match text(rule, "ruleContent") {
                    Some(content) => format!("{tool}({content})"),
                    None => tool.to_owned(),
                }
            });
            rules.collect::<Vec<_>>().join(", ")
        }
        Some("addDirectories") => format!("folder {}", texts("directories")),
        Some("setMode") => format!("mode {}", text(suggestion, "mode").unwrap_or("?")),
        Some(other) => other.to_owned(),
        None => "?".to_owned(),
    }
}

/// The agent knows a question by its text and takes one text for it. Answers in a list are those of the questions in order.
fn answers_by_question(input: &Map<String, Value>, answers: &Value) -> Value {
    let asked = input.get("questions").and_then(Value::as_array).into_iter().flatten();
    let asked = asked.filter_map(|question| text(question, "question"));
    match answers {
        Value::Object(answers) => {
            answers.iter().map(|(key, answer)| (key.clone(), flat(answer))).collect()
        }
        Value::Array(answers) => asked
            .zip(answers)
            .map(|(question, answer)| (question.to_owned(), flat(answer)))
            .collect(),
        one => asked.take(1).map(|question| (question.to_owned(), flat(one))).collect(),
    }
}

fn flat(answer: &Value) -> Value {
    match answer {
        Value::String(_) => answer.clone(),
        Value::Array(chosen) => {
            let chosen =
                chosen.iter().map(|one| one.as_str().map_or_else(|| one.to_string(), Into::into));
            chosen.collect::<Vec<String>>().join(", ").into()
        }
        other => other.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn always_is_offered_where_the_agent_says_what_that_would_be() {
        let names = |suggestions: Option<Value>| {
            options(suggestions.as_ref()).into_iter().map(|option| option.name).collect::<Vec<_>>()
        };
        assert_eq!(names(None), ["Allow", "Reject"]);
        let suggestions = json!([
            {"type": "addRules", "rules": [{"toolName": "Bash", "ruleContent": "ls *"}, {"toolName": "Read"}]},
            {"type": "addDirectories", "directories": ["/a", "/b"]},
            {"type": "setMode", "mode": "acceptEdits"},
            {"type": "new"}, 7,
        ]);
        assert_eq!(
            names(Some(suggestions))[1],
            "Allow from now on: Bash(ls *), Read, folder /a, /b, mode acceptEdits, new, ?"
        );
    }

    #[test]
    fn answers_come_by_question_in_order_or_alone() {
        let input = json!({"questions": [{"question": "A?"}, {"question": "B?"}]});
        let input = input.as_object().unwrap();
        for (answers, expected) in [
            (json!({"A?": "x", "B?": ["y", "z", 1]}), json!({"A?": "x", "B?": "y, z, 1"})),
            (json!(["x", 2]), json!({"A?": "x", "B?": "2"})),
            (json!("x"), json!({"A?": "x"})),
        ] {
            assert_eq!(answers_by_question(input, &answers), expected);
        }
    }
}
