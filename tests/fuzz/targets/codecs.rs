//! Agents that say anything at all: no panic, and what goes to their stdin is whole lines, of JSON where that is the
//! protocol.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seawall::{
    agent::{AgentEvent, AgentRequest, Codec, CodecOptions, Output, Protocol, RawLine},
    domain::{ContentBlock, MessageId, event::Outcome},
};

fn carry_out(codec: &mut dyn Codec, byte: u8, line: &[u8], out: &mut Output) {
    let request = AgentRequest(u64::from(byte >> 4));
    match byte % 8 {
        0 => {
            let id = MessageId::try_from(format!("m{byte}")).expect("visible");
            codec.prompt(&id, &[ContentBlock::text("hello\nthere")], out);
        }
        1 => codec.cancel(out),
        2 => codec.answer(request, &Outcome::Cancelled, out),
        3 => codec.line(RawLine { bytes: line, truncated: true }, out),
        _ => codec.line(RawLine { bytes: line, truncated: false }, out),
    }
}

fuzz_target!(|input: (u8, bool, bool, &[u8])| {
    let (first, escape_newlines, resumes, bytes) = input;
    for protocol in [Protocol::Lines, Protocol::Acp, Protocol::StreamJson, Protocol::Codex] {
        let options = CodecOptions {
            cwd: "/".into(),
            resume: resumes.then(|| "s1".into()),
            escape_newlines,
            ..CodecOptions::default()
        };
        let (mut codec, mut out) = (protocol.codec(options), Output::default());
        codec.start(&mut out);
        for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let byte = line.last().copied().unwrap_or(first).wrapping_add(number as u8);
            carry_out(&mut *codec, byte, line, &mut out);
        }
        let stdin = std::mem::take(&mut out.stdin);
        assert!(stdin.is_empty() || stdin.ends_with(b"\n"));
        if protocol != Protocol::Lines {
            for line in stdin.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                serde_json::from_slice::<serde_json::Value>(line).expect("JSON");
            }
        }
        let failures = out.events.iter().filter(|event| matches!(event, AgentEvent::Failed { .. }));
        assert!(failures.count() <= 1, "a run fails once");
    }
});
