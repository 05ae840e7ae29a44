//! Sessions as an administrator sees them: what runs for each, who follows it and how far, what failed; and the killing
//! of a child that nothing else ends.

use super::{failures, overview};
use crate::{
    domain::SessionId,
    http::{
        App, BODY_MAX,
        auth::Admin,
        body::Body,
        error::Failure,
        openapi::{Guarded, InSession, Operating, Present, WithBody, WithQuery},
        query,
        sessions::{ListQuery, page, view},
        target::On,
    },
    process::usage,
    registry::{Overview, SessionStanding},
    session::{Reply, Request},
    store::Stored,
    wire::{
        admin::{
            AdminSession, AdminSessionList, ChildView, Killed, QueuedView, SessionStream,
            SessionSupervision, WatcherCounts,
        },
        api::Empty,
    },
};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Json},
};
use std::collections::{BTreeMap, HashMap};

/// All sessions, newest activity first, with what runs for them
#[utoipa::path(get, path = "/admin/sessions", tag = "admin", params(ListQuery),
    responses((status = 200, description = "A page of sessions", body = AdminSessionList),
        Guarded, Operating, WithQuery))]
pub(super) async fn list(
    by: Admin,
    app: Data<App>,
    request: HttpRequest,
) -> Result<Json<AdminSessionList>, Failure> {
    let (stored, next_cursor) = page(&by, &app, query::read(&request)?).await?;
    let sessions = describe(&app, &stored).await?;
    Ok(Json(AdminSessionList { sessions, next_cursor }))
}

/// A session with what runs for it, who follows it and what waits
#[utoipa::path(get, path = "/admin/sessions/{id}", tag = "admin", params(InSession),
    responses((status = 200, description = "The session", body = AdminSession),
        Guarded, Operating, Present))]
pub(super) async fn get(on: On<Admin>, app: Data<App>) -> Result<Json<AdminSession>, Failure> {
    let stored = app.log.session(on.id).await?;
    let mut queued = app.log.queued(on.id).await?;
    // Those that interrupt are dispatched first.
    queued.sort_by_key(|message| (!message.interrupt, message.seq));
    let queue = queued.into_iter().map(|message| QueuedView {
        message_id: message.message_id,
        seq: message.seq,
        interrupt: message.interrupt,
    });
    let session = describe(&app, std::slice::from_ref(&stored)).await?.pop();
    let session = session.ok_or_else(Failure::no_session)?;
    Ok(Json(AdminSession { queue: Some(queue.collect()), ..session }))
}

/// Kill a session's child with its whole tree; what follows is what its policy says of any other death
#[utoipa::path(post, path = "/admin/sessions/{id}/kill", tag = "admin", params(InSession),
    request_body(content = Empty, description = "`{}`, or nothing"),
    responses((status = 202, description = "Whether there is a child to kill", body = Killed),
        Guarded, Operating, Present, WithBody))]
pub(super) async fn kill(
    on: On<Admin>,
    app: Data<App>,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let Empty {} = body.json_or_default(BODY_MAX).await?;
    match app.registry.ask(on.id, &on.by.name, Request::Kill).await? {
        Reply::Kill { requested } => {
            if requested {
                log::info!(by = &*on.by.name, session:% = on.id; "a child is killed by an administrator");
            }
            Ok(HttpResponse::Accepted().json(Killed { requested }))
        }
        other => Err(Failure::internal(&format!("a kill was answered with {other:?}"))),
    }
}

/// Adds to rows what the registry and the machine know, in one look at each.
async fn describe(app: &App, stored: &[Stored]) -> Result<Vec<AdminSession>, Failure> {
    let overview = overview(app).await?;
    let pids: Vec<u32> = stored.iter().filter_map(|stored| stored.session.pid).collect();
    let resident = match pids.is_empty() {
        true => BTreeMap::new(),
        // None where the server is on its way out.
        false => tokio::task::spawn_blocking(move || usage::resident_of_trees(&pids))
            .await
            .unwrap_or_default(),
    };
    let mut streams = streams_by_session(&overview);
    let standings: HashMap<SessionId, &SessionStanding> =
        overview.sessions.iter().map(|standing| (standing.id, standing)).collect();
    let held = app.log.held();
    let describe = |stored: &Stored| {
        let id = stored.session.id;
        let streams = streams.remove(&id).unwrap_or_default();
        let suspended = streams.iter().filter(|stream| stream.suspended).count();
        let child = |pid| ChildView { pid, rss_bytes: resident.get(&pid).copied() };
        AdminSession {
            session: view(stored, &held),
            watchers: WatcherCounts { active: streams.len() - suspended, suspended },
            lag: streams.iter().map(|stream| stream.lag).max().unwrap_or(0),
            streams,
            child: stored.session.pid.map(child),
            supervision: standings.get(&id).map(|standing| SessionSupervision {
                actor: failures(standing.actor.clone()),
                child: failures(standing.child.clone()),
            }),
            queue: None,
        }
    };
    Ok(stored.iter().map(describe).collect())
}

fn streams_by_session(overview: &Overview) -> HashMap<SessionId, Vec<SessionStream>> {
    let mut connections: Vec<_> = overview.connections.iter().collect();
    connections.sort_by_key(|connection| (connection.opened_at, connection.id));
    let mut streams: HashMap<SessionId, Vec<SessionStream>> = HashMap::new();
    for connection in connections {
        for followed in connection.followed.iter().filter(|followed| !followed.is_gone()) {
            let progress = followed.progress();
            streams.entry(followed.session()).or_default().push(SessionStream {
                connection_id: connection.id,
                credential: connection.credential.to_string(),
                suspended: connection.is_suspended(),
                cursor: progress.cursor,
                lag: progress.behind(),
            });
        }
    }
    streams
}
