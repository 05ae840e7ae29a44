//! The commands that steer or end a session: one call each, never repeated behind the caller's back.

use super::output::Output;
use crate::{client::Client, domain::SessionId};
use serde_json::json;
use std::time::Duration;

pub(super) async fn interrupt(
    client: &Client,
    output: &Output,
    id: SessionId,
) -> anyhow::Result<()> {
    let answer = client.interrupt(id).await?;
    if output.json {
        return Ok(output.object(&answer)?);
    }
    Ok(output.line(match answer.requested {
        true => "interrupt requested; `seawall events` tells the outcome",
        false => "there was nothing to interrupt",
    })?)
}

pub(super) async fn stop(
    client: &Client,
    output: &Output,
    id: SessionId,
    grace: Option<Duration>,
) -> anyhow::Result<()> {
    let answer = client.stop(id, grace).await?;
    if output.json {
        return Ok(output.object(&answer)?);
    }
    Ok(output.line("stop requested")?)
}

pub(super) async fn resume(client: &Client, output: &Output, id: SessionId) -> anyhow::Result<()> {
    let answer = client.resume(id).await?;
    if output.json {
        return Ok(output.object(&answer)?);
    }
    Ok(output.line("resume requested")?)
}

pub(super) async fn remove(client: &Client, output: &Output, id: SessionId) -> anyhow::Result<()> {
    client.delete_session(id).await?;
    if output.json {
        // The API answers with an empty body; this is what its list says of a removal.
        return Ok(output.object(&json!({ "session_id": id, "deleted": true }))?);
    }
    Ok(output.line(&format!("deleted {id}"))?)
}
