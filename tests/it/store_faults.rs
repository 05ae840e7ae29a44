//! A store that takes nothing, and what goes on all the same: real errors of the kernel under the real binary. That nothing
//! half-written is ever seen, the store's own tests show too.

use crate::support::{
    Disk, PATIENCE, Process, Sse, assert_dense, assert_no_process_in, becomes, configured, ends,
    failure, is, of_type, only, types, within,
};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
    time::Instant,
};

/// Looks until the server is ready again, or not any more for its store; what it says of that.
async fn ready(server: &Process, status: u16) -> Value {
    let start = Instant::now();
    loop {
        let answer = server.admin().get("/readyz").await;
        let store = &answer.body["checks"]["store"];
        // The disk may be known to be full before the store has met it.
        if answer.status == status && (status == 200 || store["status"] == "failed") {
            return store.clone();
        }
        assert!(start.elapsed() < PATIENCE, "{answer:?}\n{}", server.log());
        tokio::task::yield_now().await;
    }
}

/// Looks until a session says this of the store.
async fn store_is(server: &Process, id: &str, expected: Option<&str>) -> Value {
    let start = Instant::now();
    loop {
        let session = server.session(id).await;
        if session.get("store").and_then(Value::as_str) == expected {
            return session;
        }
        assert!(start.elapsed() < PATIENCE, "{session}");
        tokio::task::yield_now().await;
    }
}

async fn refused_everything_that_is_kept(server: &Process, id: &str) {
    server.try_send(id, "m2", "late").await.refused(503, "store_unavailable");
    let new = json!({ "agent": "cat", "session_id": "00000000-0000-4000-8000-000000000001" });
    server.post("/v1/sessions", new).await.refused(503, "store_unavailable");
    let made = server.get("/v1/sessions/00000000-0000-4000-8000-000000000001").await;
    made.refused(404, "not_found");
    assert_eq!(server.session(id).await["queued_messages"], 0);
}

/// The events of a stream up to the end of its session.
async fn to_the_end(stream: &mut Sse) -> Vec<Value> {
    stream.events_until(ends("stopped")).await
}

// Scenarios 12 and 66; contract 4, "Store faults".
#[tokio::test]
async fn a_full_disk_refuses_what_is_to_be_kept_and_all_that_acts_on_children_goes_on() {
    for make in Disk::kinds() {
        let folder = configured("");
        let Some(disk) = make(&folder) else { continue };
        let server = disk.serve(folder).await;
        let [turning, stopped, quiet] =
            [server.create("demo").await, server.create("demo").await, server.create("cat").await];
        for id in [&turning, &stopped] {
            server.send(id, "m1", "hang").await;
            server.until(id, |event| event["type"] == "agent.message").await;
        }
        server.until(&quiet, becomes("ACTIVE")).await;
        let pid = server.session(&stopped).await["pid"].as_u64().unwrap();
        let mut stream = server.follow(&stopped).await;
        ready(&server, 200).await;

        disk.fill(&server);
        assert_eq!(ready(&server, 503).await["status"], "failed");
        let checks = server.admin().get("/readyz").await.body["checks"].clone();
        let has_room = !matches!(disk, Disk::Small(_));
        assert_eq!(checks["disk"]["status"], if has_room { "ok" } else { "failed" }, "{checks}");
        refused_everything_that_is_kept(&server, &quiet).await;
        assert!(server.interrupt(&turning).await);
        server.stop_session(&stopped, json!({ "grace_ms": 200 })).await;
        crate::support::eventually("the child is gone", || {
            !Path::new(&format!("/proc/{pid}")).exists()
        });
        for id in [&turning, &stopped] {
            let session = store_is(&server, id, Some("unavailable")).await;
            // What is stored is what is shown: nobody is told of what might yet be lost.
            assert_ne!(session["state"], "ENDED");
            server.try_send(id, "m2", "late").await.refused(503, "store_unavailable");
            let first = server.send(id, "m1", "hang").await;
            assert_eq!(first["duplicate"], true, "a known message is answered from what is stored");
            let events = server.events(id).await;
            assert!(of_type(&events, "interrupt.requested").is_empty());
            assert!(of_type(&events, "transport.stopping").is_empty());
        }
        assert!(store_is(&server, &quiet, None).await.get("store").is_none());

        disk.free(&server);
        let events = to_the_end(&mut stream).await;
        assert_dense(&events, 1);
        assert_eq!(events, server.events(&stopped).await);
        assert!(!of_type(&events, "transport.stopping").is_empty());
        only(&events, "transport.exited");
        let events = server.until(&turning, is("interrupt.completed")).await;
        assert_dense(&events, 1);
        only(&events, "turn.ended");
        only(&events, "interrupt.requested");
        only(&events, "interrupt.completed");
        for id in [&turning, &stopped] {
            store_is(&server, id, None).await;
        }
        ready(&server, 200).await;
        server.send(&quiet, "m2", "late").await;
        let events = server.until(&quiet, |event| event["type"] == "agent.output").await;
        assert_dense(&events, 1);
        assert_eq!(of_type(&events, "user.message").len(), 1, "what was refused is not there");
        drop(server);
    }
}

