//! A message's blocks as an ACP prompt. A block that the agent has not said it takes is never sent to it.

use crate::domain::{ContentBlock, content::EmbeddedResource};
use agent_client_protocol_schema::v1::{self as acp, PromptCapabilities};

/// The blocks as ACP writes them, or why this agent cannot be given them. Text and resource links are taken by all
/// agents; images, audio and embedded resources only by those that announced them.
pub(super) fn blocks(
    content: &[ContentBlock],
    agent: &PromptCapabilities,
) -> Result<Vec<acp::ContentBlock>, String> {
    content.iter().map(|block| one(block, agent)).collect()
}

fn one(block: &ContentBlock, agent: &PromptCapabilities) -> Result<acp::ContentBlock, String> {
    Ok(match block {
        ContentBlock::Text { text } => acp::ContentBlock::Text(acp::TextContent::new(text)),
        ContentBlock::Image { data, mime_type, uri } => {
            taken(agent.image, "image")?;
            acp::ContentBlock::Image(acp::ImageContent::new(data, mime_type).uri(uri.clone()))
        }
        ContentBlock::Audio { data, mime_type } => {
            taken(agent.audio, "audio")?;
            acp::ContentBlock::Audio(acp::AudioContent::new(data, mime_type))
        }
        ContentBlock::ResourceLink { uri, name, mime_type, title, description, size } => {
            let link = acp::ResourceLink::new(name, uri)
                .mime_type(mime_type.clone())
                .title(title.clone())
                .description(description.clone())
                // ACP's sizes are signed; no file is as large as the difference.
                .size(size.and_then(|size| i64::try_from(size).ok()));
            acp::ContentBlock::ResourceLink(link)
        }
        ContentBlock::Resource { resource } => {
            taken(agent.embedded_context, "resource")?;
            acp::ContentBlock::Resource(acp::EmbeddedResource::new(embedded(resource)?))
        }
    })
}

fn taken(announced: bool, kind: &str) -> Result<(), String> {
    if announced {
        return Ok(());
    }
    Err(format!("the agent takes no {kind} blocks; send text or a resource_link instead"))
}

fn embedded(resource: &EmbeddedResource) -> Result<acp::EmbeddedResourceResource, String> {
    let EmbeddedResource { uri, text, blob, mime_type } = resource;
    let mime_type = mime_type.clone();
    match (text, blob) {
        (Some(text), None) => {
            let text = acp::TextResourceContents::new(text, uri).mime_type(mime_type);
            Ok(acp::EmbeddedResourceResource::TextResourceContents(text))
        }
        (None, Some(blob)) => {
            let blob = acp::BlobResourceContents::new(blob, uri).mime_type(mime_type);
            Ok(acp::EmbeddedResourceResource::BlobResourceContents(blob))
        }
        _ => Err(format!("resource {uri} must have either text or blob")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn block(json: &Value) -> ContentBlock {
        serde_json::from_value(json.clone()).unwrap()
    }

    #[test]
    fn blocks_are_written_as_acp_names_them() {
        let all = PromptCapabilities::new().image(true).audio(true).embedded_context(true);
        for wire in [
            json!({"type": "text", "text": "hi"}),
            json!({"type": "image", "data": "AA==", "mimeType": "image/png", "uri": "file:///i"}),
            json!({"type": "audio", "data": "AA==", "mimeType": "audio/wav"}),
            json!({"type": "resource_link", "uri": "file:///a", "name": "a", "mimeType": "text/plain", "size": 3}),
            json!({"type": "resource", "resource": {"uri": "file:///a", "text": "t", "mimeType": "text/plain"}}),
            json!({"type": "resource", "resource": {"uri": "file:///a", "blob": "AA=="}}),
        ] {
            let blocks = blocks(&[block(&wire)], &all).unwrap();
            assert_eq!(serde_json::to_value(blocks).unwrap(), json!([wire]));
        }
    }

    #[test]
    fn a_block_that_was_not_announced_is_refused_by_name() {
        let none = PromptCapabilities::new();
        let image = block(&json!({"type": "image", "data": "", "mimeType": "image/png"}));
        let refusal = blocks(&[ContentBlock::text("see"), image], &none).unwrap_err();
        assert!(refusal.contains("no image blocks"), "{refusal}");
    }

    #[test]
    fn a_resource_has_text_or_blob_and_not_both() {
        let agent = PromptCapabilities::new().embedded_context(true);
        for resource in [json!({"uri": "u"}), json!({"uri": "u", "text": "", "blob": ""})] {
            let resource = block(&json!({"type": "resource", "resource": resource}));
            assert!(blocks(&[resource], &agent).is_err());
        }
    }
}
