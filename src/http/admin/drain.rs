//! Draining: the server takes no new work and goes on with what it has, until that is taken back.

use crate::{
    http::{App, auth::Admin},
    wire::admin::Draining,
};
use actix_web::web::{Data, Json};

/// `POST /admin/drain`
pub(super) async fn begin(admin: Admin, app: Data<App>) -> Json<Draining> {
    set(&admin, &app, true)
}

/// `DELETE /admin/drain`
pub(super) async fn end(admin: Admin, app: Data<App>) -> Json<Draining> {
    set(&admin, &app, false)
}

fn set(admin: &Admin, app: &App, draining: bool) -> Json<Draining> {
    if app.registry.set_draining(draining) {
        log::info!(by = &*admin.name, draining; "draining was changed");
    }
    Json(Draining { draining })
}
