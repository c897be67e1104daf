//! The rules held to the jobs that there are: which of them look at which values of a reading, and what they see.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use watchpost_plugin_api::{Kind, MetricSpec, Severity};

use super::{
    judge::{Level, Patience},
    limit::Of,
    limits::Limits,
    seat::{Limited as Which, Named, Seat, Seats, of_series},
    together::Together,
};
use crate::{
    config::{AlarmRule, Bounds, LooksAt, SEVERITIES, over},
    reading::{Reading, Shape},
    series::{
        layout::{RUN_DURATION, UP},
        meant::{EVENTS, label_of, may_be, may_be_of_host, of_every_run},
        selector::NAME_LABEL,
    },
};

/// Labels with their values.
type Labels = Vec<(String, String)>;

/// The rules in force, by the jobs that they look at.
#[derive(Debug, Default)]
pub struct Watch {
    /// All jobs, whatever looks at them.
    named: HashSet<String>,
    jobs: HashMap<String, OfJob>,
    rules: Vec<Arc<AlarmRule>>,
    /// Rules over events that the host may report of itself, and of no job.
    of_host: Vec<Arc<AlarmRule>>,
}

#[derive(Debug)]
struct OfJob {
    shape: Shape,
    /// Every rule that may look at a series of the job, also at one whose metric a run declares.
    rules: Vec<Arc<AlarmRule>>,
    /// By metric, each with its number among them.
    metrics: HashMap<String, (usize, Vec<Aim>)>,
    /// Those of the rules that look at events.
    listening: Vec<Arc<AlarmRule>>,
    /// Expressions that it has a part in.
    together: Vec<Arc<Together>>,
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
    /// Whether the value that has just come is all that is looked at.
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
    limited: &'w Limited,
}

impl Watch {
    /// Holds rules to jobs; those that are not enabled are as if they were not there.
    pub fn new(rules: &[AlarmRule], shapes: impl IntoIterator<Item = Shape>) -> Self {
        let rules: Vec<Arc<AlarmRule>> = rules.iter().filter(|rule| rule.enabled).cloned().map(Arc::new).collect();
        // Most rules are of one job: the others are few.
        let mut of_job: HashMap<&str, Vec<&Arc<AlarmRule>>> = HashMap::new();
        for rule in &rules {
            of_job.entry(rule.job().unwrap_or_default()).or_default().push(rule);
        }
        let shapes: Vec<Shape> = shapes.into_iter().collect();
        let named = shapes.iter().map(|shape| shape.job.clone()).collect();
        let together: Vec<Arc<Together>> = rules.iter().filter_map(|rule| Together::new(rule, shapes.iter())).map(Arc::new).collect();
        let mut jobs = HashMap::new();
        for shape in shapes {
            let near = [shape.job.as_str(), ""].into_iter().flat_map(|job| of_job.get(job).into_iter().flatten());
            let meant: Vec<Arc<AlarmRule>> = near.filter(|rule| rule.may_be_of(&shape)).map(|rule| (*rule).clone()).collect();
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
            let listening = meant.iter().filter(|rule| matches!(rule.looks_at, LooksAt::Events(_))).cloned().collect();
            let together = together.iter().filter(|together| together.rule.may_be_of(&shape)).cloned().collect();
            jobs.insert(shape.job.clone(), OfJob { shape, rules: meant, metrics, listening, together });
        }
        let is_of_host = |rule: &&Arc<AlarmRule>| match &rule.looks_at {
            LooksAt::Events(pattern) => rule.of_job.is_none() && may_be_of_host(&pattern.event.value),
            LooksAt::Series(_) | LooksAt::Expression(_) => false,
        };
        let of_host = rules.iter().filter(is_of_host).cloned().collect();
        Self { named, jobs, rules, of_host }
    }

    /// Whether a rule looks at a job, or at no job in particular.
    pub fn has(&self, job: &str, rule: &str) -> bool {
        if job.is_empty() {
            return self.rules.iter().any(|known| known.looks_at.series().is_none() && known.name.value == rule);
        }
        self.jobs.get(job).is_some_and(|of_job| of_job.rules.iter().any(|known| known.name.value == rule))
    }

    /// Why a rule does not look at a job any more.
    pub fn why_not(&self, job: &str, rule: &str) -> String {
        if !job.is_empty() && !self.named.contains(job) {
            format!("there is no job `{job}` any more")
        } else if self.rules.iter().any(|known| known.name.value == rule) {
            format!("rule `{rule}` does not look at it any more")
        } else {
            format!("there is no rule `{rule}` any more, or it is not enabled")
        }
    }

