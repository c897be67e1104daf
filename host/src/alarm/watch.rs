//! The rules held to the jobs that there are: which of them look at which values of a reading, and what they see.

use std::{collections::HashMap, sync::Arc, time::Duration};

use watchpost_plugin_api::{Kind, MetricSpec};

use super::{
    bound::Limit,
    judge::{Level, Patience, Seen},
};
use crate::{
    config::{AlarmRule, Bounds, over},
    reading::{Reading, Shape},
    series::{
        layout::{RUN_DURATION, UP},
        meant::{EVENTS, label_of, may_be, of_every_run},
        selector::NAME_LABEL,
    },
};

/// Labels with their values.
type Labels = Vec<(String, String)>;

/// The rules in force, by the jobs that they look at.
#[derive(Debug, Default)]
pub struct Watch {
    jobs: HashMap<String, OfJob>,
    rules: Vec<Arc<AlarmRule>>,
}

#[derive(Debug)]
struct OfJob {
    shape: Shape,
    /// Every rule that may look at a series of the job, also at one whose metric a run declares.
    rules: Vec<Arc<AlarmRule>>,
    metrics: HashMap<String, Vec<Aim>>,
}

/// A rule that looks at a metric of a job.
#[derive(Debug)]
struct Aim {
    rule: Arc<AlarmRule>,
    spec: MetricSpec,
    limited: Limited,
    /// What holds instead for certain labels; none: they are not looked at.
    overrides: Vec<(Labels, Option<Limited>)>,
}

/// Bounds, and what they are in the unit of a metric.
#[derive(Debug)]
struct Limited {
    bounds: Bounds,
    limits: Limits,
}

/// The bounds of a rule in the unit of a metric.
#[derive(Debug, Default)]
struct Limits {
    /// The worst first.
    levels: Vec<(Level, Limit)>,
    /// What a value has to be, too, before all is well.
    rearm: Option<Limit>,
}

/// What a rule sees of a series.
#[derive(Debug)]
pub struct Sight<'w> {
    /// The rule.
    pub rule: &'w Arc<AlarmRule>,
    /// The job's.
    pub shape: &'w Shape,
    /// What is measured.
    pub spec: &'w MetricSpec,
    /// The values of the metric's labels.
    pub labels: &'w [String],
    /// The value; of a counter its total.
    pub value: f64,
    limits: &'w Limits,
    bounds: &'w Bounds,
}

impl Watch {
    /// Holds rules to jobs; those that are not enabled are as if they were not there.
    pub fn new(rules: &[AlarmRule], shapes: impl IntoIterator<Item = Shape>) -> Self {
        let rules: Vec<Arc<AlarmRule>> = rules.iter().filter(|rule| rule.enabled).cloned().map(Arc::new).collect();
        // Most rules are of one job: the others are few.
        let mut of_job: HashMap<&str, Vec<&Arc<AlarmRule>>> = HashMap::new();
        for rule in &rules {
            of_job.entry(rule.series.value.job().unwrap_or_default()).or_default().push(rule);
        }
        let mut jobs = HashMap::new();
        for shape in shapes {
            let near = [shape.job.as_str(), ""].into_iter().flat_map(|job| of_job.get(job).into_iter().flatten());
            let meant: Vec<Arc<AlarmRule>> =
                near.filter(|rule| crate::series::meant::may_be_of(&rule.series.value, &shape)).map(|rule| (*rule).clone()).collect();
            if meant.is_empty() {
                continue;
            }
            let mut metrics: HashMap<String, Vec<Aim>> = HashMap::new();
            for spec in of_every_run().iter().chain(&shape.metrics) {
                let aims: Vec<Aim> = meant.iter().filter_map(|rule| Aim::new(rule, &shape, spec)).collect();
                if !aims.is_empty() {
                    metrics.entry(spec.name.clone()).or_default().extend(aims);
                }
            }
            jobs.insert(shape.job.clone(), OfJob { shape, rules: meant, metrics });
        }
        Self { jobs, rules }
    }

    /// Whether a rule looks at a job.
    pub fn has(&self, job: &str, rule: &str) -> bool {
        self.jobs.get(job).is_some_and(|of_job| of_job.rules.iter().any(|known| known.name.value == rule))
    }

