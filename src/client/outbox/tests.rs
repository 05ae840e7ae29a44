//! The outbox against a server that plays recorded bytes and a folder of its own. Time is a clock that stands until a
//! test moves it; the laws of the queue under random histories stand here too.

use super::{queue::Next, *};
use crate::{
    client::{
        CALL_TIMEOUT, ClientError,
        scripted::{self, Script::*, Server, json},
    },
    domain::Seq,
    wire::problem::{ErrorCode, Problem},
};
use proptest::prelude::*;
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

fn message(id: &str) -> SendMessage {
    let message_id = id.parse().unwrap();
    SendMessage { message_id, content: None, text: Some(format!("text of {id}")), interrupt: false }
}

fn receipt(id: &str, seq: u64) -> Vec<u8> {
    let session = scripted::session();
    let body = format!(
        r#"{{"accepted":true,"session_id":"{session}","message_id":"{id}","seq":{seq},"duplicate":false}}"#
    );
    json(202, "", &body)
}

fn problem(code: ErrorCode) -> Vec<u8> {
    let problem = Problem::new(code, "so it is");
    json(problem.status, "", &serde_json::to_string(&problem).unwrap())
}

fn file(path: &Path) -> StateFile {
    StateFile::open(path, scripted::session()).unwrap()
}

fn open(server: &Server, file: Option<StateFile>) -> Outbox {
    Outbox::open(server.client.clone(), scripted::session(), file).unwrap()
}

async fn until(outbox: &Outbox, fits: impl FnMut(&OutboxState) -> bool) -> OutboxState {
    let mut state = outbox.watch();
    let found = tokio::time::timeout(Duration::from_secs(30), state.wait_for(fits)).await;
    found.expect("it comes to pass").expect("the outbox lives").clone()
}

async fn settled(outbox: &Outbox) -> Vec<(String, EntryState)> {
    let state = until(outbox, |state| state.pending() == 0).await;
    state.entries.iter().map(|entry| (entry.id().to_string(), entry.state.clone())).collect()
}

fn accepted(id: &str) -> (String, EntryState) {
    (id.into(), EntryState::Accepted)
}

// Scenario 48.
#[tokio::test]
async fn messages_that_were_taken_before_go_in_order_without_any_stream() {
    let mut server = Server::new(vec![Play(receipt("a", 1)), Play(receipt("b", 2))]).await;
    let outbox = open(&server, None);
    outbox.push(message("a")).await.unwrap();
    outbox.push(message("b")).await.unwrap();
    assert_eq!(settled(&outbox).await, [accepted("a"), accepted("b")]);
    for id in ["a", "b"] {
        let request = server.request().await;
        assert!(
            request.starts_with("POST ") && request.contains(&format!("text of {id}")),
            "{request}"
        );
    }
}

// Scenarios 49 and 51: no stream is open; the clock alone makes the next try.
#[tokio::test]
async fn what_failed_is_posted_again_by_timer_with_the_same_bytes() {
    let mut server = Server::new(vec![
        Play(problem(ErrorCode::StoreUnavailable)),
        Play(Vec::new()),
        Play(json(200, "", "<html>a captive portal</html>")),
        Play(receipt("a", 1)),
    ])
    .await;
    let outbox = open(&server, None);
    outbox.push(message("a")).await.unwrap();
    let first = server.request().await;
    for _ in 0..3 {
        let state = until(&outbox, |state| state.retry_at.is_some()).await;
        let now = server.clock.now();
        server.clock.advance(state.retry_at.unwrap() - now);
        assert_eq!(server.request().await, first);
    }
    assert_eq!(settled(&outbox).await, [accepted("a")]);
}

// Scenario 49.
#[tokio::test]
async fn an_answer_that_hangs_in_its_body_is_given_up_after_15_seconds_and_asked_again() {
    let hung = b"HTTP/1.1 202 X\r\ncontent-length: 500\r\n\r\n{\"accepted\":".to_vec();
    let mut server = Server::new(vec![Hold(hung), Play(receipt("a", 1))]).await;
    let outbox = open(&server, None);
    outbox.push(message("a")).await.unwrap();
    server.request().await;
    assert!(outbox.state().in_flight.is_some());
    server.clock.advance(CALL_TIMEOUT);
    let state = until(&outbox, |state| state.retry_at.is_some()).await;
    server.clock.advance(state.retry_at.unwrap() - server.clock.now());
    assert_eq!(settled(&outbox).await, [accepted("a")]);
}

// Scenario 49.
#[tokio::test]
async fn a_message_that_the_stream_shows_is_acknowledged_though_its_answer_never_comes() {
    let mut server = Server::new(vec![Hold(Vec::new()), Play(receipt("b", 2))]).await;
    let outbox = open(&server, None);
    outbox.push(message("a")).await.unwrap();
    outbox.push(message("b")).await.unwrap();
    server.request().await;
    let line = scripted::event_json(1).replace("turn.started", "user.message").replace(
        r#""turn_id":"t","message_id":null"#,
        r#""message_id":"a","content":[{"type":"text","text":"text of a"}],"by":"me""#,
    );
    outbox.heard(&LogEvent::parse(line.into()).unwrap()).await;
    assert_eq!(settled(&outbox).await, [accepted("a"), accepted("b")]);
}

