//! The place of a stream against `tests/data/stream`: histories that every implementation must take in the same way.
//! What a step may be is described there.

use super::*;
use crate::client::scripted;
use serde_json::{Value, json};
use std::path::Path;
use uuid::Uuid;

fn session(letter: &str) -> SessionId {
    SessionId::from_uuid(Uuid::from_u128(u128::from(letter.as_bytes()[0])))
}

fn item(frame: &Value) -> StreamItem {
    let seq = |name: &str| frame[name].as_u64().unwrap();
    let id = session(frame["session"].as_str().unwrap_or("A")).to_string();
    let named = |json: String| json.replace(&scripted::session().to_string(), &id);
    match frame["type"].as_str().unwrap() {
        "event" => scripted::item("message", named(scripted::event_json(seq("seq")))),
        "gap" => scripted::item("gap", named(scripted::gap_json(seq("resume_at")))),
        "snapshot" => scripted::item("snapshot", named(scripted::snapshot_json(seq("head_seq")))),
        "gone" => scripted::item("gone", format!(r#"{{"session_id":"{id}","reason":"deleted"}}"#)),
        "ping" => scripted::item("ping", r#"{"ts":"2026-11-23T08:20:01.123Z"}"#.into()),
        other => panic!("there is no frame {other}"),
    }
}

fn run(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/stream/{name}.json"));
    let vector: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let begin = vector["begin"].as_object().unwrap();
    let sessions: Vec<_> = begin.keys().map(|letter| session(letter)).collect();
    let cursors =
        begin.iter().filter_map(|(letter, seq)| Some((session(letter), Seq(seq.as_u64()?))));
    let begin = Begin::After(cursors.collect());
    let mut place = Place::new(StreamRequest { sessions, list: false, begin });
    for (index, wanted) in vector["steps"].as_array().unwrap().iter().enumerate() {
        let frame = &wanted["frame"];
        let at = format!("{name}, step {index}: {wanted}");
        let given = match place.advance(&item(frame), frame["id"].as_str().unwrap_or_default()) {
            Step::Show => json!("show"),
            Step::Known => json!("known"),
            Step::Hole { cursor, seq, .. } => {
                json!({ "hole": { "after": cursor.0, "upto": seq.0 - 1 } })
            }
        };
        assert_eq!(given, wanted["gives"], "{at}");
        if let Some(cursors) = wanted["cursor"].as_object() {
            assert_eq!(place.sessions().len(), cursors.len(), "{at}");
            for (letter, seq) in cursors {
                assert_eq!(
                    place.cursor(session(letter)),
                    seq.as_u64().map(Seq),
                    "{letter} in {at}"
                );
            }
        }
        if let Some(token) = wanted["token"].as_str() {
            assert_eq!(place.token(), Some(token), "{at}");
        }
    }
}

// Scenario 55.
#[test]
fn a_duplicate_or_older_event_moves_no_cursor_and_is_not_shown() {
    run("order");
}

// Scenario 55.
#[test]
fn a_hole_is_noticed_and_the_place_before_it_is_kept() {
    run("hole");
}

// Scenario 55.
#[test]
fn a_gap_moves_the_cursor_even_back() {
    run("gap");
}

#[test]
fn a_snapshot_tells_where_the_head_is_and_moves_no_cursor() {
    run("snapshot");
}

#[test]
fn a_session_that_is_gone_is_not_asked_for_again() {
    run("gone");
    let mut place = Place::new(StreamRequest::session(session("A"), Begin::Head));
    place.advance(&item(&json!({ "type": "gone", "session": "A" })), "");
    assert!(place.is_empty());
}
