//! What a reading counts as, for each objective that its job is of.

use std::collections::{BTreeSet, HashMap};

use chrono::NaiveDate;
use watchpost_plugin_api::{MetricSpec, Unit};

use super::{Seconds, Verdict};
use crate::{
    alarm::maintenance::Announced,
    config::{MaintenanceWindow, Objective},
    reading::{Cause, Reading, Reason, Shape},
    schedule::{Timetable, UnixTime},
    series::{
        gap::silences::Silences,
        layout::{RUN_DURATION, UP},
        meant::{label_of, may_be, may_be_of, of_every_run},
        selector::{Selector, Shown},
    },
};

/// Due times that are looked at one by one for a time without readings; of a longer one every so many stand for those between.
const DUES_MAX: i64 = 100_000;

/// What of the configuration counts.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// The objectives.
    pub objectives: Vec<Objective>,
    /// What each job's series look like, and when it is due.
    pub jobs: HashMap<String, (Shape, Timetable)>,
    /// Hours of maintenance that come again.
    pub windows: Vec<MaintenanceWindow>,
    /// Maintenance that was announced.
    pub announced: Announced,
}

/// Time of a series that is to be added to a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The objective's digest.
    pub objective: String,
    /// The series, as its notation has it.
    pub series: String,
    /// The day, in the objective's zone.
    pub day: NaiveDate,
    /// What it was.
    pub time: Seconds,
}

/// What was counted of a job before, for one objective.
#[derive(Clone, Debug, Default)]
pub struct Before {
    /// When the last reading that counted was due, seconds since 1970; nothing before the first.
    pub due: Option<i64>,
    /// Its series.
    pub series: BTreeSet<String>,
}

impl Watched {
    /// Counts a reading for one objective; nothing if its job is none of the objective's, or it was counted before.
    ///
    /// `before` is brought up to date; `silences` is why the job gave no readings since the last one.
    pub fn count(&self, objective: &Objective, reading: &Reading, silences: &Silences, before: &mut Before) -> Vec<Counted> {
        let due = reading.due_ns.div_euclid(1_000_000_000);
        let Some((shape, timetable)) = self.jobs.get(&reading.job).filter(|_| reading.cause == Cause::Schedule) else { return Vec::new() };
        if !may_be_of(&objective.series.value, shape) || before.due.is_some_and(|last| due <= last) {
            return Vec::new();
        }
        let step = u64::from(shape.step_s);
        let mut counted = Vec::new();
        let mut add = |series: &str, at: i64, verdict: Verdict, seconds: u64| {
            if objective.hours.as_ref().is_some_and(|hours| !hours.hold(at, objective.zone)) {
                return;
            }
            let verdict = if self.is_maintained(series, shape, at) { Verdict::Planned } else { verdict };
            let day = objective.zone.day(UnixTime::from_secs(at));
            counted.push(Counted { objective: objective.digest.clone(), series: series.to_owned(), day, time: verdict.seconds(seconds) });
        };
        if let Some(last) = before.due {
            for (at, verdict, times) in missed(timetable, silences, last, due, shape.step_s) {
                before.series.iter().for_each(|series| add(series, at, verdict, step * times));
            }
        }
        let verdicts = verdicts(objective, reading, shape);
        let silent = match reading.outcome.status.up() {
            Some(0.0) => Verdict::Bad,
            _ => Verdict::Unknown,
        };
        for series in before.series.iter().filter(|series| !verdicts.contains_key(*series)) {
            add(series, due, silent, step);
        }
        for (series, verdict) in &verdicts {
            add(series, due, *verdict, step);
        }
        before.series.extend(verdicts.into_keys());
        before.due = Some(due);
        counted
    }

    /// Whether there was maintenance of a series at that time.
    fn is_maintained(&self, series: &str, shape: &Shape, at: i64) -> bool {
        let announced = self.announced.at(at.saturating_mul(1_000_000_000));
        let mut meant = self.windows.iter().filter(|window| window.hours.hold(at, window.zone)).map(|window| &window.series.value);
        let mut meant = meant.by_ref().chain(&announced).peekable();
        if meant.peek().is_none() {
            return false;
        }
        let Ok(own) = Selector::parse(series) else { return false };
        let label = |wanted: &str| own.fixed().find(|(label, _)| *label == wanted).map(|(_, value)| value);
        meant.any(|selector| selector.matches(|wanted| label(wanted).or_else(|| label_of(shape, wanted))))
    }
}

