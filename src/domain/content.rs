//! Content blocks of messages: those of the Agent Client Protocol, with names in snake_case.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The most blocks in one message.
pub const BLOCKS_MAX: usize = 64;

/// One block of a message's content. Names in camelCase (`mimeType`) are understood as well, since ACP writes them so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ContentBlock {
    Text {
        text: String,
    },
    Image {
        /// Base64.
        data: String,
        #[serde(alias = "mimeType")]
        mime_type: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uri: Option<String>,
    },
    Audio {
        /// Base64.
        data: String,
        #[serde(alias = "mimeType")]
        mime_type: String,
    },
    ResourceLink {
        uri: String,
        name: String,
        #[serde(default, alias = "mimeType", skip_serializing_if = "Option::is_none")]
        mime_type: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(format = "uint64", maximum = 18_446_744_073_709_551_615_u64)]
        size: Option<u64>,
    },
    Resource {
        resource: EmbeddedResource,
    },
}

/// A resource whose content travels inside the message: as `text`, or as `blob` (Base64).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbeddedResource {
    pub uri: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
    #[serde(default, alias = "mimeType", skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
}

impl ContentBlock {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }
}

/// What makes two sends the same send: SHA-256 of the blocks in their canonical JSON.
pub type ContentDigest = [u8; 32];

pub fn digest(content: &[ContentBlock]) -> ContentDigest {
    encode(content).1
}

/// The blocks as canonical JSON, and its digest.
pub fn encode(content: &[ContentBlock]) -> (Vec<u8>, ContentDigest) {
    let mut json = Vec::with_capacity(ROOM + text_len(content));
    serde_json::to_writer(&mut json, content)
        .expect("content blocks are plain strings and numbers, a Vec takes all");
    let digest = Sha256::digest(&json).into();
    (json, digest)
}

/// Enough for what stands around the text of a single block.
const ROOM: usize = 64;

/// How long the texts of the blocks are together, unescaped.
pub(crate) fn text_len(content: &[ContentBlock]) -> usize {
    let length = |block: &ContentBlock| match block {
        ContentBlock::Text { text } => text.len(),
        ContentBlock::Image { data, .. } | ContentBlock::Audio { data, .. } => data.len(),
        ContentBlock::ResourceLink { .. } | ContentBlock::Resource { .. } => 0,
    };
    content.iter().map(length).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_acp_are_understood_and_written_in_snake_case() {
        let block: ContentBlock =
            serde_json::from_str(r#"{"type":"image","data":"AA==","mimeType":"image/png"}"#)
                .unwrap();
        assert_eq!(
            serde_json::to_string(&block).unwrap(),
            r#"{"type":"image","data":"AA==","mime_type":"image/png"}"#
        );
    }

    #[test]
    fn the_digest_is_of_the_meaning_not_of_the_spelling() {
        let one: Vec<ContentBlock> =
            serde_json::from_str(r#"[{"text":"hi","type":"text"}]"#).unwrap();
        assert_eq!(digest(&one), digest(&[ContentBlock::text("hi")]));
        assert_ne!(digest(&one), digest(&[ContentBlock::text("hi ")]));
    }
}
