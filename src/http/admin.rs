//! The admin listener: health for everybody who reaches it, and what an administrator sees and does (contract,
//! section 6). It knows no session's content.

mod drain;
mod health;
mod status;
mod streams;
mod supervision;

use super::{error::Failure, gate, routes};
use crate::wire::problem::ErrorCode;
use actix_web::{
    middleware::from_fn,
    web::{self, ServiceConfig},
};

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
    ];
    let mut scope = web::scope("").default_service(web::to(routes::unknown_path));
    for resource in routes::resources(endpoints) {
        scope = scope.service(resource);
    }
    config.service(scope.wrap(from_fn(gate::private)));
}

/// The registry is between two lives: asking again is safe.
fn registry_restarts() -> Failure {
    Failure::new(ErrorCode::Interrupted, "the registry is being restarted; ask again")
}
