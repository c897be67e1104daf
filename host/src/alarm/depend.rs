//! Dependencies: while what an alarm depends on is in trouble itself, nobody is told of the alarm. Measuring and judging go on, and what is
//! over is told to whoever knows that it began.
//!
//! | held     | what it depends on                   | then                                                                 |
//! |----------|--------------------------------------|----------------------------------------------------------------------|
//! | any      | is in alarm                          | inhibited                                                            |
//! | begins   | is not                               | awaits: it may be the first to see what is wrong with the other      |
//! | awaits   | was seen well since, or gave no sign | told                                                                 |
//! | inhibited | is in alarm no more                 | confirms: what was seen may be what the other did                    |
//! | confirms | well; seen anew as often as its rule asks | told                                                            |
//!
//! Neither waiting is without an end: [`AWAITS_MAX_NS`], [`CONFIRMS_MAX_NS`].

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{
    life::Stage,
    maintenance::is_meant,
    record::{Alarm, Subject},
    watch::Sight,
};
use crate::{
    config::{AlarmRule, DependsOn},
    reading::{Reading, Shape},
    series::{
        meant::{label_of, may_be, may_be_of, of_every_run},
        selector::{NAME_LABEL, Selector},
    },
};

/// How long an alarm waits at most for a sign of what it depends on.
pub const AWAITS_MAX_NS: i64 = 5 * 60 * 1_000_000_000;
/// How long an alarm waits at most to be seen anew, once what it depends on is well.
pub const CONFIRMS_MAX_NS: i64 = 15 * 60 * 1_000_000_000;
/// What a run may take beside its interval before a sign is late.
const LATE_NS: i64 = 10 * 1_000_000_000;

/// Why nobody is told of an alarm that depends on something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// That is in alarm.
    Inhibited {
        /// The number of its alarm.
        alarm: u64,
        /// What is depended on, as it was written.
        on: String,
    },
    /// It is not known yet whether that is well.
    Awaits {
        /// What is depended on, as it was written.
        on: String,
        /// Since when, nanoseconds since 1970.
        since_ns: i64,
        /// How long at most.
        until_ns: i64,
    },
    /// That is well again; the alarm has to be seen anew.
    Confirms {
        /// What was depended on, as it was written.
        on: String,
        /// Since when, nanoseconds since 1970.
        since_ns: i64,
        /// How long at most.
        until_ns: i64,
        /// How often it was seen since.
        seen: u32,
    },
}

impl Held {
    /// Says it in words.
    pub fn why(&self) -> String {
        match self {
            Self::Inhibited { alarm, on } => format!("inhibited by alarm {alarm} of {on}, which it depends on"),
            Self::Awaits { on, .. } => format!("waits for a sign of {on}, which it depends on"),
            Self::Confirms { on, .. } => format!("{on}, which it depends on, is well again; it is to be seen anew"),
        }
    }
}

/// When it is asked whether an alarm is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The alarm begins.
    Begins,
    /// Its reason is seen by a run that began at this instant, nanoseconds since 1970; so often is enough.
    Seen(i64, u32),
    /// Time passes.
    Passes,
}

