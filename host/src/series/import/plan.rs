//! What a mapping comes to: which data sources of which files become which series, or every reason why not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use watchpost_plugin_api::{Kind, Unit};

use super::layout::{Counts, as_job_name, filled, parts};
use super::mapping::Entry;
use super::series;
use crate::config::nearest;
use crate::series::catalogue::Job;
use crate::series::header::{Foreign, HeaderError};
use crate::series::layout::{RUN_DURATION, UP};
use crate::series::name::LabelSet;
use crate::series::quantity;
use crate::series::request::lend;
use crate::series::store::SeriesStore;

/// Files of one mapping, at most.
const FILES_MAX: usize = 20_000;
/// Names that are listed where none is near, at most.
const LISTED_MAX: usize = 12;

/// All that a mapping comes to.
pub(super) struct Plan {
    pub(super) groups: Vec<Group>,
    /// Everything that is wrong.
    pub(super) faults: Vec<String>,
}

/// Data sources of one file that become series of one job and label set.
pub(super) struct Group {
    pub(super) file: PathBuf,
    pub(super) job: String,
    pub(super) labels: LabelSet,
    /// Seconds between slots of the file.
    pub(super) step: u32,
    pub(super) takes: Vec<Take>,
}

/// One data source that becomes a series.
pub(super) struct Take {
    place: String,
    pub(super) source: String,
    pub(super) metric: String,
    pub(super) kind: Kind,
    pub(super) unit: Unit,
    pub(super) factor: f64,
    /// After which instant something is known, and up to which.
    pub(super) span: Option<(i64, i64)>,
    pub(super) values: u64,
}

impl Group {
    /// After which instant something is known, and up to which.
    pub(super) fn span(&self) -> Option<(i64, i64)> {
        self.takes.iter().filter_map(|take| take.span).reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }
}

/// What an entry means for one file.
struct Asked<'a> {
    entry: &'a Entry,
    file: &'a Path,
    foreign: &'a Foreign,
    now: i64,
}

impl Plan {
    /// Looks at every file, and at what the store knows of the jobs.
    pub(super) fn of(entries: &[Entry], store: &Mutex<SeriesStore>, is_measured: impl Fn(&str) -> bool, now: i64) -> Self {
        let (mut groups, mut faults) = (BTreeMap::<(PathBuf, String, LabelSet), Group>::new(), Vec::new());
        for (file, entries) in by_file(entries, &mut faults) {
            let place = entries.first().map_or("", |entry| entry.place.as_str());
            let foreign = match Foreign::read(&file) {
                Ok(foreign) => foreign,
                Err(error) => {
                    faults.push(format!("{place}: {}: {}", file.display(), unreadable(&error)));
                    continue;
                }
            };
            for entry in entries {
                match (Asked { entry, file: &file, foreign: &foreign, now }).take(store, &is_measured) {
                    Err(why) => faults.push(format!("{}: {}: {why}", entry.place, file.display())),
                    Ok((job, labels, take)) => {
                        let key = (file.clone(), job.clone(), labels.clone());
                        let none = || Group { file: file.clone(), job, labels, step: foreign.step, takes: Vec::new() };
                        groups.entry(key).or_insert_with(none).takes.push(take);
                    }
                }
            }
        }
        let groups: Vec<Group> = groups.into_values().collect();
        faults.extend(overlaps(&groups));
        Self { groups, faults }
    }
}

/// Every file that is meant, with the entries that mean it.
fn by_file<'a>(entries: &'a [Entry], faults: &mut Vec<String>) -> BTreeMap<PathBuf, Vec<&'a Entry>> {
    let mut files: BTreeMap<PathBuf, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        let found = match glob::glob(&entry.files) {
            Ok(found) => found,
            Err(error) => {
                faults.push(format!("{}: `{}` is no pattern: {error}", entry.place, entry.files));
                continue;
            }
        };
        let mut any = false;
        for path in found {
            match path {
                Ok(path) if files.len() < FILES_MAX || files.contains_key(&path) => files.entry(path).or_default().push(entry),
                Ok(_) => {
                    faults.push(format!("{}: more than {FILES_MAX} files are meant: import them in parts", entry.place));
                    return files;
                }
                Err(error) => faults.push(format!("{}: {}: {}", entry.place, error.path().display(), error.error())),
            }
            any = true;
        }
        if !any {
            faults.push(format!("{}: no file is called {}", entry.place, entry.files));
        }
    }
    files
}

