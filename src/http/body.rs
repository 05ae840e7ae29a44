//! The reading of JSON bodies: bounded in bytes and in time, strict, and with errors that say where. What a body means
//! is not known here.

use super::{App, error::Failure};
use crate::{clock::Clock, domain::SessionId, store::StoreError, wire::problem::ErrorCode};
use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    error::PayloadError,
    http::header,
    web::{self, Bytes, BytesMut},
};
use futures_util::{FutureExt, Stream, StreamExt, future::LocalBoxFuture};
use serde::de::DeserializeOwned;
use std::{pin::pin, time::Duration};

/// A body that has not been read yet: a handler reads it when it knows that it wants it.
pub(super) struct Body {
    payload: web::Payload,
    announced: Option<usize>,
    is_json: bool,
    app: web::Data<App>,
    /// The session that the path names.
    session: Option<SessionId>,
}

impl FromRequest for Body {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let app = request.app_data::<web::Data<App>>().cloned();
        let length = request.headers().get(header::CONTENT_LENGTH);
        let announced = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let is_json = request.content_type().eq_ignore_ascii_case("application/json");
        let session = request.match_info().get("id").and_then(|id| id.parse().ok());
        let payload = web::Payload::from_request(request, payload).into_inner();
        async move {
            let app = app.ok_or_else(|| Failure::internal("the application's data is missing"))?;
            let payload = payload.map_err(|error| Failure::internal(&error.to_string()))?;
            Ok(Self { payload, announced, is_json, app, session })
        }
        .boxed_local()
    }
}

impl Body {
    /// The body as a `T`, of at most `limit` bytes.
    pub(super) async fn json<T: DeserializeOwned>(self, limit: usize) -> Result<T, Failure> {
        self.read(limit, |bytes, is_json| decode(bytes, is_json)).await
    }

    /// As [`Body::json`], and the default where there is no body at all.
    pub(super) async fn json_or_default<T: DeserializeOwned + Default>(
        self,
        limit: usize,
    ) -> Result<T, Failure> {
        let or_default = |bytes: &[u8], is_json| match bytes {
            [] => Ok(T::default()),
            bytes => decode(bytes, is_json),
        };
        self.read(limit, or_default).await
    }

    async fn read<T>(
        self,
        limit: usize,
        decode: impl FnOnce(&[u8], bool) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Self { payload, announced, is_json, app, session } = self;
        let read = match announced {
            Some(length) if length > limit => Err(too_large(limit)),
            _ => in_time(payload, limit, app.config.now().server.request_timeout, &app.clock).await,
        };
        match read.and_then(|bytes| decode(&bytes, is_json)) {
            Ok(value) => Ok(value),
            // That the session is not there comes before what is wrong with the body; it is looked up only here, so
            // that a sound request costs no read.
            Err(failure) => {
                let Some(session) = session else { return Err(failure) };
                match app.log.session(session).await {
                    Err(missing @ (StoreError::Unknown | StoreError::Deleted)) => {
                        Err(missing.into())
                    }
                    _ => Err(failure),
                }
            }
        }
    }
}

async fn in_time(
    payload: impl Stream<Item = Result<Bytes, PayloadError>>,
    limit: usize,
    timeout: Duration,
    clock: &Clock,
) -> Result<Bytes, Failure> {
    // Most bodies are there with their head, and then no timer is set.
    tokio::select! {
        biased;
        bytes = collect(payload, limit) => bytes,
        () = clock.sleep(timeout) => {
            let timeout = humantime::format_duration(timeout);
            let detail = format!("the body took longer than {timeout} (server.request_timeout)");
            Err(Failure::new(ErrorCode::RequestTimeout, detail))
        }
    }
}

