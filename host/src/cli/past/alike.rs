//! Series whose rows are as long as one another's at any time, and their past, piece by piece.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use watchpost_plugin_api::MetricSpec;

use crate::{
    alarm::{bound::Way, replay::PastSeries},
    cli::{Context, failure::Failure, fetch::fetched, time},
    config::Draft,
    reading::Shape,
    series::{
        archive::Consolidation,
        fetch::{Kept, KeptArchive},
        gap::Gap,
        request::{FetchRequest, Format},
    },
};

/// Rows of one question, at most; the answer may have some more.
const ROWS_MAX: i64 = 400_000;
/// Rows of one series in one question, at most, where it matters why they are unknown: an answer holds so many reasons.
const EXPLAINED_MAX: i64 = 5_000;

/// What a series is told apart by: metric and labels.
pub(super) type Key<'a> = (&'a str, &'a BTreeMap<String, String>);
/// Step, rows and consolidation of each archive.
type Profile = Vec<(u32, u32, String)>;

/// Series whose rows are as long as one another's at any time.
pub(super) struct Alike {
    pub(super) series: Vec<(Kept, PastSeries)>,
    /// The archives that may answer, those of a file that is written to.
    archives: Vec<KeptArchive>,
    slot: u32,
}

/// What is asked of the past, and how a row is to stand for its slots.
pub(super) struct Question<'a> {
    pub(super) series: &'a [String],
    pub(super) ways: &'a [Way],
    /// Whether rows are their means whatever the bounds are.
    pub(super) means: bool,
    /// Whether it matters why rows are unknown.
    pub(super) explained: bool,
    /// Whether all rows are to be as long as those of these series, where others have shorter ones.
    pub(super) in_step: bool,
}

/// A series as `fetch` gives it.
#[derive(Deserialize)]
pub(super) struct Told {
    metric: String,
    labels: BTreeMap<String, String>,
    pub(super) step: u32,
    start: Option<i64>,
    values: Vec<Option<f64>>,
    #[serde(default)]
    pub(super) gaps: Vec<Gap>,
}

impl Told {
    pub(super) fn key(&self) -> Key<'_> {
        (&self.metric, &self.labels)
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = (i64, Option<f64>)> {
        let (start, step) = (self.start.unwrap_or_default(), i64::from(self.step));
        (0..).zip(&self.values).map(move |(nth, value)| (start + nth * step, *value))
    }
}

impl Alike {
    fn of(series: Vec<(Kept, PastSeries)>) -> Self {
        let first = series.first().map(|(kept, _)| kept);
        let file = first.and_then(|kept| kept.files.iter().find(|file| file.current).or(kept.files.first()));
        let archives = file.map(|file| file.archives.clone()).unwrap_or_default();
        let slot = first.map_or(1, |kept| kept.step.max(1));
        Self { series, archives, slot }
    }

    /// All of them as one, in the steps of those whose rows are the longest.
    pub(super) fn in_step(groups: Vec<Self>) -> Option<Self> {
        let (archives, slot) = groups.iter().max_by_key(|group| group.slot).map(|group| (group.archives.clone(), group.slot))?;
        let mut series: Vec<(Kept, PastSeries)> = groups.into_iter().flat_map(|group| group.series).collect();
        series.sort_by(|(a, _), (b, _)| (&a.job, &a.series).cmp(&(&b.job, &b.series)));
        Some(Self { series, archives, slot })
    }

    pub(super) fn slot(&self) -> u32 {
        self.slot
    }

    /// Where each series stands among them.
    pub(super) fn places(&self) -> BTreeMap<Key<'_>, usize> {
        self.series.iter().zip(0..).map(|((kept, _), place)| ((kept.name.as_str(), &kept.labels), place)).collect()
    }

    /// Asks for the past piece by piece, the earliest first.
    pub(super) fn walk(
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
                let rows_each = if asked.explained { rows_each.min(EXPLAINED_MAX) } else { rows_each };
                let until = end.min(from.saturating_add(rows_each.saturating_mul(step)));
                let wanted = asked.in_step.then_some(step);
                let told = told(context, cannot, &request(asked.series, (from, until), wanted, consolidation))?;
                take(&told, (from, until), consolidation)?;
                from = until;
            }
        }
        Ok(())
    }

    /// Since when the archive may have rows, at the time `to`.
    fn begin(archive: &KeptArchive, to: i64) -> i64 {
        let step = i64::from(archive.step.max(1));
        to - to.rem_euclid(step) - step * i64::from(archive.rows)
    }

    /// Spans that one archive reaches over each, the earliest first; each ends where a row of it ends.
    fn spans(&self, from: i64, to: i64) -> Vec<(i64, i64)> {
        let begins: BTreeSet<i64> =
            self.archives.iter().map(|archive| Self::begin(archive, to)).filter(|begin| (from + 1..to).contains(begin)).collect();
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
        let reaching = self.archives.iter().filter(|archive| Self::begin(archive, to) <= from).map(|archive| archive.step).min();
        reaching.or_else(|| self.archives.iter().map(|archive| archive.step).max()).unwrap_or_else(|| self.slot()).max(1)
    }

    /// What a rule is held to from then on: the largest value for what is too much, the smallest for what is too little, where they are
    /// kept; else means.
    fn consolidation(&self, asked: &Question<'_>, from: i64, to: i64) -> Consolidation {
        let wanted = match (asked.means, asked.ways) {
            (true, _) => Consolidation::Average,
            (false, ways) if ways.iter().all(|way| *way == Way::Up) => Consolidation::Max,
            (false, ways) if ways.iter().all(|way| *way == Way::Down) => Consolidation::Min,
            _ => Consolidation::Average,
        };
        let step = self.step_at(from, to);
        let is_kept = self.archives.iter().any(|archive| archive.step == step && archive.consolidation == wanted.name());
        if step == self.slot() || is_kept { wanted } else { Consolidation::Average }
    }
}

/// Series by how long their rows are, those of one job beside each other.
pub(super) fn alike(kept: Vec<Kept>, draft: &Draft) -> Vec<Alike> {
    let mut groups: BTreeMap<Profile, Vec<(Kept, PastSeries)>> = BTreeMap::new();
    for one in kept {
        let past = past(&one, draft);
        let group = Alike::of(vec![(one, past)]);
        let mut profile: Profile =
            group.archives.iter().map(|archive| (archive.step, archive.rows, archive.consolidation.clone())).collect();
        profile.push((group.slot(), 0, String::new()));
        groups.entry(profile).or_default().extend(group.series);
    }
    let sorted = |mut series: Vec<(Kept, PastSeries)>| {
        series.sort_by(|(a, _), (b, _)| (&a.job, &a.series).cmp(&(&b.job, &b.series)));
        Alike::of(series)
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

fn request(series: &[String], (from, to): (i64, i64), step: Option<i64>, consolidation: Consolidation) -> FetchRequest {
    FetchRequest {
        series: series.to_vec(),
        from: from.to_string(),
        to: to.to_string(),
        step: step.map(|step| step.to_string()),
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
