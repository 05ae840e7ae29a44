//! JSON-RPC as agents write it on their stdout: reading a line, telling its kind. How each protocol writes, and what the
//! methods mean, is not known here.

use super::{AgentEvent, Output, RawLine};
use serde_json::{Map, Value};
use std::{borrow::Cow, fmt};

pub(super) const METHOD_NOT_FOUND: i64 = -32601;
pub(super) const INVALID_PARAMS: i64 = -32602;
pub(super) const INTERNAL_ERROR: i64 = -32603;
pub(super) const REQUEST_CANCELLED: i64 = -32800;
/// ACP's own.
pub(super) const AUTH_REQUIRED: i64 = -32000;

/// What a message is. Ids stay raw JSON: an agent may use numbers or strings, and gets back what it sent.
#[derive(Debug, PartialEq)]
pub(super) enum Kind<'a> {
    Request { id: &'a Value, method: &'a str },
    Notification { method: &'a str },
    Response { id: &'a Value },
    Unknown,
}

impl<'a> Kind<'a> {
    /// `"jsonrpc":"2.0"` is not asked for: some agents leave it out, and nothing else they could mean is lost.
    pub(super) fn of(message: &'a Map<String, Value>) -> Self {
        let method = message.get("method").and_then(Value::as_str);
        match (method, message.get("id")) {
            (Some(method), Some(id)) => Kind::Request { id, method },
            (Some(method), None) => Kind::Notification { method },
            (None, Some(id)) if message.contains_key("result") || message.contains_key("error") => {
                Kind::Response { id }
            }
            _ => Kind::Unknown,
        }
    }
}

/// The error of a response.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RpcError {
    pub(super) code: i64,
    pub(super) message: String,
    data: Option<Value>,
}

impl RpcError {
    fn of(error: &Value) -> Self {
        let message = error.get("message").and_then(Value::as_str).unwrap_or("no message");
        Self {
            code: error.get("code").and_then(Value::as_i64).unwrap_or(INTERNAL_ERROR),
            message: message.to_owned(),
            data: error.get("data").filter(|data| !data.is_null()).cloned(),
        }
    }
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)?;
        match &self.data {
            Some(data) => write!(f, ": {data}"),
            None => Ok(()),
        }
    }
}

/// The result or the error of a response. A response with both, which the protocol forbids, is an error.
pub(super) fn outcome(message: &Map<String, Value>) -> Result<&Value, RpcError> {
    match message.get("error").filter(|error| !error.is_null()) {
        Some(error) => Err(RpcError::of(error)),
        None => Ok(message.get("result").unwrap_or(&Value::Null)),
    }
}

/// The message in a line. What is none is output, truncated lines too: half a message has no meaning. Empty lines are nothing.
pub(super) fn read(
    line: RawLine<'_>,
    is_message: fn(&Value) -> bool,
    out: &mut Output,
) -> Option<Value> {
    if line.bytes.trim_ascii().is_empty() {
        return None;
    }
    let parsed = if line.truncated { None } else { parse(line.bytes) };
    let message = parsed.filter(is_message);
    if message.is_none() {
        out.events.push(AgentEvent::stdout(line));
    }
    message
}

/// A message, or several of them.
pub(super) fn is_message(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

/// The JSON value in a line. Lines that are JSON but for broken text are repaired: JavaScript agents that cut their
/// output between the halves of a surrogate pair write escapes that are no character, and such a line may be the
/// one that ends the turn.
fn parse(line: &[u8]) -> Option<Value> {
    if let Ok(value) = serde_json::from_slice(line) {
        return Some(value);
    }
    // Text that was never meant to be JSON is not worth a second look.
    if !line.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let text = String::from_utf8_lossy(line);
    serde_json::from_str(&replace_lone_surrogates(&text)).ok()
}

fn replace_lone_surrogates(text: &str) -> Cow<'_, str> {
    let mut repaired = String::new();
    let mut kept = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find('\\') {
        let start = at + found;
        let Some(unit) = escaped_unit(text, start) else {
            // Another escape: its second character, whatever it is, begins no escape of its own.
            let second = text[start + 1..].chars().next().map_or(0, char::len_utf8);
            at = start + 1 + second;
            continue;
        };
        let paired = (0xd800..0xdc00).contains(&unit)
            && escaped_unit(text, start + 6).is_some_and(|low| (0xdc00..0xe000).contains(&low));
        at = if paired { start + 12 } else { start + 6 };
        if !paired && (0xd800..0xe000).contains(&unit) {
            repaired.push_str(&text[kept..start]);
            repaired.push('\u{fffd}');
            kept = at;
        }
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    repaired.push_str(&text[kept..]);
    Cow::Owned(repaired)
}

/// The UTF-16 unit of the escape `\uXXXX` at `at`.
fn escaped_unit(text: &str, at: usize) -> Option<u16> {
    let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn kinds_are_told_by_method_and_id() {
        let id = json!("a");
        for (message, kind) in [
            (json!({"id": "a", "method": "m"}), Kind::Request { id: &id, method: "m" }),
            (json!({"method": "m", "params": {}}), Kind::Notification { method: "m" }),
            (json!({"id": "a", "result": null}), Kind::Response { id: &id }),
            (json!({"id": "a", "error": {}}), Kind::Response { id: &id }),
            (json!({"id": "a"}), Kind::Unknown),
            (json!({"method": 7}), Kind::Unknown),
            (json!({}), Kind::Unknown),
        ] {
            assert_eq!(Kind::of(&object(message.clone())), kind, "{message}");
        }
    }

    #[test]
    fn an_error_is_told_with_its_code_and_data() {
        let message =
            json!({"error": {"code": -32603, "message": "oops", "data": {"details": "x"}}});
        let error = outcome(&object(message)).unwrap_err();
        assert_eq!(error.to_string(), r#"oops (-32603): {"details":"x"}"#);
        assert_eq!(outcome(&object(json!({"error": 7}))).unwrap_err().code, INTERNAL_ERROR);
        assert_eq!(outcome(&object(json!({"error": null, "result": 1}))), Ok(&json!(1)));
    }

    #[test]
    fn half_a_surrogate_pair_does_not_lose_the_message() {
        for (line, text) in [
            (r#"{"t":"a\ud83d"}"#, "a\u{fffd}"),
            (r#"{"t":"\ud83d\ude00\ud83d!"}"#, "\u{1f600}\u{fffd}!"),
            (r#"{"t":"\ude00\ud83d\ud83d\ude00"}"#, "\u{fffd}\u{fffd}\u{1f600}"),
            (r#"{"t":"\\ud83d \ud83d"}"#, "\\ud83d \u{fffd}"),
            (r#"{"t":"\ud83d\n"}"#, "\u{fffd}\n"),
        ] {
            assert_eq!(parse(line.as_bytes()), Some(json!({ "t": text })), "{line}");
        }
        assert_eq!(parse(b"{\"t\":\"\xff\"}"), Some(json!({"t": "\u{fffd}"})));
    }

    #[test]
    fn text_is_not_json() {
        for line in ["", "hello", "{\"t\":", "{\\", "{\\u12", "{\\\u{e4}\\ud83d"] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
    }
}
