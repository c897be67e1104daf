//! What readings make of alarms: every value that a rule looks at, and series that give none.

use std::time::Instant;

use watchpost_plugin_api::Severity;
use watchpost_services::outcome::Status;

use super::Ledger;
use crate::{
    alarm::{
        awaited::Awaited,
        baseline::Usual,
        judge::{Finding, Memory},
        life::Input,
        record::{MISSING, Origin, Subject, key, usual_kind},
        watch::Sight,
    },
    config::SEVERITIES,
    console::readable,
    reading::{Reading, Silence},
    schedule::Zone,
    series::{layout::UP, selector::Shown},
};

impl Ledger {
    /// Takes a reading at its place in the journal; one that was taken before is passed over.
    pub fn take(&mut self, position: u64, reading: &Reading) {
        if position < self.position {
            return;
        }
        self.position = position + 1;
        let watch = self.watch.clone();
        let now_ns = reading.outcome.started_ns.saturating_add(i64::try_from(reading.outcome.duration_ns).unwrap_or(0));
        self.awaiting.hear(reading, Instant::now());
        watch.look(reading, |sight| self.see(&sight, reading, now_ns));
        self.look_behind(&watch, reading);
    }

    /// Takes what a job says of readings that will not come.
    pub fn fall_silent(&mut self, position: u64, silence: &Silence) {
        self.awaiting.fall_silent(silence);
        self.pass(position);
    }

    /// Raises what has given no value for too long.
    pub(super) fn miss(&mut self, now_ns: i64, now: Instant) {
        for (place, level) in self.awaiting.missed(now, now_ns) {
            let Some(awaited) = self.awaiting.get(&place).filter(|awaited| awaited.holds(now_ns.div_euclid(1_000_000_000))) else {
                continue;
            };
            let (job, rule, series) = &place;
            let known = self.memories.get(job).and_then(|memories| memories.get(&(rule.clone(), series.clone())));
            let mut memory = known.cloned().unwrap_or_default();
            let Some(severity) = memory.miss(level) else { continue };
            let missed = readable::duration(awaited.missed_for(now).as_secs_f64());
            let mut subject = awaited.subject.clone();
            let place = SEVERITIES.iter().position(|(known, _)| *known == severity);
            subject.bound = place.and_then(|place| awaited.rule.bounds.get(place)?.as_ref()).map(|bound| bound.value.to_string());
            let what = awaited.rule.alias.as_deref().unwrap_or(series);
            subject.text = crate::plain(&format!("no value of {what} of {job} for {missed}"));
            let (job, rule, series) = (job.clone(), rule.clone(), series.clone());
            let key = key(&job, &series, &rule);
            self.remember(&job, &rule, &series, memory);
            self.about(&key, subject, now_ns, &Input::Trouble(severity));
        }
    }

    fn see(&mut self, sight: &Sight<'_>, reading: &Reading, now_ns: i64) {
        if sight.is_absence() {
            let (place, awaited) = awaited(sight);
            self.awaiting.saw(place, awaited, reading);
        }
        let (job, rule) = (sight.shape.job.as_str(), sight.rule.name.value.as_str());
        let known = self.memories.get(job);
        // Most values are well, and nothing is remembered of their series.
        let is_plain = !sight.is_total() && !sight.asks_what_is_usual();
        if is_plain && known.is_none() && sight.judge(sight.value).level == 0 {
            return;
        }
        let own: Vec<(String, String)> = sight.spec.keys.iter().cloned().zip(sight.labels.iter().cloned()).collect();
        let series = Shown { metric: &sight.spec.name, labels: &own }.to_string();
        let before = known.and_then(|memories| memories.get(&(rule.to_owned(), series.clone())));
        let mut memory = before.cloned().unwrap_or_default();
        let value = if sight.is_total() { memory.rate(reading.slot, sight.value) } else { Some(sight.value) };
        let usual = self.usual(sight, job, &series, reading.slot);
        // While nothing is known to be usual, nothing is unusual, nor usual again.
        let known = value.filter(|_| usual.is_some() || !sight.asks_what_is_usual());
        let finding = known.map_or(Finding::Nothing, |value| {
            let seen = usual.map_or_else(|| sight.judge(value), |usual| sight.judge_unusual(usual.distance(value)));
            // Outside its hours a rule raises nothing; that all is well it may see.
            if seen.level > 0 && !holds(sight, now_ns) { Finding::Nothing } else { memory.take(seen, sight.patience()) }
        });
        if before.is_none_or(|before| *before != memory) {
            self.remember(job, rule, &series, memory);
        }
        let key = key(job, &series, rule);
        let input = match finding {
            Finding::Nothing => return,
            Finding::Well => Input::Well,
            Finding::Trouble(severity) => Input::Trouble(severity),
        };
        let shown = value.map(|value| shown(value, sight));
        match input {
            Input::Trouble(severity) => {
                let mut text = text(sight, &series, &reading.outcome.status, (severity, shown.as_deref()));
                text.extend(usual.map(|usual| beside(usual, sight)));
                let mut subject = subject(sight, (own, series), (shown, text));
                subject.bound = bound(sight, severity);
                self.about_seen(&key, subject, now_ns, &input, (reading.outcome.started_ns, sight.patience().times));
            }
            _ => {
                if let Some(alarm) = self.alarms.get_mut(&key) {
                    alarm.subject.value = shown;
                }
                self.step(&key, &input, now_ns, None);
            }
        }
    }

