//! Which cells of which files a reading fills.

use std::collections::HashMap;
use std::sync::Arc;

use watchpost_plugin_api::{Kind, Unit};

use super::catalogue::{Column, Job, SeriesFile};
use super::name::{LabelSet, SOURCES_MAX, of_part, of_series, part};
use super::row::Datum;
use super::shape::{FileShape, Wishes};
use crate::reading::{GivenOutcome, GivenSample};

/// The metric that tells whether the target is up.
pub const UP: &str = "up";
/// The metric that tells how long a run took.
pub const RUN_DURATION: &str = "run_duration";

/// The groups of metrics of one job that share their label keys: one file for each group and label set, with [`SOURCES_MAX`] of them at most.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    step: u32,
    wishes: Wishes,
    groups: Vec<Group>,
    /// Where each metric belongs, in the order of the metrics, which is that of most readings.
    order: Vec<Place>,
    /// The same for who comes out of it.
    places: HashMap<String, usize>,
}

/// Where a metric belongs.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    metric: String,
    kind: Kind,
    /// Number of the group, and keys of its labels.
    group: usize,
    keys: usize,
    column: usize,
}

#[derive(Clone, Debug, PartialEq)]
struct Group {
    keys: Vec<String>,
    /// Which of the groups with these keys it is, from 0 on: metrics beyond those that a file has room for are in the next.
    part: usize,
    columns: Vec<(String, Kind, Unit)>,
    /// What its files are made of.
    shape: Arc<FileShape>,
}

/// One row that a reading gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filled {
    /// Of which labels.
    pub labels: LabelSet,
    /// One cell for each column of the file.
    pub cells: Vec<Datum>,
    group: usize,
}

/// The rows of a reading, in the room of those of another one.
#[derive(Debug, Default)]
pub struct Spread {
    rows: Vec<Filled>,
    count: usize,
}

impl Spread {
    /// All of them. A file for which nothing at all is known gets none.
    pub fn rows(&self) -> impl Iterator<Item = &Filled> {
        self.rows.iter().take(self.count).filter(|row| row.is_known())
    }

    /// The same, for whoever takes something of them along.
    pub fn rows_mut(&mut self) -> impl Iterator<Item = &mut Filled> {
        self.rows.iter_mut().take(self.count).filter(|row| row.is_known())
    }

    /// Begins a row of which nothing is known yet.
    fn begin(&mut self, group: usize, labels: LabelSet, columns: usize) {
        if self.rows.len() == self.count {
            self.rows.push(Filled::default());
        }
        if let Some(row) = self.rows.get_mut(self.count) {
            row.cells.clear();
            row.cells.resize(columns, Datum::Unknown);
            (row.labels, row.group) = (labels, group);
            self.count += 1;
        }
    }
}

impl Filled {
    fn is_known(&self) -> bool {
        self.cells.iter().any(|cell| *cell != Datum::Unknown)
    }
}

impl Layout {
    /// Groups the metrics of a job.
    pub fn of(job: &Job) -> Self {
        let host = [(UP.into(), Kind::Gauge, Unit::Number), (RUN_DURATION.into(), Kind::Gauge, Unit::Seconds)];
        let unshaped = || Arc::new(FileShape { step: 0, sources: Vec::new(), archives: Vec::new() });
        let mut groups = vec![Group { keys: Vec::new(), part: 0, columns: host.into(), shape: unshaped() }];
        let mut order = Vec::with_capacity(job.metrics.len());
        for spec in job.metrics.iter().map(|metric| &metric.spec) {
            let last = groups.iter().rposition(|group| group.keys == spec.keys);
            let has_room = |index: &usize| groups.get(*index).is_some_and(|group| group.columns.len() < SOURCES_MAX);
            let group = last.filter(has_room).unwrap_or_else(|| {
                let part = last.and_then(|index| groups.get(index)).map_or(0, |full| full.part + 1);
                groups.push(Group { keys: spec.keys.clone(), part, columns: Vec::new(), shape: unshaped() });
                groups.len() - 1
            });
            if let Some(found) = groups.get_mut(group) {
                let (metric, keys, column) = (spec.name.clone(), spec.keys.len(), found.columns.len());
                order.push(Place { metric, kind: spec.kind, group, keys, column });
                found.columns.push((spec.name.clone(), spec.kind, spec.unit));
            }
        }
        let step = job.step.max(1);
        for group in &mut groups {
            let metrics = group.columns.iter().map(|(name, kind, _)| (name.as_str(), *kind));
            group.shape = Arc::new(FileShape::of(step, metrics, &job.wishes));
        }
        let places = order.iter().zip(0..).map(|(place, number)| (place.metric.clone(), number)).collect();
        Self { step, wishes: job.wishes.clone(), groups, order, places }
    }

