//! The numbers for Prometheus: their form, as its own tool judges it, what they count, and the dashboard that shows them.

use crate::support::{Api, Driven, Process, becomes, configured, eventually, is, turn_of, within};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// The text of one scrape.
async fn text(server: &Api) -> String {
    let admin = server.admin();
    let request = admin.request("GET", "/metrics");
    let answer = within("the metrics", request.send()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    answer.text().await.unwrap()
}

/// Each number of a scrape by its name with its labels, as they are written.
async fn scrape(server: &Api) -> BTreeMap<String, f64> {
    let text = text(server).await;
    let numbers = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    });
    numbers.collect()
}

/// Scrapes until the numbers fit.
async fn scrape_until(
    server: &Api,
    mut fits: impl FnMut(&BTreeMap<String, f64>) -> bool,
) -> BTreeMap<String, f64> {
    let scrapes = async {
        loop {
            let now = scrape(server).await;
            if fits(&now) {
                return now;
            }
        }
    };
    within("numbers that fit", scrapes).await
}

/// By how much what is named has grown between two scrapes. What is not named grew or not.
#[track_caller]
fn assert_grew(
    before: &BTreeMap<String, f64>,
    after: &BTreeMap<String, f64>,
    expected: &[(&str, f64)],
) {
    let grew = |name: &str| after[name] - before.get(name).copied().unwrap_or(0.0);
    let grown: Vec<_> = expected.iter().map(|(name, _)| (*name, grew(name))).collect();
    assert_eq!(grown, expected);
}

