//! Problem documents (RFC 9457) and the fixed words that programs switch on.

use serde::{Deserialize, Serialize};

/// Why a request was refused. The word never changes; the sentence in `detail` may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Its head can be read in two ways, by us and by a proxy.
    InvalidRequest,
    InvalidBody,
    InvalidQuery,
    Unauthorized,
    Forbidden,
    ForeignHost,
    ForeignOrigin,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    Conflict,
    MessageConflict,
    AlreadyDispatched,
    PermissionClosed,
    Gone,
    TooLarge,
    UnsupportedMediaType,
    UnknownAgent,
    TooManySessions,
    TooManyStreams,
    QueueFull,
    /// Too many failed logins; a token that is known is still served.
    RateLimited,
    Draining,
    StoreUnavailable,
    /// What this call needs of the store is damaged; others may go on.
    StoreDamaged,
    /// A key of the configuration has to be set for this.
    NotConfigured,
    /// What the configuration says, or would say, is not sound; what was in effect stays.
    InvalidConfiguration,
    /// The session was restarted under the request: it may or may not have been done, and asking again is safe.
    Interrupted,
    Internal,
}

impl ErrorCode {
    pub const fn status(self) -> u16 {
        use ErrorCode::*;
        match self {
            InvalidRequest | InvalidBody | InvalidQuery => 400,
            Unauthorized => 401,
            Forbidden | ForeignOrigin => 403,
            NotFound => 404,
            MethodNotAllowed => 405,
            RequestTimeout => 408,
            Conflict | MessageConflict | AlreadyDispatched | PermissionClosed => 409,
            Gone => 410,
            TooLarge => 413,
            UnsupportedMediaType => 415,
            ForeignHost => 421,
            UnknownAgent | NotConfigured | InvalidConfiguration => 422,
            TooManySessions | TooManyStreams | QueueFull | RateLimited => 429,
            StoreDamaged | Internal => 500,
            Draining | StoreUnavailable | Interrupted => 503,
        }
    }

    /// What kind of problem this is, in words that do not depend on the request.
    pub const fn title(self) -> &'static str {
        use ErrorCode::*;
        match self {
            InvalidRequest => "The request's head is not plain",
            InvalidBody => "The body is not what this call takes",
            InvalidQuery => "The query is not what this call takes",
            Unauthorized => "A credential is needed",
            Forbidden => "The credential's role does not allow this",
            ForeignHost => "The Host header names another server",
            ForeignOrigin => "The Origin header does not name this site",
            NotFound => "There is no such thing here",
            MethodNotAllowed => "This path does not take that method",
            RequestTimeout => "The request took too long to arrive",
            Conflict => "The id is taken by something else",
            MessageConflict => "The message id is taken by another content",
            AlreadyDispatched => "The message is already with the agent",
            PermissionClosed => "The request was already settled",
            Gone => "The session was deleted",
            TooLarge => "The body is too large",
            UnsupportedMediaType => "The body is not JSON",
            UnknownAgent => "There is no such agent profile",
            TooManySessions => "No place for another live session",
            TooManyStreams => "No place for another stream",
            QueueFull => "The session's message queue is full",
            RateLimited => "Too many failed logins",
            Draining => "The server takes no new work",
            StoreUnavailable => "The store cannot write now",
            StoreDamaged => "A part of the store cannot be read",
            NotConfigured => "The configuration does not provide for this",
            InvalidConfiguration => "The configuration is not sound",
            Interrupted => "The session was restarted meanwhile",
            Internal => "The server failed",
        }
    }
}

/// A problem document, `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// Always `about:blank`: `code` tells the kind.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    /// What, which, which limit, and what to do.
    pub detail: String,
    pub code: ErrorCode,
    /// `permission_closed`: how the request was settled, and by whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub resolution: Option<crate::domain::event::Outcome>,
    /// `null` where nobody settled it: it has expired, or its agent is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub by: Option<Option<String>>,
}

impl Problem {
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank".into(),
            title: code.title().into(),
            status: code.status(),
            detail: detail.into(),
            code,
            resolution: None,
            by: None,
        }
    }
}
