//! A bit of everything that clients, agents and administrators do, in rounds: sessions that come and go beside some that
//! stay, streams that resume and streams that vanish, agents that die, logins, a configuration that changes.

use crate::support::*;
use serde_json::{Value, json};

/// Events of the sessions that stay are removed, or the log would grow; agents that died are back at once.
pub(super) const CONFIG: &str =
    "[store]\nretention_events = 500\n[supervision]\nbackoff_min = \"10ms\"\n";

/// With this behind it, a configuration that is another at a reload.
const CHANGED: &str = "[streams]\nheartbeat = \"19s\"\n";

/// What the sessions that stay are asked, in turn.
const PROMPTS: [&str; 5] = ["hello", "tool", "think", "plan", "flood 100"];

pub(super) struct Load<'a> {
    server: &'a Process,
    lasting: Vec<Lasting>,
    rounds: usize,
}

impl<'a> Load<'a> {
    pub(super) async fn start(server: &'a Process) -> Self {
        fill_caches(server).await;
        let mut lasting = Vec::new();
        for agent in ["demo", "demo", "cat"] {
            lasting.push(Lasting { id: server.create(agent).await, place: String::new() });
        }
        Self { server, lasting, rounds: 0 }
    }

    pub(super) async fn round(&mut self) {
        let (server, number) = (self.server, self.rounds);
        self.rounds += 1;
        let mut list = server.stream("/v1/sessions/stream").await;
        list.named("sessions").await;
        let [first, second, plain] = &mut self.lasting[..] else { panic!("three sessions stay") };
        let flooded = first.id.clone();
        tokio::join!(
            first.turn(server, number),
            async {
                // Its reader is away for most of the time, and what it missed is a gap.
                if number.is_multiple_of(10) {
                    second.turn(server, number).await;
                } else {
                    server.send(&second.id, &format!("m{number}"), "flood 50").await;
                }
            },
            plain.lines(server, number),
            conversation(server),
            lines(server),
            vanishing(server, &flooded),
            administration(server, number),
            browser(server),
        );
    }
}

/// Has so much written and read that the database's caches, which have a bound, are full before anything is measured.
async fn fill_caches(server: &Process) {
    let lines = vec!["x".repeat(4096); 50].join("\n");
    for _ in 0..3 {
        let id = server.create("cat").await;
        let mut log = server.follow(&id).await;
        for message in ["m1", "m2", "m3", "m4"] {
            server.send(&id, message, &lines).await;
        }
        server.send(&id, "last", "end").await;
        log.events_until(|event| event["data"]["text"] == "end").await;
        server.stop_session(&id, json!({})).await;
        // Small pages, or what they take for a moment would be free for a leak to hide in. Each may be another thread's.
        for after in (0..200).chain(0..200).step_by(5) {
            let path = format!("/v1/sessions/{id}/events?after={after}&limit=10");
            server.get(&path).await.expect(200);
        }
    }
}

/// A session that stays, and one reader of it, who goes on at each stream where the last one was left.
struct Lasting {
    id: String,
    place: String,
}

impl Lasting {
    async fn turn(&mut self, server: &Process, number: usize) {
        let message = format!("m{number}");
        self.say(server, &message, PROMPTS[number % PROMPTS.len()], |event| {
            event["type"] == "turn.ended" && event["data"]["message_id"] == message.as_str()
        })
        .await;
    }

    async fn lines(&mut self, server: &Process, number: usize) {
        let text = format!("line {number}");
        self.say(server, &format!("m{number}"), &text, |event| {
            event["data"]["text"] == text.as_str()
        })
        .await;
    }

    /// Sends when the stream is live, and reads until an event fits.
    async fn say(
        &mut self,
        server: &Process,
        message: &str,
        text: &str,
        fits: impl Fn(&Value) -> bool,
    ) {
        let request = server.request("GET", &format!("/v1/stream?sessions={}", self.id));
        let request = request.header("Last-Event-ID", &self.place);
        let mut stream = server.stream_with(request).await;
        stream.named("snapshot").await;
        server.send(&self.id, message, text).await;
        stream.events_until(fits).await;
        self.place = stream.last_event_id();
    }
}

