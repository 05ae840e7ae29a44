//! What can be done to a connection, as data. Nothing is done here.

use std::time::Duration;

/// What happens to one connection. The default: nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// From the client to the server.
    pub(crate) up: Flow,
    /// From the server to the client.
    pub(crate) down: Flow,
    /// A line that is added to the head of each request, as `Name: value`. Bodies must have a length.
    pub(crate) header: Option<String>,
    /// The connection ends now.
    pub(crate) end: Option<End>,
}

/// What happens to the bytes of one direction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flow {
    /// Nothing is read, so that the sender's sockets fill up; an end is not noticed either.
    pub(crate) held: bool,
    /// All is read and nothing goes on; an end is not noticed either.
    pub(crate) lost: bool,
    /// How long each read's bytes wait before they go on.
    pub(crate) delay: Duration,
    pub(crate) bytes_per_second: Option<u64>,
    pub(crate) write: Write,
    /// The connection ends when so many bytes have passed.
    pub(crate) cut_after: Option<usize>,
    /// The connection ends in a place that is found by what stands there.
    pub(crate) cut_at: Option<Spot>,
    /// How it ends where it is cut.
    pub(crate) how: End,
}

/// In which pieces bytes go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Write {
    #[default]
    AsTheyCome,
    /// So many a write.
    Split(usize),
    /// Not before there are so many, or the sender ends, or the rule does.
    Join(usize),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum End {
    /// In order, with FIN.
    #[default]
    Close,
    /// At once, with RST: what the other side has not read yet is lost.
    Reset,
}

/// So many bytes behind the first place where this text begins.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    pub(crate) text: String,
    pub(crate) then: usize,
}

impl Flow {
    /// How many more bytes may pass, where that is known by now: `passed` have, of which `seen` are the last, and `next`
    /// would be the next ones.
    pub(super) fn room(&self, passed: usize, seen: &[u8], next: &[u8]) -> Option<usize> {
        let to_spot = self.cut_at.as_ref().and_then(|spot| {
            let (all, text) = ([seen, next].concat(), spot.text.as_bytes());
            let begin = all.windows(text.len()).position(|window| window == text)?;
            Some((begin + spot.then).saturating_sub(seen.len()))
        });
        let to_count = self.cut_after.map(|count| count.saturating_sub(passed));
        to_spot.into_iter().chain(to_count).min()
    }
}
