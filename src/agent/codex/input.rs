//! A message's blocks as the input of a turn. What Codex has no input for is refused and never left out.

use crate::domain::{ContentBlock, content::EmbeddedResource};
use serde_json::{Value, json};

/// The blocks as Codex takes them, or why it cannot be given them. Links are text: Codex opens what it is told of.
pub(super) fn blocks(content: &[ContentBlock]) -> Result<Vec<Value>, String> {
    content.iter().map(one).collect()
}

fn one(block: &ContentBlock) -> Result<Value, String> {
    Ok(match block {
        ContentBlock::Text { text: words } => text(words),
        ContentBlock::Image { data, mime_type, .. } => data_url("image", mime_type, data),
        ContentBlock::Audio { data, mime_type } => data_url("audio", mime_type, data),
        ContentBlock::ResourceLink { uri, name, .. } if name.is_empty() => text(uri),
        ContentBlock::ResourceLink { uri, name, .. } => text(&format!("[{name}]({uri})")),
        ContentBlock::Resource { resource: EmbeddedResource { uri, text: inside, .. } } => {
            let inside = inside.as_ref().ok_or_else(|| {
                format!("codex takes no binary resource ({uri}); send an image, text or a link")
            })?;
            text(&format!("{uri}\n{inside}"))
        }
    })
}

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text, "text_elements": [] })
}

fn data_url(kind: &str, mime_type: &str, data: &str) -> Value {
    json!({ "type": kind, "url": format!("data:{mime_type};base64,{data}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_block_has_its_input() {
        for (block, input) in [
            (json!({"type": "text", "text": "hi"}), text("hi")),
            (
                json!({"type": "image", "data": "AA==", "mimeType": "image/png"}),
                json!({"type": "image", "url": "data:image/png;base64,AA=="}),
            ),
            (
                json!({"type": "audio", "data": "AA==", "mimeType": "audio/wav"}),
                json!({"type": "audio", "url": "data:audio/wav;base64,AA=="}),
            ),
            (
                json!({"type": "resource_link", "uri": "file:///a", "name": "a"}),
                text("[a](file:///a)"),
            ),
            (
                json!({"type": "resource", "resource": {"uri": "file:///a", "text": "inside"}}),
                text("file:///a\ninside"),
            ),
        ] {
            let block: ContentBlock = serde_json::from_value(block).unwrap();
            assert_eq!(blocks(&[block]), Ok(vec![input]));
        }
    }

    #[test]
    fn a_binary_resource_is_refused_by_its_name() {
        let resource =
            json!({"type": "resource", "resource": {"uri": "file:///a", "blob": "AA=="}});
        let block: ContentBlock = serde_json::from_value(resource).unwrap();
        assert!(blocks(&[block]).unwrap_err().contains("file:///a"));
    }
}
