//! How each series stands with each rule that looks at it: well, in trouble, or unknown, whether there is an alarm or not. What is not known is
//! never well.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::{ErrorKind, Kind, MetricSpec, Severity, Unit};
use watchpost_services::outcome::Outcome;

use super::{
    Ledger,
    judging::{figure, holds},
};
use crate::{
    alarm::{
        awaited::Place,
        judge::{Memory, severity},
        life::Stage,
        limit::Of,
        record::{Alarm, key},
        seat::{Named, Seats},
        together::{Sum, Together},
        watch::Sight,
    },
    config::{AlarmRule, EventPattern, LooksAt},
    latest::{JobState, Last, Snapshot},
    reading::{Cause, Reading},
    series::{
        meant::{label_of, of_every_run},
        name::LabelSet,
        selector::{NAME_LABEL, Shown},
    },
};

/// Why what a rule looks back at is unknown.
const TOO_SHORT: &str = "its values do not reach back far enough yet";

/// Why there is trouble and no alarm.
const NOT_YET: &str = "its last value is beyond a bound, and is not enough for an alarm yet";

/// Why there is an alarm although all is well.
const FLAPS: &str = "it came and went too often: its alarm is cleared once it has been calm";

/// How a series stands with a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is as it should not be.
    Trouble,
    /// Nobody knows.
    Unknown,
    /// It is as it should be.
    Ok,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Trouble, Self::Unknown, Self::Ok];

    /// Names it, as JSON does.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trouble => "trouble",
            Self::Unknown => "unknown",
            Self::Ok => "ok",
        }
    }
}

/// How one series stands with one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The rule's name.
    pub rule: String,
    /// The job; nothing where several have a part in it.
    pub job: Option<String>,
    /// The series, without the labels that its job gives it; of a rule over events, `events`.
    pub series: String,
    /// How it stands.
    pub state: State,
    /// How bad it is, in trouble.
    pub severity: Option<Severity>,
    /// Since when, seconds since 1970, where that is known.
    pub since: Option<f64>,
    /// Why it is unknown, or what is wrong.
    pub why: Option<String>,
    /// The number of its alarm, if one is active.
    pub alarm: Option<u64>,
}

/// How many series, and how many rules, stand how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Census {
    /// Series held to rules; one that two rules look at is two.
    pub series: BTreeMap<State, usize>,
    /// Rules by their names, each by the worst of its series.
    rules: BTreeMap<String, State>,
}

impl Census {
    /// How many rules stand how.
    pub fn rules(&self) -> BTreeMap<State, usize> {
        let mut counts = BTreeMap::new();
        self.rules.values().for_each(|state| *counts.entry(*state).or_default() += 1);
        counts
    }

    fn take(&mut self, all: &[Standing]) {
        for one in all {
            *self.series.entry(one.state).or_default() += 1;
            match self.rules.get_mut(&one.rule) {
                Some(state) => *state = one.state.min(*state),
                None => drop(self.rules.insert(one.rule.clone(), one.state)),
            }
        }
    }
}

/// Metric and labels of a series that a job gave of late: within [`OF_LATE_S`].
pub type GivenOfLate = (String, LabelSet);

/// How long a series that is given no more is missed, seconds: a day. After that it is gone, unless a rule says `absent`.
pub const OF_LATE_S: i64 = 86_400;

impl Ledger {
    /// Counts how the series of one job stand with the rules that look at them; `given`: those that it gave of late, by metric and labels.
    pub fn count_job(&self, job: &JobState, given: &[GivenOfLate], now_ns: i64, census: &mut Census) {
        let mut found = Vec::new();
        self.of_series(job, now_ns, &|_| true, &mut found);
        self.of_given(job, given, now_ns, &|_| true, &mut found);
        self.of_events(job, now_ns, &|_| true, &mut found);
        census.take(&found);
    }

