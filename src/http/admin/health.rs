//! Whether the server lives, whether it can take work, and what it is. Told to everybody who reaches the listener;
//! nothing about sessions is.

use super::in_time;
use crate::{
    http::App,
    supervise::pulse::Part,
    wire::api::{Check, CheckStatus, Health, PROTOCOL, Version},
};
use actix_web::{
    HttpResponse,
    web::{self, Data, Json},
};

/// What has to be free on the disk of the log for the server to be ready: an event of the usual largest size.
const FREE_BYTES_MIN: u64 = 1024 * 1024;

/// Whether the process lives and none of its core parts hangs
///
/// Of the disk it asks only whether it answers: a server that is killed
/// because that is full is no better server.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()),
    responses((status = 200, description = "It is well", body = Health),
        (status = 503, description = "It is not, and which part", body = Health)))]
pub(super) async fn healthz(app: Data<App>) -> HttpResponse {
    let disk = within(&app, free_bytes(&app)).await.map(drop);
    let [store, registry, supervisor] =
        [Part::Writer, Part::Registry, Part::Supervisor].map(|part| answers(&app, part));
    health([("store", store), ("registry", registry), ("supervisor", supervisor), ("disk", disk)])
}

/// Whether new work would be done: every part answers, there is room on the disk, and the server is not on its way out
#[utoipa::path(get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, description = "It would", body = Health),
        (status = 503, description = "It would not, and why", body = Health)))]
pub(super) async fn readyz(app: Data<App>) -> HttpResponse {
    let store = async {
        app.log.probe().await.map_err(|error| error.to_string())?;
        match app.log.held().len() {
            0 => Ok(()),
            held => Err(format!("{held} sessions have events that it has not taken yet")),
        }
    };
    let registry = async { app.registry.probe().await.then_some(()).ok_or_else(died) };
    let disk = async {
        match free_bytes(&app).await? {
            Some(free) if free < FREE_BYTES_MIN => Err(format!(
                "{free} bytes are free for the log, {FREE_BYTES_MIN} are needed; make room on its disk"
            )),
            _ => Ok(()),
        }
    };
    let (store, registry, disk) =
        tokio::join!(within(&app, store), within(&app, registry), within(&app, disk));
    let supervisor = answers(&app, Part::Supervisor);
    let drain = match *app.registry.draining().borrow() {
        false => Ok(()),
        true => Err("the server is draining".into()),
    };
    health([
        ("store", store),
        ("registry", registry),
        ("supervisor", supervisor),
        ("disk", disk),
        ("drain", drain),
    ])
}

fn answers(app: &App, part: Part) -> Result<(), String> {
    let silent = app.pulse.silent_since(part);
    silent.map_or(Ok(()), |since| Err(format!("it has not answered since {since}")))
}

/// What is free on the disk of the log; None where it has none.
async fn free_bytes(app: &App) -> Result<Option<u64>, String> {
    let log = app.log.clone();
    // A disk may take its time, which is not this thread's.
    let asked = web::block(move || log.free_bytes()).await.map_err(|error| error.to_string())?;
    asked.map_err(|error| format!("the log's folder cannot be looked at: {error}"))
}

fn died() -> String {
    "it was restarted meanwhile".into()
}

async fn within<T>(app: &App, check: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    in_time(app, check).await.unwrap_or_else(|| Err("it did not answer in time".into()))
}

fn health<const N: usize>(checks: [(&str, Result<(), String>); N]) -> HttpResponse {
    let status = |is_ok| {
        if is_ok { CheckStatus::Ok } else { CheckStatus::Failed }
    };
    let is_ready = checks.iter().all(|(_, outcome)| outcome.is_ok());
    let checks = checks.into_iter().map(|(name, outcome)| {
        let status = status(outcome.is_ok());
        (name.to_owned(), Check { status, detail: outcome.err() })
    });
    let health = Health { status: status(is_ready), checks: checks.collect() };
    let mut response = match is_ready {
        true => HttpResponse::Ok(),
        false => HttpResponse::ServiceUnavailable(),
    };
    response.json(health)
}

/// What this is
#[utoipa::path(get, path = "/version", tag = "health", security(()),
    responses((status = 200, description = "Name, version, protocol", body = Version)))]
pub(super) async fn version() -> Json<Version> {
    let version = env!("CARGO_PKG_VERSION").into();
    Json(Version { name: "seawall".into(), version, protocol: PROTOCOL })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_check_that_fails_makes_the_server_unready() {
        let failed = || Err("it is full".to_owned());
        assert_eq!(health([("store", Ok(())), ("registry", Ok(()))]).status(), 200);
        assert_eq!(health([("store", Ok(())), ("registry", failed())]).status(), 503);
        assert_eq!(health([("store", failed()), ("registry", Ok(()))]).status(), 503);
    }
}
