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
        AGENT_METHOD_NAMES as METHODS, AuthMethod, ClientCapabilities, Implementation,
        InitializeRequest, InitializeResponse, LoadSessionRequest, NewSessionRequest,
        NewSessionResponse, PromptCapabilities, ResumeSessionRequest,
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
    Done { session_id: String, context: AgentContext, takes: PromptCapabilities, can_resume: bool },
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

    /// Whether updates of this session are the past being repeated, which the log already has.
    pub(super) fn is_replay_of(&self, session: &str) -> bool {
        matches!(&self.step, Step::Load { session_id, .. } if session_id == session)
    }

    pub(super) fn response(
        self,
        outcome: Result<&Value, RpcError>,
        options: &CodecOptions,
        caller: &mut Caller,
        out: &mut Output,
    ) -> Progress {
        match self.step {
            Step::Initialize => match read_agent(outcome) {
                Ok(agent) => open(agent, options, caller, out),
                Err(failed) => failed,
            },
            Step::Resume { session_id, agent } | Step::Load { session_id, agent } => {
                match outcome {
                    Ok(_) => done(session_id, AgentContext::Resumed, &agent),
                    Err(error) if error.code == AUTH_REQUIRED => {
                        auth_required(&error, &agent.auth_methods)
                    }
                    Err(_) => new_session(AgentContext::Lost, agent, options, caller, out),
                }
            }
            Step::New { context, agent } => match outcome.map(NewSessionResponse::deserialize) {
                Ok(Ok(response)) => done(response.session_id.0.to_string(), context, &agent),
                Ok(Err(error)) => {
                    failed(format!("the answer to session/new cannot be read: {error}"))
                }
                Err(error) if error.code == AUTH_REQUIRED => {
                    auth_required(&error, &agent.auth_methods)
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
        let request = LoadSessionRequest::new(session_id.clone(), &options.cwd);
        let awaited = caller.call(METHODS.session_load, request, out);
        Progress::Waiting(Handshake { awaited, step: Step::Load { session_id, agent } })
    } else {
        new_session(AgentContext::Lost, agent, options, caller, out)
    }
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

fn done(session_id: String, context: AgentContext, agent: &InitializeResponse) -> Progress {
    let capabilities = &agent.agent_capabilities;
    let takes = capabilities.prompt_capabilities.clone();
    let can_resume =
        capabilities.session_capabilities.resume.is_some() || capabilities.load_session;
    Progress::Done { session_id, context, takes, can_resume }
}

fn failed(detail: String) -> Progress {
    Progress::Failed { code: TransportFault::Handshake, detail }
}

fn auth_required(error: &RpcError, methods: &[AuthMethod]) -> Progress {
    let ways: Vec<_> =
        methods.iter().map(|method| format!("{} ({})", method.name(), method.id())).collect();
    let ways = match ways.is_empty() {
        true => "it names no way to do so".to_owned(),
        false => format!("its ways: {}", ways.join(", ")),
    };
    Progress::Failed {
        code: TransportFault::AuthRequired,
        detail: format!(
            "the agent wants to be logged in: {error}; {ways}; log in with the agent's own command as the \
             account it runs as, then resume the session"
        ),
    }
}
