//! The OpenAPI documents, made from the handlers' own types. It describes and decides nothing.

mod admin;
mod bodies;
mod streams;

pub(super) use admin::serve_admin;
use bodies::Bodies;

use super::{App, control, history, login, messages, sessions};
use crate::wire::problem::{ErrorCode, Problem};
use actix_web::{HttpResponse, http::header::ContentType, web::Data};
use bytes::Bytes;
use std::collections::BTreeMap;
use tokio::sync::OnceCell;
use utoipa::{
    IntoParams, IntoResponses, Modify, OpenApi,
    openapi::{
        ContentBuilder, Ref, RefOr, Response, ResponseBuilder,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
    },
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Seawall", description = "Long-lived sessions with coding agents"),
    paths(
        serve,
        login::login, login::logout,
        sessions::list, sessions::create, sessions::get, sessions::rename, sessions::delete,
        history::events,
        messages::send, messages::withdraw,
        control::interrupt, control::stop, control::resume, control::answer_permission, control::answer_question,
        streams::sessions, streams::session, streams::list, streams::suspend,
    ),
    components(schemas(Problem, ErrorCode)),
    modifiers(&Bearer, &Cookie, &Bodies),
    security(("bearer" = []), ("cookie" = []))
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("bearer", scheme);
    }
}

/// The console's, which the public listener alone takes.
struct Cookie;

impl Modify for Cookie {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let about = "Got by `/v1/login`. Over TLS its name is `__Host-seawall`.";
        let key = ApiKey::Cookie(ApiKeyValue::with_description("seawall", about));
        let scheme = SecurityScheme::ApiKey(key);
        document.components.get_or_insert_default().add_security_scheme("cookie", scheme);
    }
}

/// The documents, each made when it is first asked for: making them takes megabytes, which few servers are asked for.
#[derive(Default)]
pub(super) struct Documents {
    /// The public listener's without and with the console's admin calls.
    public: [OnceCell<Bytes>; 2],
    admin: OnceCell<Bytes>,
}

impl Documents {
    async fn public(&self, admin_api: bool) -> Bytes {
        let public = &self.public[usize::from(admin_api)];
        public.get_or_init(|| async { document(admin_api) }).await.clone()
    }

    async fn admin(&self) -> Bytes {
        self.admin.get_or_init(|| async { admin_document() }).await.clone()
    }
}

/// The public listener's document as JSON. `admin_api`: it has admin calls too.
fn document(admin_api: bool) -> Bytes {
    let mut document = Document::openapi();
    if admin_api {
        admin::add_console(&mut document);
    }
    json(&document)
}

/// The admin listener's document as JSON.
fn admin_document() -> Bytes {
    json(&admin::Document::openapi())
}

fn json(document: &utoipa::openapi::OpenApi) -> Bytes {
    Bytes::from(document.to_json().expect("the document has string keys only"))
}

/// This document
#[utoipa::path(get, path = "/v1/openapi.json", tag = "meta", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub(super) async fn serve(app: Data<App>) -> HttpResponse {
    let document = app.documents.public(app.config.now().server.admin_api).await;
    HttpResponse::Ok().content_type(ContentType::json()).body(document)
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it is there to be described")]
pub(super) struct InSession {
    /// The session.
    id: uuid::Uuid,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it is there to be described")]
pub(super) struct InMessage {
    /// The session.
    id: uuid::Uuid,
    /// The message, as its sender named it.
    message_id: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it is there to be described")]
pub(super) struct InRequest {
    /// The session.
    id: uuid::Uuid,
    /// The permission or the question.
    request_id: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it is there to be described")]
pub(super) struct InConnection {
    /// The stream: `connection_id` of its `welcome`.
    id: uuid::Uuid,
}

/// Groups of refusals that calls share, to be named among a call's responses.
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident: $($code:ident)+;)+) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                by_status(&[$(ErrorCode::$code),+])
            }
        }
    )+};
}

refusals! {
    /// Of every call that needs a credential.
    Guarded: Unauthorized RateLimited ForeignHost ForeignOrigin Internal StoreUnavailable StoreDamaged Draining Interrupted;
    /// Of calls that need more than the role `viewer`.
    Operating: Forbidden ForeignOrigin;
    /// Of calls on something that has to be there.
    Present: NotFound;
    WithQuery: InvalidQuery;
    WithBody: InvalidBody RequestTimeout TooLarge UnsupportedMediaType;
    NotCreated: Conflict Gone UnknownAgent;
    Taken: Conflict;
    MessageTaken: MessageConflict;
    /// Of backups.
    NotMade: Conflict NotConfigured;
    /// Of calls about the configuration.
    NotConfigured: InvalidConfiguration NotConfigured;
    TooLate: AlreadyDispatched;
    Closed: PermissionClosed;
    /// Of calls that need a place.
    Busy: QueueFull TooManySessions RateLimited;
    /// Of calls that open a stream.
    Crowded: TooManyStreams RateLimited;
}

