//! From refusals to problem documents: the only place that chooses the status of a failure. Nothing here decides
//! whether something fails.

use crate::{
    session::Refusal,
    store::StoreError,
    wire::problem::{ErrorCode, Problem},
};
use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
};
use std::{fmt, time::Duration};

/// A request that was refused or failed.
#[derive(Debug)]
pub struct Failure {
    // Boxed: it is the rare half of every handler's result.
    problem: Box<Problem>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Failure {
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        let header = match code {
            ErrorCode::Unauthorized => Some((
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"seawall\""),
            )),
            // Nobody will read the rest of the body, or knows where it ends.
            ErrorCode::RequestTimeout | ErrorCode::TooLarge | ErrorCode::InvalidRequest => {
                Some((header::CONNECTION, HeaderValue::from_static("close")))
            }
            _ => retry_after(code).map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds))),
        };
        Self { problem: Box::new(Problem::new(code, detail)), header }
    }

    /// Unknown, deleted or not visible: who may not see a session cannot tell which.
    pub(super) fn no_session() -> Self {
        Self::new(ErrorCode::NotFound, Refusal::Unknown.to_string())
    }

    pub(super) fn invalid_body(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidBody, detail)
    }

    pub(super) fn invalid_query(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidQuery, detail)
    }

    pub(super) fn is(&self, code: ErrorCode) -> bool {
        self.problem.code == code
    }

    /// A path that does not take the method. `allow`: those that it takes, with commas between.
    pub(super) fn method_not_allowed(allow: &str) -> Self {
        let mut failure =
            Self::new(ErrorCode::MethodNotAllowed, format!("this path takes {allow}"));
        failure.header = HeaderValue::from_str(allow).ok().map(|allow| (header::ALLOW, allow));
        failure
    }

    /// A defect of ours: told to the log in full and to the client in general.
    pub(super) fn internal(defect: &str) -> Self {
        log::error!(defect; "a request failed by a defect");
        Self::new(
            ErrorCode::Internal,
            "a defect of the server, noted in its log; asking again may help",
        )
    }

    /// What is stored is not what was written: where that is, the log is told alone.
    fn damaged(error: &StoreError) -> Self {
        log::error!(error:%; "a request failed");
        Self::new(
            ErrorCode::StoreDamaged,
            "what this call needs of the store is damaged, as the server's log says; other sessions go on; restore a backup",
        )
    }

    /// Input that could not be read: the error with the path of the field where it is, as far as that is known.
    pub(super) fn unreadable<E: fmt::Display>(
        code: ErrorCode,
        error: &serde_path_to_error::Error<E>,
    ) -> Self {
        let path = error.path().to_string();
        match path.trim_end_matches(['?', '.']) {
            "" => Self::new(code, error.inner().to_string()),
            path => Self::new(code, format!("{path}: {}", error.inner())),
        }
    }

    /// The same, with the time after which asking again makes sense.
    pub(super) fn after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.header = Some((header::RETRY_AFTER, HeaderValue::from(seconds)));
        self
    }

    pub fn code(&self) -> ErrorCode {
        self.problem.code
    }
}

