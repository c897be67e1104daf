//! What events make of alarms: those of agents with their readings, and those of the host.
//!
//! That it has been quiet is known by readings, not by clocks: a job that is not measured says nothing of its events.

use std::time::Duration;

use watchpost_plugin_api::Severity;

use super::{Ledger, judging::holds};
use crate::{
    alarm::{
        bound::Bound,
        judge::Memory,
        life::Input,
        limit::Of,
        recent::{Counting, Heard},
        record::{Origin, Subject},
        seat::Named,
        x733::{EventType, ProbableCause},
    },
    config::{AlarmRule, EventPattern, LooksAt, SEVERITIES},
    console::readable,
    reading::{HostEvent, Reading, Shape},
    series::{
        meant::{HOST, label_of},
        selector::{NAME_LABEL, Selector},
    },
};

/// What events are called where series have a name.
const EVENTS: &str = "events";
/// How codes of events begin that tell of alarms: these raise none.
const OF_ALARMS: &str = "alarm_";
/// Nanoseconds of a second.
const SECOND_NS: i64 = 1_000_000_000;

/// An event, whoever gave it.
struct Event<'e> {
    agent: &'e str,
    severity: Severity,
    code: &'e str,
    text: &'e str,
}

impl Ledger {
    /// Takes the events of a reading.
    pub(super) fn hear(&mut self, reading: &Reading, now_ns: i64) {
        let watch = self.watch.clone();
        let Some((shape, rules)) = watch.listens_to(&reading.job) else { return };
        for (rule, pattern) in rules.iter().filter_map(|rule| Some((rule, pattern_of(rule)?))) {
            let counting = Counting::of(rule, pattern);
            for event in &reading.outcome.events {
                let event = Event { agent: &shape.agent, severity: event.severity, code: &event.code, text: &event.text };
                self.heard((rule, pattern, &counting), Some(shape), &event, now_ns);
            }
            if reading.outcome.status.is_ok() {
                self.settle((rule, pattern, &counting), &reading.job, now_ns);
            }
        }
    }

    /// Takes an event of the host at its place in the journal; what tells of alarms makes none.
    pub fn take_event(&mut self, position: u64, event: &HostEvent) {
        if position < self.position {
            return;
        }
        self.pass(position);
        if event.code.starts_with(OF_ALARMS) {
            return;
        }
        let (watch, time_ns) = (self.watch.clone(), event.time_ns);
        let job = event.job.as_deref().unwrap_or_default();
        let (shape, rules) = match watch.listens_to(job) {
            Some((shape, rules)) => (Some(shape), rules),
            None => (None, watch.listens_to_host()),
        };
        let event = Event { agent: HOST, severity: event.severity, code: &event.code, text: &event.text };
        for (rule, pattern) in rules.iter().filter_map(|rule| Some((rule, pattern_of(rule)?))) {
            self.heard((rule, pattern, &Counting::of(rule, pattern)), shape, &event, time_ns);
        }
    }

    /// Ends what events of the host alone raised, once it has been quiet.
    pub(super) fn settle_host(&mut self, now_ns: i64) {
        if !self.memories.contains_key("") {
            return;
        }
        let watch = self.watch.clone();
        for (rule, pattern) in watch.listens_to_host().iter().filter_map(|rule| Some((rule, pattern_of(rule)?))) {
            self.settle((rule, pattern, &Counting::of(rule, pattern)), "", now_ns);
        }
    }

    fn heard(&mut self, listens: Listens<'_>, shape: Option<&Shape>, event: &Event<'_>, now_ns: i64) {
        let (rule, pattern, counting) = listens;
        let now_s = now_ns.div_euclid(SECOND_NS);
        let clears = pattern.cleared_by.as_ref().is_some_and(|clear| is_meant(&clear.value, shape, event));
        if !clears && (!is_meant(&pattern.event.value, shape, event) || !holds(rule, now_ns)) {
            return;
        }
        let job = shape.map_or("", |shape| &shape.job);
        let named = named(rule, pattern, job);
        let heard =
            self.recall(&named, |memory| if clears { memory.events.clear() } else { memory.events.hear(now_s, event.severity, counting) });
        match heard {
            Heard::Nothing => {}
            Heard::Well => {
                self.say_over(&named.key, Some(&crate::plain(&format!("{}: {}", event.code, event.text))));
                self.step(&named.key, &Input::Well, now_ns, None);
            }
            Heard::Trouble(severity) => {
                let bound = bound(rule, severity);
                let count = bound.and_then(|(_, window)| {
                    let memory = self.memories.get(job)?.get(&named.within_job)?;
                    Some((memory.events.count(now_s, i64::try_from(window.as_secs()).unwrap_or(i64::MAX)), window))
                });
                let mut subject = subject(rule, &named, shape, event);
                let what = rule.alias.as_deref().unwrap_or(event.code);
                let of = if job.is_empty() { String::new() } else { format!(" of {job}") };
                let text = match (count, bound) {
                    (Some((count, window)), Some((bound, _))) => {
                        let counted = format!("{count} events in {}", readable::duration(window.as_secs_f64()));
                        let text = format!("{counted}{of}, {bound}; the last is {}: {}", event.code, event.text);
                        subject.value = Some(counted);
                        text
                    }
                    _ => format!("{what}{of}: {}", event.text),
                };
                subject.text = crate::plain(&text);
                subject.bound = bound.map(|(bound, _)| bound.to_string());
                self.about(&named.key, subject, now_ns, &Input::Trouble(severity));
            }
        }
    }

