//! `include`: profiles of agents in files of their own, laid into the file that names them. What a profile says is not
//! read here.

use super::{
    fault::Fault,
    tree::{self, Node, Source, Value},
    values::{Shape, plain, texts},
};
use std::{collections::BTreeSet, fs, io, path::Path, path::PathBuf, sync::Arc};

pub(super) const KEY: &str = "include";
const AGENTS: &str = "agents";

/// Takes `include` out of the tree of `file`, and puts the profiles of the files that it names in.
pub(super) fn resolve(tree: &mut Node, file: &Path, faults: &mut Vec<Fault>) {
    let Value::Table(root) = &mut tree.value else { return };
    let Some(include) = root.remove(KEY) else { return };
    let origin = include.origin.clone();
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut files = BTreeSet::new();
    match texts(&plain(&include, Shape::List)) {
        Err(message) => faults.push(Fault::new(&origin, KEY, message)),
        Ok(patterns) => {
            for pattern in patterns {
                match matching(folder, &pattern) {
                    Ok(found) => files.extend(found),
                    Err(message) => faults.push(Fault::new(&origin, KEY, message)),
                }
            }
        }
    }
    if files.is_empty() {
        return;
    }
    let agents = root.entry(AGENTS.into()).or_insert_with(|| Node::empty(origin.clone()));
    for path in files {
        match fs::read_to_string(&path) {
            Ok(text) => add(agents, &path, &text, faults),
            Err(error) => {
                let message = format!("cannot read {}: {error}", path.display());
                faults.push(Fault::new(&origin, KEY, message));
            }
        }
    }
}

/// Adds the profiles of one included file to those that are there.
fn add(agents: &mut Node, path: &Path, text: &str, faults: &mut Vec<Fault>) {
    let included = match tree::parse(text, &Source::File(Arc::from(path))) {
        Ok(included) => included,
        Err(syntax) => return faults.extend(syntax),
    };
    // What is no table here is a fault that the merging names.
    let Value::Table(agents) = &mut agents.value else { return };
    let Value::Table(sections) = included.value else { return };
    for (section, node) in sections {
        let profiles = match node.value {
            Value::Table(profiles) if section == AGENTS => profiles,
            _ => {
                let message = "an included file holds [agents.NAME] and nothing else";
                faults.push(Fault::new(&node.origin, section, message));
                continue;
            }
        };
        for (name, profile) in profiles {
            match agents.get(&name) {
                None => drop(agents.insert(name, profile)),
                Some(first) => {
                    let message = format!("is in {} already; a profile stands once", first.origin);
                    faults.push(Fault::new(&profile.origin, format!("{AGENTS}.{name}"), message));
                }
            }
        }
    }
}

/// The files that a pattern names, sorted. Only the last part of it may have a `*`, which stands for any letters; as in
/// a shell it does not stand for the dot of a hidden file.
fn matching(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let path = folder.join(pattern);
    let (parent, name) = match (path.parent(), path.file_name().and_then(|name| name.to_str())) {
        (Some(parent), Some(name)) if !pattern.ends_with('/') => (parent, name),
        _ => return Err(format!("{pattern:?} names no file")),
    };
    if Path::new(pattern).parent().is_some_and(|parent| parent.to_string_lossy().contains('*')) {
        return Err(format!("{pattern:?}: only a file's name may have a `*`, a folder's may not"));
    }
    if !name.contains('*') {
        return Ok(vec![path]);
    }
    let here = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let entries = match fs::read_dir(here) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("cannot look into {}: {error}", parent.display())),
    };
    let fits = |path: &PathBuf| {
        let found = path.file_name().and_then(|name| name.to_str());
        found.is_some_and(|found| !found.starts_with('.') && fits(name, found))
    };
    let mut files: Vec<_> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| fits(path) && path.is_file())
        .collect();
    files.sort();
    Ok(files)
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            let mut ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            ends.any(|end| fits(rest, &name[end..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_beside_a_file_that_is_named_without_its_folder_are_found() {
        let found = matching(Path::new(""), "Cargo.tom*").unwrap();
        assert_eq!(found, [Path::new("./Cargo.toml")]);
    }

    #[test]
    fn a_star_stands_for_any_letters() {
        for (pattern, name, expected) in [
            ("*.toml", "a.toml", true),
            ("*.toml", ".toml", true),
            ("*.toml", "a.toml.bak", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("ü*", "üä", true),
            ("a", "ab", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