    /// Series that are there as long as their job is, to the rules that miss them when they give nothing.
    pub fn await_all(&self, mut expect: impl FnMut(Sight<'_>)) {
        for OfJob { shape, metrics, .. } in self.jobs.values() {
            for aim in metrics.values().flatten().filter(|aim| aim.spec.keys.is_empty()) {
                let limited = aim.limits_of(shape, &[]).filter(|limited| limited.limits.is_absence());
                if let Some(Limited { limits, bounds }) = limited {
                    expect(Sight { rule: &aim.rule, shape, spec: &aim.spec, labels: &[], value: 0.0, limits, bounds });
                }
            }
        }
    }

    /// The rules in force.
    pub fn rules(&self) -> &[Arc<AlarmRule>] {
        &self.rules
    }

    /// The rule of that name that looks at a job.
    pub fn rule(&self, job: &str, rule: &str) -> Option<&Arc<AlarmRule>> {
        self.jobs.get(job)?.rules.iter().find(|known| known.name.value == rule)
    }

    /// Shows each known value of a reading to the rules that look at it.
    pub fn look(&self, reading: &Reading, mut see: impl FnMut(Sight<'_>)) {
        let Some(of_job) = self.jobs.get(&reading.job) else { return };
        let OfJob { shape, metrics, .. } = of_job;
        let outcome = &reading.outcome;
        let mut show = |aims: &[Aim], labels: &[String], value: f64| {
            for aim in aims {
                if let Some(Limited { limits, bounds }) = aim.limits_of(shape, labels) {
                    see(Sight { rule: &aim.rule, shape, spec: &aim.spec, labels, value, limits, bounds });
                }
            }
        };
        let of_run = [
            (UP, outcome.status.up()),
            (RUN_DURATION, Some(outcome.duration_ns as f64 / 1e9)),
            (EVENTS, Some(outcome.events.len() as f64 + f64::from(outcome.events_dropped))),
        ];
        for (name, value) in of_run {
            if let (Some(aims), Some(value)) = (metrics.get(name), value) {
                show(aims, &[], value);
            }
        }
        let declared: HashMap<&str, Vec<Aim>> = outcome.declared.iter().map(|spec| (spec.name.as_str(), of_job.aims(spec))).collect();
        for sample in outcome.samples.iter().filter(|sample| sample.value.is_finite()) {
            let aims = metrics.get(&sample.metric).or_else(|| declared.get(sample.metric.as_str()));
            if let Some(aims) = aims {
                show(aims, &sample.labels, sample.value);
            }
        }
    }
}

impl OfJob {
    fn aims(&self, spec: &MetricSpec) -> Vec<Aim> {
        self.rules.iter().filter_map(|rule| Aim::new(rule, &self.shape, spec)).collect()
    }
}

impl Aim {
    /// A rule that may look at a metric; bounds of another unit were told of when the configuration was taken, and look at nothing.
    fn new(rule: &Arc<AlarmRule>, shape: &Shape, spec: &MetricSpec) -> Option<Self> {
        if !may_be(&rule.series.value, shape, spec) {
            return None;
        }
        let limited = |bounds: Bounds| Some(Limited { limits: Limits::new(&bounds, rule, spec)?, bounds });
        let overrides = rule.overrides.iter().map(|other| {
            let limits = other.enabled.then(|| limited(over(&rule.bounds, &other.bounds))).flatten();
            (other.labels.clone(), limits)
        });
        Some(Self { limited: limited(rule.bounds.clone())?, overrides: overrides.collect(), rule: rule.clone(), spec: spec.clone() })
    }

    /// The limits for a series; nothing if it is not meant.
    fn limits_of(&self, shape: &Shape, labels: &[String]) -> Option<&Limited> {
        let label = |label: &str| match label {
            NAME_LABEL => Some(self.spec.name.as_str()),
            _ => label_of(shape, label).or_else(|| {
                let place = self.spec.keys.iter().position(|key| key == label)?;
                labels.get(place).map(String::as_str)
            }),
        };
        // Of a metric without labels all was known before.
        if !labels.is_empty() && !self.rule.series.value.matches(label) {
            return None;
        }
        let fits = |wanted: &[(String, String)]| wanted.iter().all(|(key, value)| label(key) == Some(value));
        match self.overrides.iter().find(|(wanted, _)| fits(wanted)) {
            Some((_, limits)) => limits.as_ref(),
            None => Some(&self.limited),
        }
    }
}

impl Limits {
    fn new(bounds: &Bounds, rule: &AlarmRule, spec: &MetricSpec) -> Option<Self> {
        let mut levels = Vec::new();
        for (bound, level) in bounds.iter().zip(1..=4).rev() {
            if let Some(bound) = bound {
                levels.push((level, bound.value.limit(spec.unit).ok()?));
            }
        }
        let rearm = rule.rearm.as_ref().map(|rearm| rearm.value.limit(spec.unit)).transpose().ok()?;
        Some(Self { levels, rearm })
    }

    fn asks_what_is_usual(&self) -> bool {
        self.levels.iter().any(|(_, limit)| matches!(limit, Limit::Unusual(..)))
    }

    fn is_absence(&self) -> bool {
        self.levels.iter().any(|(_, limit)| matches!(limit, Limit::Absent(_)))
    }
}

impl Sight<'_> {
    /// Whether the value is a counter's total, of which the rate is judged.
    pub fn is_total(&self) -> bool {
        self.spec.kind == Kind::Counter
    }

    /// Whether values are held against what is usual.
    pub fn asks_what_is_usual(&self) -> bool {
        self.limits.asks_what_is_usual()
    }

    /// What a value is that is so many deviations away from what is usual.
    pub fn judge_unusual(&self, deviations: f64) -> Seen {
        let level = self.limits.levels.iter().find(|(_, limit)| limit.is_crossed_by(deviations)).map_or(0, |(level, _)| *level);
        Seen { level, held: level }
    }

    /// After how long without a value the series is missed, the worst first; empty for a rule that looks at values.
    pub fn absences(&self) -> Vec<(Level, Duration)> {
        let absence = |(level, limit): &(Level, Limit)| if let Limit::Absent(span) = limit { Some((*level, *span)) } else { None };
        self.limits.levels.iter().filter_map(absence).collect()
    }

    /// Whether it asks whether there is a value at all.
    pub fn is_absence(&self) -> bool {
        self.limits.is_absence()
    }

    /// What a value, or a rate, is by the rule's bounds.
    pub fn judge(&self, value: f64) -> Seen {
        let level = self.limits.levels.iter().find(|(_, limit)| limit.is_crossed(value)).map_or(0, |(level, _)| *level);
        let mildest = self.limits.levels.last().map_or(0, |(level, _)| *level);
        let is_back = self.limits.rearm.is_none_or(|rearm| rearm.is_crossed(value));
        Seen { level, held: if is_back { level } else { level.max(mildest) } }
    }

    /// The bounds as they were written.
    pub fn bounds(&self) -> &Bounds {
        self.bounds
    }

    /// How many values decide.
    pub fn patience(&self) -> Patience {
        let (times, of) = self.rule.raise_after;
        Patience { times, of, clear_after: self.rule.clear_after }
    }
}
