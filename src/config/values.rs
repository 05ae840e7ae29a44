//! From a value as it was written to the value that is meant: strings to durations, sizes and paths, and a variable's
//! text to what its key takes. Keys are not known here.

use super::{
    Rate,
    fault::Origin,
    tree::{Node, Value, parse_value},
};
use std::{num::NonZeroU32, ops::RangeInclusive, path::PathBuf, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

/// What a variable's text is to be taken for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// The text as it stands.
    Text,
    /// A number or a word of TOML.
    Bare,
    /// A TOML array, or items between commas.
    List,
    Table,
}

/// The node as a plain TOML value, a variable's text taken for what `shape` says.
pub(super) fn plain(node: &Node, shape: Shape) -> toml::Value {
    // What lies inside a list or a table of ours is a string.
    let inner = |node| plain(node, Shape::Text);
    match &node.value {
        Value::Leaf(value) => value.clone(),
        Value::Array(items) => toml::Value::Array(items.iter().map(inner).collect()),
        Value::Table(table) => {
            let entries = table.iter().map(|(key, node)| (key.clone(), inner(node)));
            toml::Value::Table(entries.collect())
        }
        Value::Text(text) => {
            let parsed = match &node.origin {
                Origin::Variable(name) if shape != Shape::Text => parse_value(text, name),
                _ => None,
            };
            let is_array = |node: &Node| matches!(node.value, Value::Array(_));
            match parsed.filter(|node| shape != Shape::List || is_array(node)) {
                Some(node) => plain(&node, shape),
                None if shape == Shape::List => split(text),
                None => toml::Value::String(text.clone()),
            }
        }
    }
}

fn split(text: &str) -> toml::Value {
    let items = text.split(',').map(str::trim);
    let items = items.filter(|item| !item.is_empty()).map(toml::Value::from);
    toml::Value::Array(items.collect())
}

/// A message that shows at most the beginning of what was found.
pub(super) fn expected(what: &str, got: &toml::Value) -> String {
    const SHOWN: usize = 80;
    let got = got.to_string();
    match got.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("expected {what}, got {}…", &got[..end]),
        None => format!("expected {what}, got {got}"),
    }
}

pub(super) fn text(value: &toml::Value) -> Result<String, String> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| expected("a string", value))
}

pub(super) fn texts(value: &toml::Value) -> Result<Vec<String>, String> {
    let wrong = || expected("a list of strings", value);
    let items = value.as_array().ok_or_else(wrong)?.iter();
    let text = |item: &toml::Value| item.as_str().map(str::to_owned).ok_or_else(wrong);
    items.map(text).collect()
}

pub(super) fn absolute(path: String) -> Result<PathBuf, String> {
    let path = PathBuf::from(path);
    if path.is_absolute() {
        return Ok(path);
    }
    Err(format!("expected an absolute path, got {path:?}"))
}

pub(super) fn number<T: TryFrom<u32>>(
    value: &toml::Value,
    range: &RangeInclusive<u32>,
) -> Result<T, String> {
    let number = value.as_integer().and_then(|number| u32::try_from(number).ok());
    number
        .filter(|number| range.contains(number))
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            expected(&format!("a whole number from {least} to {most}"), value)
        })
}

pub(super) fn duration(
    value: &toml::Value,
    range: &RangeInclusive<Duration>,
) -> Result<Duration, String> {
    let parsed = value.as_str().map(humantime::parse_duration);
    let Some(Ok(time)) = parsed else {
        return Err(expected("a duration like \"20s\"", value));
    };
    in_range(time, range, value)
}

/// `off`, or a duration.
pub(super) fn duration_or_off(
    value: &toml::Value,
    range: &RangeInclusive<Duration>,
) -> Result<Option<Duration>, String> {
    match value.as_str() {
        Some("off") => Ok(None),
        text => match text.map(humantime::parse_duration) {
            Some(Ok(time)) => in_range(time, range, value).map(Some),
            _ => Err(expected("a duration like \"20s\", or \"off\"", value)),
        },
    }
}

