//! The shortest way through the whole house, once with the real binary and once with a driven clock.

use crate::support::{Driven, Process, assert_dense, of_type, said};

#[tokio::test]
async fn a_message_goes_to_the_agent_and_its_answer_comes_back() {
    let server = Process::start("").await;
    let id = server.create("demo").await;
    let receipt = server.send(&id, "m1", "hello there").await;
    assert_eq!(receipt["duplicate"], false);
    let events = server.turn(&id, "m1").await;
    assert_dense(&events, 1);
    assert!(said(&events).contains("hello there"), "{events:#?}");
    assert_eq!(of_type(&events, "user.message")[0]["seq"], receipt["seq"]);
    assert_eq!(server.events(&id).await, events);
    let (status, _) = server.stop().await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn a_server_with_a_driven_clock_serves_all_the_same() {
    let server = Driven::start("").await;
    let id = server.create("cat").await;
    server.send(&id, "m1", "echo").await;
    let events = server.until(&id, |event| event["type"] == "agent.output").await;
    assert_eq!(of_type(&events, "agent.output")[0]["data"]["text"], "echo");
}
