//! `seawall new`: makes a session, once, even where the first answer is lost.

use super::{attach, output::Output};
use crate::{
    client::{Client, SendOptions},
    domain::{MessageId, SessionId},
    wire::api::{CreateSession, SendMessage},
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Make a session, and give it its first message.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct New {
    /// The agent profile, as in the server's configuration; `demo` is built in.
    agent: String,
    /// The first message.
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// The folder in which the agent works, on the server [else the profile's].
    #[arg(long, value_name = "FOLDER")]
    cwd: Option<String>,
    /// A name for lists.
    #[arg(long)]
    title: Option<String>,
    /// Follow the session at once.
    #[arg(long)]
    attach: bool,
}

const EXAMPLES: &str = "\
Examples:
  seawall new demo -m 'hello' --attach
  id=$(seawall new claude --cwd /srv/app --title 'fix the build' -m 'make the tests pass')";

pub(super) async fn run(client: &Client, output: &Output, options: New) -> anyhow::Result<()> {
    let body = CreateSession {
        agent: options.agent,
        cwd: options.cwd,
        title: options.title,
        env: BTreeMap::new(),
        message: options.message.map(|text| message(text, None)),
        // Chosen here, so that asking again cannot make a second session.
        session_id: Some(SessionId::from_uuid(Uuid::now_v7())),
    };
    let created = output.patiently(client.create(&body, SendOptions::default())).await?;
    match (output.json, options.attach) {
        (true, _) => output.object(&created)?,
        (false, false) => output.line(&created.session.id.to_string())?,
        (false, true) => {}
    }
    match options.attach {
        true => attach::run(client, output, created.session.id, Some(0)).await,
        false => Ok(()),
    }
}

/// A message of plain text; `id`: chosen by whoever may send it again, else a fresh one.
pub(super) fn message(text: String, id: Option<MessageId>) -> SendMessage {
    let fresh = || {
        MessageId::try_from(Uuid::now_v7().to_string())
            .expect("a UUID is 36 visible ASCII characters")
    };
    SendMessage {
        message_id: id.unwrap_or_else(fresh),
        content: None,
        text: Some(text),
        interrupt: false,
    }
}
