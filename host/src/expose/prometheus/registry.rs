//! The host's own metrics, from their registry through the one writer.

use prometheus::proto::{Histogram, Metric, MetricFamily, MetricType};

use super::text::{Text, Type, label};

pub(super) fn write(families: &[MetricFamily], text: &mut Text) {
    for family in families {
        let name = family.name();
        match family.get_field_type() {
            MetricType::COUNTER => {
                text.family(name.strip_suffix("_total").unwrap_or(name), Type::Counter, family.help());
                lines(family, text, |metric| metric.get_counter().get_value());
            }
            MetricType::GAUGE => {
                text.family(name, Type::Gauge, family.help());
                lines(family, text, |metric| metric.get_gauge().get_value());
            }
            MetricType::HISTOGRAM => {
                text.family(name, Type::Histogram, family.help());
                family.get_metric().iter().for_each(|metric| histogram(&labels(metric), metric.get_histogram(), text));
            }
            // The registry is filled by `HostMetrics` alone, which makes no others.
            MetricType::SUMMARY | MetricType::UNTYPED => {}
        }
    }
}

fn lines(family: &MetricFamily, text: &mut Text, value: impl Fn(&Metric) -> f64) {
    for metric in family.get_metric() {
        text.sample("", &labels(metric), std::iter::empty(), value(metric));
    }
}

fn histogram(labels: &str, histogram: &Histogram, text: &mut Text) {
    let count = histogram.get_sample_count();
    for bucket in histogram.get_bucket() {
        // `{:?}` writes 1 as 1.0 as OpenMetrics wants it; the same in both formats, or the series would change with the format.
        let bound = format!("{:?}", bucket.upper_bound());
        text.sample("_bucket", labels, [("le", bound.as_str())].into_iter(), bucket.cumulative_count() as f64);
    }
    text.sample("_bucket", labels, [("le", "+Inf")].into_iter(), count as f64);
    text.sample("_sum", labels, std::iter::empty(), histogram.get_sample_sum());
    text.sample("_count", labels, std::iter::empty(), count as f64);
}

fn labels(metric: &Metric) -> String {
    let mut labels = String::new();
    for pair in metric.get_label() {
        if !labels.is_empty() {
            labels.push(',');
        }
        label(&mut labels, pair.name(), pair.value());
    }
    labels
}
