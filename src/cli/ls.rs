//! `seawall ls`: the sessions, newest activity first, once or as they change.

use super::{
    output::{Output, clean},
    session_id::abbreviation,
    words::{ago, doing},
};
use crate::{
    client::{Client, ClientError, ListChange, SessionFilter, StreamItem, StreamRequest},
    clock::Clock,
    domain::{SessionId, State, Timestamp},
    wire::api::SessionView,
};
use serde_json::json;
use std::collections::HashMap;

/// List sessions, newest activity first.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Ls {
    /// Follow the list: a line for every session that changes.
    #[arg(short, long)]
    watch: bool,
    /// Only sessions in this state, such as active or ended.
    #[arg(long, value_parser = parse_state)]
    pub(super) state: Option<State>,
    /// Only sessions of this agent profile.
    #[arg(long)]
    agent: Option<String>,
    /// Only sessions with this text in title, folder, agent or id.
    #[arg(short, long = "query", value_name = "TEXT")]
    query: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  seawall ls --state active
  seawall ls --watch
  seawall ls -q tests --json | jq -r .id";

/// How many sessions to list at most.
const LISTED: usize = 1000;

pub(super) fn parse_state(text: &str) -> Result<State, String> {
    text.to_ascii_uppercase().parse()
}

pub(super) async fn run(client: &Client, output: &Output, options: &Ls) -> anyhow::Result<()> {
    if options.watch {
        return watch(client, output, options).await;
    }
    let filter = SessionFilter {
        state: options.state,
        agent: options.agent.clone(),
        text: options.query.clone(),
        ..SessionFilter::default()
    };
    let page = async |filter: &SessionFilter| {
        client.sessions(filter).await.map(|page| (page.sessions, page.next_cursor))
    };
    show(output, &all(output, filter, page).await?)
}

/// Page after page of sessions, up to [`LISTED`].
pub(super) async fn all<T>(
    output: &Output,
    mut filter: SessionFilter,
    page: impl AsyncFn(&SessionFilter) -> Result<(Vec<T>, Option<String>), ClientError>,
) -> Result<Vec<T>, ClientError> {
    filter.limit = Some(200);
    let mut all = Vec::new();
    loop {
        let (sessions, next) = page(&filter).await?;
        all.extend(sessions);
        filter.cursor = next;
        if filter.cursor.is_none() {
            return Ok(all);
        }
        if all.len() >= LISTED {
            output
                .remark("only the newest are listed; narrow the list with --state, --agent or -q");
            return Ok(all);
        }
    }
}

fn show(output: &Output, sessions: &[SessionView]) -> anyhow::Result<()> {
    if output.json {
        return Ok(sessions.iter().try_for_each(|session| output.object(session))?);
    }
    if sessions.is_empty() {
        output.remark("there are no sessions; `seawall new AGENT` makes one");
        return Ok(());
    }
    let id_width = id_width(output, sessions);
    if output.terminal {
        output.line(&header(id_width))?;
    }
    let now = Clock::system().now();
    Ok(sessions.iter().try_for_each(|session| output.line(&row(session, id_width, now)))?)
}

/// Programs get whole ids, people as much as they need to tell them apart.
fn id_width(output: &Output, sessions: &[SessionView]) -> usize {
    let ids: Vec<SessionId> = sessions.iter().map(|session| session.id).collect();
    if output.terminal {
        abbreviation(&ids)
    } else {
        ids.first().map_or(0, |id| id.to_string().len())
    }
}

fn header(id_width: usize) -> String {
    format!(
        "{:<id_width$}  {:<9}  {:<15}  {:<10}  {:<8}  TITLE",
        "ID", "STATE", "DOING", "AGENT", "CHANGED"
    )
}

fn row(session: &SessionView, id_width: usize, now: Timestamp) -> String {
    let id = session.id.to_string();
    let row = format!(
        "{:<id_width$}  {:<9}  {:<15}  {:<10}  {:<8}  {}",
        &id[..id_width.min(id.len())],
        session.state.as_str(),
        doing(session),
        clean(&session.agent),
        ago(session.updated_at, now),
        session.title.as_deref().unwrap_or_default().replace('\n', " "),
    );
    row.trim_end().to_owned()
}

