//! Expressions held to the jobs that there are: which series belong together, and what they come to.
//!
//! Series belong together that have the labels of `by` in common. They are calculated once each of them has a new value; one that gives none
//! with its job's reading is unknown, and so is the whole.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use watchpost_plugin_api::{Kind, MetricSpec, Unit};

use super::{bound::FAMILIES, formula::Measure, limits::Limits};
use crate::{
    config::{AlarmRule, LooksAt, SeriesExpression},
    reading::{Reading, Shape},
    series::{
        layout::{RUN_DURATION, UP},
        meant::{EVENTS, label_of, may_be, may_be_of, of_every_run},
        selector::{NAME_LABEL, Selector, Shown},
    },
};

/// Readings that a series may be missing from before it is taken for gone: then it is part of nothing.
const MISSED_MAX: u32 = 3;
/// Groups of one rule, at most; series beyond are left out.
const GROUPS_MAX: usize = 10_000;
/// Seconds that jobs which gave nothing since the rules are in force are waited for, at most: a sum without them is none.
const AWAITED_MAX_S: i64 = 900;
/// Series of one group whose past is asked for, at most.
const MEMBERS_MAX: usize = 500;

/// A rule over an expression, held to the jobs.
#[derive(Debug)]
pub struct Together {
    /// The rule.
    pub rule: Arc<AlarmRule>,
    /// The labels that series have in common.
    pub by: Vec<String>,
    /// The unit of what comes out, and whether it is for each second.
    pub unit: (Unit, bool),
    /// The unit of each name, likewise.
    pub of_names: Vec<(Unit, bool)>,
    /// The rule's bounds.
    pub limits: Limits,
    /// How many jobs have a part in it where it adds up several, and how long they are waited for, seconds.
    awaited: (usize, i64),
}

/// What was found of an expression among jobs.
#[derive(Debug)]
pub struct Found {
    by: Vec<String>,
    measures: Vec<Option<Measure>>,
    /// The unit of what comes out; nothing while a name stands for what only a run declares.
    pub measure: Option<Measure>,
}

/// Values of series, by the labels that those have in common.
#[derive(Debug, Default)]
pub struct Groups {
    groups: HashMap<Vec<String>, Group>,
    /// Which groups a job has a part in.
    of_job: HashMap<String, BTreeSet<Vec<String>>>,
    /// Jobs that gave a reading since the rules are in force, until all have.
    heard: BTreeSet<String>,
    /// The slot of the first of them.
    since: Option<i64>,
}

#[derive(Debug)]
struct Group(Vec<Vec<Operand>>);

/// A series of a name.
#[derive(Debug)]
struct Operand {
    job: String,
    metric: String,
    keys: Vec<String>,
    labels: Vec<String>,
    value: Option<f64>,
    total: Option<(i64, f64)>,
    /// Whether the value has not been part of a calculation yet.
    is_new: bool,
    missed: u32,
    /// The slot of the last reading that it was in.
    slot: i64,
}

/// What an expression came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Sum {
    /// The values of the labels in common.
    pub group: Vec<String>,
    /// What it gives; nothing where a part is unknown.
    pub value: Option<f64>,
    /// The values of each name.
    pub parts: Vec<Vec<Option<f64>>>,
}

