//! The open streams as an administrator sees them: who, which sessions, how far; and how one is ended.

use super::{in_time, overview, registry_silent};
use crate::{
    domain::ConnectionId,
    http::{
        App,
        auth::Admin,
        error::Failure,
        openapi::{Guarded, InConnection, Operating, Present},
    },
    registry::connections::Connection,
    wire::{
        admin::{ConnectionList, ConnectionView, FollowedView, TickReport},
        api::ByeReason,
        problem::ErrorCode,
    },
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path},
};

/// The open streams, the oldest first
#[utoipa::path(get, path = "/admin/connections", tag = "admin",
    responses((status = 200, description = "The streams", body = ConnectionList), Guarded, Operating))]
pub(super) async fn list(_: Admin, app: Data<App>) -> Result<Json<ConnectionList>, Failure> {
    let mut streams = overview(&app).await?.connections;
    streams.sort_by_key(|stream| (stream.opened_at, stream.id));
    Ok(Json(ConnectionList { connections: streams.iter().map(|stream| view(stream)).collect() }))
}

fn view(stream: &Connection) -> ConnectionView {
    let followed = stream.followed.iter().filter(|followed| !followed.is_gone());
    ConnectionView {
        id: stream.id,
        credential: stream.credential.to_string(),
        peer: stream.peer.map(|peer| peer.to_string()),
        opened_at: stream.opened_at,
        suspended: stream.is_suspended(),
        bytes: stream.bytes(),
        lag: stream.lag(),
        sessions: followed
            .map(|followed| {
                let progress = followed.progress();
                let (cursor, head_seq) = (progress.cursor, progress.head);
                FollowedView { session_id: followed.session(), cursor, head_seq }
            })
            .collect(),
    }
}

/// Close a stream; its client is told not to come back by itself
#[utoipa::path(delete, path = "/admin/connections/{id}", tag = "admin", params(InConnection),
    responses((status = 204, description = "It is told to close"), Guarded, Operating, Present))]
pub(super) async fn close(
    admin: Admin,
    path: Path<String>,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    let id: Option<ConnectionId> = path.parse().ok();
    let streams = overview(&app).await?.connections;
    let Some(stream) = streams.into_iter().find(|stream| Some(stream.id) == id) else {
        return Err(Failure::new(ErrorCode::NotFound, "there is no such stream"));
    };
    log::info!(by = &*admin.name, connection:% = stream.id; "a stream is closed by an administrator");
    stream.close(ByeReason::Revoked);
    Ok(HttpResponse::NoContent().finish())
}

/// Run one sync tick now
#[utoipa::path(post, path = "/admin/sync", tag = "admin",
    responses((status = 200, description = "What it did", body = TickReport), Guarded, Operating))]
pub(super) async fn sync(_: Admin, app: Data<App>) -> Result<Json<TickReport>, Failure> {
    in_time(&app, app.registry.sync()).await.flatten().map(Json).ok_or_else(registry_silent)
}
