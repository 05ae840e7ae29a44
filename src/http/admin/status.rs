//! The server in numbers. Every number is counted when it is asked for; nothing is kept for it.

use crate::{
    http::{
        App,
        auth::Admin,
        error::Failure,
        openapi::{Guarded, Operating},
    },
    registry::connections::Connection,
    wire::admin::{SessionCounts, Status, StoreCounts, StreamCounts},
};
use actix_web::web::{Data, Json};
use std::sync::Arc;

/// The server in numbers
#[utoipa::path(get, path = "/admin/status", tag = "admin",
    responses((status = 200, description = "The numbers", body = Status), Guarded, Operating))]
pub(super) async fn status(_: Admin, app: Data<App>) -> Result<Json<Status>, Failure> {
    let overview = super::overview(&app).await?;
    let stats = app.log.stats().await?;
    let rows = overview.sessions.iter().filter_map(|session| session.row.as_ref());
    let restarts = rows.map(|row| u64::from(row.restarts)).sum();
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION").into(),
        uptime_ms: u64::try_from((app.clock.now() - app.started_at).as_millis())
            .unwrap_or(u64::MAX),
        draining: *app.registry.draining().borrow(),
        sessions: SessionCounts {
            by_state: stats.sessions,
            live: overview.live,
            waiting: overview.waiting,
            restarts,
        },
        queued_messages: stats.queued,
        streams: stream_counts(&overview.connections),
        store: StoreCounts {
            bytes: stats.bytes,
            free_bytes: stats.free_bytes,
            pages_read: app.log.pages_read(),
        },
    }))
}

pub(super) fn stream_counts(streams: &[Arc<Connection>]) -> StreamCounts {
    let lags = || streams.iter().map(|stream| stream.lag());
    StreamCounts {
        open: streams.len(),
        suspended: streams.iter().filter(|stream| stream.is_suspended()).count(),
        behind: lags().filter(|lag| *lag > 0).count(),
        max_lag: lags().max().unwrap_or(0),
    }
}
