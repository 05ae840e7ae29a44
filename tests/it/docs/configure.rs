//! `docs/configure.md` out of `config/default.toml`: each section a table, each key a row with its default and its comment.

use std::fmt::Write;

const INTRODUCTION: &str = "\
# Configure

One TOML file: `--config FILE`, else `$SEAWALL_CONFIG`, else `/etc/seawall/seawall.toml`, else the built-in defaults. It needs
only what differs from the defaults below. A variable `SEAWALL__SECTION__KEY` overrides the file, for example
`SEAWALL__STREAMS__HEARTBEAT=10s`. Durations are written `\"200ms\"`, `\"5s\"`, `\"48h\"`; sizes `\"512B\"`, `\"64KiB\"`, `\"16MiB\"`.

    seawall check-config            # every fault with file, line and key; starts nothing
    seawall check-config --print    # what is in effect, and where each value came from
    systemctl reload seawall        # re-reads it; a faulty file changes nothing

This page is made from [config/default.toml](../config/default.toml), which is compiled in and is the defaults.
";

/// The page for a text of defaults.
pub(super) fn page(defaults: &str) -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut comment: Vec<&str> = Vec::new();
    let mut in_table = false;
    // What stands before the first section is said above.
    let sections = defaults.find("\n[").map_or(0, |at| before_comment(defaults, at));
    for line in defaults[sections..].lines() {
        if let Some((key, value)) = key_of(line) {
            if !in_table {
                page.push_str("\n| key | default | |\n|---|---|---|\n");
                in_table = true;
            }
            let value = if line.starts_with('#') { "—".into() } else { format!("`{value}`") };
            let _ = writeln!(page, "| `{key}` | {value} | {} |", text(&comment));
            comment.clear();
        } else if line.starts_with('[') {
            let _ = write!(page, "\n## {line}\n");
            if !comment.is_empty() {
                let _ = write!(page, "\n{}\n", text(&comment));
            }
            comment.clear();
            in_table = false;
        } else if let Some(words) = line.strip_prefix('#') {
            comment.push(words.trim_start_matches(' '));
        } else if !line.is_empty() {
            panic!("a line that is neither key, comment nor section: {line}");
        }
    }
    assert!(comment.is_empty(), "a comment about nothing: {comment:?}");
    page
}

/// Where the comment that stands right above `at` begins.
fn before_comment(text: &str, at: usize) -> usize {
    let above = &text[..at];
    above.rfind("\n\n").map_or(0, |gap| gap + 2)
}

/// A key with its value, also where it is commented out because it has no default.
fn key_of(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.strip_prefix("# ").unwrap_or(line).split_once(" = ")?;
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (!key.is_empty() && key.bytes().all(letters)).then_some((key, value))
}

fn text(comment: &[&str]) -> String {
    let words: Vec<_> = comment.iter().copied().filter(|line| !line.is_empty()).collect();
    words.join(" ").replace('|', "\\|")
}

#[test]
fn keys_comments_and_keys_without_a_default_become_rows() {
    let made = page(
        "# About all.\n\n# Of a.\n[a]\n# Long\n# words.\nx = 1\n# Has none.\n# y = \"z\"\n\n[b]\n# One.\nx = 2\n",
    );
    let rows = "\n## [a]\n\nOf a.\n\n| key | default | |\n|---|---|---|\n| `x` | `1` | Long words. |\n\
        | `y` | — | Has none. |\n\n## [b]\n\n| key | default | |\n|---|---|---|\n| `x` | `2` | One. |\n";
    assert_eq!(made.strip_prefix(INTRODUCTION), Some(rows));
}
