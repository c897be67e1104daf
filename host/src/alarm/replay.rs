//! What rules would have said of the past: stored rows are judged by the ledger that judges what comes now.
//!
//! Rows that stand for several slots are judged as their largest, smallest or mean value, whichever archive they are of, and a rule that
//! wants so many values in a row is taken to want as many rows as last so long, one at least. So coarse rows tell of trouble at most as
//! short as a row, and of trouble that was shorter as if it had lasted for one.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use serde::Serialize;
use watchpost_plugin_api::{ErrorKind, Kind, MetricSpec, Severity};
use watchpost_services::outcome::{Outcome, Sample, Status};

use super::{
    baseline::{Baseline, Calendar, LOOKED_BACK_S},
    ledger::Ledger,
    notice::{Notice, Step},
    store::NoOutbox,
    usual::Baselines,
    watch::Watch,
};
use crate::{
    config::AlarmRule,
    database::DatabaseError,
    reading::{Cause, Reading, Shape},
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
    /// What it is worth; of a counter, what it rose in a second.
    pub value: f64,
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
    position: u64,
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
            position: 0,
            episodes: Vec::new(),
            of_alarm: HashMap::new(),
        })
    }

    /// Takes rows of one resolution that come after those before; those up to `from_s` are learned from and not judged.
    pub fn take(&mut self, mut rows: Vec<Row>, step_s: u32, from_s: i64) -> Result<(), DatabaseError> {
        rows.sort_by_key(|row| (row.at_s, row.series));
        let Some(first) = rows.first() else { return Ok(()) };
        let slot = self.series.iter().map(|series| series.shape.step_s).min().unwrap_or(1).max(1);
        let rules: Vec<AlarmRule> = self.rules.iter().map(|rule| scaled(rule, step_s.div_ceil(slot).max(1))).collect();
        let mut shapes: HashMap<&str, Shape> = HashMap::new();
        for series in &self.series {
            let shape = shapes.entry(&series.shape.job).or_insert_with(|| Shape { metrics: Vec::new(), ..series.shape.clone() });
            if !is_ours(&series.spec.name) && shape.metrics.iter().all(|known| known.name != series.spec.name) {
                shape.metrics.push(series.spec.clone());
            }
        }
        self.ledger.set(Watch::new(&rules, shapes.into_values()), first.at_s * SECOND_NS);
        let mut rest = rows.as_slice();
        while let Some(first) = rest.first() {
            let job = self.job(first.series);
            let beside = rest.iter().take_while(|row| row.at_s == first.at_s && self.job(row.series) == job).count();
            let (now, later) = rest.split_at(beside);
            rest = later;
            self.remember(now);
            if first.at_s > from_s {
                self.learn(first.at_s);
                self.judge(now, step_s)?;
            }
        }
        self.note(step_s)
    }

    /// Ends it; gives what there would have been, by time.
    pub fn end(mut self) -> Vec<Episode> {
        self.episodes.sort_by(|a, b| (a.raised, &a.job, &a.series).cmp(&(b.raised, &b.job, &b.series)));
        self.episodes
    }

    fn job(&self, series: usize) -> Option<&str> {
        self.series.get(series).map(|series| series.shape.job.as_str())
    }

    /// Judges rows of one job and one instant.
    fn judge(&mut self, rows: &[Row], step_s: u32) -> Result<(), DatabaseError> {
        let Some((first, of_first)) = rows.first().and_then(|row| Some((row, self.series.get(row.series)?))) else { return Ok(()) };
        let at_ns = first.at_s.saturating_mul(SECOND_NS);
        let mut outcome = Outcome::failed(ErrorKind::LOCAL, "of the past", at_ns);
        outcome.status = Status::Ok;
        for row in rows {
            let (Some(series), Some(total)) = (self.series.get(row.series), self.totals.get_mut(row.series)) else { continue };
            match series.spec.name.as_str() {
                UP if row.value < 1.0 => {
                    outcome.status = Status::Failed { kind: ErrorKind::CONNECT, message: DOWN.into() };
                }
                UP => {}
                RUN_DURATION => outcome.duration_ns = (row.value * SECOND_NS as f64) as u64,
                EVENTS => outcome.events_dropped = row.value.round() as u32,
                name => {
                    *total += row.value * f64::from(step_s);
                    let value = if series.spec.kind == Kind::Gauge { row.value } else { *total };
                    outcome.samples.push(Sample { metric: name.to_owned(), labels: series.labels.clone(), value });
                }
            }
        }
        let job = of_first.shape.job.clone();
        // What is usual depends on the hour in which a row lies, not on the one that begins with its end.
        let reading = Reading { job, cause: Cause::Schedule, slot: first.at_s - 1, due_ns: at_ns, stale_ns: i64::MAX, outcome };
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
                step,
                text: said(notice),
            });
        }
        let Some(episode) = self.of_alarm.get(&notice.alarm).and_then(|place| self.episodes.get_mut(*place)) else { return };
        if notice.severity > episode.severity {
            episode.severity = notice.severity;
            episode.text = said(notice);
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
            if let Some(of_series) = hours.get_mut(row.series) {
                let (sum, count) = of_series.entry((row.at_s - 1).div_euclid(HOUR_S) * HOUR_S + HOUR_S).or_default();
                *sum += row.value;
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
mod tests {
    use watchpost_plugin_api::Unit;

    use super::*;
    use crate::{
        alarm::bound::Bound,
        config::{At, Place},
        series::selector::Selector,
    };

    const HOUR: i64 = 3_600;

    fn at<T>(value: T) -> At<T> {
        At { value, place: Place::whole("") }
    }

    fn rule(series: &str, bound: &str, raise_after: u32) -> AlarmRule {
        let mut rule = AlarmRule::trial(at(Selector::parse(series).unwrap()), at(Bound::parse(bound).unwrap()));
        rule.raise_after = (raise_after, raise_after);
        rule
    }

    fn series(metric: &str, kind: Kind) -> PastSeries {
        let spec = MetricSpec { name: metric.into(), kind, unit: Unit::Number, help: String::new(), keys: Vec::new() };
        let (job, agent, target) = ("mx".into(), "smtp".into(), "h".into());
        PastSeries { shape: Shape { job, agent, target, labels: Vec::new(), step_s: 60, metrics: Vec::new() }, spec, labels: Vec::new() }
    }

    /// When it was raised, and when cleared; rows are a step apart, the first ends at one.
    fn raised(rule: AlarmRule, series: PastSeries, stretches: &[(u32, Vec<f64>)]) -> Vec<(i64, Option<i64>)> {
        let folder = tempfile::tempdir().unwrap();
        let mut replay = Replay::new(vec![rule], vec![series], folder.path()).unwrap();
        let mut now = 0;
        for (step, values) in stretches {
            let rows = values.iter().map(|value| {
                now += i64::from(*step);
                Row { at_s: now, series: 0, value: *value }
            });
            replay.take(rows.collect(), *step, 0).unwrap();
        }
        replay.end().iter().map(|episode| (episode.raised, episode.cleared)).collect()
    }

    #[test]
    fn rows_of_a_slot_are_judged_as_values_were() {
        let values = vec![1.0, 5.0, 5.0, 5.0, 5.0, 1.0, 5.0, 5.0, 1.0];
        let found = raised(rule("queue", "> 3", 3), series("queue", Kind::Gauge), &[(60, values)]);
        assert_eq!(found, [(240, Some(360))]);
    }

    #[test]
    fn what_goes_on_has_no_end_and_lasts_over_a_change_of_resolution() {
        let found = raised(rule("queue", "> 3", 1), series("queue", Kind::Gauge), &[(3_600, vec![1.0, 5.0]), (60, vec![5.0, 5.0])]);
        assert_eq!(found, [(2 * HOUR, None)]);
    }

    #[test]
    fn of_coarse_rows_so_many_are_wanted_as_last_as_long() {
        // Three minutes are less than an hour, 150 are three of them.
        let hours = || vec![(3_600, vec![1.0, 5.0, 1.0, 5.0, 5.0, 5.0, 1.0])];
        assert_eq!(raised(rule("queue", "> 3", 3), series("queue", Kind::Gauge), &hours()).len(), 2);
        assert_eq!(raised(rule("queue", "> 3", 150), series("queue", Kind::Gauge), &hours()), [(6 * HOUR, Some(7 * HOUR))]);
    }

    #[test]
    fn a_counter_is_judged_by_what_it_rises_in_a_second() {
        let found = raised(rule("errors", "> 3", 1), series("errors", Kind::Counter), &[(60, vec![1.0, 5.0, 5.0, 1.0])]);
        assert_eq!(found, [(120, Some(240))]);
    }

    #[test]
    fn a_target_was_down_where_it_was_not_always_up() {
        let found = raised(rule("up", "< 1", 1), series("up", Kind::Gauge), &[(3_600, vec![1.0, 0.98, 1.0])]);
        assert_eq!(found, [(2 * HOUR, Some(3 * HOUR))]);
    }

    #[test]
    fn a_reason_that_is_not_kept_is_not_made_up() {
        let folder = tempfile::tempdir().unwrap();
        let mut replay = Replay::new(vec![rule("up", "< 1", 1)], vec![series("up", Kind::Gauge)], folder.path()).unwrap();
        replay.take(vec![Row { at_s: 60, series: 0, value: 0.0 }], 60, 0).unwrap();
        let texts: Vec<_> = replay.end().into_iter().map(|episode| episode.text).collect();
        assert_eq!(texts, ["mx (h) is down"]);
    }

    #[test]
    fn what_is_usual_is_what_was_known_then() {
        let mut values = Vec::new();
        for hour in 0..(42 * 24) {
            let daily = if hour % 24 < 12 { 10.0 } else { 90.0 };
            values.push(daily + f64::from(hour % 7) / 10.0);
        }
        // In the morning of the 41st day it is as busy as in the evening.
        values[40 * 24 + 6] = 90.0;
        let found = raised(rule("queue", "outside 5 deviations", 1), series("queue", Kind::Gauge), &[(3_600, values)]);
        let begin = (40 * 24 + 7) * HOUR;
        assert_eq!(found, [(begin, Some(begin + HOUR))]);
    }
}