/// Seconds after which asking again has a chance: queues drain in the time of a turn, a session's place is freed by a
/// person, a store or an actor heals by itself.
const fn retry_after(code: ErrorCode) -> Option<u16> {
    match code {
        ErrorCode::Interrupted => Some(1),
        ErrorCode::StoreUnavailable => Some(2),
        ErrorCode::QueueFull | ErrorCode::Draining | ErrorCode::TooManyStreams => Some(5),
        ErrorCode::TooManySessions => Some(30),
        _ => None,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.detail)
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        super::gate::secure(|name, value| {
            response.insert_header((name, value));
        });
        match &self.header {
            Some((name, _)) if *name == header::CONNECTION => {
                response.force_close();
            }
            Some((name, value)) => {
                response.insert_header((name.clone(), value.clone()));
            }
            None => {}
        }
        let body = serde_json::to_vec(&self.problem).unwrap_or_default();
        response.insert_header((header::CONTENT_TYPE, "application/problem+json")).body(body)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unknown | StoreError::Deleted => Self::no_session(),
            StoreError::Unavailable(_) => Self::new(ErrorCode::StoreUnavailable, error.to_string()),
            StoreError::Damaged(_) => Self::damaged(&error),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::Store(error) => return error.into(),
            Refusal::Unknown | Refusal::Deleted => return Self::no_session(),
            Refusal::RequestClosed { resolution, by } => {
                let mut closed = Self::new(
                    ErrorCode::PermissionClosed,
                    "it was already settled; see `resolution`",
                );
                closed.problem.resolution = Some(resolution);
                closed.problem.by = Some(by);
                return closed;
            }
            Refusal::UnknownMessage | Refusal::UnknownRequest(_) => ErrorCode::NotFound,
            Refusal::CreateConflict | Refusal::WrongState(_) => ErrorCode::Conflict,
            Refusal::UnknownAgent(_) => ErrorCode::UnknownAgent,
            Refusal::Invalid { .. } => ErrorCode::InvalidBody,
            Refusal::MessageConflict => ErrorCode::MessageConflict,
            Refusal::AlreadyDispatched => ErrorCode::AlreadyDispatched,
            Refusal::QueueFull { .. } => ErrorCode::QueueFull,
            Refusal::TooManySessions { .. } => ErrorCode::TooManySessions,
            Refusal::Draining => ErrorCode::Draining,
            Refusal::Interrupted | Refusal::Busy { .. } => ErrorCode::Interrupted,
        };
        Self::new(code, refusal.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{State, event::Outcome};

    #[test]
    fn every_refusal_has_its_status_and_word() {
        for (refusal, status, word) in [
            (Refusal::Unknown, 404, "not_found"),
            (Refusal::Deleted, 404, "not_found"),
            (Refusal::CreateConflict, 409, "conflict"),
            (Refusal::UnknownAgent("x".into()), 422, "unknown_agent"),
            (Refusal::Invalid { field: "cwd", detail: "no".into() }, 400, "invalid_body"),
            (Refusal::MessageConflict, 409, "message_conflict"),
            (Refusal::AlreadyDispatched, 409, "already_dispatched"),
            (Refusal::UnknownMessage, 404, "not_found"),
            (Refusal::UnknownRequest("permission"), 404, "not_found"),
            (
                Refusal::RequestClosed { resolution: Outcome::Expired, by: None },
                409,
                "permission_closed",
            ),
            (Refusal::QueueFull { limit: 64 }, 429, "queue_full"),
            (Refusal::TooManySessions { limit: 1 }, 429, "too_many_sessions"),
            (Refusal::Draining, 503, "draining"),
            (Refusal::WrongState(State::Closing), 409, "conflict"),
            (Refusal::Store(StoreError::Unavailable("full".into())), 503, "store_unavailable"),
            (Refusal::Store(StoreError::Deleted), 404, "not_found"),
            (Refusal::Store(StoreError::Damaged("x".into())), 500, "store_damaged"),
            (Refusal::Interrupted, 503, "interrupted"),
            (Refusal::Busy { limit: 1 }, 503, "interrupted"),
        ] {
            let text = refusal.to_string();
            let failure = Failure::from(refusal);
            assert_eq!(failure.problem.status, status, "{text}");
            assert_eq!(serde_json::to_value(failure.code()).unwrap(), word, "{text}");
            let response = failure.error_response();
            assert_eq!(response.status().as_u16(), status);
            let has_retry = response.headers().contains_key(header::RETRY_AFTER);
            assert_eq!(has_retry, matches!(status, 429 | 503), "{text}");
        }
    }

    #[test]
    fn what_is_damaged_is_not_told_to_clients() {
        let failure = Failure::from(StoreError::Damaged("page 7 of /var/lib".into()));
        assert!(!failure.to_string().contains("/var/lib"), "{failure}");
    }
}
