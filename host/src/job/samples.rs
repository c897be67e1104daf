//! One run of several measurements, as SmokePing has it: how many failed, and how the times of the others are spread.
//!
//! Every time of the agent's gets the label `q` (0, 0.5, 0.95, 1: shortest, median, 95th percentile, longest), and `loss` is the
//! part of the measurements that failed. What is no time keeps its last value.

use std::collections::HashMap;

use tokio::time::Instant;
use watchpost_plugin_api::{Kind, MetricSpec, Unit};
use watchpost_services::outcome::{Outcome, Sample, Status};

use super::Job;
use crate::plugin::{RunEnd, RunRequest};

/// The label that tells quantiles apart.
pub(super) const Q: &str = "q";
/// The metric of what failed.
pub const LOSS: &str = "loss";
/// Events kept of one run; the rest are counted.
const EVENTS_MAX: usize = 100;
/// The quantiles that are kept, as the label has them.
const QUANTILES: [(&str, f64); 4] = [("0", 0.0), ("0.5", 0.5), ("0.95", 0.95), ("1", 1.0)];

/// What `loss` is.
pub fn loss() -> MetricSpec {
    let help = "Part of the run's measurements that failed.".into();
    MetricSpec { name: LOSS.into(), kind: Kind::Gauge, unit: Unit::Ratio, help, keys: Vec::new() }
}

/// What is wrong with a metric of a job, what the host adds to the agent's not counted.
pub fn fault(spec: &MetricSpec) -> Option<&'static str> {
    if *spec == loss() {
        return None;
    }
    let mut own = spec.clone();
    own.keys.pop_if(|key| key == Q);
    own.fault()
}

/// What an agent's metrics become when each run measures several times.
pub(super) fn spread(metrics: &[MetricSpec]) -> Vec<MetricSpec> {
    let mut spread = spread_each(metrics);
    spread.push(loss());
    spread
}

fn spread_each(metrics: &[MetricSpec]) -> Vec<MetricSpec> {
    let mut spread = metrics.to_vec();
    for spec in spread.iter_mut().filter(|spec| is_time(spec)) {
        spec.keys.push(Q.into());
    }
    spread
}

fn is_time(spec: &MetricSpec) -> bool {
    spec.kind == Kind::Gauge && spec.unit == Unit::Seconds
}

impl Job {
    /// Runs once: one measurement, or as many as the job takes, one after the other. Each may take an even part of what time is left.
    ///
    /// Always answers: within the timeout and a little, or twice that when a run had to be repeated.
    pub async fn run(&self, request: RunRequest) -> RunEnd {
        let samples = self.config.asks.measurements();
        if samples == 1 {
            return self.plugin.run(request).await;
        }
        let deadline = Instant::now() + request.timeout;
        let (mut outcomes, mut dialogue, mut was_closed) = (Vec::new(), Vec::new(), false);
        for left in (1..=samples).rev() {
            let timeout = deadline.saturating_duration_since(Instant::now()) / left;
            let cursor = outcomes.last().and_then(|last: &Outcome| last.cursor.clone()).or_else(|| request.cursor.clone());
            let RunEnd { outcome, dialogue: said, closed } = self.plugin.run(RunRequest { timeout, cursor, ..request.clone() }).await;
            let ours = !outcome.status.is_ok() && outcome.status.up().is_none();
            outcomes.push(outcome);
            was_closed |= closed;
            dialogue.extend(said);
            // Our own failure tells nothing of the target, neither now nor in the next moment.
            if ours {
                break;
            }
        }
        RunEnd { outcome: merge(outcomes, &self.metrics), dialogue, closed: was_closed }
    }
}

