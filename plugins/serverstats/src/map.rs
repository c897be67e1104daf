//! From samples to metrics.

use std::collections::BTreeMap;

use watchpost_exposition::Sample;
use watchpost_plugin_api::{AgentError, Cx, Declared, ErrorKind, Kind, Metric, MetricSpec, Unit};

use crate::{config::Map, selector::Selector};

/// Values of `by` that one map may have; the host keeps no more than a hundred label sets of a job anyway.
const SERIES_MAX: usize = 1000;
/// What a running total is called.
const TOTALS: [&str; 3] = ["_total", "_count", "_sum"];
/// Selectors that a message names.
const TOLD_MAX: usize = 5;

/// A map that was understood.
#[derive(Debug)]
pub(crate) struct Mapping {
    from: Vec<Selector>,
    zero_if: Option<Selector>,
    to: To,
    labels: Vec<(String, String)>,
    by: Vec<String>,
    optional: bool,
}

/// What a sample becomes.
#[derive(Debug)]
enum To {
    /// A metric of the agent.
    Known(Metric),
    /// One that the job declares.
    Own(MetricSpec),
}

/// What is wrong with a map, and at which of its keys.
#[derive(Debug)]
pub(crate) struct Fault {
    key: String,
    why: String,
}

impl Fault {
    fn new(key: impl Into<String>, why: impl Into<String>) -> Self {
        Self { key: key.into(), why: why.into() }
    }

    /// The error of a configuration whose map of that number it is.
    pub(crate) fn at(self, at: usize) -> AgentError {
        AgentError::config(format!("map[{at}].{}", self.key), self.why)
    }
}

impl Mapping {
    /// Understands a map; `known` are the metrics that the agent has.
    pub(crate) fn of(map: &Map, known: &[Metric]) -> Result<Self, Fault> {
        if map.from.0.is_empty() {
            return Err(Fault::new("from", "is empty"));
        }
        let selector = |(at, text): (usize, &String)| {
            let key = if map.from.0.len() == 1 { "from".to_owned() } else { format!("from[{at}]") };
            Selector::parse(text).map_err(|why| Fault::new(key, why))
        };
        let from = map.from.0.iter().enumerate().map(selector).collect::<Result<Vec<_>, _>>()?;
        let zero_if = map.zero_if.as_ref().map(|text| Selector::parse(text).map_err(|why| Fault::new("zero_if", why))).transpose()?;
        for (at, label) in map.by.iter().enumerate() {
            if map.labels.contains_key(label) || map.by[..at].contains(label) {
                return Err(Fault::new(format!("by[{at}]"), format!("the label `{label}` is there twice")));
            }
            if let Some(without) = from.iter().find(|from| !from.names(label)) {
                return Err(Fault::new(format!("by[{at}]"), format!("`{without}` has no label `{label}`")));
            }
        }
        if zero_if.is_some() && !map.by.is_empty() {
            return Err(Fault::new("zero_if", "does not go with `by`: which series would be 0 is not known"));
        }
        let keys: Vec<String> = map.labels.keys().chain(&map.by).cloned().collect();
        let to = To::of(map, keys, known)?;
        let labels = map.labels.clone().into_iter().collect();
        Ok(Self { from, zero_if, to, labels, by: map.by.clone(), optional: map.optional })
    }

    /// Has maps to one metric agree on what it is, each with series of its own; the last mappings are those of `maps`. A sentence about
    /// it that only the first of them says is said by all.
    ///
    /// Errors: the number of the mapping that does not fit one before it, and at which key.
    pub(crate) fn unite(mappings: &mut [Self], maps: &[Map]) -> Result<(), (usize, Fault)> {
        let ready = mappings.len() - maps.len();
        for at in 1..mappings.len() {
            let (before, rest) = mappings.split_at_mut(at);
            let map = at.checked_sub(ready).map(|own| &maps[own]);
            let name = rest[0].to.name().to_owned();
            for (first, one) in before.iter().enumerate().filter(|(_, one)| one.to.name() == name) {
                let whose = if first < ready { "what is ready for it".to_owned() } else { format!("`map[{}]`", first - ready) };
                rest[0].fit(one, map, &whose).map_err(|fault| (at, fault))?;
            }
        }
        Ok(())
    }

