//! States, ends and times in the words that a person reads. Pure: values in, words out.

use crate::{
    domain::{ClientState, EndReason, Timestamp},
    wire::api::SessionView,
};
use serde::Serialize;

/// What a session does: its client state, or why it ended.
pub(super) fn doing(session: &SessionView) -> String {
    match session.end_reason {
        Some(reason) if !session.state.is_live() => word(&reason).replace('_', " "),
        _ => client_state(session.client_state).to_owned(),
    }
}

pub(super) fn client_state(state: ClientState) -> &'static str {
    match state {
        ClientState::Idle => "idle",
        ClientState::Running => "running",
        ClientState::RequiresAction => "needs an answer",
    }
}

pub(super) fn end_reason(reason: EndReason) -> String {
    word(&reason).replace('_', " ")
}

/// The word that stands for a value on the wire.
pub(super) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => other.map(|value| value.to_string()).unwrap_or_default(),
    }
}

/// How long ago, in one unit.
pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = (now - then).as_secs();
    match seconds {
        0..60 => format!("{seconds}s ago"),
        60..3600 => format!("{}m ago", seconds / 60),
        3600..172_800 => format!("{}h ago", seconds / 3600),
        _ => format!("{}d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_one_unit() {
        for (seconds, expected) in
            [(0, "0s ago"), (59, "59s ago"), (60, "1m ago"), (3600, "1h ago"), (172_800, "2d ago")]
        {
            let now = Timestamp::from_millis(seconds * 1000);
            assert_eq!(ago(Timestamp::from_millis(0), now), expected);
        }
        assert_eq!(ago(Timestamp::from_millis(5000), Timestamp::from_millis(0)), "0s ago");
    }

    #[test]
    fn reasons_are_read_as_words() {
        assert_eq!(end_reason(EndReason::RestartLimit), "restart limit");
    }
}
