//! The limits of the hot paths: how they are written, and what is said where a count is not near its limit. Nothing is
//! measured here.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt::Write};

/// Instructions of one operation, by path.
pub(super) type Counts = BTreeMap<String, u64>;

/// More than this beyond the limit is a regression, in percent. Runs by themselves differ by less than one.
const REGRESSION: f64 = 3.0;
/// With another compiler than the limits were recorded with.
const REGRESSION_OF_ANOTHER: f64 = 10.0;
/// So much below the limit it no longer guards what was gained.
const GAIN: f64 = 10.0;

const HEAD: &str = "\
# Instructions of one operation on each hot path, as callgrind counts them: `scripts/instructions` fails where one
# takes 3 % more. What an operation is stands in paths.rs. Who makes a path dearer, and has to, records anew by
# `scripts/instructions --record` and says in the commit what it buys; who makes one cheaper records it too.

";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) compiler: String,
    pub(super) counts: Counts,
}

impl Limits {
    /// The text of the file.
    pub(super) fn file(&self) -> String {
        format!("{HEAD}{}", toml::to_string(self).expect("strings and numbers"))
    }

    pub(super) fn table(&self, counts: &Counts) -> String {
        let mut table = String::new();
        for (path, count) in counts {
            let change = self.counts.get(path).map(|limit| change(*limit, *count));
            let change = change.map_or("new".into(), |change| format!("{change:+.1} %"));
            writeln!(table, "{path:<24}{count:>12}{change:>10}").expect("a String takes all");
        }
        table
    }

    /// What is wrong with these counts, each with what to do about it.
    pub(super) fn faults(&self, counts: &Counts, compiler: &str) -> Vec<String> {
        let is_same = compiler == self.compiler;
        let allowed = if is_same { REGRESSION } else { REGRESSION_OF_ANOTHER };
        let mut faults = Vec::new();
        for (path, count) in counts {
            let Some(limit) = self.counts.get(path) else {
                faults.push(format!("{path}: has no limit; {}", advice("record it")));
                continue;
            };
            let change = change(*limit, *count);
            if change > allowed {
                faults.push(format!(
                    "{path}: {count} instructions, {change:.1} % over the limit of {limit} (allowed: {allowed} %); \
                     make it cheaper, or {}",
                    advice("record that it costs more")
                ));
            } else if is_same && change < -GAIN {
                faults.push(format!(
                    "{path}: {count} instructions, {:.1} % below the limit of {limit}, which guards that no longer; {}",
                    -change,
                    advice("record the gain")
                ));
            }
        }
        for path in self.counts.keys().filter(|path| !counts.contains_key(*path)) {
            faults.push(format!(
                "{path}: has a limit and is no path; {}",
                advice("record without it")
            ));
        }
        if !is_same && !faults.is_empty() {
            faults.push(format!("recorded with {}, counted with {compiler}", self.compiler));
        }
        faults
    }
}

fn advice(what: &str) -> String {
    format!("{what} with `scripts/instructions --record` and commit tests/instructions/limits.toml")
}

/// In percent of the limit.
fn change(limit: u64, count: u64) -> f64 {
    (count as f64 / limit.max(1) as f64 - 1.0) * 100.0
}
