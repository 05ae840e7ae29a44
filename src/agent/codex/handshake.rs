//! From the spawn to the first message: `initialize`, whether somebody is logged in, then the thread resumed or made anew.
//! Deadlines are not kept here: an agent that never answers is the session's to give up on.

use super::wire::{self, Caller};
use crate::{
    agent::{CodecOptions, Output, rpc::RpcError},
    domain::event::{AgentContext, TransportFault},
};
use serde_json::{Value, json};

/// Notifications that say nothing which other messages do not say, or the same at ever greater length.
const UNWANTED: [&str; 5] = [
    "remoteControl/status/changed",
    "thread/readState/changed",
    "thread/started",
    "thread/status/changed",
    "turn/diff/updated",
];

/// A handshake that waits for the response to its last request.
#[derive(Debug)]
pub(super) struct Handshake {
    awaited: i64,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Initialize,
    Account,
    Resume { thread_id: String },
    Start { context: AgentContext },
}

/// What a response did to the handshake.
#[derive(Debug)]
pub(super) enum Progress {
    Waiting(Handshake),
    Done { thread_id: String, context: AgentContext },
    Failed { code: TransportFault, detail: String },
}

impl Handshake {
    pub(super) fn begin(caller: &mut Caller, out: &mut Output) -> Self {
        let params = json!({
            "clientInfo": {
                "name": "seawall", "title": "Seawall", "version": env!("CARGO_PKG_VERSION"),
            },
            "capabilities": { "experimentalApi": false, "optOutNotificationMethods": UNWANTED },
        });
        let awaited = caller.call("initialize", params, out);
        Self { awaited, step: Step::Initialize }
    }

    pub(super) fn awaited(&self) -> i64 {
        self.awaited
    }

    pub(super) fn response(
        self,
        outcome: Result<&Value, RpcError>,
        options: &CodecOptions,
        caller: &mut Caller,
        out: &mut Output,
    ) -> Progress {
        match (self.step, outcome) {
            (Step::Initialize, Ok(_)) => {
                wire::notify("initialized", out);
                let awaited = caller.call("account/read", json!({ "refreshToken": false }), out);
                Progress::Waiting(Self { awaited, step: Step::Account })
            }
            (Step::Initialize, Err(error)) => failed(format!(
                "codex refused initialize: {error}; it may be too old, 0.169.0 is known to work"
            )),
            (Step::Account, Ok(account)) if wants_login(account) => auth_required(),
            // A Codex that does not know the question is asked no more.
            (Step::Account, _) => open(options, caller, out),
            (Step::Resume { thread_id }, Ok(result)) => {
                let thread_id = thread_of(result).unwrap_or(thread_id);
                Progress::Done { thread_id, context: AgentContext::Resumed }
            }
            (Step::Resume { thread_id }, Err(error)) if is_held_elsewhere(&error) => {
                is_written_elsewhere(&thread_id)
            }
            (Step::Resume { .. }, Err(_)) => start(AgentContext::Lost, options, caller, out),
            (Step::Start { context }, Ok(result)) => match thread_of(result) {
                Some(thread_id) => Progress::Done { thread_id, context },
                None => failed("the answer to thread/start names no thread".to_owned()),
            },
            (Step::Start { .. }, Err(error)) => {
                failed(format!("codex refused thread/start: {error}"))
            }
        }
    }
}

fn open(options: &CodecOptions, caller: &mut Caller, out: &mut Output) -> Progress {
    let Some(thread_id) = options.resume.clone() else {
        return start(AgentContext::New, options, caller, out);
    };
    // The turns are in our log.
    let params = json!({ "threadId": thread_id, "cwd": options.cwd, "excludeTurns": true });
    let awaited = caller.call("thread/resume", params, out);
    Progress::Waiting(Handshake { awaited, step: Step::Resume { thread_id } })
}

fn start(
    context: AgentContext,
    options: &CodecOptions,
    caller: &mut Caller,
    out: &mut Output,
) -> Progress {
    let awaited = caller.call("thread/start", json!({ "cwd": options.cwd }), out);
    Progress::Waiting(Handshake { awaited, step: Step::Start { context } })
}

fn thread_of(result: &Value) -> Option<String> {
    result.pointer("/thread/id")?.as_str().map(str::to_owned)
}

/// Codex itself finds that out only when the first turn fails.
fn wants_login(account: &Value) -> bool {
    account["requiresOpenaiAuth"] == true && account["account"].is_null()
}

/// Nearly all errors have one code; their text is all there is to tell them by.
fn is_held_elsewhere(error: &RpcError) -> bool {
    error.message.contains("already has an active writer")
}

fn failed(detail: String) -> Progress {
    Progress::Failed { code: TransportFault::Handshake, detail }
}

/// What to do where nobody is logged in.
pub(super) const LOGIN: &str = "run `codex login` (or `codex login --with-api-key`) as the account it runs as, with the \
    profile's CODEX_HOME if it sets one; a provider of your own needs its key in the profile's `env_file`; then resume \
    the session";

/// Asked for even of one who uses a proxy by `openai_base_url`: such a proxy is a provider of its own in config.toml.
fn auth_required() -> Progress {
    Progress::Failed {
        code: TransportFault::AuthRequired,
        detail: format!("codex wants to be logged in: {LOGIN}"),
    }
}

/// A fault that may be gone at the next attempt, so that the session's restarts are worth it.
fn is_written_elsewhere(thread_id: &str) -> Progress {
    Progress::Failed {
        code: TransportFault::Protocol,
        detail: format!(
            "another codex has thread {thread_id} open and only one may write to it: end that one (a terminal with \
             `codex resume`, an editor, an app-server), then resume the session"
        ),
    }
}
