//! Numbers as the library's metric families, and from there as Prometheus' text. Which numbers there are is not known
//! here.

use crate::metrics::{Counter, Histogram};
use prometheus::{
    Encoder, TextEncoder,
    proto::{self, Bucket, LabelPair, Metric, MetricFamily, MetricType},
};

pub(super) const NANOS_PER_SECOND: u64 = 1_000_000_000;

#[derive(Default)]
pub(super) struct Exposition(Vec<MetricFamily>);

/// The labels of one number, by name.
type Labels<const N: usize> = [(&'static str, &'static str); N];

impl Exposition {
    pub(super) fn encode(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.0, &mut text)?;
        Ok(text)
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, counter: &Counter) {
        self.counters(name, help, [([], counter)]);
    }

    pub(super) fn counters<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        counters: impl IntoIterator<Item = (Labels<N>, &'a Counter)>,
    ) {
        let values = counters.into_iter().map(|(labels, counter)| (labels, counter.get() as f64));
        self.counted(name, help, values);
    }

    /// Counters whose values are known.
    pub(super) fn counted<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<N>, f64)>,
    ) {
        let metric = |(labels, value)| {
            let mut counter = proto::Counter::default();
            counter.set_value(value);
            let mut metric = Metric::from_label(pairs(labels));
            metric.set_counter(counter);
            metric
        };
        self.family(name, help, MetricType::COUNTER, values.into_iter().map(metric).collect());
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges(name, help, [([], value)]);
    }

    pub(super) fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<N>, f64)>,
    ) {
        let metric = |(labels, value)| {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(value);
            let mut metric = Metric::from_label(pairs(labels));
            metric.set_gauge(gauge);
            metric
        };
        self.family(name, help, MetricType::GAUGE, values.into_iter().map(metric).collect());
    }

    /// `per`: how many of the histogram's units make one of the metric's.
    pub(super) fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram, per: u64) {
        // The quotient is the double that is nearest to the decimal number; a product would not be.
        let in_unit = |value: u64| value as f64 / per as f64;
        let counts = histogram.buckets();
        // Counted from the buckets, so that it is theirs whatever is observed meanwhile.
        let count = counts.last().map_or(0, |(_, count)| *count) + histogram.beyond();
        let buckets = counts.into_iter().map(|(bound, count)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(in_unit(bound));
            bucket.set_cumulative_count(count);
            bucket
        });
        let mut encoded = proto::Histogram::default();
        encoded.set_bucket(buckets.collect());
        encoded.set_sample_count(count);
        encoded.set_sample_sum(in_unit(histogram.sum()));
        let mut metric = Metric::default();
        metric.set_histogram(encoded);
        self.family(name, help, MetricType::HISTOGRAM, vec![metric]);
    }

    fn family(&mut self, name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        let mut family = MetricFamily::default();
        family.set_name(name.into());
        family.set_help(help.into());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.0.push(family);
    }
}

fn pairs<const N: usize>(labels: Labels<N>) -> Vec<LabelPair> {
    let pair = |(name, value): (&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.into());
        pair.set_value(value.into());
        pair
    };
    labels.map(pair).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::StoreMetrics;

    #[test]
    fn numbers_become_the_text_that_prometheus_reads() {
        let metrics = StoreMetrics::default();
        metrics.appended_events.add(7);
        metrics.commit_time.observe(300_000);
        metrics.commit_time.observe(9_000_000_000);
        let mut text = Exposition::default();
        text.counter("seawall_events_total", "Events.", &metrics.appended_events);
        text.gauges("seawall_parts", "Parts.", [([("part", "log writer")], 1.0)]);
        text.histogram("seawall_seconds", "Time.", &metrics.commit_time, NANOS_PER_SECOND);
        let text = String::from_utf8(text.encode().unwrap()).unwrap();
        for line in [
            "# HELP seawall_events_total Events.",
            "# TYPE seawall_events_total counter",
            "seawall_events_total 7",
            "seawall_parts{part=\"log writer\"} 1",
            "seawall_seconds_bucket{le=\"0.00025\"} 0",
            "seawall_seconds_bucket{le=\"0.0005\"} 1",
            "seawall_seconds_bucket{le=\"5\"} 1",
            "seawall_seconds_bucket{le=\"+Inf\"} 2",
            "seawall_seconds_sum 9.0003",
            "seawall_seconds_count 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
