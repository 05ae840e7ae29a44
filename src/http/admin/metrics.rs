//! The server in numbers for Prometheus: which there are, what they are called, and their text. The counts are the rooms'
//! own, and all else is looked up for each scrape: a registry of the library's would keep every number twice.

mod exposition;

use super::in_time;
use crate::{
    domain::State,
    http::{App, auth::Admin, error::Failure, openapi::Operating, requests::CLASSES},
    metrics::{Counter, Gap, Interrupt, Restart},
    process::usage::{self, Usage},
    registry::Overview,
    store::StoreStats,
    supervise::pulse::Part,
};
use actix_web::{HttpResponse, web::Data};
use exposition::{Exposition, NANOS_PER_SECOND};

/// Metrics for Prometheus
///
/// What cannot be told at the moment, because the registry or the store does not answer, is left out.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, description = "Prometheus text", body = String, content_type = "text/plain"),
        crate::http::openapi::Guarded, Operating))]
pub(super) async fn serve(_: Admin, app: Data<App>) -> Result<HttpResponse, Failure> {
    let (overview, stats, usage) = tokio::join!(
        in_time(&app, app.registry.overview()),
        in_time(&app, app.log.stats()),
        tokio::task::spawn_blocking(usage::own),
    );
    let mut text = Exposition::default();
    of_server(&app, &mut text);
    of_events(&app, &mut text);
    of_sockets(&app, &mut text);
    of_sessions(&app, &mut text);
    of_requests(&app, &mut text);
    if let Some(overview) = overview.flatten() {
        of_registry(&overview, &mut text);
    }
    if let Some(Ok(stats)) = stats {
        of_store(&stats, &mut text);
    }
    if let Ok(Some(usage)) = usage {
        of_process(&usage, &mut text);
    }
    let text = text.encode().map_err(|error| Failure::internal(&error.to_string()))?;
    Ok(HttpResponse::Ok().content_type(prometheus::TEXT_FORMAT).body(text))
}

fn of_server(app: &App, text: &mut Exposition) {
    let version = [([("version", env!("CARGO_PKG_VERSION"))], 1.0)];
    text.gauges("seawall_build_info", "The version that runs; always 1.", version);
    let draining = f64::from(u8::from(*app.registry.draining().borrow()));
    text.gauge("seawall_draining", "1 while the server takes no new work.", draining);
    let parts = Part::ALL.map(|part| {
        let answers = app.pulse.silent_since(part).is_none();
        ([("part", part.name())], f64::from(u8::from(answers)))
    });
    text.gauges("seawall_part_answers", "0 while a core part of the server hangs.", parts);
}

/// From the child into the log and out to the streams.
fn of_events(app: &App, text: &mut Exposition) {
    let (metrics, store) = (&app.metrics, app.log.metrics());
    text.counter(
        "seawall_events_appended_total",
        "Events that were committed to the log.",
        &store.appended_events,
    );
    text.counter(
        "seawall_events_sent_total",
        "Events that were written to streams, counted for each stream.",
        &metrics.sent_events,
    );
    text.counter(
        "seawall_events_replayed_total",
        "Events among those sent that a stream had missed before it was live.",
        &metrics.replayed_events,
    );
    text.gauge(
        "seawall_events_held",
        "Events that wait because the store does not take them.",
        metrics.held_events.get() as f64,
    );
    text.gauge(
        "seawall_sessions_held",
        "Sessions with events that the store does not take.",
        app.log.held().len() as f64,
    );
    text.counters(
        "seawall_gaps_total",
        "Gaps that streams were told of, by reason.",
        Gap::ALL.map(|reason| ([("reason", reason.word())], metrics.gaps.of(reason))),
    );
    text.histogram("seawall_store_commit_events", "Events in one commit.", &store.commit_size, 1);
    text.histogram(
        "seawall_store_commit_duration_seconds",
        "How long a commit with events took.",
        &store.commit_time,
        NANOS_PER_SECOND,
    );
    text.counter(
        "seawall_store_commit_failures_total",
        "Commits that failed and were rolled back.",
        &store.failed_commits,
    );
    text.counter(
        "seawall_store_page_reads_total",
        "Reads of events from the store, by history and by streams that are behind what is in memory.",
        &store.pages_read,
    );
    let waiting = [("write", &store.waiting_writes), ("read", &store.waiting_reads)];
    text.gauges(
        "seawall_store_waiting_calls",
        "Calls that wait for the store's threads.",
        waiting.map(|(queue, gauge)| ([("queue", queue)], gauge.get() as f64)),
    );
}

fn of_sockets(app: &App, text: &mut Exposition) {
    text.gauge(
        "seawall_streams_on_sockets",
        "Open streams that write to their socket themselves: those without TLS.",
        app.streams_on_sockets() as f64,
    );
}

