//! The past as rules are held to it: rows of series, of the finest archive that reaches back so far, span by span; why there are none; events.

mod alike;
mod events;

use std::path::Path;

use alike::{Alike, Question, Told, alike};
use serde::Serialize;
use watchpost_plugin_api::Unit;

use super::{Context, failure::Failure, series::asked};
use crate::{
    alarm::{
        baseline::LOOKED_BACK_S,
        bound::Way,
        maintenance::Maintenance,
        replay::{Episode, Replay, Row},
        store::maintenance,
    },
    config::{AlarmRule, Draft, LooksAt},
    console::readable,
    database::DatabaseError,
    reading::{Reason, Silence},
    series::{
        gap::{Cause, Gap},
        listing::ListRequest,
    },
};

/// Nanoseconds of a second.
const SECOND_NS: i64 = 1_000_000_000;

/// What rules were held to.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct HeldTo {
    /// From and to, seconds since 1970.
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) series: usize,
    /// Rows that are known, and those that are not.
    pub(super) known: u64,
    pub(super) unknown: u64,
    pub(super) spans: Vec<Span>,
    /// What else whoever reads it should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) notes: Vec<String>,
    /// Whether what is unknown is what the rule is about.
    #[serde(skip)]
    pub(super) misses: bool,
}

/// A span that one archive answered for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Span {
    pub(super) from: i64,
    pub(super) to: i64,
    /// Seconds between rows.
    pub(super) step: u32,
    /// How slots became a row; nothing where a row is a slot.
    pub(super) consolidation: Option<&'static str>,
}

/// What came of a replay.
#[derive(Debug, Serialize)]
pub(super) struct Replayed {
    pub(super) held_to: HeldTo,
    pub(super) alarms: Vec<Episode>,
}

/// A rule that is held to the past, and what holds beside it.
struct Held<'a> {
    context: &'a Context,
    cannot: &'a str,
    rule: &'a AlarmRule,
    draft: &'a Draft,
    announced: Vec<Maintenance>,
}

/// Holds a rule to the past, from `from` up to `to`.
pub(super) fn replay(
    context: &Context,
    cannot: &str,
    (rule, draft): (&AlarmRule, &Draft),
    (from, to): (i64, i64),
) -> Result<Replayed, Failure> {
    let announced = maintenance(&context.data_folder()?).map_err(|error| Failure::of(cannot, &error))?;
    let held = Held { context, cannot, rule, draft, announced };
    let mut held_to = HeldTo { from, to, misses: rule.is_absence(), ..HeldTo::default() };
    let mut alarms = match &rule.looks_at {
        LooksAt::Series(series) => {
            let series = [series.value.to_string()];
            let mut alarms = Vec::new();
            for alike in held.kept(&series, &mut held_to)? {
                alarms.extend(held.alike(&series, &alike, &mut held_to)?);
            }
            alarms
        }
        LooksAt::Expression(expression) => {
            let series: Vec<String> = expression.series.iter().map(|series| series.value.to_string()).collect();
            let groups = held.kept(&series, &mut held_to)?;
            if groups.len() > 1 {
                held_to.notes.push("its series are kept in rows of several lengths: all are held to the longest".to_owned());
            }
            match Alike::in_step(groups) {
                Some(alike) => held.alike(&series, &alike, &mut held_to)?,
                None => Vec::new(),
            }
        }
        LooksAt::Events(pattern) => held.events(pattern, &mut held_to)?,
    };
    alarms.sort_by(|a, b| (a.raised, &a.job, &a.series).cmp(&(b.raised, &b.job, &b.series)));
    held_to.spans.sort_by_key(|span| (span.from, span.to));
    held_to.spans.dedup();
    held_to.refuse_what_is_not_known(rule).map_err(|why| Failure::failed(cannot, why))?;
    held_to.say_what_is_not_seen(rule);
    Ok(Replayed { held_to, alarms })
}

