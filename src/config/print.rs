//! The configuration in effect as TOML, each value with where it came from. Values of agents' variables are left out:
//! the text is made to be shown to others.

use super::{Config, read::Entry};
use std::fmt::Write;

impl Config {
    /// The configuration in effect as TOML, with a comment behind each value: `default`, `FILE:LINE`, or the
    /// variable's name. What agents get in their environment is shown by name only, since it may be secret.
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
            let _ = writeln!(text, "{} = {}  # {}", entry.key, shown(entry), entry.origin);
        }
        text
    }
}

fn shown(entry: &Entry) -> toml::Value {
    match &entry.value {
        toml::Value::Table(table) => {
            let hidden = |key: &String| (key.clone(), toml::Value::String("<hidden>".into()));
            toml::Value::Table(table.keys().map(hidden).collect())
        }
        other => other.clone(),
    }
}