// Scenario 50.
#[tokio::test]
async fn signed_out_keeps_everything_until_there_is_another_credential() {
    let mut server = Server::new(vec![
        Play(problem(ErrorCode::Unauthorized)),
        Play(receipt("a", 1)),
        Play(receipt("b", 2)),
    ])
    .await;
    let outbox = open(&server, None);
    outbox.push(message("a")).await.unwrap();
    outbox.push(message("b")).await.unwrap();
    let state = until(&outbox, |state| state.signed_out).await;
    assert_eq!(state.pending(), 2);
    assert!(server.request().await.contains("Bearer secret"));
    let client = Client::new(server.client.url(), Some("fresh")).unwrap();
    outbox.signed_in(client.with_clock(server.clock.clone())).await;
    assert_eq!(settled(&outbox).await, [accepted("a"), accepted("b")]);
    assert!(server.request().await.contains("Bearer fresh"));
}

// Scenario 50: queues are per session.
#[tokio::test]
async fn a_deleted_session_fails_its_messages_and_blocks_no_other() {
    let server = Server::new(vec![Play(problem(ErrorCode::Gone)), Play(receipt("b", 1))]).await;
    let (gone, other) = (open(&server, None), open(&server, None));
    gone.push(message("a")).await.unwrap();
    let state = until(&gone, |state| state.pending() == 0).await;
    assert!(
        matches!(&state.entries[0].state, EntryState::Failed { reason, .. } if reason == "gone"),
        "{state:?}"
    );
    other.push(message("b")).await.unwrap();
    assert_eq!(settled(&other).await, [accepted("b")]);
}

// Scenario 52.
#[tokio::test]
async fn the_hundred_and_first_message_is_refused_and_nothing_is_evicted() {
    let server = Server::new(vec![Hold(Vec::new())]).await;
    let folder = tempfile::tempdir().unwrap();
    let outbox = open(&server, Some(file(&folder.path().join("o.json"))));
    for number in 0..OUTBOX_MAX {
        outbox.push(message(&number.to_string())).await.unwrap();
    }
    let refusal = outbox.push(message("x")).await.unwrap_err();
    assert_eq!(refusal, OutboxError::Queue(QueueError::Full));
    assert_eq!(outbox.state().pending(), OUTBOX_MAX);
    outbox.discard(&"50".parse().unwrap()).await.unwrap();
    outbox.push(message("x")).await.unwrap();
}

// Scenario 54.
#[tokio::test]
async fn what_was_not_acknowledged_is_restored_and_sent_under_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/o.json");
    let mut server =
        Server::new(vec![Hold(Vec::new()), Play(receipt("a", 1)), Play(receipt("b", 2))]).await;
    let outbox = open(&server, Some(file(&path)));
    outbox.push(message("a")).await.unwrap();
    outbox.push(message("b")).await.unwrap();
    let first = server.request().await;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let kept = fs::read(&path).unwrap();
    // Nothing is written at the end: a process that was killed leaves the same.
    drop(outbox);
    assert_eq!(fs::read(&path).unwrap(), kept);

    let mut reopened = StateFile::open(&path, scripted::session());
    while matches!(reopened, Err(FileError::Locked { .. })) {
        tokio::task::yield_now().await;
        reopened = StateFile::open(&path, scripted::session());
    }
    let outbox = open(&server, Some(reopened.unwrap()));
    assert_eq!(settled(&outbox).await, [accepted("a"), accepted("b")]);
    assert_eq!(server.request().await, first);
    until(&outbox, |_| !path.exists()).await;
}

// Scenario 54.
#[tokio::test]
async fn a_message_that_cannot_be_kept_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("o.json");
    let server = Server::new(Vec::new()).await;
    let outbox = open(&server, Some(file(&path)));
    // A folder stands where the new file is written.
    fs::create_dir(folder.path().join("o.json.new")).unwrap();
    let refusal = outbox.push(message("a")).await.unwrap_err();
    assert!(matches!(refusal, OutboxError::File(FileError::Io { .. })), "{refusal:?}");
    assert_eq!(outbox.state().entries, []);
    fs::remove_dir(folder.path().join("o.json.new")).unwrap();
    outbox.push(message("a")).await.unwrap();
    assert_eq!(outbox.state().pending(), 1);
}

#[test]
fn a_state_file_is_for_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("o.json");
    let first = file(&path);
    let error = StateFile::open(&path, scripted::session()).unwrap_err();
    let said = error.to_string();
    assert!(said.contains(&format!("in use by process {}", std::process::id())), "{said}");
    drop(first);
    file(&path);
}

