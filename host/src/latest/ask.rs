//! Asks for last values by selector.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::{Kind, MetricSpec, Unit};
use watchpost_services::outcome::{Sample, Status};

use super::{Health, JobState, Last, Snapshot};
use crate::{
    reading::Shape,
    series::{
        layout::{RUN_DURATION, UP},
        meant::{EVENTS, label_of, may_be, may_be_of, miss, of_every_run},
        selector::{NAME_LABEL, Selector},
    },
};

/// What is known of the series that one selector means.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// The series, by job and metric; one whose labels are not known yet stands for all of its metric.
    pub series: Vec<SeriesNow>,
    /// Why there are none.
    pub miss: Option<String>,
}

/// One series just now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesNow {
    /// The metric.
    pub metric: String,
    /// All its labels.
    pub labels: BTreeMap<String, String>,
    /// What one is.
    pub unit: Unit,
    /// How values follow one another.
    pub kind: Kind,
    /// The last value, of a counter its total; unknown is none.
    pub value: Option<f64>,
    /// By how much a counter rose in each second since the run before.
    pub rate: Option<f64>,
    /// When that was measured, seconds since 1970.
    pub time: Option<f64>,
    /// Why there is no value.
    pub unknown: Option<Unknown>,
}

/// Why a series has no value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unknown {
    /// How its job stands: `ok`, `failing` or `unknown`.
    pub health: String,
    /// Since when, seconds since 1970; none before the first run.
    pub since: Option<f64>,
    /// Why.
    pub why: String,
}

impl JobState {
    /// Why a metric of the job has no value, where it has none.
    pub fn why_unknown(&self, spec: &MetricSpec, now_ns: i64) -> Unknown {
        let since = self.since_ns(now_ns).map(seconds);
        Unknown { health: self.health(now_ns).name().to_owned(), since, why: why(self, spec, now_ns) }
    }
}

impl Snapshot {
    /// Finds the last values of the series that are meant.
    pub fn find(&self, selector: &Selector) -> Found {
        let jobs = self.jobs.iter().filter(|job| may_be_of(selector, &job.shape));
        let series: Vec<SeriesNow> = jobs.flat_map(|job| find_in(job, selector, self.now_ns)).collect();
        let miss = if series.is_empty() { self.miss(selector) } else { None };
        Found { series, miss }
    }

    fn miss(&self, selector: &Selector) -> Option<String> {
        if self.jobs.is_empty() {
            return Some("there is no job".to_owned());
        }
        let Some(miss) = miss(selector, self.jobs.iter().map(|job| &*job.shape)) else { return Some("no such series".to_owned()) };
        Some(miss.hint().map_or(miss.what(), |hint| format!("{}; {hint}", miss.what())))
    }
}

/// The series of one job that are meant.
fn find_in(job: &JobState, selector: &Selector, now_ns: i64) -> Vec<SeriesNow> {
    let fresh = job.fresh(now_ns);
    let declared = fresh.map(|last| last.declared.as_slice()).unwrap_or_default();
    let of_agent: Vec<&MetricSpec> = job.shape.metrics.iter().chain(declared).collect();
    let host = of_every_run();
    // An agent's own metric stands before the host's of that name, which is no series.
    let host = host.iter().filter(|spec| of_agent.iter().all(|known| known.name != spec.name));
    let mut found = Vec::new();
    for spec in host.chain(of_agent.iter().copied()).filter(|spec| may_be(selector, &job.shape, spec)) {
        let samples = fresh.map(|last| samples_of(last, spec)).unwrap_or_default();
        let before = found.len();
        found.extend(samples.iter().filter_map(|sample| {
            let labels = labels(&job.shape, spec, &sample.labels);
            let is_meant =
                selector.matches(|label| if label == NAME_LABEL { Some(&spec.name) } else { labels.get(label).map(String::as_str) });
            is_meant.then(|| known(job, spec, sample, labels))
        }));
        if found.len() == before {
            found.push(unknown(job, spec, now_ns));
        }
    }
    found
}

