//! The configuration in effect as others may see it, each value with where it came from. What may be secret is not
//! here: it was taken out when it was read.

use super::{Config, read::Entry};
use std::fmt::Write;

/// A value in effect, without what is secret of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The key's full path, such as `auth.tokens[0].role`.
    pub key: String,
    pub value: toml::Value,
    /// `default`, `FILE:LINE`, or the variable's name.
    pub origin: String,
}

impl Config {
    /// Every value in effect, in the order of the sections.
    pub fn settings(&self) -> impl Iterator<Item = Setting> + '_ {
        self.entries.iter().map(|entry| Setting {
            key: entry.path(),
            value: entry.value.clone(),
            origin: entry.origin.to_string(),
        })
    }

    /// The same as TOML, the origin as a comment behind each value.
    pub fn print(&self) -> String {
        let mut text = String::new();
        let mut table = "";
        for entry in &self.entries {
            if entry.table != table {
                table = &entry.table;
                let header = match table.split_once('[') {
                    Some((list, _)) => format!("[[{list}]]"),
                    None => format!("[{table}]"),
                };
                let gap = if text.is_empty() { "" } else { "\n" };
                let _ = writeln!(text, "{gap}{header}");
            }
            let _ = writeln!(text, "{} = {}  # {}", entry.key, entry.value, entry.origin);
        }
        text
    }
}

impl Entry {
    /// The key's full path.
    pub(super) fn path(&self) -> String {
        format!("{}.{}", self.table, self.key)
    }
}