fn in_range(
    time: Duration,
    range: &RangeInclusive<Duration>,
    value: &toml::Value,
) -> Result<Duration, String> {
    if range.contains(&time) {
        return Ok(time);
    }
    let [least, most] = [range.start(), range.end()].map(|end| humantime::format_duration(*end));
    let what = format!("a duration from {least} to {most}");
    Err(expected(&what, value))
}

/// `off`, or a number and a time with a slash between.
pub(super) fn rate(value: &toml::Value) -> Result<Option<Rate>, String> {
    let read = |text: &str| {
        let (count, per) = text.split_once('/')?;
        let count = count.parse::<NonZeroU32>().ok()?;
        let per = humantime::parse_duration(per).ok()?;
        let is_in_range = count.get() <= 1_000_000 && (SECOND..=SECOND * 86_400).contains(&per);
        is_in_range.then_some(Rate { count, per })
    };
    match value.as_str() {
        Some("off") => Ok(None),
        text => text.and_then(read).map(Some).ok_or_else(|| {
            expected("a rate like \"10/1m\" (of 1 to 1000000, in 1s to 1d), or \"off\"", value)
        }),
    }
}

pub(super) fn size(value: &toml::Value, range: &RangeInclusive<usize>) -> Result<usize, String> {
    let Some(size) = value.as_str().and_then(bytes) else {
        return Err(expected("a size like \"16MiB\"", value));
    };
    if range.contains(&size) {
        return Ok(size);
    }
    let [least, most] = [range.start(), range.end()].map(|end| written(*end));
    Err(expected(&format!("a size from {least} to {most}"), value))
}

const UNITS: [(&str, u32); 4] = [("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];

fn bytes(text: &str) -> Option<usize> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, shift) = UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<usize>().ok()?.checked_mul(1 << shift)
}

/// The size in the largest unit that needs no fraction.
fn written(bytes: usize) -> String {
    let fits = |(_, shift): &&(&str, u32)| bytes.is_multiple_of(1 << shift);
    let (unit, shift) = UNITS.iter().find(fits).unwrap_or(&("B", 0));
    format!("{}{unit}", bytes >> shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_units() {
        for (text, expected) in [
            ("512B", Some(512)),
            ("64KiB", Some(64 << 10)),
            ("16 MiB", Some(16 << 20)),
            ("1GiB", Some(1 << 30)),
            ("16", None),
            ("16MB", None),
            ("-1KiB", None),
            ("1.5KiB", None),
            ("99999999999999999GiB", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
        for (bytes, expected) in
            [(1536, "1536B"), (1024, "1KiB"), (3 << 20, "3MiB"), (1 << 30, "1GiB")]
        {
            assert_eq!(written(bytes), expected);
        }
    }

    #[test]
    fn a_rate_is_a_number_in_a_time_or_off() {
        let read = |text: &str| rate(&toml::Value::from(text));
        let ten = Rate { count: NonZeroU32::new(10).unwrap(), per: Duration::from_secs(60) };
        assert_eq!(read("10/1m"), Ok(Some(ten)));
        assert_eq!(read("off"), Ok(None));
        for wrong in ["", "10", "0/1m", "-1/1m", "10/", "10/0s", "10/soon", "1/2days", "x/1m"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_variables_list_is_toml_or_has_commas() {
        let read = |text: &str| {
            let origin = Origin::Variable("V".into());
            let node = Node { origin, value: Value::Text(text.into()) };
            texts(&plain(&node, Shape::List)).unwrap()
        };
        assert_eq!(read("a, b,"), ["a", "b"]);
        assert_eq!(read(r#"["a, b"]"#), ["a, b"]);
        assert_eq!(read("5"), ["5"]);
        assert!(read("").is_empty());
        assert!(read("a\n[x]").len() == 1, "a line end does not open a table");
    }

    #[test]
    fn a_long_value_is_shown_by_its_beginning() {
        let message = expected("a size", &toml::Value::String("ü".repeat(100)));
        assert_eq!(message, format!("expected a size, got \"{}…", "ü".repeat(79)));
    }
}
