//! What is on disk and on the wire, as bytes: the lines of history, the frames of streams, the database itself. For
//! tests that ask whether two of them agree.

use super::{Api, Sse, within};
use rusqlite::{Connection, Row};
use seawall::wire::api::EventPage;
use serde_json::Value;
use std::{collections::HashMap, fs, path::Path};

impl Api {
    /// All lines of a session as history pages hold them, byte for byte.
    pub(crate) async fn lines(&self, id: &str) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        loop {
            let after = lines.len();
            let path = format!("/v1/sessions/{id}/events?after={after}&limit=1000");
            let response =
                within("a page", self.request("GET", &path).send()).await.expect("a page");
            let text = within("a body", response.text()).await.expect("a body");
            let page: EventPage = serde_json::from_str(&text).expect("a page");
            lines.extend(page.events.iter().map(|event| event.get().to_owned()));
            if !page.has_more {
                return lines;
            }
        }
    }
}

impl Sse {
    /// The lines of log events as they are streamed, until `wanted` are there or the stream ends.
    pub(crate) async fn lines(&mut self, wanted: usize) -> Vec<String> {
        let collect = async {
            let mut lines = Vec::new();
            while lines.len() < wanted {
                let Some(frame) = self.next().await else { break };
                assert_ne!(frame.event, "gap", "{:?}", String::from_utf8_lossy(&frame.data));
                if frame.event == "message" {
                    lines.push(String::from_utf8(frame.data.to_vec()).expect("UTF-8"));
                }
            }
            lines
        };
        // Pings keep a stream going that has nothing to say.
        within("so many lines", collect).await
    }
}

/// A session as the database has it.
#[derive(Debug)]
pub(crate) struct StoredSession {
    /// The row, as JSON.
    pub(crate) row: Value,
    /// The row's own column.
    pub(crate) state: String,
    pub(crate) events: Vec<Value>,
}

/// Opens a copy of the database of a server; None where there is no database.
pub(super) fn copied_database(folder: &Path) -> Option<(tempfile::TempDir, Connection)> {
    let copy = tempfile::tempdir().expect("a folder");
    for name in ["seawall.db", "seawall.db-wal"] {
        let from = folder.join("data").join(name);
        if from.exists() {
            fs::copy(from, copy.path().join(name)).expect("a copy");
        }
    }
    let database = copy.path().join("seawall.db");
    database
        .exists()
        .then(|| Connection::open(database).expect("a database"))
        .map(|conn| (copy, conn))
}

/// Session, first seq, count and lines.
type Run = (i64, i64, i64, Vec<u8>);

/// The runs of both tables, by session and seq, longer ones first.
fn runs(conn: &Connection) -> Vec<Run> {
    let sql = "SELECT id >> 32, id & 0xffffffff, count, lines FROM packed";
    let mut statement = conn.prepare(sql).expect("the table");
    let packed = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let rows = statement.query_map([], packed).expect("rows");
    let mut runs: Vec<Run> = rows.map(|row| row.expect("a row")).collect();
    let mut statement = conn.prepare("SELECT runs, lines FROM recent").expect("the table");
    let recent = |row: &Row<'_>| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?));
    for row in statement.query_map([], recent).expect("rows") {
        let (entries, mut lines) = row.expect("a row");
        for entry in entries.chunks_exact(20) {
            let number = |from: usize| {
                i64::from(u32::from_le_bytes(entry[from..from + 4].try_into().expect("four")))
            };
            let rest = lines.split_off(number(16) as usize);
            let lines = std::mem::replace(&mut lines, rest);
            runs.push((number(4) << 32 | number(0), number(8), number(12), lines));
        }
    }
    runs.sort_by_key(|(key, first, count, _)| (*key, *first, -count));
    runs
}

/// The lines of each session, by the session's key. A run that is in both tables counts once.
pub(crate) fn stored_lines(conn: &Connection) -> HashMap<i64, Vec<Vec<u8>>> {
    let mut sessions: HashMap<i64, (i64, Vec<Vec<u8>>)> = HashMap::new();
    for (key, first, count, bytes) in runs(conn) {
        let (next, lines) = sessions.entry(key).or_insert((first, vec![]));
        if first + count <= *next {
            continue;
        }
        assert_eq!(first, *next, "a hole, or an event twice");
        *next = first + count;
        lines.extend(bytes.split(|byte| *byte == b'\n').map(Vec::from));
    }
    sessions.into_iter().map(|(key, (_, lines))| (key, lines)).collect()
}

/// Reads a copy of the database of a server that is not running, so that looking changes nothing.
pub(crate) fn read_database(folder: &Path) -> Vec<StoredSession> {
    let (_copy, conn) = copied_database(folder).expect("a database");
    let mut sessions = conn.prepare("SELECT k, state, row FROM sessions").expect("the table");
    let mut lines = stored_lines(&conn);
    let parse = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).expect("JSON");
    sessions
        .query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?)))
        .expect("rows")
        .map(|row| {
            let (key, state, row) = row.expect("a row");
            let events = lines.remove(&key).unwrap_or_default();
            let events = events.into_iter().map(parse).collect();
            StoredSession { row: parse(row), state, events }
        })
        .collect()
}

/// The text of all integration tests, for the test that asks whether one is there.
pub(crate) fn read_tests() -> String {
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")];
    let mut text = String::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text += &fs::read_to_string(path).expect("text");
            }
        }
    }
    text
}