/// Due times between two readings: when, what they were, and for how many of them it stands.
///
/// What was said when it was missed stands, whatever the windows are by now.
fn missed(timetable: &Timetable, silences: &Silences, last: i64, due: i64, step_s: u32) -> impl Iterator<Item = (i64, Verdict, u64)> {
    let step = i64::from(step_s.max(1));
    let stride = (due - last) / step / DUES_MAX + 1;
    let next = move |after: i64| timetable.next_regardless(UnixTime::from_secs(after)).map(UnixTime::as_secs).filter(|at| *at < due);
    let dues = std::iter::successors(next(last), move |at| next(at + (stride - 1) * step));
    dues.map(move |at| {
        let is_planned = match silences.at(at.div_euclid(step) * step) {
            Some(reason) => matches!(reason, Reason::Blackout | Reason::NotActive),
            None => timetable.next_after(UnixTime::from_secs(at - 1)).map(UnixTime::as_secs) != Some(at),
        };
        (at, if is_planned { Verdict::Planned } else { Verdict::Unknown }, stride.unsigned_abs())
    })
}

/// What each series of the objective was in this reading; those of a metric without labels also where it was not recorded.
fn verdicts(objective: &Objective, reading: &Reading, shape: &Shape) -> HashMap<String, Verdict> {
    let every_run = of_every_run();
    let specs = every_run.iter().filter(|spec| [UP, RUN_DURATION].contains(&spec.name.as_str()));
    let specs = specs.chain(&shape.metrics).chain(&reading.outcome.declared);
    let meant: Vec<&MetricSpec> = specs.filter(|spec| may_be(&objective.series.value, shape, spec)).collect();
    let mut verdicts = HashMap::new();
    for spec in meant {
        let values = values(spec, reading);
        if values.is_empty() && spec.keys.is_empty() {
            let verdict = if reading.outcome.status.up() == Some(0.0) { Verdict::Bad } else { Verdict::Unknown };
            verdicts.insert(name(spec, &[], shape), verdict);
        }
        for (labels, value) in values {
            let of_sample = |label: &str| spec.keys.iter().position(|key| key == label).and_then(|at| labels.get(at)).map(String::as_str);
            let is_meant = objective.series.value.matches(|label| match label {
                crate::series::selector::NAME_LABEL => Some(&spec.name),
                _ => crate::series::meant::label_of(shape, label).or_else(|| of_sample(label)),
            });
            if is_meant {
                verdicts.insert(name(spec, &labels, shape), verdict(objective, value, spec.unit));
            }
        }
    }
    verdicts
}

/// The values of a metric, by the values of its labels.
fn values(spec: &MetricSpec, reading: &Reading) -> Vec<(Vec<String>, f64)> {
    match spec.name.as_str() {
        UP => reading.outcome.status.up().map(|up| (Vec::new(), up)).into_iter().collect(),
        RUN_DURATION => vec![(Vec::new(), reading.outcome.duration_ns as f64 / 1e9)],
        _ => {
            let samples = reading.outcome.samples.iter().filter(|sample| sample.metric == spec.name && sample.value.is_finite());
            samples.map(|sample| (sample.labels.clone(), sample.value)).collect()
        }
    }
}

fn verdict(objective: &Objective, value: f64, unit: Unit) -> Verdict {
    let good = match &objective.good {
        None => Some(value == 1.0),
        // A bound of another unit was told of when the configuration was taken.
        Some(good) => good.value.holds(value, unit).ok(),
    };
    match good {
        Some(true) => Verdict::Good,
        Some(false) => Verdict::Bad,
        None => Verdict::Unknown,
    }
}

fn name(spec: &MetricSpec, values: &[String], shape: &Shape) -> String {
    let own = spec.keys.iter().cloned().zip(values.iter().cloned());
    let labels: Vec<_> = std::iter::once(("job".to_owned(), shape.job.clone())).chain(own).collect();
    Shown { metric: &spec.name, labels: &labels }.to_string()
}
