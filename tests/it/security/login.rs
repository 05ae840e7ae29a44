//! The console's cookie: what it opens, to whom, and until when; and what guessing costs.

use super::{ADMIN, VIEWER, calls, refusal, refused, tokens};
use crate::support::{Api, Driven, Process, configure, within};
use seawall::wire::problem::ErrorCode;
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

/// What a browser keeps of a login's answer.
async fn login(api: &Api, token: &str) -> reqwest::Response {
    let anybody = api.with_token(None);
    let request = anybody.request("POST", "/v1/login").json(&json!({ "token": token }));
    let response = within("an answer", request.send()).await.expect("an answer");
    assert_eq!(response.status(), 204);
    response
}

/// `NAME=VALUE` of the cookie for a token.
pub(super) async fn cookie(api: &Api, token: &str) -> String {
    let response = login(api, token).await;
    let header = response.headers()["set-cookie"].to_str().unwrap();
    header.split(';').next().unwrap().to_owned()
}

/// The requests of a page that has a cookie.
struct Page<'a> {
    api: &'a Api,
    cookie: String,
    origin: Option<String>,
}

impl<'a> Page<'a> {
    async fn of(api: &'a Api, token: &str) -> Self {
        let cookie = cookie(api, token).await;
        Self { api, cookie, origin: Some(api.url.clone()) }
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let request = self.api.with_token(None).request(method, path);
        let request = request.header("Cookie", &self.cookie);
        match &self.origin {
            Some(origin) => request.header("Origin", origin),
            None => request,
        }
    }
}

#[tokio::test]
async fn a_cookie_opens_what_its_token_opens_until_the_token_is_gone() {
    let server = Process::start(&tokens()).await;
    let response = login(&server, ADMIN).await;
    let header = response.headers()["set-cookie"].to_str().unwrap();
    for part in ["seawall=", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=2592000"] {
        assert!(header.contains(part), "{header}");
    }
    assert!(!header.contains("Secure") && !header.contains("Domain"), "{header}");
    let page = Page::of(&server, ADMIN).await;
    let created = page.request("POST", "/v1/sessions").json(&json!({"agent": "cat"}));
    let session = server.call(created).await.expect(201);
    let id = session["id"].as_str().unwrap();

    // An EventSource sends no header of its own; sendBeacon has no body and no way to send one.
    let path = format!("/v1/stream?sessions={id}");
    let mut stream = server.stream_with(page.request("GET", &path)).await;
    let (welcome, _) = stream.named("welcome").await;
    let path = format!("/v1/connections/{}/suspend", welcome["connection_id"].as_str().unwrap());
    server.call(page.request("POST", &path)).await.expect(204);

    let viewer = Page::of(&server, VIEWER).await;
    server.call(viewer.request("GET", "/v1/sessions")).await.expect(200);
    let create = viewer.request("POST", "/v1/sessions").json(&json!({"agent": "cat"}));
    server.call(create).await.refused(403, "forbidden");
    // The header wins, whatever a browser adds.
    for (token, status) in [(VIEWER, 403), ("swt_wrong", 401)] {
        let request = page.request("POST", "/v1/sessions").bearer_auth(token);
        assert_eq!(server.call(request.json(&json!({"agent": "cat"}))).await.status, status);
    }

    let response = page.request("POST", "/v1/logout").send().await.unwrap();
    assert_eq!(response.status(), 204);
    let header = response.headers()["set-cookie"].to_str().unwrap();
    assert!(header.starts_with("seawall=;") && header.contains("Max-Age=0"), "{header}");

    let key = server.folder.path().join("data/cookie.key");
    assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    let cookie = page.cookie.clone();
    let folder = server.kill();
    let server = Process::start_in(folder).await;
    let ask = async |server: &Process| {
        let anybody = server.with_token(None);
        anybody.call(anybody.request("GET", "/v1/sessions").header("Cookie", &cookie)).await.status
    };
    assert_eq!(ask(&server).await, 200, "it survives a restart");
    let folder = server.kill();
    configure(
        folder.path(),
        &tokens().replace("name = \"ada\"", "name = \"eve\"").replace(
            &data_encoding::HEXLOWER.encode(&<sha2::Sha256 as sha2::Digest>::digest(ADMIN)),
            &"0".repeat(64),
        ),
    );
    let server = Process::start_in(folder).await;
    assert_eq!(ask(&server).await, 401, "it dies with its token");
}

#[tokio::test]
async fn a_cookie_ends_after_thirty_days() {
    let server = Driven::start("").await;
    let page = Page::of(&server, server.token.as_deref().unwrap()).await;
    let status = async || server.call(page.request("GET", "/v1/sessions")).await.status;
    server.advance(Duration::from_secs(30 * 24 * 3600 - 1));
    assert_eq!(status().await, 200);
    server.advance(Duration::from_secs(1));
    assert_eq!(status().await, 401);
}

