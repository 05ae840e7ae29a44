//! Draining: the server takes no new work and goes on with what it has, until that is taken back.

use crate::{
    http::{
        App,
        auth::Admin,
        openapi::{Guarded, Operating},
    },
    wire::admin::Draining,
};
use actix_web::web::{Data, Json};

/// Take no new work
#[utoipa::path(post, path = "/admin/drain", tag = "admin",
    responses((status = 200, description = "As it is now", body = Draining), Guarded, Operating))]
pub(super) async fn begin(admin: Admin, app: Data<App>) -> Json<Draining> {
    set(&admin, &app, true)
}

/// Take new work again
#[utoipa::path(delete, path = "/admin/drain", tag = "admin",
    responses((status = 200, description = "As it is now", body = Draining), Guarded, Operating))]
pub(super) async fn end(admin: Admin, app: Data<App>) -> Json<Draining> {
    set(&admin, &app, false)
}

fn set(admin: &Admin, app: &App, draining: bool) -> Json<Draining> {
    if app.registry.set_draining(draining) {
        log::info!(by = &*admin.name, draining; "draining was changed");
    }
    Json(Draining { draining })
}
