//! The page of agents: its table is that of the last run of `scripts/interop`, and names what there is.

use super::page;
use std::{path::Path, process::Command};

#[test]
fn the_page_of_agents_has_the_results_of_the_last_run() {
    // Without -B it would leave its own files beside the sources.
    let output = Command::new("python3").args(["-B", "tests/interop/report.py", "check"]).output();
    let output = output.expect("python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_profile_that_the_page_of_agents_names_is_there() {
    let page = page("agents.md");
    let links: Vec<_> =
        page.split("](../").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(!links.is_empty());
    for link in links {
        assert!(Path::new(link).exists(), "{link}");
    }
}
