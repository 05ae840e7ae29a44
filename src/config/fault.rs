//! What is wrong with a configuration, and where it was written. Says nothing about what would be right.

use std::{fmt, path::Path, sync::Arc};

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// In the built-in `default.toml`.
    Default,
    File {
        path: Arc<Path>,
        line: usize,
    },
    /// In the environment; the variable's name.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Variable(name) => f.write_str(name),
        }
    }
}

/// One fault: `seawall.toml:12: streams.heartbeat: expected a duration like "20s", got 5`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub origin: Origin,
    /// The key's full path, such as `auth.tokens[1].role`; empty where the text is not even TOML.
    pub key: String,
    pub message: String,
}

impl Fault {
    pub(super) fn new(origin: &Origin, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { origin: origin.clone(), key: key.into(), message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigErrors {
    #[error("cannot read the configuration file {}: {error}", path.display())]
    Unreadable { path: Arc<Path>, error: std::io::Error },
    /// Every fault, in the order of the file, those of variables last.
    #[error("{}", lines(.0))]
    Faults(Vec<Fault>),
}

impl ConfigErrors {
    /// Each fault by itself.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Unreadable { .. } => vec![self.to_string()],
            Self::Faults(faults) => faults.iter().map(Fault::to_string).collect(),
        }
    }
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n")
}
