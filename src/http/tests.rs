//! The API as far as it goes without a registry: who is let in, in which order calls are refused, and what reads give.

mod refusals;

use super::*;
use crate::{
    config::{Config, Role},
    domain::{Body, ClientState, Draft, Session, SessionId, State, Timestamp},
    http::error::Failure,
    session::Refusal,
    store::{Create, Entry, memory::MemoryLog},
};
use actix_web::{
    App as Application,
    body::{BoxBody, MessageBody, to_bytes},
    dev::{Service, ServiceResponse},
    http::{Method, header},
    middleware::from_fn,
    test::{TestRequest, init_service},
    web,
};
use futures_util::FutureExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{pin::pin, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const VIEWER: &str = "swt_viewer";
const OPERATOR: &str = "swt_operator";
/// An operator who may see the profile `demo` only.
const LIMITED: &str = "swt_limited";

fn session(number: u128) -> SessionId {
    SessionId::from_uuid(uuid::Uuid::from_u128(number))
}

/// A server with two sessions: 1 of the profile `demo`, 2 of the profile `other`, the newer one.
fn app(log: MemoryLog) -> web::Data<App> {
    let token = |secret: &str, role, agents: Option<&[&str]>| Token {
        name: secret.trim_start_matches("swt_").into(),
        role,
        sha256: Sha256::digest(secret).into(),
        agents: agents.map(|agents| agents.iter().map(|agent| (*agent).into()).collect()),
    };
    let other = "[agents.other]\nprotocol = \"lines\"\ncommand = \"cat\"\n[server]\nmax_body_bytes = \"1KiB\"\n";
    let mut config =
        Config::from_texts(Some((std::path::Path::new("test.toml"), other)), []).unwrap();
    config.auth.tokens = vec![
        token(VIEWER, Role::Viewer, None),
        token(OPERATOR, Role::Operator, None),
        token(LIMITED, Role::Operator, Some(&["demo"])),
    ];
    let clock = Clock::manual(Timestamp::from_millis(0));
    web::Data::new(App::alone(Arc::new(log), config, clock, None))
}

impl App {
    /// Handlers without the rest of a server.
    pub(crate) fn alone(
        log: Arc<MemoryLog>,
        config: Config,
        clock: Clock,
        first_token: Option<Token>,
    ) -> Self {
        Self::new(Parts {
            log,
            registry: Registry::new(),
            config: Live::new(Arc::new(config)).0,
            clock,
            pulse: Arc::default(),
            metrics: Arc::default(),
            first_token,
            cookie_key: auth::CookieKey::ANY,
            sockets: 0,
            logger: None,
        })
    }
}

fn log() -> MemoryLog {
    let log = MemoryLog::new();
    for (id, agent, time) in [(session(1), "demo", 1000), (session(2), "other", 2000)] {
        // It is stored at once; only the answer is awaited elsewhere.
        drop(log.create(created(id, agent, Timestamp::from_millis(time))));
    }
    log
}

fn broken() -> MemoryLog {
    let log = log();
    log.fail_writes(Some("it is broken"));
    log.fail_reads(Some("it is broken"));
    log
}

fn created(id: SessionId, agent: &str, ts: Timestamp) -> Create {
    let body = Body::SessionState {
        from: None,
        to: State::Created,
        reason: None,
        client_state: ClientState::Idle,
    };
    let session = Session::new(id, agent.into(), "/".into(), [0; 32], ts);
    let event = Entry::new(&Draft { run: 0, ts, body }, 1 << 20);
    Create { session, events: vec![event], accept: None }
}

struct Answer {
    status: u16,
    headers: header::HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(&name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn code(&self) -> &str {
        assert_eq!(self.header(header::CONTENT_TYPE), "application/problem+json", "{}", self.body);
        assert_eq!(self.body["status"], self.status);
        self.body["code"].as_str().unwrap()
    }
}

fn request(method: Method, path: &str, token: &str) -> TestRequest {
    let request =
        TestRequest::default().method(method).uri(path).insert_header((header::HOST, "localhost"));
    match token {
        "" => request,
        token => request.insert_header((header::AUTHORIZATION, format!("Bearer {token}"))),
    }
}

fn get(path: &str, token: &str) -> TestRequest {
    request(Method::GET, path, token)
}

async fn call(log: MemoryLog, request: TestRequest) -> Answer {
    let service = init_service(Application::new().app_data(app(log)).configure(configure)).await;
    answer(&service, request.to_request()).await
}

async fn answer<R>(
    service: &impl Service<
        R,
        Response = ServiceResponse<impl MessageBody + 'static>,
        Error = actix_web::Error,
    >,
    request: R,
) -> Answer {
    let response = match service.call(request).await {
        Ok(response) => response.into_parts().1.map_into_boxed_body(),
        Err(error) => error.error_response(),
    };
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body: BoxBody = response.into_body();
    let bytes = to_bytes(body).await.ok().unwrap_or_default();
    Answer { status, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
}

#[actix_web::test]
async fn a_message_id_may_hold_any_visible_character() {
    // Refused by its role: the path was understood.
    let path = format!("/v1/sessions/{}/messages/a%2Fb%25%3F", session(1));
    let answer = call(log(), request(Method::DELETE, &path, VIEWER)).await;
    assert_eq!(answer.code(), "forbidden");
}

fn ids(list: &Value) -> Vec<&str> {
    list["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|session| session["id"].as_str().unwrap())
        .collect()
}

#[actix_web::test]
async fn the_list_is_paged_and_shows_what_the_credential_may_see() {
    let (first, second) = (session(1).to_string(), session(2).to_string());
    let all = call(log(), get("/v1/sessions", VIEWER)).await;
    assert_eq!(ids(&all.body), [&second, &first]);
    assert_eq!(all.body["next_cursor"], Value::Null);

    let page = call(log(), get("/v1/sessions?limit=1", VIEWER)).await;
    assert_eq!(ids(&page.body), [&second]);
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let rest = call(log(), get(&format!("/v1/sessions?limit=1&cursor={cursor}"), VIEWER)).await;
    assert_eq!(ids(&rest.body), [&first]);
    assert_eq!(rest.body["next_cursor"], Value::Null);

    assert_eq!(ids(&call(log(), get("/v1/sessions", LIMITED)).await.body), [&first]);
    assert!(ids(&call(log(), get("/v1/sessions?agent=other", LIMITED)).await.body).is_empty());
    assert!(ids(&call(log(), get("/v1/sessions?state=ACTIVE", VIEWER)).await.body).is_empty());
    for wrong in ["limit=0", "limit=201", "cursor=x", "state=active", "colour=1"] {
        let answer = call(log(), get(&format!("/v1/sessions?{wrong}"), VIEWER)).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_query"), "{wrong}");
        let name = wrong.split_once('=').unwrap().0;
        assert!(answer.body["detail"].as_str().unwrap().starts_with(name), "{}", answer.body);
    }
}

#[actix_web::test]
async fn a_session_and_its_history_are_read() {
    let id = session(1);
    let view = call(log(), get(&format!("/v1/sessions/{id}"), LIMITED)).await;
    assert_eq!((view.status, &view.body["agent"]), (200, &json!("demo")));
    assert_eq!(view.body["client_state"], "idle");
    let history = call(log(), get(&format!("/v1/sessions/{id}/events?after=0"), LIMITED)).await;
    assert_eq!(history.body["events"][0]["type"], "session.state");
    assert_eq!(history.body["head_seq"], 1);
    assert_eq!(history.body["has_more"], false);
    // What is wrong with a request for what is not there is not looked at.
    for path in ["", "/events", "/events?limit=0", "/stream?foo=1", "/stream?after=x"] {
        let hidden = call(log(), get(&format!("/v1/sessions/{}{path}", session(2)), LIMITED)).await;
        assert_eq!((hidden.status, hidden.code()), (404, "not_found"));
        let absent = call(log(), get(&format!("/v1/sessions/{}{path}", session(3)), VIEWER)).await;
        assert_eq!(absent.body, hidden.body, "what may not be seen looks like what is not there");
    }
}

#[actix_web::test]
async fn the_document_needs_no_credential() {
    let answer = call(log(), get("/v1/openapi.json", "")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["info"]["title"], "Seawall");
}

#[actix_web::test]
async fn a_part_that_does_not_answer_makes_the_server_unready_and_not_unhealthy() {
    // There is no registry behind this way to it.
    let app = app(broken());
    let service =
        init_service(Application::new().app_data(app.clone()).configure(admin::configure)).await;
    let at = |path: &str| TestRequest::with_uri(path).to_request();
    let mut asked = pin!(answer(&service, at("/readyz")));
    assert!(asked.as_mut().now_or_never().is_none());
    app.clock.advance(Duration::from_secs(2));
    let unready = asked.await;
    assert_eq!(unready.status, 503);
    assert_eq!(unready.body["checks"]["store"]["status"], "failed");
    assert_eq!(unready.body["checks"]["registry"]["detail"], "it did not answer in time");
    for check in ["supervisor", "drain"] {
        assert_eq!(unready.body["checks"][check]["status"], "ok", "{check}");
    }

    let healthy = answer(&service, at("/healthz")).await;
    assert_eq!(healthy.status, 200);
    let checks: Vec<_> = healthy.body["checks"].as_object().unwrap().keys().collect();
    assert_eq!(checks, ["disk", "registry", "store", "supervisor"]);
    let version = answer(&service, at("/version")).await;
    assert_eq!((version.status, &version.body["name"]), (200, &json!("seawall")));
    assert_eq!(answer(&service, at("/v1/sessions")).await.status, 404);
}

#[actix_web::test]
async fn a_store_that_cannot_read_is_said_with_a_time_to_come_back() {
    let answer = call(broken(), get(&format!("/v1/sessions/{}", session(1)), VIEWER)).await;
    assert_eq!((answer.status, answer.code()), (503, "store_unavailable"));
    assert_eq!(answer.header(header::RETRY_AFTER), "2");
}

#[test]
fn the_first_token_is_valid_only_while_none_is_configured() {
    let first = Token {
        name: "first".into(),
        role: Role::Admin,
        sha256: Sha256::digest("f").into(),
        agents: None,
    };
    for (configured, valid) in [
        (vec![], true),
        (vec![Token { name: "ann".into(), sha256: [0; 32], ..first.clone() }], false),
    ] {
        let mut config = Config::default();
        config.auth.tokens = configured;
        let app = App::alone(Arc::new(log()), config, Clock::system(), Some(first.clone()));
        assert_eq!(app.access().tokens.find("f").is_some(), valid);
    }
}
