//! What a reader must make of bytes, taken from the standard's own rules. Nothing here opens a connection.

use super::*;
use proptest::prelude::*;

const LIMIT: usize = 64;

/// Everything that can be seen of a decoder that was fed `parts`.
fn outcome<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> (Vec<ServerEvent>, String, bool) {
    let mut decoder = Decoder::new(LIMIT);
    let mut events = Vec::new();
    let mut fits = true;
    for part in parts {
        fits = decoder.feed(part).is_ok();
        events.extend(std::iter::from_fn(|| decoder.next_event()));
    }
    (events, decoder.last_event_id().to_owned(), fits)
}

fn events(stream: &str) -> Vec<(String, String, String)> {
    outcome([stream.as_bytes()])
        .0
        .into_iter()
        .map(|event| (event.event, String::from_utf8(event.data.to_vec()).unwrap(), event.id))
        .collect()
}

#[track_caller]
fn check(stream: &str, expected: &[(&str, &str, &str)]) {
    let seen = events(stream);
    let seen: Vec<_> = seen.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
    assert_eq!(seen, expected, "{stream:?}");
}

#[test]
fn an_unnamed_frame_is_a_message_and_a_named_one_keeps_its_name() {
    check("data: a\n\nevent: gap\ndata: b\n\n", &[("message", "a", ""), ("gap", "b", "")]);
}

#[test]
fn lines_end_with_lf_cr_or_crlf() {
    check("data: a\rdata: b\r\ndata: c\n\r\n", &[("message", "a\nb\nc", "")]);
}

#[test]
fn a_leading_bom_is_dropped_and_a_later_one_is_not() {
    check("\u{feff}data: a\n\n\u{feff}data: b\n\n", &[("message", "a", "")]);
}

#[test]
fn comments_and_unknown_fields_are_ignored_and_only_one_space_is_dropped() {
    check(": hello\nsize: 3\ndata:  a:b\n\n", &[("message", " a:b", "")]);
}

#[test]
fn an_empty_data_line_is_an_event_and_no_data_line_is_none() {
    check("data\n\nevent: ping\n\n", &[("message", "", "")]);
}

#[test]
fn an_id_stands_until_another_and_an_empty_one_takes_it_away() {
    check(
        "id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n",
        &[("message", "a", "1"), ("message", "b", "1"), ("message", "c", "")],
    );
}

#[test]
fn an_id_with_nul_is_ignored() {
    check("id: 1\n\nid: x\0y\ndata: a\n\n", &[("message", "a", "1")]);
}

#[test]
fn an_id_counts_once_its_frame_has_ended_even_without_data() {
    let (events, id, _) = outcome([&b"id: 7\n\nid: 8\ndata: cut\n"[..]]);
    assert_eq!((events, id.as_str()), (vec![], "7"));
}

#[test]
fn retry_is_taken_when_it_is_all_digits() {
    let retries: Vec<_> =
        outcome([&b"retry: 1500\ndata\n\nretry: 2s\ndata\n\nretry\ndata\n\n"[..]])
            .0
            .into_iter()
            .map(|event| event.retry)
            .collect();
    assert_eq!(retries, [Some(1500), None, None]);
}

#[test]
fn a_line_or_an_event_over_the_limit_is_an_error_and_what_came_before_stands() {
    let line = format!("data: a\n\ndata: {}\n\n", "x".repeat(LIMIT));
    let event = format!("data: a\n\n{}\n", "data: 0123456789\n".repeat(LIMIT / 10 + 1));
    for stream in [line, event] {
        let (events, _, fits) = outcome([stream.as_bytes()]);
        assert_eq!((events.len(), fits), (1, false), "{stream}");
    }
}

#[test]
fn a_decoder_that_has_failed_takes_nothing_more() {
    let mut decoder = Decoder::new(3);
    assert_eq!(decoder.feed(b"data: long\n\n"), Err(EventTooLong { limit: 3 }));
    assert_eq!(decoder.feed(b"\n\n"), Err(EventTooLong { limit: 3 }));
    assert_eq!(decoder.next_event(), None);
}

#[test]
fn the_id_of_a_frame_is_its_last_line_because_a_client_may_take_it_before_the_frame_ends() {
    let mut out = Vec::new();
    Frame { event: Some("welcome"), id: Some("t"), retry: Some(1000), data: b"{}" }
        .encode(&mut out);
    assert_eq!(out, b"event: welcome\nretry: 1000\ndata: {}\nid: t\n\n");
}

/// Text that is rich in what the format treats specially.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("data"),
        Just("id"),
        Just("event"),
        Just("retry"),
        Just(":"),
        Just(" "),
        Just("\n"),
        Just("\r"),
        Just("\r\n"),
        Just("\n\n"),
        Just("\u{feff}"),
        Just("12"),
        Just("ä"),
        Just("\0"),
        Just("0123456789"),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_split_of_the_bytes_gives_the_same_events(
        bytes in stream(),
        mut cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..20),
    ) {
        cuts.sort_by_key(|cut| cut.index(bytes.len() + 1));
        let mut parts = Vec::new();
        let mut from = 0;
        for cut in cuts {
            let to = cut.index(bytes.len() + 1);
            parts.push(&bytes[from..to]);
            from = to;
        }
        parts.push(&bytes[from..]);
        prop_assert_eq!(outcome(parts), outcome([&bytes[..]]));
    }

    #[test]
    fn what_was_encoded_is_decoded(
        event in "[a-z]{1,9}",
        id in "[!-~]{1,40}",
        retry in any::<Option<u64>>(),
        data in "[ -~ä\n\r]{0,25}",
    ) {
        let mut bytes = Vec::new();
        Frame { event: Some(&event), id: Some(&id), retry, data: data.as_bytes() }.encode(&mut bytes);
        let (events, _, _) = outcome([&bytes[..]]);
        let data = data.replace("\r\n", "\n").replace('\r', "\n");
        prop_assert_eq!(events, vec![ServerEvent { event, data: data.into(), id, retry }]);
    }
}