/// Finds what an expression means among jobs.
///
/// Errors: names of several units, and what cannot be added or compared.
pub fn find<'s>(
    expression: &SeriesExpression,
    of_job: Option<&str>,
    shapes: impl Iterator<Item = &'s Shape> + Clone,
) -> Result<Found, String> {
    let (every, names) = (of_every_run(), expression.formula.value.names());
    let mut common: Option<BTreeSet<String>> = None;
    let mut measures = Vec::new();
    for (name, selector) in names.iter().zip(&expression.series) {
        let mut measure: Option<Measure> = None;
        for shape in shapes.clone().filter(|shape| of_job.is_none_or(|job| job == shape.job)) {
            for spec in every.iter().chain(&shape.metrics).filter(|spec| may_be(&selector.value, shape, spec)) {
                let found = Measure::of(spec.unit, spec.kind == Kind::Counter);
                if let Some(other) = measure.filter(|other| other.unit() != found.unit()) {
                    return Err(format!("`{name}` stands for series in {other} and in {found}"));
                }
                measure = Some(found);
                let labels: BTreeSet<String> = labels_of(shape).chain(spec.keys.iter().cloned()).collect();
                common = Some(common.map_or_else(|| labels.clone(), |common| &common & &labels));
            }
        }
        // What a run declares has the labels of its job at least.
        for shape in shapes.clone().filter(|shape| measure.is_none() && may_be_of(&selector.value, shape)) {
            let labels: BTreeSet<String> = labels_of(shape).collect();
            common = Some(common.map_or_else(|| labels.clone(), |common| &common & &labels));
        }
        measures.push(measure);
    }
    let measure = expression.formula.value.measure(|name| measures.get(name).copied().flatten().unwrap_or(Measure::ANY))?;
    let by = expression.by.clone().unwrap_or_else(|| shared(expression, common.unwrap_or_default()));
    let all_known = measures.iter().all(Option::is_some);
    Ok(Found { by, measures, measure: Some(measure).filter(|_| all_known) })
}

impl Found {
    /// A name that stands for one series and means several that belong together: its place, and two of them.
    pub fn crowded<'s>(
        &self,
        expression: &SeriesExpression,
        shapes: impl Iterator<Item = &'s Shape> + Clone,
    ) -> Option<(usize, [String; 2])> {
        let every = of_every_run();
        expression.formula.value.alone().find_map(|name| {
            let selector = &expression.series.get(name)?.value;
            let mut groups: HashMap<Vec<&str>, String> = HashMap::new();
            for shape in shapes.clone() {
                for spec in every.iter().chain(&shape.metrics).filter(|spec| may_be(selector, shape, spec)) {
                    // What a metric's own labels tell apart is known with its values.
                    let group: Option<Vec<&str>> = self.by.iter().map(|label| label_of(shape, label)).collect();
                    let shown = format!("{} of {}", spec.name, shape.job);
                    if let Some(other) = group.and_then(|group| groups.insert(group, shown.clone())) {
                        return Some((name, [other, shown]));
                    }
                }
            }
            None
        })
    }
}

/// The labels that a job gives all its series.
fn labels_of(shape: &Shape) -> impl Iterator<Item = String> + '_ {
    ["agent", "job", "target"].map(str::to_owned).into_iter().chain(shape.labels.iter().map(|(key, _)| key.clone()))
}

/// The labels that tell apart what belongs together: all that series have in common, but those by which the names themselves differ.
fn shared(expression: &SeriesExpression, mut common: BTreeSet<String>) -> Vec<String> {
    let fixed = |selector: &Selector, wanted: &str| selector.fixed().find(|(label, _)| *label == wanted).map(|(_, value)| value.to_owned());
    common.retain(|label| {
        let mut values = expression.series.iter().map(|selector| fixed(&selector.value, label));
        let first = values.next().flatten();
        values.all(|value| value == first)
    });
    if !common.contains("job") {
        // They are a job's own.
        common.retain(|label| !["agent", "target"].contains(&label.as_str()));
    }
    common.into_iter().collect()
}

