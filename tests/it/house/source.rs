//! The program's own text as its rules see it: files, rooms, what is test and what is not. It judges nothing.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One file of Rust.
pub(super) struct Source {
    /// From the package's folder, with slashes.
    pub(super) path: String,
    pub(super) text: String,
    is_test: bool,
}

impl Source {
    /// The room that a file of `src` belongs to; None for `lib.rs`, `main.rs` and what is outside.
    pub(super) fn room(&self) -> Option<&str> {
        let room = self.path.strip_prefix("src/")?.split('/').next()?;
        let room = room.strip_suffix(".rs").unwrap_or(room);
        (!matches!(room, "lib" | "main")).then_some(room)
    }

    /// Lines with their numbers. Comment lines are left out: what they name is not used.
    pub(super) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        numbered(&self.text).filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// Code that runs in the product.
    pub(super) fn product(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests_begin = self.tests_begin();
        self.code().filter(move |(number, _)| *number < tests_begin)
    }

    /// Code that runs in tests alone.
    pub(super) fn tests(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests_begin = self.tests_begin();
        self.code().filter(move |(number, _)| *number >= tests_begin)
    }

    /// The line from which everything is test; a file's tests stand at its end.
    fn tests_begin(&self) -> usize {
        if self.is_test || self.path.starts_with("tests/") {
            return 0;
        }
        let marked = self.marked_for_tests().find(|(_, module)| module.ends_with('{'));
        marked.map_or(usize::MAX, |(line, _)| line)
    }

    /// The modules that are compiled for tests alone, as they are declared, each with its line.
    fn marked_for_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        let next = numbered(&self.text).skip(1);
        numbered(&self.text).zip(next).filter_map(|((number, mark), (_, declared))| {
            let module = declared.split_once("mod ")?.1;
            (mark == "#[cfg(test)]").then_some((number, module))
        })
    }
}

/// The paths, without `.rs`, of modules in files of their own that are compiled for tests alone.
fn test_modules(sources: &[Source]) -> Vec<String> {
    let of = |source: &Source| -> Vec<String> {
        let folder = source.path.trim_end_matches(".rs").to_owned();
        let folder = folder.strip_suffix("/lib").unwrap_or(&folder);
        let files = source.marked_for_tests().filter_map(|(_, module)| module.strip_suffix(';'));
        files.map(|module| format!("{folder}/{module}")).collect()
    };
    sources.iter().flat_map(of).collect()
}

pub(super) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// Every file of Rust below these folders of the package, in the order of their paths.
pub(super) fn sources(folders: &[&str]) -> Vec<Source> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| package.join(folder)).collect();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("text");
                let path = path.strip_prefix(package).expect("below it").display().to_string();
                found.push(Source { path, text, is_test: false });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(found.len() > 10, "the sources are not where they are looked for");
    let tests = test_modules(&found);
    for source in &mut found {
        let path = source.path.trim_end_matches(".rs");
        source.is_test = tests.iter().any(|test| {
            path.strip_prefix(test).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
    }
    found
}

/// The rooms that a text names by `crate::`, each with its line; `crate::{a::…, b}` names a and b.
pub(super) fn rooms_named(source: &Source) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    let code: Vec<(usize, &str)> = source.code().collect();
    for (index, (number, line)) in code.iter().enumerate() {
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            if let Some(first) = rest.strip_prefix('{') {
                let lines = code[index + 1..].iter().copied();
                named.extend(rooms_in_group(std::iter::once((*number, first)).chain(lines)));
            } else {
                named.push((*number, word(rest).to_owned()));
            }
        }
    }
    named
}

/// The first words of what a brace group lists, up to its end.
fn rooms_in_group<'a>(lines: impl Iterator<Item = (usize, &'a str)>) -> Vec<(usize, String)> {
    let (mut named, mut depth, mut is_first) = (Vec::new(), 1, true);
    for (number, line) in lines {
        for (at, char) in line.char_indices() {
            match char {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => is_first = true,
                _ if depth == 1 && is_first && char.is_alphabetic() => {
                    is_first = false;
                    named.push((number, word(&line[at..]).to_owned()));
                }
                _ => {}
            }
            if depth == 0 {
                return named;
            }
        }
    }
    named
}

