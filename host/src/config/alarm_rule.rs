//! `[[job.threshold]]` and `[[rule]]`: what is an alarm, and how bad.
//!
//! Reading order: [`looks`] (what they look at) · `bounds` (what is too much) · `said` (counts, words and texts) · here (the whole).

mod bounds;
mod looks;
mod said;

pub use looks::{EventPattern, LooksAt, SeriesExpression};

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use bounds::{check_bounds, check_rearm, is_in_order, is_some_bound};
use looks::RawLooksAt;
use said::{check_clear_after, check_raise_after, named};
pub(super) use said::{check_link, check_text};
use watchpost_plugin_api::Severity;

use super::{
    At, Fault, Faults, Place, Rule,
    name::JobName,
    objective::check_hours,
    reader::{Field, Reader, Texts, misshapen},
    text::{Data, Table},
    timing::{Almanac, check_zone},
};
use crate::{
    alarm::{
        baseline::Calendar,
        bound::{Bound, Way},
        x733::{EventType, ProbableCause},
    },
    reading::Shape,
    schedule::{Holidays, Windows, Zone},
    series::{
        meant::{may_be_of, may_hear_of},
        selector::{NAME_LABEL, Selector, Shown},
    },
};

/// The key that a threshold has and a rule has not, then those of both.
const KEYS_OF_THRESHOLD: &[&str] = &[
    "metric",
    "active",
    "alias",
    "by",
    "cause",
    "clear_after",
    "cleared_by",
    "comment",
    "critical",
    "enabled",
    "event",
    "event_type",
    "expression",
    "holidays",
    "instruction",
    "link",
    "major",
    "minor",
    "name",
    "override",
    "quiet",
    "raise_after",
    "rearm",
    "series",
    "timezone",
    "warning",
];
/// Keys of a rule.
const KEYS_OF_RULE: &[&str] = KEYS_OF_THRESHOLD.split_at(1).1;
/// Keys of an override.
const KEYS_OF_OVERRIDE: [&str; 6] = ["critical", "enabled", "labels", "major", "minor", "warning"];
/// The severities that have a bound, the mildest first, and their keys.
pub const SEVERITIES: [(Severity, &str); 4] =
    [(Severity::Warning, "warning"), (Severity::Minor, "minor"), (Severity::Major, "major"), (Severity::Critical, "critical")];
/// Characters of a name, at most.
const NAME_CHARS_MAX: usize = 80;
/// The bounds of the severities, the mildest first.
pub type Bounds = [Option<At<Bound>>; 4];

/// What is an alarm, and how bad.
#[derive(Clone, Debug, PartialEq)]
pub struct AlarmRule {
    /// What it is called: no other rule bears the name, no other threshold of its job.
    pub name: At<String>,
    /// What it looks at.
    pub looks_at: LooksAt,
    /// The job whose threshold it is.
    pub of_job: Option<String>,
    /// What is too much for each severity.
    pub bounds: Bounds,
    /// What else holds for series with certain labels; the first that fits counts.
    pub overrides: Vec<Override>,
    /// Crossed so often among so many values, it is raised.
    pub raise_after: (u32, u32),
    /// Not crossed so often in a row, it is cleared.
    pub clear_after: u32,
    /// What a value has to be, too, before it is cleared.
    pub rearm: Option<At<Bound>>,
    /// What people call it.
    pub alias: Option<String>,
    /// Why there is such a rule.
    pub comment: Option<String>,
    /// Whether it is looked at.
    pub enabled: bool,
    /// Whose hours.
    pub zone: Zone,
    /// When it may raise something; always where nothing is said.
    pub hours: Option<Windows>,
    /// Days that are like no other: to windows that say so, and to what is usual.
    pub holidays: Option<Arc<Holidays>>,
    /// What kind of trouble, where that is said.
    pub event_type: Option<EventType>,
    /// What probably is the reason, where that is said.
    pub cause: Option<ProbableCause>,
    /// What an operator is to do.
    pub instruction: Option<String>,
    /// Where more is to be read.
    pub link: Option<String>,
}