/// How all stands that an alarm depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing<'d> {
    /// What is in alarm, and the alarm's number.
    alarm: Option<(u64, &'d str)>,
    /// What shows trouble that is no alarm yet.
    doubtful: Option<&'d str>,
    /// What was seen well the longest ago, and when the run began that saw it; never counts as the longest.
    well: Option<(i64, &'d str)>,
    /// How long a sign may take.
    sign_ns: i64,
}

/// Gives whether an alarm is held from now on; the table above.
pub fn next(held: Option<&Held>, standing: Standing<'_>, moment: Moment, now_ns: i64) -> Option<Held> {
    if let Some((alarm, on)) = standing.alarm {
        return Some(Held::Inhibited { alarm, on: on.to_owned() });
    }
    match held {
        None => {
            let (_, on) = standing.well.filter(|_| moment == Moment::Begins)?;
            let until_ns = now_ns.saturating_add(standing.sign_ns);
            Some(Held::Awaits { on: standing.doubtful.unwrap_or(on).to_owned(), since_ns: now_ns, until_ns })
        }
        Some(Held::Awaits { since_ns, until_ns, .. }) => {
            let is_well = standing.doubtful.is_none() && standing.well.is_none_or(|(well_ns, _)| well_ns >= *since_ns);
            (!is_well && now_ns < *until_ns).then(|| held.cloned()).flatten()
        }
        Some(Held::Inhibited { on, .. }) => {
            let until_ns = now_ns.saturating_add(CONFIRMS_MAX_NS);
            Some(Held::Confirms { on: on.clone(), since_ns: now_ns, until_ns, seen: 0 })
        }
        Some(Held::Confirms { on, since_ns, until_ns, seen }) => {
            let (seen, is_enough) = match moment {
                Moment::Seen(begun_ns, times) if begun_ns >= *since_ns => (seen + 1, seen + 1 >= times),
                _ => (*seen, false),
            };
            let is_over = (is_enough && standing.doubtful.is_none()) || now_ns >= *until_ns;
            (!is_over).then(|| Held::Confirms { on: on.clone(), since_ns: *since_ns, until_ns: *until_ns, seen })
        }
    }
}

/// Whether what a rule sees is of series that are meant.
pub fn is_of(meant: &Selector, sight: &Sight<'_>) -> bool {
    meant.matches(|label| match label {
        NAME_LABEL => Some(sight.spec.name.as_str()),
        _ => label_of(sight.shape, label).or_else(|| {
            let place = sight.spec.keys.iter().position(|key| key == label)?;
            sight.labels.get(place).map(String::as_str)
        }),
    })
}

/// A job and what it depends on.
#[derive(Clone, Debug)]
pub struct Dependent {
    /// The job.
    pub shape: Shape,
    /// What it depends on.
    pub on: Vec<DependsOn>,
}

/// What depends on what, and how that stands.
#[derive(Debug, Default)]
pub struct Depends {
    sources: Vec<Source>,
    /// What jobs depend on.
    of: HashMap<String, Vec<usize>>,
    /// What is seen of a job that others depend on.
    seen: HashMap<String, Vec<usize>>,
}

/// Rules that hold, by the one job that they look at.
#[derive(Debug)]
pub struct RulesByJob<'r>(HashMap<&'r str, Vec<&'r AlarmRule>>);

impl<'r> RulesByJob<'r> {
    /// Sorts those that are enabled.
    pub fn new(rules: &'r [AlarmRule]) -> Self {
        let mut by_job: HashMap<&str, Vec<&AlarmRule>> = HashMap::new();
        for rule in rules.iter().filter(|rule| rule.enabled) {
            by_job.entry(rule.job().unwrap_or_default()).or_default().push(rule);
        }
        Self(by_job)
    }

    /// Those of a job, and those that may look at several.
    pub fn near(&self, job: &str) -> impl Iterator<Item = &'r AlarmRule> + use<'_, 'r> {
        let all = [self.0.get(job), self.0.get("")];
        all.into_iter().flatten().flatten().copied()
    }
}

/// Series of one job that others depend on.
#[derive(Debug)]
struct Source {
    job: String,
    on: DependsOn,
    sign_ns: i64,
    /// When the last run began that saw all of it well.
    well_ns: i64,
    doubtful: bool,
    /// Its alarms by their numbers.
    raised: BTreeMap<u64, String>,
}

impl Depends {
    /// Holds jobs to what they depend on; what no rule judges silences nobody.
    pub fn new(dependents: &[Dependent], rules: &[AlarmRule]) -> Self {
        let (mut made, rules) = (Self::default(), RulesByJob::new(rules));
        let by_name: HashMap<&str, &Shape> = dependents.iter().map(|dependent| (dependent.shape.job.as_str(), &dependent.shape)).collect();
        let mut known: HashMap<&str, Vec<usize>> = HashMap::new();
        for Dependent { shape, on } in dependents {
            for on in on {
                let sources = known.entry(on.series.as_str()).or_insert_with(|| {
                    let near: Vec<&Shape> = match on.series.job() {
                        Some(job) => by_name.get(job).into_iter().copied().collect(),
                        None => dependents.iter().map(|dependent| &dependent.shape).collect(),
                    };
                    let found = near.into_iter().filter_map(|shape| Source::new(on, shape, &rules));
                    found.map(|source| made.add(source)).collect()
                });
                let others = sources.iter().copied().filter(|source| made.sources.get(*source).is_some_and(|it| it.job != shape.job));
                made.of.entry(shape.job.clone()).or_default().extend(others);
            }
        }
        made.of.retain(|_, sources| !sources.is_empty());
        made
    }

    fn add(&mut self, source: Source) -> usize {
        let place = self.sources.len();
        self.seen.entry(source.job.clone()).or_default().push(place);
        self.sources.push(source);
        place
    }

