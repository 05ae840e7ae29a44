//! Open streams for administrators: a line each, and the closing of one.

use crate::{
    cli::{
        failure::{Unsuccessful, Usage},
        output::Output,
        table::Table,
        words::{ago, size},
    },
    client::Admin,
    clock::Clock,
    domain::ConnectionId,
    wire::admin::ConnectionView,
};
use serde_json::json;

pub(super) async fn list(server: &Admin, output: &Output) -> anyhow::Result<()> {
    let streams = server.connections().await?.connections;
    if output.json {
        return Ok(streams.iter().try_for_each(|stream| output.object(stream))?);
    }
    if streams.is_empty() {
        output.remark("there are no open streams");
        return Ok(());
    }
    let now = Clock::system().now();
    let mut table =
        Table::new(["ID", "CREDENTIAL", "FROM", "OPENED", "SENT", "LAG", "STATE", "SESSIONS"]);
    for stream in streams {
        let state = if stream.suspended { "background" } else { "open" };
        let sessions = stream.sessions.iter().map(|followed| {
            let id = followed.session_id.to_string();
            format!("{}@{}", &id[..8], followed.cursor)
        });
        let sessions = sessions.collect::<Vec<_>>().join(" ");
        table.row([
            stream.id.to_string(),
            stream.credential,
            stream.peer.unwrap_or_else(|| "-".into()),
            ago(stream.opened_at, now),
            size(stream.bytes),
            stream.lag.to_string(),
            state.into(),
            sessions,
        ]);
    }
    Ok(table.print(output)?)
}

pub(super) async fn disconnect(server: &Admin, output: &Output, text: &str) -> anyhow::Result<()> {
    let id = match text.parse() {
        Ok(id) => id,
        Err(_) => pick(text, &server.connections().await?.connections)?,
    };
    server.disconnect(id).await?;
    if output.json {
        // The API answers with an empty body.
        return Ok(output.object(&json!({ "connection_id": id, "closed": true }))?);
    }
    Ok(output.line(&format!("closed {id}"))?)
}

/// The stream that a prefix means.
fn pick(text: &str, streams: &[ConnectionView]) -> anyhow::Result<ConnectionId> {
    let prefix = text.to_ascii_lowercase();
    let ids = streams.iter().map(|stream| stream.id);
    let fitting: Vec<_> = ids.filter(|id| id.to_string().starts_with(&prefix)).collect();
    match fitting[..] {
        [id] => Ok(id),
        [] => Err(Unsuccessful(format!(
            "there is no stream `{text}`; `seawall admin connections` lists them"
        ))
        .into()),
        _ => Err(Usage(format!("`{text}` fits several streams; give more characters")).into()),
    }
}
