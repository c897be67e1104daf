//! The story of a test: values at their times, and what time alone does between them and after.

use std::collections::BTreeSet;

use watchpost_plugin_api::ErrorKind;
use watchpost_services::outcome::{Outcome, Sample, Status};

use super::{CANNOT, SECOND_NS, START_S, Test, Told, What, behind::Behind};
use crate::{
    alarm::{ledger::Ledger, notice::Notice, store::NoOutbox, watch::Watch, x733::severity_name},
    cli::failure::Failure,
    config::{Draft, LooksAt},
    database::DatabaseError,
    reading::{Cause, Reading, Shape},
    series::layout::{RUN_DURATION, UP},
};

/// After the next is due, a value stands for so long as that takes to come, seconds at most.
const LATE_S: i64 = 10;

/// What a test tells.
pub(super) struct Given<'t> {
    pub(super) test: &'t Test,
    pub(super) told: &'t [Told],
    pub(super) behind: &'t [Behind],
    pub(super) step_s: i64,
    /// When it is over, seconds after the first value.
    pub(super) until_s: i64,
}

/// What came of it.
pub(super) struct Story {
    pub(super) lines: Vec<Line>,
    /// The rules that look at its values.
    pub(super) rules: Vec<String>,
}

/// A step of an alarm.
pub(super) struct Line {
    what: String,
    rule: String,
}

impl Line {
    /// As it is told.
    pub(super) fn said(&self) -> String {
        format!("{} by {}", self.what, self.rule)
    }

    /// Whether it is what was expected, where the rule may be left out.
    pub(super) fn is_as(&self, expected: &str) -> bool {
        self.what == expected || self.said() == expected
    }
}

