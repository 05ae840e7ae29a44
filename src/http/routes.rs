//! Every path of the public API on one screen. What the calls take and answer stands at their handlers.

use super::{
    App, admin, console, control, error::Failure, gate, history, login, messages, openapi,
    sessions, stream,
};
use crate::wire::problem::ErrorCode;
use actix_web::{
    FromRequest, Handler, HttpResponse, Resource, Responder, Route,
    guard::{GuardContext, fn_guard},
    http::Method,
    middleware::from_fn,
    web::{self, ServiceConfig},
};
use std::future::ready;

fn endpoints() -> Vec<Endpoint> {
    vec![
        // Paths are tried in this order, each that has a variable by a regular expression: what is called most comes first.
        post("/v1/sessions/{id}/messages", messages::send),
        get("/v1/openapi.json", openapi::serve),
        post("/v1/login", login::login),
        post("/v1/logout", login::logout),
        get("/v1/sessions", sessions::list),
        post("/v1/sessions", sessions::create),
        // Before `{id}`, which would take it for an id.
        get("/v1/sessions/stream", stream::list),
        get("/v1/sessions/{id}", sessions::get),
        patch("/v1/sessions/{id}", sessions::rename),
        delete("/v1/sessions/{id}", sessions::delete),
        get("/v1/sessions/{id}/events", history::events),
        get("/v1/sessions/{id}/stream", stream::session),
        delete("/v1/sessions/{id}/messages/{message_id}", messages::withdraw),
        post("/v1/sessions/{id}/interrupt", control::interrupt),
        post("/v1/sessions/{id}/stop", control::stop),
        post("/v1/sessions/{id}/resume", control::resume),
        post("/v1/sessions/{id}/permissions/{request_id}", control::answer_permission),
        post("/v1/sessions/{id}/questions/{request_id}", control::answer_question),
        get("/v1/stream", stream::sessions),
        post("/v1/connections/{id}/suspend", stream::suspend),
    ]
}

/// Adds the public API and the console's page, on the thread that serves it. Needs `web::Data<App>` in the application's
/// data.
pub fn configure(config: &mut ServiceConfig) {
    let mut scope = web::scope("").default_service(web::to(unknown_path));
    for resource in resources(endpoints().into_iter().chain(console::endpoints()).collect()) {
        scope = scope.service(resource);
    }
    for resource in resources(admin::console()) {
        scope = scope.service(resource.guard(fn_guard(has_admin_api)));
    }
    config.app_data(stream::Hub::new());
    config.service(scope.wrap(from_fn(gate::public)));
}

/// Without it these paths are as unknown as any other.
fn has_admin_api(request: &GuardContext<'_>) -> bool {
    request.app_data::<web::Data<App>>().is_some_and(|app| app.config.now().server.admin_api)
}

/// The templates of the listener's paths.
pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    let all = endpoints().into_iter().chain(admin::console()).chain(console::endpoints());
    all.map(|endpoint| endpoint.path)
}

async fn unknown_path() -> Result<HttpResponse, Failure> {
    Err(Failure::new(ErrorCode::NotFound, "there is no such path; /v1/openapi.json names all"))
}

/// A method on a path.
pub(super) struct Endpoint {
    pub(super) method: Method,
    pub(super) path: &'static str,
    route: Route,
}

/// One resource for each path, in the order of their first mention; other methods are answered with 405.
pub(super) fn resources(endpoints: Vec<Endpoint>) -> Vec<Resource> {
    let mut paths: Vec<(&'static str, Vec<Endpoint>)> = Vec::new();
    for endpoint in endpoints {
        match paths.iter_mut().find(|(path, _)| *path == endpoint.path) {
            Some((_, same)) => same.push(endpoint),
            None => paths.push((endpoint.path, vec![endpoint])),
        }
    }
    let resource = |(path, endpoints): (&'static str, Vec<Endpoint>)| {
        let methods: Vec<_> =
            endpoints.iter().map(|endpoint| endpoint.method.to_string()).collect();
        let allow = methods.join(", ");
        let other =
            web::to(move || ready(Err::<HttpResponse, _>(Failure::method_not_allowed(&allow))));
        let taken = fn_guard(move |request| gate::taken(request, path));
        let resource = web::resource(path).guard(taken).default_service(other);
        endpoints.into_iter().fold(resource, |resource, endpoint| resource.route(endpoint.route))
    };
    paths.into_iter().map(resource).collect()
}

/// A function of the name of each method, which makes an [`Endpoint`].
macro_rules! methods {
    ($($name:ident: $method:ident),* $(,)?) => {$(
        pub(super) fn $name<F, Args>(path: &'static str, handler: F) -> Endpoint
        where
            F: Handler<Args>,
            Args: FromRequest + 'static,
            F::Output: Responder + 'static,
        {
            Endpoint { method: Method::$method, path, route: web::$name().to(handler) }
        }
    )*};
}
methods![get: GET, post: POST, put: PUT, patch: PATCH, delete: DELETE];

/// The paths with their methods, for the test that compares them with the document.
#[cfg(test)]
pub(super) fn served(admin_api: bool) -> std::collections::BTreeSet<(String, String)> {
    let console = if admin_api { admin::console() } else { Vec::new() };
    named(endpoints().into_iter().chain(console).collect())
}

#[cfg(test)]
pub(super) fn named(endpoints: Vec<Endpoint>) -> std::collections::BTreeSet<(String, String)> {
    endpoints
        .into_iter()
        .map(|endpoint| (endpoint.path.into(), endpoint.method.to_string()))
        .collect()
}
