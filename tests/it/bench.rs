//! `seawall bench` on the real program: that its figures are there and add up. What they are, no test says.

use crate::support::SEAWALL;
use serde_json::Value;
use std::process::Command;

/// A quick run of these workloads; its report.
fn report(workloads: &[&str]) -> Value {
    let mut command = Command::new(SEAWALL);
    command.args(["--json", "bench", "--quick", "--rounds", "1"]).args(workloads);
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn figures<'a>(report: &'a Value, case: &str, subject: &str) -> &'a Value {
    let samples = report["samples"].as_array().expect("samples");
    let found = samples.iter().find(|row| row["case"] == case && row["subject"] == subject);
    &found.unwrap_or_else(|| panic!("no {case} of {subject}: {samples:#?}"))["figures"]
}

#[test]
fn lines_of_children_reach_all_streams_and_are_counted() {
    let report = report(&["line", "fanout"]);
    for (case, subject, streams) in [
        ("idle", "seawall", 1.0),
        ("idle", "seawall in memory", 1.0),
        ("one by one", "seawall", 100.0),
        ("bursts of 32", "seawall", 100.0),
        ("bursts of 32", "bare writes", 100.0),
    ] {
        let figures = figures(&report, case, subject);
        let figure = |name: &str| figures[name].as_f64().unwrap_or_else(|| panic!("no {name}"));
        assert!(figure("deliveries_per_second") >= streams, "{case}, {subject}: {figures}");
        assert!(figure("p50_us") > 0.0 && figure("p50_us") <= figure("p99_us"), "{figures}");
        for error in ["duplicates", "order_errors", "silent_gaps", "told_gaps"] {
            assert_eq!(figure(error), 0.0, "{case}, {subject}: {error}");
        }
    }
    assert!(figures(&report, "idle", "fdatasync")["syncs_per_second"].as_f64() > Some(0.0));
    let ratio = &report["ratios"][0];
    assert_eq!((&ratio["workload"], &ratio["of"]), (&"line".into(), &"seawall".into()));
    assert!(report["machine"]["cores"].as_u64() >= Some(1));
}
