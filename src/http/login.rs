//! The console's way in and out: a token for a cookie that scripts of the page cannot read. What a cookie is worth is
//! `auth`'s.

use super::{
    App,
    auth::{self, Viewer},
    body::Body,
    connection,
    error::Failure,
    openapi::{Guarded, WithBody},
};
use crate::wire::{api::Login, problem::ErrorCode};
use actix_web::{HttpRequest, HttpResponse, http::header, web};

/// Larger than any token.
const LOGIN_MAX: usize = 4096;

/// Log a browser in
///
/// Answers a token with the cookie that stands for it, for 30 days or until the token is no longer configured. A
/// request with an `Authorization` header does not need it. With the cookie, every call but GET and HEAD needs an
/// `Origin` of this server.
#[utoipa::path(post, path = "/v1/login", tag = "login", security(()), request_body = Login,
    responses((status = 204, description = "Logged in", headers(("Set-Cookie" = String))),
        Guarded, WithBody))]
pub(super) async fn login(
    request: HttpRequest,
    app: web::Data<App>,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let access = app.access();
    // Only browsers send it; they must not be made to log in by another site.
    if request.headers().contains_key(header::ORIGIN) {
        access.hosts.check_origin(request.headers())?;
    }
    let Login { token } = body.json(LOGIN_MAX).await.map_err(without_content)?;
    let token = token.trim();
    if access.tokens.find(token).is_none() {
        let detail = "this server does not know this token";
        let refused = Failure::new(ErrorCode::Unauthorized, detail);
        return Err(access.failures.note(&request, refused));
    }
    connection::is_known(&request);
    let cookie = access.cookies.issue(&auth::digest(token), app.clock.now());
    Ok(HttpResponse::NoContent().cookie(cookie).finish())
}

/// What is wrong with a body is said with what stands there, and here that may be the token.
fn without_content(failure: Failure) -> Failure {
    match failure.code() {
        ErrorCode::InvalidBody => {
            Failure::invalid_body("expected an object with the one field `token`, a string")
        }
        _ => failure,
    }
}

/// Log a browser out
///
/// Makes the browser forget its cookie.
#[utoipa::path(post, path = "/v1/logout", tag = "login",
    responses((status = 204, description = "Logged out", headers(("Set-Cookie" = String))), Guarded))]
pub(super) async fn logout(_by: Viewer, app: web::Data<App>) -> HttpResponse {
    HttpResponse::NoContent().cookie(app.access().cookies.cleared()).finish()
}
