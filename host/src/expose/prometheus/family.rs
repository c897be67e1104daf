//! Which series belong to one family, and what the family is called.
//!
//! A family belongs to one metric: a standard one, or one of one agent. Whoever else would come by the same name (an agent
//! `connect` with a metric `time`; `wait` and `wait_seconds` in one agent; a metric declared at run time as a gauge by one job and
//! a counter by another) is left out and counted, because a family of two meanings would be refused whole by the scraper.
//! Where only the help differs, the first is kept.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use watchpost_plugin_api::{Kind, MetricSpec, Unit, standard};

use super::text::{Text, Type, label};
use crate::{
    job::{LOSS, fault, loss},
    latest::{JobState, Last, Snapshot},
};

/// Families that no agent may claim: those of standard metrics and the host's own per job.
static NAMES_TAKEN: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let standard = STANDARD.values().map(|spec| family_name(None, spec));
    standard.chain([UP.to_owned(), RUN_DURATION.to_owned()]).collect()
});
/// Standard metrics by name.
static STANDARD: LazyLock<HashMap<&'static str, MetricSpec>> =
    LazyLock::new(|| standard::ALL.iter().map(|metric| (metric.name(), metric.spec())).chain([(LOSS, loss())]).collect());

const UP: &str = "watchpost_up";
const RUN_DURATION: &str = "watchpost_run_duration_seconds";

/// The present series of all jobs, gathered by family.
#[derive(Debug)]
pub struct Families<'a> {
    /// Labels that begin a line, escaped: `agent job target` and the job's own.
    labels: Vec<String>,
    families: Vec<Family<'a>>,
    /// Which family a metric of an agent belongs to; none if the name is another's.
    places: HashMap<(&'a str, &'a str), Option<usize>>,
    names: HashMap<String, usize>,
    lines: usize,
    left_out: u64,
}

#[derive(Debug)]
struct Family<'a> {
    name: String,
    kind: Kind,
    unit: Unit,
    help: &'a str,
    series: Vec<Series<'a>>,
}

#[derive(Debug)]
struct Series<'a> {
    /// Index of the labels that begin its line.
    begin: usize,
    keys: &'a [String],
    labels: &'a [String],
    value: f64,
}

impl<'a> Families<'a> {
    /// Gathers what is fresh in a snapshot.
    pub fn of(snapshot: &'a Snapshot) -> Self {
        let mut families = Self { labels: vec![], families: vec![], places: HashMap::new(), names: HashMap::new(), lines: 0, left_out: 0 };
        let up = families.open(UP.into(), Kind::Gauge, Unit::Number, "1 if the target did what it should, 0 if it did not.");
        let run_duration = families.open(RUN_DURATION.into(), Kind::Gauge, Unit::Seconds, "Time that the last run took.");
        families.claim_declared(snapshot);
        for job in &snapshot.jobs {
            let Some(last) = job.fresh(snapshot.now_ns) else { continue };
            let index = families.labels.len();
            families.labels.push(job_labels(job, &[]));
            let hosts = [(up, last.status.up()), (run_duration, last.duration.map(|time| time.as_nanos() as f64 / 1e9))];
            for (family, value) in hosts.into_iter().filter_map(|(family, value)| Some((family, value?))) {
                families.push(family, Series { begin: index, keys: &[], labels: &[], value });
            }
            families.add_samples(index, job, last);
        }
        families
    }

    /// Series gathered.
    pub fn len(&self) -> usize {
        self.lines
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// Series whose family is another's, or whose labels do not fit their declaration.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    pub(super) fn write(&self, text: &mut Text) {
        let mut by_name: Vec<_> = self.families.iter().filter(|family| !family.series.is_empty()).collect();
        by_name.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        for family in by_name {
            let kind = if family.kind == Kind::Counter { Type::Counter } else { Type::Gauge };
            text.family(&family.name, kind, family.help);
            for series in &family.series {
                let own = series.keys.iter().zip(series.labels).map(|(key, value)| (key.as_str(), value.as_str()));
                text.sample("", &self.labels[series.begin], own, series.value);
            }
        }
    }