    /// Counts how all that is of no single job stands, after all jobs were counted; what a rule found nothing to look at for, it does not know.
    pub fn count_rest(&self, snapshot: &Snapshot, census: &mut Census) {
        let mut found = Vec::new();
        for rule in self.watch.rules() {
            self.of_expression(rule, snapshot, &mut found);
        }
        self.of_host(snapshot.now_ns, &|_| true, &mut found);
        // That of the host nothing is wrong is no series of a rule that listens to jobs as well.
        found.retain(|one| one.state == State::Trouble || !census.rules.contains_key(&one.rule));
        census.take(&found);
        for rule in self.watch.rules() {
            census.rules.entry(rule.name.value.clone()).or_insert(State::Unknown);
        }
    }

    /// How all series stand with the rules that look at them, by rule, job and series; what jobs gave last is that of `snapshot`.
    ///
    /// `is_asked`: of which rules; `given`: the series that a job gave of late, by metric and labels.
    pub fn standings(
        &self,
        snapshot: &Snapshot,
        given: impl Fn(&str) -> Vec<GivenOfLate>,
        is_asked: impl Fn(&AlarmRule) -> bool,
    ) -> Vec<Standing> {
        let mut found = Vec::new();
        for job in &snapshot.jobs {
            let first = found.len();
            self.of_series(job, snapshot.now_ns, &is_asked, &mut found);
            let mut of_job = found.split_off(first);
            self.of_given(job, &given(&job.shape.job), snapshot.now_ns, &is_asked, &mut of_job);
            found.append(&mut of_job);
            self.of_events(job, snapshot.now_ns, &is_asked, &mut found);
        }
        for rule in self.watch.rules().iter().filter(|rule| is_asked(rule)) {
            self.of_expression(rule, snapshot, &mut found);
        }
        self.of_host(snapshot.now_ns, &is_asked, &mut found);
        found.sort_by(|a, b| (&a.rule, &a.job, &a.series).cmp(&(&b.rule, &b.job, &b.series)));
        found
    }

    /// Series of one job that rules look at by themselves.
    fn of_series(&self, job: &JobState, now_ns: i64, is_asked: &impl Fn(&AlarmRule) -> bool, found: &mut Vec<Standing>) {
        let (name, first) = (job.shape.job.as_str(), found.len());
        let mut seen: HashSet<(String, String)> = HashSet::new();
        if let Some(last) = job.fresh(now_ns) {
            let reading = reading(name, last);
            self.watch.look(&reading, &mut Seats::default(), |sight, _| {
                if is_asked(sight.rule) {
                    let named = sight.named();
                    found.push(self.of_sight(&sight, &named, reading.slot, now_ns));
                    seen.insert(named.within_job);
                }
            });
        }
        self.watch.looked_at(name, |number, spec, rule, is_meant| {
            if !is_asked(rule) {
                return;
            }
            let is_of_it = |(of, series): &&(String, String)| *of == rule.name.value && series.split('{').next() == Some(&spec.name);
            let gave_some = seen.iter().any(|one| is_of_it(&one));
            let mut missed: Vec<Vec<String>> = self.seats.known(name, number).filter(|labels| is_meant(labels)).cloned().collect();
            if missed.is_empty() && !gave_some {
                // Of what never gave a value only the metric is known.
                missed.push(Vec::new());
            }
            for labels in missed {
                let own: Vec<(String, String)> = spec.keys.iter().cloned().zip(labels).collect();
                let series = Shown { metric: &spec.name, labels: &own }.to_string();
                if !seen.contains(&(rule.name.value.clone(), series.clone())) {
                    found.push(self.of_missing((name.to_owned(), rule.name.value.clone(), series), rule, gave_some, job, spec, now_ns));
                }
            }
        });
        // What an agent declares with its runs is known as long as it does.
        let declares = job.shape.metrics.is_empty() || job.last.as_ref().is_some_and(|last| !last.declared.is_empty());
        for rule in self.watch.rules_of(name).iter().filter(|rule| declares && is_asked(rule)) {
            let is_found = found.iter().skip(first).any(|one| one.rule == rule.name.value);
            let Some(series) = rule.looks_at.series().filter(|_| !is_found) else { continue };
            let metric = series.value.fixed().find(|(label, _)| *label == NAME_LABEL).map(|(_, metric)| metric.to_owned());
            if let Some(metric) = metric.filter(|metric| of_every_run().iter().all(|spec| spec.name != *metric)) {
                let spec =
                    MetricSpec { name: metric.clone(), kind: Kind::Gauge, unit: Unit::Number, help: String::new(), keys: Vec::new() };
                let unknown = job.why_unknown(&spec, now_ns);
                found.push(self.unknown((name.to_owned(), rule.name.value.clone(), metric), unknown.since, unknown.why));
            }
        }
    }

