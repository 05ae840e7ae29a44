//! The admin listener: health for everybody who reaches it, and what an administrator sees and does (contract,
//! section 6). It knows no session's content.

pub(super) mod backup;
pub(super) mod config;
pub(super) mod drain;
pub(super) mod health;
pub(crate) mod history;
pub(super) mod metrics;
pub(super) mod sessions;
pub(super) mod status;
pub(super) mod streams;
pub(super) mod supervision;

use super::{
    App,
    error::Failure,
    gate, openapi,
    routes::{self, Endpoint, delete, get, post, put},
};
use crate::{
    registry::Overview,
    supervise::record::{self, Standing},
    wire::{
        admin::{ActorFailure, ActorPolicy, FailureHistory},
        problem::ErrorCode,
    },
};
use actix_web::{
    HttpResponse,
    middleware::from_fn,
    web::{self, ServiceConfig},
};
use std::time::Duration;

/// The admin listener's calls.
fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/healthz", health::healthz),
        get("/readyz", health::readyz),
        get("/version", health::version),
        get("/metrics", metrics::serve),
        get("/admin/openapi.json", openapi::serve_admin),
        get("/admin/status", status::status),
        get("/admin/history", history::history),
        get("/admin/sessions", sessions::list),
        get("/admin/sessions/{id}", sessions::get),
        post("/admin/sessions/{id}/kill", sessions::kill),
        get("/admin/connections", streams::list),
        delete("/admin/connections/{id}", streams::close),
        post("/admin/sync", streams::sync),
        get("/admin/supervision", supervision::tree),
        post("/admin/drain", drain::begin),
        delete("/admin/drain", drain::end),
        post("/admin/backup", backup::make),
        get("/admin/config", config::show),
        post("/admin/reload", config::reload),
        put("/admin/log", config::log),
    ]
}

/// Those that the public listener has too, where `server.admin_api` says so: what a console needs.
pub(super) fn console() -> Vec<Endpoint> {
    vec![
        get("/v1/admin/status", status::status),
        get("/v1/admin/history", history::history),
        get("/v1/admin/sessions", sessions::list),
        get("/v1/admin/sessions/{id}", sessions::get),
        get("/v1/admin/connections", streams::list),
        delete("/v1/admin/connections/{id}", streams::close),
        get("/v1/admin/supervision", supervision::tree),
        post("/v1/admin/drain", drain::begin),
        delete("/v1/admin/drain", drain::end),
    ]
}

/// Adds the admin listener's calls. Needs `web::Data<App>` in the application's data.
pub fn configure(service: &mut ServiceConfig) {
    let mut scope = web::scope("").default_service(web::to(unknown_path));
    for resource in routes::resources(endpoints()) {
        scope = scope.service(resource);
    }
    service.service(scope.wrap(from_fn(gate::private)));
}

async fn unknown_path() -> Result<HttpResponse, Failure> {
    let detail = "there is no such path; /admin/openapi.json names all";
    Err(Failure::new(ErrorCode::NotFound, detail))
}

/// The templates of the listener's paths.
pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    endpoints().into_iter().map(|endpoint| endpoint.path)
}

/// The paths with their methods, for the test that compares them with the document.
#[cfg(test)]
pub(super) fn served() -> std::collections::BTreeSet<(String, String)> {
    routes::named(endpoints())
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

/// What a record of failures says.
fn failures(standing: Standing) -> FailureHistory {
    let failure = |failure: record::Failure| ActorFailure { at: failure.at, cause: failure.cause };
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let policy = standing.policy;
    FailureHistory {
        since: standing.since,
        failures: standing.failures,
        failures_in_window: standing.failures_in_window,
        policy: ActorPolicy {
            max_restarts: policy.max_restarts,
            within_ms: millis(policy.within),
            backoff_min_ms: millis(policy.backoff_min),
            backoff_max_ms: millis(policy.backoff_max),
        },
        first_failure: standing.first_failure.map(failure),
        last_failure: standing.last_failure.map(failure),
    }
}

/// The registry is between two lives, or hangs: asking again is safe.
fn registry_silent() -> Failure {
    let detail = "the registry does not answer; ask again, and look at /healthz";
    Failure::new(ErrorCode::Interrupted, detail)
}
