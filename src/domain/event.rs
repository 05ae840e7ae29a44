//! Events: what is in the log and on the wire (contract, section 3). A [`Draft`] has no number and cannot be
//! published; the store numbers it, and the line it stores is what every reader gets, byte for byte.

use super::{
    ClientState, ContentBlock, EndReason, MessageId, Seq, SessionId, State, Timestamp, content,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An event that is not in the log yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    pub run: u32,
    pub ts: Timestamp,
    #[serde(flatten)]
    pub body: Body,
}

/// A permission's or a question's id; unique in its session.
pub type RequestId = String;

/// What happened. Serialised as `"type":…,"data":{…}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Body {
    #[serde(rename = "session.state")]
    SessionState {
        from: Option<State>,
        to: State,
        reason: Option<EndReason>,
        client_state: ClientState,
    },
    #[serde(rename = "session.titled")]
    SessionTitled { title: Option<String> },

    #[serde(rename = "user.message")]
    UserMessage {
        message_id: MessageId,
        content: Vec<ContentBlock>,
        /// The credential's name.
        by: String,
    },
    #[serde(rename = "message.dispatched")]
    MessageDispatched { message_id: MessageId },
    #[serde(rename = "message.failed")]
    MessageFailed { message_id: MessageId, reason: FailReason, uncertain: bool },

    #[serde(rename = "turn.started")]
    TurnStarted { turn_id: String, message_id: Option<MessageId> },
    #[serde(rename = "turn.ended")]
    TurnEnded {
        turn_id: String,
        message_id: Option<MessageId>,
        stop_reason: StopReason,
        usage: Option<Value>,
    },

    #[serde(rename = "agent.message")]
    AgentMessage(Chunk),
    #[serde(rename = "agent.thought")]
    AgentThought(Chunk),
    #[serde(rename = "agent.tool_call")]
    AgentToolCall(Map<String, Value>),
    #[serde(rename = "agent.tool_update")]
    AgentToolUpdate(Map<String, Value>),
    #[serde(rename = "agent.plan")]
    AgentPlan(Map<String, Value>),
    #[serde(rename = "agent.output")]
    AgentOutput { stream: OutputStream, text: String, truncated: bool },
    #[serde(rename = "agent.raw")]
    AgentRaw { raw: Value },
    #[serde(rename = "agent.inactive")]
    AgentInactive { since: Timestamp },

    #[serde(rename = "permission.requested")]
    PermissionRequested(Permission),
    #[serde(rename = "permission.resolved")]
    PermissionResolved {
        permission_id: RequestId,
        #[serde(flatten)]
        outcome: Outcome,
        by: Option<String>,
    },
    #[serde(rename = "question.requested")]
    QuestionRequested(Question),
    #[serde(rename = "question.resolved")]
    QuestionResolved {
        question_id: RequestId,
        #[serde(flatten)]
        outcome: Outcome,
        by: Option<String>,
    },

    #[serde(rename = "interrupt.requested")]
    InterruptRequested { by: String },
    #[serde(rename = "interrupt.completed")]
    InterruptCompleted { by: String },
    #[serde(rename = "interrupt.failed")]
    InterruptFailed { by: String, reason: String, escalated_to: Escalation },

    #[serde(rename = "transport.started")]
    TransportStarted { pid: Option<u32>, agent_session_id: Option<String>, context: AgentContext },
    #[serde(rename = "transport.failed")]
    TransportFailed { code: TransportFault, detail: String },
    #[serde(rename = "transport.stopping")]
    TransportStopping { rung: Rung, deadline_ms: u64 },
    #[serde(rename = "transport.exited")]
    TransportExited(Exit),
    #[serde(rename = "transport.restarting")]
    TransportRestarting { attempt: u32, delay_ms: u64 },
    #[serde(rename = "transport.gave_up")]
    TransportGaveUp { attempt: u32 },
}

impl Body {
    /// The event's `type`, as it stands in its line.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::SessionState { .. } => "session.state",
            Self::SessionTitled { .. } => "session.titled",
            Self::UserMessage { .. } => "user.message",
            Self::MessageDispatched { .. } => "message.dispatched",
            Self::MessageFailed { .. } => "message.failed",
            Self::TurnStarted { .. } => "turn.started",
            Self::TurnEnded { .. } => "turn.ended",
            Self::AgentMessage(_) => "agent.message",
            Self::AgentThought(_) => "agent.thought",
            Self::AgentToolCall(_) => "agent.tool_call",
            Self::AgentToolUpdate(_) => "agent.tool_update",
            Self::AgentPlan(_) => "agent.plan",
            Self::AgentOutput { .. } => "agent.output",
            Self::AgentRaw { .. } => "agent.raw",
            Self::AgentInactive { .. } => "agent.inactive",
            Self::PermissionRequested(_) => "permission.requested",
            Self::PermissionResolved { .. } => "permission.resolved",
            Self::QuestionRequested(_) => "question.requested",
            Self::QuestionResolved { .. } => "question.resolved",
            Self::InterruptRequested { .. } => "interrupt.requested",
            Self::InterruptCompleted { .. } => "interrupt.completed",
            Self::InterruptFailed { .. } => "interrupt.failed",
            Self::TransportStarted { .. } => "transport.started",
            Self::TransportFailed { .. } => "transport.failed",
            Self::TransportStopping { .. } => "transport.stopping",
            Self::TransportExited(_) => "transport.exited",
            Self::TransportRestarting { .. } => "transport.restarting",
            Self::TransportGaveUp { .. } => "transport.gave_up",
        }
    }
}