async fn watch(client: &Client, output: &Output, options: &Ls) -> anyhow::Result<()> {
    let mut stream = client.stream(StreamRequest::list());
    let mut known = HashMap::new();
    let mut met = false;
    while let Some(item) = stream.next().await? {
        let changed = match item {
            StreamItem::Welcome(_) => {
                met = true;
                continue;
            }
            StreamItem::Lost(lost) if !met => return Err(lost.cause.into()),
            StreamItem::Lost(lost) => {
                output.remark(&format!("{}; trying again", lost.cause));
                continue;
            }
            StreamItem::Sessions(sessions) => sessions,
            StreamItem::Session(change) => match *change {
                ListChange::Changed(session) => vec![session],
                ListChange::Deleted(id) => {
                    if known.remove(&id).is_some() {
                        show_removal(output, id)?;
                    }
                    continue;
                }
            },
            _ => continue,
        };
        // A reconnect brings the whole list again: only what is new of it is shown.
        let news: Vec<_> = changed
            .into_iter()
            .filter(|session| options.admits(session))
            .filter(|session| {
                known.insert(session.id, session.updated_at) != Some(session.updated_at)
            })
            .collect();
        show_news(output, &news)?;
    }
    Ok(())
}

fn show_news(output: &Output, sessions: &[SessionView]) -> anyhow::Result<()> {
    let now = Clock::system().now();
    for session in sessions {
        match output.json {
            true => output.object(session)?,
            false => output.line(&row(session, session.id.to_string().len(), now))?,
        }
    }
    Ok(())
}

fn show_removal(output: &Output, id: SessionId) -> anyhow::Result<()> {
    match output.json {
        true => output.object(&json!({ "session_id": id, "deleted": true }))?,
        false => output.line(&format!("{id}  deleted"))?,
    }
    Ok(())
}

impl Ls {
    /// The list stream takes no filter: what the server does for a page is done here for a change.
    fn admits(&self, session: &SessionView) -> bool {
        let found = |text: &str, query: &str| {
            text.to_ascii_lowercase().contains(&query.to_ascii_lowercase())
        };
        let id = session.id.to_string();
        self.state.is_none_or(|state| state == session.state)
            && self.agent.as_ref().is_none_or(|agent| *agent == session.agent)
            && self.query.as_ref().is_none_or(|query| {
                let title = session.title.as_deref().unwrap_or_default();
                [title, &session.cwd, &session.agent, &id].iter().any(|text| found(text, query))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> SessionView {
        serde_json::from_value(json!({
            "id": "0198c2f4-0000-7000-8000-000000000000", "agent": "demo", "title": "fix\nthe Tests\u{1b}[2J",
            "cwd": "/srv/app", "state": "ENDED", "client_state": "idle", "end_reason": "restart_limit",
            "run": 4, "head_seq": 9, "pid": null, "restarts": 3, "pending_permissions": [],
            "pending_questions": [], "queued_messages": 0,
            "created_at": "2026-11-23T08:20:01.123Z", "updated_at": "2026-11-23T08:20:01.123Z",
        }))
        .unwrap()
    }

    #[test]
    fn a_row_says_what_ended_and_stays_one_line() {
        let session = session();
        let row = row(&session, 8, session.updated_at);
        assert_eq!(
            row,
            "0198c2f4  ENDED      restart limit    demo        0s ago    fix the Tests\u{1b}[2J",
            "cleaned by whoever writes it"
        );
        assert_eq!(header(8).find("TITLE"), row.find("fix"));
    }

    #[test]
    fn a_watched_list_is_filtered_as_the_server_does() {
        let query =
            |text: &str| Ls { watch: true, state: None, agent: None, query: Some(text.into()) };
        for (text, admitted) in [("tests", true), ("SRV", true), ("0198C", true), ("absent", false)]
        {
            assert_eq!(query(text).admits(&session()), admitted, "{text}");
        }
        let active = Ls { watch: true, state: Some(State::Active), agent: None, query: None };
        assert!(!active.admits(&session()));
    }
}
