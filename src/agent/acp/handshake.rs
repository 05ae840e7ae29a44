//! From the spawn to the first prompt: `initialize`, then the agent's session resumed, loaded or made anew.
//! Deadlines are not kept here: an agent that never answers is the session's to give up on.

use super::rpc::{AUTH_REQUIRED, Caller, RpcError};
use crate::{
    agent::{CodecOptions, Output},
    domain::event::{AgentContext, TransportFault},
};
use agent_client_protocol_schema::{
    ProtocolVersion,
    v1::{
        AGENT_METHOD_NAMES as METHODS, AgentCapabilities, AuthMethod, ClientCapabilities,
        Implementation, InitializeRequest, InitializeResponse, LoadSessionRequest,
        NewSessionRequest, NewSessionResponse, ResumeSessionRequest,
    },
};
use serde::Deserialize;
use serde_json::Value;

/// A handshake that waits for the response to its last request.
#[derive(Debug)]
pub(super) struct Handshake {
    awaited: i64,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Initialize,
    /// `session/resume`: the agent goes on and repeats nothing.
    Resume {
        session_id: String,
        agent: Box<InitializeResponse>,
    },
    /// `session/load`: the agent repeats the conversation, then answers.
    Load {
        session_id: String,
        agent: Box<InitializeResponse>,
    },
    New {
        context: AgentContext,
        agent: Box<InitializeResponse>,
    },
}

/// What a response did to the handshake.
#[derive(Debug)]
pub(super) enum Progress {
    Waiting(Handshake),
    Done { session_id: String, context: AgentContext, agent: Box<InitializeResponse> },
    Failed { code: TransportFault, detail: String },
}

impl Handshake {
    /// Offers the agent neither files nor terminals: it works on its own, as the account it runs as.
    pub(super) fn begin(caller: &mut Caller, out: &mut Output) -> Self {
        let seawall = Implementation::new("seawall", env!("CARGO_PKG_VERSION"));
        let request = InitializeRequest::new(ProtocolVersion::V1)
            .client_capabilities(ClientCapabilities::default())
            .client_info(seawall);
        let awaited = caller.call(METHODS.initialize, request, out);
        Self { awaited, step: Step::Initialize }
    }

    pub(super) fn awaits(&self, id: &Value) -> bool {
        id.as_i64() == Some(self.awaited)
    }

    /// Whether updates of this session may be the past being repeated, which the log already has. Agents that resume
    /// should not repeat it, and some do.
    pub(super) fn may_replay(&self, session: &str) -> bool {
        match &self.step {
            Step::Resume { session_id, .. } | Step::Load { session_id, .. } => {
                session_id == session
            }
            Step::Initialize | Step::New { .. } => false,
        }
    }

    /// Whether the response that opens a session tells of it more than that it is open: its modes, its options.
    pub(super) fn says_more(&self, result: &Value) -> bool {
        let told = |(key, value): (&String, &Value)| key != "sessionId" && !value.is_null();
        !matches!(self.step, Step::Initialize)
            && result.as_object().is_some_and(|fields| fields.iter().any(told))
    }

    pub(super) fn response(
        self,
        outcome: Result<&Value, RpcError>,
        options: &CodecOptions,
        caller: &mut Caller,
        out: &mut Output,
    ) -> Progress {
        let outcome = match (&self.step, outcome) {
            (
                Step::Resume { agent, .. } | Step::Load { agent, .. } | Step::New { agent, .. },
                Err(error),
            ) if error.code == AUTH_REQUIRED => return auth_required(&error, &agent.auth_methods),
            (_, outcome) => outcome,
        };
        match self.step {
            Step::Initialize => match read_agent(outcome) {
                Ok(agent) => open(agent, options, caller, out),
                Err(failed) => failed,
            },
            Step::Resume { session_id, agent } => match outcome {
                Ok(_) => resumed(session_id, agent),
                // Only what an agent has in memory it may resume; what it wrote down, load.
                Err(_) if agent.agent_capabilities.load_session => {
                    load(session_id, agent, options, caller, out)
                }
                Err(_) => new_session(AgentContext::Lost, agent, options, caller, out),
            },
            Step::Load { session_id, agent } => match outcome {
                Ok(_) => resumed(session_id, agent),
                Err(_) => new_session(AgentContext::Lost, agent, options, caller, out),
            },
            Step::New { context, agent } => match outcome.map(NewSessionResponse::deserialize) {
                Ok(Ok(response)) => {
                    Progress::Done { session_id: response.session_id.0.to_string(), context, agent }
                }
                Ok(Err(error)) => {
                    failed(format!("the answer to session/new cannot be read: {error}"))
                }
                Err(error) => failed(format!("the agent refused session/new: {error}")),
            },
        }
    }
}