    /// Series that one job gave of late and does not give now, of those that its agent declares only when it gives them.
    fn of_given(
        &self,
        job: &JobState,
        given: &[GivenOfLate],
        now_ns: i64,
        is_asked: &impl Fn(&AlarmRule) -> bool,
        found: &mut Vec<Standing>,
    ) {
        let name = job.shape.job.as_str();
        for rule in self.watch.rules_of(name).iter().filter(|rule| is_asked(rule)) {
            let Some(selector) = rule.looks_at.series() else { continue };
            for (metric, own) in given {
                let of_series = |label: &str| own.iter().find(|(key, _)| key == label).map(|(_, value)| value.as_str());
                let label = |label: &str| {
                    if label == NAME_LABEL { Some(metric.as_str()) } else { of_series(label).or_else(|| label_of(&job.shape, label)) }
                };
                if !selector.value.matches(label) {
                    continue;
                }
                let series = Shown { metric, labels: own }.to_string();
                let of_rule = |one: &&Standing| one.rule == rule.name.value;
                if found.iter().filter(of_rule).any(|one| one.series == series) {
                    continue;
                }
                let others =
                    found.iter().filter(of_rule).any(|one| one.state != State::Unknown && one.series.split('{').next() == Some(metric));
                // Which series it is known by now.
                found.retain(|one| one.rule != rule.name.value || one.series != *metric || one.state != State::Unknown);
                let spec =
                    MetricSpec { name: metric.clone(), kind: Kind::Gauge, unit: Unit::Number, help: String::new(), keys: Vec::new() };
                found.push(self.of_missing((name.to_owned(), rule.name.value.clone(), series), rule, others, job, &spec, now_ns));
            }
        }
    }

    /// A series without a value; `others`: some of its metric have one.
    fn of_missing(&self, place: Place, rule: &AlarmRule, others: bool, job: &JobState, spec: &MetricSpec, now_ns: i64) -> Standing {
        let is_absence = rule.bounds.iter().flatten().any(|bound| bound.value.longest_absence().is_some());
        if let Some(level) = self.memory_of(&place).filter(|_| is_absence).and_then(Memory::standing_level) {
            return self.trouble(place, severity(level));
        }
        if others {
            return self.unknown(place, None, "the last run gave others of its metric only".to_owned());
        }
        let unknown = job.why_unknown(spec, now_ns);
        self.unknown(place, unknown.since, unknown.why)
    }

    /// A series whose value is known.
    fn of_sight(&self, sight: &Sight<'_>, named: &Named, slot: i64, now_ns: i64) -> Standing {
        let blank = Memory::default();
        let memory = self.memory_of(&named.place).unwrap_or(&blank);
        let usual = self.usual(sight, named, slot);
        let seen = sight.limits().judge(|of| figure(of, sight, &memory.history, usual));
        if let Some(level) = memory.standing_level() {
            return self.trouble(named.place.clone(), severity(level));
        }
        match seen {
            None => {
                let of_usual = sight.asks_what_is_usual() && usual.is_none();
                let why = if of_usual { "too little is known of what is usual of it" } else { TOO_SHORT };
                self.unknown(named.place.clone(), None, why.to_owned())
            }
            Some(seen) if seen.level > 0 && holds(sight.rule, now_ns) => {
                let why = Some(NOT_YET.to_owned());
                Standing { why, ..self.trouble(named.place.clone(), severity(seen.level)) }
            }
            Some(_) => self.well(named.place.clone(), sight.rule, now_ns),
        }
    }