// Contract 4: "If the server dies first, recovery writes the outcome."
#[tokio::test]
async fn a_server_that_is_killed_while_its_disk_is_full_has_the_outcome_written_by_the_next() {
    for make in Disk::kinds() {
        let folder = configured("");
        let Some(disk) = make(&folder) else { continue };
        let server = disk.serve(folder).await;
        let id = server.create("demo").await;
        server.send(&id, "m1", "hang").await;
        server.until(&id, |event| event["type"] == "agent.message").await;
        disk.fill(&server);
        server.stop_session(&id, json!({})).await;
        store_is(&server, &id, Some("unavailable")).await;
        let folder = server.kill();
        assert_no_process_in(folder.path());
        disk.free_for_the_next();
        let server = Process::start_in(folder).await;
        let events = server.events(&id).await;
        assert_dense(&events, 1);
        assert!(events.iter().any(|event| ends("server_restart")(event)), "{:?}", types(&events));
        assert_eq!(failure(&events, "m1").unwrap()["uncertain"], true);
        assert_eq!(only(&events, "turn.ended")["stop_reason"], "transport_lost");
        ready(&server, 200).await;
        drop(server);
    }
}

// A shutdown acts on the children and waits for no disk.
#[tokio::test]
async fn a_server_that_is_told_to_go_while_its_disk_is_full_goes() {
    let folder = configured("[server]\nshutdown_grace = \"20s\"");
    let server = Disk::Limit.serve(folder).await;
    let id = server.create("demo").await;
    server.send(&id, "m1", "flood 1").await;
    server.turn(&id, "m1").await;
    Disk::Limit.fill(&server);
    let mut server = server;
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await.code(), Some(0));
    assert!(!server.log().contains("shutdown_grace is over"), "{}", server.log());
    let folder = server.folder.clone();
    drop(server);
    let server = Process::start_in(folder).await;
    let events = server.events(&id).await;
    assert_dense(&events, 1);
    assert!(events.iter().any(|event| ends("server_restart")(event)), "{:?}", types(&events));
}

// Promise 9.
#[tokio::test]
async fn what_is_held_for_a_full_disk_has_a_limit_and_a_stop_has_none() {
    let server = Disk::Limit.serve(configured("")).await;
    let id = server.create("sh").await;
    server.send(&id, "m1", "trap '' INT; echo deaf; while :; do read line; done").await;
    server.until(&id, |event| event["data"]["text"] == "deaf").await;
    Disk::Limit.fill(&server);
    let interrupt = format!("/v1/sessions/{id}/interrupt");
    let mut taken = 0;
    loop {
        let answer = server.post(&interrupt, json!({})).await;
        if answer.status == 503 {
            answer.refused(503, "store_unavailable");
            break;
        }
        answer.expect(202);
        taken += 1;
        assert!(taken < 2000, "nothing limits what is held");
    }
    assert!(taken >= 512, "refused after {taken}");
    server.stop_session(&id, json!({ "grace_ms": 0 })).await;
    Disk::Limit.free(&server);
    let events = server.until(&id, ends("stopped")).await;
    assert_dense(&events, 1);
    assert_eq!(of_type(&events, "interrupt.requested").len(), taken, "all that was answered 202");
}

// Scenario 12; what is written into a file that no restart finds is not kept.
#[tokio::test]
async fn a_database_that_is_moved_or_deleted_is_missed_until_it_is_back() {
    let server = Process::start("").await;
    let id = server.create("cat").await;
    server.send(&id, "m1", "one").await;
    server.until(&id, |event| event["data"]["text"] == "one").await;
    let path = server.folder.path().join("data/seawall.db");
    let away = server.folder.path().join("away.db");
    for (number, take) in [(2, true), (3, false)] {
        // A deleted file is there as long as it has another name.
        match take {
            true => fs::rename(&path, &away).unwrap(),
            false => {
                fs::hard_link(&path, &away).unwrap();
                fs::remove_file(&path).unwrap();
            }
        }
        let check = ready(&server, 503).await;
        assert!(check["detail"].as_str().unwrap().contains("seawall.db was moved"), "{check}");
        refused_everything_that_is_kept(&server, &id).await;
        assert!(!server.events(&id).await.is_empty(), "history goes on");
        fs::rename(&away, &path).unwrap();
        ready(&server, 200).await;
        let (message, text) = (format!("n{number}"), format!("back {number}"));
        server.send(&id, &message, &text).await;
        let events = server.until(&id, |event| event["data"]["text"] == text.as_str()).await;
        assert_dense(&events, 1);
    }
}