fn read_agent(outcome: Result<&Value, RpcError>) -> Result<Box<InitializeResponse>, Progress> {
    let result = outcome.map_err(|error| match error.code {
        AUTH_REQUIRED => auth_required(&error, &[]),
        _ => failed(format!("the agent refused initialize: {error}")),
    })?;
    let agent = InitializeResponse::deserialize(result)
        .map_err(|error| failed(format!("the answer to initialize cannot be read: {error}")))?;
    if agent.protocol_version != ProtocolVersion::V1 {
        return Err(failed(format!(
            "the agent speaks version {} of the protocol, and only version 1 is understood here",
            agent.protocol_version
        )));
    }
    Ok(Box::new(agent))
}

fn open(
    agent: Box<InitializeResponse>,
    options: &CodecOptions,
    caller: &mut Caller,
    out: &mut Output,
) -> Progress {
    let capabilities = &agent.agent_capabilities;
    let Some(session_id) = options.resume.clone() else {
        return new_session(AgentContext::New, agent, options, caller, out);
    };
    if capabilities.session_capabilities.resume.is_some() {
        let request = ResumeSessionRequest::new(session_id.clone(), &options.cwd);
        let awaited = caller.call(METHODS.session_resume, request, out);
        Progress::Waiting(Handshake { awaited, step: Step::Resume { session_id, agent } })
    } else if capabilities.load_session {
        load(session_id, agent, options, caller, out)
    } else {
        new_session(AgentContext::Lost, agent, options, caller, out)
    }
}

fn load(
    session_id: String,
    agent: Box<InitializeResponse>,
    options: &CodecOptions,
    caller: &mut Caller,
    out: &mut Output,
) -> Progress {
    let request = LoadSessionRequest::new(session_id.clone(), &options.cwd);
    let awaited = caller.call(METHODS.session_load, request, out);
    Progress::Waiting(Handshake { awaited, step: Step::Load { session_id, agent } })
}

fn new_session(
    context: AgentContext,
    agent: Box<InitializeResponse>,
    options: &CodecOptions,
    caller: &mut Caller,
    out: &mut Output,
) -> Progress {
    let awaited = caller.call(METHODS.session_new, NewSessionRequest::new(&options.cwd), out);
    Progress::Waiting(Handshake { awaited, step: Step::New { context, agent } })
}

/// Whether an agent can go on with a session of an earlier run.
pub(super) fn can_resume(capabilities: &AgentCapabilities) -> bool {
    capabilities.session_capabilities.resume.is_some() || capabilities.load_session
}

fn resumed(session_id: String, agent: Box<InitializeResponse>) -> Progress {
    Progress::Done { session_id, context: AgentContext::Resumed, agent }
}

fn failed(detail: String) -> Progress {
    Progress::Failed { code: TransportFault::Handshake, detail }
}

fn auth_required(error: &RpcError, methods: &[AuthMethod]) -> Progress {
    Progress::Failed { code: TransportFault::AuthRequired, detail: login_detail(error, methods) }
}

/// What to do about an agent that wants a login, in a sentence that names its ways.
pub(super) fn login_detail(error: &RpcError, methods: &[AuthMethod]) -> String {
    let way = |method: &AuthMethod| match method.description() {
        Some(description) => format!("{} ({}): {description}", method.name(), method.id()),
        None => format!("{} ({})", method.name(), method.id()),
    };
    let ways: Vec<_> = methods.iter().map(way).collect();
    let ways = match ways.is_empty() {
        true => "it names no way to do so".to_owned(),
        false => format!("its ways: {}", ways.join(", ")),
    };
    format!(
        "the agent wants to be logged in: {error}; {ways}; log in with the agent's own command as the account it \
         runs as, then resume the session"
    )
}