    /// Whether a job depends on anything.
    pub fn has(&self, job: &str) -> bool {
        self.of.contains_key(job)
    }

    /// The jobs that a job depends on.
    pub fn on(&self, job: &str) -> impl Iterator<Item = &str> {
        self.of.get(job).into_iter().flatten().filter_map(|place| self.sources.get(*place)).map(|source| source.job.as_str())
    }

    /// Whether a job depends on what an alarm is about.
    pub fn is_on(&self, job: &str, source: &Subject) -> bool {
        let mut sources = self.of.get(job).into_iter().flatten().filter_map(|place| self.sources.get(*place));
        sources.any(|it| it.job == source.job && is_meant(&it.on.series, source))
    }

    /// Takes over what is known of the same series.
    pub fn go_on_as(&mut self, before: &Self) {
        let known: HashMap<(&str, &str), &Source> =
            before.sources.iter().map(|source| ((source.job.as_str(), source.on.series.as_str()), source)).collect();
        for source in &mut self.sources {
            if let Some(before) = known.get(&(source.job.as_str(), source.on.series.as_str())) {
                (source.well_ns, source.doubtful) = (before.well_ns, before.doubtful);
            }
        }
    }

    /// Takes how an alarm stands.
    pub fn stands(&mut self, alarm: &Alarm) {
        let Self { sources, seen, .. } = self;
        for place in seen.get(&alarm.subject.job).into_iter().flatten() {
            let Some(source) = sources.get_mut(*place).filter(|source| is_meant(&source.on.series, &alarm.subject)) else { continue };
            source.raised.retain(|_, key| *key != alarm.subject.key);
            if alarm.life.stage == Stage::Active {
                source.raised.insert(alarm.life.number, alarm.subject.key.clone());
            }
        }
    }

    /// Whether something depends on series of a job.
    pub fn looks_at(&self, job: &str) -> bool {
        self.seen.contains_key(job)
    }

    /// Takes what a reading shows of the series that are meant: whether each is well, as far as its rules remember.
    pub fn saw(&mut self, reading: &Reading, is_well: impl Fn(&Selector) -> Option<bool>) {
        let Self { sources, seen, .. } = self;
        for place in seen.get(&reading.job).into_iter().flatten() {
            let Some(source) = sources.get_mut(*place) else { continue };
            let Some(is_well) = is_well(&source.on.series) else { continue };
            source.doubtful = !is_well;
            if is_well {
                source.well_ns = source.well_ns.max(reading.outcome.started_ns);
            }
        }
    }

    /// How all stands that a job depends on.
    pub fn standing(&self, job: &str) -> Standing<'_> {
        let mut standing = Standing::default();
        for source in self.of.get(job).into_iter().flatten().filter_map(|place| self.sources.get(*place)) {
            let on = source.on.said.as_str();
            standing.alarm = standing.alarm.or_else(|| source.raised.keys().next().map(|number| (*number, on)));
            standing.doubtful = standing.doubtful.or(Some(on).filter(|_| source.doubtful));
            standing.well = Some(standing.well.map_or((source.well_ns, on), |least| least.min((source.well_ns, on))));
            standing.sign_ns = standing.sign_ns.max(source.sign_ns);
        }
        standing
    }
}

impl Source {
    /// Series of a job that are meant and that a rule judges.
    fn new(on: &DependsOn, shape: &Shape, rules: &RulesByJob<'_>) -> Option<Self> {
        if !may_be_of(&on.series, shape) {
            return None;
        }
        let every = of_every_run();
        let mut specs = every.iter().chain(&shape.metrics).filter(|spec| may_be(&on.series, shape, spec)).peekable();
        specs.peek()?;
        let specs: Vec<_> = specs.collect();
        let judges =
            |rule: &&AlarmRule| rule.looks_at.series().is_some_and(|series| specs.iter().any(|spec| may_be(&series.value, shape, spec)));
        let times = rules.near(&shape.job).filter(judges).map(|rule| rule.raise_after.1).max()?;
        let looks = i64::from(times.saturating_add(1)).saturating_mul(i64::from(shape.step_s)).saturating_mul(1_000_000_000);
        let sign_ns = looks.saturating_add(LATE_NS).min(AWAITS_MAX_NS);
        Some(Self { job: shape.job.clone(), on: on.clone(), sign_ns, well_ns: i64::MIN, doubtful: false, raised: BTreeMap::new() })
    }
}

#[cfg(test)]
mod tests;