fn by_status(codes: &[ErrorCode]) -> BTreeMap<String, RefOr<Response>> {
    let mut words: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for code in codes {
        let word =
            serde_json::to_value(code).ok().and_then(|word| word.as_str().map(str::to_owned));
        words.entry(code.status()).or_default().push(format!("`{}`", word.unwrap_or_default()));
    }
    let response = |(status, words): (u16, Vec<String>)| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response = ResponseBuilder::new().description(words.join(", "));
        (status.to_string(), response.content("application/problem+json", content).build().into())
    };
    words.into_iter().map(response).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::routes, *};
    use serde_json::Value;
    use std::collections::BTreeSet;

    /// Each document with what its listener serves.
    fn documents() -> [(Bytes, BTreeSet<(String, String)>); 3] {
        [
            (document(false), routes::served(false)),
            (document(true), routes::served(true)),
            (admin_document(), super::super::admin::served()),
        ]
    }

    fn operations(document: &[u8]) -> Vec<(String, String, Value)> {
        let document: Value = serde_json::from_slice(document).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let operations = paths.iter().flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().iter();
            methods
                .map(|(method, operation)| (path.clone(), method.to_uppercase(), operation.clone()))
        });
        operations.collect()
    }

    #[test]
    fn the_document_has_the_paths_that_are_served_and_no_others() {
        for (document, served) in documents() {
            let described: BTreeSet<_> =
                operations(&document).into_iter().map(|(path, method, _)| (path, method)).collect();
            assert_eq!(described, served);
        }
    }

    #[test]
    fn every_call_names_the_refusals_that_its_kind_has() {
        let all = documents().map(|(document, _)| operations(&document));
        for (path, method, operation) in all.into_iter().flatten() {
            let has = |status: &str| operation["responses"].get(status).is_some();
            if operation["security"] == serde_json::json!([{}]) {
                let open = ["/healthz", "/readyz", "/version", "/v1/login"];
                let is_open = open.contains(&path.as_str()) || path.ends_with("/openapi.json");
                assert!(is_open, "{path} needs no credential");
                continue;
            }
            let mut needed = vec!["401", "403", "421", "429", "500", "503"];
            let is_admins = path.contains("/admin/") || path == "/metrics";
            if is_admins || method != "GET" && path.starts_with("/v1/sessions") {
                let forbidden = operation["responses"]["403"]["description"].to_string();
                assert!(forbidden.contains("`forbidden`"), "{method} {path}: {forbidden}");
            }
            if path.contains("{id}") {
                needed.push("404");
            }
            if operation.get("requestBody").is_some() {
                needed.extend(["400", "408", "413", "415"]);
            }
            for status in needed {
                assert!(has(status), "{method} {path} lacks {status}");
            }
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let named: BTreeSet<_> =
                parameters.iter().filter_map(|found| found["name"].as_str()).collect();
            for part in path.split(['{', '}']).skip(1).step_by(2) {
                assert!(named.contains(part), "{method} {path} does not describe {part}");
            }
        }
    }

    #[test]
    fn bodies_are_described_as_they_are_read() {
        let document: Value = serde_json::from_slice(&document(false)).unwrap();
        let schemas = &document["components"]["schemas"];
        for name in ["SendMessage", "ContentBlock", "AnswerPermission", "AnswerQuestion"] {
            for variant in schemas[name]["oneOf"].as_array().unwrap() {
                assert_eq!(variant["additionalProperties"], false, "{name}: {variant}");
            }
        }
        let body = |call: &str| {
            let path = format!("/v1/sessions/{{id}}/{call}");
            document["paths"][path]["post"]["requestBody"]["required"].clone()
        };
        assert_eq!(["interrupt", "stop", "resume"].map(body), [false, false, false]);
        assert_eq!(body("messages"), true);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn visit(value: &Value, found: &mut BTreeSet<String>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    map.values().for_each(|value| visit(value, found));
                }
                Value::Array(items) => items.iter().for_each(|value| visit(value, found)),
                _ => {}
            }
        }
        for (document, _) in documents() {
            let document: Value = serde_json::from_slice(&document).unwrap();
            assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
            assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
            let mut references = BTreeSet::new();
            visit(&document, &mut references);
            assert!(references.contains("#/components/schemas/Problem"));
            for reference in references {
                let pointer = reference.trim_start_matches('#');
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
        }
    }
}