impl Held<'_> {
    /// The series that are meant, by how long their rows are.
    ///
    /// Errors: there are none.
    fn kept(&self, series: &[String], held_to: &mut HeldTo) -> Result<Vec<Alike>, Failure> {
        let kept = asked(self.context, self.cannot, &ListRequest { series: series.to_vec(), details: true })?;
        held_to.series = kept.len();
        Ok(alike(kept, self.draft))
    }

    fn failed(&self, error: &DatabaseError) -> Failure {
        Failure::of(self.cannot, error)
    }

    /// Holds it to series whose rows are alike.
    fn alike(&self, series: &[String], alike: &Alike, held_to: &mut HeldTo) -> Result<Vec<Episode>, Failure> {
        let folder = tempfile::tempdir().map_err(|error| Failure::of(self.cannot, &error))?;
        let replay = self.start(Some(alike), folder.path())?;
        self.walk(replay, series, alike, held_to)
    }

    fn start(&self, alike: Option<&Alike>, folder: &Path) -> Result<Replay, Failure> {
        let past = alike.map(|alike| alike.series.iter().map(|(_, past)| past.clone()).collect()).unwrap_or_default();
        let mut replay = Replay::new(vec![self.rule.clone()], past, folder).map_err(|error| self.failed(&error))?;
        replay.maintain(self.draft.maintenance.clone(), self.announced.clone());
        Ok(replay)
    }

    fn walk(&self, mut replay: Replay, series: &[String], alike: &Alike, held_to: &mut HeldTo) -> Result<Vec<Episode>, Failure> {
        let (places, slot) = (alike.places(), alike.slot());
        let lead = if self.rule.asks_what_is_usual() { LOOKED_BACK_S } else { 0 };
        let is_of_several = matches!(self.rule.looks_at, LooksAt::Expression(_));
        // What is missed, and what several series come to, is not known by values alone.
        let explained = self.rule.is_absence() || is_of_several;
        let ways = self.rule.ways();
        let means = self.rule.asks_what_is_usual() || is_of_several;
        let asked = Question { series, ways: &ways, means, explained, in_step: is_of_several };
        let mut last_step = slot;
        alike.walk(self.context, self.cannot, &asked, (held_to.from - lead, held_to.to), |told, (from, until), consolidation| {
            let (mut rows, mut silences, mut longest) = (Vec::new(), Vec::new(), 0);
            for series in told {
                let Some(place) = places.get(&series.key()) else { continue };
                longest = longest.max(series.step);
                for (at_s, value) in series.rows() {
                    let is_judged = at_s > held_to.from;
                    held_to.known += u64::from(is_judged && value.is_some());
                    held_to.unknown += u64::from(is_judged && value.is_none());
                    if value.is_some() || explained && !is_silent(series, at_s) {
                        rows.push(Row { at_s, series: *place, value });
                    }
                }
                if let Some((kept, _)) = alike.series.get(*place).filter(|_| explained) {
                    silences.extend(series.gaps.iter().filter_map(|gap| silence(gap, &kept.job)));
                }
            }
            if longest > 0 && until > held_to.from {
                let consolidation = (longest > slot).then_some(consolidation.name());
                held_to.add(Span { from: from.max(held_to.from), to: until, step: longest, consolidation });
            }
            last_step = longest.max(1);
            // Series of one job say the same of it.
            silences.sort_by(|a: &Silence, b| (a.from, &a.job).cmp(&(b.from, &b.job)));
            silences.dedup();
            replay.fall_silent(silences);
            replay.take(rows, last_step, held_to.from).map_err(|error| self.failed(&error))
        })?;
        replay.end((held_to.from, held_to.to), last_step).map_err(|error| self.failed(&error))
    }
}

/// The shortest time that it looks back at, seconds; nothing where the last values are enough.
fn looks_back(rule: &AlarmRule) -> Option<f64> {
    let is_over_rows = !matches!(rule.looks_at, LooksAt::Events(_));
    let windows = rule.bounds.iter().flatten().filter_map(|bound| bound.value.of().looks_back()).filter(|_| is_over_rows);
    windows.min().map(|window| window.as_secs_f64())
}

/// Whether no reading of a row was to come.
fn is_silent(series: &Told, at_s: i64) -> bool {
    let first = series.gaps.partition_point(|gap| gap.to < at_s);
    series.gaps.get(first).is_some_and(|gap| gap.from < at_s && why_silent(gap).is_some())
}

