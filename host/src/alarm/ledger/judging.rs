//! What readings make of alarms: every value that a rule looks at, and series that give none.

use std::time::{Duration, Instant};

use watchpost_plugin_api::{Severity, Unit};
use watchpost_services::outcome::Status;

use super::{Ledger, beginning::Beginning};
use crate::{
    alarm::{
        awaited::Awaited,
        baseline::Usual,
        bound::PER,
        history::History,
        judge::{Finding, Memory},
        life::{Input, Stage},
        limit::Of,
        record::{MISSING, Origin, Subject, key, usual_kind},
        seat::{Named, Seat},
        watch::{Sight, patience},
    },
    config::{AlarmRule, SEVERITIES},
    console::readable,
    reading::{Reading, Silence},
    series::layout::UP,
};

/// Series that are remembered to have had their past looked for, at most: label sets come and go. Then all are looked for once more.
const BEGUN_MAX: usize = 200_000;

impl Ledger {
    /// Takes a reading at its place in the journal; one that was taken before is passed over.
    pub fn take(&mut self, position: u64, reading: &Reading) {
        if position < self.position {
            return;
        }
        self.position = position + 1;
        let watch = self.watch.clone();
        let now_ns = reading.outcome.started_ns.saturating_add(i64::try_from(reading.outcome.duration_ns).unwrap_or(0));
        self.passing.reach(now_ns);
        self.awaiting.hear(reading, self.passing.now());
        self.hear(reading, now_ns);
        self.join(reading, now_ns);
        // They are nobody else's while it is looked at them.
        let mut seats = std::mem::take(&mut self.seats);
        watch.look(reading, &mut seats, |sight, seat| self.see(&sight, seat, reading, now_ns));
        self.seats = seats;
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

    fn see(&mut self, sight: &Sight<'_>, seat: &mut Seat, reading: &Reading, now_ns: i64) {
        // Most values are well, and nothing is remembered of their series.
        if sight.is_plain() && !seat.is_remembered && sight.limits().judge(|_| Some(sight.value)).is_some_and(|seen| seen.level == 0) {
            return;
        }
        let named = seat.named(|| sight.named());
        let now = self.passing.now();
        if sight.is_absence() && !(seat.is_awaited && self.awaiting.saw_again(&named.place, reading, now)) {
            self.awaiting.saw(named.place.clone(), awaited(sight, &named, now), reading);
            seat.is_awaited = true;
        }
        let job = &named.place.0;
        let usual = self.usual(sight, &named, reading.slot);
        let of_job = match self.memories.get_mut(job) {
            Some(of_job) => of_job,
            None => self.memories.entry(job.clone()).or_default(),
        };
        if !of_job.contains_key(&named.within_job) {
            of_job.insert(named.within_job.clone(), Memory::default());
        }
        let Some(memory) = of_job.get_mut(&named.within_job) else { return };
        let before = memory.standing();
        let is_newer = !sight.has_history() || memory.history.take(reading.slot, sight.value, sight.is_total(), sight.limits().reach());
        if sight.has_history() && !seat.has_begun {
            seat.has_begun = true;
            // A seat of what only a run declares lasts no longer than it.
            if self.begun_once.len() >= BEGUN_MAX {
                self.begun_once.clear();
            }
            if self.begun_once.insert(named.place.clone()) {
                let begun = memory.history.span().and_then(|span| Beginning::of(sight, &named, span));
                Self::begins(&mut self.beginnings, begun);
            }
        }
        let figure = |history: &History, of: Of| figure(of, sight, history, usual).filter(|_| is_newer);
        let seen = sight.limits().judge(|of| figure(&memory.history, of));
        let finding = seen.map_or(Finding::Nothing, |seen| {
            // Outside its hours a rule raises nothing; that all is well it may see.
            if seen.level > 0 && !holds(sight.rule, now_ns) { Finding::Nothing } else { memory.take(seen, patience(sight.rule)) }
        });
        let of = sight.limits().looked_at_for(if let Finding::Trouble(severity) = finding { Some(severity) } else { None });
        let told = figure(&memory.history, if of == Of::Deviation { Of::Value } else { of }).map(|figure| (of, figure));
        let (has_changed, is_blank) = (memory.standing() != before || memory.history.is_due(), memory.is_blank());
        if is_blank {
            of_job.remove(&named.within_job);
            if of_job.is_empty() {
                self.memories.remove(job);
            }
        }
        seat.is_remembered = !is_blank;
        if has_changed {
            self.changed_memories.insert(named.place.clone());
        }
        let told = told.map(|(of, figure)| Shown::new(figure, of, (sight.spec.unit, sight.is_total())));
        match finding {
            Finding::Nothing => {}
            Finding::Trouble(severity) => {
                let mut text = text(sight, &named.place.2, &reading.outcome.status, (severity, told.as_ref()));
                text.extend(usual.map(|usual| beside(usual, sight)));
                let mut subject = subject(sight, &named, (told.map(|told| told.value), text));
                subject.bound = sight.bound(severity);
                let seen = (reading.outcome.started_ns, patience(sight.rule).times);
                self.about_seen(&named.key, subject, now_ns, &Input::Trouble(severity), seen);
            }
            Finding::Well => {
                if let Some(alarm) = self.alarms.get_mut(&named.key) {
                    if alarm.life.stage == Stage::Active {
                        alarm.subject.text = over(sight, &named.place.2, told.as_ref(), alarm.subject.bound.as_deref());
                    }
                    alarm.subject.value = told.map(|told| told.value);
                }
                self.step(&named.key, &Input::Well, now_ns, None);
            }
        }
    }

    /// What is usual of a series at the time of a slot, if its rule asks and that is known.
    pub(super) fn usual(&self, sight: &Sight<'_>, named: &Named, slot: i64) -> Option<Usual> {
        if !sight.asks_what_is_usual() {
            return None;
        }
        let (job, _, series) = &named.place;
        self.baselines.of(sight.rule, job, series)?.at(slot)
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
pub(super) fn awaited(sight: &Sight<'_>, named: &Named, now: Instant) -> Awaited {
    let subject = subject(sight, named, (None, String::new()));
    Awaited::new(sight.rule.clone(), sight.absences(), subject, now)
}

/// What a limit looks at, of a value that has just come.
pub(super) fn figure(of: Of, sight: &Sight<'_>, history: &History, usual: Option<Usual>) -> Option<f64> {
    let step_s = i64::from(sight.shape.step_s);
    let value = || {
        let rate = Of::Rate(Duration::from_secs(1), None);
        if sight.is_total() { history.figure(rate, step_s, sight.limits().reach()) } else { Some(sight.value) }
    };
    match of {
        Of::Value => value(),
        // While nothing is known to be usual, nothing is unusual, nor usual again.
        Of::Deviation => Some(usual?.distance(value()?)),
        // It is there.
        Of::Absence => Some(0.0),
        _ => history.figure(of, step_s, sight.limits().reach()),
    }
}

/// Whether a rule may raise something now.
pub(super) fn holds(rule: &AlarmRule, now_ns: i64) -> bool {
    rule.hours.as_ref().is_none_or(|hours| hours.hold(now_ns.div_euclid(1_000_000_000), rule.zone))
}

/// A figure that a rule looked at, as people read it.
pub(super) struct Shown {
    /// What the series does: "is", "changed by".
    pub(super) verb: &'static str,
    pub(super) value: String,
}

impl Shown {
    /// `unit`: that of the values, and whether they are for each second.
    pub(super) fn new(figure: f64, of: Of, (unit, per_second): (Unit, bool)) -> Self {
        let span = |span: Duration| readable::duration(span.as_secs_f64());
        let sign = if figure > 0.0 { "+" } else { "" };
        let (verb, value) = match of {
            Of::Change(window) => ("changed by", format!("{sign}{} in {}", readable::value(figure, unit), span(window))),
            Of::RelativeChange(window) => ("changed by", format!("{sign}{} in {}", readable::value(figure, Unit::Ratio), span(window))),
            Of::Rate(per, _) => {
                let word = PER.iter().find(|(_, seconds)| *seconds == per.as_secs()).map_or("s", |(word, _)| word);
                let rate = readable::value(figure * per.as_secs_f64(), unit);
                (if per_second { "rises by" } else { "changes by" }, format!("{rate}/{word}"))
            }
            Of::Forecast(ahead, _) => ("will be", format!("{} in {}", readable::value(figure, unit), span(ahead))),
            Of::Value | Of::Deviation | Of::Absence | Of::Events(_) => {
                let value = readable::value(figure, unit);
                ("is", if per_second { format!("{value}/s") } else { value })
            }
        };
        Self { verb, value }
    }
}

/// What is usual beside a value, in words: two deviations to either side, which most values are within.
fn beside(usual: Usual, sight: &Sight<'_>) -> String {
    let (low, high) = usual.band(2.0);
    let shown = |value| Shown::new(value, Of::Value, (sight.spec.unit, sight.is_total())).value;
    format!("; usual now {} to {}", shown(low), shown(high))
}

/// A sentence about trouble that is over.
fn over(sight: &Sight<'_>, series: &str, told: Option<&Shown>, bound: Option<&str>) -> String {
    let Sight { rule, shape, spec, .. } = sight;
    let job = &shape.job;
    if spec.name == UP && rule.alias.is_none() && sight.value > 0.0 {
        return crate::plain(&format!("{job} ({}) is up again", shape.target));
    }
    let what = rule.alias.as_deref().unwrap_or(series);
    if sight.is_absence() {
        return crate::plain(&format!("{what} of {job} has a value again"));
    }
    let (verb, value) = told.map_or(("is", "well"), |told| (told.verb, &told.value));
    let was = bound.map(|bound| format!(", no longer {bound}")).unwrap_or_default();
    crate::plain(&format!("{what} of {job} {verb} {value}{was}"))
}

/// A sentence about trouble.
fn text(sight: &Sight<'_>, series: &str, status: &Status, (severity, told): (Severity, Option<&Shown>)) -> String {
    let Sight { rule, shape, spec, .. } = sight;
    let text = match status {
        Status::Failed { kind, message } if spec.name == UP && rule.alias.is_none() => {
            format!("{} ({}) is down: {}: {}", shape.job, shape.target, kind.name(), message)
        }
        _ => {
            let bound = sight.bound(severity);
            let what = rule.alias.as_deref().unwrap_or(series);
            let (verb, value) = told.map_or(("is", "unknown"), |told| (told.verb, &told.value));
            format!("{what} of {} {verb} {value}, {}", shape.job, bound.as_deref().unwrap_or("too bad"))
        }
    };
    crate::plain(&text)
}

fn subject(sight: &Sight<'_>, named: &Named, (value, text): (Option<String>, String)) -> Subject {
    let Sight { rule, shape, spec, .. } = sight;
    let (event_type, cause) = if sight.is_absence() { MISSING } else { usual_kind(spec) };
    Subject {
        key: named.key.clone(),
        origin: Origin::Rule,
        rule: rule.name.value.clone(),
        agent: shape.agent.clone(),
        job: shape.job.clone(),
        target: shape.target.clone(),
        labels: shape.labels.iter().chain(&named.own).cloned().collect(),
        series: named.place.2.clone(),
        event_type: rule.event_type.unwrap_or(event_type),
        cause: rule.cause.unwrap_or(cause),
        value,
        bound: None,
        text,
        instruction: rule.instruction.clone(),
        link: rule.link.clone(),
    }
}
