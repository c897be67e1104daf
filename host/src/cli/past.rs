//! The past of series as rules are held to it: the finest archive that reaches back so far, span by span.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::{MetricSpec, Unit};

use super::{Context, failure::Failure, fetch::fetched, series::asked, time};
use crate::{
    alarm::{
        baseline::LOOKED_BACK_S,
        bound::Way,
        replay::{Episode, PastSeries, Replay, Row},
    },
    config::{AlarmRule, Draft},
    reading::Shape,
    series::{
        archive::Consolidation,
        fetch::{Kept, KeptArchive},
        listing::ListRequest,
        request::{FetchRequest, Format},
    },
};

/// Rows of one question, at most; the answer may have some more.
const ROWS_MAX: i64 = 400_000;

/// What rules were held to.
#[derive(Debug, Default, Serialize)]
pub(super) struct HeldTo {
    /// From and to, seconds since 1970.
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) series: usize,
    /// Rows that are known, and those that are not.
    pub(super) known: u64,
    pub(super) unknown: u64,
    pub(super) spans: Vec<Span>,
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

/// A series as `fetch` gives it.
#[derive(Deserialize)]
struct Told {
    metric: String,
    labels: BTreeMap<String, String>,
    step: u32,
    start: Option<i64>,
    values: Vec<Option<f64>>,
}

/// What a series is told apart by: metric and labels.
type Key<'a> = (&'a str, &'a BTreeMap<String, String>);
/// Step, rows and consolidation of each archive.
type Profile = Vec<(u32, u32, String)>;

/// Series whose rows are as long as one another's at any time.
struct Alike {
    series: Vec<(Kept, PastSeries)>,
}

/// Holds a rule to the past, from `from` up to `to`.
pub(super) fn replay(
    context: &Context,
    cannot: &str,
    (rule, draft): (&AlarmRule, &Draft),
    (from, to): (i64, i64),
) -> Result<Replayed, Failure> {
    let Some(series) = rule.looks_at.series() else {
        let why =
            format!("{} looks at {}; only rules over series by themselves are held to the past", rule.name.value, rule.looks_at.shown());
        return Err(Failure::wrong(cannot, why));
    };
    let request = ListRequest { series: vec![series.value.to_string()], details: true };
    let kept = asked(context, cannot, &request)?;
    let mut held_to = HeldTo { from, to, series: kept.len(), ..HeldTo::default() };
    let mut alarms = Vec::new();
    for alike in alike(kept, draft) {
        alarms.extend(replay_alike(context, cannot, &alike, rule, &mut held_to)?);
    }
    alarms.sort_by(|a, b| (a.raised, &a.job, &a.series).cmp(&(b.raised, &b.job, &b.series)));
    held_to.spans.sort_by_key(|span| (span.from, span.to));
    held_to.spans.dedup();
    Ok(Replayed { held_to, alarms })
}

fn replay_alike(context: &Context, cannot: &str, alike: &Alike, rule: &AlarmRule, held_to: &mut HeldTo) -> Result<Vec<Episode>, Failure> {
    let folder = tempfile::tempdir().map_err(|error| Failure::of(cannot, &error))?;
    let failed = |error: crate::database::DatabaseError| Failure::of(cannot, &error);
    let past = alike.series.iter().map(|(_, past)| past.clone()).collect();
    let mut replay = Replay::new(vec![rule.clone()], past, folder.path()).map_err(failed)?;
    let places = alike.places();
    let slot = alike.slot();
    let lead = if rule.asks_what_is_usual() { LOOKED_BACK_S } else { 0 };
    let asked = Question { series: &rule.looks_at.shown(), ways: &rule.ways(), usual: rule.asks_what_is_usual() };
    alike.walk(context, cannot, &asked, (held_to.from - lead, held_to.to), |told, (from, until), consolidation| {
        let mut rows = Vec::new();
        let mut longest = 0;
        for series in told {
            let Some(place) = places.get(&series.key()) else { continue };
            longest = longest.max(series.step);
            for (at_s, value) in series.rows() {
                let is_judged = at_s > held_to.from;
                match value {
                    Some(value) => {
                        held_to.known += u64::from(is_judged);
                        rows.push(Row { at_s, series: *place, value });
                    }
                    None => held_to.unknown += u64::from(is_judged),
                }
            }
        }
        if longest > 0 && until > held_to.from {
            let consolidation = (longest > slot).then_some(consolidation.name());
            held_to.add(Span { from: from.max(held_to.from), to: until, step: longest, consolidation });
        }
        replay.take(rows, longest.max(1), held_to.from).map_err(failed)
    })?;
    Ok(replay.end())
}

