//! Streams of credentials that are limited to some agents: what they may not see looks like what is not there.

use super::support::{active, grow, named, opening};
use crate::support::{Api, Driven};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// A server with an operator who may see all, and viewers: ann sees `cat` alone, bob `sh` alone.
async fn server() -> (Driven, Api, Api, Api) {
    let token = |name: &str, role: &str, agents: &str| {
        let digest = HEXLOWER.encode(&Sha256::digest(name));
        format!(
            "[[auth.tokens]]\nname = \"{name}\"\nrole = \"{role}\"\nsha256 = \"{digest}\"\n{agents}\n"
        )
    };
    let tokens = [
        token("olga", "operator", ""),
        token("ann", "viewer", "agents = [\"cat\"]"),
        token("bob", "viewer", "agents = [\"sh\"]"),
    ];
    let mut server = Driven::start(&tokens.concat()).await;
    server.api = server.with_token(Some("olga"));
    let [ann, bob] = ["ann", "bob"].map(|name| server.with_token(Some(name)));
    let olga = server.api.clone();
    (server, olga, ann, bob)
}

#[tokio::test]
async fn a_session_that_the_credential_may_not_see_is_gone_as_unknown() {
    let (server, olga, ann, bob) = server().await;
    let (cat, _) = active(&server, "cat").await;
    let (sh, _) = active(&server, "sh").await;
    let path = format!("/v1/stream?sessions={sh},{cat}");
    let mut stream = ann.stream(&path).await;
    let frames = opening(&mut stream).await;
    let expected = serde_json::json!({"session_id": sh, "reason": "unknown"});
    assert_eq!(named(&frames, "gone"), [&expected]);
    assert_eq!(frames.last().unwrap().1["session_id"], cat.as_str());
    // A token of somebody who sees more grants nothing.
    let mut wider = olga.stream(&path).await;
    opening(&mut wider).await;
    let (_, token) = wider.named("snapshot").await;
    let head = grow(&server, &cat, 3).await;
    let frames = opening(&mut ann.stream(&format!("{path}&cursor={token}")).await).await;
    assert_eq!(named(&frames, "gone"), [&expected]);
    assert_eq!(frames.last().unwrap().1["head_seq"], head);
    bob.get(&format!("/v1/stream?sessions={cat}")).await.refused(404, "not_found");
    bob.get(&format!("/v1/sessions/{cat}/stream")).await.refused(404, "not_found");
    server.delete(&format!("/v1/sessions/{sh}")).await.expect(204);
    let frames = opening(&mut ann.stream(&path).await).await;
    assert_eq!(named(&frames, "gone"), [&expected], "not even that it was deleted");
}

#[tokio::test]
async fn a_stream_without_a_credential_is_refused() {
    let (server, ..) = server().await;
    let (id, _) = active(&server, "cat").await;
    for token in [None, Some("nobody")] {
        let api = server.with_token(token);
        for path in [format!("/v1/stream?sessions={id}"), "/v1/sessions/stream".into()] {
            api.get(&path).await.refused(401, "unauthorized");
        }
    }
}

#[tokio::test]
async fn only_the_credential_that_opened_a_stream_can_suspend_it() {
    let (server, olga, ann, _) = server().await;
    let (id, _) = active(&server, "cat").await;
    let mut stream = ann.stream(&format!("/v1/stream?sessions={id}")).await;
    let (welcome, _) = stream.named("welcome").await;
    let path = format!("/v1/connections/{}/suspend", welcome["connection_id"].as_str().unwrap());
    olga.call(olga.request("POST", &path)).await.refused(404, "not_found");
    ann.call(ann.request("POST", &path)).await.expect(204);
}

#[tokio::test]
async fn the_list_of_a_limited_credential_shows_nothing_of_other_agents() {
    let (server, _, ann, bob) = server().await;
    let (cat, _) = active(&server, "cat").await;
    let mut of_ann = ann.stream("/v1/sessions/stream").await;
    let mut of_bob = bob.stream("/v1/sessions/stream").await;
    let (all, _) = of_ann.named("sessions").await;
    assert_eq!(all["sessions"][0]["id"], cat.as_str());
    let (all, _) = of_bob.named("sessions").await;
    assert_eq!(all["sessions"], serde_json::json!([]));
    server.delete(&format!("/v1/sessions/{cat}")).await.expect(204);
    let (sh, _) = active(&server, "sh").await;
    assert_eq!(of_bob.named("session").await.0["id"], sh.as_str());
    let (removal, _) = of_ann.named("session").await;
    assert_eq!(removal, serde_json::json!({"session_id": cat, "deleted": true}));
    let (second, _) = active(&server, "cat").await;
    assert_eq!(of_ann.named("session").await.0["id"], second.as_str(), "and nothing of sh");
}