/// Why no readings were to come, where that is why there are none. While no daemon ran nothing was missed: that is as if the job was not there.
fn why_silent(gap: &Gap) -> Option<Reason> {
    match (gap.cause, gap.detail.as_deref()) {
        (Cause::NotScheduled, Some("removed")) | (Cause::HostDown, _) => Some(Reason::Removed),
        (Cause::NotScheduled, Some("not_due")) => Some(Reason::NotDue),
        (Cause::NotScheduled, Some("not_active")) => Some(Reason::NotActive),
        (Cause::NotScheduled, _) => Some(Reason::Paused),
        (Cause::Blackout, _) => Some(Reason::Blackout),
        _ => None,
    }
}

/// That a job gives no readings from the begin of a gap on, where that is why there are none.
fn silence(gap: &Gap, job: &str) -> Option<Silence> {
    let reason = why_silent(gap)?;
    Some(Silence { time_ns: gap.from.saturating_mul(SECOND_NS), job: job.to_owned(), from: gap.from + 1, reason })
}

impl HeldTo {
    /// Adds a span, or lengthens the one that it goes on from.
    fn add(&mut self, span: Span) {
        match self
            .spans
            .iter_mut()
            .find(|known| known.to == span.from && known.step == span.step && known.consolidation == span.consolidation)
        {
            Some(known) => known.to = span.to,
            None => self.spans.push(span),
        }
    }

    /// Refuses what nothing is known about: that would be told as no alarm.
    fn refuse_what_is_not_known(&self, rule: &AlarmRule) -> Result<(), String> {
        if self.known == 0 && !self.misses && !matches!(rule.looks_at, LooksAt::Events(_)) {
            return Err("nothing is known of its series in that time".to_owned());
        }
        let finest = self.spans.iter().map(|span| span.step).min().unwrap_or(0);
        match looks_back(rule).filter(|window| *window < f64::from(finest)) {
            Some(window) => {
                let [row, window] = [f64::from(finest), window].map(readable::duration);
                Err(format!("of that time rows of {row} are kept, and it looks back at {window}: that is unknown in all of them"))
            }
            None => Ok(()),
        }
    }

    fn say_what_is_not_seen(&mut self, rule: &AlarmRule) {
        let longest = self.spans.iter().map(|span| span.step).max().unwrap_or(0);
        let shortest = rule.bounds.iter().flatten().filter_map(|bound| bound.value.longest_absence()).min();
        if let Some(shortest) = shortest.filter(|shortest| shortest.as_secs() < u64::from(longest)) {
            let [row, span] = [f64::from(longest), shortest.as_secs_f64()].map(readable::duration);
            self.notes.push(format!("in rows of {row} it may not be seen that a series was absent for {span} and came again"));
        }
        if let Some(window) = looks_back(rule).filter(|window| *window < f64::from(longest)) {
            let [row, window] = [f64::from(longest), window].map(readable::duration);
            self.notes.push(format!("in rows of {row} what it looks back at, {window}, is unknown, and not judged"));
        }
    }
}

/// The values that series had, each as far as it was kept on the side that matters; and their unit.
pub(super) fn values(
    context: &Context,
    cannot: &str,
    (series, draft): (&str, &Draft),
    range: (i64, i64),
    is_below: bool,
) -> Result<(Unit, Vec<f64>), Failure> {
    let kept = asked(context, cannot, &ListRequest { series: vec![series.to_owned()], details: true })?;
    let unit = kept.first().map_or(Unit::Number, |first| first.unit);
    if let Some(other) = kept.iter().find(|other| other.unit != unit) {
        let why = format!("`{}` and `{}` have no unit in common; name a metric", kept.first().map_or("", |first| &first.name), other.name);
        return Err(Failure::wrong(cannot, why));
    }
    let (asked_for, ways) = ([series.to_owned()], [if is_below { Way::Down } else { Way::Up }]);
    let question = Question { series: &asked_for, ways: &ways, means: false, explained: false, in_step: false };
    let mut values = Vec::new();
    for alike in alike(kept, draft) {
        let places = alike.places();
        alike.walk(context, cannot, &question, range, |told, _, _| {
            values.extend(told.iter().filter(|told| places.contains_key(&told.key())).flat_map(Told::rows).filter_map(|(_, value)| value));
            Ok(())
        })?;
    }
    if values.is_empty() {
        return Err(Failure::failed(cannot, "nothing is known of that time"));
    }
    Ok((unit, values))
}
