//! The document of the admin listener, and what of it the public one's has too where `server.admin_api` says so.

use super::{Bearer, Problem, bodies::Bodies};
use crate::http::{
    App,
    admin::{
        backup, config, console, drain, health, history, metrics, sessions, status, streams,
        supervision,
    },
};
use actix_web::{HttpResponse, http::header::ContentType, web::Data};
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(title = "Seawall, for administrators",
        description = "Served by the admin listener; with `server.admin_api` the public listener has some of it below `/v1`"),
    paths(
        serve_admin,
        health::healthz, health::readyz, health::version, metrics::serve,
        status::status, history::history,
        sessions::list, sessions::get, sessions::kill,
        streams::list, streams::close, streams::sync,
        supervision::tree,
        drain::begin, drain::end,
        backup::make,
        config::show, config::reload, config::log,
    ),
    components(schemas(Problem, super::ErrorCode)),
    modifiers(&Bearer, &Bodies),
    security(("bearer" = []))
)]
pub(super) struct Document;

/// This document
#[utoipa::path(get, path = "/admin/openapi.json", tag = "meta", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub(in crate::http) async fn serve_admin(app: Data<App>) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(app.documents.admin().await)
}

/// Adds the calls that the public listener has as well.
pub(super) fn add_console(document: &mut utoipa::openapi::OpenApi) {
    let mut admin = Document::openapi();
    let paths: Vec<_> = console().into_iter().map(|endpoint| endpoint.path).collect();
    admin.paths.paths = std::mem::take(&mut admin.paths.paths)
        .into_iter()
        .map(|(path, item)| (format!("/v1{path}"), item))
        .filter(|(path, _)| paths.contains(&path.as_str()))
        .collect();
    document.merge(admin);
}
