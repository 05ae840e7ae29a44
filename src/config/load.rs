//! From texts to a configuration: defaults, file and variables laid over each other, read, and checked. The only place
//! of this room that opens the configuration's file; those that it names are opened by whoever reads their names.

use super::{
    Config,
    fault::{ConfigErrors, Fault, Origin},
    include, place,
    read::Reader,
    rules,
    secret::SecretFiles,
    sections,
    tree::{self, Node, Source, Value},
};
use std::{collections::BTreeMap, path::Path, sync::Arc};

const DEFAULTS: &str = include_str!("../../config/default.toml");
const VARIABLE_PREFIX: &str = "SEAWALL__";
/// The variable that every program with such a log obeys.
const FILTER_VARIABLE: &str = "RUST_LOG";

impl Default for Config {
    /// The built-in defaults.
    fn default() -> Self {
        Self::from_texts(None, []).expect("the defaults are checked by a test")
    }
}

impl Config {
    /// Reads the configuration: the built-in defaults, under the file at `path` (else at `$SEAWALL_CONFIG`, else
    /// `/etc/seawall/seawall.toml` if that exists), under the `SEAWALL__SECTION__KEY` variables of `env`, and under
    /// `RUST_LOG` for the log's filter.
    ///
    /// # Errors
    /// All faults at once, each with its place.
    pub fn load(
        path: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let env: BTreeMap<_, _> = env.into_iter().collect();
        let Some(path) = place::file(path, &env) else {
            return Self::from_texts(None, env);
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::from_texts(Some((&path, &text)), env),
            Err(error) => Err(ConfigErrors::Unreadable { path: path.into(), error }),
        }
    }

    /// As [`Config::load`], from a file's text that is in memory already. The path is for error messages, and
    /// the place from which other files are named.
    pub fn from_texts(
        file: Option<(&Path, &str)>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let env: BTreeMap<_, _> = env.into_iter().collect();
        let files = SecretFiles::new(&env, file.map(|(path, _)| path));
        let mut faults = Vec::new();
        let mut tree = tree::parse(DEFAULTS, &Source::Builtin).map_err(ConfigErrors::Faults)?;
        if let Some((path, text)) = file {
            let source = Source::File(Arc::from(path));
            let mut over = tree::parse(text, &source).map_err(ConfigErrors::Faults)?;
            include::resolve(&mut over, path, &mut faults);
            tree.merge(over, "", &mut faults);
        }
        for (name, text) in &env {
            if let Some(rest) = name.strip_prefix(VARIABLE_PREFIX) {
                let segments: Vec<_> = rest.split("__").collect();
                tree.set_variable(name, &segments, text.clone(), &mut faults);
            }
        }
        if let Some(text) = env.get(FILTER_VARIABLE).filter(|text| !text.is_empty()) {
            tree.set_variable(FILTER_VARIABLE, &["log", "filter"], text.clone(), &mut faults);
        }
        base_profiles(&mut tree, &mut faults);
        read(tree, files, faults)
    }
}

/// Lays every profile over the one that all are based on.
fn base_profiles(tree: &mut Node, faults: &mut Vec<Fault>) {
    let Value::Table(root) = &mut tree.value else {
        return;
    };
    let Some(Value::Table(agents)) = root.get_mut("agents").map(|node| &mut node.value) else {
        return;
    };
    let base = agents.get(sections::BASE_PROFILE).cloned();
    let base = base.unwrap_or_else(|| Node::empty(Origin::Default));
    for (name, profile) in agents.iter_mut().filter(|(name, _)| *name != sections::BASE_PROFILE) {
        let own = std::mem::replace(profile, base.clone());
        profile.origin = Origin::Default;
        make_way(profile, &own);
        profile.merge(own, &format!("agents.{name}"), faults);
    }
}

/// Whether a variable stands in the file or in one of its own, a profile overrides what all profiles have.
fn make_way(base: &mut Node, own: &Node) {
    for (key, other) in [("env", "env_file"), ("env_file", "env")] {
        let named = own.table().and_then(|own| own.get(key)?.table());
        let Value::Table(base) = &mut base.value else { return };
        let (Some(named), Some(other)) = (named, base.get_mut(other)) else { continue };
        if let Value::Table(other) = &mut other.value {
            other.retain(|name, _| !named.contains_key(name));
        }
    }
}

fn read(tree: Node, files: SecretFiles, mut faults: Vec<Fault>) -> Result<Config, ConfigErrors> {
    let reader = Reader { files, ..Reader::default() };
    let root = reader.root(tree.table().cloned().unwrap_or_default());
    let mut config = Config {
        server: sections::server(root.section("server")),
        admin: sections::admin(root.section("admin")),
        auth: sections::auth(root.section("auth")),
        store: sections::store(root.section("store")),
        streams: sections::streams(root.section("streams")),
        sessions: sections::sessions(root.section("sessions")),
        supervision: sections::supervision(root.section("supervision")),
        log: sections::log(root.section("log")),
        agents: sections::agents(root.section("agents")),
        entries: Vec::new(),
    };
    root.finish(&[]);
    config.entries = reader.entries.into_inner();
    faults.extend(reader.faults.into_inner());
    rules::check(&config, &config.entries, &mut faults);
    if faults.is_empty() {
        return Ok(config);
    }
    faults.sort_by(|one, other| one.origin.cmp(&other.origin));
    Err(ConfigErrors::Faults(faults))
}

#[cfg(test)]
mod tests;
