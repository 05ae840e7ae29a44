//! Servers that are broken on purpose, at many places and for long: panics at every fault point, interrupts of children that
//! misbehave, children that come and go. `SEAWALL_STORM=full` raises the figures; a seed is printed with every failure.

mod client;
mod follower;
mod health;
mod interrupts;
mod panics;
mod rounds;

use crate::support::*;
use client::{Client, attempt};
use follower::Follower;
use health::Health;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// What takes longer than this in a storm is stuck.
const STORM_PATIENCE: Duration = Duration::from_secs(1200);

fn seed() -> u64 {
    let seed = Random::given_seed("SEAWALL_SEED").unwrap_or_else(Random::fresh_seed);
    eprintln!("SEAWALL_SEED={seed}");
    seed
}

/// Makes sessions, these agents in turn, on a server that fails now and then.
async fn create(api: &Api, agents: &[&str], count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for agent in agents.iter().cycle().take(count) {
        let id = uuid::Uuid::now_v7().to_string();
        let body = json!({ "agent": agent, "session_id": id });
        let start = Instant::now();
        loop {
            match attempt(api.request("POST", "/v1/sessions").json(&body)).await {
                Some((200 | 201, _)) => break,
                None | Some((500 | 503, _)) => {}
                Some(other) => panic!("{other:?}"),
            }
            assert!(start.elapsed() < PATIENCE, "{id} cannot be made");
        }
        ids.push(id);
    }
    ids
}

/// Asks a session for one more message until nothing is open or queued in it any more.
async fn settle(api: &Api, id: &str, client: &mut Client, interrupts: bool) {
    let message = client.write(id, "the last one");
    let start = Instant::now();
    loop {
        client.post(api, &message).await;
        if interrupts {
            let path = format!("/v1/sessions/{id}/interrupt");
            attempt(api.request("POST", &path).json(&json!({}))).await;
        }
        let row = attempt(api.request("GET", &format!("/v1/sessions/{id}"))).await;
        // A message that was just dispatched is in no queue any more and in no turn yet: its end has to be seen.
        if let Some((200, row)) = &row
            && client.is_acknowledged(&message)
            && (&row["client_state"], &row["queued_messages"]) == (&json!("idle"), &json!(0))
            && client.has_ended(&message, &events(api, id).await)
        {
            return;
        }
        assert!(start.elapsed() < STORM_PATIENCE / 4, "{id} does not settle: {row:?}");
        tokio::task::yield_now().await;
    }
}

/// What a storm has done, for the report.
#[derive(Debug, Default)]
struct Summary {
    acknowledged: usize,
    events: u64,
    turns: usize,
    uncertain: usize,
    gaps: usize,
    reconnects: usize,
}

/// The oracle: every acknowledged message once in the log, dispatched once at most, and with an end; all followers saw all.
async fn judge(api: &Api, clients: &[Client], followers: Vec<Follower>) -> Summary {
    let mut summary = Summary::default();
    let mut heads = BTreeMap::new();
    for client in clients {
        for (id, is_plain) in &client.sessions {
            let events = events(api, id).await;
            client.check(id, *is_plain, &events);
            heads.insert(id.clone(), events.len() as u64);
            summary.events += events.len() as u64;
            summary.turns += of_type(&events, "turn.ended").len();
            let failed = of_type(&events, "message.failed");
            summary.uncertain += failed.iter().filter(|e| e["data"]["uncertain"] == true).count();
        }
        summary.acknowledged += client.acknowledged();
    }
    for mut follower in followers {
        follower.catch_up(api, &heads).await;
        summary.gaps += follower.gaps;
        summary.reconnects += follower.opened - 1;
    }
    summary
}

/// All events of a session, from a server that may still fail now and then.
async fn events(api: &Api, id: &str) -> Vec<Value> {
    let (mut events, start) = (Vec::<Value>::new(), Instant::now());
    loop {
        let path = format!("/v1/sessions/{id}/events?after={}&limit=1000", events.len());
        match attempt(api.request("GET", &path)).await {
            Some((200, page)) => {
                events.extend(page["events"].as_array().expect("events").iter().cloned());
                if page["has_more"] == false {
                    return events;
                }
            }
            None | Some((500 | 503, _)) => assert!(start.elapsed() < PATIENCE, "{path}"),
            Some(other) => panic!("{path}: {other:?}"),
        }
    }
}

/// The events that concern one message.
fn about<'a>(events: &'a [Value], message_id: &str) -> Vec<&'a str> {
    let is_about = |event: &&Value| event["data"]["message_id"] == message_id;
    events.iter().filter(is_about).filter_map(|event| event["type"].as_str()).collect()
}
