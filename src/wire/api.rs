//! Bodies of the HTTP API (contract, section 4). Requests refuse unknown fields; clients ignore unknown answers.

use crate::domain::{
    ClientState, ConnectionId, ContentBlock, EndReason, MessageId, Seq, SessionId, State,
    Timestamp,
    event::{Outcome, Permission, Question},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

/// `POST /v1/sessions`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSession {
    /// The name of an agent profile.
    pub agent: String,
    /// Absolute; must lie below one of the profile's `cwd_allow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub title: Option<String>,
    /// Only keys that the profile allows, 64 at most; stored, so not for secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<SendMessage>,
    /// Makes the call repeatable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Uuid)]
    pub session_id: Option<SessionId>,
}

/// `POST /v1/sessions/{id}/messages`: `content` or `text`, not both.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendMessage {
    pub message_id: MessageId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Vec<ContentBlock>>,
    /// The same as one text block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Goes before all that waits, and cancels the running turn first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupt: bool,
}

/// [`SendMessage`] as it is described. It is not read so: an untagged enum would not say where a fault is.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it is there to be described")]
enum MessageFields {
    Content {
        #[schema(min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
        message_id: String,
        #[schema(min_items = 1, max_items = 64)]
        content: Vec<ContentBlock>,
        /// Goes before all that waits, and cancels the running turn first.
        #[schema(required = false)]
        interrupt: bool,
    },
    Text {
        #[schema(min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
        message_id: String,
        /// The same as one text block.
        text: String,
        /// Goes before all that waits, and cancels the running turn first.
        #[schema(required = false)]
        interrupt: bool,
    },
}

impl PartialSchema for SendMessage {
    fn schema() -> RefOr<Schema> {
        MessageFields::schema()
    }
}

impl ToSchema for SendMessage {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        MessageFields::schemas(schemas);
    }
}

/// The answer to a send, given after the commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Receipt {
    pub accepted: bool,
    #[schema(value_type = String, format = Uuid)]
    pub session_id: SessionId,
    #[schema(value_type = String)]
    pub message_id: MessageId,
    /// The seq of the `user.message`.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// The message was known; nothing was done.
    pub duplicate: bool,
}

/// A session as clients see it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    #[schema(value_type = String, format = Uuid)]
    pub id: SessionId,
    pub agent: String,
    pub title: Option<String>,
    pub cwd: String,
    pub state: State,
    pub client_state: ClientState,
    pub end_reason: Option<EndReason>,
    pub run: u32,
    #[schema(value_type = u64)]
    pub head_seq: Seq,
    /// None where there is no child: before a start, after an end, and while it is parked for want of work.
    pub pid: Option<u32>,
    pub restarts: u32,
    pub pending_permissions: Vec<Permission>,
    pub pending_questions: Vec<Question>,
    pub queued_messages: u32,
    /// Only while the session has events that the store does not take: what is shown here is older than they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreState>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// How the store is to a session where it is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoreState {
    Unavailable,
}

/// A session, with the receipt of its first message where the create gave one.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CreatedView {
    #[serde(flatten)]
    pub session: SessionView,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

/// `GET /v1/sessions`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SessionList {
    pub sessions: Vec<SessionView>,
    /// For the next page; null on the last one.
    pub next_cursor: Option<String>,
}

/// `POST /v1/login`. It has no `Debug`, so that the token is shown nowhere.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    pub token: String,
}

/// `PATCH /v1/sessions/{id}`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameSession {
    /// Null takes the title away. It has to be said: without `deserialize_with` an absent title would be a null one.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required = true, max_length = 200)]
    pub title: Option<String>,
}

/// A body that may be `{}` or absent.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

/// `POST /v1/sessions/{id}/stop`
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StopSession {
    /// Milliseconds for the gentle rungs of the ladder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 600_000)]
    pub grace_ms: Option<u64>,
}

/// `POST /v1/sessions/{id}/interrupt`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Interrupted {
    /// False: there was nothing to interrupt.
    pub requested: bool,
}

/// Stop and resume: what was asked for is on its way; events tell the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    pub accepted: bool,
}

/// `POST /v1/sessions/{id}/permissions/{pid}`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "outcome", rename_all = "snake_case", try_from = "PermissionFields")]
pub enum AnswerPermission {
    Selected { option_id: String },
    Cancelled,
}

/// An answer as it is read. A tagged enum would not see an unknown field beside `cancelled`, nor say where a fault is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PermissionFields {
    outcome: PermissionWord,
    option_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum PermissionWord {
    Selected,
    Cancelled,
}

