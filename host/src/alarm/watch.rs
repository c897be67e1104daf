//! The rules held to the jobs that there are: which of them look at which values of a reading, and what they see.

use std::{collections::HashMap, sync::Arc, time::Duration};

use watchpost_plugin_api::{Kind, MetricSpec, Severity};

use super::{
    history::Reach,
    judge::{Level, Patience, Seen, severity},
    limit::{Limit, Of},
    seat::{Limited as Which, Named, Seat, Seats, of_series},
};
use crate::{
    config::{AlarmRule, Bounds, SEVERITIES, over},
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
    /// By metric, each with its number among them.
    metrics: HashMap<String, (usize, Vec<Aim>)>,
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
    /// How far back they look.
    reach: Reach,
    /// Whether the value that has just come is all they look at.
    is_plain: bool,
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
            let mut metrics: HashMap<String, (usize, Vec<Aim>)> = HashMap::new();
            for spec in of_every_run().iter().chain(&shape.metrics) {
                let aims: Vec<Aim> = meant.iter().filter_map(|rule| Aim::new(rule, &shape, spec)).collect();
                let number = metrics.len();
                if !aims.is_empty() {
                    metrics.entry(spec.name.clone()).or_insert_with(|| (number, Vec::new())).1.extend(aims);
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
            for aim in metrics.values().flat_map(|(_, aims)| aims).filter(|aim| aim.spec.keys.is_empty()) {
                let limited = aim.limits_of(shape, &[]).and_then(|which| aim.limited(which)).filter(|limited| limited.limits.is_absence());
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
    pub fn look(&self, reading: &Reading, seats: &mut Seats, mut see: impl FnMut(Sight<'_>, &mut Seat)) {
        let Some(OfJob { shape, metrics, rules }) = self.jobs.get(&reading.job) else { return };
        let outcome = &reading.outcome;
        let known = seats.of_job(&reading.job, metrics.len());
        let mut show = |aims: &[Aim], seats: &mut [Seat], labels: &[String], value: f64| {
            for (aim, seat) in aims.iter().zip(seats) {
                if let Some(Limited { limits, bounds }) = seat.limited.and_then(|which| aim.limited(which)) {
                    see(Sight { rule: &aim.rule, shape, spec: &aim.spec, labels, value, limits, bounds }, seat);
                }
            }
        };
        let seats =
            |aims: &[Aim], labels: &[String]| -> Vec<Seat> { aims.iter().map(|aim| Seat::new(aim.limits_of(shape, labels))).collect() };
        let of_run = [
            (UP, outcome.status.up()),
            (RUN_DURATION, Some(outcome.duration_ns as f64 / 1e9)),
            (EVENTS, Some(outcome.events.len() as f64 + f64::from(outcome.events_dropped))),
        ];
        for (name, value) in of_run {
            if let (Some((number, aims)), Some(value)) = (metrics.get(name), value)
                && let Some(known) = known.get_mut(*number)
            {
                show(aims, of_series(known, &[], || seats(aims, &[])), &[], value);
            }
        }
        let aims = |spec: &MetricSpec| -> Vec<Aim> { rules.iter().filter_map(|rule| Aim::new(rule, shape, spec)).collect() };
        let declared: HashMap<&str, Vec<Aim>> = outcome.declared.iter().map(|spec| (spec.name.as_str(), aims(spec))).collect();
        // Samples of a metric come one after the other.
        let (mut metric, mut found) = ("", None);
        for sample in outcome.samples.iter().filter(|sample| sample.value.is_finite()) {
            if metric != sample.metric {
                (metric, found) = (sample.metric.as_str(), metrics.get(&sample.metric));
            }
            if let Some((number, aims)) = found {
                if let Some(known) = known.get_mut(*number) {
                    show(aims, of_series(known, &sample.labels, || seats(aims, &sample.labels)), &sample.labels, sample.value);
                }
            } else if let Some(aims) = declared.get(sample.metric.as_str()) {
                show(aims, &mut seats(aims, &sample.labels), &sample.labels, sample.value);
            }
        }
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

    /// Bounds with their limits; nothing where the rule does not look.
    fn limited(&self, which: Which) -> Option<&Limited> {
        match which {
            Which::Own => Some(&self.limited),
            Which::Override(place) => self.overrides.get(place)?.1.as_ref(),
        }
    }

    /// Which limits hold for a series; nothing if it is not meant.
    fn limits_of(&self, shape: &Shape, labels: &[String]) -> Option<Which> {
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
        match self.overrides.iter().position(|(wanted, _)| fits(wanted)) {
            Some(place) => Some(Which::Override(place)).filter(|which| self.limited(*which).is_some()),
            None => Some(Which::Own),
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
        let looked_at = || levels.iter().map(|(_, limit)| limit).chain(&rearm).map(|limit| limit.of);
        let is_plain = spec.kind == Kind::Gauge && looked_at().all(|of| of == Of::Value);
        Some(Self { reach: Reach::of(looked_at()), is_plain, levels, rearm })
    }

    fn is_absence(&self) -> bool {
        self.levels.iter().any(|(_, limit)| limit.of == Of::Absence)
    }
}

impl Sight<'_> {
    /// Whether the value is a counter's total, of which the rate is judged.
    pub fn is_total(&self) -> bool {
        self.spec.kind == Kind::Counter
    }

    /// Whether the value that has just come is all that is looked at.
    pub fn is_plain(&self) -> bool {
        self.limits.is_plain
    }

    /// Whether values are held against what is usual.
    pub fn asks_what_is_usual(&self) -> bool {
        self.limits.levels.iter().any(|(_, limit)| limit.of == Of::Deviation)
    }

    /// Whether values of before are looked at, too.
    pub fn has_history(&self) -> bool {
        self.is_total() || self.limits.levels.iter().map(|(_, limit)| limit).chain(&self.limits.rearm).any(|limit| limit.of.has_history())
    }

    /// How far back is looked.
    pub fn reach(&self) -> Reach {
        self.limits.reach
    }

    /// After how long without a value the series is missed, the worst first; empty for a rule that looks at values.
    pub fn absences(&self) -> Vec<(Level, Duration)> {
        let bounds =
            self.bounds.iter().zip(1..=4).rev().filter_map(|(bound, level)| Some((level, bound.as_ref()?.value.longest_absence()?)));
        bounds.collect()
    }

    /// Whether it asks whether there is a value at all.
    pub fn is_absence(&self) -> bool {
        self.limits.is_absence()
    }

    /// What a value is by the rule's bounds, where it is all they look at.
    pub fn judge_value(&self, value: f64) -> Option<Seen> {
        self.judge(|_| Some(value))
    }

    /// What a series is by the rule's bounds: nothing while the figures are unknown.
    pub fn judge(&self, figure: impl Fn(Of) -> Option<f64>) -> Option<Seen> {
        let (mut level, mut unknown) = (0, 0);
        for (at, limit) in &self.limits.levels {
            match figure(limit.of) {
                Some(figure) if limit.is_crossed(figure) => {
                    level = *at;
                    break;
                }
                Some(_) => {}
                None => unknown = unknown.max(*at),
            }
        }
        if level == 0 && unknown > 0 {
            return None;
        }
        let mildest = self.limits.levels.last().map_or(0, |(level, _)| *level);
        let is_back = self.limits.rearm.is_none_or(|rearm| figure(rearm.of).is_some_and(|figure| rearm.is_crossed(figure)));
        // What stands is no milder while nobody knows whether it is.
        let held = level.max(unknown);
        Some(Seen { level, held: if is_back { held } else { held.max(mildest) } })
    }

    /// What the bound of a severity looks at; that of the mildest where it has none.
    pub fn looked_at(&self, severity: Option<Severity>) -> Of {
        let limit = self.limits.levels.iter().find(|(level, _)| Some(self::severity(*level)) == severity);
        limit.or(self.limits.levels.last()).map_or(Of::Value, |(_, limit)| limit.of)
    }

    /// The bound of a severity, as it was written.
    pub fn bound(&self, severity: Severity) -> Option<String> {
        let place = SEVERITIES.iter().position(|(known, _)| *known == severity)?;
        self.bounds.get(place)?.as_ref().map(|bound| bound.value.to_string())
    }

    /// How many values decide.
    pub fn patience(&self) -> Patience {
        let (times, of) = self.rule.raise_after;
        Patience { times, of, clear_after: self.rule.clear_after }
    }

    /// What its series is called.
    pub fn named(&self) -> Named {
        let own = self.spec.keys.iter().cloned().zip(self.labels.iter().cloned()).collect();
        Named::new(&self.shape.job, &self.rule.name.value, &self.spec.name, own)
    }
}