#[test]
fn a_damaged_or_foreign_file_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("o.json");
    let other =
        r#"{"seawall_outbox":1,"session_id":"00000000-0000-0000-0000-000000000009","entries":[]}"#;
    let newer =
        r#"{"seawall_outbox":2,"session_id":"00000000-0000-0000-0000-000000000001","entries":[]}"#;
    for content in ["", "{", "[]", "my notes", other, newer] {
        fs::write(&path, content).unwrap();
        let error = StateFile::open(&path, scripted::session()).unwrap_err();
        assert!(matches!(error, FileError::Foreign { .. }), "{content}: {error}");
        assert!(error.to_string().contains("left as it is"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
}

#[test]
fn what_is_saved_is_what_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("o.json");
    let failed = EntryState::Failed { reason: "too_large".into(), detail: "so it is".into() };
    let entries: Vec<Entry> = [EntryState::Pending, failed, EntryState::Uncertain]
        .into_iter()
        .zip(["a", "b", "c"])
        .map(|(state, id)| Entry {
            kept: state == EntryState::Uncertain,
            message: Arc::new(message(id)),
            state,
            seq: None,
        })
        .collect();
    file(&path).save(entries.clone()).unwrap();
    assert_eq!(file(&path).entries(), entries);
    assert_eq!(file(&path).entries()[0].message.text.as_deref(), Some("text of a"));
    file(&path).save(Vec::new()).unwrap();
    assert!(!path.exists());
}

/// One thing that happens to a queue.
#[derive(Clone, Debug)]
enum Happening {
    Push,
    Next,
    Receipt,
    Lost,
    Refused,
    Heard(usize, bool),
    Retry(usize),
    Discard(usize),
    Pass(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => Just(Happening::Push),
        4 => Just(Happening::Next),
        2 => Just(Happening::Receipt),
        2 => Just(Happening::Lost),
        1 => Just(Happening::Refused),
        1 => (0..200usize, any::<bool>()).prop_map(|(which, uncertain)| Happening::Heard(which, uncertain)),
        1 => (0..200usize).prop_map(Happening::Retry),
        1 => (0..200usize).prop_map(Happening::Discard),
        2 => (0..20_000u64).prop_map(Happening::Pass),
    ]
}

proptest! {
    // Scenarios 48 and 52.
    #[test]
    fn whatever_happens_the_cap_holds_nothing_taken_is_lost_and_pushes_go_in_order(
        happenings in prop::collection::vec(happening(), 0..600),
    ) {
        let mut queue = Queue::default();
        let mut now = Timestamp::from_millis(0);
        let (mut pushed, mut sent, mut gone) = (0u64, Vec::<u64>::new(), Vec::new());
        let number = |id: &MessageId| id.as_str().parse::<u64>().unwrap();
        let lost = ClientError::Unreachable { url: String::new(), cause: String::new() };
        let refused = ClientError::Refused { problem: Box::new(Problem::new(ErrorCode::TooLarge, "")), retry_after: None };
        for happening in happenings {
            let some = |which: usize, queue: &Queue| queue.entries().get(which).map(|entry| entry.id().clone());
            let flying = queue.in_flight().cloned();
            match happening {
                Happening::Push => match queue.push(Arc::new(message(&pushed.to_string()))) {
                    Ok(()) => pushed += 1,
                    Err(error) => prop_assert_eq!(error, QueueError::Full),
                },
                Happening::Next => if let Next::Send(message) = queue.next(now) {
                    prop_assert!(flying.is_none(), "two in flight");
                    sent.push(number(&message.message_id));
                },
                Happening::Receipt => if let Some(id) = flying { queue.answered(now, &id, Ok(Seq(1)), 0.5) },
                Happening::Lost => if let Some(id) = flying { queue.answered(now, &id, Err(&lost), 0.5) },
                Happening::Refused => if let Some(id) = flying { queue.answered(now, &id, Err(&refused), 0.5) },
                Happening::Heard(which, uncertain) => if let Some(id) = some(which, &queue) {
                    queue.heard(&Heard::Failed { id, reason: "transport_lost".into(), uncertain });
                },
                Happening::Retry(which) => if let Some(id) = some(which, &queue)
                    && queue.retry(&id, pushed.to_string().parse().unwrap()).is_ok()
                {
                    // It stands at the end now, under either id.
                    pushed += 1;
                    gone.push(number(&id));
                },
                Happening::Discard(which) => if let Some(id) = some(which, &queue)
                    && queue.discard(&id).is_ok()
                {
                    gone.push(number(&id));
                },
                Happening::Pass(millis) => now = now + Duration::from_millis(millis),
            }
            let waiting = queue.entries().iter().filter(|entry| !entry.kept).count();
            prop_assert!(waiting <= OUTBOX_MAX, "{waiting} wait");
            prop_assert!(queue.entries().len() <= 2 * OUTBOX_MAX);
        }
        // In order: each is posted first after all that were pushed before it, but for those that were put back.
        let mut firsts: Vec<u64> = Vec::new();
        for id in sent.iter().filter(|id| !gone.contains(id)) {
            if !firsts.contains(id) { firsts.push(*id) }
        }
        prop_assert!(firsts.is_sorted(), "{firsts:?}");
    }
}