fn unreadable(error: &HeaderError) -> String {
    match error {
        HeaderError::Read(source) => format!("cannot be read: {source}"),
        HeaderError::Corrupt(why) if why.contains("machine") => format!("{why}: `rrdtool dump` it there, `rrdtool restore` it here"),
        HeaderError::Corrupt(why) => (*why).into(),
    }
}

impl Asked<'_> {
    fn take(&self, store: &Mutex<SeriesStore>, is_measured: impl Fn(&str) -> bool) -> Result<(String, LabelSet, Take), String> {
        let Self { entry, file, foreign, now } = self;
        let parts = parts(entry.layout, file);
        let fill = |text: &str| {
            let names = || parts.keys().map(|name| format!("{{{name}}}")).collect::<Vec<_>>().join(" ");
            filled(text, &parts).map_err(|name| format!("`{{{name}}}` is no part of its path; there are {}", names()))
        };
        let job = if entry.job.contains('{') { as_job_name(&fill(&entry.job)?) } else { entry.job.clone() };
        let number = self.source()?;
        let source = foreign.sources.get(number).ok_or("it has no data source")?;
        if foreign.last > now + i64::from(foreign.step) {
            return Err("it was written to last in the future: is this machine's clock right?".into());
        }
        let (kind, unit, labels) = {
            let store = lend(store);
            let jobs = store.catalogue().jobs();
            let known = jobs.get(&job).filter(|_| is_measured(&job));
            let names = || jobs.keys().map(String::as_str).filter(|name| is_measured(name));
            let known = known.ok_or_else(|| format!("no job is called `{job}`{}", hint(&job, names())))?;
            self.series(&job, known, fill)?
        };
        match (source.is_rate(), kind) {
            (true, Kind::Gauge) => {
                let why = "its rows are growth per second, and the metric is a gauge";
                return Err(format!("data source `{}` is a {}: {why}, `{}` of job `{job}`", source.name, source.kind, entry.metric));
            }
            (false, Kind::Counter) => {
                let why = "its rows are values as they were, and the metric counts";
                return Err(format!("data source `{}` is a {}: {why}, `{}` of job `{job}`", source.name, source.kind, entry.metric));
            }
            _ => {}
        }
        let factor = self.factor(&source.name, unit)?;
        let (mut span, mut values) = (None::<(i64, i64)>, 0);
        for archive in &foreign.archives {
            let known = foreign.values(archive, number).filter(|(_, value)| value.is_some());
            for (to, _) in known {
                let from = to - foreign.step_of(archive);
                values += 1;
                span = Some(span.map_or((from, to), |(first, last)| (first.min(from), last.max(to))));
            }
        }
        let (place, source, metric) = (entry.place.clone(), source.name.clone(), entry.metric.clone());
        Ok((job, labels, Take { place, source, metric, kind, unit, factor, span, values }))
    }

    /// The number of the data source that is meant.
    fn source(&self) -> Result<usize, String> {
        let names = || self.foreign.sources.iter().map(|source| source.name.as_str());
        match &self.entry.source {
            None if self.foreign.sources.len() == 1 => Ok(0),
            None => Err(format!("which data source? Say source = \"…\"; there are {}", listed(names()))),
            Some(wanted) => names()
                .position(|name| name == wanted)
                .ok_or_else(|| format!("no data source is called `{wanted}`{}", hint(wanted, names()))),
        }
    }

    /// Kind and unit of the metric, and the labels in its order.
    fn series(&self, job: &str, known: &Job, fill: impl Fn(&str) -> Result<String, String>) -> Result<(Kind, Unit, LabelSet), String> {
        let wanted = self.entry.metric.as_str();
        let none: &[String] = &[];
        let own = known.metrics.iter().map(|metric| &metric.spec).find(|spec| spec.name == wanted);
        let (kind, unit, keys) = match (own, wanted) {
            (Some(spec), _) => (spec.kind, spec.unit, spec.keys.as_slice()),
            (None, UP) => (Kind::Gauge, Unit::Number, none),
            (None, RUN_DURATION) => (Kind::Gauge, Unit::Seconds, none),
            (None, _) => {
                let names = known.metrics.iter().map(|metric| metric.spec.name.as_str()).chain([UP, RUN_DURATION]);
                return Err(format!("job `{job}` has no metric `{wanted}`{}", hint(wanted, names)));
            }
        };
        let given = &self.entry.labels;
        if given.len() != keys.len() || keys.iter().any(|key| !given.contains_key(key)) {
            let has = if keys.is_empty() {
                "has no labels".into()
            } else {
                format!("has the labels {}", listed(keys.iter().map(String::as_str)))
            };
            let gives = if given.is_empty() { "none".into() } else { listed(given.keys().map(String::as_str)) };
            return Err(format!("metric `{wanted}` of job `{job}` {has}; the mapping gives {gives}"));
        }
        let labels = keys.iter().filter_map(|key| Some(fill(given.get(key)?).map(|value| (key.clone(), value))));
        Ok((kind, unit, labels.collect::<Result<_, _>>()?))
    }

    /// What one of the source is worth in the metric's unit.
    fn factor(&self, source: &str, metric: Unit) -> Result<f64, String> {
        let Self { entry, file, foreign, .. } = self;
        let counts = match (&entry.unit, entry.factor) {
            (Some(_), Some(_)) => return Err("`unit` and `factor` say the same thing: give one of them".into()),
            (_, Some(factor)) if !factor.is_finite() || factor <= 0.0 => return Err(format!("`factor` = {factor}: it is greater than 0")),
            (_, Some(factor)) => return Ok(factor),
            (Some(unit), None) => Some(Counts::Unit(unit.clone())),
            (None, None) => entry.layout.and_then(|layout| layout.unit(file, source, foreign, metric)),
        };
        match counts {
            None => Ok(1.0),
            Some(Counts::Factor(factor)) => Ok(factor),
            Some(Counts::Unit(unit)) if unit == metric.name() => Ok(1.0),
            Some(Counts::Unit(unit)) => quantity::parse(&format!("1{unit}"), metric).ok().filter(|_| !unit.is_empty()).ok_or_else(|| {
                let by = if entry.unit.is_some() { "" } else { " (so this layout has it)" };
                format!("data source `{source}` counts in `{unit}`{by}, metric `{}` in {}: say unit or factor", entry.metric, metric.name())
            }),
        }
    }
}