    /// What is usual of a series at the time of a slot, if its rule asks and that is known.
    fn usual(&self, sight: &Sight<'_>, job: &str, series: &str, slot: i64) -> Option<Usual> {
        if !sight.asks_what_is_usual() {
            return None;
        }
        self.baselines.get(&(job.to_owned(), series.to_owned()))?.at(slot)
    }

    pub(super) fn remember(&mut self, job: &str, rule: &str, series: &str, memory: Memory) {
        let known = self.memories.entry(job.to_owned()).or_default();
        let place = (rule.to_owned(), series.to_owned());
        if memory.is_blank() {
            known.remove(&place);
            if known.is_empty() {
                self.memories.remove(job);
            }
        } else {
            known.insert(place, memory);
        }
        self.changed_memories.insert((job.to_owned(), rule.to_owned(), series.to_owned()));
    }
}

/// A series that gives a value, or is to give one, and may be missed.
pub(super) fn awaited(sight: &Sight<'_>) -> ((String, String, String), Awaited) {
    let own: Vec<(String, String)> = sight.spec.keys.iter().cloned().zip(sight.labels.iter().cloned()).collect();
    let series = Shown { metric: &sight.spec.name, labels: &own }.to_string();
    let place = (sight.shape.job.clone(), sight.rule.name.value.clone(), series.clone());
    let subject = subject(sight, (own, series), (None, String::new()));
    (place, Awaited::new(sight.rule.clone(), sight.absences(), subject, Instant::now()))
}

/// Whether a rule may raise something now.
fn holds(sight: &Sight<'_>, now_ns: i64) -> bool {
    let zone: Zone = sight.rule.zone;
    sight.rule.hours.as_ref().is_none_or(|hours| hours.hold(now_ns.div_euclid(1_000_000_000), zone))
}

/// A value as people read it; of a counter what it rises in a second.
fn shown(value: f64, sight: &Sight<'_>) -> String {
    let value = readable::value(value, sight.spec.unit);
    if sight.is_total() { format!("{value}/s") } else { value }
}

/// The bound that was crossed, as it was written.
fn bound(sight: &Sight<'_>, severity: Severity) -> Option<String> {
    let place = SEVERITIES.iter().position(|(known, _)| *known == severity)?;
    sight.bounds().get(place)?.as_ref().map(|bound| bound.value.to_string())
}

/// What is usual beside a value, in words: two deviations to either side, which most values are within.
fn beside(usual: Usual, sight: &Sight<'_>) -> String {
    let (low, high) = usual.band(2.0);
    format!("; usual now {} to {}", shown(low, sight), shown(high, sight))
}

/// A sentence about trouble.
fn text(sight: &Sight<'_>, series: &str, status: &Status, (severity, value): (Severity, Option<&str>)) -> String {
    let Sight { rule, shape, spec, .. } = sight;
    let text = match status {
        Status::Failed { kind, message } if spec.name == UP && rule.alias.is_none() => {
            format!("{} ({}) is down: {}: {}", shape.job, shape.target, kind.name(), message)
        }
        _ => {
            let bound = bound(sight, severity);
            let what = rule.alias.as_deref().unwrap_or(series);
            format!("{what} of {} is {}, {}", shape.job, value.unwrap_or("unknown"), bound.as_deref().unwrap_or("too bad"))
        }
    };
    crate::plain(&text)
}

fn subject(sight: &Sight<'_>, (own, series): (Vec<(String, String)>, String), (value, text): (Option<String>, String)) -> Subject {
    let Sight { rule, shape, spec, .. } = sight;
    let (event_type, cause) = if sight.is_absence() { MISSING } else { usual_kind(spec) };
    Subject {
        key: key(&shape.job, &series, &rule.name.value),
        origin: Origin::Rule,
        rule: rule.name.value.clone(),
        agent: shape.agent.clone(),
        job: shape.job.clone(),
        target: shape.target.clone(),
        labels: shape.labels.iter().cloned().chain(own).collect(),
        series,
        event_type: rule.event_type.unwrap_or(event_type),
        cause: rule.cause.unwrap_or(cause),
        value,
        bound: None,
        text,
        instruction: rule.instruction.clone(),
        link: rule.link.clone(),
    }
}
