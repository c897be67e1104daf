//! What a rule looks at: series, events, or several series together.

use std::time::Duration;

use super::{RawAlarmRule, check_metric};
use crate::{
    alarm::{formula::Formula, limit::Of},
    config::{
        At, Fault, Faults, Place, Rule,
        near::did_you_mean,
        reader::{Field, Reader, Texts, misshapen},
        row::check_series,
        text::{Data, Table},
        timing::check_span,
    },
    series::selector::Selector,
};

/// Without an event for so long, what events raised is over, unless it is said.
const QUIET: Duration = Duration::from_secs(3_600);
/// The same, where another event says that it is over: it may be lost.
const QUIET_BESIDE_CLEAR: Duration = Duration::from_secs(86_400);
/// Events that are counted, at most.
const EVENTS_MAX: f64 = 1_000.0;

/// What a rule looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum LooksAt {
    /// Each of these series.
    Series(At<Selector>),
    /// Events of agents and of the host.
    Events(EventPattern),
    /// Several series together.
    Expression(SeriesExpression),
}

/// Which events make trouble, and what ends it.
#[derive(Clone, Debug, PartialEq)]
pub struct EventPattern {
    /// Those that do, by `code`, `severity`, `text` and the labels of their job.
    pub event: At<Selector>,
    /// Those that say that it is over.
    pub cleared_by: Option<At<Selector>>,
    /// Without an event for so long it is over; nothing where bounds count events.
    pub quiet: Option<Duration>,
}

/// An expression, and what its names stand for.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesExpression {
    /// What is calculated.
    pub formula: At<Formula>,
    /// The series of each of its names, in the order of the names.
    pub series: Vec<At<Selector>>,
    /// The labels whose values series have in common that belong together; nothing: those that all of them have.
    pub by: Option<Vec<String>>,
}

/// The same as written.
#[derive(Debug)]
pub(super) struct RawLooksAt {
    pub(super) metric: Field<String>,
    series: Field<Data>,
    pub(super) event: Field<String>,
    cleared_by: Field<String>,
    quiet: Field<String>,
    expression: Field<String>,
    by: Field<Texts>,
}

impl LooksAt {
    /// The series, where it looks at each by itself.
    pub fn series(&self) -> Option<&At<Selector>> {
        if let Self::Series(series) = self { Some(series) } else { None }
    }

    /// All selectors of series or events.
    pub fn selectors(&self) -> Vec<&At<Selector>> {
        match self {
            Self::Series(series) => vec![series],
            Self::Events(pattern) => vec![&pattern.event],
            Self::Expression(expression) => expression.series.iter().collect(),
        }
    }

    /// What people read of it.
    pub fn shown(&self) -> String {
        match self {
            Self::Series(series) => series.value.to_string(),
            Self::Events(pattern) => {
                let ends = pattern.cleared_by.as_ref().map(|ends| format!(" until {}", ends.value)).unwrap_or_default();
                format!("events {}{ends}", pattern.event.value)
            }
            Self::Expression(expression) => {
                let names = expression.formula.names().iter().zip(&expression.series);
                let names: Vec<String> = names.map(|(name, series)| format!("{name} = {}", series.value)).collect();
                format!("{} with {}", expression.formula.value, names.join(", "))
            }
        }
    }
}

impl RawLooksAt {
    pub(super) fn parse(reader: &mut Reader<'_>, faults: &mut Faults) -> Self {
        Self {
            metric: reader.text("metric", faults),
            series: reader.any("series", faults),
            event: reader.text("event", faults),
            cleared_by: reader.text("cleared_by", faults),
            quiet: reader.text("quiet", faults),
            expression: reader.text("expression", faults),
            by: reader.texts("by", faults),
        }
    }
}

