//! The streams: where a reader begins, which sessions it may follow, and the response that carries the frames. What is
//! written into it is the follower's.

mod body;
mod chunk;
mod desk;
mod follower;
mod frames;
mod hub;
mod list;
mod outlet;
mod poller;

pub(super) use hub::Hub;

pub use frames::Frames;

use super::{
    App,
    auth::{Credential, Viewer},
    error::Failure,
    handover::{HandOver, Handle},
    query,
    target::On,
};
use crate::{
    domain::{
        ConnectionId, Seq, SessionId,
        cursor::{SessionKey, Token},
    },
    registry::{
        StreamRefusal,
        connections::{Connection, Followed},
        replay::{Begin, plan},
    },
    store::{Reader, StoreError, Watch},
    wire::{
        api::{GoneFrame, GoneReason},
        problem::ErrorCode,
    },
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{ConnectionType, Version, header},
    web,
};
use actix_web_lab::{
    body::new_infallible_body_stream,
    header::{CacheControl, CacheDirective},
};
use body::Body;
use follower::{Follower, Place};
use hub::Seat;
use list::ListFeed;
use serde::Deserialize;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StreamQuery {
    sessions: Option<String>,
    list: Option<String>,
    cursor: Option<String>,
    after: Option<String>,
}

/// `GET /v1/stream`
pub(super) async fn sessions(
    viewer: Viewer,
    request: HttpRequest,
    app: web::Data<App>,
) -> Result<HttpResponse, Failure> {
    let query: StreamQuery = query::read(&request)?;
    let with_list = match query.list.as_deref() {
        None | Some("0") => false,
        Some("1") => true,
        Some(other) => {
            return Err(Failure::invalid_query(format!("list: must be 0 or 1, got `{other}`")));
        }
    };
    let names: Vec<String> = query
        .sessions
        .as_deref()
        .unwrap_or_default()
        .split(',')
        .filter(|name| !name.is_empty())
        .map(Into::into)
        .collect();
    if names.is_empty() && !with_list {
        let detail = "sessions: name at least one session, or ask for list=1";
        return Err(Failure::invalid_query(detail));
    }
    open(&app, &viewer, &request, names, &query, with_list).await
}

/// `GET /v1/sessions/{id}/stream`
pub(super) async fn session(
    on: On<Viewer>,
    request: HttpRequest,
    app: web::Data<App>,
) -> Result<HttpResponse, Failure> {
    let opened = async {
        let query: StreamQuery = query::read(&request)?;
        if query.sessions.is_some() || query.list.is_some() {
            let detail = "sessions, list: this stream has one session; /v1/stream takes more";
            return Err(Failure::invalid_query(detail));
        }
        open(&app, &on.by, &request, vec![on.id.to_string()], &query, false).await
    };
    match opened.await {
        Err(fault) if fault.is(ErrorCode::InvalidQuery) => Err(on.refusal(&app, fault).await),
        opened => opened,
    }
}

/// `GET /v1/sessions/stream`
pub(super) async fn list(
    viewer: Viewer,
    request: HttpRequest,
    app: web::Data<App>,
) -> Result<HttpResponse, Failure> {
    let query: StreamQuery = query::read(&request)?;
    if query.sessions.is_some() || query.list.is_some() {
        let detail = "sessions, list: this stream is the list alone; /v1/stream takes both";
        return Err(Failure::invalid_query(detail));
    }
    open(&app, &viewer, &request, Vec::new(), &query, true).await
}

/// `POST /v1/connections/{id}/suspend`
pub(super) async fn suspend(
    viewer: Viewer,
    path: web::Path<String>,
    app: web::Data<App>,
) -> Result<HttpResponse, Failure> {
    let unknown =
        || Failure::new(ErrorCode::NotFound, "there is no such stream of this credential");
    let connection: ConnectionId = path.parse().map_err(|_| unknown())?;
    match app.registry.suspend(connection, &viewer.name).await {
        true => Ok(HttpResponse::NoContent().finish()),
        false => Err(unknown()),
    }
}

async fn open(
    app: &web::Data<App>,
    viewer: &Credential,
    request: &HttpRequest,
    mut names: Vec<String>,
    query: &StreamQuery,
    with_list: bool,
) -> Result<HttpResponse, Failure> {
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    let limit = app.config.now().streams.max_sessions_per_stream;
    if names.len() > limit {
        let detail = format!(
            "sessions: at most {limit} on a stream (streams.max_sessions_per_stream), got {}",
            names.len()
        );
        return Err(Failure::invalid_query(detail));
    }
    let start = Start::read(request, query, app)?;
    let hub = request.app_data::<Hub>().ok_or_else(|| Failure::internal("the hub is missing"))?;
    let _turn = hub.opening().await;
    let seat = hub.seat(app).map_err(|error| Failure::internal(&error.to_string()))?;
    let reader = hub.reader();
    let count = names.len();
    let (mut places, mut followed) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut gone = Vec::new();
    for name in names {
        match watch(app, viewer, &name, &reader).await? {
            Ok(watch) => {
                let snapshot = watch.snapshot();
                let begin = start.of(&watch);
                let cap = app.config.now().streams.max_replay_gap;
                let plan = plan(begin, snapshot.first, snapshot.head, cap);
                followed.push(Followed::new(watch.clone(), plan.cursor));
                places.push(Place::new(watch, plan));
            }
            Err(reason) => gone.push(GoneFrame { session_id: name, reason }),
        }
    }
    if places.is_empty() && !with_list {
        return Err(Failure::no_session());
    }
    let id = ConnectionId::from_uuid(Uuid::new_v4());
    let name = viewer.name.clone();
    let (peer, now) = (request.peer_addr(), app.clock.now());
    let connection = Arc::new(Connection::new(id, name, peer, followed, seat.waker(), now));
    seat.follow(&connection);
    let entered = app.registry.open(connection).await.map_err(|refusal| match refusal {
        StreamRefusal::Full { limit } => {
            let detail = format!("{limit} streams are open already (streams.max_streams)");
            Failure::new(ErrorCode::TooManyStreams, detail)
        }
        StreamRefusal::Busy => crate::session::Refusal::Interrupted.into(),
    })?;
    let list = with_list.then(|| ListFeed::new(app.clone(), viewer.clone()));
    let follower = Follower::new(app.clone(), viewer.clone(), entered, places, gone, list);
    Ok(answer(app, request, follower, seat))
}

