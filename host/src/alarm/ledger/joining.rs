//! What expressions over several series make of alarms.

use std::sync::Arc;

use super::{
    Ledger,
    beginning::Beginning,
    judging::{Shown, holds},
};
use crate::{
    alarm::{
        judge::{Finding, Memory},
        life::Input,
        limit::Of,
        record::{Origin, Subject},
        seat::Named,
        together::{Groups, Sum, Together},
        watch::{bound, patience},
        x733::{EventType, ProbableCause},
    },
    console::readable,
    reading::{Reading, Shape},
};

/// Series of one name that are told one by one, at most.
const TOLD_MAX: usize = 3;

impl Ledger {
    /// Takes a reading to the expressions that its job has a part in.
    pub(super) fn join(&mut self, reading: &Reading, now_ns: i64) {
        let watch = self.watch.clone();
        let Some((shape, rules)) = watch.joins(&reading.job) else { return };
        for together in rules {
            // A threshold is its job's alone.
            let place = (together.rule.name.value.clone(), together.rule.of_job.clone());
            let mut groups: Groups = self.groups.remove(&place).unwrap_or_default();
            for sum in groups.take(together, shape, reading) {
                self.judge_sum(together, shape, (&sum, &groups), reading, now_ns);
            }
            self.groups.insert(place, groups);
        }
    }

    fn judge_sum(&mut self, together: &Arc<Together>, shape: &Shape, (sum, groups): (&Sum, &Groups), reading: &Reading, now_ns: i64) {
        let rule = &together.rule;
        let Some(named) = named(together, shape, &sum.group) else { return };
        let job = named.place.0.as_str();
        let is_of_job = !job.is_empty();
        let known = self.memories.get(job).and_then(|memories| memories.get(&named.within_job));
        let before = known.cloned().unwrap_or_default();
        let mut memory: Memory = before.clone();
        let (step_s, reach) = (i64::from(shape.step_s), together.limits.reach());
        let has_history = together.limits.looked_at().any(Of::has_history);
        let is_newer = match sum.value {
            Some(value) if has_history => memory.history.take(reading.slot, value, false, reach),
            value => value.is_some(),
        };
        if let Some(span) = memory.history.span().filter(|_| has_history)
            && self.begun_once.insert(named.place.clone())
        {
            let series = || groups.members(&sum.group);
            Self::begins(&mut self.beginnings, Beginning::of_sum(together, &named, series, span, shape.step_s));
        }
        let figure = |memory: &Memory, of: Of| match of {
            _ if !is_newer => None,
            Of::Value => sum.value,
            of => memory.history.figure(of, step_s, reach),
        };
        let seen = together.limits.judge(|of| figure(&memory, of));
        let finding = seen.map_or(Finding::Nothing, |seen| {
            if seen.level > 0 && !holds(rule, now_ns) { Finding::Nothing } else { memory.take(seen, patience(rule)) }
        });
        let severity = if let Finding::Trouble(severity) = finding { Some(severity) } else { None };
        let of = together.limits.looked_at_for(severity);
        let shown = figure(&memory, of).map(|figure| Shown::new(figure, of, together.unit));
        if memory != before {
            let (job, rule, series) = &named.place;
            self.remember(job, rule, series, memory);
        }
        let what = rule.alias.clone().unwrap_or_else(|| named.place.2.clone());
        let of_job = if job.is_empty() { String::new() } else { format!(" of {job}") };
        let (verb, value) = shown.as_ref().map_or(("is", "unknown"), |shown| (shown.verb, &shown.value));
        match finding {
            Finding::Nothing => {}
            Finding::Well => {
                if let Some(alarm) = self.alarms.get_mut(&named.key) {
                    let was = alarm.subject.bound.as_ref().map(|bound| format!(", no longer {bound}")).unwrap_or_default();
                    alarm.subject.text = crate::plain(&format!("{what}{of_job} {verb} {value}{was}"));
                    alarm.subject.value = shown.map(|shown| shown.value);
                }
                self.step(&named.key, &Input::Well, now_ns, None);
            }
            Finding::Trouble(severity) => {
                let bound: Option<String> = bound(&rule.bounds, severity);
                let parts = parts(together, sum);
                let text = format!("{what}{of_job} {verb} {value}, {}; {parts}", bound.as_deref().unwrap_or("too bad"));
                let shape = Some(shape).filter(|_| is_of_job);
                let subject = Subject {
                    key: named.key.clone(),
                    origin: Origin::Rule,
                    rule: rule.name.value.clone(),
                    agent: shape.map(|shape| shape.agent.clone()).unwrap_or_default(),
                    job: job.to_owned(),
                    target: shape.map(|shape| shape.target.clone()).unwrap_or_default(),
                    labels: shape.map_or(&[][..], |shape| &shape.labels).iter().chain(&named.own).cloned().collect(),
                    series: named.place.2.clone(),
                    event_type: rule.event_type.unwrap_or(EventType::QualityOfService),
                    cause: rule.cause.unwrap_or(ProbableCause::ThresholdCrossed),
                    value: shown.map(|shown| shown.value),
                    bound,
                    text: crate::plain(&text),
                    instruction: rule.instruction.clone(),
                    link: rule.link.clone(),
                };
                self.about(&named.key, subject, now_ns, &Input::Trouble(severity));
            }
        }
    }
}

/// What belongs together is called, by the labels that it has in common.
pub(super) fn named(together: &Together, shape: &Shape, group: &[String]) -> Option<Named> {
    let labels = together.by.iter().cloned().zip(group.iter().cloned());
    let is_of_job = together.by.iter().any(|label| label == "job");
    let is_own =
        |label: &str| !is_of_job || !["agent", "job", "target"].contains(&label) && shape.labels.iter().all(|(key, _)| key != label);
    let own: Vec<(String, String)> = labels.filter(|(label, _)| is_own(label)).collect();
    let job = if is_of_job { &shape.job } else { "" };
    Some(Named::new(job, &together.rule.name.value, &together.expression()?.formula.value.to_string(), own))
}

/// What an expression was calculated from, in words: "deferred 60 messages, active 40 messages".
fn parts(together: &Together, sum: &Sum) -> String {
    let Some(expression) = together.expression() else { return String::new() };
    let names = expression.formula.value.names().iter().zip(&sum.parts).zip(&together.of_names);
    let told = names.map(|((name, values), (unit, per_second))| {
        let shown = |value: &Option<f64>| {
            let value = value.map_or_else(|| "unknown".to_owned(), |value| readable::value(value, *unit));
            if *per_second { format!("{value}/s") } else { value }
        };
        let first: Vec<String> = values.iter().take(TOLD_MAX).map(shown).collect();
        let more = values.len().saturating_sub(TOLD_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{name} {}{more}", first.join(" + "))
    });
    told.collect::<Vec<_>>().join(", ")
}
