//! A stream of events in any split: the same events, and never more than the limit in memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seawall::wire::sse::{Decoder, ServerEvent};

const LIMIT: usize = 64;

fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<ServerEvent>, bool, String) {
    let (mut decoder, mut events, mut is_whole) = (Decoder::new(LIMIT), Vec::new(), true);
    for piece in pieces {
        is_whole &= decoder.feed(piece).is_ok();
        while let Some(event) = decoder.next_event() {
            assert!(event.data.len() <= LIMIT);
            events.push(event);
        }
        if !is_whole {
            break;
        }
    }
    let last = decoder.last_event_id().to_owned();
    (events, is_whole, last)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    let whole = decode(std::iter::once(bytes));
    let split = decode(bytes.chunks(usize::from(size % 7) + 1));
    assert_eq!(whole, split);
});