/// What else holds for series with certain labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// The labels, with their values.
    pub labels: Vec<(String, String)>,
    /// Bounds that take the place of the rule's.
    pub bounds: Bounds,
    /// Whether the series are looked at.
    pub enabled: bool,
}

/// A rule as written.
#[derive(Debug)]
pub(super) struct RawAlarmRule {
    place: Place,
    name: Field<String>,
    looks_at: RawLooksAt,
    said: Said,
    overrides: Vec<RawOverride>,
    raise_after: Field<Data>,
    clear_after: Field<i64>,
    rearm: Field<String>,
    alias: Field<String>,
    comment: Field<String>,
    timezone: Field<String>,
    active: Field<Texts>,
    holidays: Field<String>,
    event_type: Field<String>,
    cause: Field<String>,
    instruction: Field<String>,
    link: Field<String>,
}

#[derive(Debug)]
struct RawOverride {
    place: Place,
    labels: Field<Table>,
    said: Said,
}

/// What a rule and an override of it have in common.
#[derive(Debug)]
struct Said {
    bounds: [Field<String>; 4],
    enabled: Field<bool>,
}

impl Said {
    fn parse(reader: &mut Reader<'_>, faults: &mut Faults) -> Self {
        Self { bounds: SEVERITIES.map(|(_, key)| reader.text(key, faults)), enabled: reader.flag("enabled", faults) }
    }
}

impl RawAlarmRule {
    /// Takes the shape of a `[[job.threshold]]`.
    pub(super) fn parse_threshold(at: &At<&Table>, faults: &mut Faults) -> Self {
        Self::parse(at, Reader::new("`[[job.threshold]]`", KEYS_OF_THRESHOLD, at.value), faults)
    }

    /// Takes the shape of a `[[rule]]`.
    pub(super) fn parse_rule(at: &At<&Table>, faults: &mut Faults) -> Self {
        Self::parse(at, Reader::new("`[[rule]]`", KEYS_OF_RULE, at.value), faults)
    }

    fn parse(at: &At<&Table>, mut reader: Reader<'_>, faults: &mut Faults) -> Self {
        let raw = Self {
            place: at.place.clone(),
            name: reader.text("name", faults),
            looks_at: RawLooksAt::parse(&mut reader, faults),
            said: Said::parse(&mut reader, faults),
            overrides: reader.tables("override", faults).iter().map(|table| RawOverride::parse(table, faults)).collect(),
            raise_after: reader.whole_or_text("raise_after", faults),
            clear_after: reader.whole("clear_after", faults),
            rearm: reader.text("rearm", faults),
            alias: reader.text("alias", faults),
            comment: reader.text("comment", faults),
            timezone: reader.text("timezone", faults),
            active: reader.text_or_texts("active", faults),
            holidays: reader.text("holidays", faults),
            event_type: reader.text("event_type", faults),
            cause: reader.text("cause", faults),
            instruction: reader.text("instruction", faults),
            link: reader.text("link", faults),
        };
        reader.finish(faults);
        raw
    }

    /// Checks a threshold: all of it but the job, of which there may be several.
    fn check_threshold(self, almanac: &mut Almanac, faults: &mut Faults) -> Option<AlarmRule> {
        let looks_at = self.check_looks_at(true, faults);
        let name = match (&self.name, &self.looks_at.metric) {
            (Field::Given(name), _) => check_name(name, faults),
            (Field::Broken, _) => None,
            // What it looks at was told of, where it is no metric.
            (Field::Absent, Field::Given(metric)) => {
                looks_at.is_some().then(|| At { value: metric.value.clone(), place: self.place.clone() })
            }
            (Field::Absent, _) if looks_at.is_none() => None,
            (Field::Absent, _) => {
                let hint = "what looks at no metric has a name of its own: name = \"mail-lost\"";
                self.name.clone().required("name", &self.place, hint, faults)
            }
        };
        self.check(name, looks_at, almanac, faults)
    }

