//! What goes to Codex: JSON-RPC without its version, a message a line.

use crate::agent::Output;
use serde_json::{Value, json};

/// Makes our requests, numbered from 1.
#[derive(Debug, Default)]
pub(super) struct Caller {
    last_id: i64,
}

impl Caller {
    /// Writes a request; its number is what the response will carry.
    pub(super) fn call(&mut self, method: &str, params: Value, out: &mut Output) -> i64 {
        self.last_id += 1;
        write(&json!({ "id": self.last_id, "method": method, "params": params }), out);
        self.last_id
    }
}

pub(super) fn notify(method: &str, out: &mut Output) {
    write(&json!({ "method": method }), out);
}

pub(super) fn answer(id: &Value, result: &Value, out: &mut Output) {
    write(&json!({ "id": id, "result": result }), out);
}

pub(super) fn refuse(id: &Value, code: i64, message: &str, out: &mut Output) {
    let error = json!({ "code": code, "message": message });
    write(&json!({ "id": id, "error": error }), out);
}

fn write(message: &Value, out: &mut Output) {
    serde_json::to_writer(&mut out.stdin, message)
        .expect("messages have string keys, and a Vec takes all bytes");
    out.stdin.push(b'\n');
}
