//! Files of other programs become series: what a mapping asks for is checked whole, then each file is copied into one of ours, which the store
//! takes for a file set aside. Whoever is written to now takes over its rows as it takes over those of any file before it: at the best
//! resolution there is, never over what it knows itself.
//!
//! Reading order: [`mapping`] (what is asked), [`layout`] (what the other program means), `plan` (what comes of it, and every fault at
//! once), `convert` (the copy). The files themselves stay as they are.

mod convert;
pub mod layout;
pub mod mapping;
mod plan;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use self::mapping::Entry;
use self::plan::{Group, Plan};
use super::catalogue::Column;
use super::error::SeriesError;
use super::name::{LabelSet, source_names};
use super::output::selector_of;
use super::request::lend;
use super::selector::Selector;
use super::store::{Adoption, SeriesStore};
use super::writer::WriteError;

/// Folder in the folder of series for copies that are not whole; no job can be called so.
const DRAFTS: &str = ".import";
/// Faults that are told, at most.
const TOLD_MAX: usize = 20;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImportRequest {
    /// What becomes what.
    pub entries: Vec<Entry>,
    /// Whether it is only told what would be imported.
    pub dry: bool,
}

/// A data source that became a series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Imported {
    /// The file.
    pub file: String,
    /// The data source.
    pub source: String,
    /// The series.
    pub series: String,
    /// Seconds between its slots in the file.
    pub step: u32,
    /// After this instant something is known, seconds since 1970; nothing if nothing is.
    pub from: Option<i64>,
    /// Up to this one.
    pub to: Option<i64>,
    /// Values of all archives.
    pub values: u64,
    /// What each was multiplied with.
    pub factor: f64,
}

impl Imported {
    /// The job that the series is of.
    pub fn job(&self) -> Option<String> {
        let series = Selector::parse(&self.series).ok()?;
        series.fixed().find(|(label, _)| *label == "job").map(|(_, job)| job.to_owned())
    }
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum UnimportedError {
    /// Files, or what is asked of them, are wrong.
    #[error("{}", told(.0))]
    Faults(Vec<String>),
    /// Somebody else imports.
    #[error("another import is under way; try again when it is done")]
    Busy,
    /// Files of this job wait for others to take over their rows.
    #[error("series files of job `{0}` still take over the rows of those before them; try again after its next reading")]
    Migrating(String),
    /// A copy cannot be written.
    #[error("cannot write a copy in {path}")]
    Draft {
        /// The folder of copies.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file was there and is no more, or cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The store fails.
    #[error("the series cannot be stored")]
    Store(#[from] SeriesError),
}

impl UnimportedError {
    /// Whether the question is wrong, not the store.
    pub fn is_asked_wrong(&self) -> bool {
        matches!(self, Self::Faults(_))
    }
}

fn told(faults: &[String]) -> String {
    let more = faults.len().saturating_sub(TOLD_MAX);
    let mut lines: Vec<String> = faults.iter().take(TOLD_MAX).cloned().collect();
    lines.extend((more > 0).then(|| format!("and {more} more")));
    lines.join("\n  ")
}

impl ImportRequest {
    /// Imports what is asked, all of it or nothing; `is_measured` says which jobs are, `now` is seconds since 1970.
    pub fn answer(
        &self,
        store: &Mutex<SeriesStore>,
        is_measured: impl Fn(&str) -> bool,
        now: i64,
    ) -> Result<Vec<Imported>, UnimportedError> {
        let plan = Plan::of(&self.entries, store, is_measured, now);
        if !plan.faults.is_empty() {
            return Err(UnimportedError::Faults(plan.faults));
        }
        let imported = plan.groups.iter().flat_map(Group::told).collect();
        if !self.dry {
            let series = lend(store).folder().to_owned();
            let drafts = Drafts::begin(&series)?;
            let adoptions = plan.groups.iter().zip(0_u32..).filter(|(group, _)| group.span().is_some());
            let adoptions: Vec<_> = adoptions.map(|(group, number)| drafts.write(group, number)).collect::<Result<_, _>>()?;
            let waits = lend(store).adopt(adoptions, Instant::now())?;
            if let Some(job) = waits {
                return Err(UnimportedError::Migrating(job));
            }
        }
        Ok(imported)
    }
}

/// Has every file take over what it is to have of others, for a store that nobody drives.
pub fn settle(store: &mut SeriesStore) -> Result<(), SeriesError> {
    while let Some(migration) = store.next_migration() {
        let done = migration.run();
        store.migrated(&migration, done)?;
    }
    store.checkpoint_anyway(Instant::now())
}

/// Copies in the making; what is left of them goes with it, and with the next import.
struct Drafts {
    folder: PathBuf,
    /// One import at a time: locked while copies are made.
    _alone: File,
}

impl Drafts {
    fn begin(series: &Path) -> Result<Self, UnimportedError> {
        let folder = series.join(DRAFTS);
        let fault = |source| UnimportedError::Draft { path: folder.clone(), source };
        fs::create_dir_all(&folder).map_err(fault)?;
        let alone = File::open(&folder).map_err(fault)?;
        match alone.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(UnimportedError::Busy),
            Err(TryLockError::Error(source)) => return Err(fault(source)),
        }
        for left in fs::read_dir(&folder).map_err(fault)? {
            fs::remove_file(left.map_err(fault)?.path()).map_err(fault)?;
        }
        Ok(Self { folder, _alone: alone })
    }

    fn write(&self, group: &Group, number: u32) -> Result<Adoption, UnimportedError> {
        let draft = self.folder.join(format!("{number}.rrd"));
        let (columns, since, last) = convert::write(group, &draft)?;
        let Group { job, labels, step, .. } = group;
        Ok(Adoption { job: job.clone(), labels: labels.clone(), step: *step, since, last, columns, draft })
    }
}

impl Drop for Drafts {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

impl Group {
    fn told(&self) -> impl Iterator<Item = Imported> {
        self.takes.iter().map(|take| Imported {
            file: self.file.display().to_string(),
            source: take.source.clone(),
            series: series(&self.job, &self.labels, &take.metric),
            step: self.step,
            from: take.span.map(|(from, _)| from),
            to: take.span.map(|(_, to)| to),
            values: take.values,
            factor: take.factor,
        })
    }

    fn columns(&self) -> Vec<Column> {
        let names = source_names(self.takes.iter().map(|take| take.metric.as_str()));
        let column =
            |(take, source): (&plan::Take, String)| Column { source, metric: take.metric.clone(), kind: take.kind, unit: take.unit };
        self.takes.iter().zip(names).map(column).collect()
    }
}

fn series(job: &str, labels: &LabelSet, metric: &str) -> String {
    let labels: Vec<_> = [("job".to_owned(), job.to_owned())].into_iter().chain(labels.iter().cloned()).collect();
    selector_of(metric, &labels)
}
