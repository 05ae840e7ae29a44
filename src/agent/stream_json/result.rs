//! How a `result` ends its turn, and what the turn cost.

use super::text;
use crate::domain::event::StopReason;
use serde_json::{Map, Value, json};

#[derive(Debug, PartialEq)]
pub(super) struct TurnEnd {
    pub(super) stop_reason: StopReason,
    pub(super) usage: Option<Value>,
    /// Our words do not say all of it: the result is to be kept beside them.
    pub(super) keep_raw: bool,
}

impl TurnEnd {
    pub(super) fn plain(stop_reason: StopReason) -> Self {
        Self { stop_reason, usage: None, keep_raw: false }
    }

    /// A limit that cut the turn is told as `max_tokens`, which is what it means to a person. Failures of the model are
    /// results of the subtype `success` that say `is_error`.
    pub(super) fn of(result: &Value, is_cancelling: bool) -> Self {
        let was_aborted =
            text(result, "terminal_reason").is_some_and(|reason| reason.starts_with("aborted"));
        let (stop_reason, keep_raw) = match text(result, "subtype") {
            Some("success") if result["is_error"] != true => match text(result, "stop_reason") {
                Some("max_tokens" | "model_context_window_exceeded") => {
                    (StopReason::MaxTokens, false)
                }
                Some("refusal") => (StopReason::Refusal, true),
                _ => (StopReason::EndTurn, false),
            },
            Some("error_during_execution") if is_cancelling || was_aborted => {
                (StopReason::Cancelled, false)
            }
            Some("error_max_turns" | "error_max_budget_usd") => (StopReason::MaxTokens, true),
            _ => (StopReason::Error, true),
        };
        Self { stop_reason, usage: usage(result), keep_raw }
    }
}

/// ACP's words for the counts; `cost` is that of the agent's whole session so far.
fn usage(result: &Value) -> Option<Value> {
    let counts = result.get("usage")?.as_object()?;
    let mut usage = Map::new();
    for (theirs, ours) in [
        ("input_tokens", "input_tokens"),
        ("output_tokens", "output_tokens"),
        ("cache_read_input_tokens", "cached_read_tokens"),
        ("cache_creation_input_tokens", "cached_write_tokens"),
    ] {
        if let Some(count) = counts.get(theirs).and_then(Value::as_u64) {
            usage.insert(ours.into(), count.into());
        }
    }
    let total = usage.values().filter_map(Value::as_u64).fold(0, u64::saturating_add);
    usage.insert("total_tokens".into(), total.into());
    if let Some(amount) = result.get("total_cost_usd").filter(|amount| amount.is_number()) {
        usage.insert("cost".into(), json!({"amount": amount, "currency": "USD"}));
    }
    Some(usage.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_end_turns_in_our_words() {
        for (result, is_cancelling, stop_reason, keep_raw) in [
            (
                json!({"subtype": "success", "stop_reason": "end_turn"}),
                false,
                StopReason::EndTurn,
                false,
            ),
            (json!({"subtype": "success", "stop_reason": null}), true, StopReason::EndTurn, false),
            (
                json!({"subtype": "success", "stop_reason": "max_tokens"}),
                false,
                StopReason::MaxTokens,
                false,
            ),
            (
                json!({"subtype": "success", "stop_reason": "refusal"}),
                false,
                StopReason::Refusal,
                true,
            ),
            (json!({"subtype": "success", "is_error": true}), false, StopReason::Error, true),
            (json!({"subtype": "error_during_execution"}), true, StopReason::Cancelled, false),
            (json!({"subtype": "error_during_execution"}), false, StopReason::Error, true),
            (
                json!({"subtype": "error_during_execution", "terminal_reason": "aborted_tools"}),
                false,
                StopReason::Cancelled,
                false,
            ),
            (json!({"subtype": "error_max_turns"}), false, StopReason::MaxTokens, true),
            (json!({"subtype": "a_later_one"}), false, StopReason::Error, true),
            (json!({}), false, StopReason::Error, true),
        ] {
            let end = TurnEnd::of(&result, is_cancelling);
            assert_eq!(end, TurnEnd { stop_reason, usage: None, keep_raw }, "{result}");
        }
    }

    #[test]
    fn usage_has_acps_names_and_the_cost() {
        let result = json!({
            "subtype": "success", "total_cost_usd": 0.5,
            "usage": {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 3, "service_tier": "x"},
        });
        let expected = json!({
            "input_tokens": 1, "output_tokens": 2, "cached_read_tokens": 3, "total_tokens": 6,
            "cost": {"amount": 0.5, "currency": "USD"},
        });
        assert_eq!(TurnEnd::of(&result, false).usage, Some(expected));
    }
}