/// Series that are made of several sources which know the same time.
fn overlaps(groups: &[Group]) -> Vec<String> {
    let mut all: BTreeMap<String, Vec<(&Group, &Take)>> = BTreeMap::new();
    for group in groups {
        for take in &group.takes {
            all.entry(series(&group.job, &group.labels, &take.metric)).or_default().push((group, take));
        }
    }
    let mut faults = Vec::new();
    for (series, mut of) in all {
        of.sort_by_key(|(_, take)| take.span);
        for pair in of.windows(2) {
            let [(one, first), (other, second)] = pair else { continue };
            // Two of one file are one too many whatever they know: they would be one column.
            let both = (first.span.zip(second.span)).is_some_and(|(first, second)| second.0 < first.1);
            if both || one.file == other.file {
                faults.push(format!(
                    "{}: {} of {} and {} of {} would both be {series}, of the same time",
                    second.place,
                    first.source,
                    one.file.display(),
                    second.source,
                    other.file.display()
                ));
            }
        }
    }
    faults
}

/// `: did you mean …?`, or what there is.
fn hint<'a>(written: &str, names: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(written, names.clone()) {
        Some(near) => format!(": did you mean `{near}`?"),
        None => format!("; there are {}", listed(names)),
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let more = names.len().saturating_sub(LISTED_MAX);
    let shown = names.iter().take(LISTED_MAX).copied().collect::<Vec<_>>().join(", ");
    match (names.is_empty(), more) {
        (true, _) => "none".into(),
        (_, 0) => shown,
        _ => format!("{shown} and {more} more"),
    }
}
