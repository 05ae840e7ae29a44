//! Why a call was not done, in variants that are the caller's decisions: give up, try again, or ask for help.
//! Reading problem documents of newer servers and of proxies belongs here; retrying does not.

use super::{
    Problem,
    retry::{Verdict, verdict},
};
use crate::wire::problem::ErrorCode;
use serde::Deserialize;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ClientError {
    /// The server said no. The same call will be refused again, unless its code says otherwise.
    #[error("{} ({})", .problem.detail, word(.problem))]
    Refused {
        problem: Box<Problem>,
        /// When the server said that trying again makes sense.
        retry_after: Option<Duration>,
    },
    /// No connection, or it broke: the call may or may not have been done.
    #[error("no connection to {url}: {cause}")]
    Unreachable { url: String, cause: String },
    /// The call may or may not have been done.
    #[error("{url} did not answer within {} s", .after.as_secs())]
    TimedOut { url: String, after: Duration },
    /// Something answered that is not a Seawall of this version; the call may have been done.
    #[error("the answer of {url} is not understood: {detail}")]
    Malformed { url: String, detail: String },
}

/// A server's URL or a token that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UrlError(pub(super) String);

impl ClientError {
    /// Whether the same call, repeated, may be answered otherwise. Only calls that are safe to repeat should be.
    pub fn is_transient(&self) -> bool {
        verdict(self) == Verdict::Again
    }

    /// Whether the server has judged the call itself: it was not done, and never will be.
    pub fn is_final(&self) -> bool {
        verdict(self) == Verdict::Refused
    }

    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ClientError::Refused { problem, .. } => Some(problem.code),
            _ => None,
        }
    }

    /// How long the server asked to wait before the next try.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            ClientError::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn word(problem: &Problem) -> String {
    match serde_json::to_value(problem.code) {
        Ok(serde_json::Value::String(word)) if problem.status == problem.code.status() => word,
        _ => problem.status.to_string(),
    }
}

/// A problem document, or what can be said of an answer that is none. Codes that this version does not know become
/// the nearest one of their status, so that a newer server is still understood.
pub(super) fn read_problem(status: u16, body: &[u8]) -> Problem {
    #[derive(Deserialize)]
    struct Loose {
        title: Option<String>,
        detail: Option<String>,
    }
    if let Ok(problem) = serde_json::from_slice::<Problem>(body) {
        // The status that was answered counts, whatever the document says of it.
        return Problem { status, ..problem };
    }
    let code = nearest_code(status);
    let mut problem =
        Problem::new(code, format!("status {status} without a reason; a proxy may have answered"));
    problem.status = status;
    if let Ok(loose) = serde_json::from_slice::<Loose>(body) {
        problem.title = loose.title.unwrap_or(problem.title);
        problem.detail = loose.detail.unwrap_or(problem.detail);
    }
    problem
}

fn nearest_code(status: u16) -> ErrorCode {
    match status {
        401 => ErrorCode::Unauthorized,
        403 => ErrorCode::Forbidden,
        404 => ErrorCode::NotFound,
        405 => ErrorCode::MethodNotAllowed,
        408 => ErrorCode::RequestTimeout,
        409 => ErrorCode::Conflict,
        410 => ErrorCode::Gone,
        413 => ErrorCode::TooLarge,
        415 => ErrorCode::UnsupportedMediaType,
        421 => ErrorCode::ForeignHost,
        429 => ErrorCode::QueueFull,
        400..=499 => ErrorCode::InvalidBody,
        _ => ErrorCode::Internal,
    }
}

/// The cause that says most: `Connection refused`, not `error sending request`.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_document_is_read_as_it_is() {
        let sent = Problem::new(ErrorCode::QueueFull, "64 messages wait already");
        assert_eq!(read_problem(429, &serde_json::to_vec(&sent).unwrap()), sent);
    }

    #[test]
    fn an_unknown_code_keeps_its_status_and_its_sentence() {
        let body =
            br#"{"type":"about:blank","title":"T","status":409,"detail":"D","code":"new_word"}"#;
        let problem = read_problem(409, body);
        assert_eq!((problem.status, problem.code), (409, ErrorCode::Conflict));
        assert_eq!((problem.title.as_str(), problem.detail.as_str()), ("T", "D"));
    }

    #[test]
    fn a_proxys_page_is_told_as_a_status() {
        let problem = read_problem(502, b"<html>bad gateway</html>");
        assert_eq!(problem.status, 502);
        let error = ClientError::Refused { problem: Box::new(problem), retry_after: None };
        assert!(error.is_transient());
        assert_eq!(
            error.to_string(),
            "status 502 without a reason; a proxy may have answered (502)"
        );
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for (code, transient) in [
            (ErrorCode::InvalidBody, false),
            (ErrorCode::Unauthorized, false),
            (ErrorCode::NotFound, false),
            (ErrorCode::MessageConflict, false),
            (ErrorCode::RequestTimeout, true),
            (ErrorCode::QueueFull, true),
            (ErrorCode::Draining, true),
            (ErrorCode::Internal, true),
        ] {
            let problem = Box::new(Problem::new(code, ""));
            let error = ClientError::Refused { problem, retry_after: None };
            assert_eq!(error.is_transient(), transient, "{code:?}");
        }
    }
}
