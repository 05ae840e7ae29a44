//! Reads typed values out of a configuration tree, and writes down each value read, each fault, and each key that
//! nobody asked for. Which keys there are is not known here.

use super::{
    Rate,
    fault::{Fault, Origin},
    secret::{HIDDEN, Hidden, SecretFiles},
    tree::{Node, Table, Value, parse_value},
    values::{
        Shape, absolute, duration, duration_or_off, expected, number, plain, rate, size, text,
        texts,
    },
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
    pub(super) files: SecretFiles,
}

/// A value as it came into effect.
#[derive(Clone)]
pub(super) struct Entry {
    /// The table's path, such as `streams` or `auth.tokens[0]`.
    pub(super) table: String,
    pub(super) key: &'static str,
    /// As everybody may see it.
    pub(super) value: toml::Value,
    /// What of it nobody may see.
    pub(super) hidden: Option<Hidden>,
    pub(super) origin: Origin,
}

/// Without the value, which may be secret.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} from {}", self.table, self.key, self.origin)
    }
}

/// A value that was read, with what is shown of it and what is not.
struct Read<T> {
    read: T,
    shown: toml::Value,
    hidden: Option<Hidden>,
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
        self.find_partly_hidden(key, shape, |value| {
            Ok(Read { read: read(value)?, shown: value.clone(), hidden: None })
        })
    }

    /// As `find`; `read` also says what is shown of the value.
    fn find_partly_hidden<T>(
        &self,
        key: &'static str,
        shape: Shape,
        read: impl FnOnce(&toml::Value) -> Result<Read<T>, String>,
    ) -> Option<T> {
        self.asked.borrow_mut().insert(key);
        let node = self.table.get(key)?;
        match read(&plain(node, shape)) {
            Ok(Read { read, shown: value, hidden }) => {
                let (table, origin) = (self.path.clone(), node.origin.clone());
                self.reader.entries.borrow_mut().push(Entry { table, key, value, hidden, origin });
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
        self.require(key);
        self.find(key, shape, read).unwrap_or_default()
    }

    fn require(&self, key: &str) {
        if !self.table.contains_key(key) {
            self.reader.fault(&self.origin, self.key_path(key), "is missing");
        }
    }

    /// Adds a fault of one key of this table.
    pub(super) fn refuse(&self, key: &str, message: &str) {
        let origin = self.table.get(key).map_or(&self.origin, |node| &node.origin);
        self.reader.fault(origin, self.key_path(key), message);
    }

    pub(super) fn text(&self, key: &'static str) -> String {
        self.get(key, Shape::Text, text)
    }

    pub(super) fn checked_text(
        &self,
        key: &'static str,
        check: impl FnOnce(&str) -> Result<(), String>,
    ) -> String {
        self.get(key, Shape::Text, |value| {
            let text = text(value)?;
            check(&text)?;
            Ok(text)
        })
    }

    pub(super) fn optional_text(&self, key: &'static str) -> Option<String> {
        self.find(key, Shape::Text, text)
    }

    /// A value that is shown nowhere: it stands at `key`, or in the file that `file_key` names.
    pub(super) fn secret<T: Default>(
        &self,
        key: &'static str,
        file_key: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        let is_in_file = self.table.contains_key(file_key);
        if is_in_file && self.table.contains_key(key) {
            self.refuse(file_key, &format!("stands beside `{key}`; remove one of the two"));
        }
        let of_file = self.find_partly_hidden(file_key, Shape::Text, |name| {
            let name = text(name)?;
            let secret = self.reader.files.read(&name)?;
            let read = read(secret.trim()).map_err(|message| format!("{name}: {message}"))?;
            Ok(Read { read, shown: name.into(), hidden: Some(Hidden(secret.into())) })
        });
        if !is_in_file {
            self.require(key);
        }
        let inline = self.find_partly_hidden(key, Shape::Text, |value| {
            let read = read(value.as_str().unwrap_or_default())?;
            Ok(Read { read, shown: HIDDEN.into(), hidden: Some(Hidden(value.clone())) })
        });
        of_file.or(inline).unwrap_or_default()
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

    /// None stands for `off`.
    pub(super) fn duration_or_off(
        &self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        self.get(key, Shape::Text, |value| duration_or_off(value, &range))
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

    /// Strings by free names, which are shown by their names only.
    pub(super) fn secrets(&self, key: &'static str) -> BTreeMap<String, String> {
        self.require(key);
        let read = self.find_partly_hidden(key, Shape::Table, |value| {
            let read = strings(value, "expected a table of strings like { KEY = \"value\" }")?;
            let shown = read.keys().map(|name| (name.clone(), HIDDEN.into()));
            let shown = toml::Value::Table(shown.collect());
            Ok(Read { read, shown, hidden: Some(Hidden(value.clone())) })
        });
        read.unwrap_or_default()
    }

    /// As `secrets`, each in the file that is named for it; what is shown is the file's name.
    pub(super) fn secrets_of_files(&self, key: &'static str) -> BTreeMap<String, String> {
        self.require(key);
        let read = self.find_partly_hidden(key, Shape::Table, |value| {
            let files = strings(value, "expected a table of files like { KEY = \"/path\" }")?;
            let secret = |(name, file): (String, String)| match self.reader.files.read(&file) {
                Ok(secret) if secret.contains('\0') => Err(with_nul(&name)),
                Ok(secret) => Ok((name, secret)),
                Err(message) => Err(format!("`{name}`: {message}")),
            };
            let read = files.into_iter().map(secret).collect::<Result<BTreeMap<_, _>, String>>()?;
            let hidden = read.iter().map(|(name, secret)| (name.clone(), secret.as_str().into()));
            let hidden = toml::Value::Table(hidden.collect());
            Ok(Read { read, shown: value.clone(), hidden: Some(Hidden(hidden)) })
        });
        read.unwrap_or_default()
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
            let message = if later.contains(&key.as_str()) {
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

/// A table of strings. What it says may be secret and is not repeated in an error.
fn strings(value: &toml::Value, wrong: &str) -> Result<BTreeMap<String, String>, String> {
    let entry = |(key, value): (&String, &toml::Value)| match value {
        toml::Value::String(text) if !text.contains('\0') => Ok((key.clone(), text.clone())),
        toml::Value::String(_) => Err(with_nul(key)),
        _ => Err(format!("`{key}` must be a string, in quotes")),
    };
    value.as_table().ok_or_else(|| wrong.to_owned())?.iter().map(entry).collect()
}

fn with_nul(name: &str) -> String {
    format!("`{name}` has a NUL in it; no variable can")
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