    /// What a job's events make of the rules that listen to them.
    fn of_events(&self, job: &JobState, now_ns: i64, is_asked: &impl Fn(&AlarmRule) -> bool, found: &mut Vec<Standing>) {
        let Some((shape, rules)) = self.watch.listens_to(&job.shape.job) else { return };
        for (rule, pattern) in rules.iter().filter(|rule| is_asked(rule)).filter_map(|rule| Some((rule, pattern_of(rule)?))) {
            let named = super::hearing::named(rule, pattern, &shape.job);
            // Its alarm may flap on while all is well.
            let heard = self.memory_of(&named.place).and_then(|memory| memory.events.stands());
            let of_run = job.fresh(now_ns).filter(|last| last.status.is_ok());
            found.push(match (heard, of_run) {
                (Some(severity), _) => self.trouble(named.place, severity),
                (None, Some(_)) => self.well(named.place, rule, now_ns),
                // That nothing was reported is known by runs.
                (None, None) => {
                    let [_, _, events] = of_every_run();
                    let unknown = job.why_unknown(&events, now_ns);
                    self.unknown(named.place, unknown.since, unknown.why)
                }
            });
        }
    }

    /// What the host reports of itself: where a rule listens to jobs as well, only what is wrong.
    fn of_host(&self, now_ns: i64, is_asked: &impl Fn(&AlarmRule) -> bool, found: &mut Vec<Standing>) {
        for (rule, pattern) in
            self.watch.listens_to_host().iter().filter(|rule| is_asked(rule)).filter_map(|rule| Some((rule, pattern_of(rule)?)))
        {
            let place = super::hearing::named(rule, pattern, "").place;
            match self.memory_of(&place).and_then(|memory| memory.events.stands()) {
                Some(severity) => found.push(self.trouble(place, severity)),
                None if found.iter().any(|one| one.rule == rule.name.value) => {}
                None => found.push(self.well(place, rule, now_ns)),
            }
        }
    }

    /// What belongs together of several jobs.
    fn of_expression(&self, rule: &Arc<AlarmRule>, snapshot: &Snapshot, found: &mut Vec<Standing>) {
        let LooksAt::Expression(expression) = &rule.looks_at else { return };
        let mut known = BTreeSet::new();
        let groups = self.groups.get(&(rule.name.value.clone(), rule.of_job.clone()));
        for (job, groups) in snapshot.jobs.iter().flat_map(|job| Some((job, groups?))) {
            let Some((shape, together)) = self.watch.joins(&job.shape.job) else { continue };
            let Some(together) = together.iter().find(|together| Arc::ptr_eq(&together.rule, rule)) else { continue };
            for sum in groups.of_job(&shape.job, expression) {
                if let Some(named) = super::joining::named(together, shape, &sum.group).filter(|named| known.insert(named.place.clone())) {
                    found.push(self.of_sum(together, named.place, &sum, i64::from(shape.step_s), snapshot.now_ns));
                }
            }
        }
        if known.is_empty() {
            let place = (rule.of_job.clone().unwrap_or_default(), rule.name.value.clone(), expression.formula.value.to_string());
            found.push(self.unknown(place, None, "nothing that belongs together has given values yet".to_owned()));
        }
    }