    fn check_rule(self, almanac: &mut Almanac, faults: &mut Faults) -> Option<AlarmRule> {
        let name = self.name.clone().required("name", &self.place, "a rule has a name of its own: name = \"slow-mail\"", faults);
        let name = name.and_then(|name| check_name(&name, faults));
        let looks_at = self.check_looks_at(false, faults);
        self.check(name, looks_at, almanac, faults)
    }

    fn check(self, name: Option<At<String>>, looks_at: Option<LooksAt>, almanac: &mut Almanac, faults: &mut Faults) -> Option<AlarmRule> {
        let place = &self.place;
        let bounds = check_bounds(&self.said.bounds, looks_at.as_ref(), faults);
        // Events may say by themselves how bad they are.
        let wants_one = matches!(self.looks_at.event, Field::Absent);
        let bounds = bounds.filter(|bounds| !wants_one || is_some_bound(bounds, place, faults));
        let bounds = bounds.filter(|bounds| is_in_order(bounds, faults));
        let overrides: Vec<_> = self
            .overrides
            .iter()
            .map(|raw| raw.check(looks_at.as_ref(), bounds.as_ref(), faults))
            .collect::<Vec<_>>()
            .into_iter()
            .collect::<Option<_>>()?;
        let raise_after = check_raise_after(&self.raise_after, faults);
        let clear_after = check_clear_after(&self.clear_after, faults);
        let rearm = match &self.rearm {
            Field::Absent => Some(None),
            Field::Broken => None,
            Field::Given(text) => check_rearm(text, bounds.as_ref(), &overrides, faults).map(Some),
        };
        let zone = check_zone(&self.timezone, faults);
        let holidays: Option<Option<Arc<Holidays>>> = match &self.holidays {
            Field::Absent => Some(None),
            Field::Broken => None,
            Field::Given(file) => almanac.holidays_of(file, faults).map(Some),
        };
        let hours = check_hours("active", &self.active, zone, holidays.clone(), faults);
        let event_type = named("event_type", &self.event_type, EventType::ALL, EventType::name, Rule::EventTypeUnknown, faults);
        let cause = named("cause", &self.cause, ProbableCause::ALL, ProbableCause::name, Rule::CauseUnknown, faults);
        let [alias, comment, instruction] = [("alias", &self.alias), ("comment", &self.comment), ("instruction", &self.instruction)]
            .map(|(key, field)| check_text(key, field, faults));
        let link = check_text("link", &self.link, faults).and_then(|link| check_link(link, &self.link, faults));
        let enabled = match self.said.enabled {
            Field::Absent => true,
            Field::Broken => return None,
            Field::Given(flag) => flag.value,
        };
        Some(AlarmRule {
            name: name?,
            looks_at: looks_at?,
            of_job: None,
            bounds: bounds?,
            overrides,
            raise_after: raise_after?,
            clear_after: clear_after?,
            rearm: rearm?,
            alias: alias?,
            comment: comment?,
            enabled,
            zone: zone?,
            hours: hours?,
            holidays: holidays?,
            event_type: event_type?,
            cause: cause?,
            instruction: instruction?,
            link: link?,
        })
    }
}

impl RawOverride {
    fn parse(at: &At<&Table>, faults: &mut Faults) -> Self {
        let mut reader = Reader::new("`[[…override]]`", &KEYS_OF_OVERRIDE, at.value);
        let raw = Self { place: at.place.clone(), labels: reader.table("labels", faults), said: Said::parse(&mut reader, faults) };
        reader.finish(faults);
        raw
    }