// Scenario 75: a page of another site, or of another port of this machine, uses the browser's cookie.
#[tokio::test]
async fn a_page_of_another_origin_does_nothing_with_the_cookie_on_any_call() {
    let server = Process::start(&tokens()).await;
    let admin = server.with_token(Some(ADMIN));
    let session = admin.create("cat").await;
    let before = admin.state(&session, "ACTIVE").await;
    let mut page = Page::of(&server, ADMIN).await;
    let foreign = ["http://evil.example", "http://127.0.0.1:3000", "null", "https://127.0.0.1"];
    for call in calls(&server, &session).await {
        let what = format!("{} {}", call.method, call.path);
        for origin in foreign {
            page.origin = Some(origin.into());
            let answer = refusal(page.request(&call.method, &call.path).json(&json!({}))).await;
            assert_eq!(answer, refused(ErrorCode::ForeignOrigin), "{what} from {origin}");
        }
        page.origin = None;
        let answer = refusal(page.request(&call.method, &call.path).json(&json!({}))).await;
        match call.method.as_str() {
            "GET" => assert_eq!(answer.0, 200, "{what}"),
            _ => assert_eq!(answer, refused(ErrorCode::ForeignOrigin), "{what} without an origin"),
        }
    }
    assert_eq!(admin.events(&session).await[..before.len()], before);
    let anybody = server.with_token(None);
    let request = anybody.request("POST", "/v1/login").header("Origin", "http://evil.example");
    let answer = anybody.call(request.json(&json!({"token": ADMIN}))).await;
    answer.refused(403, "foreign_origin");
}

#[tokio::test]
async fn the_cookie_is_nothing_to_the_admin_listener_and_two_are_nothing_at_all() {
    let server = Process::start(&tokens()).await;
    let page = Page::of(&server, ADMIN).await;
    let admin = server.admin().with_token(None);
    let request = admin.request("GET", "/admin/status").header("Cookie", &page.cookie);
    admin.call(request).await.refused(401, "unauthorized");
    let two = format!("{}; {}", page.cookie, super::login::cookie(&server, VIEWER).await);
    let anybody = server.with_token(None);
    let request = anybody.request("GET", "/v1/sessions").header("Cookie", two);
    anybody.call(request).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn an_address_that_guesses_is_slowed_down_and_a_known_token_is_not() {
    let server = Driven::start("[server]\nlogin_rate = \"3/1m\"\n").await;
    let guess = server.with_token(Some("swt_a-guess"));
    for _ in 0..2 {
        guess.get("/v1/sessions").await.refused(401, "unauthorized");
    }
    let anybody = server.with_token(None);
    let login = async || anybody.post("/v1/login", json!({"token": "swt_a-guess"})).await;
    login().await.refused(401, "unauthorized");
    login().await.refused(429, "rate_limited");
    let request = guess.request("GET", "/v1/sessions");
    let response = within("an answer", request.send()).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"20".parse().unwrap())
    );
    // Who knows a token is served from the same address, with it and with its cookie.
    server.get("/v1/sessions").await.expect(200);
    let page = Page::of(&server, server.token.as_deref().unwrap()).await;
    server.call(page.request("GET", "/v1/sessions")).await.expect(200);
    // To show nothing is no guess.
    anybody.get("/v1/sessions").await.refused(401, "unauthorized");
    server.advance(Duration::from_secs(20));
    login().await.refused(401, "unauthorized");
    login().await.refused(429, "rate_limited");
}

#[tokio::test]
async fn guesses_fill_no_log() {
    let server = Process::start("[server]\nlogin_rate = \"off\"\n").await;
    let start = Instant::now();
    let guess = server.with_token(Some("swt_a-guess"));
    for _ in 0..100 {
        guess.get("/v1/sessions").await.refused(401, "unauthorized");
    }
    let most = start.elapsed().as_secs() as usize + 2;
    let log = server.log();
    let lines: Vec<_> =
        log.lines().filter(|line| line.contains("does not know was refused")).collect();
    assert!((1..=most).contains(&lines.len()), "{lines:#?}");
    assert!(lines[0].contains("127.0.0.1"), "{lines:#?}");
}

#[tokio::test]
async fn behind_a_tls_proxy_the_cookie_is_secure_and_the_origin_is_https() {
    let server = Driven::start("[server]\nbehind_proxy = true\nhosts = [\"box.example\"]\n").await;
    let token = server.token.clone().unwrap();
    let anybody = server.with_token(None);
    let at = |method: &str, path: &str| {
        anybody
            .request(method, path)
            .header("Host", "box.example")
            .header("Origin", "https://box.example")
    };
    let request = at("POST", "/v1/login").json(&json!({"token": token}));
    let response = within("an answer", request.send()).await.unwrap();
    let header = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(header.starts_with("__Host-seawall=") && header.contains("Secure"), "{header}");
    let cookie = header.split(';').next().unwrap();
    let create = |origin: &str| {
        let request = anybody.request("POST", "/v1/sessions").header("Host", "box.example");
        let request = request.header("Cookie", cookie).header("Origin", origin);
        anybody.call(request.json(&json!({"agent": "cat"})))
    };
    let created: Value = create("https://box.example").await.expect(201);
    assert_eq!(created["agent"], "cat");
    create("http://box.example").await.refused(403, "foreign_origin");
}
