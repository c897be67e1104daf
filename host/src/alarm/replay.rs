//! What rules would have said of the past: stored rows are judged by the ledger that judges what comes now.
//!
//! Rows that stand for several slots are judged as their largest, smallest or mean value, whichever archive they are of, and a rule that
//! wants so many values in a row is taken to want as many rows as last so long, one at least. So coarse rows tell of trouble at most as
//! short as a row, and of trouble that was shorter as if it had lasted for one.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    path::Path,
};

use serde::Serialize;
use watchpost_plugin_api::{ErrorKind, Kind, MetricSpec, Severity};
use watchpost_services::outcome::{Outcome, Sample, Status};

use super::{
    baseline::{Baseline, Calendar, LOOKED_BACK_S},
    ledger::Ledger,
    maintenance::Maintenance,
    notice::{Notice, Step},
    store::NoOutbox,
    usual::Baselines,
    watch::Watch,
};
use crate::{
    config::{AlarmRule, MaintenanceWindow},
    database::DatabaseError,
    reading::{Cause, HostEvent, Reading, Shape, Silence},
    series::{
        layout::{RUN_DURATION, UP},
        meant::EVENTS,
        selector::Shown,
    },
};

/// What stands for the reason of a run that failed: rows do not keep it.
const DOWN: &str = "not kept";
/// Nanoseconds of a second.
const SECOND_NS: i64 = 1_000_000_000;
/// Seconds of an hour.
const HOUR_S: i64 = 3_600;
/// How often what is usual is learned anew, seconds of the past: once a week.
const LEARN_EVERY_S: i64 = 7 * 86_400;

/// A series of the past.
#[derive(Clone, Debug)]
pub struct PastSeries {
    /// Its job's.
    pub shape: Shape,
    /// What is measured.
    pub spec: MetricSpec,
    /// The values of the metric's labels.
    pub labels: Vec<String>,
}

/// A known value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// The end of what it stands for, seconds since 1970.
    pub at_s: i64,
    /// The place of its series among those that are replayed.
    pub series: usize,
    /// What it is worth; of a counter, what it rose in a second. Nothing: its job gave none, which matters where none is missed.
    pub value: Option<f64>,
}

/// Something that was reported.
#[derive(Clone, Debug, PartialEq)]
pub struct PastEvent {
    /// When, nanoseconds since 1970.
    pub time_ns: i64,
    /// The job, if it is of one.
    pub job: Option<String>,
    /// How bad.
    pub severity: Severity,
    /// Its code.
    pub code: String,
    /// Its text.
    pub text: String,
}

impl PastEvent {
    fn at_s(&self) -> i64 {
        self.time_ns.div_euclid(SECOND_NS)
    }
}

/// An alarm that there would have been.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Episode {
    /// The job.
    pub job: String,
    /// The series, without what its job gives it.
    pub series: String,
    /// When it would have been raised, seconds since 1970.
    pub raised: i64,
    /// When it would have been cleared; nothing if it goes on.
    pub cleared: Option<i64>,
    /// How bad it became.
    pub severity: Severity,
    /// Whether it came and went so often that it is flapping.
    pub flapping: bool,
    /// Why nobody would have been told of it as long as it went on: maintenance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silenced: Option<String>,
    /// Seconds that one row stands for where it was raised.
    pub step: u32,
    /// What would have been said.
    pub text: String,
}

/// A replay under way.
#[derive(Debug)]
pub struct Replay {
    rules: Vec<AlarmRule>,
    series: Vec<PastSeries>,
    /// Of each series, what it counted so far, where it is a counter.
    totals: Vec<f64>,
    ledger: Ledger,
    /// Whether time has begun to pass, and up to which instant it did.
    has_begun: bool,
    passed_s: i64,
    position: u64,
    /// What its jobs said of readings that would not come, by rising time.
    silences: VecDeque<Silence>,
    /// Events by rising time.
    events: VecDeque<PastEvent>,
    /// Maintenance that is to come, by its begin.
    maintenance: VecDeque<Maintenance>,
    /// What became known of each series by the hour, where that is asked: end, sum, number.
    hours: Option<Vec<BTreeMap<i64, (f64, u32)>>>,
    learned_s: Option<i64>,
    episodes: Vec<Episode>,
    /// Episodes by the numbers of their alarms.
    of_alarm: HashMap<u64, usize>,
}