#[tokio::test]
async fn prometheus_own_tool_finds_nothing_to_say() {
    let server = Process::start("").await;
    let id = server.create("demo").await;
    server.send(&id, "m1", "flood 20").await;
    server.until(&id, turn_of("m1")).await;
    server.send(&id, "m2", "crash").await;
    server.until(&id, is("transport.restarting")).await;
    let mut stream = server.follow(&id).await;
    stream.named("snapshot").await;
    let text = text(&server).await;
    for secret in [id.as_str(), server.token.as_deref().unwrap()] {
        assert!(!text.contains(secret), "{text}");
    }
    let mut tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool; scripts/setup installs it");
    tool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let said = tool.wait_with_output().unwrap();
    let words = [said.stdout, said.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(said.status.success() && words.iter().all(String::is_empty), "{words:?}\n{text}");
}

#[tokio::test]
async fn what_happens_to_events_and_streams_is_counted() {
    let server = Driven::start("[streams]\nmax_replay_gap = 5\n").await;
    let id = server.create("cat").await;
    server.send(&id, "m1", "1\n2\n3\n4\n5\n6\n7\n8").await;
    server.look_until(&id, |event| event["data"]["text"] == "8").await;
    let head = server.session(&id).await["head_seq"].as_u64().unwrap();
    let start = scrape(&server).await;
    assert_eq!(start["seawall_events_appended_total"], head as f64);
    assert_eq!(start["seawall_store_commit_events_sum"], head as f64);
    assert_eq!(
        start["seawall_store_commit_events_count"],
        start["seawall_store_commit_duration_seconds_count"]
    );

    let place = |seq: u64| format!("/v1/stream?sessions={id}&after={id}:{seq}");
    let mut near = server.stream(&place(head - 3)).await;
    near.named("snapshot").await;
    let mut far = server.stream(&place(head - 6)).await;
    assert_eq!(far.named("gap").await.0["reason"], "replay_cap");
    far.named("snapshot").await;
    let mut ahead = server.stream(&place(head + 6)).await;
    assert_eq!(ahead.named("gap").await.0["reason"], "cursor_ahead");
    ahead.named("snapshot").await;
    let mut unknown = server.stream(&format!("/v1/stream?sessions={id}&cursor=nonsense")).await;
    assert_eq!(unknown.named("gap").await.0["reason"], "unknown_cursor");
    unknown.named("snapshot").await;
    server.streams_open(4).await;
    let opened = scrape(&server).await;
    assert_grew(
        &start,
        &opened,
        &[
            ("seawall_events_replayed_total", 3.0),
            ("seawall_events_sent_total", 3.0),
            ("seawall_gaps_total{reason=\"replay_cap\"}", 1.0),
            ("seawall_gaps_total{reason=\"cursor_ahead\"}", 1.0),
            ("seawall_gaps_total{reason=\"unknown_cursor\"}", 1.0),
            ("seawall_gaps_total{reason=\"retention\"}", 0.0),
            ("seawall_http_requests_total{route=\"/v1/stream\",status=\"2xx\"}", 4.0),
        ],
    );
    assert_eq!(opened["seawall_streams_open"], 4.0);
    assert_eq!(opened["seawall_streams_max_lag_events"], 0.0);

    // One message is two events, and its echo a third, to each of four streams.
    server.send(&id, "m2", "more").await;
    for stream in [&mut near, &mut far, &mut ahead, &mut unknown] {
        stream.events_until(|event| event["data"]["text"] == "more").await;
    }
    server.get(&format!("/v1/sessions/{id}/events")).await.expect(200);
    server.get("/v1/sessions/nonsense").await.refused(404, "not_found");
    server.get("/nonsense").await.refused(404, "not_found");
    server.admin().post("/admin/sync", Value::Null).await.expect(200);
    assert_grew(
        &opened,
        &scrape(&server).await,
        &[
            ("seawall_events_appended_total", 3.0),
            ("seawall_events_sent_total", 12.0),
            ("seawall_events_replayed_total", 0.0),
            ("seawall_store_page_reads_total", 1.0),
            ("seawall_sync_ticks_total", 1.0),
            ("seawall_http_requests_total{route=\"/v1/sessions/{id}/events\",status=\"2xx\"}", 1.0),
            ("seawall_http_requests_total{route=\"/v1/sessions/{id}\",status=\"4xx\"}", 1.0),
            ("seawall_http_requests_total{route=\"other\",status=\"4xx\"}", 1.0),
            ("seawall_http_requests_total{route=\"/admin/sync\",status=\"2xx\"}", 1.0),
        ],
    );
}

/// A cursor below what is kept.
#[tokio::test]
async fn a_gap_for_retention_is_counted() {
    let server = Driven::start("[store]\nretention_events = 3").await;
    let id = server.create("cat").await;
    let mut watcher = server.follow(&id).await;
    server.send(&id, "m1", "1\n2\n3\n4\n5\n6\n7\n8").await;
    watcher.events_until(|event| event["data"]["text"] == "8").await;
    // Between two walks of retention over the sessions.
    server.advance(Duration::from_secs(60));
    within("retention", async {
        while server.row(&id, |_| true).await.first.0 == 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let before = scrape(&server).await;
    let mut late = server.stream(&format!("/v1/stream?sessions={id}&after={id}:1")).await;
    assert_eq!(late.named("gap").await.0["reason"], "retention");
    late.named("snapshot").await;
    let grown =
        [("seawall_gaps_total{reason=\"retention\"}", 1.0), ("seawall_events_replayed_total", 3.0)];
    assert_grew(&before, &scrape(&server).await, &grown);
}

#[tokio::test]
async fn restarts_are_counted_by_cause_and_interrupts_by_outcome() {
    let server = Driven::start("[supervision]\nmax_restarts = 5\n").await;
    let id = server.create("demo").await;
    let mut log = server.follow(&id).await;
    log.events_until(becomes("ACTIVE")).await;
    let before = scrape(&server).await;

    server.send(&id, "m1", "hang").await;
    log.events_until(is("agent.message")).await;
    assert!(server.interrupt(&id).await);
    log.events_until(is("interrupt.completed")).await;

    server.send(&id, "m2", "crash 7").await;
    log.events_until(is("transport.restarting")).await;
    server.advance(Duration::from_secs(10));
    log.events_until(becomes("ACTIVE")).await;
    server.send(&id, "m3", "crash signal").await;
    log.events_until(is("transport.restarting")).await;
    server.advance(Duration::from_secs(10));
    log.events_until(becomes("ACTIVE")).await;

    server.send(&id, "m4", "ignore-interrupt").await;
    log.events_until(is("agent.message")).await;
    assert!(server.interrupt(&id).await);
    server.settled(&id).await;
    for escalated_to in ["sigint", "restart"] {
        server.advance(Duration::from_secs(5));
        log.events_until(|event| event["data"]["escalated_to"] == escalated_to).await;
    }
    log.events_until(is("transport.restarting")).await;
    server.advance(Duration::from_secs(10));
    log.events_until(becomes("ACTIVE")).await;

    let kill = format!("/admin/sessions/{id}/kill");
    server.admin().post(&kill, json!({})).await.expect(202);
    log.events_until(is("transport.restarting")).await;

    let after = scrape(&server).await;
    assert_grew(
        &before,
        &after,
        &[
            ("seawall_interrupts_requested_total", 2.0),
            ("seawall_interrupts_total{outcome=\"completed\"}", 1.0),
            ("seawall_interrupts_total{outcome=\"escalated_to_sigint\"}", 1.0),
            ("seawall_interrupts_total{outcome=\"escalated_to_restart\"}", 1.0),
            ("seawall_interrupts_total{outcome=\"failed\"}", 0.0),
            ("seawall_restarts_total{cause=\"exit\"}", 1.0),
            ("seawall_restarts_total{cause=\"signal\"}", 1.0),
            ("seawall_restarts_total{cause=\"interrupt\"}", 1.0),
            ("seawall_restarts_total{cause=\"killed\"}", 1.0),
            ("seawall_restart_limit_reached_total", 0.0),
            ("seawall_invalid_transitions_total", 0.0),
        ],
    );
    assert_eq!(after["seawall_sessions{state=\"STARTING\"}"], 1.0);
    assert_eq!(after["seawall_sessions{state=\"ENDED\"}"], 0.0);
}

/// Contract 4, "Store faults": a kill acts on the child, whatever the store does.
#[tokio::test]
async fn what_a_store_does_not_take_is_counted_and_a_kill_acts_all_the_same() {
    let server = Driven::start("").await;
    let id = server.create("demo").await;
    server.send(&id, "m1", "hang").await;
    let mut log = server.follow(&id).await;
    log.events_until(is("agent.message")).await;
    let pid = server.session(&id).await["pid"].as_u64().unwrap();
    let before = scrape(&server).await;
    assert_eq!(before["seawall_sessions_held"], 0.0);

    fail::cfg("log::commit", "return").unwrap();
    assert!(server.interrupt(&id).await);
    let held = scrape_until(&server, |now| now["seawall_sessions_held"] == 1.0).await;
    assert!(held["seawall_events_held"] >= 1.0, "the interrupt at least");
    assert!(held["seawall_store_commit_failures_total"] >= 1.0);
    let kill = format!("/admin/sessions/{id}/kill");
    let answer = server.admin().post(&kill, json!({})).await.expect(202);
    assert_eq!(answer, json!({ "requested": true }));
    eventually("the child is gone", || !Path::new(&format!("/proc/{pid}")).exists());

    fail::remove("log::commit");
    scrape_until(&server, |now| {
        // The time after which the session tries again.
        server.advance(Duration::from_millis(500));
        now["seawall_events_held"] == 0.0 && now["seawall_sessions_held"] == 0.0
    })
    .await;
    log.events_until(is("transport.restarting")).await;
}

#[tokio::test]
async fn panics_are_counted_by_whose_they_were() {
    let folder = configured("");
    let mut command = Process::command(folder.path());
    command.env("FAILPOINTS", "registry::ask=1*panic;session::ask=1*panic");
    command.env("RUST_BACKTRACE", "0");
    let server = Process::start_as(command, folder).await;
    let id = server.create("demo").await;
    server.state(&id, "ACTIVE").await;
    // One that a panic was in the way of may be sent again.
    let sends = async { while server.try_send(&id, "m1", "hello").await.status != 202 {} };
    within("a receipt", sends).await;
    server.until(&id, turn_of("m1")).await;
    let now = scrape(&server).await;
    // The session's child went with the session.
    for (cause, count) in
        [("registry_panic", 1.0), ("session_panic", 1.0), ("protocol", 1.0), ("exit", 0.0)]
    {
        assert_eq!(now[&format!("seawall_restarts_total{{cause=\"{cause}\"}}")], count, "{cause}");
    }
}

#[tokio::test]
async fn gauges_tell_how_it_is_now() {
    let server = Driven::start("").await;
    let id = server.create("demo").await;
    server.send(&id, "m1", "hang").await;
    server.until(&id, is("agent.message")).await;
    server.send(&id, "m2", "waits").await;
    server.admin().post("/admin/drain", Value::Null).await.expect(200);
    let now = scrape(&server).await;
    for (name, value) in [
        ("seawall_messages_queued", 1.0),
        ("seawall_sessions_live", 1.0),
        ("seawall_draining", 1.0),
        ("seawall_events_held", 0.0),
        ("seawall_store_waiting_calls{queue=\"write\"}", 0.0),
        ("seawall_part_answers{part=\"registry\"}", 1.0),
        (concat!("seawall_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
    ] {
        assert_eq!(now[name], value, "{name}");
    }
    let free = now["seawall_store_disk_free_bytes"];
    assert!(free > 0.0 && now["seawall_store_size_bytes"] >= 4096.0, "{free}");
    assert!(now["process_open_fds"] > 10.0 && now["process_cpu_seconds_total"] >= 0.0);
}

/// Ours that the dashboard does not show, and why.
const NOT_SHOWN: [&str; 3] = [
    // Which way a stream's bytes take is nothing to watch.
    "seawall_streams_on_sockets",
    // It fills the lists of jobs and instances.
    "seawall_build_info",
    // Address space: it costs nothing.
    "process_virtual_memory_bytes",
];

fn dashboard() -> Value {
    serde_json::from_str(include_str!("../../../config/grafana.json")).unwrap()
}

/// Every query of a dashboard.
fn queries(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_dashboard_asks_for_what_there_is_and_shows_all_of_it() {
    let server = Driven::start("").await;
    let text = text(&server).await;
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let families: BTreeSet<&str> = names.map(|line| line.split(' ').next().unwrap()).collect();
    assert!(families.len() > 35, "{families:?}");
    let mut asked = BTreeSet::new();
    for query in queries(&dashboard()) {
        let words = query.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
        let named: Vec<_> = words
            .filter(|word| word.starts_with("seawall_") || word.starts_with("process_"))
            .collect();
        assert!(!named.is_empty(), "{query} asks for nothing of ours");
        for name in named {
            let parts = ["_bucket", "_sum", "_count"];
            let family = parts.iter().find_map(|part| {
                name.strip_suffix(part).filter(|family| families.contains(family))
            });
            let family = family.unwrap_or(name);
            assert!(families.contains(family), "{query}: there is no {family}");
            asked.insert(family.to_owned());
        }
    }
    let shown = |family: &&str| asked.contains(*family) || NOT_SHOWN.contains(family);
    let forgotten: Vec<_> = families.iter().filter(|family| !shown(family)).collect();
    assert!(forgotten.is_empty(), "neither shown nor left out: {forgotten:?}");
    let both: Vec<_> = NOT_SHOWN.iter().filter(|name| asked.contains(**name)).collect();
    assert!(both.is_empty(), "{both:?}");
}

#[test]
fn the_dashboard_has_one_source_and_its_panels_lie_side_by_side() {
    let dashboard = dashboard();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let sources: Vec<_> =
        variables.iter().filter(|variable| variable["type"] == "datasource").collect();
    assert_eq!(sources.len(), 1);
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 38, "that of Grafana 10");
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
    let mut rows = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}", panel["title"]);
        if panel["type"] == "row" {
            rows.push(panel["title"].as_str().unwrap());
        } else {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
            assert!(!panel["fieldConfig"]["defaults"]["unit"].is_null(), "{}", panel["title"]);
        }
        let number = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        let (x, y, w, h) = (number("x"), number("y"), number("w"), number("h"));
        assert!(x + w <= 24, "{}", panel["title"]);
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(cells.insert(cell), "{} lies over another", panel["title"]);
        }
    }
    assert_eq!(rows, ["Traffic", "Latency", "Streams and lag", "Supervision", "Store", "Process"]);
}
