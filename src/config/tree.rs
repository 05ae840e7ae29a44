//! A configuration as it was written: a tree in which every value knows its origin, and the merging of such trees.
//! What a key means, and whether it exists, is not known here.

use super::fault::{Fault, Origin};
use std::{collections::BTreeMap, path::Path, sync::Arc};
use toml::de::{DeTable, DeValue};

pub(super) type Table = BTreeMap<String, Node>;

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Table(Table),
    Array(Vec<Node>),
    /// Neither a table nor an array.
    Leaf(toml::Value),
    /// A variable's text: only the reader of the key knows whether it is a number, a list or a string.
    Text(String),
}

/// A text's own way to name a line of itself.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Builtin,
    File(Arc<Path>),
    Variable(String),
}

impl Source {
    fn origin(&self, text: &str, offset: usize) -> Origin {
        match self {
            Source::Builtin => Origin::Default,
            Source::Variable(name) => Origin::Variable(name.clone()),
            Source::File(path) => {
                let before = text.as_bytes().iter().take(offset);
                let line = before.filter(|byte| **byte == b'\n').count() + 1;
                Origin::File { path: path.clone(), line }
            }
        }
    }
}

/// Reads a whole TOML text. An error is every fault of its syntax.
pub(super) fn parse(text: &str, source: &Source) -> Result<Node, Vec<Fault>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let fault = |error: &toml::de::Error| {
            let span = error.span().unwrap_or_default();
            // Only here does the parser know a key; other faults may lie in a value, which can be secret.
            let is_key = error.message() == "duplicate key";
            let key = text.get(span.clone()).filter(|_| is_key).unwrap_or_default();
            let message = format!("not TOML: {}", error.message());
            Fault::new(&source.origin(text, span.start), key, message)
        };
        return Err(errors.iter().map(fault).collect());
    }
    let value = Value::Table(read_table(table.into_inner(), text, source));
    Ok(Node { origin: source.origin(text, 0), value })
}

/// Reads a variable's text as a TOML value; None where it is none.
pub(super) fn parse_value(text: &str, name: &str) -> Option<Node> {
    // A line end would let the text go on with keys of its own.
    let line = (!text.contains(['\n', '\r'])).then(|| format!("it = {text}"))?;
    let node = parse(&line, &Source::Variable(name.to_owned())).ok()?;
    match node.value {
        Value::Table(mut table) => table.remove("it"),
        _ => None,
    }
}

fn read_table(table: DeTable<'_>, text: &str, source: &Source) -> Table {
    let entry = |(key, value): (toml::Spanned<_>, toml::Spanned<DeValue<'_>>)| {
        let origin = source.origin(text, key.span().start);
        let key: std::borrow::Cow<'_, str> = key.into_inner();
        (key.into_owned(), Node { origin, value: read_value(value.into_inner(), text, source) })
    };
    table.into_iter().map(entry).collect()
}

fn read_value(value: DeValue<'_>, text: &str, source: &Source) -> Value {
    let leaf = match value {
        DeValue::Table(table) => return Value::Table(read_table(table, text, source)),
        DeValue::Array(items) => {
            let item = |item: toml::Spanned<DeValue<'_>>| Node {
                origin: source.origin(text, item.span().start),
                value: read_value(item.into_inner(), text, source),
            };
            return Value::Array(items.into_iter().map(item).collect());
        }
        DeValue::String(text) => toml::Value::String(text.into_owned()),
        DeValue::Boolean(value) => toml::Value::Boolean(value),
        DeValue::Datetime(value) => toml::Value::Datetime(value),
        // What does not fit stays visible as the text it was, and is then of a wrong type.
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(value) => toml::Value::Integer(value),
            Err(_) => toml::Value::String(number.to_string()),
        },
        DeValue::Float(number) => match number.as_str().parse() {
            Ok(value) => toml::Value::Float(value),
            Err(_) => toml::Value::String(number.to_string()),
        },
    };
    Value::Leaf(leaf)
}

impl Node {
    pub(super) fn empty(origin: Origin) -> Self {
        Self { origin, value: Value::Table(Table::new()) }
    }

    pub(super) fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Puts `over` on top: tables are merged, everything else is replaced.
    pub(super) fn merge(&mut self, over: Node, key: &str, faults: &mut Vec<Fault>) {
        let over = match (&self.value, &over.value, &over.origin) {
            (Value::Table(_), Value::Text(text), Origin::Variable(name)) => {
                parse_value(text, name).unwrap_or(over)
            }
            _ => over,
        };
        match (&mut self.value, over.value) {
            (Value::Table(table), Value::Table(over_table)) => {
                if self.origin == Origin::Default {
                    self.origin = over.origin;
                }
                for (name, node) in over_table {
                    let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                    match table.get_mut(&name) {
                        Some(base) => base.merge(node, &key, faults),
                        None => drop(table.insert(name, node)),
                    }
                }
            }
            // A table that is lost to something else would make every key in it a fault of its own.
            (Value::Table(_), _) => faults.push(Fault::new(&over.origin, key, "expected a table")),
            (_, value) => *self = Node { origin: over.origin, value },
        }
    }

    /// Puts a variable's text on top. `path` is the variable's name after the prefix, at its `__`.
    pub(super) fn set_variable(
        &mut self,
        name: &str,
        path: &[&str],
        text: String,
        faults: &mut Vec<Fault>,
    ) {
        let origin = Origin::Variable(name.to_owned());
        if path.iter().any(|segment| segment.is_empty()) {
            let message = "names no key; the form is SEAWALL__SECTION__KEY";
            return faults.push(Fault::new(&origin, "", message));
        }
        let mut keys: Vec<String> = Vec::with_capacity(path.len());
        let mut place = Some(&*self);
        for segment in path {
            let table = place.and_then(Node::table);
            // The names of variables that an agent gets are its own affair, case included.
            let verbatim = keys.len() == 3
                && keys[0] == "agents"
                && ["env", "env_file"].contains(&keys[2].as_str());
            let known = table.and_then(|table| table.keys().find(|key| spelled(key, segment)));
            let key = match known {
                _ if verbatim => (*segment).to_owned(),
                Some(known) => known.clone(),
                None => segment.to_ascii_lowercase(),
            };
            place = table.and_then(|table| table.get(&key));
            keys.push(key);
        }
        let leaf = Node { origin: origin.clone(), value: Value::Text(text) };
        let over = keys.into_iter().rev().fold(leaf, |node, key| Node {
            origin: origin.clone(),
            value: Value::Table(Table::from([(key, node)])),
        });
        self.merge(over, "", faults);
    }
}

/// Whether a segment of a variable's name means this key: names of variables have neither case nor hyphen.
fn spelled(key: &str, segment: &str) -> bool {
    key.replace('-', "_").eq_ignore_ascii_case(&segment.replace('-', "_"))
}