/// What a text begins with, up to the end of the name.
fn word(text: &str) -> &str {
    let end = text.find(|char: char| !char.is_alphanumeric() && char != '_');
    &text[..end.unwrap_or(text.len())]
}

/// Whether a line names this path, and not one that merely ends or begins like it.
pub(super) fn names(line: &str, path: &str) -> bool {
    let is_part = |char: char| char.is_alphanumeric() || char == '_';
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + path.len()..].chars().next();
        let begins_or_ends_a_name =
            |end: Option<char>| path.ends_with(is_part) && end.is_some_and(is_part);
        !before.is_some_and(is_part) && !begins_or_ends_a_name(after)
    })
}

/// The product's functions as (first line, length in lines), told by how they are indented.
pub(super) fn functions(source: &Source) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = source.text.lines().collect();
    let tests_begin = source.tests_begin();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate().take(tests_begin.saturating_sub(1)) {
        let code = line.trim_start();
        let is_head = code.starts_with("fn ")
            || (code.starts_with("pub")
                || code.starts_with("async ")
                || code.starts_with("const "))
                && code.split('(').any(|part| part.contains(" fn ") && !part.contains('='));
        if !is_head {
            continue;
        }
        // Without a body it is only promised, as in a trait.
        let ends = lines[index..].iter().map(|line| line.trim_end());
        if !ends
            .clone()
            .find(|line| line.ends_with(['{', ';', '}']))
            .is_some_and(|line| line.ends_with('{'))
        {
            continue;
        }
        let end = format!("{}}}", &line[..line.len() - code.len()]);
        if let Some(length) = lines[index..].iter().position(|line| *line == end) {
            found.push((index + 1, length + 1));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.into(), text: text.into(), is_test: false }
    }

    #[test]
    fn rooms_are_found_in_paths_and_in_groups() {
        let text = "use crate::{\n    a::{self, x},\n    b,\n};\n// crate::comment\nlet c = crate::c::f(crate::d);\nuse crate::{e::E, f};\n";
        let named: Vec<_> = rooms_named(&source("src/a.rs", text));
        let expected = [(2, "a"), (3, "b"), (6, "c"), (6, "d"), (7, "e"), (7, "f")];
        assert_eq!(named, expected.map(|(line, room)| (line, room.to_owned())));
    }

    #[test]
    fn a_file_is_product_up_to_its_tests() {
        let text = "fn f() {}\n#[cfg(test)]\nmod tests;\nfn g() {}\n#[cfg(test)]\nmod more {\n}\n";
        let inline = source("src/a/b.rs", text);
        assert_eq!(inline.product().count(), 4);
        assert_eq!(inline.tests().count(), 3);
        assert_eq!(inline.room(), Some("a"));
        assert_eq!(test_modules(&[inline]), ["src/a/b/tests"]);
        assert_eq!(source("src/lib.rs", text).room(), None);
    }

    #[test]
    fn a_name_is_not_found_in_a_longer_one() {
        assert!(names("use tokio::fs;", "tokio"));
        assert!(names("x.unwrap()", "unwrap()"));
        for (line, path) in
            [("mytokio::x", "tokio"), ("tokio_x", "tokio"), ("actix_web::x", "actix")]
        {
            assert!(!names(line, path), "{line}");
        }
    }

    #[test]
    fn functions_are_measured_from_head_to_brace() {
        let text =
            "impl A {\n    pub(crate) async fn f(\n    ) {\n        x\n    }\n}\nfn g() {\n}\n";
        assert_eq!(functions(&source("src/a.rs", text)), [(2, 4), (7, 2)]);
    }
}