impl Replay {
    /// Begins with rules that are all held to be enabled, and the series that they may look at.
    ///
    /// Shape: series of one job lie beside each other.
    /// Errors: a ledger cannot be made in the folder, which is empty.
    pub fn new(mut rules: Vec<AlarmRule>, series: Vec<PastSeries>, folder: &Path) -> Result<Self, DatabaseError> {
        rules.iter_mut().for_each(|rule| rule.enabled = true);
        let ledger = Ledger::open(folder, Box::new(NoOutbox), 0)?;
        let asks = rules.iter().any(AlarmRule::asks_what_is_usual);
        Ok(Self {
            totals: vec![0.0; series.len()],
            hours: asks.then(|| vec![BTreeMap::new(); series.len()]),
            learned_s: None,
            rules,
            series,
            ledger,
            has_begun: false,
            passed_s: i64::MIN,
            position: 0,
            silences: VecDeque::new(),
            events: VecDeque::new(),
            maintenance: VecDeque::new(),
            episodes: Vec::new(),
            of_alarm: HashMap::new(),
        })
    }

    /// Takes the hours of maintenance that come again, and what was announced.
    pub fn maintain(&mut self, windows: Vec<MaintenanceWindow>, mut announced: Vec<Maintenance>) {
        self.ledger.maintain(windows);
        announced.sort_by_key(|one| one.from_ns);
        // Whenever it ended, it goes on until then.
        let as_it_was = |mut one: Maintenance| {
            one.until_ns = one.ended.take().map_or(one.until_ns, |(_, ended)| one.until_ns.min(ended));
            one
        };
        self.maintenance = announced.into_iter().map(as_it_was).collect();
    }

    /// Takes what jobs said of readings that would not come; those of the rows that are taken next.
    pub fn fall_silent(&mut self, mut silences: Vec<Silence>) {
        silences.sort_by_key(|silence| silence.from);
        self.silences.extend(silences);
    }

    /// Takes events, by rising time: each is judged before the rows that come after it.
    pub fn hear(&mut self, events: impl IntoIterator<Item = PastEvent>) {
        self.events.extend(events);
    }

    /// Takes rows of one resolution that come after those before; those up to `from_s` are learned from and not judged.
    pub fn take(&mut self, mut rows: Vec<Row>, step_s: u32, from_s: i64) -> Result<(), DatabaseError> {
        rows.sort_by_key(|row| (row.at_s, row.series));
        let Some(first) = rows.first() else { return Ok(()) };
        let slot = self.series.iter().map(|series| series.shape.step_s).min().unwrap_or(1).max(1);
        let rules: Vec<AlarmRule> = self.rules.iter().map(|rule| scaled(rule, step_s.div_ceil(slot).max(1))).collect();
        let begin_ns = (first.at_s - i64::from(step_s)).max(from_s) * SECOND_NS;
        self.begin(Watch::new(&rules, self.shapes()), begin_ns);
        let mut rest = rows.as_slice();
        while let Some(first) = rest.first() {
            let job = self.job(first.series);
            let beside = rest.iter().take_while(|row| row.at_s == first.at_s && self.job(row.series) == job).count();
            let (now, later) = rest.split_at(beside);
            rest = later;
            self.remember(now);
            if first.at_s > from_s {
                self.learn(first.at_s);
                self.pass(first.at_s, step_s)?;
                self.judge(now, step_s)?;
            }
        }
        self.note(step_s)
    }

    /// Ends a replay of the time from one instant to another; gives what there would have been, by time.
    pub fn end(mut self, (from_s, to_s): (i64, i64), step_s: u32) -> Result<Vec<Episode>, DatabaseError> {
        if !self.has_begun {
            let shapes = self.shapes();
            self.begin(Watch::new(&self.rules, shapes), from_s.saturating_mul(SECOND_NS));
        }
        self.pass(to_s, step_s)?;
        self.ledger.look(to_s.saturating_mul(SECOND_NS));
        self.note(step_s)?;
        self.episodes.sort_by(|a, b| (a.raised, &a.job, &a.series).cmp(&(b.raised, &b.job, &b.series)));
        Ok(self.episodes)
    }