impl RawAlarmRule {
    /// Checks what it looks at; `of_job`: it stands beside its job, and names a metric instead of series.
    pub(super) fn check_looks_at(&self, of_job: bool, faults: &mut Faults) -> Option<LooksAt> {
        let RawLooksAt { metric, series, event, cleared_by, quiet, expression, by } = &self.looks_at;
        if !self.is_one_thing(faults) {
            return None;
        }
        let only = |key: &str, is_there: Option<&Place>, of: &str, faults: &mut Faults| {
            if let Some(place) = is_there {
                faults.push(Fault::new(Rule::AlarmKeyIdle, place, format!("`{key}`: says nothing in a rule that is not over {of}")));
            }
        };
        if !matches!(event, Field::Given(_)) {
            only("cleared_by", place_of(cleared_by), "events", faults);
            only("quiet", place_of(quiet), "events", faults);
        }
        if !matches!(expression, Field::Given(_)) {
            only("by", place_of(by), "an expression", faults);
        }
        match (event, expression) {
            (Field::Broken, _) | (_, Field::Broken) => None,
            (Field::Given(event), _) => self.check_events(event, cleared_by, quiet, faults).map(LooksAt::Events),
            (_, Field::Given(text)) => {
                if let Some(first) = self.overrides.first() {
                    let message = "`override`: says nothing in a rule over an expression";
                    faults.push(Fault::new(Rule::AlarmKeyIdle, &first.place, message).hint("write a rule for each"));
                }
                check_expression(text, series, by, &self.place, faults).map(LooksAt::Expression)
            }
            _ if of_job => {
                let hint = "say what of the job it looks at: metric = \"connect_time\"";
                let metric = metric.clone().required("metric", &self.place, hint, faults)?;
                check_metric(&metric, faults).map(|(_, series)| LooksAt::Series(series))
            }
            _ => {
                let hint = "what it looks at: series = 'up{site=\"paris\"}'";
                let series = series.clone().required("series", &self.place, hint, faults)?;
                match &series.value {
                    Data::Text(text) => check_series(&At { value: text.clone(), place: series.place.clone() }, faults).map(LooksAt::Series),
                    other => {
                        faults.extend(misshapen("series", "a text", other, &series.place));
                        None
                    }
                }
            }
        }
    }

    /// Whether it looks at series, at events or at an expression, and not at two of them.
    fn is_one_thing(&self, faults: &mut Faults) -> bool {
        let RawLooksAt { metric, series, event, expression, .. } = &self.looks_at;
        let own = match (metric, series, expression) {
            (Field::Given(metric), ..) => Some(("metric", &metric.place)),
            (_, Field::Given(series), Field::Absent) => Some(("series", &series.place)),
            _ => None,
        };
        let others = [("event", place_of(event)), ("expression", place_of(expression))];
        let given: Vec<_> = own.into_iter().chain(others.into_iter().filter_map(|(key, place)| Some((key, place?)))).collect();
        if let [(first, _), (second, place), ..] = given[..] {
            let message = format!("`{second}`: the rule looks at `{first}` already");
            faults.push(Fault::new(Rule::AlarmLooksTwice, place, message).hint("write a rule for each"));
            return false;
        }
        true
    }

    fn check_events(
        &self,
        event: &At<String>,
        cleared_by: &Field<String>,
        quiet: &Field<String>,
        faults: &mut Faults,
    ) -> Option<EventPattern> {
        let idle =
            [("raise_after", place_of(&self.raise_after)), ("clear_after", place_of(&self.clear_after)), ("rearm", place_of(&self.rearm))];
        let overrides = self.overrides.first().map(|first| ("override", &first.place));
        for (key, place) in idle.into_iter().filter_map(|(key, place)| Some((key, place?))).chain(overrides) {
            let message = format!("`{key}`: says nothing in a rule over events");
            faults.push(Fault::new(Rule::AlarmKeyIdle, place, message).hint("count them: major = \"> 10 in 5m\""));
        }
        let event = check_pattern("event", event, faults);
        let cleared_by = match cleared_by {
            Field::Absent => Some(None),
            Field::Broken => None,
            Field::Given(text) => check_pattern("cleared_by", text, faults).map(Some),
        };
        let counts = self.said.bounds.iter().any(|bound| !matches!(bound, Field::Absent));
        let quiet = match check_span("quiet", quiet, faults) {
            Field::Given(quiet) if counts => {
                let message = "`quiet`: says nothing beside bounds, whose windows say when it is over";
                faults.push(Fault::new(Rule::AlarmKeyIdle, &quiet.place, message));
                None
            }
            Field::Given(quiet) => Some(Some(quiet.value)),
            Field::Broken => None,
            Field::Absent if counts => Some(None),
            Field::Absent => Some(Some(if cleared_by.as_ref().is_some_and(Option::is_some) { QUIET_BESIDE_CLEAR } else { QUIET })),
        };
        Some(EventPattern { event: event?, cleared_by: cleared_by?, quiet: quiet? })
    }
}

