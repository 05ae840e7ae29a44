//! The description of the streams, which answer no JSON and have no types to be described by. What they do is
//! `http::stream`'s.

#![expect(dead_code, reason = "the functions are there to carry their descriptions")]

use super::{Crowded, Guarded, InConnection, InSession, Present, WithQuery};
use utoipa::IntoParams;

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct StreamQuery {
    /// Session ids with commas between, 1 to 64; with `list=1` none is enough.
    sessions: Option<String>,
    /// `1`: the list's frames come along.
    list: Option<String>,
    /// A token from an `id:` line; the header `Last-Event-ID` wins over it.
    cursor: Option<String>,
    /// Where to begin, as `ID:SEQ` with commas between. A session that is not named begins at its head.
    after: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct SessionStreamQuery {
    /// A token from an `id:` line; the header `Last-Event-ID` wins over it.
    cursor: Option<String>,
    /// Where to begin, as `ID:SEQ`. Without it: at the head.
    after: Option<String>,
}

/// Follow sessions
#[utoipa::path(get, path = "/v1/stream", tag = "streams", params(StreamQuery),
    responses((status = 200, description = "Server-sent events", body = String, content_type = "text/event-stream"),
        Guarded, Present, WithQuery, Crowded))]
pub(super) fn sessions() {}

/// Follow one session
#[utoipa::path(get, path = "/v1/sessions/{id}/stream", tag = "streams", params(InSession, SessionStreamQuery),
    responses((status = 200, description = "Server-sent events", body = String, content_type = "text/event-stream"),
        Guarded, Present, WithQuery, Crowded))]
pub(super) fn session() {}

/// Follow the list of sessions
#[utoipa::path(get, path = "/v1/sessions/stream", tag = "streams",
    responses((status = 200, description = "Server-sent events", body = String, content_type = "text/event-stream"),
        Guarded, WithQuery, Crowded))]
pub(super) fn list() {}

/// Say that a stream's client goes to the background
#[utoipa::path(post, path = "/v1/connections/{id}/suspend", tag = "streams", params(InConnection),
    responses((status = 204, description = "The stream is silent from now on"), Guarded, Present))]
pub(super) fn suspend() {}