/// What a run recorded of a metric.
fn samples_of(last: &Last, spec: &MetricSpec) -> Vec<Sample> {
    let of_host =
        |value: Option<f64>| value.map(|value| Sample { metric: spec.name.clone(), labels: Vec::new(), value }).into_iter().collect();
    let recorded: Vec<Sample> = last.samples.iter().filter(|sample| sample.metric == spec.name).cloned().collect();
    match spec.name.as_str() {
        _ if !recorded.is_empty() => recorded,
        UP => of_host(last.status.up()),
        RUN_DURATION => of_host(last.duration.map(|duration| duration.as_secs_f64())),
        // The run of a feed that broke off tells nothing of how many there were.
        EVENTS if spec.keys.is_empty() && spec.kind == Kind::Gauge => of_host(last.status.is_ok().then_some(last.events as f64)),
        _ => Vec::new(),
    }
}

fn labels(shape: &Shape, spec: &MetricSpec, values: &[String]) -> BTreeMap<String, String> {
    let host = ["agent", "job", "target"].map(|key| (key.to_owned(), label_of(shape, key).unwrap_or_default().to_owned()));
    let own = spec.keys.iter().cloned().zip(values.iter().cloned());
    host.into_iter().chain(shape.labels.iter().cloned()).chain(own).collect()
}

fn known(job: &JobState, spec: &MetricSpec, sample: &Sample, labels: BTreeMap<String, String>) -> SeriesNow {
    let started_ns = job.last.as_ref().map(|last| last.started_ns);
    SeriesNow {
        metric: spec.name.clone(),
        labels,
        unit: spec.unit,
        kind: spec.kind,
        value: Some(sample.value),
        rate: started_ns.and_then(|started_ns| job.before.as_ref()?.rate(sample, started_ns)),
        time: started_ns.map(seconds),
        unknown: None,
    }
}

fn unknown(job: &JobState, spec: &MetricSpec, now_ns: i64) -> SeriesNow {
    let unknown = Some(job.why_unknown(spec, now_ns));
    SeriesNow {
        metric: spec.name.clone(),
        labels: labels(&job.shape, spec, &[]),
        unit: spec.unit,
        kind: spec.kind,
        value: None,
        rate: None,
        time: None,
        unknown,
    }
}

fn why(job: &JobState, spec: &MetricSpec, now_ns: i64) -> String {
    match (&job.last, job.fresh(now_ns)) {
        (None, _) if job.next_due_ns.is_none() => "it is paused, and has not run yet".to_owned(),
        (None, _) => "it has not run yet".to_owned(),
        (Some(last), _) if Health::of(&last.status) == Health::Unknown => failure(&last.status),
        (Some(_), None) => "its last values are too old".to_owned(),
        (Some(last), Some(_)) if last.status.is_ok() => format!("its last run recorded no `{}`", spec.name),
        (Some(last), Some(_)) => failure(&last.status),
    }
}

fn failure(status: &Status) -> String {
    match status {
        Status::Ok => String::new(),
        Status::Failed { kind, message } => format!("{}: {message}", kind.name()),
    }
}

