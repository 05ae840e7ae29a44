//! Input that no agent should send, for the codecs' tests.

use super::recording;
use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::Value;
use std::ops::Range;

/// JSON that looks like a protocol's: its own words in any shape.
pub(super) fn json_like(words: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let word = prop::sample::select(words);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1i64..6).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((word.clone(), inner), 0..6).prop_map(|fields| {
                fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            }),
        ]
    })
}

/// What happens to a conversation on its way: to a line, with another one and a byte.
#[derive(Clone, Debug)]
pub(super) struct Change {
    line: Index,
    other: Index,
    byte: u8,
    kind: u8,
}

pub(super) fn changes(count: Range<usize>) -> impl Strategy<Value = Vec<Change>> {
    let change = (any::<Index>(), any::<Index>(), any::<u8>(), 0..4u8);
    vec(change.prop_map(|(line, other, byte, kind)| Change { line, other, byte, kind }), count)
}

/// The agent's lines of a recording, broken.
pub(super) fn broken(recording: &str, changes: Vec<Change>) -> Vec<Vec<u8>> {
    let lines = recording::agent_lines(recording);
    let mut lines: Vec<Vec<u8>> = lines.into_iter().map(Into::into).collect();
    for Change { line, other, byte, kind } in changes {
        let (line, other) = (line.index(lines.len()), other.index(lines.len()));
        match kind {
            0 => lines.swap(line, other),
            1 => lines[line] = lines[other].clone(),
            2 => lines[line].truncate(usize::from(byte)),
            _ => {
                let at = usize::from(byte) % lines[line].len().max(1);
                if let Some(old) = lines[line].get_mut(at) {
                    *old = byte;
                }
            }
        }
    }
    lines
}
