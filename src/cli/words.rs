//! States, ends and times in the words that a person reads. Pure: values in, words out.

use crate::{
    domain::{ClientState, EndReason, Timestamp},
    wire::api::SessionView,
};
use serde::Serialize;
use std::time::Duration;

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

/// A length of time, in its two largest units.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// So many bytes, in the unit that leaves one to four digits before the point.
pub(super) fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut size = bytes as f64;
    let mut unit = "B";
    for larger in units {
        if size < 1024.0 {
            break;
        }
        (size, unit) = (size / 1024.0, larger);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") }
}

/// `1 stream`, `2 streams`.
pub(super) fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_short() {
        for (seconds, expected) in
            [(0, "0s"), (61, "1m 1s"), (3661, "1h 1m"), (90_000, "1d 1h"), (864_000, "10d 0h")]
        {
            assert_eq!(span(Duration::from_secs(seconds)), expected);
        }
        for (bytes, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
        assert_eq!(
            (count(1, "stream"), count(2, "stream")),
            ("1 stream".into(), "2 streams".into())
        );
    }

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
