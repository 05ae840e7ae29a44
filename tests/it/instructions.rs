//! What is said where a hot path costs another number of instructions than its limit. Counting them is
//! `scripts/instructions`.

#[path = "../instructions/limits.rs"]
mod limits;

use limits::{Counts, Limits};

fn counts(counts: &[(&str, u64)]) -> Counts {
    counts.iter().map(|(path, count)| ((*path).to_owned(), *count)).collect()
}

fn limits(of: &[(&str, u64)]) -> Limits {
    Limits { compiler: "rustc 1".into(), counts: counts(of) }
}

/// The paths that are complained of, and whether the other compiler is.
fn faults(limit: u64, count: u64, compiler: &str) -> Vec<String> {
    let faults = limits(&[("a", limit)]).faults(&counts(&[("a", count)]), compiler);
    faults.into_iter().map(|fault| fault.split(':').next().unwrap().to_owned()).collect()
}

#[test]
fn a_path_that_costs_more_or_far_less_than_its_limit_is_a_fault() {
    for (count, is_fault) in
        [(1000, false), (1029, false), (1031, true), (2000, true), (901, false), (899, true)]
    {
        assert_eq!(faults(1000, count, "rustc 1").len(), usize::from(is_fault), "{count}");
    }
}

#[test]
fn another_compiler_may_make_more_of_a_path_or_less() {
    assert_eq!(faults(1000, 1090, "rustc 2"), [""; 0]);
    assert_eq!(faults(1000, 500, "rustc 2"), [""; 0]);
    assert_eq!(faults(1000, 1110, "rustc 2"), ["a", "recorded with rustc 1, counted with rustc 2"]);
}

#[test]
fn a_fault_says_from_what_to_what_and_how_to_record_it() {
    let fault = limits(&[("a", 1000)]).faults(&counts(&[("a", 1100)]), "rustc 1").remove(0);
    for said in ["a: 1100", "10.0 %", "limit of 1000", "scripts/instructions --record"] {
        assert!(fault.contains(said), "{fault}");
    }
}

#[test]
fn a_path_without_a_limit_and_a_limit_without_a_path_are_faults() {
    let faults = limits(&[("a", 1), ("b", 1)]).faults(&counts(&[("b", 1), ("c", 1)]), "rustc 1");
    let paths: Vec<&str> = faults.iter().map(|fault| &fault[..1]).collect();
    assert_eq!(paths, ["c", "a"], "{faults:?}");
}

#[test]
fn what_is_recorded_is_what_is_read_back() {
    let limits = limits(&[("frames, 16 sessions", 7)]);
    let read: Limits = toml::from_str(&limits.file()).unwrap();
    assert_eq!((read.compiler, &read.counts), (limits.compiler.clone(), &limits.counts));
    assert!(limits.table(&read.counts).contains("+0.0 %"));
}
