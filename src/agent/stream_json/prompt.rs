//! A message's blocks as the agent takes them, and the id that it knows the message by.

use crate::domain::{ContentBlock, MessageId, content::EmbeddedResource};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// The agent never runs a message twice whose id it has in its transcript.
pub(super) fn uuid(session: &Uuid, message: &MessageId) -> String {
    derived(session, "message", message.as_str())
}

/// An id that is the same whenever it is asked for, and another for each session, kind and name.
pub(super) fn derived(session: &Uuid, kind: &str, name: &str) -> String {
    let digest =
        Sha256::new().chain_update(session).chain_update(kind).chain_update(" ").chain_update(name);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.finalize()[..16]);
    Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// The blocks, or why this agent cannot be given them.
pub(super) fn content(content: &[ContentBlock]) -> Result<Vec<Value>, String> {
    content.iter().map(block).collect()
}

fn block(block: &ContentBlock) -> Result<Value, String> {
    match block {
        ContentBlock::Text { text } => Ok(said(text)),
        ContentBlock::Image { data, mime_type, .. } => {
            let source = json!({"type": "base64", "media_type": mime_type, "data": data});
            Ok(json!({"type": "image", "source": source}))
        }
        // As a person would write it: the agent reads the file, or fetches the page, if it wants to.
        ContentBlock::ResourceLink { uri, name, .. } => match uri.strip_prefix("file://") {
            Some(path) => Ok(said(&format!("@{path}"))),
            None => Ok(said(&format!("[{name}]({uri})"))),
        },
        ContentBlock::Resource { resource: EmbeddedResource { uri, text: Some(text), .. } } => {
            Ok(said(&format!("{uri}:\n\n{text}")))
        }
        ContentBlock::Resource { .. } => {
            Err("the agent takes no resource blocks without text; send a resource_link instead"
                .into())
        }
        ContentBlock::Audio { .. } => {
            Err("the agent takes no audio blocks; send text or a resource_link instead".into())
        }
    }
}

fn said(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_written_as_the_agent_names_them() {
        for (ours, theirs) in [
            (json!({"type": "text", "text": "hi"}), json!({"type": "text", "text": "hi"})),
            (
                json!({"type": "image", "data": "AA==", "mime_type": "image/png", "uri": "file:///i"}),
                json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}),
            ),
            (
                json!({"type": "resource_link", "uri": "file:///a/b", "name": "b"}),
                json!({"type": "text", "text": "@/a/b"}),
            ),
            (
                json!({"type": "resource_link", "uri": "https://x.example/", "name": "x"}),
                json!({"type": "text", "text": "[x](https://x.example/)"}),
            ),
            (
                json!({"type": "resource", "resource": {"uri": "file:///a", "text": "t"}}),
                json!({"type": "text", "text": "file:///a:\n\nt"}),
            ),
        ] {
            let ours: ContentBlock = serde_json::from_value(ours).unwrap();
            assert_eq!(content(&[ours]).unwrap(), [theirs]);
        }
    }

    #[test]
    fn what_the_agent_cannot_take_is_refused_by_name() {
        for (refused, named) in [
            (json!({"type": "audio", "data": "", "mime_type": "audio/wav"}), "audio"),
            (json!({"type": "resource", "resource": {"uri": "u", "blob": "AA=="}}), "resource"),
        ] {
            let refused: ContentBlock = serde_json::from_value(refused).unwrap();
            assert!(content(&[ContentBlock::text("see"), refused]).unwrap_err().contains(named));
        }
    }

    #[test]
    fn an_id_is_the_same_for_the_same_and_another_for_another() {
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(derived(&a, "run", "1"), derived(&a, "run", "1"));
        let ids = [derived(&a, "run", "1"), derived(&b, "run", "1"), derived(&a, "message", "1")];
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
        assert_eq!(ids[0].parse::<Uuid>().unwrap().get_version_num(), 4);
    }
}