    fn of_sum(&self, together: &Together, place: Place, sum: &Sum, step_s: i64, now_ns: i64) -> Standing {
        let blank = Memory::default();
        let memory = self.memory_of(&place).unwrap_or(&blank);
        let Some(value) = sum.value else {
            let names = together.expression().map(|expression| expression.formula.value.names()).unwrap_or_default();
            let unknown = names.iter().zip(&sum.parts).filter(|(_, parts)| parts.is_empty() || parts.iter().any(Option::is_none));
            let unknown: Vec<&str> = unknown.map(|(name, _)| name.as_str()).collect();
            let why = if unknown.is_empty() { "it comes to no number".to_owned() } else { format!("no value of {}", unknown.join(", ")) };
            return self.unknown(place, None, why);
        };
        if let Some(level) = memory.standing_level() {
            return self.trouble(place, severity(level));
        }
        let reach = together.limits.reach();
        let of_history = |of: Of| memory.history.figure(of, step_s, reach);
        if together.limits.judge(|of| if of.has_history() { of_history(of) } else { Some(value) }).is_none() {
            return self.unknown(place, None, TOO_SHORT.to_owned());
        }
        self.well(place, &together.rule, now_ns)
    }

    fn memory_of(&self, (job, rule, series): &Place) -> Option<&Memory> {
        self.memories.get(job)?.get(&(rule.clone(), series.clone()))
    }

    /// The alarm of a place, if it is active.
    fn alarm_of(&self, (job, rule, series): &Place) -> Option<&Alarm> {
        self.alarms.get(&key(job, series, rule)).filter(|alarm| alarm.life.stage == Stage::Active)
    }

    fn trouble(&self, place: Place, severity: Severity) -> Standing {
        let alarm = self.alarm_of(&place);
        let since = alarm.map(|alarm| seconds(alarm.life.raised_ns));
        let why = alarm.map(|alarm| alarm.subject.text.clone());
        Standing { state: State::Trouble, severity: Some(severity), ..self.standing(place, since, why) }
    }

    fn well(&self, place: Place, rule: &AlarmRule, now_ns: i64) -> Standing {
        if !holds(rule, now_ns) {
            return self.unknown(place, None, "it is outside its hours: nothing is raised".to_owned());
        }
        let alarm = self.alarms.get(&key(&place.0, &place.2, &place.1));
        let since = alarm.and_then(|alarm| alarm.life.cleared_ns).map(seconds);
        let flaps = alarm.is_some_and(|alarm| alarm.life.flapping).then(|| FLAPS.to_owned());
        Standing { state: State::Ok, ..self.standing(place, since, flaps) }
    }

    fn unknown(&self, place: Place, since: Option<f64>, why: String) -> Standing {
        self.standing(place, since, Some(why))
    }

    fn standing(&self, place: Place, since: Option<f64>, why: Option<String>) -> Standing {
        let alarm = self.alarm_of(&place).map(|alarm| alarm.life.number);
        let (job, rule, series) = place;
        let job = Some(job).filter(|job| !job.is_empty());
        Standing { rule, job, series, state: State::Unknown, severity: None, since, why, alarm }
    }
}

fn pattern_of(rule: &AlarmRule) -> Option<&EventPattern> {
    if let LooksAt::Events(pattern) = &rule.looks_at { Some(pattern) } else { None }
}

fn seconds(ns: i64) -> f64 {
    ns as f64 / 1e9
}

/// The last run as the journal had it.
fn reading(job: &str, last: &Last) -> Reading {
    let duration_ns = last.duration.map_or(0, |duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    let outcome = Outcome {
        status: last.status.clone(),
        samples: last.samples.clone(),
        declared: last.declared.clone(),
        duration_ns,
        events_dropped: u32::try_from(last.events).unwrap_or(u32::MAX),
        ..Outcome::failed(ErrorKind::LOCAL, "", last.started_ns)
    };
    let slot = last.started_ns.div_euclid(1_000_000_000);
    Reading { job: job.to_owned(), cause: Cause::Schedule, slot, due_ns: last.started_ns, stale_ns: last.stale_ns, outcome }
}