/// Makes one outcome of those of several measurements; `metrics` are the agent's own.
///
/// Unknown: when one failed by our own fault the whole run did, and nothing is said of the target.
fn merge(outcomes: Vec<Outcome>, metrics: &[MetricSpec]) -> Outcome {
    let status = status(&outcomes);
    let failed = outcomes.iter().filter(|outcome| !outcome.status.is_ok()).count();
    let declared = declared(&outcomes);
    let mut samples = Vec::new();
    if status.is_ok() || status.up().is_some() {
        let known: Vec<&MetricSpec> = metrics.iter().chain(&declared).collect();
        samples = quantiles(&outcomes, &known);
        samples.push(Sample { metric: LOSS.into(), labels: Vec::new(), value: failed as f64 / outcomes.len() as f64 });
    }
    let events_dropped = outcomes.iter().fold(0_u32, |sum, outcome| sum.saturating_add(outcome.events_dropped));
    let mut events: Vec<_> = outcomes.iter().flat_map(|outcome| outcome.events.clone()).collect();
    let beyond = events.len().saturating_sub(EVENTS_MAX);
    events.truncate(EVENTS_MAX);
    Outcome {
        status,
        samples,
        declared: spread_each(&declared),
        events,
        events_dropped: events_dropped.saturating_add(u32::try_from(beyond).unwrap_or(u32::MAX)),
        refused: outcomes.iter().fold(0, |sum, outcome| sum.saturating_add(outcome.refused)),
        refusal: outcomes.iter().find_map(|outcome| outcome.refusal.clone()),
        cursor: outcomes.iter().rev().find_map(|outcome| outcome.cursor.clone()),
        cursor_read: outcomes.iter().any(|outcome| outcome.cursor_read),
        started_ns: outcomes.first().map_or(0, |outcome| outcome.started_ns),
        duration_ns: outcomes.iter().fold(0, |sum, outcome| sum.saturating_add(outcome.duration_ns)),
    }
}

/// Ok if one was; else how the last one failed. A failure of our own, which is the last, stands for all.
fn status(outcomes: &[Outcome]) -> Status {
    let last = outcomes.last().map_or(Status::Ok, |outcome| outcome.status.clone());
    let any = outcomes.iter().any(|outcome| outcome.status.is_ok());
    if any && last.up().is_some() { Status::Ok } else { last }
}

fn declared(outcomes: &[Outcome]) -> Vec<MetricSpec> {
    let mut declared: Vec<MetricSpec> = Vec::new();
    for spec in outcomes.iter().flat_map(|outcome| &outcome.declared) {
        if declared.iter().all(|known| known.name != spec.name) {
            declared.push(spec.clone());
        }
    }
    declared
}

/// Every series once, in the order they were first recorded: a time by its quantiles, anything else by its last value.
fn quantiles(outcomes: &[Outcome], known: &[&MetricSpec]) -> Vec<Sample> {
    let mut order = Vec::new();
    let mut values: HashMap<(&str, &[String]), Vec<f64>> = HashMap::new();
    for Sample { metric, labels, value } in outcomes.iter().flat_map(|outcome| &outcome.samples) {
        let series = (metric.as_str(), labels.as_slice());
        let of_series = values.entry(series).or_insert_with(|| {
            order.push(series);
            Vec::new()
        });
        of_series.push(*value);
    }
    let mut samples = Vec::new();
    for series @ (metric, labels) in order {
        let mut values = values.remove(&series).unwrap_or_default();
        let sample = |q: Option<&str>, value| {
            let labels = labels.iter().cloned().chain(q.map(str::to_owned)).collect();
            Sample { metric: metric.to_owned(), labels, value }
        };
        if known.iter().any(|spec| spec.name == metric && is_time(spec)) {
            values.sort_unstable_by(f64::total_cmp);
            samples.extend(QUANTILES.map(|(q, part)| sample(Some(q), quantile(&values, part))));
        } else {
            samples.extend(values.last().map(|last| sample(None, *last)));
        }
    }
    samples
}

/// The value below which that part of the values lies; `values` are sorted, and there is at least one.
///
/// Source: R's type 7, which PromQL's `quantile` is too: straight lines between the values.
fn quantile(values: &[f64], part: f64) -> f64 {
    let place = part * values.len().saturating_sub(1) as f64;
    let (below, above) = (place.floor(), place.ceil());
    let at = |place: f64| values.get(place as usize).copied().unwrap_or_default();
    at(below) + (at(above) - at(below)) * (place - below)
}

