//! The admin listener: health for everybody who reaches it, and what an administrator sees and does (contract,
//! section 6). It knows no session's content.

mod backup;
mod drain;
mod health;
mod status;
mod streams;
mod supervision;

use super::{App, error::Failure, gate, routes};
use crate::{registry::Overview, wire::problem::ErrorCode};
use actix_web::{
    middleware::from_fn,
    web::{self, ServiceConfig},
};
use std::time::Duration;

/// Adds the admin listener's calls. Needs `web::Data<App>` in the application's data.
pub fn configure(config: &mut ServiceConfig) {
    let endpoints = vec![
        routes::get("/healthz", health::healthz),
        routes::get("/readyz", health::readyz),
        routes::get("/version", health::version),
        routes::get("/admin/status", status::status),
        routes::get("/admin/connections", streams::list),
        routes::delete("/admin/connections/{id}", streams::close),
        routes::post("/admin/sync", streams::sync),
        routes::get("/admin/supervision", supervision::tree),
        routes::post("/admin/drain", drain::begin),
        routes::delete("/admin/drain", drain::end),
        routes::post("/admin/backup", backup::make),
    ];
    let mut scope = web::scope("").default_service(web::to(routes::unknown_path));
    for resource in routes::resources(endpoints) {
        scope = scope.service(resource);
    }
    config.service(scope.wrap(from_fn(gate::private)));
}

/// How long an answer of another part is waited for: whoever looks after a server that hangs must not hang as well.
const DEADLINE: Duration = Duration::from_secs(2);

/// None: it did not come in time.
async fn in_time<T>(app: &App, answer: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        answer = answer => Some(answer),
        () = app.clock.sleep(DEADLINE) => None,
    }
}

/// The registry's book.
async fn overview(app: &App) -> Result<Overview, Failure> {
    in_time(app, app.registry.overview()).await.flatten().ok_or_else(registry_silent)
}

/// The registry is between two lives, or hangs: asking again is safe.
fn registry_silent() -> Failure {
    let detail = "the registry does not answer; ask again, and look at /healthz";
    Failure::new(ErrorCode::Interrupted, detail)
}