impl Body {
    /// How long the text is that there is most of.
    fn text_len(&self) -> usize {
        match self {
            Self::AgentOutput { text, .. } => text.len(),
            Self::AgentMessage(Chunk { delta, .. }) | Self::AgentThought(Chunk { delta, .. }) => {
                delta.as_ref().map_or(0, String::len)
            }
            Self::UserMessage { content, .. } => content::text_len(content),
            _ => 0,
        }
    }
}

/// A piece of what the agent says or thinks: `delta` extends the block, `content` is a whole block.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Chunk {
    pub turn_id: Option<String>,
    pub block_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Value>,
    #[serde(rename = "final")]
    pub is_final: bool,
}

/// A permission that the agent waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Permission {
    pub permission_id: RequestId,
    /// ACP's tool call, in snake_case.
    #[schema(value_type = Object)]
    pub tool_call: Value,
    pub options: Vec<PermissionOption>,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// A question that the agent waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Question {
    pub question_id: RequestId,
    #[schema(value_type = Object)]
    pub questions: Value,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// One answer that the agent offers for a permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PermissionOption {
    pub option_id: String,
    pub name: String,
    /// `allow_once`, `allow_always`, `reject_once` or `reject_always`.
    pub kind: String,
}

/// How a permission or a question was settled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Selected {
        option_id: String,
    },
    Answered {
        #[schema(value_type = Object)]
        answers: Value,
    },
    Cancelled,
    Expired,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailReason {
    SessionEnded,
    Withdrawn,
    TransportLost,
    Rejected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    EndTurn,
    Cancelled,
    Refusal,
    MaxTokens,
    Error,
    TransportLost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputStream {
    Stdout,
    Stderr,
}

/// How far an interrupt had to go beyond the protocol's own cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Escalation {
    None,
    Sigint,
    Restart,
}

/// What the agent remembers of earlier runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentContext {
    New,
    Resumed,
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransportFault {
    AuthRequired,
    Handshake,
    Protocol,
    /// The agent does not know the session that it was to resume; the next run begins another.
    Resume,
    Spawn,
}

/// The rungs of the stop ladder, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    Cancel,
    CloseStdin,
    Sigint,
    Sigterm,
    Sigkill,
}

/// How a child ended: by `exit_code` or by `signal`; neither where nobody could tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    pub stderr_tail: String,
    /// What else of its tree was still running and was taken down.
    pub killed: Vec<KilledProcess>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KilledProcess {
    pub pid: u32,
    pub name: String,
}

/// An event's line without its number: `"run":…,"ts":…,"type":…,"data":{…}}`. The store puts the session's id and
/// the seq before it, so that the writer thread copies bytes and encodes nothing.
#[derive(Clone, Debug)]
pub struct EncodedDraft(Bytes);

impl Draft {
    /// Encodes the draft. A line over `max_event_bytes` has its longest texts cut and `truncated: true` set in `data`.
    pub fn encode(&self, max_event_bytes: usize) -> EncodedDraft {
        let mut json = Vec::with_capacity(ROOM + self.body.text_len());
        serde_json::to_writer(&mut json, self).expect("an event has string keys, a Vec takes all");
        if json.len() + LINE_HEAD_MAX <= max_event_bytes {
            return EncodedDraft(Bytes::from(json).slice(1..));
        }
        let mut value = serde_json::to_value(self).expect("it was encoded a line above");
        cut_longest_texts(&mut value, (json.len() + LINE_HEAD_MAX).saturating_sub(max_event_bytes));
        let json = serde_json::to_vec(&value).expect("still an event");
        EncodedDraft(Bytes::from(json).slice(1..))
    }
}

/// Enough for what stands around the text of most events, so that they are encoded without moving.
const ROOM: usize = 224;

/// `{"session_id":"<36>","seq":<20>,`
const LINE_HEAD_MAX: usize = 16 + 36 + 8 + 20 + 1;

impl EncodedDraft {
    /// The line of the event: one JSON object, without a line end.
    pub fn line(&self, session: SessionId, seq: Seq) -> Vec<u8> {
        let mut line = Vec::with_capacity(self.len());
        self.write_line(session, seq, &mut line);
        line
    }

    /// The same, behind what `to` has.
    pub fn write_line(&self, session: SessionId, seq: Seq, to: &mut Vec<u8>) {
        use std::io::Write;
        write!(to, "{{\"session_id\":\"{session}\",\"seq\":{seq},").expect("a Vec takes all");
        to.extend_from_slice(&self.0);
    }

    /// The bytes that the event will take in the log, less at most 30 for its number.
    pub fn len(&self) -> usize {
        LINE_HEAD_MAX + self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        false
    }
}

