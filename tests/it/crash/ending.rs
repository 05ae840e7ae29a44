//! The end of a server that is in the middle of everything.

use crate::support::{Process, of_type, types};
use rustix::process::Signal;

// Scenario 67, with a crowd.
#[tokio::test]
async fn a_busy_server_ends_within_its_grace_and_every_stream_hears_goodbye() {
    let mut server = Process::start("[server]\nshutdown_grace = \"3s\"\n").await;
    let (mut sessions, mut streams) = (Vec::new(), Vec::new());
    for number in 0..20 {
        let id = server.create("demo").await;
        // Half of the agents would finish in time; the others have to be made to.
        let text = if number % 2 == 0 { "slow 10 50" } else { "hang" };
        server.send(&id, "m1", text).await;
        for _ in 0..10 {
            let path = format!("/v1/stream?sessions={id}&after={id}:0");
            streams.push(server.stream(&path).await);
        }
        sessions.push(id);
    }
    for stream in &mut streams {
        stream.events_until(|event| event["type"] == "turn.started").await;
    }
    server.signal(Signal::TERM);
    for stream in &mut streams {
        let (bye, _) = stream.named("bye").await;
        assert_eq!(bye["reason"], "shutdown");
        assert!(stream.next().await.is_none(), "nothing comes after bye");
    }
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
    // What the server says where it has to cut off what is left, a second after the grace.
    assert!(!server.log().contains("shutdown_grace is over"), "{}", server.log());

    let server = Process::start_in(server.folder.clone()).await;
    for id in &sessions {
        let events = server.events(id).await;
        assert_eq!(of_type(&events, "turn.ended").len(), 1, "{:?}", types(&events));
    }
}