    /// Checks it, and that it is in order with what the rule says; `rule` is nothing where that was told of.
    fn check(&self, looks_at: Option<&LooksAt>, rule: Option<&Bounds>, faults: &mut Faults) -> Option<Override> {
        let hint = "say whose: labels = { queue = \"deferred\" }";
        let labels = self.labels.clone().required("labels", &self.place, hint, faults)?;
        let mut all = Vec::new();
        for (key, entry) in &labels.value.0 {
            match &entry.value.value {
                Data::Text(value) => all.push((key.clone(), value.clone())),
                other => faults.extend(misshapen(&format!("labels.{key}"), "a text", other, &entry.value.place)),
            }
        }
        let bounds = check_bounds(&self.said.bounds, looks_at, faults)?;
        if let Some(rule) = rule
            && !is_in_order(&over(rule, &bounds), faults)
        {
            return None;
        }
        let enabled = match &self.said.enabled {
            Field::Absent => true,
            Field::Broken => return None,
            Field::Given(flag) => flag.value,
        };
        (all.len() == labels.value.0.len()).then_some(Override { labels: all, bounds, enabled })
    }
}

/// Lays bounds over others.
pub fn over(lower: &Bounds, upper: &Bounds) -> Bounds {
    std::array::from_fn(|at| upper.get(at).cloned().flatten().or_else(|| lower.get(at).cloned().flatten()))
}

/// Checks the thresholds of one job; one that bears the name of another is told of.
pub(super) fn check_thresholds(raw: Vec<RawAlarmRule>, almanac: &mut Almanac, faults: &mut Faults) -> Vec<AlarmRule> {
    tell_twice(&names(&raw), "threshold", faults);
    let mut rules = Vec::new();
    for raw in raw {
        rules.extend(raw.check_threshold(almanac, faults));
    }
    firsts(rules)
}

/// The names of rules as they are written, those with a fault among them; a threshold without one is called as its metric.
pub(super) fn names(raw: &[RawAlarmRule]) -> Vec<At<String>> {
    let name = |raw: &RawAlarmRule| match (&raw.name, &raw.looks_at.metric) {
        (Field::Given(name), _) => Some(name.clone()),
        (Field::Absent, Field::Given(metric)) => Some(At { value: metric.value.clone(), place: raw.place.clone() }),
        _ => None,
    };
    raw.iter().filter_map(name).collect()
}

/// Makes the thresholds of one of the jobs that they were written for.
pub(super) fn of_job<'r>(rules: &'r [AlarmRule], job: &At<JobName>) -> impl Iterator<Item = AlarmRule> + 'r {
    let job = job.as_str().to_owned();
    rules.iter().filter_map(move |rule| {
        let looks_at = match &rule.looks_at {
            LooksAt::Series(series) => {
                let shown = Shown { metric: series.value.as_str(), labels: &[("job".to_owned(), job.clone())] }.to_string();
                // A name of a metric and one of a job always make a selector.
                LooksAt::Series(At { value: Selector::parse(&shown).ok()?, place: series.place.clone() })
            }
            several => several.clone(),
        };
        Some(AlarmRule { looks_at, of_job: Some(job.clone()), ..rule.clone() })
    })
}

/// Checks the rules of one file.
pub(super) fn check_rules(raw: Vec<RawAlarmRule>, almanac: &mut Almanac, faults: &mut Faults) -> Vec<AlarmRule> {
    raw.into_iter().filter_map(|raw| raw.check_rule(almanac, faults)).collect()
}

/// Tells of every name that an earlier rule bears, whatever else is wrong with either.
pub(super) fn tell_twice(names: &[At<String>], what: &str, faults: &mut Faults) {
    let mut first: HashMap<&str, &Place> = HashMap::new();
    for At { value: name, place } in names {
        if let Some(first) = first.get(name.as_str()) {
            let fault = Fault::new(Rule::AlarmRuleTwice, place, format!("{what} {}: declared twice", name.escape_debug()));
            faults.push(fault.hint(format!("first declared at {first}; give one a name of its own: name = \"…\"")));
            continue;
        }
        first.insert(name, place);
    }
}

/// Leaves out every rule that bears the name of an earlier one.
pub(super) fn firsts(rules: Vec<AlarmRule>) -> Vec<AlarmRule> {
    let mut known = HashSet::new();
    rules.into_iter().filter(|rule| known.insert(rule.name.value.clone())).collect()
}