/// Overwrites a page that holds nothing but one session's events.
fn damage_a_page_of(path: &Path, id: &str) {
    const PAGE: usize = 4096;
    let bytes = fs::read(path).unwrap();
    let (mut pages, mut last) = (Vec::new(), 0);
    for (number, page) in bytes.chunks(PAGE).enumerate() {
        let count = page.windows(id.len()).filter(|window| *window == id.as_bytes()).count();
        // Full of lines that name the session.
        if count > 8 {
            pages.push(number);
            last = number;
        }
    }
    assert!(pages.len() > 20, "{} pages, the last {last}", pages.len());
    let page = pages[pages.len() / 2];
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[0xa5; PAGE], (page * PAGE) as u64).unwrap();
}

// Promise 6, for a disk that loses a page while the server runs.
#[tokio::test]
async fn a_page_that_is_lost_under_the_server_is_told_where_it_is_read_and_other_sessions_go_on() {
    let server = Process::start("").await;
    let lost = server.create("demo").await;
    server.send(&lost, "m1", "flood 3000").await;
    server.turn(&lost, "m1").await;
    // When another one of that length goes, what is left is put in order.
    let other = server.create("demo").await;
    server.send(&other, "m1", "flood 4000").await;
    server.turn(&other, "m1").await;
    server.delete(&format!("/v1/sessions/{other}")).await.expect(204);
    let database =
        rusqlite::Connection::open(server.folder.path().join("data/seawall.db")).unwrap();
    let packed = "SELECT (SELECT count(*) FROM packed) > 0 AND (SELECT count(*) FROM recent) = 0";
    within("the packing", async {
        while !database.query_row(packed, [], |row| row.get::<_, bool>(0)).unwrap() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (status, folder) = server.stop().await;
    assert_eq!(status.code(), Some(0));
    // Pages that are free hold old copies.
    database.execute_batch("VACUUM").unwrap();
    drop(database);
    // The next server has read none of it yet, but for its check.
    let server = Process::start_in(folder).await;
    let well = server.create("demo").await;
    damage_a_page_of(&server.folder.path().join("data/seawall.db"), &lost);

    let mut refused = 0;
    for after in (0..3000).step_by(100) {
        let path = format!("/v1/sessions/{lost}/events?after={after}&limit=100");
        let answer = server.get(&path).await;
        if answer.status != 200 {
            let problem = answer.refused(500, "store_damaged");
            assert!(problem["detail"].as_str().unwrap().contains("restore a backup"), "{problem}");
            refused += 1;
        }
    }
    assert!((1..30).contains(&refused), "{refused} of 30 parts cannot be read");
    assert_eq!(server.session(&lost).await["state"], "ENDED");
    server.send(&well, "m1", "flood 10").await;
    let events = server.turn(&well, "m1").await;
    assert_dense(&events, 1);
    // Its newest events are whole: the session itself can go on.
    server.send(&lost, "m2", "flood 1").await;
    let mut rest = server.stream(&format!("/v1/stream?sessions={lost}")).await;
    rest.named("snapshot").await;
    server.send(&lost, "m3", "flood 1").await;
    rest.events_until(crate::support::turn_of("m3")).await;
    assert!(server.log().contains("damaged"), "{}", server.log());
}

// Contract 8: the list is true at the first answer, and one damaged row keeps nobody from starting.
#[tokio::test]
async fn a_session_whose_row_is_damaged_keeps_no_other_from_starting() {
    let server = Process::start("").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = server.create("cat").await;
        server.until(&id, becomes("ACTIVE")).await;
        ids.push(id);
    }
    let folder = server.kill();
    let path = folder.path().join("data/seawall.db");
    let conn = rusqlite::Connection::open(&path).unwrap();
    let id: uuid::Uuid = ids[1].parse().unwrap();
    let sql = "UPDATE sessions SET row = x'7b2272' WHERE id = ?1";
    assert_eq!(conn.execute(sql, [&id.as_bytes()[..]]).unwrap(), 1);
    drop(conn);

    let server = Process::start_in(folder).await;
    let list = server.get("/v1/sessions?limit=2").await.expect(200);
    let listed: Vec<_> = list["sessions"].as_array().unwrap().iter().collect();
    assert_eq!(listed.len(), 2, "a damaged row takes no other's place: {list}");
    assert!(listed.iter().all(|session| session["end_reason"] == "server_restart"), "{list}");
    assert_eq!(list["next_cursor"], Value::Null);
    server.get(&format!("/v1/sessions/{}", ids[1])).await.refused(500, "store_damaged");
    server.try_send(&ids[1], "m1", "hello").await.refused(500, "store_damaged");
    // Its events are not damaged.
    assert!(!server.events(&ids[1]).await.is_empty());
    let log = server.log();
    assert!(log.contains(&ids[1]) && log.contains("row cannot be read"), "{log}");
    for id in [&ids[0], &ids[2]] {
        server.send(id, "m1", "hello").await;
        server.until(id, |event| event["data"]["text"] == "hello").await;
    }
    ready(&server, 200).await;
}