    /// Holds rules to the past from an instant on.
    fn begin(&mut self, watch: Watch, now_ns: i64) {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.ledger.pass_as_said(now_ns);
        }
        self.ledger.set(watch, now_ns);
    }

    /// The jobs, with their metrics.
    fn shapes(&self) -> Vec<Shape> {
        let mut shapes: HashMap<&str, Shape> = HashMap::new();
        for series in &self.series {
            let shape = shapes.entry(&series.shape.job).or_insert_with(|| Shape { metrics: Vec::new(), ..series.shape.clone() });
            if !is_ours(&series.spec.name) && shape.metrics.iter().all(|known| known.name != series.spec.name) {
                shape.metrics.push(series.spec.clone());
            }
        }
        shapes.into_values().collect()
    }

    fn job(&self, series: usize) -> Option<&str> {
        self.series.get(series).map(|series| series.shape.job.as_str())
    }

    /// Lets happen what time, silences, events and maintenance do before an instant.
    fn pass(&mut self, until_s: i64, step_s: u32) -> Result<(), DatabaseError> {
        // Rows of one instant come one job after the other.
        if std::mem::replace(&mut self.passed_s, until_s) == until_s {
            return Ok(());
        }
        loop {
            let silence = self.silences.front().map(|silence| silence.from);
            let event = self.events.front().map(|event| event.at_s());
            let maintenance = self.maintenance.front().map(|one| one.from_ns.div_euclid(SECOND_NS));
            let time = self.ledger.next_ns().map(|next| next.saturating_add(SECOND_NS - 1).div_euclid(SECOND_NS));
            let Some(at_s) = [silence, event, maintenance, time].into_iter().flatten().min().filter(|at_s| *at_s < until_s) else {
                return Ok(());
            };
            if maintenance == Some(at_s) {
                self.ledger.maintain_too(self.maintenance.pop_front());
            } else if silence == Some(at_s) {
                if let Some(silence) = self.silences.pop_front() {
                    self.ledger.fall_silent(self.position, &silence);
                    self.position += 1;
                }
            } else if event == Some(at_s) {
                if let Some(event) = self.events.pop_front() {
                    self.ledger.look(at_s.saturating_mul(SECOND_NS));
                    self.tell(event);
                }
            } else {
                self.ledger.look(at_s.saturating_mul(SECOND_NS));
            }
            if self.ledger.is_full() {
                self.note(step_s)?;
            }
        }
    }

    /// An event, as it came: of a job with a run of it, of the host by itself.
    fn tell(&mut self, event: PastEvent) {
        let PastEvent { time_ns, job, severity, code, text } = event;
        self.ledger.take_event(self.position, &HostEvent { time_ns, job, severity, code, text });
        self.position += 1;
    }

    /// Judges rows of one job and one instant.
    fn judge(&mut self, rows: &[Row], step_s: u32) -> Result<(), DatabaseError> {
        let Some((first, of_first)) = rows.first().and_then(|row| Some((row, self.series.get(row.series)?))) else { return Ok(()) };
        let at_ns = first.at_s.saturating_mul(SECOND_NS);
        let mut outcome = Outcome::failed(ErrorKind::LOCAL, "of the past", at_ns);
        outcome.status = Status::Ok;
        if rows.iter().all(|row| row.value.is_none()) {
            outcome.status = Status::Failed { kind: ErrorKind::LOCAL, message: DOWN.into() };
        }
        for row in rows {
            let (Some(series), Some(total)) = (self.series.get(row.series), self.totals.get_mut(row.series)) else { continue };
            let Some(value) = row.value else { continue };
            match series.spec.name.as_str() {
                UP if value < 1.0 => {
                    outcome.status = Status::Failed { kind: ErrorKind::CONNECT, message: DOWN.into() };
                }
                UP => {}
                RUN_DURATION => outcome.duration_ns = (value * SECOND_NS as f64) as u64,
                EVENTS => outcome.events_dropped = value.round() as u32,
                name => {
                    *total += value * f64::from(step_s);
                    let value = if series.spec.kind == Kind::Gauge { value } else { *total };
                    outcome.samples.push(Sample { metric: name.to_owned(), labels: series.labels.clone(), value });
                }
            }
        }
        let job = of_first.shape.job.clone();
        // What is usual depends on the hour in which a row lies, not on the one that begins with its end.
        let stale_ns = at_ns.saturating_add(2 * i64::from(step_s) * SECOND_NS);
        let reading = Reading { job, cause: Cause::Schedule, slot: first.at_s - 1, due_ns: at_ns, stale_ns, outcome };
        self.ledger.take(self.position, &reading);
        self.position += 1;
        self.ledger.look(at_ns);
        if self.ledger.is_full() { self.note(step_s) } else { Ok(()) }
    }

    /// Takes down what the ledger found.
    fn note(&mut self, step_s: u32) -> Result<(), DatabaseError> {
        for notice in self.ledger.commit()? {
            self.follow(&notice, step_s);
        }
        Ok(())
    }

    fn follow(&mut self, notice: &Notice, step: u32) {
        let at = notice.time_ns.div_euclid(SECOND_NS);
        if notice.step == Step::Raised {
            self.of_alarm.insert(notice.alarm, self.episodes.len());
            self.episodes.push(Episode {
                job: notice.job.clone(),
                series: notice.series.clone(),
                raised: at,
                cleared: None,
                severity: notice.severity,
                flapping: false,
                silenced: notice.silenced.clone(),
                step,
                text: said(notice),
            });
        }
        let Some(episode) = self.of_alarm.get(&notice.alarm).and_then(|place| self.episodes.get_mut(*place)) else { return };
        if notice.severity > episode.severity {
            episode.severity = notice.severity;
            episode.text = said(notice);
        }
        if notice.step == Step::Unsilenced {
            episode.silenced = None;
        }
        episode.flapping |= notice.step == Step::Flapping;
        if notice.step.ends() && episode.cleared.is_none() {
            episode.cleared = Some(at);
        }
    }

    /// Keeps what rows are worth by the hour, where what is usual is asked.
    fn remember(&mut self, rows: &[Row]) {
        let Some(hours) = &mut self.hours else { return };
        for row in rows {
            if let (Some(of_series), Some(value)) = (hours.get_mut(row.series), row.value) {
                let (sum, count) = of_series.entry((row.at_s - 1).div_euclid(HOUR_S) * HOUR_S + HOUR_S).or_default();
                *sum += value;
                *count += 1;
            }
        }
    }

    /// Learns what is usual from what was known then, once a week.
    fn learn(&mut self, now_s: i64) {
        let Some(hours) = self.hours.as_mut().filter(|_| self.learned_s.is_none_or(|at| now_s >= at + LEARN_EVERY_S)) else { return };
        self.learned_s = Some(now_s);
        let mut calendars: Vec<Calendar> = Vec::new();
        for calendar in self.rules.iter().map(AlarmRule::calendar) {
            if !calendars.contains(&calendar) {
                calendars.push(calendar);
            }
        }
        let mut baselines = Baselines::default();
        for (of_series, series) in hours.iter_mut().zip(&self.series) {
            *of_series = of_series.split_off(&(now_s - LOOKED_BACK_S));
            let means: Vec<(i64, Option<f64>)> =
                of_series.range(..=now_s).map(|(end, (sum, count))| (*end, Some(sum / f64::from(*count)))).collect();
            let own: Vec<(String, String)> = series.spec.keys.iter().cloned().zip(series.labels.iter().cloned()).collect();
            let shown = Shown { metric: &series.spec.name, labels: &own }.to_string();
            for calendar in &calendars {
                baselines.insert(calendar, &series.shape.job, shown.clone(), Baseline::of(&means, &[], calendar.clone()));
            }
        }
        self.ledger.is_usual(baselines, []);
    }
}

/// The sentence, without a reason that is not known.
fn said(notice: &Notice) -> String {
    let unknown = format!(": {}: {DOWN}", ErrorKind::CONNECT);
    notice.text.replace(&unknown, "")
}

/// Whether every job has the metric, whatever its agent declares.
fn is_ours(metric: &str) -> bool {
    [UP, RUN_DURATION, EVENTS].contains(&metric)
}

/// A rule for rows that each stand for so many slots.
fn scaled(rule: &AlarmRule, slots: u32) -> AlarmRule {
    let rows = |values: u32| values.div_ceil(slots).max(1);
    let (times, of) = rule.raise_after;
    AlarmRule { raise_after: (rows(times), rows(of)), clear_after: rows(rule.clear_after), ..rule.clone() }
}

#[cfg(test)]
mod tests;
