//! What every request and every answer passes: the Host check, the catching of panics, the headers that browsers act
//! on. Nothing here knows a path or a session.

use super::{
    App,
    connection::{self, Unread},
    error::Failure,
};
use crate::wire::problem::ErrorCode;
use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    guard::GuardContext,
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
    middleware::Next,
    web,
};
use futures_util::FutureExt;
use std::{any::Any, cell::Cell, panic::AssertUnwindSafe, rc::Rc};

/// The public listener's gate.
pub(super) async fn public(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let app = request.app_data::<web::Data<App>>();
    let refused = app.and_then(|app| app.access().hosts.check(&request).err());
    mark(&request);
    pass(request, next, refused).await
}

/// On a request that came through the public gate.
struct Public;

pub(super) fn mark(request: &ServiceRequest) {
    request.extensions_mut().insert(Public);
}

pub(super) fn is_public(request: &HttpRequest) -> bool {
    request.extensions().contains::<Public>()
}

/// The admin listener's gate. It is reached by probes and through sockets, by whichever name they have for it.
pub(super) async fn private(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    pass(request, next, None).await
}

async fn pass(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    refused: Option<Failure>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let unread = Unread::of(&mut request);
    let answered = counter(&request);
    let response = match refused.or_else(|| ambiguous(&request)) {
        Some(refused) => Ok(request.error_response(refused).map_into_right_body()),
        None => call(request, next).await.map(ServiceResponse::map_into_left_body),
    };
    answered(match &response {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    });
    Ok(connection::finish(response?, unread))
}

async fn call<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    // Calling is inside the caught future as well: a service may panic before its first poll. What it was working on
    // is dropped with it, so nobody sees a half-changed value.
    let answer = AssertUnwindSafe(async move { next.call(request).await }).catch_unwind().await;
    let mut response =
        answer.unwrap_or_else(|panic| Err(Failure::internal(panic_text(&*panic)).into()))?;
    let headers = response.headers_mut();
    secure(|name, value| {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    });
    Ok(response)
}

/// On each request: the template of the path by which a resource took it. The request itself is gone when its handler
/// has panicked, and to ask the router for the template would try all paths once more.
#[derive(Clone, Default)]
struct Route(Rc<Cell<Option<&'static str>>>);

/// Notes which path takes the request. Always true: it is asked as a guard.
pub(super) fn taken(request: &GuardContext<'_>, path: &'static str) -> bool {
    if let Some(route) = request.req_data().get::<Route>() {
        route.0.set(Some(path));
    }
    true
}

/// Counts the request under its route when it is answered. What the gate refuses, no route has taken.
fn counter(request: &ServiceRequest) -> impl FnOnce(StatusCode) + use<> {
    let app = request.app_data::<web::Data<App>>().cloned();
    let route = Route::default();
    request.extensions_mut().insert(route.clone());
    move |status| {
        if let Some(app) = app {
            app.requests.answered(route.0.get(), status);
        }
    }
}

/// What can be read in two ways, by a proxy in front and by us, is refused: what follows would be taken for somebody
/// else's request. The HTTP library refuses all of that itself but one: it reads the body of whoever asks for a web socket
/// to the end of the connection, whatever its length says.
fn ambiguous(request: &ServiceRequest) -> Option<Failure> {
    let mut upgrades = request.headers().get_all(header::UPGRADE);
    let asks = upgrades.any(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let detail = "there are no web sockets here; ask again without `Upgrade`";
    asks.then(|| Failure::new(ErrorCode::InvalidRequest, detail))
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
