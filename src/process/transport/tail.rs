//! The end of a child's stderr, for the report of its exit. The whole of it is in the log; this is what a person looks at
//! first.

/// Bytes that are kept.
const LIMIT: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Tail(Vec<u8>);

impl Tail {
    pub(super) fn push(&mut self, line: &[u8]) {
        let kept = &line[line.len().saturating_sub(LIMIT)..];
        self.0.extend_from_slice(kept);
        self.0.push(b'\n');
        if self.0.len() > 2 * LIMIT {
            self.0.drain(..self.0.len() - LIMIT);
        }
    }

    /// At most 4 KiB of whole characters; what is not UTF-8 is replaced. Lines end in `\n`, the last one too.
    pub(super) fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        let mut start = text.len().saturating_sub(LIMIT);
        while !text.is_char_boundary(start) {
            start += 1;
        }
        text[start..].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_stderr_is_kept_within_its_limit() {
        let mut tail = Tail::default();
        assert_eq!(tail.text(), "");
        tail.push(b"one");
        tail.push(b"tw\xff");
        assert_eq!(tail.text(), "one\ntw\u{fffd}\n");
        for line in ["x".repeat(10_000), "ü".repeat(5000), "y\u{0}".repeat(3000)] {
            tail.push(line.as_bytes());
            assert!(tail.text().len() <= LIMIT && tail.text().len() > LIMIT - 4);
            assert!(line.ends_with(tail.text().trim_end()), "{}", tail.text());
        }
        for number in 0..100_000 {
            tail.push(number.to_string().as_bytes());
        }
        assert!(tail.0.capacity() <= 4 * LIMIT);
        assert!(tail.text().ends_with("99998\n99999\n"));
    }
}
