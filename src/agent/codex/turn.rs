//! One turn of Codex: what it spent, what it plans, how it ended.

use crate::domain::{MessageId, event::StopReason};
use serde_json::{Map, Value, json};

/// A turn that runs.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) id: String,
    /// None: the agent began it by itself.
    pub(super) message_id: Option<MessageId>,
    /// Our `turn/start`, where its response has not come yet.
    call: Option<i64>,
    spent: Option<Usage>,
}

/// Codex's names of what a turn spends, and ACP's.
const USAGE: [(&str, &str); 6] = [
    ("totalTokens", "total_tokens"),
    ("inputTokens", "input_tokens"),
    ("outputTokens", "output_tokens"),
    ("reasoningOutputTokens", "thought_tokens"),
    ("cachedInputTokens", "cached_read_tokens"),
    ("cacheWriteInputTokens", "cached_write_tokens"),
];

type Usage = [u64; USAGE.len()];

impl Turn {
    pub(super) fn new(id: String, message_id: Option<MessageId>, call: Option<i64>) -> Self {
        Self { id, message_id, call, spent: None }
    }

    /// Whether this is the number of the call that began it; once.
    pub(super) fn is_answered_by(&mut self, id: Option<i64>) -> bool {
        self.call.take_if(|call| Some(*call) == id).is_some()
    }

    /// Codex tells what each call to the model has cost; a turn makes several.
    pub(super) fn add_usage(&mut self, params: &Value) {
        let Some(last) = params.pointer("/tokenUsage/last").and_then(Value::as_object) else {
            return;
        };
        let spent = self.spent.get_or_insert_default();
        for ((name, _), sum) in USAGE.iter().zip(spent) {
            *sum = sum.saturating_add(last.get(*name).and_then(Value::as_u64).unwrap_or(0));
        }
    }

    /// Whose turn it was, and what it spent in ACP's words.
    pub(super) fn settle(self) -> (Option<MessageId>, Option<Value>) {
        let named = |spent: Usage| -> Value {
            let names = USAGE.iter().map(|(_, name)| (*name).to_owned());
            names.zip(spent.map(Value::from)).collect::<Map<_, _>>().into()
        };
        (self.message_id, self.spent.map(named))
    }
}

/// How a turn ended.
#[derive(Debug, PartialEq)]
pub(super) struct TurnEnd {
    pub(super) stop_reason: StopReason,
    /// Our words do not say all of it.
    pub(super) keep_raw: bool,
}

impl TurnEnd {
    /// A full context is a limit that cut the turn, which is what `max_tokens` means to a person.
    pub(super) fn of(turn: &Value) -> Self {
        let (stop_reason, keep_raw) = match turn["status"].as_str() {
            Some("completed") => (StopReason::EndTurn, false),
            Some("interrupted") => (StopReason::Cancelled, !turn["error"].is_null()),
            Some("failed") => match turn.pointer("/error/codexErrorInfo").and_then(Value::as_str) {
                Some("contextWindowExceeded" | "sessionBudgetExceeded") => {
                    (StopReason::MaxTokens, true)
                }
                Some("cyberPolicy" | "misalignmentPolicyViolation") => (StopReason::Refusal, true),
                _ => (StopReason::Error, true),
            },
            _ => (StopReason::EndTurn, true),
        };
        Self { stop_reason, keep_raw }
    }
}

/// What the model's provider said, where it did not let this account in.
pub(super) fn shut_out(turn: &Value) -> Option<&str> {
    let error = turn.get("error")?;
    let info = error.get("codexErrorInfo")?;
    let by_status = |info: &Map<String, Value>| info.values().any(|v| v["httpStatusCode"] == 401);
    let is_shut_out = info == "unauthorized" || info.as_object().is_some_and(by_status);
    is_shut_out.then(|| error["message"].as_str().unwrap_or("no message"))
}