/// The head of the answer, and the way on which the frames follow.
fn answer(app: &App, request: &HttpRequest, follower: Follower, seat: Seat) -> HttpResponse {
    let mut builder = HttpResponse::Ok();
    let builder = builder
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header(CacheControl(vec![CacheDirective::NoStore]))
        .insert_header(("X-Accel-Buffering", "no"));
    if let Some((socket, permit)) = socket_of(request, app) {
        let drive = |socket| seat.drive(follower, socket, permit);
        let mut response = builder.body(HandOver::new(socket, drive));
        // No other request is answered there.
        response.head_mut().set_connection_type(ConnectionType::Close);
        return response;
    }
    let mut response = builder.body(new_infallible_body_stream(Body::new(follower, seat)));
    if request.version() <= Version::HTTP_10 {
        // It knows no chunks: the body ends with the connection.
        response.head_mut().no_chunking(true);
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}

/// The socket of a plain connection, if it can be taken from the HTTP library: what is written there has chunks, and
/// nothing of a request's body is left to be read.
fn socket_of(request: &HttpRequest, app: &App) -> Option<(Handle, OwnedSemaphorePermit)> {
    let has_body = request.headers().contains_key(header::TRANSFER_ENCODING)
        || request.headers().get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
    if has_body || request.version() != Version::HTTP_11 {
        return None;
    }
    let handle = request.conn_data::<Handle>()?.clone();
    // Beyond the limit they count as connections of the library, which has its own.
    let permit = app.sockets.clone().try_acquire_owned().ok()?;
    Some((handle, permit))
}

/// The live end of a session, if the credential may see it.
async fn watch(
    app: &App,
    viewer: &Credential,
    name: &str,
    reader: &Arc<dyn Reader>,
) -> Result<Result<Watch, GoneReason>, Failure> {
    let Ok(session) = name.parse::<SessionId>() else { return Ok(Err(GoneReason::Unknown)) };
    match app.log.watch(session, reader.clone()).await {
        Ok(watch) if viewer.sees(&watch.snapshot().session.agent) => Ok(Ok(watch)),
        Ok(_) | Err(StoreError::Unknown) => Ok(Err(GoneReason::Unknown)),
        // Whose it was is not known any more, so only who may see all is told that it existed.
        Err(StoreError::Deleted) if viewer.agents.is_none() => Ok(Err(GoneReason::Deleted)),
        Err(StoreError::Deleted) => Ok(Err(GoneReason::Unknown)),
        Err(error) => Err(error.into()),
    }
}

/// Where the client says it is.
enum Start {
    Token(Token),
    /// A token that says nothing to this store.
    UnknownToken,
    After(HashMap<SessionId, Seq>),
    Head,
}

impl Start {
    fn read(request: &HttpRequest, query: &StreamQuery, app: &App) -> Result<Self, Failure> {
        let header = request.headers().get("Last-Event-ID").map(|value| value.as_bytes());
        let token = header.filter(|value| !value.is_empty()).or(query
            .cursor
            .as_deref()
            .map(str::as_bytes)
            .filter(|value| !value.is_empty()));
        if let Some(token) = token {
            let text = std::str::from_utf8(token).unwrap_or_default();
            return Ok(match Token::decode(text, app.log.store_id()) {
                Ok(token) => Self::Token(token),
                Err(_) => Self::UnknownToken,
            });
        }
        let Some(after) = &query.after else { return Ok(Self::Head) };
        let malformed =
            || Failure::invalid_query(format!("after: expected ID:SEQ[,ID:SEQ…], got `{after}`"));
        let parse = |part: &str| {
            let (id, seq) = part.split_once(':')?;
            let is_number = !seq.is_empty() && seq.bytes().all(|byte| byte.is_ascii_digit());
            let seq = seq.parse().ok().filter(|_| is_number)?;
            Some((id.parse::<SessionId>().ok()?, Seq(seq)))
        };
        let pairs = after.split(',').map(|part| parse(part).ok_or_else(malformed));
        Ok(Self::After(pairs.collect::<Result<_, _>>()?))
    }

    fn of(&self, watch: &Watch) -> Begin {
        match self {
            Self::Token(token) => {
                token.get(SessionKey(watch.key())).map_or(Begin::Head, Begin::After)
            }
            Self::UnknownToken => Begin::Unknown,
            Self::After(places) => {
                places.get(&watch.session()).copied().map_or(Begin::Head, Begin::After)
            }
            Self::Head => Begin::Head,
        }
    }
}
