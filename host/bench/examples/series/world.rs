//! The samples: eight values of each file every ten seconds, the same for everybody.

use std::fmt::Write as _;

use watchpost::reading::{Cause, Reading, Record, Shape};
use watchpost_plugin_api::{ErrorKind, Kind, MetricSpec, Unit};
use watchpost_services::outcome::{Outcome, Sample, Status};

/// Seconds between samples.
pub(crate) const STEP: u32 = 10;
/// When the first one was, seconds since 1970.
pub(crate) const BEGIN: i64 = 1_774_742_400;
/// Values of a sample.
pub(crate) const VALUES: u64 = 8;

const GAUGES: [&str; 4] = ["connect_time", "banner_time", "total_time", "queue_age"];
const COUNTERS: [&str; 2] = ["messages_sent", "messages_received"];

/// The job of a file.
pub(crate) fn job(file: u64) -> String {
    format!("job-{file}")
}

/// The instant of a sample.
pub(crate) fn time(sample: u64) -> i64 {
    BEGIN + sample as i64 * i64::from(STEP)
}

fn gauge(file: u64, sample: u64, place: u64) -> f64 {
    ((file * 7 + sample * 13 + place * 101) % 10_000) as f64 / 100.0
}

fn total(file: u64, sample: u64, place: u64) -> u64 {
    file * 1_000 + sample * (17 + place) + sample % 5
}

/// What a job's series look like.
pub(crate) fn shape(job: String) -> Record {
    let metric =
        |name: &&str, kind| MetricSpec { name: (*name).into(), kind, unit: Unit::Number, help: "A figure.".into(), keys: Vec::new() };
    let gauges = GAUGES.iter().map(|name| metric(name, Kind::Gauge));
    let metrics = gauges.chain(COUNTERS.iter().map(|name| metric(name, Kind::Counter))).collect();
    Record::Shape(Shape { job, agent: "bench".into(), target: "t".into(), labels: Vec::new(), step_s: STEP, metrics })
}

/// A sample as a reading, at any instant.
pub(crate) fn reading_at(job: String, file: u64, sample: u64, slot: i64) -> Record {
    let value = |metric: &str, value| Sample { metric: metric.into(), labels: Vec::new(), value };
    let gauges = GAUGES.iter().zip(0..).map(|(name, place)| value(name, gauge(file, sample, place)));
    let counters = COUNTERS.iter().zip(0..).map(|(name, place)| value(name, total(file, sample, place) as f64));
    let samples = gauges.chain(counters).collect();
    let due_ns = slot * 1_000_000_000;
    let outcome = Outcome { status: Status::Ok, samples, duration_ns: 250_000_000, ..Outcome::failed(ErrorKind::LOCAL, "", due_ns) };
    Record::Reading(Reading { job, cause: Cause::Schedule, slot, due_ns, stale_ns: due_ns, outcome })
}

/// A sample as a reading.
pub(crate) fn reading(file: u64, sample: u64) -> Record {
    reading_at(job(file), file, sample, time(sample))
}

/// A sample as rrdtool takes it.
pub(crate) fn text(file: u64, sample: u64) -> String {
    let mut text = format!("{}:1:0.25", time(sample));
    (0..GAUGES.len() as u64).for_each(|place| write!(text, ":{}", gauge(file, sample, place)).unwrap());
    (0..COUNTERS.len() as u64).for_each(|place| write!(text, ":{}", total(file, sample, place)).unwrap());
    text
}

/// The columns of a file, as collectd's table of types has them.
pub(crate) fn columns() -> String {
    let gauges = ["up", "run_duration"].into_iter().chain(GAUGES).map(|name| format!("{name}:GAUGE:U:U"));
    gauges.chain(COUNTERS.iter().map(|name| format!("{name}:COUNTER:U:U"))).collect::<Vec<_>>().join(", ")
}