/// What became of sessions and of their children.
fn of_sessions(app: &App, text: &mut Exposition) {
    let metrics = &app.metrics;
    text.counters(
        "seawall_restarts_total",
        "Restarts of agents, sessions and the registry, by cause.",
        Restart::ALL.map(|cause| ([("cause", cause.word())], metrics.restarts.of(cause))),
    );
    text.counter(
        "seawall_restart_limit_reached_total",
        "Sessions that ended because their agent failed too often.",
        &metrics.gave_up,
    );
    text.counter(
        "seawall_interrupts_requested_total",
        "Interrupts that were begun.",
        &metrics.interrupts_requested,
    );
    text.counters(
        "seawall_interrupts_total",
        "Outcomes of interrupts; one that was escalated has another one later.",
        Interrupt::ALL
            .map(|outcome| ([("outcome", outcome.word())], metrics.interrupts.of(outcome))),
    );
    text.counter(
        "seawall_invalid_transitions_total",
        "Changes of a session's state that were refused as illegal: each is a defect.",
        &metrics.invalid_transitions,
    );
    text.counter(
        "seawall_late_reports_total",
        "Reports of an agent's earlier run that were dropped.",
        &metrics.late_reports,
    );
    text.counter(
        "seawall_sync_ticks_total",
        "Comparisons of all streams with the heads of their sessions.",
        &metrics.sync_ticks,
    );
    text.counter(
        "seawall_sync_nudges_total",
        "Streams that a tick found behind and woke.",
        &metrics.sync_nudges,
    );
}

fn of_requests(app: &App, text: &mut Exposition) {
    let by_class = |(route, counts): (_, [&Counter; CLASSES.len()])| {
        let labels = move |class| [("route", route), ("status", class)];
        std::array::from_fn::<_, { CLASSES.len() }, _>(|class| {
            // Copied: what is counted meanwhile comes with the next scrape.
            (labels(CLASSES[class]), counts[class].get() as f64)
        })
    };
    text.counted(
        "seawall_http_requests_total",
        "Requests that were answered, by route and class of status; a stream counts when it begins.",
        app.requests.counts().flat_map(by_class),
    );
}

fn of_registry(overview: &Overview, text: &mut Exposition) {
    let streams = &overview.connections;
    let lags: Vec<u64> = streams.iter().map(|stream| stream.lag()).collect();
    let suspended = streams.iter().filter(|stream| stream.is_suspended()).count();
    let behind = lags.iter().filter(|lag| **lag > 0).count();
    let max_lag = lags.iter().copied().max().unwrap_or(0);
    for (name, help, value) in [
        ("seawall_streams_open", "Open streams.", streams.len() as f64),
        ("seawall_streams_suspended", "Open streams that are in the background.", suspended as f64),
        ("seawall_streams_behind", "Open streams that have events to come.", behind as f64),
        (
            "seawall_streams_max_lag_events",
            "The most events that one stream is behind.",
            max_lag as f64,
        ),
        (
            "seawall_streams_summed_lag_events",
            "Events that all streams together are behind.",
            lags.iter().sum::<u64>() as f64,
        ),
        (
            "seawall_sessions_live",
            "Sessions that take a place under sessions.max_live.",
            overview.live as f64,
        ),
        (
            "seawall_sessions_waiting",
            "Sessions that wait for such a place.",
            overview.waiting as f64,
        ),
    ] {
        text.gauge(name, help, value);
    }
}

fn of_store(stats: &StoreStats, text: &mut Exposition) {
    let count = |state| stats.sessions.get(&state).copied().unwrap_or(0) as f64;
    text.gauges(
        "seawall_sessions",
        "Sessions in the store, by state.",
        State::ALL.map(|state| ([("state", state.as_str())], count(state))),
    );
    text.gauge(
        "seawall_messages_queued",
        "Accepted messages that are neither dispatched nor failed.",
        stats.queued as f64,
    );
    text.gauge(
        "seawall_store_size_bytes",
        "What the store takes on disk, with what it keeps for reuse.",
        stats.bytes as f64,
    );
    if let Some(free) = stats.free_bytes {
        text.gauge(
            "seawall_store_disk_free_bytes",
            "What is free on the store's disk.",
            free as f64,
        );
    }
}

/// Under the names that all programs have for these.
fn of_process(usage: &Usage, text: &mut Exposition) {
    let cpu = [([], usage.cpu_seconds)];
    let help = "User and system CPU time together, in seconds.";
    text.counted::<0>("process_cpu_seconds_total", help, cpu);
    for (name, help, value) in [
        ("process_resident_memory_bytes", "Resident memory.", Some(usage.resident_bytes as f64)),
        ("process_virtual_memory_bytes", "Virtual memory.", Some(usage.virtual_bytes as f64)),
        ("process_threads", "Threads.", Some(usage.threads as f64)),
        ("process_open_fds", "Open file descriptors.", Some(usage.open_files as f64)),
        (
            "process_max_fds",
            "File descriptors that may be open.",
            usage.max_files.map(|files| files as f64),
        ),
        (
            "process_start_time_seconds",
            "When the process was started, in seconds since 1970.",
            Some(usage.started_seconds),
        ),
    ] {
        if let Some(value) = value {
            text.gauge(name, help, value);
        }
    }
}
