//! What was measured, as plain rows, and the arithmetic on them: medians over rounds, percentiles, ratios, the table.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

pub(super) type Figures = BTreeMap<String, f64>;

/// One measurement of one server, or of a limit, in one round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sample {
    pub(super) workload: String,
    pub(super) case: String,
    /// Whose figures these are.
    pub(super) subject: String,
    pub(super) round: usize,
    pub(super) figures: Figures,
}

/// The figure of one subject over that of another in the same case and round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ratio {
    pub(super) case: &'static str,
    pub(super) figure: &'static str,
    pub(super) subject: &'static str,
    pub(super) to: &'static str,
}

/// Times of single things, from which percentiles are told.
#[derive(Clone, Debug, Default)]
pub(super) struct Times(Vec<u32>);

impl Times {
    pub(super) fn add(&mut self, nanos: u64) {
        self.0.push(u32::try_from(nanos).unwrap_or(u32::MAX));
    }

    pub(super) fn add_time(&mut self, time: Duration) {
        self.add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The time that so many of a thousand are not above, in microseconds; 0 where there is none.
    pub(super) fn micros(&mut self, per_mille: usize) -> f64 {
        let index = (self.0.len() * per_mille).div_ceil(1000).saturating_sub(1);
        if index >= self.0.len() {
            return 0.0;
        }
        f64::from(*self.0.select_nth_unstable(index).1) / 1000.0
    }

    pub(super) fn note(&mut self, figures: &mut Figures) {
        for (name, per_mille) in [("p50_us", 500), ("p99_us", 990), ("p999_us", 999)] {
            figures.insert(name.into(), rounded(self.micros(per_mille)));
        }
        figures.insert("worst_us".into(), rounded(self.micros(1000)));
    }
}

/// The one in the middle; of an even number the lower of the two. 0 where there is none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or_default()
}

/// Three decimals say more than these machines hold still for.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The median over the rounds, where there is any.
pub(super) fn middle(samples: &[Sample], case: &str, subject: &str, figure: &str) -> Option<f64> {
    let values: Vec<f64> = samples
        .iter()
        .filter(|sample| sample.case == case && sample.subject == subject)
        .filter_map(|sample| sample.figures.get(figure).copied())
        .collect();
    if values.is_empty() { None } else { Some(median(values)) }
}

impl Ratio {
    /// The median of the rounds' ratios: what was measured side by side is compared.
    pub(super) fn of(&self, samples: &[Sample]) -> Option<f64> {
        let find = |subject: &str, round: usize| {
            let sample = samples.iter().find(|sample| {
                sample.case == self.case && sample.subject == subject && sample.round == round
            })?;
            sample.figures.get(self.figure).copied()
        };
        let rounds = samples.iter().filter(|sample| sample.subject == self.subject);
        let ratios: Vec<f64> = rounds
            .filter(|sample| sample.case == self.case)
            .filter_map(|sample| {
                let below = find(self.to, sample.round).filter(|value| *value != 0.0)?;
                Some(sample.figures.get(self.figure)? / below)
            })
            .collect();
        if ratios.is_empty() { None } else { Some(rounded(median(ratios))) }
    }
}

/// The medians of one workload: a block for each case, a line for each figure, a column for each subject.
pub(super) fn table(samples: &[Sample]) -> Vec<String> {
    let mut lines = Vec::new();
    for case in distinct(samples.iter().map(|sample| sample.case.as_str())) {
        let here: Vec<&Sample> = samples.iter().filter(|sample| sample.case == case).collect();
        let subjects = distinct(here.iter().map(|sample| sample.subject.as_str()));
        let figures = distinct(here.iter().flat_map(|s| s.figures.keys().map(String::as_str)));
        let mut head = format!("  {case:<30}");
        subjects.iter().for_each(|subject| head.push_str(&format!(" {subject:>16}")));
        lines.push(head);
        for figure in figures {
            let mut line = format!("    {:<28}", figure.replace('_', " "));
            for subject in &subjects {
                let value = middle(samples, case, subject, figure).map(shown);
                line.push_str(&format!(" {:>16}", value.unwrap_or_default()));
            }
            lines.push(line);
        }
    }
    lines
}

fn shown(value: f64) -> String {
    if value.abs() >= 1000.0 { format!("{value:.0}") } else { format!("{}", rounded(value)) }
}

/// In the order in which they came.
fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    names.for_each(|name| {
        if !seen.contains(&name) {
            seen.push(name);
        }
    });
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(subject: &str, round: usize, rate: f64) -> Sample {
        let figures = BTreeMap::from([("rate".to_owned(), rate)]);
        let (workload, case) = ("w".into(), "c".into());
        Sample { workload, case, subject: subject.into(), round, figures }
    }

    #[test]
    fn the_median_is_a_value_that_was_measured() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.0);
        assert_eq!(median(vec![]), 0.0);
    }

    #[test]
    fn a_percentile_is_a_time_that_was_measured() {
        let mut times = Times::default();
        assert_eq!(times.micros(990), 0.0);
        (1..=200).rev().for_each(|micros| times.add(micros * 1000));
        assert_eq!([500, 990, 1000].map(|part| times.micros(part)), [100.0, 198.0, 200.0]);
        times.clear();
        times.add(u64::MAX);
        assert!(times.micros(1) > 4e6, "what takes longer than can be told is told as long");
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let samples = [
            sample("a", 0, 10.0),
            sample("b", 0, 5.0),
            sample("a", 1, 30.0),
            sample("b", 1, 10.0),
            sample("a", 2, 8.0),
            sample("b", 2, 8.0),
            sample("a", 3, 100.0),
        ];
        let ratio = Ratio { case: "c", figure: "rate", subject: "a", to: "b" };
        assert_eq!(ratio.of(&samples), Some(2.0));
        assert_eq!(Ratio { to: "x", ..ratio }.of(&samples), None);
    }

    #[test]
    fn the_table_has_a_column_for_each_subject() {
        let table = table(&[sample("a", 0, 12_345.6), sample("b", 0, 0.12345)]);
        let words: Vec<Vec<&str>> =
            table.iter().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words, [vec!["c", "a", "b"], vec!["rate", "12346", "0.123"]]);
    }
}
