//! The open streams as an administrator sees them: who, which sessions, how far; and how one is ended.

use super::{in_time, overview, registry_silent};
use crate::{
    domain::ConnectionId,
    http::{App, auth::Admin, error::Failure},
    registry::{actor::TickReport, connections::Connection},
    wire::{
        admin::{ConnectionList, ConnectionView, FollowedView},
        api::ByeReason,
        problem::ErrorCode,
    },
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path},
};

/// `GET /admin/connections`: the oldest first.
pub(super) async fn list(_: Admin, app: Data<App>) -> Result<Json<ConnectionList>, Failure> {
    let mut streams = overview(&app).await?.connections;
    streams.sort_by_key(|stream| (stream.opened_at, stream.id));
    Ok(Json(ConnectionList { connections: streams.iter().map(|stream| view(stream)).collect() }))
}

fn view(stream: &Connection) -> ConnectionView {
    let followed = stream.followed.iter().filter(|followed| !followed.is_gone());
    ConnectionView {
        id: stream.id,
        credential: stream.credential.clone(),
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

/// `DELETE /admin/connections/{id}`: the client is told not to come back by itself.
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

/// `POST /admin/sync`: one tick now.
pub(super) async fn sync(_: Admin, app: Data<App>) -> Result<Json<TickReport>, Failure> {
    in_time(&app, app.registry.sync()).await.flatten().map(Json).ok_or_else(registry_silent)
}
