//! Reads typed values out of a configuration tree, and writes down each value read, each fault, and each key that
//! nobody asked for. Which keys there are is not known here.

use super::{
    Rate,
    fault::{Fault, Origin},
    tree::{Node, Table, Value, parse_value},
    values::{Shape, absolute, duration, expected, number, plain, rate, size, text, texts},
};
use std::{
    cell::RefCell, collections::BTreeMap, collections::BTreeSet, fmt, ops::RangeInclusive,
    path::PathBuf, time::Duration,
};

/// What one reading of a tree found.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) faults: RefCell<Vec<Fault>>,
    pub(super) entries: RefCell<Vec<Entry>>,
}

/// A value as it came into effect.
#[derive(Clone)]
pub(super) struct Entry {
    /// The table's path, such as `streams` or `auth.tokens[0]`.
    pub(super) table: String,
    pub(super) key: &'static str,
    pub(super) value: toml::Value,
    pub(super) origin: Origin,
}

/// Without the value, which may be secret.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} from {}", self.table, self.key, self.origin)
    }
}

/// One table of the tree.
pub(super) struct Section<'r> {
    reader: &'r Reader,
    pub(super) path: String,
    origin: Origin,
    table: Table,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl Reader {
    pub(super) fn root<'r>(&'r self, table: Table) -> Section<'r> {
        self.section(String::new(), Origin::Default, table)
    }

    fn section<'r>(&'r self, path: String, origin: Origin, table: Table) -> Section<'r> {
        Section { reader: self, path, origin, table, asked: RefCell::default() }
    }

    pub(super) fn fault(
        &self,
        origin: &Origin,
        key: impl Into<String>,
        message: impl Into<String>,
    ) {
        self.faults.borrow_mut().push(Fault::new(origin, key, message));
    }
}

impl<'r> Section<'r> {
    fn key_path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Adds a fault of this table as a whole.
    pub(super) fn fault(&self, message: &str) {
        self.reader.fault(&self.origin, &self.path, message);
    }

    /// Says so where `key` stands there without `other`.
    pub(super) fn needs(&self, key: &str, other: &str) {
        if let Some(node) = self.table.get(key).filter(|_| !self.table.contains_key(other)) {
            let message = format!("needs {} beside it", self.key_path(other));
            self.reader.fault(&node.origin, self.key_path(key), message);
        }
    }

    /// The value at `key`, if there is one and `read` takes it.
    fn find<T>(
        &self,
        key: &'static str,
        shape: Shape,
        read: impl FnOnce(&toml::Value) -> Result<T, String>,
    ) -> Option<T> {
        self.asked.borrow_mut().insert(key);
        let node = self.table.get(key)?;
        let value = plain(node, shape);
        match read(&value) {
            Ok(read) => {
                let (table, origin) = (self.path.clone(), node.origin.clone());
                self.reader.entries.borrow_mut().push(Entry { table, key, value, origin });
                Some(read)
            }
            Err(message) => {
                self.reader.fault(&node.origin, self.key_path(key), message);
                None
            }
        }
    }

    /// As `find`, but the key has to be there. Where it is not, or is wrong, a fault stops the start, and the default
    /// that is handed back is never used.
    fn get<T: Default>(
        &self,
        key: &'static str,
        shape: Shape,
        read: impl FnOnce(&toml::Value) -> Result<T, String>,
    ) -> T {
        if !self.table.contains_key(key) {
            self.reader.fault(&self.origin, self.key_path(key), "is missing");
        }
        self.find(key, shape, read).unwrap_or_default()
    }

    pub(super) fn text(&self, key: &'static str) -> String {
        self.get(key, Shape::Text, text)
    }

    pub(super) fn optional_text(&self, key: &'static str) -> Option<String> {
        self.find(key, Shape::Text, text)
    }

    /// A value that must not be repeated in an error.
    pub(super) fn secret<T: Default>(
        &self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        self.get(key, Shape::Text, |value| read(value.as_str().unwrap_or_default()))
    }

    /// An absolute path.
    pub(super) fn optional_path(&self, key: &'static str) -> Option<PathBuf> {
        self.find(key, Shape::Text, |value| absolute(text(value)?))
    }

    pub(super) fn paths(&self, key: &'static str) -> Vec<PathBuf> {
        self.get(key, Shape::List, |value| texts(value)?.into_iter().map(absolute).collect())
    }

    pub(super) fn flag(&self, key: &'static str) -> bool {
        self.get(key, Shape::Bare, |value| {
            value.as_bool().ok_or_else(|| expected("true or false", value))
        })
    }