    /// Gives declared metrics their families before run-time ones can take the names, whatever is fresh just now.
    fn claim_declared(&mut self, snapshot: &'a Snapshot) {
        let mut agents = HashSet::new();
        for job in snapshot.jobs.iter().filter(|job| agents.insert(&job.shape.agent)) {
            for metric in &job.shape.metrics {
                self.place(&job.shape.agent, metric);
            }
        }
    }

    fn add_samples(&mut self, index: usize, job: &'a JobState, last: &'a Last) {
        for sample in &last.samples {
            let declared = job.shape.metrics.iter().chain(&last.declared).find(|metric| metric.name == sample.metric);
            let fitting = declared.filter(|metric| metric.keys.len() == sample.labels.len() && sample.value.is_finite());
            match fitting.and_then(|metric| Some((self.place(&job.shape.agent, metric)?, metric))) {
                Some((family, metric)) => {
                    let begin = self.begin(index, job, &metric.keys);
                    self.push(family, Series { begin, keys: &metric.keys, labels: &sample.labels, value: sample.value });
                }
                None => self.left_out += 1,
            }
        }
    }

    /// The labels before those of a metric: the job's, without those that the metric sets itself (no line may name a label twice).
    fn begin(&mut self, index: usize, job: &JobState, keys: &[String]) -> usize {
        if !job.shape.labels.iter().any(|(key, _)| keys.contains(key)) {
            return index;
        }
        self.labels.push(job_labels(job, keys));
        self.labels.len() - 1
    }

    /// The family of a metric, opened if it is new; none if the name, or its meaning, is another's.
    fn place(&mut self, agent: &'a str, metric: &'a MetricSpec) -> Option<usize> {
        let known = match self.places.get(&(agent, metric.name.as_str())) {
            Some(known) => *known,
            None => {
                let place = self.settle(agent, metric);
                self.places.insert((agent, &metric.name), place);
                place
            }
        };
        known.filter(|&at| self.families[at].kind == metric.kind && self.families[at].unit == metric.unit)
    }

    fn settle(&mut self, agent: &'a str, metric: &'a MetricSpec) -> Option<usize> {
        if fault(metric).is_some() {
            return None;
        }
        if let Some(standard) = STANDARD.get(metric.name.as_str()) {
            let name = family_name(None, standard);
            let known = self.names.get(&name).copied();
            return Some(known.unwrap_or_else(|| self.open(name, standard.kind, standard.unit, &standard.help)));
        }
        let name = family_name(Some(agent), metric);
        let free = !NAMES_TAKEN.contains(&name) && !self.names.contains_key(&name);
        free.then(|| self.open(name, metric.kind, metric.unit, &metric.help))
    }

    fn open(&mut self, name: String, kind: Kind, unit: Unit, help: &'a str) -> usize {
        self.names.insert(name.clone(), self.families.len());
        self.families.push(Family { name, kind, unit, help, series: vec![] });
        self.families.len() - 1
    }

    fn push(&mut self, family: usize, series: Series<'a>) {
        self.families[family].series.push(series);
        self.lines += 1;
    }
}

/// The name of a family without `_total`; that of a standard metric without agent.
fn family_name(agent: Option<&str>, metric: &MetricSpec) -> String {
    let mut name = String::from("watchpost_");
    if let Some(agent) = agent {
        name.push_str(agent);
        name.push('_');
    }
    name.push_str(&metric.name);
    let suffix = match metric.unit {
        Unit::Seconds => "_seconds",
        Unit::Bytes => "_bytes",
        Unit::Ratio => "_ratio",
        _ => "",
    };
    if !name.ends_with(suffix) {
        name.push_str(suffix);
    }
    name
}

fn job_labels(job: &JobState, except: &[String]) -> String {
    let shape = &job.shape;
    let fixed = [("agent", shape.agent.as_str()), ("job", &shape.job), ("target", &shape.target)];
    let own = shape.labels.iter().filter(|(key, _)| !except.contains(key)).map(|(key, value)| (key.as_str(), value.as_str()));
    let mut labels = String::new();
    for (key, value) in fixed.into_iter().chain(own) {
        if !labels.is_empty() {
            labels.push(',');
        }
        label(&mut labels, key, value);
    }
    labels
}