    /// Fits what this map makes to what one before it makes of the same metric.
    fn fit(&mut self, one: &Self, map: Option<&Map>, whose: &str) -> Result<(), Fault> {
        let may_both_be_there = !self.optional && !one.optional;
        if may_both_be_there && self.by.is_empty() && (&self.labels, &self.by) == (&one.labels, &one.by) {
            return Err(Fault::new("to", format!("{whose} makes the same series: put both into one `from`, or give them other `labels`")));
        }
        let (To::Own(spec), To::Own(same)) = (&mut self.to, &one.to) else { return Ok(()) };
        let sorted = |keys: &[String]| {
            let mut keys = keys.to_vec();
            keys.sort();
            keys
        };
        let says_help = map.is_some_and(|map| map.help.is_some());
        let differing = [
            ("kind", spec.kind != same.kind),
            ("unit", spec.unit != same.unit),
            ("labels", sorted(&spec.keys) != sorted(&same.keys)),
            ("help", says_help && spec.help != same.help),
        ];
        if let Some((key, _)) = differing.into_iter().find(|(_, differs)| *differs) {
            return Err(Fault::new(key, format!("`{}` is one metric, and {whose} says otherwise", spec.name)));
        }
        spec.clone_from(same);
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn is_known(&self) -> bool {
        matches!(self.to, To::Known(_))
    }

    fn record(&self, cx: &Cx, by: &[String], value: f64) -> Result<(), AgentError> {
        let own = self.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let labels: Vec<_> = own.chain(self.by.iter().map(String::as_str).zip(by.iter().map(String::as_str))).collect();
        match &self.to {
            To::Known(metric) if labels.is_empty() => cx.record(*metric, value),
            To::Known(metric) => cx.record_with(*metric, &labels, value),
            To::Own(spec) => {
                let declared: Declared = cx.declare(spec.clone())?;
                if labels.is_empty() { cx.record(&declared, value) } else { cx.record_with(&declared, &labels, value) }
            }
        }
        Ok(())
    }
}

impl To {
    fn name(&self) -> &str {
        match self {
            Self::Known(metric) => metric.name(),
            Self::Own(spec) => &spec.name,
        }
    }

    fn of(map: &Map, keys: Vec<String>, known: &[Metric]) -> Result<Self, Fault> {
        if let Some(metric) = known.iter().find(|metric| metric.name() == map.to) {
            let mut wanted = metric.spec().keys;
            let mut given = keys;
            wanted.sort();
            given.sort();
            if wanted != given {
                let told = if wanted.is_empty() { "none".to_owned() } else { format!("`{}`", wanted.join("`, `")) };
                return Err(Fault::new("to", format!("`{}` has other labels; those that it has: {told}", map.to)));
            }
            let stray = [("kind", map.kind.is_some()), ("unit", map.unit.is_some()), ("help", map.help.is_some())];
            if let Some((key, _)) = stray.into_iter().find(|(_, is_there)| *is_there) {
                return Err(Fault::new(key, format!("`{}` has it already", map.to)));
            }
            return Ok(Self::Known(*metric));
        }
        let is_total = |text: &String| TOTALS.iter().any(|end| text.split('{').next().unwrap_or_default().trim_end().ends_with(end));
        let usual = if map.from.0.iter().all(is_total) { Kind::Counter } else { Kind::Gauge };
        let spec = MetricSpec {
            name: map.to.clone(),
            kind: map.kind.unwrap_or(usual),
            unit: map.unit.unwrap_or(Unit::Number),
            help: map.help.clone().unwrap_or_else(|| format!("{}, as the server publishes it.", map.from.0.join(" and "))),
            keys,
        };
        spec.fault().map_or(Ok(Self::Own(spec)), |why| Err(Fault::new("to", why)))
    }
}

/// What the samples of one page come to.
pub(crate) struct Tally<'a> {
    maps: Vec<Counted<'a>>,
}

/// What one map has met.
struct Counted<'a> {
    mapping: &'a Mapping,
    /// How often each selector was met.
    met: Vec<u32>,
    shown: bool,
    /// The sum by the values of `by`.
    sums: BTreeMap<Vec<String>, f64>,
}

