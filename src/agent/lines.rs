//! Agents that read and write plain lines: no handshake, no turns, no cancel, no acknowledgement. Meaning is never
//! looked for in what they print; an agent that prints JSON is still an agent of lines here.

use super::{AgentEvent, AgentRequest, Codec, CodecOptions, Output, RawLine};
use crate::domain::{
    ContentBlock, MessageId,
    event::{AgentContext, Outcome},
};

/// A message is its blocks joined by newlines, then one newline. Blocks that are not text are written so that a
/// person or a model can make something of them:
///
/// - `resource_link`: its URI;
/// - `resource` with text: its URI and its text, each on lines of its own;
/// - everything that is Base64: a marker in place of the data, such as `[image image/png, 123 bytes]`.
///
/// With `escape_newlines` the whole message is one line: backslash, newline and carriage return inside it become
/// `\\`, `\n` and `\r`, two characters each, so that unescaping gives back exactly what was sent.
pub struct Lines {
    escape_newlines: bool,
}

impl Lines {
    pub fn new(options: CodecOptions) -> Self {
        Self { escape_newlines: options.escape_newlines }
    }
}

impl Codec for Lines {
    fn start(&mut self, out: &mut Output) {
        out.events.push(AgentEvent::Ready {
            agent_session_id: None,
            context: AgentContext::New,
            can_resume: false,
        });
    }

    fn line(&mut self, line: RawLine<'_>, out: &mut Output) {
        out.events.push(AgentEvent::stdout(line));
    }

    fn prompt(&mut self, _: &MessageId, content: &[ContentBlock], out: &mut Output) {
        let text = content.iter().map(block_as_text).collect::<Vec<_>>().join("\n");
        if self.escape_newlines {
            escape_into(&text, &mut out.stdin);
        } else {
            out.stdin.extend_from_slice(text.as_bytes());
        }
        out.stdin.push(b'\n');
    }

    fn cancel(&mut self, _: &mut Output) {}

    fn answer(&mut self, _: AgentRequest, _: &Outcome, _: &mut Output) {}
}

fn block_as_text(block: &ContentBlock) -> String {
    match block {
        ContentBlock::Text { text } => text.clone(),
        ContentBlock::Image { data, mime_type, uri: None } => {
            format!("[image {mime_type}, {} bytes]", decoded_len(data))
        }
        ContentBlock::Image { data, mime_type, uri: Some(uri) } => {
            format!("[image {mime_type}, {} bytes, {uri}]", decoded_len(data))
        }
        ContentBlock::Audio { data, mime_type } => {
            format!("[audio {mime_type}, {} bytes]", decoded_len(data))
        }
        ContentBlock::ResourceLink { uri, .. } => uri.clone(),
        ContentBlock::Resource { resource } => match (&resource.text, &resource.blob) {
            (Some(text), _) => format!("{}\n{text}", resource.uri),
            (None, Some(blob)) => {
                format!("[resource {}, {} bytes]", resource.uri, decoded_len(blob))
            }
            (None, None) => resource.uri.clone(),
        },
    }
}

/// The length of what is Base64 in `data`, without decoding it.
fn decoded_len(data: &str) -> usize {
    data.trim_end_matches('=').len() * 3 / 4
}

fn escape_into(text: &str, stdin: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'\\' => stdin.extend_from_slice(b"\\\\"),
            b'\n' => stdin.extend_from_slice(b"\\n"),
            b'\r' => stdin.extend_from_slice(b"\\r"),
            _ => stdin.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{content::EmbeddedResource, event::OutputStream};
    use proptest::prelude::*;

    fn written(content: &[ContentBlock], escape_newlines: bool) -> String {
        let mut out = Output::default();
        let options = CodecOptions { escape_newlines, ..CodecOptions::default() };
        Lines::new(options).prompt(&"m-1".parse().unwrap(), content, &mut out);
        assert_eq!(out.events, [], "lines have no turns");
        String::from_utf8(out.stdin).unwrap()
    }

    fn heard(bytes: &[u8], truncated: bool) -> AgentEvent {
        let mut out = Output::default();
        Lines::new(CodecOptions::default()).line(RawLine { bytes, truncated }, &mut out);
        assert_eq!(out.stdin, b"");
        out.events.pop().unwrap()
    }

    #[test]
    fn is_ready_at_once_and_knows_no_earlier_session() {
        let mut out = Output::default();
        let resume = Some("earlier".to_owned());
        Lines::new(CodecOptions { resume, ..CodecOptions::default() }).start(&mut out);
        assert_eq!(
            out.events,
            [AgentEvent::Ready {
                agent_session_id: None,
                context: AgentContext::New,
                can_resume: false
            }]
        );
    }

    #[test]
    fn a_message_is_its_blocks_on_lines_of_their_own() {
        let blocks = [
            ContentBlock::text("look at\nthese"),
            ContentBlock::Image {
                data: "AAECAw==".to_owned(),
                mime_type: "image/png".to_owned(),
                uri: None,
            },
            ContentBlock::ResourceLink {
                uri: "file:///a.txt".to_owned(),
                name: "a".to_owned(),
                mime_type: None,
                title: None,
                description: None,
                size: None,
            },
            ContentBlock::Resource {
                resource: EmbeddedResource {
                    uri: "file:///b.txt".to_owned(),
                    text: Some("inside b".to_owned()),
                    blob: None,
                    mime_type: None,
                },
            },
        ];
        assert_eq!(
            written(&blocks, false),
            "look at\nthese\n[image image/png, 4 bytes]\nfile:///a.txt\nfile:///b.txt\ninside b\n"
        );
    }

    #[test]
    fn an_empty_message_is_an_empty_line() {
        assert_eq!(written(&[ContentBlock::text("")], false), "\n");
    }

    #[test]
    fn escaped_newlines_keep_a_message_on_one_line() {
        let blocks = [ContentBlock::text("a\r\nb\\n"), ContentBlock::text("c")];
        assert_eq!(written(&blocks, true), "a\\r\\nb\\\\n\\nc\n");
    }

    #[test]
    fn the_length_of_base64_is_that_of_its_bytes() {
        for (data, bytes) in [("", 0), ("AA==", 1), ("AAA=", 2), ("AAAA", 3), ("AAAAAA", 4)] {
            assert_eq!(decoded_len(data), bytes, "{data}");
        }
    }

    #[test]
    fn a_line_is_output_and_invalid_utf8_is_replaced() {
        let output = |text: &str, truncated| AgentEvent::Output {
            stream: OutputStream::Stdout,
            text: text.to_owned(),
            truncated,
        };
        assert_eq!(heard(b"", false), output("", false));
        assert_eq!(heard(b"a\xffb\0", false), output("a\u{fffd}b\0", false));
        assert_eq!(heard(b"long", true), output("long", true));
    }

    proptest! {
        #[test]
        fn an_escaped_message_is_one_line_and_can_be_unescaped(text in any::<String>()) {
            let line = written(&[ContentBlock::text(&text)], true);
            let line = line.strip_suffix('\n').unwrap();
            prop_assert!(!line.contains(['\n', '\r']));
            let mut back = String::new();
            let mut chars = line.chars();
            while let Some(char) = chars.next() {
                back.push(match char {
                    '\\' => match chars.next() {
                        Some('n') => '\n',
                        Some('r') => '\r',
                        other => other.unwrap(),
                    },
                    other => other,
                });
            }
            prop_assert_eq!(back, text);
        }
    }
}
