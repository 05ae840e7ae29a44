//! Sessions for administrators: a line each, or one with all that is known of it.

use super::{Filter, show::rows};
use crate::{
    cli::{
        ls,
        output::Output,
        session_id::abbreviation,
        show as plain,
        table::Table,
        words::{ago, count, doing, size},
    },
    client::{Admin, SessionFilter},
    clock::Clock,
    domain::{SessionId, Timestamp},
    wire::admin::{AdminSession, FailureHistory},
};

pub(super) async fn list(server: &Admin, output: &Output, filter: Filter) -> anyhow::Result<()> {
    let Filter { state, agent, query } = filter;
    let filter = SessionFilter { state, agent, text: query, ..SessionFilter::default() };
    let page = async |filter: &SessionFilter| {
        server.sessions(filter).await.map(|page| (page.sessions, page.next_cursor))
    };
    let sessions = ls::all(output, filter, page).await?;
    if output.json {
        return Ok(sessions.iter().try_for_each(|session| output.object(session))?);
    }
    if sessions.is_empty() {
        output.remark("there are no such sessions");
        return Ok(());
    }
    Ok(table(output, &sessions).print(output)?)
}

fn table(output: &Output, sessions: &[AdminSession]) -> Table<11> {
    let ids: Vec<SessionId> = sessions.iter().map(|entry| entry.session.id).collect();
    // Programs get whole ids, people as much as they need to tell them apart.
    let width = if output.terminal { abbreviation(&ids) } else { usize::MAX };
    let now = Clock::system().now();
    let mut table = Table::new([
        "ID", "STATE", "DOING", "AGENT", "RUN", "PID", "MEMORY", "STREAMS", "LAG", "QUEUED",
        "CHANGED",
    ]);
    for AdminSession { session, watchers, child, lag, .. } in sessions {
        let dash = || "-".to_owned();
        let memory = child.and_then(|child| child.rss_bytes);
        table.row([
            session.id.to_string().chars().take(width).collect(),
            session.state.to_string(),
            doing(session),
            session.agent.clone(),
            session.run.to_string(),
            child.map_or_else(dash, |child| child.pid.to_string()),
            memory.map_or_else(dash, size),
            (watchers.active + watchers.suspended).to_string(),
            lag.to_string(),
            session.queued_messages.to_string(),
            ago(session.updated_at, now),
        ]);
    }
    table
}

pub(super) async fn show(server: &Admin, output: &Output, id: SessionId) -> anyhow::Result<()> {
    let session = server.session(id).await?;
    if output.json {
        return Ok(output.object(&session)?);
    }
    Ok(rows(output, &session_rows(&session, Clock::system().now()))?)
}

fn session_rows(entry: &AdminSession, now: Timestamp) -> Vec<(&'static str, String)> {
    let mut rows = plain::rows(&entry.session, now);
    if let Some(memory) = entry.child.and_then(|child| child.rss_bytes) {
        rows.push(("memory", size(memory)));
    }
    for message in entry.queue.iter().flatten() {
        let first = if message.interrupt { ", goes first" } else { "" };
        rows.push(("waits", format!("{} (event {}{first})", message.message_id, message.seq)));
    }
    for stream in &entry.streams {
        let background = if stream.suspended { ", in the background" } else { "" };
        rows.push((
            "stream",
            format!(
                "{} of {} at event {}, {} behind{background}",
                stream.connection_id,
                stream.credential,
                stream.cursor,
                count(stream.lag, "event")
            ),
        ));
    }
    if let Some(supervision) = &entry.supervision {
        rows.extend(failure_rows("agent", &supervision.child, now));
        rows.extend(failure_rows("session", &supervision.actor, now));
    }
    rows
}

/// None where nothing has failed.
fn failure_rows(
    what: &str,
    history: &FailureHistory,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let Some(last) = &history.last_failure else { return Vec::new() };
    let (limit, failures) = (history.policy.max_restarts, history.failures_in_window);
    let mut rows = vec![(
        "failed",
        format!(
            "{what}: {} in all, {failures} of {limit} allowed now; last {}: {}",
            history.failures,
            ago(last.at, now),
            last.cause
        ),
    )];
    if let Some(first) = history.first_failure.as_ref().filter(|first| *first != last) {
        rows.push(("", format!("{what}: it began {}: {}", ago(first.at, now), first.cause)));
    }
    rows
}