impl Together {
    /// Holds a rule to jobs; nothing where it is over no expression, or was told of when the configuration was taken.
    pub fn new<'s>(rule: &Arc<AlarmRule>, shapes: impl Iterator<Item = &'s Shape> + Clone) -> Option<Self> {
        let LooksAt::Expression(expression) = &rule.looks_at else { return None };
        let found = find(expression, rule.of_job.as_deref(), shapes.clone()).ok()?;
        let in_unit = |unit: Unit| Limits::new(&rule.bounds, rule.rearm.as_ref().map(|rearm| &rearm.value), unit);
        let (unit, limits) = match found.measure {
            Some(measure) => (measure.unit(), in_unit(measure.unit().0)?),
            // It is what the bounds are written in.
            None => FAMILIES.into_iter().find_map(|unit| Some(((unit, false), in_unit(unit)?)))?,
        };
        let of_names = found.measures.iter().map(|measure| measure.unwrap_or(Measure::ANY).unit()).collect();
        // What is one job's own waits for no other.
        let several = expression.formula.value.is_folded() && !found.by.iter().any(|label| label == "job");
        let jobs: Vec<i64> = shapes.filter(|shape| several && rule.may_be_of(shape)).map(|shape| i64::from(shape.step_s)).collect();
        let awaited = (jobs.len(), jobs.iter().max().map_or(0, |step_s| (2 * step_s).min(AWAITED_MAX_S)));
        Some(Self { rule: rule.clone(), by: found.by, unit, of_names, limits, awaited })
    }

    /// What is calculated.
    pub fn expression(&self) -> Option<&SeriesExpression> {
        if let LooksAt::Expression(expression) = &self.rule.looks_at { Some(expression) } else { None }
    }
}

impl Groups {
    /// What those come to just now that a job has a part in.
    pub fn of_job(&self, job: &str, expression: &SeriesExpression) -> Vec<Sum> {
        let groups = self.of_job.get(job).into_iter().flatten().filter_map(|key| Some((key, self.groups.get(key)?)));
        groups.map(|(key, group)| group.came_to(key.clone(), expression)).collect()
    }

    /// Takes a reading of a job that may have a part in it; gives what can be calculated now.
    pub fn take(&mut self, together: &Together, shape: &Shape, reading: &Reading) -> Vec<Sum> {
        let Some(expression) = together.expression() else { return Vec::new() };
        let (every, outcome) = (of_every_run(), &reading.outcome);
        let of_run = [
            (UP, outcome.status.up()),
            (RUN_DURATION, Some(outcome.duration_ns as f64 / 1e9)),
            (EVENTS, Some(outcome.events.len() as f64 + f64::from(outcome.events_dropped))),
        ];
        let of_run = of_run.iter().filter_map(|(name, value)| Some((*name, &[][..], (*value)?)));
        let samples = outcome.samples.iter().filter(|sample| sample.value.is_finite());
        let values = of_run.chain(samples.map(|sample| (sample.metric.as_str(), sample.labels.as_slice(), sample.value)));
        for (metric, labels, value) in values {
            let Some(spec) = every.iter().chain(&shape.metrics).chain(&outcome.declared).find(|spec| spec.name == metric) else { continue };
            let label = |wanted: &str| match wanted {
                NAME_LABEL => Some(metric),
                _ => label_of(shape, wanted).or_else(|| {
                    let place = spec.keys.iter().position(|key| key == wanted)?;
                    labels.get(place).map(String::as_str)
                }),
            };
            for (name, _) in expression.series.iter().enumerate().filter(|(_, selector)| selector.value.matches(label)) {
                let group: Vec<String> = together.by.iter().map(|wanted| label(wanted).unwrap_or_default().to_owned()).collect();
                if let Some(operand) = self.operand(group, (name, expression.series.len()), &shape.job, (spec, labels)) {
                    operand.take(value, spec, reading.slot);
                }
            }
        }
        let is_settled = self.is_settled(together.awaited, reading);
        let groups: Vec<Vec<String>> = self.of_job.get(&shape.job).into_iter().flatten().cloned().collect();
        let sums = groups.into_iter().filter_map(|key| {
            let group = self.groups.get_mut(&key)?;
            group.0.iter_mut().for_each(|operands| Operand::miss(operands, reading));
            let is_whole = group.0.iter().all(|operands| !operands.is_empty() && operands.iter().all(|operand| operand.is_new));
            (is_whole && is_settled).then(|| group.sum(key, expression))
        });
        sums.collect()
    }