#[cfg(test)]
mod tests {
    use watchpost_plugin_api::ErrorKind;
    use watchpost_services::outcome::Event;

    use super::*;

    fn metric(name: &str, unit: Unit) -> MetricSpec {
        MetricSpec { name: name.into(), kind: Kind::Gauge, unit, help: "H.".into(), keys: Vec::new() }
    }

    fn outcome(kind: Option<ErrorKind>, samples: &[(&str, f64)]) -> Outcome {
        let samples = samples.iter().map(|(metric, value)| Sample { metric: (*metric).into(), labels: vec![], value: *value });
        let status = kind.map_or(Status::Ok, |kind| Status::Failed { kind, message: "so".into() });
        let event = Event { severity: watchpost_plugin_api::Severity::Minor, code: "c".into(), text: "t".into() };
        let events = vec![event; 60];
        Outcome { status, samples: samples.collect(), events, duration_ns: 5, ..Outcome::failed(ErrorKind::LOCAL, "", 7) }
    }

    fn merged(outcomes: Vec<Outcome>) -> (Status, Vec<(String, f64)>) {
        let whole = merge(outcomes, &[metric("connect_time", Unit::Seconds), metric("size", Unit::Messages)]);
        let named = |sample: Sample| (format!("{}{}", sample.metric, sample.labels.concat()), sample.value);
        (whole.status, whole.samples.into_iter().map(named).collect())
    }

    fn table(expected: &[(&str, f64)]) -> Vec<(String, f64)> {
        expected.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    #[test]
    fn times_become_quantiles_and_other_values_stay_as_they_were_last() {
        let outcomes = [4.0, 1.0, 3.0, 2.0, 5.0].map(|time| outcome(None, &[("connect_time", time), ("size", time)]));
        let (status, samples) = merged(outcomes.into());
        assert_eq!(status, Status::Ok);
        let times = [("connect_time0", 1.0), ("connect_time0.5", 3.0), ("connect_time0.95", 4.8), ("connect_time1", 5.0)];
        assert_eq!(samples, table(&[&times[..], &[("size", 5.0), ("loss", 0.0)]].concat()));
    }

    #[test]
    fn a_measurement_that_fails_is_a_part_of_the_loss_and_what_it_recorded_counts() {
        let lost = outcome(Some(ErrorKind::AUTH), &[("connect_time", 3.0)]);
        let (status, samples) = merged(vec![outcome(None, &[("connect_time", 1.0)]), lost.clone(), lost.clone(), lost.clone()]);
        assert_eq!((status, samples[0].1, samples[3].1, samples[4].clone()), (Status::Ok, 1.0, 3.0, ("loss".into(), 0.75)));
        let (status, samples) = merged(vec![lost.clone(), lost]);
        assert_eq!((status.up(), samples.last().cloned()), (Some(0.0), Some(("loss".into(), 1.0))));
    }

    #[test]
    fn a_failure_of_our_own_makes_all_of_the_run_unknown() {
        let (status, samples) = merged(vec![outcome(None, &[("connect_time", 1.0)]), outcome(Some(ErrorKind::CRASH), &[])]);
        assert_eq!((status.up(), samples), (None, vec![]));
    }

    #[test]
    fn a_run_keeps_a_hundred_events_and_counts_the_rest_and_lasts_as_long_as_its_parts() {
        let whole = merge(vec![outcome(None, &[]), outcome(None, &[])], &[]);
        assert_eq!((whole.events.len(), whole.events_dropped, whole.duration_ns, whole.started_ns), (100, 20, 10, 7));
    }

    #[test]
    fn only_times_get_the_label_and_loss_comes_along() {
        let spread = spread(&[metric("connect_time", Unit::Seconds), metric("size", Unit::Messages)]);
        let keys: Vec<_> = spread.iter().map(|spec| (spec.name.as_str(), spec.keys.concat())).collect();
        assert_eq!(keys, [("connect_time", "q".into()), ("size", String::new()), ("loss", String::new())]);
    }
}
