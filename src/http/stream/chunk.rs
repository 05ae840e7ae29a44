//! What goes out at once, as a chunk of a body (RFC 9112, section 7.1): made with its framing around it, so that it is one
//! piece of memory, shared by all who need the same, for one system call each.

use bytes::{BufMut, Bytes, BytesMut};

const LINE_END: &[u8] = b"\r\n";
/// The room for the line before the content: as many digits as any length has, and a line end.
const HEAD: usize = 2 * size_of::<usize>() + LINE_END.len();

/// Never empty: that would be the end of a body.
#[derive(Clone, Debug)]
pub struct Chunk {
    framed: Bytes,
    /// Where the content begins.
    head: usize,
}

impl Chunk {
    /// Leaves room for the framing. To be done before anything is written.
    pub(super) fn begin(buffer: &mut BytesMut) {
        buffer.put_bytes(0, HEAD);
    }

    /// How many bytes of content were written since [`Chunk::begin`].
    pub(super) fn content_len(buffer: &BytesMut) -> usize {
        buffer.len().saturating_sub(HEAD)
    }

    /// Takes what was written; None where nothing was.
    pub(super) fn end(buffer: &mut BytesMut) -> Option<Self> {
        let mut left = Self::content_len(buffer);
        if left == 0 {
            return None;
        }
        buffer.put_slice(LINE_END);
        let mut whole = buffer.split();
        let mut at = HEAD - LINE_END.len();
        whole[at..HEAD].copy_from_slice(LINE_END);
        while left > 0 {
            at -= 1;
            whole[at] = b"0123456789abcdef"[left % 16];
            left /= 16;
        }
        Some(Self { framed: whole.freeze().split_off(at), head: HEAD - at })
    }

    /// For a body whose framing is somebody else's.
    pub(super) fn content(&self) -> Bytes {
        self.framed.slice(self.head..self.framed.len() - LINE_END.len())
    }

    /// For a socket.
    pub(super) fn framed(&self) -> &[u8] {
        &self.framed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_chunk_is_hexadecimal() {
        let mut buffer = BytesMut::new();
        for (bytes, line) in
            [(1, "1\r\n"), (16, "10\r\n"), (0xabc, "abc\r\n"), (1 << 20, "100000\r\n")]
        {
            let content = vec![b'x'; bytes];
            Chunk::begin(&mut buffer);
            buffer.put_slice(&content);
            assert_eq!(Chunk::content_len(&buffer), bytes);
            let chunk = Chunk::end(&mut buffer).unwrap();
            assert!(buffer.is_empty());
            assert_eq!(chunk.content(), content);
            assert_eq!(chunk.framed(), [line.as_bytes(), &content, LINE_END].concat());
        }
    }

    #[test]
    fn nothing_is_no_chunk() {
        let mut buffer = BytesMut::new();
        assert!(Chunk::end(&mut buffer).is_none());
        Chunk::begin(&mut buffer);
        assert!(Chunk::end(&mut buffer).is_none());
    }
}