/// A session of an agent that is asked, interrupted and killed; then it is deleted.
async fn conversation(server: &Process) {
    let id = server.create("demo").await;
    let mut log = server.follow(&id).await;
    let (welcome, _) = log.named("welcome").await;
    for (message, text) in [("m1", "tool"), ("m2", "flood 150")] {
        server.send(&id, message, text).await;
        server.try_send(&id, message, text).await.expect(202);
        log.events_until(|event| {
            event["type"] == "turn.ended" && event["data"]["message_id"] == message
        })
        .await;
    }
    server.send(&id, "m3", "ask").await;
    let events = log.events_until(is("permission.requested")).await;
    let asked = only(&events, "permission.requested");
    let permission = asked["permission_id"].as_str().expect("an id");
    let answer = json!({ "outcome": "selected", "option_id": "once" });
    server.settle(&id, permission, answer).await.expect(200);
    log.events_until(turn_of("m3")).await;

    server.send(&id, "m4", "hang").await;
    log.events_until(is("turn.started")).await;
    assert!(server.interrupt(&id).await);
    log.events_until(turn_of("m4")).await;

    server.send(&id, "m5", "crash signal").await;
    server.send(&id, "m6", "hello").await;
    log.events_until(turn_of("m6")).await;
    history(server, &id).await;

    let connection = welcome["connection_id"].as_str().expect("an id");
    let suspend = format!("/v1/connections/{connection}/suspend");
    server.call(server.request("POST", &suspend)).await.expect(204);
    let place = log.last_event_id();
    let request = server.request("GET", &format!("/v1/stream?sessions={id}&list=1"));
    let mut again = server.stream_with(request.header("Last-Event-ID", place)).await;
    again.named("snapshot").await;
    server.delete(&format!("/v1/sessions/{id}")).await.expect(204);
    again.named("gone").await;
}

async fn history(server: &Process, id: &str) {
    let count = server.events(id).await.len();
    for query in ["", "?limit=5", "?before=100&limit=50", "?types=agent.message"] {
        server.get(&format!("/v1/sessions/{id}/events{query}")).await.expect(200);
    }
    assert!(count > 150, "{count} events");
    let title = json!({ "title": format!("a session of {count} events") });
    let path = format!("/v1/sessions/{id}");
    server.call(server.request("PATCH", &path).json(&title)).await.expect(200);
}

/// A session of plain lines that is stopped, resumed by a message, and deleted while it runs.
async fn lines(server: &Process) {
    let id = server.create("cat").await;
    server.send(&id, "m1", "one\ntwo\nthree").await;
    server.until(&id, |event| event["data"]["text"] == "three").await;
    server.stop_session(&id, json!({ "grace_ms": 1000 })).await;
    server.until(&id, ends("stopped")).await;
    server.send(&id, "m2", "four").await;
    server.until(&id, |event| event["data"]["text"] == "four").await;
    server.delete(&format!("/v1/sessions/{id}")).await.expect(204);
    server.get(&format!("/v1/sessions/{id}")).await.refused(404, "not_found");
}

/// Streams that are left at all stages, with what was on the way to them.
async fn vanishing(server: &Process, id: &str) {
    let path = format!("/v1/stream?sessions={id}");
    drop(server.stream(&path).await);
    drop(server.stream(&format!("{path}&after={id}:0&list=1")).await);
    drop(server.narrow_stream(&path, "").await);
    let unknown = server.request("GET", &path).header("Last-Event-ID", "no-token-of-this-store");
    server.stream_with(unknown).await.named("gap").await;
    let mut open: Vec<Sse> = Vec::new();
    for _ in 0..4 {
        open.push(server.stream(&path).await);
    }
    for stream in &mut open[..2] {
        stream.named("snapshot").await;
    }
}

async fn administration(server: &Process, number: usize) {
    let admin = server.admin();
    for path in ["/healthz", "/readyz", "/version", "/admin/status", "/admin/sessions"] {
        admin.get(path).await.expect(200);
    }
    for path in ["/metrics", "/admin/supervision", "/admin/connections", "/admin/config"] {
        admin.get(path).await.expect(200);
    }
    admin.post("/admin/sync", Value::Null).await.expect(200);
    let filter = json!({ "filter": "warn,seawall::registry=info" });
    admin.call(admin.request("PUT", "/admin/log").json(&filter)).await.expect(200);
    let changed = if number.is_multiple_of(2) { CHANGED } else { "" };
    configure(server.folder.path(), &format!("{CONFIG}{changed}"));
    let reloaded = admin.post("/admin/reload", Value::Null).await.expect(200);
    assert_eq!(reloaded["changed"], json!(["streams.heartbeat"]));
}

/// Somebody who comes with a wrong token, then with a right one; and requests that are refused.
async fn browser(server: &Process) {
    let anybody = server.with_token(None);
    let guess = anybody.post("/v1/login", json!({ "token": "swt_a-guess" })).await;
    assert!([401, 429].contains(&guess.status), "{guess:?}");
    let login = anybody.request("POST", "/v1/login").json(&json!({ "token": server.token }));
    let response = within("an answer", login.send()).await.expect("an answer");
    assert_eq!(response.status(), 204);
    let cookie = response.headers()["set-cookie"].to_str().expect("ASCII");
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    for (method, path, status) in [("GET", "/v1/sessions", 200), ("POST", "/v1/logout", 204)] {
        let request = anybody.request(method, path).header("Cookie", &cookie);
        anybody.call(request.header("Origin", &server.url)).await.expect(status);
    }
    anybody.get("/v1/sessions").await.refused(401, "unauthorized");
    server.post("/v1/sessions", json!({ "agent": "nobody" })).await.refused(422, "unknown_agent");
    server.post("/v1/sessions", json!({ "agnt": "demo" })).await.refused(400, "invalid_body");
    let unknown = uuid::Uuid::new_v4();
    server.get(&format!("/v1/sessions/{unknown}/events")).await.refused(404, "not_found");
}
