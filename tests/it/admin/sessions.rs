//! Sessions as an administrator sees them, and the killing of their children.

use crate::support::{
    Driven, Process, becomes, demo_profile, eventually, is, of_type, only, types,
};
use serde_json::{Value, json};
use std::{path::Path, time::Duration};

#[tokio::test]
async fn a_session_is_shown_with_its_process_its_streams_and_what_waits() {
    let server = Driven::start("").await;
    let id = server.create("demo").await;
    server.send(&id, "m1", "hang").await;
    let mut stream = server.follow(&id).await;
    let (welcome, _) = stream.named("welcome").await;
    stream.events_until(is("agent.message")).await;
    server.send(&id, "m2", "waits").await;
    let urgent = json!({ "message_id": "m3", "text": "first", "interrupt": false });
    let third = server.post_message(&id, urgent).await.expect(202);
    stream.events_until(|event| event["data"]["message_id"] == "m3").await;
    server.streams_open(1).await;

    let path = format!("/admin/sessions/{id}");
    let shown = server.admin().get(&path).await.expect(200);
    let plain = server.session(&id).await;
    for (key, value) in plain.as_object().unwrap() {
        assert_eq!(shown[key], *value, "{key}");
    }
    assert_eq!(shown["watchers"], json!({ "active": 1, "suspended": 0 }));
    let head = &plain["head_seq"];
    let expected = json!([{
        "connection_id": welcome["connection_id"], "credential": "first", "suspended": false,
        "cursor": head, "lag": 0,
    }]);
    assert_eq!((&shown["streams"], &shown["lag"]), (&expected, &json!(0)));
    assert_eq!(shown["child"]["pid"], plain["pid"]);
    assert!(shown["child"]["rss_bytes"].as_u64().unwrap() > 100_000);
    let queue = shown["queue"].as_array().unwrap();
    let ids: Vec<_> = queue.iter().map(|message| &message["message_id"]).collect();
    assert_eq!(ids, ["m2", "m3"]);
    assert_eq!((&queue[1]["seq"], &queue[1]["interrupt"]), (&third["seq"], &json!(false)));
    assert_eq!(shown["supervision"]["child"]["failures"], 0);

    let suspend = format!("/v1/connections/{}/suspend", welcome["connection_id"].as_str().unwrap());
    server.post(&suspend, Value::Null).await.expect(204);
    let shown = server.admin().get(&path).await.expect(200);
    assert_eq!(shown["watchers"], json!({ "active": 0, "suspended": 1 }));
}

#[tokio::test]
async fn sessions_are_listed_in_pages_with_what_failed() {
    let server = Driven::start("").await;
    let ended = server.create("cat").await;
    server.stop_session(&ended, json!({ "grace_ms": 0 })).await;
    server.state(&ended, "ENDED").await;
    server.advance(Duration::from_secs(1));
    let id = server.create("demo").await;
    let mut log = server.follow(&id).await;
    log.events_until(becomes("ACTIVE")).await;
    server.send(&id, "m1", "crash 7").await;
    log.events_until(is("transport.restarting")).await;
    server.settled(&id).await;

    let admin = server.admin();
    let page = admin.get("/admin/sessions?limit=1").await.expect(200);
    let [first] = &page["sessions"].as_array().unwrap()[..] else { panic!("{page}") };
    assert_eq!(
        (&first["id"], &first["child"], first.get("queue")),
        (&json!(id), &Value::Null, None)
    );
    let child = &first["supervision"]["child"];
    assert_eq!((&child["failures"], &child["failures_in_window"]), (&json!(1), &json!(1)));
    assert_eq!(child["last_failure"]["cause"], "it exited with code 7");
    assert_eq!(child["policy"]["max_restarts"], 3);

    let cursor = page["next_cursor"].as_str().unwrap();
    let page = admin.get(&format!("/admin/sessions?limit=1&cursor={cursor}")).await.expect(200);
    let [last] = &page["sessions"].as_array().unwrap()[..] else { panic!("{page}") };
    assert_eq!((&last["id"], &last["supervision"]), (&json!(ended), &Value::Null));
    assert_eq!(page["next_cursor"], Value::Null);

    for (query, ids) in [
        ("state=ENDED", vec![&ended]),
        ("agent=demo", vec![&id]),
        (&*format!("q={ended}"), vec![&ended]),
        ("agent=none", vec![]),
    ] {
        let list = admin.get(&format!("/admin/sessions?{query}")).await.expect(200);
        let found: Vec<_> =
            list["sessions"].as_array().unwrap().iter().map(|session| &session["id"]).collect();
        assert_eq!(found, ids, "{query}");
    }
    admin.get("/admin/sessions?limit=201").await.refused(400, "invalid_query");
    admin.get("/admin/sessions?colour=1").await.refused(400, "invalid_query");
}

/// The policy decides what follows: a restart, or the end.
#[tokio::test]
async fn a_killed_child_dies_with_its_tree_and_its_policy_says_what_follows() {
    let server = Process::start(&demo_profile("never", "restart = \"never\"")).await;
    for (agent, follows) in [("demo", "transport.restarting"), ("never", "session.state")] {
        let id = server.create(agent).await;
        server.send(&id, "m1", "fork").await;
        let events = server.until(&id, |event| event["type"] == "turn.ended").await;
        let head = events.len();
        let pid = server.session(&id).await["pid"].as_u64().unwrap();
        let kill = format!("/admin/sessions/{id}/kill");
        let answer = server.admin().post(&kill, json!({})).await.expect(202);
        assert_eq!(answer, json!({ "requested": true }));
        eventually("the child is gone", || !Path::new(&format!("/proc/{pid}")).exists());
        let events = server
            .until(&id, |event| {
                event["type"] == follows && event["seq"].as_u64() > Some(head as u64)
            })
            .await;
        let exited = only(&events, "transport.exited");
        assert_eq!(exited["signal"], 9, "{exited}");
        assert!(exited["killed"].as_array().unwrap().len() >= 2, "its grandchildren: {exited}");
        if agent == "never" {
            assert_eq!(server.session(&id).await["end_reason"], "error");
        }
    }
}

#[tokio::test]
async fn without_a_child_there_is_nothing_to_kill_and_no_event() {
    let server = Driven::start("").await;
    let id = server.create("cat").await;
    server.stop_session(&id, json!({ "grace_ms": 0 })).await;
    server.state(&id, "ENDED").await;
    let before = server.events(&id).await;
    let kill = format!("/admin/sessions/{id}/kill");
    let admin = server.admin();
    let answer = admin.post(&kill, json!({})).await.expect(202);
    assert_eq!(answer, json!({ "requested": false }));
    // Without a body it is the same call.
    admin.call(admin.request("POST", &kill)).await.expect(202);
    admin.post(&kill, json!({ "hard": true })).await.refused(400, "invalid_body");
    assert_eq!(types(&server.events(&id).await), types(&before));
    let absent = "/admin/sessions/00000000-0000-4000-8000-000000000000/kill";
    admin.post(absent, json!({})).await.refused(404, "not_found");
    admin.post(absent, json!({ "hard": true })).await.refused(404, "not_found");
    assert!(of_type(&before, "transport.restarting").is_empty());
}