fn seconds(ns: i64) -> f64 {
    ns as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        latest::{JobView, Latest},
        reading::{Cause, Reading},
    };
    use watchpost_plugin_api::ErrorKind;
    use watchpost_services::outcome::Outcome;

    const SECOND: i64 = 1_000_000_000;

    fn latest() -> Latest {
        let spec = |name: &str, kind, keys: &[&str]| MetricSpec {
            name: name.into(),
            kind,
            unit: Unit::Messages,
            help: "H.".into(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        };
        let metrics = vec![spec("size", Kind::Gauge, &["queue"]), spec("sent", Kind::Counter, &[])];
        let shape = |job: &str| Shape {
            job: job.into(),
            agent: "queue".into(),
            target: "spool".into(),
            labels: vec![("site".into(), "paris".into())],
            step_s: 30,
            metrics: metrics.clone(),
        };
        let latest = Latest::default();
        latest.set_jobs(["a", "b", "never"].map(|job| JobView { shape: shape(job), next_due_ns: Some(0) }));
        latest
    }

    fn run(latest: &Latest, job: &str, at_s: i64, status: Status, samples: &[(&str, &[&str], f64)]) {
        let sample = |(metric, labels, value): &(&str, &[&str], f64)| Sample {
            metric: (*metric).into(),
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            value: *value,
        };
        let samples = samples.iter().map(sample).collect();
        let outcome = Outcome { status, samples, duration_ns: 5, ..Outcome::failed(ErrorKind::LOCAL, "", at_s * SECOND) };
        let stale_ns = (at_s + 40) * SECOND;
        latest.apply(&Reading { job: job.into(), cause: Cause::Schedule, slot: at_s, due_ns: 0, stale_ns, outcome });
    }

    /// Values, rates and reasons of what is found at a second: `3 of a`, `3 +0.5/s of a`, `why of a`.
    fn told(latest: &Latest, at_s: i64, series: &str) -> Vec<String> {
        let Found { series, miss } = latest.snapshot(at_s * SECOND).find(&Selector::parse(series).unwrap());
        let one = |series: &SeriesNow| {
            let rate = series.rate.map_or(String::new(), |rate| format!(" +{rate}/s"));
            let value = series.value.map(|value| value.to_string());
            let value = value.or_else(|| series.unknown.as_ref().map(|unknown| format!("{}: {}", unknown.health, unknown.why)));
            format!("{}{rate} of {}", value.unwrap(), series.labels["job"])
        };
        series.iter().map(one).chain(miss).collect()
    }

    #[test]
    fn a_selector_finds_every_last_value_that_it_means_and_none_that_is_old() {
        let latest = latest();
        run(&latest, "a", 1, Status::Ok, &[("size", &["hold"], 3.0), ("size", &["active"], 4.0)]);
        assert_eq!(
            told(&latest, 2, "size{queue=\"hold\"}"),
            ["3 of a", "unknown: it has not run yet of b", "unknown: it has not run yet of never"]
        );
        assert_eq!(told(&latest, 2, "size{job=\"a\"}"), ["3 of a", "4 of a"]);
        assert_eq!(told(&latest, 2, "size{job=\"a\",queue=\"deferred\"}"), ["ok: its last run recorded no `size` of a"]);
        assert_eq!(told(&latest, 2, "up{job=\"a\",site=\"paris\"}"), ["1 of a"]);
        assert_eq!(told(&latest, 2, "events{job=\"a\"}"), ["0 of a"]);
        assert_eq!(told(&latest, 41, "size{job=\"a\"}"), ["unknown: its last values are too old of a"]);
    }

    #[test]
    fn what_failed_tells_why_and_what_it_recorded_before_still_counts() {
        let latest = latest();
        let failed = |kind| Status::Failed { kind, message: "no".into() };
        run(&latest, "a", 1, failed(ErrorKind::AUTH), &[("size", &["hold"], 3.0)]);
        assert_eq!(told(&latest, 2, "{__name__=~\"up|size\",job=\"a\"}"), ["0 of a", "3 of a"]);
        assert_eq!(told(&latest, 2, "{__name__=~\"sent|events\",job=\"a\"}"), ["failing: auth: no of a", "failing: auth: no of a"]);
        run(&latest, "b", 1, failed(ErrorKind::CRASH), &[]);
        assert_eq!(told(&latest, 2, "up{job=\"b\"}"), ["unknown: crash: no of b"]);
        assert_eq!(told(&latest, 99, "up{job=\"b\"}"), ["unknown: crash: no of b"], "our own failure stands until the next run");
    }

    #[test]
    fn a_counter_tells_its_rate_since_the_run_that_told_it_last() {
        let latest = latest();
        let sent = |at_s, total| run(&latest, "a", at_s, Status::Ok, &[("sent", &[], total)]);
        sent(1, 10.0);
        assert_eq!(told(&latest, 2, "sent{job=\"a\"}"), ["10 of a"]);
        sent(31, 25.0);
        assert_eq!(told(&latest, 32, "sent{job=\"a\"}"), ["25 +0.5/s of a"]);
        run(&latest, "a", 61, Status::Failed { kind: ErrorKind::TIMEOUT, message: "late".into() }, &[]);
        sent(91, 40.0);
        assert_eq!(told(&latest, 92, "sent{job=\"a\"}"), ["40 +0.25/s of a"], "a run without it is bridged");
        sent(121, 5.0);
        assert_eq!(told(&latest, 122, "sent{job=\"a\"}"), ["5 of a"], "what fell began anew");
    }

    #[test]
    fn what_nothing_can_give_is_told_with_what_was_meant() {
        let latest = latest();
        assert_eq!(told(&latest, 2, "up{job=\"nevr\"}"), ["no job is called `nevr`; did you mean `never`?"]);
        assert_eq!(told(&latest, 2, "sizes{job=\"a\"}"), ["no job that is meant has the metric `sizes`; did you mean `size`?"]);
        assert_eq!(told(&Latest::default(), 2, "up"), ["there is no job"]);
    }
}