/// When a stored event happened. None: the line is not one that [`EncodedDraft::line`] wrote.
pub fn line_timestamp(line: &[u8]) -> Option<Timestamp> {
    line_field(line, b"\"ts\":\"")?.parse().ok()
}

/// The type of a stored event. None: the line is not one that [`EncodedDraft::line`] wrote.
pub fn line_type(line: &[u8]) -> Option<&str> {
    line_field(line, b"\"type\":\"")
}

/// A field of a line's head, which stands before any text of somebody else's: the first one of its name.
fn line_field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let start = memchr::memmem::find(line, name)? + name.len();
    let value = &line[start..];
    str::from_utf8(&value[..memchr::memchr(b'"', value)?]).ok()
}

/// Cuts the longest strings below `data` until `excess` bytes of JSON are gone, and marks `data` as truncated.
fn cut_longest_texts(event: &mut Value, mut excess: usize) {
    let Some(data) = event.get_mut("data") else { return };
    // The mark itself takes room.
    excess += r#","truncated":true"#.len();
    while excess > 0 {
        let mut longest: Option<&mut String> = None;
        visit_strings(data, &mut |text| {
            if longest.as_ref().is_none_or(|other| text.len() > other.len()) {
                longest = Some(text);
            }
        });
        let Some(text) = longest.filter(|text| !text.is_empty()) else { break };
        excess = excess.saturating_sub(cut_end(text, excess));
    }
    if let Value::Object(data) = data {
        data.insert("truncated".into(), Value::Bool(true));
    }
}

/// Takes characters off the end until their JSON has at least `bytes` bytes, or none is left; how many it had.
fn cut_end(text: &mut String, bytes: usize) -> usize {
    let mut cut = 0;
    while cut < bytes {
        let Some(last) = text.pop() else { break };
        cut += match last {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '\0'..='\u{1f}' => 6,
            other => other.len_utf8(),
        };
    }
    cut
}

fn visit_strings<'a>(value: &'a mut Value, visit: &mut impl FnMut(&'a mut String)) {
    match value {
        Value::String(text) => visit(text),
        Value::Array(items) => items.iter_mut().for_each(|item| visit_strings(item, visit)),
        Value::Object(map) => map.values_mut().for_each(|item| visit_strings(item, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(body: Body) -> Draft {
        Draft { run: 1, ts: Timestamp::from_millis(1_795_422_001_123), body }
    }

    fn session() -> SessionId {
        "01234567-89ab-4def-8123-456789abcdef".parse().unwrap()
    }

    #[test]
    fn a_line_has_the_contracts_shape_and_order() {
        let event = draft(Body::SessionState {
            from: None,
            to: State::Created,
            reason: None,
            client_state: ClientState::Idle,
        });
        let line = event.encode(1 << 20).line(session(), Seq(43));
        assert_eq!(
            String::from_utf8(line).unwrap(),
            r#"{"session_id":"01234567-89ab-4def-8123-456789abcdef","seq":43,"run":1,"ts":"2026-11-23T08:20:01.123Z","type":"session.state","data":{"from":null,"to":"CREATED","reason":null,"client_state":"idle"}}"#
        );
    }

    #[test]
    fn a_line_is_read_back_as_the_draft_it_was() {
        let event = draft(Body::PermissionResolved {
            permission_id: "p1".into(),
            outcome: Outcome::Selected { option_id: "allow".into() },
            by: Some("ann".into()),
        });
        let line = event.encode(1 << 20).line(session(), Seq(1));
        assert_eq!(serde_json::from_slice::<Draft>(&line).unwrap(), event);
    }

    #[test]
    fn the_type_name_is_the_one_in_the_line() {
        for body in [
            Body::SessionTitled { title: None },
            Body::AgentMessage(Chunk::default()),
            Body::AgentToolUpdate(Map::new()),
            Body::TransportExited(Exit::default()),
            Body::TransportGaveUp { attempt: 3 },
        ] {
            let line = draft(body.clone()).encode(1 << 20).line(session(), Seq(1));
            let value: Value = serde_json::from_slice(&line).unwrap();
            assert_eq!(value["type"], body.type_name());
            assert_eq!(line_type(&line), Some(body.type_name()));
            assert_eq!(line_timestamp(&line), Some(Timestamp::from_millis(1_795_422_001_123)));
        }
    }

    #[test]
    fn an_event_over_the_limit_is_cut_at_its_longest_text_and_says_so() {
        for text in ["x".repeat(5000), "\"ü\n".repeat(2000)] {
            let event =
                draft(Body::AgentOutput { stream: OutputStream::Stdout, text, truncated: false });
            let line = event.encode(1000).line(session(), Seq(u64::MAX));
            assert!(line.len() <= 1000, "{} bytes", line.len());
            assert!(line.len() > 900, "{} bytes: more was cut than needed", line.len());
            let value: Value = serde_json::from_slice(&line).unwrap();
            assert_eq!(value["data"]["truncated"], true);
            assert_eq!(value["data"]["stream"], "stdout");
        }
    }
}