/// Checks a metric's name; gives it, and the selector that it is.
fn check_metric(metric: &At<String>, faults: &mut Faults) -> Option<(String, At<Selector>)> {
    let selector = Selector::parse(metric).ok();
    let is_name =
        selector.as_ref().is_some_and(|selector| selector.fixed().any(|(label, name)| label == NAME_LABEL && name == metric.value));
    if !is_name {
        let fault = Fault::new(Rule::MetricIllegal, &metric.place, format!("`metric`: \"{}\" is no metric", metric.escape_debug()));
        faults.push(fault.hint("write a name alone, as \"connect_time\"; series of several jobs are for a [[rule]]"));
        return None;
    }
    Some((metric.value.clone(), At { value: selector?, place: metric.place.clone() }))
}

pub(super) fn check_name(name: &At<String>, faults: &mut Faults) -> Option<At<String>> {
    let legal = (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && crate::plain(name) == name.value && !name.contains('/');
    if !legal {
        let shown: String = name.escape_debug().take(NAME_CHARS_MAX).collect();
        let fault = Fault::new(Rule::AlarmRuleNameIllegal, &name.place, format!("`name`: \"{shown}\" is no name of a rule"));
        faults.push(fault.hint(format!("1 to {NAME_CHARS_MAX} characters that can be shown, none of them a `/`")));
    }
    legal.then(|| name.clone())
}

impl AlarmRule {
    /// How many values in a row a rule that is tried on the past wants.
    pub const TRIAL_RAISE_AFTER: u32 = 3;

    /// A rule that is tried on the past only: one bound, and nothing else.
    pub fn trial(series: At<Selector>, bound: At<Bound>) -> Self {
        Self {
            name: At { value: "suggested".into(), place: bound.place.clone() },
            looks_at: LooksAt::Series(series),
            of_job: None,
            bounds: [Some(bound), None, None, None],
            overrides: Vec::new(),
            raise_after: (Self::TRIAL_RAISE_AFTER, Self::TRIAL_RAISE_AFTER),
            clear_after: 1,
            rearm: None,
            alias: None,
            comment: None,
            enabled: true,
            zone: Zone::default(),
            hours: None,
            holidays: None,
            event_type: None,
            cause: None,
            instruction: None,
            link: None,
        }
    }

    /// Whether its values are held against what is usual.
    pub fn asks_what_is_usual(&self) -> bool {
        self.bounds.iter().flatten().any(|bound| bound.asks_what_is_usual())
    }

    /// Whether it misses values that do not come.
    pub fn is_absence(&self) -> bool {
        let own = self.overrides.iter().flat_map(|other| &other.bounds).chain(&self.bounds);
        own.flatten().any(|bound| bound.value.longest_absence().is_some())
    }

    /// Which hour of the week an instant belongs to, where it asks what is usual.
    pub fn calendar(&self) -> Calendar {
        Calendar { zone: self.zone, special: self.holidays.clone() }
    }

    /// How each of its bounds looks at a value.
    pub fn ways(&self) -> Vec<Way> {
        self.bounds.iter().flatten().map(|bound| bound.value.way()).collect()
    }

    /// How its bounds look at a value.
    pub fn way(&self) -> Option<Way> {
        self.bounds.iter().flatten().next().map(|bound| bound.way())
    }

    /// The one job that it looks at, if there is one.
    pub fn job(&self) -> Option<&str> {
        self.of_job.as_deref().or_else(|| self.looks_at.series()?.value.job())
    }

    /// Whether it may look at something of a job.
    pub fn may_be_of(&self, shape: &Shape) -> bool {
        if self.of_job.as_ref().is_some_and(|job| *job != shape.job) {
            return false;
        }
        match &self.looks_at {
            LooksAt::Series(series) => may_be_of(&series.value, shape),
            LooksAt::Events(pattern) => may_hear_of(&pattern.event.value, shape),
            LooksAt::Expression(expression) => expression.series.iter().any(|series| may_be_of(&series.value, shape)),
        }
    }
}
