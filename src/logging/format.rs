//! A record as a line. Whatever a message or a value contains, it stays one line, and what stands before the message is
//! ours: neither a line nor a level can be forged.

use jiff::Timestamp;
use log::{
    Level, Record,
    kv::{self, Key, Value, VisitSource},
};
use serde_json::{Map, json};
use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, Write},
};

/// The fields of a JSON line that are ours.
const OWN: [&str; 4] = ["ts", "level", "target", "message"];

/// Whether stderr is connected to the journal: systemd says so, and it is still so.
pub(super) fn is_journal() -> bool {
    let Some(named) = std::env::var("JOURNAL_STREAM").ok() else { return false };
    let Ok(own) = rustix::fs::fstat(io::stderr()) else { return false };
    named == format!("{}:{}", own.st_dev, own.st_ino)
}

/// `[2026-11-26T08:20:01.123Z INFO  seawall::server] message key=value`
pub(super) fn text(
    line: &mut impl Write,
    now: Timestamp,
    level: &str,
    record: &Record<'_>,
) -> io::Result<()> {
    writeln!(line, "[{now:.3} {level} {}] {}", record.target(), sentence(record))
}

/// `<6>seawall::server: message key=value`
pub(super) fn journald(line: &mut impl Write, record: &Record<'_>) -> io::Result<()> {
    let priority = match record.level() {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    };
    writeln!(line, "<{priority}>{}: {}", record.target(), sentence(record))
}

/// `{"ts":…,"level":"info","target":…,"message":…,"key":value}`
pub(super) fn json(line: &mut impl Write, now: Timestamp, record: &Record<'_>) -> io::Result<()> {
    let mut fields = Fields(Map::new());
    let own = [
        json!(format!("{now:.3}")),
        json!(record.level().as_str().to_ascii_lowercase()),
        json!(record.target()),
        json!(record.args().to_string()),
    ];
    fields.0.extend(OWN.into_iter().map(Into::into).zip(own));
    // It cannot fail: the visitor does not.
    let _ = record.key_values().visit(&mut fields);
    serde_json::to_writer(&mut *line, &fields.0)?;
    line.write_all(b"\n")
}

struct Fields(Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let mut key = key.to_string();
        // Taken: one of ours, or one that came twice.
        while self.0.contains_key(&key) {
            key.push('_');
        }
        let number = || value.to_u64().map(|n| json!(n)).or(value.to_i64().map(|n| json!(n)));
        let plain = value.to_bool().map(|flag| json!(flag)).or_else(number);
        let plain = plain.or_else(|| value.to_f64().map(|n| json!(n)));
        self.0.insert(key, plain.unwrap_or_else(|| json!(value.to_string())));
        Ok(())
    }
}

/// The message with its values behind it.
fn sentence(record: &Record<'_>) -> String {
    let message = record.args().to_string();
    let mut sentence = Sentence(one_line(&message).into_owned());
    // It cannot fail: the visitor does not.
    let _ = record.key_values().visit(&mut sentence);
    sentence.0
}

struct Sentence(String);

impl<'kvs> VisitSource<'kvs> for Sentence {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let value = value.to_string();
        let is_word = !value.is_empty() && !value.contains([' ', '"', '=']);
        let _ = match is_word {
            true => write!(self.0, " {key}={}", one_line(&value)),
            // In quotes, so that it is told from a value that follows.
            false => write!(self.0, " {key}=\"{}\"", one_line(&value.replace('"', "\\\""))),
        };
        Ok(())
    }
}

/// What would end the line, or move the cursor of who looks at it, in its escaped form.
fn one_line(text: &str) -> Cow<'_, str> {
    let is_harmful =
        |letter: char| letter.is_control() || ['\u{2028}', '\u{2029}'].contains(&letter);
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match is_harmful(letter) {
            true => line.extend(letter.escape_default()),
            false => line.push(letter),
        }
    }
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value as Json;

    /// A message and a value that both try to be a line of their own.
    fn written(mut write: impl FnMut(&mut Vec<u8>, &Record<'_>)) -> String {
        let forged = "one\n<0>two\r\u{1b}[2J\u{2028}";
        let pairs =
            [("session", Value::from("7")), ("count", Value::from(3)), ("ts", Value::from(forged))];
        let mut bytes = Vec::new();
        write(
            &mut bytes,
            &Record::builder()
                .level(Level::Warn)
                .target("seawall::room")
                .key_values(&&pairs[..])
                .args(format_args!("said {forged}"))
                .build(),
        );
        String::from_utf8(bytes).unwrap()
    }

    fn time() -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_123).unwrap()
    }

    #[test]
    fn whatever_a_message_contains_it_is_one_line_in_every_format() {
        let text = written(|line, record| text(line, time(), "WARN ", record).unwrap());
        let journald = written(|line, record| journald(line, record).unwrap());
        let json = written(|line, record| json(line, time(), record).unwrap());
        for line in [&text, &journald, &json] {
            assert_eq!(line.lines().count(), 1, "{line}");
            assert!(!line.trim_end_matches('\n').contains(|c: char| c.is_control()), "{line}");
        }
        let said = "said one\\n<0>two\\r\\u{1b}[2J\\u{2028} session=7 count=3 ts=one\\n";
        assert!(
            text.starts_with(&format!("[2027-01-15T08:00:00.123Z WARN  seawall::room] {said}")),
            "{text}"
        );
        assert!(journald.starts_with(&format!("<4>seawall::room: {said}")), "{journald}");
    }

    #[test]
    fn a_json_line_has_our_fields_whatever_the_values_are_called() {
        let line = written(|line, record| json(line, time(), record).unwrap());
        let line: Json = serde_json::from_str(&line).unwrap();
        assert_eq!(line["ts"], "2027-01-15T08:00:00.123Z");
        assert_eq!((&line["level"], &line["target"]), (&json!("warn"), &json!("seawall::room")));
        assert_eq!(line["message"], "said one\n<0>two\r\u{1b}[2J\u{2028}");
        assert_eq!((&line["session"], &line["count"]), (&json!("7"), &json!(3)));
        assert_eq!(line["ts_"], "one\n<0>two\r\u{1b}[2J\u{2028}");
    }

    #[test]
    fn a_value_with_spaces_or_quotes_is_told_from_the_next_one() {
        let pairs = [("name", Value::from("a b=c \"d\"")), ("pid", Value::from(7))];
        let pairs = &pairs[..];
        let record = Record::builder().key_values(&pairs).args(format_args!("ended")).build();
        assert_eq!(sentence(&record), "ended name=\"a b=c \\\"d\\\"\" pid=7");
    }
}
