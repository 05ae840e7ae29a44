//! A start with many sessions in the log, some of which were live when the last server died. What the first answer says is
//! checked here; how long it takes is said by `seawall bench start`.

use crate::support::{Process, configured, stored_lines};
use seawall::{
    domain::{
        Body, Draft, EndReason, Session, SessionId, State, Timestamp,
        event::{AgentContext, OutputStream},
    },
    store::{
        Create, Entry, EventLog,
        sqlite::{Durability, RECENT_BYTES, SqliteLog, SqliteOptions},
    },
};
use std::{path::Path, time::Instant};
use uuid::Uuid;

const SESSIONS: u128 = 10_000;
const LIVE: u128 = 200;

/// A session of some events that has ended, or is live.
fn session(number: u128) -> Create {
    let ts = Timestamp::from_millis(1_795_000_000_000 + i64::try_from(number).unwrap());
    let id = SessionId::from_uuid(Uuid::from_u128(number + 1));
    let mut session = Session::new(id, "cat".into(), "/".into(), [7; 32], ts);
    let state = |from, to, reason| Body::SessionState {
        from,
        to,
        reason,
        client_state: Default::default(),
    };
    let said = || Body::AgentOutput {
        stream: OutputStream::Stdout,
        text: "so far so good".into(),
        truncated: false,
    };
    let mut bodies = vec![
        (0, state(None, State::Created, None)),
        (1, state(Some(State::Created), State::Starting, None)),
        (
            1,
            Body::TransportStarted {
                pid: Some(4_000_000),
                agent_session_id: None,
                context: AgentContext::New,
            },
        ),
        (1, state(Some(State::Starting), State::Active, None)),
        (1, said()),
    ];
    if number >= LIVE {
        bodies.push((1, state(Some(State::Active), State::Ended, Some(EndReason::Completed))));
    }
    let mut events = Vec::new();
    for (run, body) in bodies {
        let draft = Draft { run, ts, body };
        session.apply(&draft);
        events.push(Entry::new(&draft, 1 << 20));
    }
    Create { session, events, accept: None }
}

fn fill(folder: &Path) {
    let path = folder.join("data/seawall.db");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let queue = SESSIONS as usize;
    let options = SqliteOptions {
        path,
        durability: Durability::Normal,
        readers: 1,
        queue,
        recent_bytes: RECENT_BYTES,
    };
    let log = SqliteLog::open(&options).unwrap();
    let created: Vec<_> = (0..SESSIONS).map(|number| log.create(session(number))).collect();
    for created in created {
        created.wait().unwrap();
    }
    log.close().wait().unwrap();
}

// Contract 4 and 8: `GET /sessions` shows the truth before the server listens.
#[tokio::test]
async fn ten_thousand_sessions_of_which_some_were_live_are_told_truly_by_the_first_answer() {
    let folder = configured("");
    let path = folder.path().to_owned();
    tokio::task::spawn_blocking(move || fill(&path)).await.unwrap();
    let start = Instant::now();
    let server = Process::start_in(folder).await;
    println!("listens after {} ms", start.elapsed().as_millis());
    let list = server.get("/v1/sessions?limit=200").await.expect(200);
    let newest = list["sessions"].as_array().unwrap();
    // Those that were closed just now are the newest.
    assert_eq!(newest.len() as u128, LIVE);
    for session in newest {
        assert_eq!(
            (&session["state"], &session["end_reason"], &session["pid"]),
            (&"ENDED".into(), &"server_restart".into(), &serde_json::Value::Null)
        );
    }
    let status = server.admin().get("/admin/status").await.expect(200);
    assert_eq!(status["sessions"]["by_state"], serde_json::json!({ "ENDED": SESSIONS as u64 }));
    assert_eq!(status["sessions"]["live"], 0, "no actor is started for what is over");
    let folder = server.kill();
    let conn = rusqlite::Connection::open(folder.path().join("data/seawall.db")).unwrap();
    let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap();
    let closed =
        "SELECT count(*) FROM sessions WHERE json_extract(row, '$.end_reason') = 'server_restart'";
    assert_eq!(u128::from(count(closed)), LIVE);
    // Dense, and the last event is the end.
    let sessions = stored_lines(&conn);
    assert_eq!(sessions.len() as u128, SESSIONS);
    for lines in sessions.values() {
        let parse = |line: &Vec<u8>| serde_json::from_slice::<serde_json::Value>(line).unwrap();
        let (first, last) = (parse(&lines[0]), parse(&lines[lines.len() - 1]));
        assert_eq!((&first["seq"], &last["seq"]), (&1.into(), &lines.len().into()));
        assert_eq!(last["data"]["to"], "ENDED");
    }
}