/// What is asked of the past, and how a row is to stand for its slots.
struct Question<'a> {
    series: &'a str,
    ways: &'a [Way],
    /// Whether values are held against what is usual.
    usual: bool,
}

impl Told {
    fn key(&self) -> Key<'_> {
        (&self.metric, &self.labels)
    }

    fn rows(&self) -> impl Iterator<Item = (i64, Option<f64>)> {
        let (start, step) = (self.start.unwrap_or_default(), i64::from(self.step));
        (0..).zip(&self.values).map(move |(nth, value)| (start + nth * step, *value))
    }
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
}

impl Alike {
    fn slot(&self) -> u32 {
        self.series.first().map_or(1, |(kept, _)| kept.step.max(1))
    }

    /// Where each series stands among them.
    fn places(&self) -> BTreeMap<Key<'_>, usize> {
        self.series.iter().zip(0..).map(|((kept, _), place)| ((kept.name.as_str(), &kept.labels), place)).collect()
    }

    /// Asks for the past piece by piece, the earliest first.
    fn walk(
        &self,
        context: &Context,
        cannot: &str,
        asked: &Question<'_>,
        (from, to): (i64, i64),
        mut take: impl FnMut(&[Told], (i64, i64), Consolidation) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        // Before the first reading there is nothing to ask for.
        let first = self.series.iter().filter_map(|(kept, _)| kept.first).min().map_or(from, |first| first - i64::from(self.slot()));
        for (mut from, end) in self.spans(from.max(first).min(to - 1), to) {
            let consolidation = self.consolidation(asked, from, to);
            while from < end {
                let step = i64::from(self.step_at(from, to));
                let rows_each = (ROWS_MAX / i64::try_from(self.series.len()).unwrap_or(i64::MAX).max(1)).max(1);
                let until = end.min(from.saturating_add(rows_each.saturating_mul(step)));
                let told = told(context, cannot, &request(asked.series, (from, until), consolidation))?;
                take(&told, (from, until), consolidation)?;
                from = until;
            }
        }
        Ok(())
    }

    /// The archives that may answer, those of the file that is written to.
    fn archives(&self) -> &[KeptArchive] {
        let file = self.series.first().and_then(|(kept, _)| kept.files.iter().find(|file| file.current).or(kept.files.first()));
        file.map_or(&[], |file| &file.archives)
    }

    /// Since when the archive may have rows, at the time `to`.
    fn begin(archive: &KeptArchive, to: i64) -> i64 {
        let step = i64::from(archive.step.max(1));
        to - to.rem_euclid(step) - step * i64::from(archive.rows)
    }

    /// Spans that one archive reaches over each, the earliest first; each ends where a row of it ends.
    fn spans(&self, from: i64, to: i64) -> Vec<(i64, i64)> {
        let begins: BTreeSet<i64> =
            self.archives().iter().map(|archive| Self::begin(archive, to)).filter(|begin| (from + 1..to).contains(begin)).collect();
        let mut spans = Vec::new();
        let mut begin = from;
        for next in begins {
            let step = i64::from(self.step_at(begin, to)).max(1);
            let end = begin + (next - begin + step - 1).div_euclid(step) * step;
            let end = end + (step - end.rem_euclid(step)).rem_euclid(step);
            if end > begin && end < to {
                spans.push((begin, end));
                begin = end;
            }
        }
        spans.push((begin, to));
        spans
    }

    /// How long rows are from then on.
    fn step_at(&self, from: i64, to: i64) -> u32 {
        let reaching = self.archives().iter().filter(|archive| Self::begin(archive, to) <= from).map(|archive| archive.step).min();
        reaching.or_else(|| self.archives().iter().map(|archive| archive.step).max()).unwrap_or_else(|| self.slot()).max(1)
    }

    /// What a rule is held to from then on: the largest value for what is too much, the smallest for what is too little, where they are
    /// kept; else means.
    fn consolidation(&self, asked: &Question<'_>, from: i64, to: i64) -> Consolidation {
        let wanted = match (asked.usual, asked.ways) {
            (true, _) => Consolidation::Average,
            (false, ways) if ways.iter().all(|way| *way == Way::Up) => Consolidation::Max,
            (false, ways) if ways.iter().all(|way| *way == Way::Down) => Consolidation::Min,
            _ => Consolidation::Average,
        };
        let step = self.step_at(from, to);
        let is_kept = self.archives().iter().any(|archive| archive.step == step && archive.consolidation == wanted.name());
        if step == self.slot() || is_kept { wanted } else { Consolidation::Average }
    }
}