    pub(super) fn number<T>(&self, key: &'static str, range: RangeInclusive<u32>) -> T
    where
        T: Default + TryFrom<u32>,
    {
        self.get(key, Shape::Bare, |value| number(value, &range))
    }

    pub(super) fn optional_number(
        &self,
        key: &'static str,
        range: RangeInclusive<u32>,
    ) -> Option<u32> {
        self.find(key, Shape::Bare, |value| number(value, &range))
    }

    pub(super) fn duration(&self, key: &'static str, range: RangeInclusive<Duration>) -> Duration {
        self.get(key, Shape::Text, |value| duration(value, &range))
    }

    pub(super) fn optional_duration(
        &self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        self.find(key, Shape::Text, |value| duration(value, &range))
    }

    /// A number of bytes.
    pub(super) fn size(&self, key: &'static str, range: RangeInclusive<usize>) -> usize {
        self.get(key, Shape::Text, |value| size(value, &range))
    }

    /// So many in so much time; None stands for `off`.
    pub(super) fn rate(&self, key: &'static str) -> Option<Rate> {
        self.get(key, Shape::Text, rate)
    }

    pub(super) fn texts(&self, key: &'static str) -> Vec<String> {
        self.get(key, Shape::List, texts)
    }

    pub(super) fn optional_texts(&self, key: &'static str) -> Option<Vec<String>> {
        self.find(key, Shape::List, texts)
    }

    /// One of a few words; None stands for a fault that was noted.
    pub(super) fn word<T: Copy>(
        &self,
        key: &'static str,
        words: &[(&str, T)],
        later: &[&str],
    ) -> Option<T> {
        self.get(key, Shape::Text, |value| {
            let word = text(value)?;
            if let Some((_, meaning)) = words.iter().find(|(name, _)| *name == word) {
                return Ok(Some(*meaning));
            }
            let names: Vec<_> = words.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            let names = names.join(", ");
            if later.contains(&word.as_str()) {
                return Err(format!("this version does not have \"{word}\" yet; one of {names}"));
            }
            Err(expected(&format!("one of {names}"), value))
        })
    }

    /// Strings by free names. They may hold secrets and are not repeated in an error.
    pub(super) fn strings(&self, key: &'static str) -> BTreeMap<String, String> {
        self.get(key, Shape::Table, |value| {
            let wrong = || "expected a table of strings like { KEY = \"value\" }".to_owned();
            let entry = |(key, value): (&String, &toml::Value)| match value {
                toml::Value::String(text) => Ok((key.clone(), text.clone())),
                _ => Err(format!("`{key}` must be a string, in quotes")),
            };
            value.as_table().ok_or_else(wrong)?.iter().map(entry).collect()
        })
    }

    /// A table below this one. One that is missing counts as empty.
    pub(super) fn section(&self, key: &'static str) -> Section<'r> {
        self.asked.borrow_mut().insert(key);
        let table = self.table.get(key).and_then(Node::table).cloned().unwrap_or_default();
        let origin = self.table.get(key).map_or(&self.origin, |node| &node.origin);
        self.reader.section(self.key_path(key), origin.clone(), table)
    }

    /// The tables below this one by their names, which are free.
    pub(super) fn children(self) -> Vec<(String, Section<'r>)> {
        let mut children = Vec::new();
        for (name, node) in &self.table {
            let path = self.key_path(name);
            match &node.value {
                Value::Table(table) => {
                    children.push((
                        name.clone(),
                        self.reader.section(path, node.origin.clone(), table.clone()),
                    ));
                }
                _ => self.reader.fault(&node.origin, path, "expected a table"),
            }
        }
        children
    }

    /// A list of tables.
    pub(super) fn tables(&self, key: &'static str) -> Vec<Section<'r>> {
        self.asked.borrow_mut().insert(key);
        let Some(node) = self.table.get(key) else {
            return Vec::new();
        };
        let parsed = match (&node.value, &node.origin) {
            (Value::Text(text), Origin::Variable(name)) => parse_value(text, name),
            _ => None,
        };
        let Value::Array(items) = &parsed.as_ref().unwrap_or(node).value else {
            self.reader.fault(&node.origin, self.key_path(key), "expected a list of tables");
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("{}[{index}]", self.key_path(key));
            match item.table() {
                Some(table) => {
                    sections.push(self.reader.section(path, first_line(item, table), table.clone()))
                }
                None => self.reader.fault(&item.origin, path, "expected a table"),
            }
        }
        sections
    }

    /// Says which keys nobody asked for. `later`: keys of versions to come.
    pub(super) fn finish(self, later: &[&str]) {
        let asked = self.asked.borrow();
        for (key, node) in self.table.iter().filter(|(key, _)| !asked.contains(key.as_str())) {
            let stem = key.strip_suffix("_file");
            let is_later =
                later.contains(&key.as_str()) || stem.is_some_and(|stem| asked.contains(stem));
            let message = if is_later {
                "this version does not have this key yet; remove it".to_owned()
            } else {
                match super::suggest::closest(key, asked.iter().copied()) {
                    Some(near) => format!("unknown key; did you mean `{near}`?"),
                    None => "unknown key; remove it".to_owned(),
                }
            };
            self.reader.fault(&node.origin, self.key_path(key), message);
        }
    }
}

/// Where a table of a list begins: its own place where that is known, else its first key's.
fn first_line(item: &Node, table: &Table) -> Origin {
    match &item.origin {
        Origin::File { .. } => {
            table.values().map(|node| &node.origin).min().unwrap_or(&item.origin).clone()
        }
        other => other.clone(),
    }
}
