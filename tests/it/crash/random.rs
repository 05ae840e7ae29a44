//! Servers killed at random moments, round after round on one data folder, against an oracle of what was acknowledged.
//! The seed is printed with a failure; `SEAWALL_SEED=… cargo test` runs the same choices again.

use super::last_state;
use crate::support::{
    Api, Process, Random, StoredSession, assert_dense, assert_no_process_in, of_type,
    read_database, size,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};
use tokio::sync::mpsc;

fn random() -> Random {
    let seed = Random::given_seed("SEAWALL_SEED").unwrap_or_else(Random::fresh_seed);
    eprintln!("SEAWALL_SEED={seed}");
    Random::new(seed)
}

/// What a client knows of one message.
#[derive(Clone, Debug)]
struct Sent {
    message_id: String,
    /// None: no answer came, so it may or may not be there.
    seq: Option<u64>,
}

/// Sends until the server is gone; tells of each message at once. Those without an answer are sent again first.
async fn sender(
    api: Api,
    id: String,
    texts: Vec<(String, String)>,
    told: mpsc::UnboundedSender<Sent>,
) {
    for (message_id, text) in texts {
        let body = json!({"message_id": message_id, "text": text});
        let request = api.request("POST", &format!("/v1/sessions/{id}/messages")).json(&body);
        let answer = async {
            let response = request.send().await.ok()?;
            let status = response.status();
            let body: Value = response.json().await.ok()?;
            assert_eq!(status, 202, "{body}");
            body["seq"].as_u64()
        };
        let seq = answer.await;
        let is_gone = seq.is_none();
        let _ = told.send(Sent { message_id, seq });
        if is_gone {
            return;
        }
    }
}

/// Rows and events are written together or not at all (scenario 11).
#[track_caller]
pub(super) fn assert_row_and_events_agree(stored: &StoredSession) {
    let StoredSession { row, state, events } = stored;
    assert_dense(events, 1);
    let last = last_state(events);
    assert_eq!(row["state"].as_str(), Some(last.0));
    assert_eq!(state, last.0);
    assert_eq!(
        row["run"],
        events.iter().map(|event| event["run"].as_u64().unwrap()).max().unwrap()
    );
    let reason = row["end_reason"].as_str().unwrap_or_default();
    assert!(last.0 != "ENDED" || reason == last.1, "{reason} is not {last:?}");
    let begun = of_type(events, "turn.started").len();
    let ended = of_type(events, "turn.ended").len();
    assert_eq!(begun - ended, usize::from(row["turn"].is_object()), "{row}");
}

/// One session of the test with its oracle.
struct Followed {
    id: String,
    text: fn(&str) -> String,
    acknowledged: BTreeMap<String, u64>,
    unanswered: BTreeSet<String>,
}

impl Followed {
    fn new(id: String, text: fn(&str) -> String) -> Self {
        Self { id, text, acknowledged: BTreeMap::new(), unanswered: BTreeSet::new() }
    }

    /// What to send in a round: first again what had no answer, then new ones.
    fn texts(&self, round: usize) -> Vec<(String, String)> {
        let fresh = (0..40).map(|number| format!("{round}.{number}"));
        let ids = self.unanswered.iter().cloned().chain(fresh);
        ids.map(|id| (id.clone(), (self.text)(&id))).collect()
    }

    fn learn(&mut self, sent: Sent) {
        match sent.seq {
            None => {
                self.unanswered.insert(sent.message_id);
            }
            Some(seq) => {
                self.unanswered.remove(&sent.message_id);
                let before = self.acknowledged.insert(sent.message_id.clone(), seq);
                assert!(
                    before.is_none_or(|before| before == seq),
                    "{sent:?} was {before:?} before"
                );
            }
        }
    }

    /// Each acknowledged message is in the log once, at its receipt's place, and was dispatched once.
    fn check(&self, events: &[Value]) {
        assert_dense(events, 1);
        let count = |kind: &str, id: &str| {
            of_type(events, kind).iter().filter(|event| event["data"]["message_id"] == id).count()
        };
        for (id, seq) in &self.acknowledged {
            let event = &events[usize::try_from(*seq).unwrap() - 1];
            assert_eq!(
                (&event["type"], &event["data"]["message_id"]),
                (&json!("user.message"), &json!(id))
            );
            assert_eq!(count("user.message", id), 1, "{id}");
            assert_eq!(count("message.dispatched", id), 1, "{id} is dispatched once");
        }
        for id in &self.unanswered {
            let accepted = count("user.message", id);
            assert!(accepted <= 1 && count("message.dispatched", id) <= accepted, "{id}");
        }
    }
}

