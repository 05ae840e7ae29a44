//! JSON-RPC 2.0 as a client of ACP agents writes it: calls, notifications and answers. Reading is the same for all
//! protocols and stands in [`crate::agent::rpc`].

pub(super) use crate::agent::rpc::{
    AUTH_REQUIRED, INTERNAL_ERROR, INVALID_PARAMS, Kind, METHOD_NOT_FOUND, REQUEST_CANCELLED,
    RpcError, is_message, outcome, read,
};

use crate::agent::Output;
use agent_client_protocol_schema::rpc::{JsonRpcMessage, Notification, Request, RequestId};
use serde::Serialize;
use serde_json::{Value, json};

/// Makes our requests, numbered from 1.
#[derive(Debug, Default)]
pub(super) struct Caller {
    last_id: i64,
}

impl Caller {
    /// Writes a request; its number is what the response will carry.
    pub(super) fn call(&mut self, method: &str, params: impl Serialize, out: &mut Output) -> i64 {
        self.last_id += 1;
        let request = Request {
            id: RequestId::Number(self.last_id),
            method: method.into(),
            params: Some(params),
        };
        write(&JsonRpcMessage::wrap(request), out);
        self.last_id
    }
}

pub(super) fn notify(method: &str, params: impl Serialize, out: &mut Output) {
    let notification = Notification { method: method.into(), params: Some(params) };
    write(&JsonRpcMessage::wrap(notification), out);
}

pub(super) fn answer(id: &Value, result: impl Serialize, out: &mut Output) {
    write(&json!({ "jsonrpc": "2.0", "id": id, "result": json!(result) }), out);
}

pub(super) fn refuse(id: &Value, code: i64, message: &str, out: &mut Output) {
    let error = json!({ "code": code, "message": message });
    write(&json!({ "jsonrpc": "2.0", "id": id, "error": error }), out);
}

fn write(message: &impl Serialize, out: &mut Output) {
    serde_json::to_writer(&mut out.stdin, message)
        .expect("messages have string keys, and a Vec takes all bytes");
    out.stdin.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_whole_lines_with_ids_as_they_came() {
        let mut out = Output::default();
        let mut caller = Caller::default();
        assert_eq!(caller.call("m", json!({"a": "x\ny"}), &mut out), 1);
        answer(&json!(18446744073709551615u64), json!({}), &mut out);
        refuse(&json!("id"), METHOD_NOT_FOUND, "no", &mut out);
        assert_eq!(
            String::from_utf8(out.stdin).unwrap(),
            concat!(
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":"x\ny"}}"#,
                "\n",
                r#"{"jsonrpc":"2.0","id":18446744073709551615,"result":{}}"#,
                "\n",
                r#"{"jsonrpc":"2.0","id":"id","error":{"code":-32601,"message":"no"}}"#,
                "\n",
            )
        );
    }
}
