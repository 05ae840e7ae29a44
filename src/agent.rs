//! The languages that agents speak on their stdio, each a pure codec: a line in, events and bytes out. A codec knows
//! one run of one child; it does no I/O, reads no clock, and its state dies with the child.

pub mod acp;
#[cfg(test)]
mod arbitrary;
pub mod codex;
pub mod lines;
#[cfg(test)]
mod probe;
#[cfg(test)]
mod recording;
mod rpc;
pub mod stream_json;

use crate::domain::{
    ContentBlock, MessageId,
    event::{AgentContext, Outcome, OutputStream, PermissionOption, StopReason, TransportFault},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

/// The language of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    Lines,
    Acp,
    /// Claude Code's own.
    StreamJson,
    Codex,
}

impl Protocol {
    /// Agents without turns acknowledge nothing: a message is done with when it was written.
    pub const fn has_turns(self) -> bool {
        match self {
            Protocol::Lines => false,
            Protocol::Acp | Protocol::StreamJson | Protocol::Codex => true,
        }
    }

    /// Agents without a cancel of their own are interrupted by SIGINT, and that is all.
    pub const fn has_cancel(self) -> bool {
        self.has_turns()
    }

    /// Whether the agent can resume a conversation that had no turn yet; the others write nothing down before.
    pub const fn is_remembered_at_once(self) -> bool {
        match self {
            Protocol::Lines | Protocol::Acp => true,
            Protocol::StreamJson | Protocol::Codex => false,
        }
    }

    /// What is added to the arguments of the profile, so that the program speaks this language at all.
    pub fn arguments(self, options: &CodecOptions) -> Vec<String> {
        match self {
            Protocol::Lines | Protocol::Acp => Vec::new(),
            Protocol::StreamJson => stream_json::arguments(options),
            Protocol::Codex => vec!["app-server".to_owned()],
        }
    }

    pub fn codec(self, options: CodecOptions) -> Box<dyn Codec> {
        match self {
            Protocol::Lines => Box::new(lines::Lines::new(options)),
            Protocol::Acp => Box::new(acp::Acp::new(options)),
            Protocol::StreamJson => Box::new(stream_json::StreamJson::new(options)),
            Protocol::Codex => Box::new(codex::Codex::new(options)),
        }
    }

    /// The first of a profile's `args` that is not the profile's to say.
    pub fn reserved_argument(self, args: &[String]) -> Option<&str> {
        match self {
            Protocol::Lines | Protocol::Acp | Protocol::Codex => None,
            Protocol::StreamJson => stream_json::reserved_argument(args),
        }
    }
}

/// What a run starts from.
#[derive(Clone, Debug, Default)]
pub struct CodecOptions {
    /// Absolute.
    pub cwd: String,
    /// The agent's own session of an earlier run, to be resumed if the agent can.
    pub resume: Option<String>,
    /// An earlier run could not be resumed, so that the agent has forgotten what the log has.
    pub lost: bool,
    /// Names the session among all; ids that the agent wants from us are derived from it.
    pub session: Uuid,
    pub run: u32,
    /// `lines` only: write newlines inside a message as `\n`, so that it stays one line.
    pub escape_newlines: bool,
}

/// One line of a child's output, without its line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawLine<'a> {
    pub bytes: &'a [u8],
    /// The line was longer than `max_line_bytes`; `bytes` is its beginning.
    pub truncated: bool,
}

/// A child's language. Every method may add bytes for the child's stdin and events for the session.
pub trait Codec: Send {
    /// The child was spawned. The codec says [`AgentEvent::Ready`] here, or later when the handshake is done.
    fn start(&mut self, out: &mut Output);

    /// A line of the child's stdout. (stderr never comes here: it is `agent.output`.)
    fn line(&mut self, line: RawLine<'_>, out: &mut Output);

    /// Hand a message to the agent. Called only after `Ready`, and never while a turn of an earlier prompt is open.
    fn prompt(&mut self, message: &MessageId, content: &[ContentBlock], out: &mut Output);

    /// Ask the agent to end its turn. The session has settled pending requests by [`Codec::answer`] before.
    fn cancel(&mut self, out: &mut Output);

    /// Settle a request that the agent made. A request that is not open (any more) is ignored.
    fn answer(&mut self, request: AgentRequest, outcome: &Outcome, out: &mut Output);
}

/// What a codec wants done.
#[derive(Debug, Default)]
pub struct Output {
    /// For the child's stdin, whole lines.
    pub stdin: Vec<u8>,
    pub events: Vec<AgentEvent>,
}

/// A codec's number for a request that the agent made in this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct AgentRequest(pub u64);

/// What an agent said, in Seawall's vocabulary but without Seawall's ids: the session's machine adds those.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(test, derive(serde::Serialize))]
pub enum AgentEvent {
    /// The handshake is done: the agent takes prompts. Once more in a run: it goes on in another session of its own.
    Ready {
        agent_session_id: Option<String>,
        context: AgentContext,
        /// A later run can take up this conversation where this one leaves off.
        #[cfg_attr(test, serde(skip_serializing_if = "std::ops::Not::not"))]
        can_resume: bool,
    },
    /// The run cannot go on; the child will be stopped.
    Failed {
        code: TransportFault,
        detail: String,
    },

    /// A turn began: of the prompt with this id, or of the agent's own accord.
    TurnStarted {
        message_id: Option<MessageId>,
    },
    TurnEnded {
        message_id: Option<MessageId>,
        stop_reason: StopReason,
        usage: Option<Value>,
    },
    /// The agent refused the prompt, so that no turn will come of it.
    Rejected {
        message_id: MessageId,
        detail: String,
    },

    /// Text that extends the block being said.
    Message {
        delta: String,
    },
    Thought {
        delta: String,
    },
    /// A whole block that is not text.
    MessageContent {
        content: Value,
    },
    ThoughtContent {
        content: Value,
    },

    /// ACP's `tool_call`, `tool_call_update`, `plan`, in snake_case.
    ToolCall(Map<String, Value>),
    ToolUpdate(Map<String, Value>),
    Plan(Map<String, Value>),

    Output {
        stream: OutputStream,
        text: String,
        truncated: bool,
    },
    /// A message that is not mapped, verbatim.
    Raw(Value),

    PermissionRequested {
        request: AgentRequest,
        tool_call: Value,
        options: Vec<PermissionOption>,
    },
    QuestionRequested {
        request: AgentRequest,
        questions: Value,
    },
    /// The agent took a request back.
    RequestCancelled {
        request: AgentRequest,
    },
}

impl AgentEvent {
    /// A line of stdout that is text and no more.
    fn stdout(line: RawLine<'_>) -> Self {
        Self::output(OutputStream::Stdout, line)
    }

    /// What is not UTF-8 in the line is replaced by U+FFFD.
    pub(crate) fn output(stream: OutputStream, line: RawLine<'_>) -> Self {
        // Nearly all is UTF-8, and to find that out takes a tenth of looking for what is not.
        let text = match str::from_utf8(line.bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => String::from_utf8_lossy(line.bytes).into_owned(),
        };
        Self::Output { stream, text, truncated: line.truncated }
    }
}
