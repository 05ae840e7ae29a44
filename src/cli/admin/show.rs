//! The server as a whole for people: its numbers, its configuration, and what a reload did.

use crate::{
    cli::{
        output::Output,
        table::Table,
        words::{count, size, span},
    },
    client::Admin,
    wire::admin::Status,
};
use std::{io, time::Duration};

pub(super) async fn status(server: &Admin, output: &Output) -> anyhow::Result<()> {
    let status = server.status().await?;
    if output.json {
        return Ok(output.object(&status)?);
    }
    Ok(rows(output, &status_rows(&status))?)
}

/// Names and what they are, below each other.
pub(super) fn rows(output: &Output, rows: &[(&str, String)]) -> io::Result<()> {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 2;
    rows.iter().try_for_each(|(name, value)| output.line(&format!("{name:<width$}{value}")))
}

fn status_rows(status: &Status) -> Vec<(&'static str, String)> {
    let Status { sessions, streams, store, .. } = status;
    let states = sessions.by_state.iter().map(|(state, number)| format!("{number} {state}"));
    let states: Vec<_> = states.collect();
    let states = if states.is_empty() { "none".into() } else { states.join(", ") };
    let behind = match streams.behind {
        0 => "none behind".into(),
        behind => format!("{behind} behind, by {} at most", count(streams.max_lag, "event")),
    };
    let free = store.free_bytes.map(|free| format!(", {} free", size(free))).unwrap_or_default();
    let up = span(Duration::from_millis(status.uptime_ms));
    let draining = if status.draining { ", draining: no new work is taken" } else { "" };
    vec![
        ("server", format!("seawall {}, up {up}{draining}", status.version)),
        ("sessions", states),
        (
            "places",
            format!(
                "{} taken, {} waiting for one; {} of the live ones' agents",
                sessions.live,
                sessions.waiting,
                count(sessions.restarts, "restart")
            ),
        ),
        ("queued", count(status.queued_messages, "message")),
        (
            "streams",
            format!("{} open, {} in the background, {behind}", streams.open, streams.suspended),
        ),
        (
            "store",
            format!("{}{free}; {} of events", size(store.bytes), count(store.pages_read, "read")),
        ),
    ]
}

pub(super) async fn config(server: &Admin, output: &Output) -> anyhow::Result<()> {
    let config = server.config().await?;
    if output.json {
        return Ok(output.object(&config)?);
    }
    let mut table = Table::new(["KEY", "VALUE", "FROM"]);
    for value in config.values {
        let shown = match value.value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        table.row([value.key, shown, value.origin]);
    }
    Ok(table.print(output)?)
}

pub(super) async fn reload(server: &Admin, output: &Output) -> anyhow::Result<()> {
    let reloaded = server.reload().await?;
    if output.json {
        return Ok(output.object(&reloaded)?);
    }
    if reloaded.changed.is_empty() && reloaded.needs_restart.is_empty() {
        return Ok(output.line("nothing has changed")?);
    }
    for key in &reloaded.changed {
        output.line(&format!("{key}: in use now"))?;
    }
    for key in &reloaded.needs_restart {
        output.line(&format!("{key}: needs a restart"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_status_is_read_in_six_lines() {
        let status: Status = serde_json::from_value(json!({
            "version": "0.1.0", "uptime_ms": 3_720_000, "draining": true,
            "sessions": {"by_state": {"ACTIVE": 2, "ENDED": 1}, "live": 2, "waiting": 0, "restarts": 1},
            "queued_messages": 1,
            "streams": {"open": 3, "suspended": 1, "behind": 1, "max_lag": 7},
            "store": {"bytes": 4096, "free_bytes": null, "pages_read": 0},
        }))
        .unwrap();
        let lines: Vec<_> = status_rows(&status)
            .into_iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        assert_eq!(
            lines,
            [
                "server: seawall 0.1.0, up 1h 2m, draining: no new work is taken",
                "sessions: 2 ACTIVE, 1 ENDED",
                "places: 2 taken, 0 waiting for one; 1 restart of the live ones' agents",
                "queued: 1 message",
                "streams: 3 open, 1 in the background, 1 behind, by 7 events at most",
                "store: 4.0 KiB; 0 reads of events",
            ]
        );
    }
}