    /// Whether all jobs that have a part were heard since the rules are in force, or were waited for long enough.
    fn is_settled(&mut self, (jobs, awaited_s): (usize, i64), reading: &Reading) -> bool {
        if self.heard.len() < jobs {
            self.heard.insert(reading.job.clone());
        }
        let since = *self.since.get_or_insert(reading.slot);
        self.heard.len() >= jobs || reading.slot - since >= awaited_s
    }

    /// The series of a group, those of each name; nothing where they are too many to be asked for one by one.
    pub fn members(&self, group: &[String]) -> Option<Vec<Vec<Selector>>> {
        let names = &self.groups.get(group)?.0;
        if names.iter().map(Vec::len).sum::<usize>() > MEMBERS_MAX {
            return None;
        }
        names.iter().map(|operands| operands.iter().map(Operand::selector).collect()).collect()
    }

    fn operand(
        &mut self,
        group: Vec<String>,
        (name, names): (usize, usize),
        job: &str,
        (spec, labels): (&MetricSpec, &[String]),
    ) -> Option<&mut Operand> {
        if !self.groups.contains_key(&group) {
            if self.groups.len() >= GROUPS_MAX {
                return None;
            }
            self.groups.insert(group.clone(), Group((0..names).map(|_| Vec::new()).collect()));
        }
        let operands = self.groups.get_mut(&group)?.0.get_mut(name)?;
        let is_it = |operand: &Operand| operand.job == job && operand.metric == spec.name && operand.labels == labels;
        let place = operands.iter().position(is_it).unwrap_or_else(|| {
            let (job, metric, keys, labels) = (job.to_owned(), spec.name.clone(), spec.keys.clone(), labels.to_vec());
            self.of_job.entry(job.clone()).or_default().insert(group);
            operands.push(Operand { job, metric, keys, labels, value: None, total: None, is_new: false, missed: 0, slot: i64::MIN });
            operands.len() - 1
        });
        operands.get_mut(place)
    }
}

impl Group {
    fn sum(&mut self, group: Vec<String>, expression: &SeriesExpression) -> Sum {
        let sum = self.came_to(group, expression);
        self.0.iter_mut().flatten().for_each(|operand| operand.is_new = false);
        sum
    }

    fn came_to(&self, group: Vec<String>, expression: &SeriesExpression) -> Sum {
        let parts: Vec<Vec<Option<f64>>> = self.0.iter().map(|operands| operands.iter().map(|operand| operand.value).collect()).collect();
        let value = expression.formula.value.value(|name| parts.get(name).map(Vec::as_slice).unwrap_or_default());
        Sum { group, value, parts }
    }
}

impl Operand {
    /// What selects it.
    fn selector(&self) -> Option<Selector> {
        let own = self.keys.iter().cloned().zip(self.labels.iter().cloned());
        let labels: Vec<(String, String)> = std::iter::once(("job".to_owned(), self.job.clone())).chain(own).collect();
        Selector::parse(&Shown { metric: &self.metric, labels: &labels }.to_string()).ok()
    }

    /// Takes a value; of a counter what it rose in a second.
    fn take(&mut self, value: f64, spec: &MetricSpec, slot: i64) {
        self.value = if spec.kind == Kind::Counter {
            let before = self.total.replace((slot, value));
            before.filter(|(then, total)| slot > *then && value >= *total).map(|(then, total)| (value - total) / (slot - then) as f64)
        } else {
            Some(value)
        };
        (self.is_new, self.missed, self.slot) = (true, 0, slot);
    }

    /// Those of the reading's job that gave nothing with it are unknown; those that did not for long are gone.
    fn miss(operands: &mut Vec<Self>, reading: &Reading) {
        for operand in operands.iter_mut().filter(|operand| operand.job == reading.job && operand.slot != reading.slot) {
            (operand.value, operand.is_new) = (None, true);
            operand.missed += u32::from(reading.outcome.status.is_ok());
        }
        // One alone stays: nobody says that it is no part of it any more.
        if operands.len() > 1 {
            operands.retain(|operand| operand.missed <= MISSED_MAX);
        }
    }
}