    /// Lets time do what it does to what events raised.
    fn settle(&mut self, (rule, pattern, counting): Listens<'_>, job: &str, now_ns: i64) {
        let named = named(rule, pattern, job);
        if !self.memories.get(job).is_some_and(|memories| memories.contains_key(&named.within_job)) {
            return;
        }
        let input = match self.recall(&named, |memory| memory.events.settle(now_ns.div_euclid(SECOND_NS), counting)) {
            Heard::Nothing => return,
            Heard::Well => {
                self.say_over(&named.key, None);
                Input::Well
            }
            Heard::Trouble(severity) => Input::Trouble(severity),
        };
        self.step(&named.key, &input, now_ns, None);
    }

    /// Has a memory changed, and kept.
    fn recall(&mut self, named: &Named, change: impl FnOnce(&mut Memory) -> Heard) -> Heard {
        let (job, rule, series) = &named.place;
        let known = self.memories.get(job).and_then(|memories| memories.get(&named.within_job));
        let before = known.cloned().unwrap_or_default();
        let mut memory = before.clone();
        let heard = change(&mut memory);
        if memory != before {
            self.remember(job, rule, series, memory);
        }
        heard
    }
}

/// A rule, its events, and how it counts them.
type Listens<'r> = (&'r AlarmRule, &'r EventPattern, &'r Counting);

fn pattern_of(rule: &AlarmRule) -> Option<&EventPattern> {
    if let LooksAt::Events(pattern) = &rule.looks_at { Some(pattern) } else { None }
}

fn is_meant(selector: &Selector, shape: Option<&Shape>, event: &Event<'_>) -> bool {
    selector.matches(|label| match label {
        NAME_LABEL | "code" => Some(event.code),
        "severity" => Some(SEVERITIES.iter().find(|(known, _)| *known == event.severity).map_or("indeterminate", |(_, word)| word)),
        "text" => Some(event.text),
        "agent" => Some(event.agent),
        other => shape.and_then(|shape| label_of(shape, other)),
    })
}

/// What a rule's alarm of a job's events is called: by their code, where it asks for one.
pub(super) fn named(rule: &AlarmRule, pattern: &EventPattern, job: &str) -> Named {
    let code = pattern.event.value.fixed().find(|(label, code)| (*label == NAME_LABEL || *label == "code") && !code.is_empty());
    let own = code.map(|(_, code)| ("code".to_owned(), code.to_owned())).into_iter().collect();
    Named::new(job, &rule.name.value, EVENTS, own)
}

/// The bound of a severity, and the window in which events are counted.
fn bound(rule: &AlarmRule, severity: Severity) -> Option<(&Bound, Duration)> {
    let place = SEVERITIES.iter().position(|(known, _)| *known == severity)?;
    let bound = &rule.bounds.get(place)?.as_ref()?.value;
    if let Of::Events(window) = bound.of() { Some((bound, window)) } else { None }
}

fn subject(rule: &AlarmRule, named: &Named, shape: Option<&Shape>, event: &Event<'_>) -> Subject {
    let (job, _, series) = &named.place;
    Subject {
        key: named.key.clone(),
        origin: Origin::Rule,
        rule: rule.name.value.clone(),
        agent: shape.map_or(HOST, |shape| &shape.agent).to_owned(),
        job: job.clone(),
        target: shape.map(|shape| shape.target.clone()).unwrap_or_default(),
        labels: shape.map_or(&[][..], |shape| &shape.labels).iter().chain(&named.own).cloned().collect(),
        series: series.clone(),
        event_type: rule.event_type.unwrap_or(EventType::ProcessingError),
        cause: rule.cause.unwrap_or(ProbableCause::ApplicationSubsystem),
        value: Some(event.code.to_owned()),
        bound: None,
        text: String::new(),
        instruction: rule.instruction.clone(),
        link: rule.link.clone(),
    }
}