/// Sends to all sessions until a random number of receipts came, and kills the server in the middle of the rest.
async fn killed_while_sending(
    server: Process,
    round: usize,
    sessions: &mut [Followed],
    random: &mut Random,
) -> std::sync::Arc<tempfile::TempDir> {
    let (mut tasks, mut told) = (Vec::new(), Vec::new());
    let (receipt, mut receipts) = mpsc::unbounded_channel();
    for session in &*sessions {
        let (sender_end, sent) = mpsc::unbounded_channel();
        tasks.push(tokio::spawn(sender(
            server.api.clone(),
            session.id.clone(),
            session.texts(round),
            sender_end,
        )));
        told.push((sent, receipt.clone()));
    }
    drop(receipt);
    let listeners: Vec<_> = told
        .into_iter()
        .map(|(mut sent, receipt)| {
            tokio::spawn(async move {
                let mut all = Vec::new();
                while let Some(one) = sent.recv().await {
                    all.push(one);
                    let _ = receipt.send(());
                }
                all
            })
        })
        .collect();
    for _ in 0..random.below(60) {
        if receipts.recv().await.is_none() {
            break;
        }
    }
    let folder = server.kill();
    for task in tasks {
        task.await.unwrap();
    }
    for (session, listener) in sessions.iter_mut().zip(listeners) {
        listener.await.unwrap().into_iter().for_each(|sent| session.learn(sent));
    }
    folder
}

// Scenarios 10, 11, 41, 42 and 46, and promises 1 and 2.
#[tokio::test]
async fn every_acknowledged_message_survives_kills_at_random_moments_and_is_dispatched_once() {
    let extra = "[sessions]\nmax_queued_messages = 10000\n[streams]\nmax_replay_gap = 1000000\n[agents.tee]\nprotocol = \"lines\"\ncommand = \"tee\"\nargs = [\"-a\", \"heard\"]\n";
    let (rounds, mut random) = (size(20, 200), random());
    let mut server = Process::start(extra).await;
    let mut sessions = Vec::new();
    for _ in 0..2 {
        sessions.push(Followed::new(server.create("demo").await, |_| "flood 1".into()));
        sessions.push(Followed::new(server.create("tee").await, |id| id.into()));
    }
    for round in 0..rounds {
        let folder = killed_while_sending(server, round, &mut sessions, &mut random).await;
        read_database(folder.path()).iter().for_each(assert_row_and_events_agree);
        assert_no_process_in(folder.path());
        server = Process::start_in(folder).await;
    }
    let acknowledged: usize = sessions.iter().map(|session| session.acknowledged.len()).sum();
    assert!(acknowledged > rounds, "only {acknowledged} messages got through");
    for session in &sessions {
        settle(&server, session).await;
        session.check(&server.events(&session.id).await);
    }
    let heard = fs::read_to_string(server.folder.path().join("work/heard")).unwrap_or_default();
    let mut lines: Vec<&str> = heard.lines().collect();
    let all = lines.len();
    lines.sort_unstable();
    // Both sessions send the same ids.
    assert!(lines.windows(3).all(|same| same[0] != same[2]), "an agent heard a message twice");
    assert!(all > rounds, "{all} lines");
}

/// Waits until nothing of a session is queued or running any more.
async fn settle(server: &Process, session: &Followed) {
    let path = format!("/v1/stream?sessions={}&after={}:0", session.id, session.id);
    let mut stream = server.stream(&path).await;
    let mut waiting: BTreeSet<&str> = session.acknowledged.keys().map(String::as_str).collect();
    let has_turns = (session.text)("x") != "x";
    stream
        .events_until(|event| {
            let id = event["data"]["message_id"].as_str().unwrap_or_default();
            let settles = match event["type"].as_str() {
                Some("message.dispatched") => !has_turns,
                Some("turn.ended") => true,
                Some("message.failed") => {
                    assert_eq!(event["data"]["uncertain"], true, "{event}");
                    true
                }
                _ => false,
            };
            if settles {
                waiting.remove(id);
            }
            waiting.is_empty()
        })
        .await;
}
