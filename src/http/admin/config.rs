//! The configuration in effect and its reload, and what is logged. What may be secret does not come here.

use crate::{
    config::Refused,
    http::{
        App, BODY_MAX,
        auth::Admin,
        body::Body,
        error::Failure,
        openapi::{Guarded, NotConfigured, Operating, WithBody},
    },
    wire::{
        admin::{ConfigValue, EffectiveConfig, LogFilter, Reloaded},
        problem::ErrorCode,
    },
};
use actix_web::web::{Data, Json};

/// The configuration in effect
///
/// Each value with where it came from. What may be secret is hidden.
#[utoipa::path(get, path = "/admin/config", tag = "admin",
    responses((status = 200, description = "All values", body = EffectiveConfig), Guarded, Operating))]
pub(super) async fn show(_: Admin, app: Data<App>) -> Json<EffectiveConfig> {
    let config = app.config.now();
    let values = config.settings().map(|setting| ConfigValue {
        key: setting.key,
        value: serde_json::to_value(setting.value).unwrap_or_default(),
        origin: setting.origin,
    });
    Json(EffectiveConfig { values: values.collect() })
}

/// Read the configuration again
///
/// Answers when the new values act. A faulty configuration changes nothing; `detail` has each fault on a line.
#[utoipa::path(post, path = "/admin/reload", tag = "admin",
    responses((status = 200, description = "What became of each change", body = Reloaded),
        Guarded, Operating, NotConfigured))]
pub(super) async fn reload(_: Admin, app: Data<App>) -> Result<Json<Reloaded>, Failure> {
    let crate::config::Reloaded { changed, needs_restart } =
        app.config.reload().await.map_err(|refused| match refused {
            Refused::Faults(_) => {
                Failure::new(ErrorCode::InvalidConfiguration, refused.to_string())
            }
            Refused::Stopping => Failure::new(ErrorCode::Draining, refused.to_string()),
        })?;
    Ok(Json(Reloaded { changed, needs_restart }))
}

/// Change what is logged
///
/// Until the next reload.
#[utoipa::path(put, path = "/admin/log", tag = "admin", request_body = LogFilter,
    responses((status = 200, description = "The filter in use", body = LogFilter),
        Guarded, Operating, WithBody, NotConfigured))]
pub(super) async fn log(
    admin: Admin,
    app: Data<App>,
    body: Body,
) -> Result<Json<LogFilter>, Failure> {
    let LogFilter { filter } = body.json(BODY_MAX).await?;
    let Some(logger) = &app.logger else {
        let detail = "this server does not own the log of its process";
        return Err(Failure::new(ErrorCode::NotConfigured, detail));
    };
    logger.set_filter(&filter).map_err(|wrong| {
        Failure::new(ErrorCode::InvalidConfiguration, format!("filter: {wrong}"))
    })?;
    log::info!(by = &*admin.name, filter; "what is logged was changed");
    Ok(Json(LogFilter { filter }))
}