impl TryFrom<PermissionFields> for AnswerPermission {
    type Error = &'static str;

    fn try_from(fields: PermissionFields) -> Result<Self, Self::Error> {
        match (fields.outcome, fields.option_id) {
            (PermissionWord::Selected, Some(option_id)) => Ok(Self::Selected { option_id }),
            (PermissionWord::Selected, None) => Err("option_id: is missing; `selected` needs it"),
            (PermissionWord::Cancelled, None) => Ok(Self::Cancelled),
            (PermissionWord::Cancelled, Some(_)) => {
                Err("option_id: must not stand beside `cancelled`")
            }
        }
    }
}

/// `POST /v1/sessions/{id}/questions/{qid}`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "outcome", rename_all = "snake_case", try_from = "QuestionFields")]
pub enum AnswerQuestion {
    Answered {
        #[schema(value_type = Object)]
        answers: serde_json::Value,
    },
    Cancelled,
}

/// As [`PermissionFields`], of a question.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuestionFields {
    outcome: QuestionWord,
    answers: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum QuestionWord {
    Answered,
    Cancelled,
}

impl TryFrom<QuestionFields> for AnswerQuestion {
    type Error = &'static str;

    fn try_from(fields: QuestionFields) -> Result<Self, Self::Error> {
        match (fields.outcome, fields.answers) {
            (QuestionWord::Answered, Some(answers)) => {
                Ok(Self::Answered { answers: answers.into() })
            }
            (QuestionWord::Answered, None) => Err("answers: is missing; `answered` needs it"),
            (QuestionWord::Cancelled, None) => Ok(Self::Cancelled),
            (QuestionWord::Cancelled, Some(_)) => Err("answers: must not stand beside `cancelled`"),
        }
    }
}

/// How a permission or a question was settled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Settled {
    pub id: String,
    #[schema(value_type = Object)]
    pub resolution: Outcome,
}

/// A page of history. `events` are the stored bytes.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct EventPage {
    #[schema(value_type = Vec<Object>)]
    pub events: Vec<Box<RawValue>>,
    /// The lowest seq that is still stored.
    #[schema(value_type = u64)]
    pub first_seq: Seq,
    #[schema(value_type = u64)]
    pub head_seq: Seq,
    /// Whether there is more in the direction that was asked for.
    pub has_more: bool,
}

/// The version of the stream protocol.
pub const PROTOCOL: u32 = 1;

/// `event: welcome`, the first frame of a stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Welcome {
    pub protocol: u32,
    pub connection_id: ConnectionId,
    pub heartbeat_ms: u64,
    pub server: String,
    pub draining: bool,
}

/// `event: snapshot`: a session as it stands at `head_seq`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SnapshotFrame {
    pub session_id: SessionId,
    pub state: State,
    pub client_state: ClientState,
    pub run: u32,
    pub head_seq: Seq,
    pub pending_permissions: Vec<Permission>,
    pub pending_questions: Vec<Question>,
    pub title: Option<String>,
    pub agent: String,
}

/// `event: gap`: a range that the stream does not deliver. The next event is `resume_at + 1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapFrame {
    pub session_id: SessionId,
    pub after: Option<Seq>,
    pub resume_at: Seq,
    pub head_seq: Seq,
    pub missed: Option<u64>,
    pub reason: GapReason,
    /// Where the range can be read.
    pub history: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    ReplayCap,
    Retention,
    CursorAhead,
    UnknownCursor,
}

/// `event: gone`: a session was dropped from the stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoneFrame {
    pub session_id: String,
    pub reason: GoneReason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoneReason {
    Unknown,
    Deleted,
}

/// `event: bye`: the server closes the stream. `retry_ms: null`: do not come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByeFrame {
    pub reason: ByeReason,
    pub retry_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ByeReason {
    Shutdown,
    Deleted,
    Slow,
    Revoked,
}

/// `event: ping`
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct PingFrame {
    pub ts: Timestamp,
}

/// `event: server`
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ServerFrame {
    pub draining: bool,
}

/// `/healthz`, `/readyz`: each check by name.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Health {
    pub status: CheckStatus,
    pub checks: BTreeMap<String, Check>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Check {
    pub status: CheckStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    Ok,
    Failed,
}

/// `/version`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Version {
    pub name: String,
    pub version: String,
    /// The stream protocol that this server speaks.
    pub protocol: u32,
}
