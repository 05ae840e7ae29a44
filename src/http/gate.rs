//! What every request and every answer passes: the Host check, the catching of panics, the headers that browsers act
//! on. Nothing here knows a path or a session.

use super::{App, error::Failure};
use actix_web::{
    Error, ResponseError,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderName, HeaderValue},
    middleware::Next,
    web,
};
use futures_util::FutureExt;
use std::{any::Any, panic::AssertUnwindSafe};

/// The public listener's gate.
pub(super) async fn public(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if let Some(app) = request.app_data::<web::Data<App>>()
        && let Err(refused) = app.hosts.check(&request)
    {
        app.requests.answered(request.match_pattern().as_deref(), refused.status_code());
        return Err(refused.into());
    }
    private(request, next).await
}

/// The admin listener's gate. It is reached by probes and through sockets, by whichever name they have for it.
pub(super) async fn private(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    // Calling is inside the caught future as well: a service may panic before its first poll. What it was working on
    // is dropped with it, so nobody sees a half-changed value.
    let app = request.app_data::<web::Data<App>>().cloned();
    let route = request.match_pattern();
    let answer = AssertUnwindSafe(async move { next.call(request).await }).catch_unwind().await;
    let answer = answer.unwrap_or_else(|panic| Err(Failure::internal(panic_text(&*panic)).into()));
    if let Some(app) = app {
        let status = match &answer {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        app.requests.answered(route.as_deref(), status);
    }
    let mut response = answer?;
    let headers = response.headers_mut();
    secure(|name, value| {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    });
    Ok(response)
}

/// Names the headers of every answer: what a session says must neither be guessed to be HTML nor kept by a cache.
pub(super) fn secure(mut set: impl FnMut(HeaderName, HeaderValue)) {
    set(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    set(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    set(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text")
}