/// What a page did not have.
pub(crate) struct Missing {
    /// For the log: what is optional.
    pub(crate) told: Option<String>,
    /// The run's failure.
    pub(crate) fails: Option<AgentError>,
}

impl<'a> Tally<'a> {
    /// Nothing yet.
    pub(crate) fn of(mappings: &'a [Mapping]) -> Self {
        let counted = |mapping: &'a Mapping| Counted { mapping, met: vec![0; mapping.from.len()], shown: false, sums: BTreeMap::new() };
        Self { maps: mappings.iter().map(counted).collect() }
    }

    /// Takes a sample.
    ///
    /// Errors: what is wrong with its standing there.
    pub(crate) fn take(&mut self, sample: &Sample<'_>) -> Result<(), String> {
        self.maps.iter_mut().try_for_each(|counted| counted.take(sample))
    }

    /// Leaves the samples; tells what was not there.
    ///
    /// Errors: those of a metric that the host does not take.
    pub(crate) fn record(&self, cx: &Cx) -> Result<Missing, AgentError> {
        let mut missing: Vec<&Counted<'_>> = Vec::new();
        for counted in &self.maps {
            if counted.is_missing() {
                missing.push(counted);
            } else if counted.sums.is_empty() && counted.mapping.by.is_empty() {
                counted.mapping.record(cx, &[], 0.0)?;
            }
            // An unknown is recorded nowhere: what is NaN would be refused and counted as a fault of ours.
            let known = counted.sums.iter().filter(|(_, sum)| sum.is_finite() && !counted.is_missing());
            known.into_iter().try_for_each(|(by, sum)| counted.mapping.record(cx, by, *sum))?;
        }
        let nothing = missing.len() == self.maps.len();
        let (optional, needed): (Vec<&Counted<'_>>, Vec<_>) = missing.into_iter().partition(|counted| counted.mapping.optional);
        let told = (!optional.is_empty()).then(|| format!("the server does not publish {}", names(&optional)));
        let fails = match (needed.is_empty(), nothing) {
            (false, _) => Some(AgentError::protocol(format!("the page has no {}", names(&needed)))),
            (true, true) => Some(AgentError::protocol(format!("the page has nothing of what was expected: {}", names(&optional)))),
            (true, false) => None,
        };
        Ok(Missing { told, fails })
    }
}

impl Counted<'_> {
    fn take(&mut self, sample: &Sample<'_>) -> Result<(), String> {
        self.shown |= self.mapping.zero_if.as_ref().is_some_and(|shows| shows.means(sample));
        for (selector, met) in self.mapping.from.iter().zip(&mut self.met) {
            if !selector.means(sample) {
                continue;
            }
            *met = met.saturating_add(1);
            if *met > 1 && !selector.is_open() {
                return Err(format!("{selector} stands there twice"));
            }
            let by = self.mapping.by.iter().map(|key| sample.label(key).unwrap_or_default().to_owned()).collect();
            if self.sums.len() == SERIES_MAX && !self.sums.contains_key(&by) {
                return Err(format!("more than {SERIES_MAX} series of {selector}"));
            }
            let sum = self.sums.entry(by).or_default();
            // Infinities are as unknown as NaN; two of them must not come to a number.
            *sum += if sample.value.is_finite() { sample.value } else { f64::NAN };
        }
        Ok(())
    }

    /// A sum of which a part is not there is unknown, unless its absence means 0.
    fn is_missing(&self) -> bool {
        !self.shown && self.met.contains(&0)
    }
}

fn names(missing: &[&Counted<'_>]) -> String {
    let absent = |counted: &&Counted<'_>| -> Vec<String> {
        let met = counted.mapping.from.iter().zip(&counted.met);
        met.filter(|(_, met)| **met == 0).map(|(selector, _)| selector.to_string()).collect()
    };
    let all: Vec<String> = missing.iter().flat_map(absent).collect();
    match all.len().checked_sub(TOLD_MAX) {
        None | Some(0) => all.join(", "),
        Some(more) => format!("{}, and {more} more", all[..TOLD_MAX].join(", ")),
    }
}

/// The error of a page that could not be understood.
pub(crate) fn not_understood(why: impl Into<String>) -> AgentError {
    AgentError::new(ErrorKind::PROTOCOL, why.into()).context("the page is not understood")
}

#[cfg(test)]
mod tests;