/// Whether a bound looks at what its rule does: events are counted, and values are not.
pub(super) fn fits(looks_at: &LooksAt, key: &str, bound: &At<crate::alarm::bound::Bound>, faults: &mut Faults) -> bool {
    let (written, of) = (&bound.value, bound.of());
    let (why, hint) = match (looks_at, of) {
        (LooksAt::Events(_), Of::Events(_)) => {
            let limit = written.limit(watchpost_plugin_api::Unit::Number).ok();
            let is_sound = limit.is_some_and(|limit| limit.is_crossed(EVENTS_MAX) && !limit.is_crossed(0.0));
            if is_sound {
                return true;
            }
            (format!("is no count of 1 to {EVENTS_MAX} events"), "write \"> 10 in 5m\"".to_owned())
        }
        (LooksAt::Events(_), _) => ("counts no events".to_owned(), "write \"> 10 in 5m\"".to_owned()),
        (_, Of::Events(_)) => {
            ("counts events, and a series has values".to_owned(), format!("write \"change {written}\" for what a value may change by"))
        }
        (LooksAt::Expression(_), Of::Absence | Of::Deviation) => {
            (format!("looks at {}, and an expression is not stored", of.kind()), "write a rule over the series itself".to_owned())
        }
        _ => return true,
    };
    faults.push(Fault::new(Rule::BoundIllegal, &bound.place, format!("`{key}`: \"{written}\" {why}")).hint(hint));
    false
}

fn check_pattern(key: &str, text: &At<String>, faults: &mut Faults) -> Option<At<Selector>> {
    match Selector::parse(text) {
        Ok(selector) => Some(At { value: selector, place: text.place.clone() }),
        Err(error) => {
            let message = format!("`{key}`: \"{}\" selects no events", text.escape_debug());
            faults.push(Fault::new(Rule::EventIllegal, &text.place, message).hint(error.to_string()));
            None
        }
    }
}

fn check_expression(
    text: &At<String>,
    series: &Field<Data>,
    by: &Field<Texts>,
    place: &Place,
    faults: &mut Faults,
) -> Option<SeriesExpression> {
    let formula = match Formula::parse(text) {
        Ok(formula) => Some(At { value: formula, place: text.place.clone() }),
        Err(error) => {
            let message = format!("`expression`: \"{}\" is none", text.escape_debug());
            faults.push(Fault::new(Rule::ExpressionIllegal, &text.place, message).hint(error.to_string()));
            None
        }
    };
    let hint = "say what its names stand for: series = { a = 'queue_size{queue=\"deferred\"}' }";
    let series = series.clone().required("series", place, hint, faults);
    let by = match by {
        Field::Absent => Some(None),
        Field::Broken => None,
        Field::Given(texts) => texts.whole.then(|| Some(texts.items.iter().map(|label| label.value.clone()).collect())),
    };
    let (formula, series) = (formula?, series?);
    let Data::Table(table) = &series.value else {
        faults.extend(misshapen("series", "a table", &series.value, &series.place));
        return None;
    };
    let names = formula.value.names();
    let selectors = names.iter().map(|name| named(name, table, &formula, faults)).collect::<Vec<_>>();
    let mut all_used = true;
    for (name, entry) in table.0.iter().filter(|(name, _)| !names.contains(name)) {
        let message = format!("`series.{}`: the expression has no such name", name.escape_debug());
        let hint = did_you_mean(name, "its names", names.iter().map(String::as_str));
        faults.push(Fault::new(Rule::ExpressionNameUnknown, &entry.key, message).hint(hint));
        all_used = false;
    }
    let selectors: Option<Vec<_>> = selectors.into_iter().collect();
    Some(SeriesExpression { formula: Some(formula).filter(|_| all_used)?, series: selectors?, by: by? })
}

/// The series of a name of an expression.
fn named(name: &str, table: &Table, formula: &At<Formula>, faults: &mut Faults) -> Option<At<Selector>> {
    let Some(at) = table.get(name) else {
        let message = format!("`expression`: nobody says what `{name}` is");
        let hint = format!("name its series: series = {{ {name} = 'queue_size{{queue=\"deferred\"}}' }}");
        faults.push(Fault::new(Rule::ExpressionNameUnknown, &formula.place, message).hint(hint));
        return None;
    };
    match &at.value {
        Data::Text(text) => check_series(&At { value: text.clone(), place: at.place.clone() }, faults),
        other => {
            faults.extend(misshapen(&format!("series.{name}"), "a text", other, &at.place));
            None
        }
    }
}

fn place_of<T>(field: &Field<T>) -> Option<&Place> {
    if let Field::Given(at) = field { Some(&at.place) } else { None }
}