impl Given<'_> {
    /// Lets it happen.
    pub(super) fn story(&self, shape: Shape, draft: &Draft) -> Result<Story, Failure> {
        let folder = tempfile::tempdir().map_err(|error| Failure::of(CANNOT, &error))?;
        let failed = |error: DatabaseError| Failure::of(CANNOT, &error);
        let mut ledger = Ledger::open(folder.path(), Box::new(NoOutbox), 0).map_err(failed)?;
        let start = self.test.start.unwrap_or(START_S);
        ledger.pass_as_said(start.saturating_mul(SECOND_NS));
        ledger.depend(super::behind::depends(self.test, &shape, self.behind, draft));
        let rules = self.rules(&shape, draft);
        let shapes = std::iter::once(shape).chain(self.behind.iter().map(|one| one.shape().clone()));
        ledger.set(Watch::new(&draft.rules, shapes), start.saturating_mul(SECOND_NS));
        let mut notices = Vec::new();
        let readings = self.told.iter().map(|told| told.values.len()).max().unwrap_or(0);
        let mut position = 0;
        for at in 0..i64::try_from(readings).unwrap_or(0) {
            let at_s = start.saturating_add(self.step_s.saturating_mul(at));
            pass(&mut ledger, at_s, &mut notices).map_err(failed)?;
            let others = self.behind.iter().map(|one| self.reading(one.job(), std::slice::from_ref(one.told()), at, at_s));
            for reading in others.chain([self.reading(&self.test.job, self.told, at, at_s)]) {
                ledger.take(position, &reading);
                position += 1;
            }
            ledger.look(at_s.saturating_mul(SECOND_NS));
            if ledger.is_full() {
                notices.extend(ledger.commit().map_err(failed)?);
            }
        }
        // Runs that would come later are none of the test: what is due by then is due without them.
        let end = start.saturating_add(self.until_s);
        pass(&mut ledger, end, &mut notices).map_err(failed)?;
        ledger.look(end.saturating_mul(SECOND_NS));
        notices.extend(ledger.commit().map_err(failed)?);
        let own = notices.into_iter().filter(|notice| self.behind.iter().all(|one| one.job() != notice.job));
        Ok(Story { lines: own.map(|notice| line(&notice, start)).collect(), rules })
    }

    /// The rules that look at what the test tells.
    fn rules(&self, shape: &Shape, draft: &Draft) -> Vec<String> {
        let watch = Watch::new(&draft.rules, [shape.clone()]);
        let mut rules = BTreeSet::new();
        let is_down = self.told.iter().any(|told| told.values.iter().any(|what| matches!(what, What::Down)));
        let is_told = |metric: &str| metric == UP && is_down || self.told.iter().any(|told| told.metric == metric);
        watch.looked_at(&self.test.job, |_, spec, rule, _| {
            if is_told(&spec.name) {
                rules.insert(rule.name.value.clone());
            }
        });
        let tells_events = self.told.iter().any(|told| told.values.iter().any(|what| matches!(what, What::Event(_))));
        for rule in watch.rules_of(&self.test.job) {
            let is_meant = match &rule.looks_at {
                LooksAt::Series(_) => false,
                LooksAt::Events(_) => tells_events,
                LooksAt::Expression(_) => self.test.rule.as_ref() == Some(&rule.name.value),
            };
            if is_meant {
                rules.insert(rule.name.value.clone());
            }
        }
        rules.into_iter().collect()
    }

    fn reading(&self, job: &str, told: &[Told], at: i64, at_s: i64) -> Reading {
        let mut outcome = Outcome::failed(ErrorKind::LOCAL, "unknown in a test", at_s.saturating_mul(SECOND_NS));
        let place = usize::try_from(at).unwrap_or(usize::MAX);
        let keys = |metric: &str| -> BTreeSet<&String> {
            told.iter().filter(|told| told.metric == metric).flat_map(|told| told.labels.keys()).collect()
        };
        for told in told {
            match told.values.get(place) {
                // What the host knows of each run is no sample.
                Some(What::Number(value)) if told.metric == UP => {
                    let refused = Status::Failed { kind: ErrorKind::CONNECT, message: "down in a test".into() };
                    outcome.status = if *value > 0.0 { Status::Ok } else { refused };
                }
                Some(What::Number(value)) if told.metric == RUN_DURATION => {
                    outcome.status = Status::Ok;
                    outcome.duration_ns = (value * 1e9) as u64;
                    // It ended when the test says.
                    outcome.started_ns = outcome.started_ns.saturating_sub((value * 1e9) as i64);
                }
                Some(What::Number(value)) => {
                    outcome.status = Status::Ok;
                    let labels = keys(&told.metric).into_iter().map(|key| told.labels.get(key).cloned().unwrap_or_default()).collect();
                    outcome.samples.push(Sample { metric: told.metric.clone(), labels, value: *value });
                }
                Some(What::Event(event)) => {
                    outcome.status = Status::Ok;
                    outcome.events.push(event.clone());
                }
                Some(What::Nothing) => outcome.status = Status::Ok,
                Some(What::Down) => {
                    outcome.status = Status::Failed { kind: ErrorKind::CONNECT, message: "down in a test".into() };
                    outcome.samples.clear();
                    break;
                }
                Some(What::Unknown | What::Between(..)) | None => {}
            }
        }
        let due_ns = at_s.saturating_mul(SECOND_NS);
        let stale_ns = at_s.saturating_add(self.step_s).saturating_add(self.step_s.min(LATE_S)).saturating_mul(SECOND_NS);
        Reading { job: job.to_owned(), cause: Cause::Schedule, slot: at_s, due_ns, stale_ns, outcome }
    }
}

/// Lets time do what it does before an instant.
fn pass(ledger: &mut Ledger, until_s: i64, notices: &mut Vec<Notice>) -> Result<(), DatabaseError> {
    let until_ns = until_s.saturating_mul(SECOND_NS);
    while let Some(next) = ledger.next_ns().filter(|next| *next < until_ns) {
        ledger.look(next);
        if ledger.is_full() {
            notices.extend(ledger.commit()?);
        }
    }
    Ok(())
}

fn line(notice: &Notice, start: i64) -> Line {
    let after = elapsed(notice.time_ns.div_euclid(SECOND_NS) - start);
    // An end is told by itself: how bad it was is known.
    let what = if notice.step.ends() {
        format!("{after} {}", notice.step.name())
    } else {
        // What nobody is told of is there all the same.
        let silenced = if notice.silenced.is_some() { ", silenced" } else { "" };
        format!("{after} {} {}{silenced}", notice.step.name(), severity_name(notice.severity))
    };
    Line { what, rule: notice.rule.clone() }
}

/// A time as spans are written: `1h2m30s`, `0s`.
pub(super) fn elapsed(seconds: i64) -> String {
    let parts = [(seconds / 3_600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let text: String = parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}
