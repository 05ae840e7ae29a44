//! Requests in a stream of bytes: where a head begins, so that a line can be added to it, and what it asks for. Bodies
//! are passed on, or collected where they are for the proxy; a body must have a length.

/// What came from a client, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A head with its closing empty line.
    Head(String),
    Body(Vec<u8>),
}

#[derive(Default)]
pub(super) struct Requests {
    buffer: Vec<u8>,
    body_left: usize,
}

impl Requests {
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Part> {
        self.buffer.extend_from_slice(bytes);
        let mut parts = Vec::new();
        while !self.buffer.is_empty() {
            if self.body_left > 0 {
                let rest = self.buffer.split_off(self.body_left.min(self.buffer.len()));
                let body = std::mem::replace(&mut self.buffer, rest);
                self.body_left -= body.len();
                parts.push(Part::Body(body));
                continue;
            }
            let end = self.buffer.windows(4).position(|window| window == b"\r\n\r\n");
            let Some(end) = end else { break };
            let rest = self.buffer.split_off(end + 4);
            let head = std::mem::replace(&mut self.buffer, rest);
            let head = String::from_utf8(head).expect("a head in ASCII");
            self.body_left = length(&head);
            parts.push(Part::Head(head));
        }
        parts
    }
}

/// How long the body is that follows a head.
pub(super) fn length(head: &str) -> usize {
    let field = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    assert_eq!(field("transfer-encoding"), None, "a body without a length");
    field("content-length").map_or(0, |length| length.parse().expect("a number"))
}

/// Method and path, without the query.
pub(super) fn asked(head: &str) -> (&str, &str) {
    let mut words = head.split([' ', '?']);
    (words.next().expect("a method"), words.next().expect("a path"))
}

pub(super) fn with_line(head: &str, line: &str) -> String {
    let (request, rest) = head.split_once("\r\n").expect("a line");
    format!("{request}\r\n{line}\r\n{rest}")
}