/// Series by how long their rows are, those of one job beside each other.
fn alike(kept: Vec<Kept>, draft: &Draft) -> Vec<Alike> {
    let mut groups: BTreeMap<Profile, Vec<(Kept, PastSeries)>> = BTreeMap::new();
    for one in kept {
        let past = past(&one, draft);
        let group = Alike { series: vec![(one, past)] };
        let mut profile: Profile =
            group.archives().iter().map(|archive| (archive.step, archive.rows, archive.consolidation.clone())).collect();
        profile.push((group.slot(), 0, String::new()));
        groups.entry(profile).or_default().extend(group.series);
    }
    let sorted = |mut series: Vec<(Kept, PastSeries)>| {
        series.sort_by(|(a, _), (b, _)| (&a.job, &a.series).cmp(&(&b.job, &b.series)));
        Alike { series }
    };
    groups.into_values().map(sorted).collect()
}

/// A series as rules look at it: which labels are its job's says the configuration.
fn past(kept: &Kept, draft: &Draft) -> PastSeries {
    let own: Vec<(String, String)> = draft
        .jobs
        .iter()
        .find(|job| job.name.as_str() == kept.job)
        .map(|job| job.asks.labels.iter().map(|(key, value)| (key.clone(), value.value.clone())).collect())
        .unwrap_or_default();
    let of_job = |key: &str| ["agent", "job", "target"].contains(&key) || own.iter().any(|(known, _)| known == key);
    let (keys, labels): (Vec<String>, Vec<String>) =
        kept.labels.iter().filter(|(key, _)| !of_job(key)).map(|(key, value)| (key.clone(), value.clone())).unzip();
    let target = kept.labels.get("target").cloned().unwrap_or_default();
    let spec = MetricSpec { name: kept.name.clone(), kind: kept.kind, unit: kept.unit, help: kept.help.clone(), keys };
    let shape =
        Shape { job: kept.job.clone(), agent: kept.agent.clone(), target, labels: own, step_s: kept.step.max(1), metrics: Vec::new() };
    PastSeries { shape, spec, labels }
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
    let question = Question { series, ways: &[if is_below { Way::Down } else { Way::Up }], usual: false };
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

fn request(series: &str, (from, to): (i64, i64), consolidation: Consolidation) -> FetchRequest {
    FetchRequest {
        series: vec![series.to_owned()],
        from: from.to_string(),
        to: to.to_string(),
        step: None,
        consolidation: Some(consolidation.name().to_owned()),
        format: Format::Json,
        zone: time::zone(),
        gaps: false,
        band: None,
    }
}

fn told(context: &Context, cannot: &str, request: &FetchRequest) -> Result<Vec<Told>, Failure> {
    let answer = fetched(context, cannot, request)?;
    serde_json::from_slice(&answer.body).map_err(|error| Failure::failed(cannot, format!("the answer is not understood: {error}")))
}