/// `turn/plan/updated` as ACP's plan. None, and nothing taken out, where it has another shape.
pub(super) fn plan(params: &mut Value) -> Option<Map<String, Value>> {
    let steps = params.get("plan")?.as_array()?;
    let entries = steps.iter().map(plan_entry).collect::<Option<Vec<_>>>()?;
    let mut plan = Map::new();
    plan.insert("entries".into(), entries.into());
    if let Some(explanation @ Value::String(_)) = params.get_mut("explanation") {
        plan.insert("explanation".into(), explanation.take());
    }
    Some(plan)
}

/// Codex knows no priorities.
fn plan_entry(step: &Value) -> Option<Value> {
    let status = match step.get("status")?.as_str()? {
        "inProgress" => "in_progress",
        other => other,
    };
    Some(json!({ "content": step.get("step")?.as_str()?, "priority": "medium", "status": status }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_calls_of_a_turn_cost_is_summed() {
        let mut turn = Turn::new("t".into(), None, None);
        for input in [10, 5] {
            let last = json!({"totalTokens": input + 1, "inputTokens": input, "outputTokens": 1});
            turn.add_usage(&json!({"tokenUsage": {"last": last, "total": {"inputTokens": 99}}}));
        }
        turn.add_usage(&json!({"tokenUsage": 7}));
        assert_eq!(
            turn.settle().1,
            Some(json!({
                "total_tokens": 17, "input_tokens": 15, "output_tokens": 2, "thought_tokens": 0,
                "cached_read_tokens": 0, "cached_write_tokens": 0,
            }))
        );
        assert_eq!(Turn::new("t".into(), None, None).settle().1, None);
    }

    #[test]
    fn ends_are_told_in_our_words() {
        let failed = |info: &str| json!({"status": "failed", "error": {"codexErrorInfo": info}});
        for (turn, stop_reason, keep_raw) in [
            (json!({"status": "completed"}), StopReason::EndTurn, false),
            (json!({"status": "interrupted", "error": null}), StopReason::Cancelled, false),
            (json!({"status": "interrupted", "error": {}}), StopReason::Cancelled, true),
            (failed("contextWindowExceeded"), StopReason::MaxTokens, true),
            (failed("cyberPolicy"), StopReason::Refusal, true),
            (failed("unauthorized"), StopReason::Error, true),
            (json!({"status": "failed"}), StopReason::Error, true),
            (json!({"status": "a later one"}), StopReason::EndTurn, true),
            (json!(null), StopReason::EndTurn, true),
        ] {
            assert_eq!(TurnEnd::of(&turn), TurnEnd { stop_reason, keep_raw }, "{turn}");
        }
    }

    #[test]
    fn an_account_that_was_not_let_in_is_told_from_other_failures() {
        let failed = |info: Value| json!({"error": {"message": "no", "codexErrorInfo": info}});
        for (info, is_shut_out) in [
            (json!("unauthorized"), true),
            (json!({"httpConnectionFailed": {"httpStatusCode": 401}}), true),
            (json!({"httpConnectionFailed": {"httpStatusCode": 500}}), false),
            (json!({"aLaterOne": 401}), false),
            (json!("other"), false),
            (json!(null), false),
        ] {
            assert_eq!(shut_out(&failed(info.clone())), is_shut_out.then_some("no"), "{info}");
        }
        assert_eq!(shut_out(&json!({"error": null})), None);
    }

    #[test]
    fn a_plan_is_told_as_acp_tells_it() {
        let steps = json!([
            {"step": "look", "status": "completed"}, {"step": "do", "status": "inProgress"},
        ]);
        let mut params = json!({"explanation": "why", "plan": steps});
        assert_eq!(
            Value::from(plan(&mut params).unwrap()),
            json!({
                "entries": [
                    {"content": "look", "priority": "medium", "status": "completed"},
                    {"content": "do", "priority": "medium", "status": "in_progress"},
                ],
                "explanation": "why",
            })
        );
        for odd in [json!({}), json!({"plan": [1]}), json!({"plan": [{"step": "x"}]})] {
            let mut params = odd.clone();
            assert_eq!(plan(&mut params), None);
            assert_eq!(params, odd, "nothing was taken out of it");
        }
    }
}
