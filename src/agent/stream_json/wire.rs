//! What we write: messages, requests and answers, each a whole line of JSON. The agent ends itself at a line that is
//! none.

use crate::agent::Output;
use serde_json::{Value, json};

pub(super) fn request(id: &str, request: Value, out: &mut Output) {
    write(&json!({"type": "control_request", "request_id": id, "request": request}), out);
}

pub(super) fn answer(id: &str, answer: Value, out: &mut Output) {
    respond(json!({"subtype": "success", "request_id": id, "response": answer}), out);
}

pub(super) fn refuse(id: &str, why: &str, out: &mut Output) {
    respond(json!({"subtype": "error", "request_id": id, "error": why}), out);
}

fn respond(response: Value, out: &mut Output) {
    write(&json!({"type": "control_response", "response": response}), out);
}

pub(super) fn user(content: Vec<Value>, uuid: &str, out: &mut Output) {
    let message = json!({"role": "user", "content": content});
    let user = json!({
        "type": "user", "message": message, "parent_tool_use_id": null, "session_id": "", "uuid": uuid,
    });
    write(&user, out);
}

/// JavaScript has two more line ends than JSON, which stand in text alone and may always be escaped.
fn write(message: &Value, out: &mut Output) {
    let line = message.to_string().replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
    out.stdin.extend_from_slice(line.as_bytes());
    out.stdin.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_line_end_is_escaped() {
        let text = "a\nb\r\u{2028}c\u{2029}\0\u{85}";
        let mut out = Output::default();
        user(vec![json!(text)], "u", &mut out);
        let line = String::from_utf8(out.stdin).unwrap();
        let line = line.strip_suffix('\n').unwrap();
        assert!(!line.contains(['\n', '\r', '\u{2028}', '\u{2029}', '\0']));
        let read: Value = serde_json::from_str(line).unwrap();
        assert_eq!(read["message"]["content"], json!([text]));
    }
}