    /// Seconds between slots.
    pub fn step(&self) -> u32 {
        self.step
    }

    /// Seconds between totals beyond which the growth between them is unknown.
    pub fn counter_heartbeat(&self) -> u32 {
        self.wishes.counter_heartbeat(self.step)
    }

    /// The shape of the files of each group, and its labels' keys.
    pub fn shapes(&self) -> impl Iterator<Item = (&[String], &FileShape)> {
        self.groups.iter().map(|group| (group.keys.as_slice(), &*group.shape))
    }

    /// The shape of the file of this label set, and what its columns are.
    pub fn file(&self, labels: &LabelSet) -> Option<(Arc<FileShape>, Vec<Column>)> {
        let is_meant = |group: &&Group| group.part == part(labels) && group.keys.iter().eq(of_series(labels).iter().map(|(key, _)| key));
        let group = self.groups.iter().find(is_meant)?;
        let shape = Arc::clone(&group.shape);
        let named = group.columns.iter().zip(&shape.sources);
        let columns = named.map(|((metric, kind, unit), source)| Column {
            source: source.name.clone(),
            metric: metric.clone(),
            kind: *kind,
            unit: *unit,
        });
        let columns = columns.collect();
        Some((shape, columns))
    }

    /// Says whether a file is what this layout would make of its labels.
    pub fn fits(&self, file: &SeriesFile) -> bool {
        self.file(&file.labels).is_some_and(|(shape, columns)| shape.step == file.step && columns == file.columns)
    }

    /// Spreads an outcome over the files; gives how many samples fit nowhere.
    ///
    /// Unknown: every cell that nothing was recorded for.
    pub fn spread(&self, outcome: &GivenOutcome<'_>, over: &mut Spread) -> u64 {
        let (mut unplaced, mut expected) = (0, 0);
        over.count = 0;
        over.begin(0, Vec::new(), self.groups.first().map_or(0, |group| group.columns.len()));
        if let Some(row) = over.rows.first_mut() {
            host_cells(outcome, &mut row.cells);
        }
        outcome.samples.for_each(|sample| {
            let Some((place, group)) = self.place(&sample, &mut expected) else {
                unplaced += 1;
                return;
            };
            let row = match place.group {
                0 => 0,
                // The first row is that of the first group.
                number => {
                    let rows = over.rows.get(..over.count).unwrap_or_default();
                    let is_its = |row: &Filled| row.group == number && Group::is_of(row, &sample);
                    rows.iter().skip(1).position(is_its).map_or(over.count, |at| at + 1)
                }
            };
            if row == over.count {
                over.begin(place.group, group.labels(&sample), group.columns.len());
            }
            if let Some(cell) = over.rows.get_mut(row).and_then(|row| row.cells.get_mut(place.column)) {
                *cell = match place.kind {
                    Kind::Gauge => Datum::gauge(sample.value),
                    Kind::Counter => Datum::total(sample.value),
                };
            }
        });
        unplaced
    }

    /// Finds where a sample belongs; `expected` is where in the order the next one is looked for first.
    fn place(&self, sample: &GivenSample<'_>, expected: &mut usize) -> Option<(&Place, &Group)> {
        let next = self.order.get(*expected).filter(|place| place.metric.as_bytes() == sample.metric);
        let place = match next {
            Some(place) => place,
            None => {
                *expected = *self.places.get(std::str::from_utf8(sample.metric).ok()?)?;
                self.order.get(*expected)?
            }
        };
        *expected += 1;
        (place.keys == sample.labels.len()).then_some((place, self.groups.get(place.group)?))
    }
}

/// What the host knows of each run.
fn host_cells(outcome: &GivenOutcome<'_>, cells: &mut [Datum]) {
    let up = outcome.status.up().map_or(Datum::Unknown, Datum::gauge);
    // A run that never came to measure has no duration; 0 would be an answer.
    let took = Some(outcome.duration_ns).filter(|nanoseconds| *nanoseconds > 0);
    #[expect(clippy::cast_precision_loss, reason = "104 days of nanoseconds are exact, and no run lasts as long")]
    let took = took.map_or(Datum::Unknown, |nanoseconds| Datum::gauge(nanoseconds as f64 / 1e9));
    for (place, cell) in cells.iter_mut().zip([up, took]) {
        *place = cell;
    }
}

impl Group {
    /// The labels of the file that a sample goes into.
    fn labels(&self, sample: &GivenSample<'_>) -> LabelSet {
        let series = self.keys.iter().cloned().zip(sample.labels.iter().map(str::to_owned));
        of_part(series.collect(), self.part)
    }

    /// Whether a row is that of a sample of the same group.
    fn is_of(row: &Filled, sample: &GivenSample<'_>) -> bool {
        of_series(&row.labels).iter().map(|(_, value)| value.as_str()).eq(sample.labels.iter())
    }
}
