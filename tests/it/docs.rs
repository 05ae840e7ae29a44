//! The operator's pages say what is so: they are made from, or held against, what they describe.

mod agents;
mod configure;
mod proxies;

use crate::support::Driven;
use seawall::wire::problem::ErrorCode;
use serde_json::json;
use std::{fs, path::Path, process::Command};

fn page(name: &str) -> String {
    fs::read_to_string(Path::new("docs").join(name))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The blocks of a page that are fenced in this language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once(&format!("```{language}\n")) {
        let (block, after) = after.split_once("```").expect("the block ends");
        blocks.push(block.to_owned());
        rest = after;
    }
    blocks
}

#[test]
fn the_page_of_the_configuration_is_that_of_the_defaults() {
    let made = configure::page(&fs::read_to_string("config/default.toml").unwrap());
    // By this variable the page is written anew.
    if std::env::var_os("SEAWALL_WRITE_DOCS").is_some() {
        fs::write("docs/configure.md", &made).unwrap();
    }
    let kept = fs::read_to_string("docs/configure.md").unwrap_or_default();
    assert!(
        kept == made,
        "docs/configure.md is not made from config/default.toml: SEAWALL_WRITE_DOCS=1 scripts/test docs"
    );
}

#[test]
fn the_page_of_performance_is_that_of_what_was_measured() {
    let python = |args: &[&str]| {
        // Without -B it would leave its own files beside the sources.
        let output = Command::new("python3").arg("-B").args(args).output().expect("python3");
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    };
    python(&["tests/bench/report.py", "check"]);
    python(&["-m", "unittest", "discover", "tests/bench"]);
}

#[tokio::test]
async fn every_code_of_a_problem_is_explained_with_its_status() {
    let page = page("troubleshoot.md");
    let schema = Driven::start("").await.get("/v1/openapi.json").await.expect(200);
    let codes = schema["components"]["schemas"]["ErrorCode"]["enum"].as_array().expect("codes");
    assert!(codes.len() > 20, "{codes:?}");
    for code in codes {
        let known: ErrorCode = serde_json::from_value(code.clone()).unwrap();
        let row = format!("| `{}` | {} | ", code.as_str().unwrap(), known.status());
        assert!(page.contains(&row), "no row {row:?}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `")).count();
    let first =
        page.lines().filter(|line| line.starts_with("| `gap`") || line.starts_with("| `bye`"));
    assert_eq!(rows - first.count(), codes.len(), "a row for what is no code");
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut links = 0;
    for entry in fs::read_dir("docs").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "md") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") {
                continue;
            }
            links += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.clone() } else { path.with_file_name(file) };
            let there = fs::read_to_string(&file)
                .unwrap_or_else(|error| panic!("{}: {target}: {error}", path.display()));
            let headings = there.lines().filter(|line| line.starts_with('#')).map(anchor_of);
            assert!(
                anchor.is_empty() || headings.into_iter().any(|heading| heading == anchor),
                "{}: {target}",
                path.display()
            );
        }
    }
    assert!(links >= 5, "{links} links");
}

/// As the usual renderers of Markdown name a heading.
fn anchor_of(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    text.chars().filter(|char| char.is_alphanumeric() || "-_".contains(*char)).collect()
}

#[test]
fn examples_of_the_configuration_are_sound() {
    for name in ["proxies.md", "backup.md"] {
        for block in blocks(&page(name), "toml") {
            let read = seawall::config::Config::from_texts(Some((Path::new(name), &block)), []);
            if let Err(error) = read {
                panic!("{name}: {error}");
            }
        }
    }
    // What the tests of the pages rely on.
    assert_eq!(blocks("a\n```toml\nx\n```\n```toml\ny\n```\n", "toml"), ["x\n", "y\n"]);
    assert_eq!(json!(anchor_of("## What the unit does")), json!("what-the-unit-does"));
}
