//! `seawall show`: one session as it stands.

use super::{
    output::Output,
    words::{ago, doing},
};
use crate::{
    client::Client,
    clock::Clock,
    domain::{SessionId, Timestamp},
    wire::api::SessionView,
};

pub(super) async fn run(client: &Client, output: &Output, id: SessionId) -> anyhow::Result<()> {
    let session = client.session(id).await?;
    if output.json {
        return Ok(output.object(&session)?);
    }
    for (name, value) in rows(&session, Clock::system().now()) {
        output.line(&format!("{name:<9}{value}"))?;
    }
    Ok(())
}

pub(super) fn rows(session: &SessionView, now: Timestamp) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("id", session.id.to_string()),
        ("title", session.title.clone().unwrap_or_default()),
        ("agent", session.agent.clone()),
        ("folder", session.cwd.clone()),
        ("state", format!("{}, {}", session.state, doing(session))),
        ("run", format!("{} ({} restarts)", session.run, session.restarts)),
        ("pid", session.pid.map(|pid| pid.to_string()).unwrap_or_default()),
        ("events", session.head_seq.to_string()),
        ("queued", session.queued_messages.to_string()),
        ("created", format!("{} ({})", session.created_at, ago(session.created_at, now))),
        ("changed", format!("{} ({})", session.updated_at, ago(session.updated_at, now))),
    ];
    for permission in &session.pending_permissions {
        let names: Vec<_> = permission.options.iter().map(|option| option.name.as_str()).collect();
        rows.push(("asks", format!("{}; expires {}", names.join(" / "), permission.expires_at)));
    }
    for question in &session.pending_questions {
        rows.push(("asks", format!("a question; expires {}", question.expires_at)));
    }
    rows.retain(|row| !row.1.is_empty());
    rows
}