async fn collect(
    payload: impl Stream<Item = Result<Bytes, PayloadError>>,
    limit: usize,
) -> Result<Bytes, Failure> {
    let mut payload = pin!(payload);
    let mut next = async |length: usize| match payload.next().await {
        Some(Ok(chunk)) if length + chunk.len() > limit => Err(too_large(limit)),
        Some(Err(error)) => Err(Failure::invalid_body(format!("the body broke off: {error}"))),
        chunk => Ok(chunk.and_then(Result::ok)),
    };
    let Some(first) = next(0).await? else { return Ok(Bytes::new()) };
    let Some(second) = next(first.len()).await? else { return Ok(first) };
    let mut body = BytesMut::from(first);
    body.extend_from_slice(&second);
    while let Some(chunk) = next(body.len()).await? {
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn too_large(limit: usize) -> Failure {
    Failure::new(
        ErrorCode::TooLarge,
        format!("the body is longer than the {limit} bytes that this call takes"),
    )
}

fn decode<T: DeserializeOwned>(bytes: &[u8], is_json: bool) -> Result<T, Failure> {
    if !is_json {
        let detail = "the body must be JSON, with `Content-Type: application/json`";
        return Err(Failure::new(ErrorCode::UnsupportedMediaType, detail));
    }
    // Else a list would be taken for the fields in their order.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(Failure::invalid_body("expected an object with named fields, found a list"));
    }
    // To know where in the body one is costs as much as reading it: that is done where something is wrong with it.
    serde_json::from_slice(bytes).or_else(|_| explained(bytes))
}

fn explained<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| Failure::unreadable(ErrorCode::InvalidBody, &error))?;
    json.end().map_err(|error| Failure::invalid_body(error.to_string()))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::Timestamp,
        wire::api::{
            AnswerPermission, AnswerQuestion, CreateSession, Empty, RenameSession, SendMessage,
        },
    };
    use futures_util::stream;

    #[track_caller]
    fn check<T: DeserializeOwned + std::fmt::Debug>(body: &str, expected: &str) {
        let failure = decode::<T>(body.as_bytes(), true).expect_err("it should be refused");
        assert_eq!(failure.code(), ErrorCode::InvalidBody);
        assert_eq!(failure.to_string(), expected, "of {body}");
    }

    #[test]
    fn an_error_in_a_body_names_the_field_and_the_position() {
        check::<SendMessage>("{", "EOF while parsing an object at line 1 column 1");
        check::<SendMessage>("{}", "missing field `message_id` at line 1 column 2");
        check::<SendMessage>(
            r#"{"message_id":"a b"}"#,
            "message_id: message_id must be visible ASCII, without spaces at line 1 column 20",
        );
        check::<SendMessage>(
            "{\"message_id\":\"a\",\n\"texts\":\"x\"}",
            "texts: unknown field `texts`, expected one of `message_id`, `content`, `text`, `interrupt` at line 2 column 7",
        );
        check::<CreateSession>(
            r#"{"agent":"demo","message":{"message_id":"a","text":5}}"#,
            "message.text: invalid type: integer `5`, expected a string at line 1 column 52",
        );
        check::<SendMessage>(r#"{"message_id":"a"} x"#, "trailing characters at line 1 column 20");
        check::<RenameSession>("{}", "missing field `title` at line 1 column 2");
        let list = "expected an object with named fields, found a list";
        check::<Empty>(" []", list);
        check::<SendMessage>(r#"["a",null,"hi"]"#, list);
    }

    #[test]
    fn a_field_that_the_outcome_does_not_have_is_refused() {
        let cancelled = decode::<AnswerPermission>(br#"{"outcome":"cancelled"}"#, true);
        assert!(matches!(cancelled, Ok(AnswerPermission::Cancelled)));
        check::<AnswerPermission>(
            r#"{"outcome":"cancelled","option_id":"x"}"#,
            "option_id: must not stand beside `cancelled`",
        );
        check::<AnswerPermission>(
            r#"{"outcome":"cancelled","why":"x"}"#,
            "why: unknown field `why`, expected `outcome` or `option_id` at line 1 column 28",
        );
        check::<AnswerQuestion>(
            r#"{"outcome":"answered"}"#,
            "answers: is missing; `answered` needs it",
        );
        check::<AnswerQuestion>(
            r#"{"outcome":"answered","answers":5}"#,
            "answers: invalid type: integer `5`, expected a map at line 1 column 33",
        );
    }

    #[actix_web::test]
    async fn a_body_over_the_limit_is_refused_before_it_is_all_there() {
        let chunk = || Ok(Bytes::from_static(b"12345"));
        for (chunks, expected) in [(0, ""), (1, "12345"), (2, "1234512345"), (3, "123451234512345")]
        {
            let body = collect(stream::repeat_with(chunk).take(chunks), 15).await;
            assert_eq!(body.unwrap(), expected);
        }
        let endless = stream::repeat_with(chunk);
        assert_eq!(collect(endless, 9).await.unwrap_err().code(), ErrorCode::TooLarge);
    }

    #[actix_web::test]
    async fn a_body_that_does_not_come_is_given_up_at_the_deadline() {
        let clock = Clock::manual(Timestamp::from_millis(0));
        let endless = stream::pending::<Result<Bytes, PayloadError>>().boxed_local();
        let timeout = Duration::from_secs(30);
        let mut reading = Box::pin(in_time(endless, 100, timeout, &clock));
        assert!(reading.as_mut().now_or_never().is_none());
        clock.advance(timeout);
        assert_eq!(reading.await.unwrap_err().code(), ErrorCode::RequestTimeout);
    }
}