    /// Series that are there as long as their job is, to the rules that miss them when they give nothing.
    pub fn await_all(&self, mut expect: impl FnMut(Sight<'_>)) {
        for OfJob { shape, metrics, .. } in self.jobs.values() {
            for aim in metrics.values().flat_map(|(_, aims)| aims).filter(|aim| aim.spec.keys.is_empty()) {
                let limited = aim.limits_of(shape, &[]).and_then(|which| aim.limited(which)).filter(|limited| limited.limits.is_absence());
                if let Some(limited) = limited {
                    expect(Sight { rule: &aim.rule, shape, spec: &aim.spec, labels: &[], value: 0.0, limited });
                }
            }
        }
    }

    /// Shows each metric of a job that a rule looks at: its number, the rule, and whether the rule looks at a series of these labels.
    pub fn looked_at(&self, job: &str, mut see: impl FnMut(usize, &MetricSpec, &Arc<AlarmRule>, &dyn Fn(&[String]) -> bool)) {
        let Some(OfJob { shape, metrics, .. }) = self.jobs.get(job) else { return };
        for (number, aims) in metrics.values() {
            for aim in aims {
                see(*number, &aim.spec, &aim.rule, &|labels| aim.limits_of(shape, labels).is_some());
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

    /// Every rule that may look at a series of a job.
    pub fn rules_of(&self, job: &str) -> &[Arc<AlarmRule>] {
        self.jobs.get(job).map(|of_job| of_job.rules.as_slice()).unwrap_or_default()
    }

    /// What a job looks like, and the rules that look at its events.
    pub fn listens_to(&self, job: &str) -> Option<(&Shape, &[Arc<AlarmRule>])> {
        self.jobs.get(job).map(|of_job| (&of_job.shape, of_job.listening.as_slice()))
    }

    /// What a job looks like, and the expressions that it has a part in.
    pub fn joins(&self, job: &str) -> Option<(&Shape, &[Arc<Together>])> {
        self.jobs.get(job).map(|of_job| (&of_job.shape, of_job.together.as_slice()))
    }

    /// The rules that look at what the host reports of itself.
    pub fn listens_to_host(&self) -> &[Arc<AlarmRule>] {
        &self.of_host
    }

    /// Shows each known value of a reading to the rules that look at it.
    pub fn look(&self, reading: &Reading, seats: &mut Seats, mut see: impl FnMut(Sight<'_>, &mut Seat)) {
        let Some(OfJob { shape, metrics, rules, .. }) = self.jobs.get(&reading.job) else { return };
        let outcome = &reading.outcome;
        let known = seats.of_job(&reading.job, metrics.len());
        let mut show = |aims: &[Aim], seats: &mut [Seat], labels: &[String], value: f64| {
            for (aim, seat) in aims.iter().zip(seats) {
                if let Some(limited) = seat.limited.and_then(|which| aim.limited(which)) {
                    see(Sight { rule: &aim.rule, shape, spec: &aim.spec, labels, value, limited }, seat);
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
        let series = &rule.looks_at.series()?.value;
        if !may_be(series, shape, spec) {
            return None;
        }
        let limited = |bounds: Bounds| {
            let limits = Limits::new(&bounds, rule.rearm.as_ref().map(|rearm| &rearm.value), spec.unit)?;
            let is_plain = spec.kind == Kind::Gauge && limits.looked_at().all(|of| of == Of::Value);
            Some(Limited { bounds, limits, is_plain })
        };
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
        let is_meant = || self.rule.looks_at.series().is_some_and(|series| series.value.matches(label));
        if !labels.is_empty() && !is_meant() {
            return None;
        }
        let fits = |wanted: &[(String, String)]| wanted.iter().all(|(key, value)| label(key) == Some(value));
        match self.overrides.iter().position(|(wanted, _)| fits(wanted)) {
            Some(place) => Some(Which::Override(place)).filter(|which| self.limited(*which).is_some()),
            None => Some(Which::Own),
        }
    }
}

impl Sight<'_> {
    /// Whether the value is a counter's total, of which the rate is judged.
    pub fn is_total(&self) -> bool {
        self.spec.kind == Kind::Counter
    }

    /// Whether the value that has just come is all that is looked at.
    pub fn is_plain(&self) -> bool {
        self.limited.is_plain
    }

    /// Whether values are held against what is usual.
    pub fn asks_what_is_usual(&self) -> bool {
        self.limits().looked_at().any(|of| of == Of::Deviation)
    }

    /// Whether values of before are looked at, too.
    pub fn has_history(&self) -> bool {
        self.is_total() || self.limits().looked_at().any(Of::has_history)
    }

    /// After how long without a value the series is missed, the worst first; empty for a rule that looks at values.
    pub fn absences(&self) -> Vec<(Level, Duration)> {
        let bounds = self.limited.bounds.iter().zip(1..=4).rev();
        bounds.filter_map(|(bound, level)| Some((level, bound.as_ref()?.value.longest_absence()?))).collect()
    }

    /// Whether it asks whether there is a value at all.
    pub fn is_absence(&self) -> bool {
        self.limits().is_absence()
    }

    /// The rule's bounds in the unit of the metric.
    pub fn limits(&self) -> &Limits {
        &self.limited.limits
    }

    /// The bound of a severity, as it was written.
    pub fn bound(&self, severity: Severity) -> Option<String> {
        bound(&self.limited.bounds, severity)
    }

    /// What its series is called.
    pub fn named(&self) -> Named {
        let own = self.spec.keys.iter().cloned().zip(self.labels.iter().cloned()).collect();
        Named::new(&self.shape.job, &self.rule.name.value, &self.spec.name, own)
    }
}

/// The bound of a severity, as it was written.
pub fn bound(bounds: &Bounds, severity: Severity) -> Option<String> {
    let place = SEVERITIES.iter().position(|(known, _)| *known == severity)?;
    bounds.get(place)?.as_ref().map(|bound| bound.value.to_string())
}

/// How many values decide.
pub fn patience(rule: &AlarmRule) -> Patience {
    let (times, of) = rule.raise_after;
    Patience { times, of, clear_after: rule.clear_after }
}
