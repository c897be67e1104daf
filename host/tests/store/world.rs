//! What is measured: a few jobs whose readings come on time, late, twice, by hand and over gaps that are told of or not, whose totals fall,
//! and whose shape, archives and name change now and then.

use std::collections::HashMap;

use watchpost::reading::{Cause, Reading, Reason, Record, Shape, Silence, Upkeep};
use watchpost::series::{
    archive::Consolidation,
    keeping::{Keeping, Span},
};
use watchpost_plugin_api::{ErrorKind, Kind, MetricSpec, Unit};
use watchpost_services::outcome::{Outcome, Sample, Status};

use crate::chance::Chance;

const JOBS: [&str; 3] = ["mx", "pop-paris", "queue@host-25"];
const STEPS: [u32; 3] = [1, 10, 60];
const BEGIN: i64 = 1_774_742_400;

/// Where the measuring is, as the journal tells.
pub(crate) struct World {
    jobs: HashMap<String, Job>,
    /// Records between two new shapes, about.
    steady: u64,
}

#[derive(Clone, Copy)]
struct Job {
    step: u32,
    slot: i64,
    total: u64,
}

impl World {
    /// A world where a shape lasts for so many records.
    pub(crate) fn new(steady: u64) -> Self {
        Self { jobs: HashMap::new(), steady }
    }

    /// Takes what was measured before.
    pub(crate) fn saw(&mut self, record: &Record) {
        match record {
            Record::Shape(shape) => {
                let job = self.jobs.entry(shape.job.clone()).or_insert(Job { step: 1, slot: BEGIN, total: 1_000 });
                job.step = shape.step_s;
            }
            Record::Reading(reading) => {
                if let Some(job) = self.jobs.get_mut(&reading.job) {
                    job.slot = job.slot.max(reading.slot);
                    let total = reading.outcome.samples.iter().find(|sample| sample.metric == "messages_sent");
                    job.total = total.map_or(job.total, |total| total.value as u64);
                }
            }
            Record::Upkeep(upkeep) => {
                // Its successor goes on from there.
                if let Some(was) = upkeep.was.as_ref().and_then(|was| self.jobs.remove(was))
                    && let Some(job) = self.jobs.get_mut(&upkeep.job)
                {
                    job.slot = job.slot.max(was.slot);
                }
            }
            Record::Event(_) | Record::Silence(_) => {}
        }
    }

    /// A job is kept otherwise from here on, or has the series of another one.
    fn upkeep(&self, name: &str, chance: &mut Chance) -> Upkeep {
        let was = Some(chance.of(&JOBS)).filter(|was| *was != name && self.jobs.contains_key(*was));
        let was = was.filter(|_| chance.below(2) == 0).map(str::to_owned);
        upkeep(name, was, chance)
    }

    /// What happens next.
    pub(crate) fn next(&mut self, chance: &mut Chance) -> Record {
        let name = chance.of(&JOBS);
        let job = self.jobs.get(name).copied();
        let record = match job {
            Some(job) if chance.below(12) == 0 => Record::Silence(silence(name, job, chance)),
            Some(job) if chance.below(self.steady) > 0 => Record::Reading(reading(name, job, chance)),
            Some(_) if chance.below(3) == 0 => Record::Upkeep(self.upkeep(name, chance)),
            _ => Record::Shape(shape(name, chance)),
        };
        self.saw(&record);
        record
    }
}

fn metric(name: &str, kind: Kind, keys: &[&str]) -> MetricSpec {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    MetricSpec { name: name.into(), kind, unit: Unit::Number, help: "A figure.".into(), keys }
}

fn shape(name: &str, chance: &mut Chance) -> Shape {
    let mut metrics = vec![metric("connect_time", Kind::Gauge, &[]), metric("messages_sent", Kind::Counter, &[])];
    if chance.below(3) == 0 {
        metrics.push(metric("banner_time", Kind::Gauge, &[]));
    }
    metrics.push(metric("queue_size", Kind::Gauge, &["queue"]));
    let (job, agent, target) = (name.to_owned(), "smtp".into(), "host:25".into());
    Shape { job, agent, target, labels: Vec::new(), step_s: chance.of(&STEPS), metrics }
}

/// Rows are kept as usual, or so shortly that archives begin anew before long.
fn upkeep(name: &str, was: Option<String>, chance: &mut Chance) -> Upkeep {
    use Consolidation::{Average, Max, Min};
    let spans = vec![Span { every: 0, kept: 900, of: vec![Average] }, Span { every: 90, kept: 86_400, of: vec![Average, Min, Max] }];
    let keeping = if chance.below(2) == 0 { Keeping::Spans(spans) } else { Keeping::default() };
    let heartbeat_s = chance.of(&[None, Some(600)]);
    Upkeep { job: name.to_owned(), was, keeping, heartbeat_s }
}

fn reading(name: &str, job: Job, chance: &mut Chance) -> Reading {
    let ahead = match chance.below(20) {
        0 => -1,
        1 => 0,
        2 | 3 => 2 + chance.below(4) as i64,
        4 if chance.below(20) == 0 => 2_000,
        _ => 1,
    };
    let step = i64::from(job.step);
    let slot = job.slot - job.slot.rem_euclid(step) + ahead * step;
    let total = if chance.below(12) == 0 { chance.below(100) } else { job.total + chance.below(1_000) };
    let mut samples = vec![sample("connect_time", &[], chance.below(1 << 50) as f64 / 1e13), sample("messages_sent", &[], total as f64)];
    for queue in ["active", "a b"] {
        if chance.below(3) == 0 {
            samples.push(sample("queue_size", &[queue], chance.below(10_000) as f64));
        }
    }
    let mut outcome =
        Outcome { status: Status::Ok, duration_ns: 1 + chance.below(1 << 30), ..Outcome::failed(ErrorKind::CONNECT, "unused", 0) };
    if chance.below(40) == 0 {
        outcome.declared = vec![metric("spool_age", Kind::Gauge, &["spool"])];
        samples.push(sample("spool_age", &["x"], 0.25));
    }
    if chance.below(10) == 0 {
        outcome.status = Status::Failed { kind: ErrorKind::CONNECT, message: "refused".into() };
        samples.retain(|_| chance.below(2) == 0);
    }
    outcome.samples = samples;
    let cause = if chance.below(10) == 0 { Cause::Manual } else { Cause::Schedule };
    Reading { job: name.to_owned(), cause, slot, due_ns: slot * 1_000_000_000, stale_ns: slot * 1_000_000_000, outcome }
}

fn silence(name: &str, job: Job, chance: &mut Chance) -> Silence {
    let from = job.slot + (1 + chance.below(3) as i64) * i64::from(job.step);
    let reason = chance.of(&[Reason::Paused, Reason::Blackout, Reason::Skipped, Reason::HostDown]);
    Silence { time_ns: job.slot * 1_000_000_000, job: name.to_owned(), from, reason }
}

fn sample(metric: &str, labels: &[&str], value: f64) -> Sample {
    Sample { metric: metric.into(), labels: labels.iter().map(|label| (*label).to_owned()).collect(), value }
}
