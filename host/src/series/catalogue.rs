//! The catalogue: true names, units and kinds of all series, and the files they lie in.
//!
//! Wholly in memory while open. The file has it as of the last checkpoint, so that a replay of the journal finds it as the records
//! after that checkpoint found it the first time; what was done meanwhile to series files is noted at once, to be taken back.

mod changes;
mod commit;
mod gaps;
mod load;
mod schema;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

pub use changes::Change;
use rusqlite::Connection;
use watchpost_plugin_api::{Kind, MetricSpec, Unit};

use super::Position;
use super::gap::book::Book;
use super::name::{LabelSet, of_series};
use super::shape::Wishes;
use crate::{database::DatabaseError, job::fault, reading::Shape};

/// Name of the catalogue in the data folder.
pub const FILE_NAME: &str = "catalogue.sqlite";

/// Time after which a label set that no reading had makes room for another one. Its files stay.
pub const UNSEEN_S: i64 = 30 * 86_400;

/// Why the catalogue cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The file cannot be opened.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// SQLite failed.
    #[error("the catalogue failed")]
    Sqlite(#[from] rusqlite::Error),
}

/// One job, as its last shape and its runs have described it.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its agent's name.
    pub agent: String,
    /// The label `target`.
    pub target: String,
    /// Its own labels.
    pub labels: Vec<(String, String)>,
    /// Seconds between slots.
    pub step: u32,
    /// How it wants its files.
    pub wishes: Wishes,
    /// Its metrics, in order.
    pub metrics: Vec<JobMetric>,
    /// Its files, those set aside too.
    pub files: Vec<SeriesFile>,
}

/// One metric of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobMetric {
    /// What it is.
    pub spec: MetricSpec,
    /// Whether it became known only at run time; such a metric outlives a new shape that does not name it.
    pub declared: bool,
}

/// One file.
#[derive(Clone, Debug)]
pub struct SeriesFile {
    /// Its number.
    pub id: i64,
    /// The labels of its series, with true values, and its number, if it is not the first of these.
    pub labels: LabelSet,
    /// Where it lies, below the series folder.
    pub path: String,
    /// 0 while it is written to, else the number it was set aside with: the later, the greater.
    pub generation: u32,
    /// Seconds between slots.
    pub step: u32,
    /// The slot of its first reading.
    pub first_slot: i64,
    /// The slot of the earliest reading that it has anything of: that of a file before it, whose rows it has taken over.
    pub since: i64,
    /// The slot of its last reading as of the last checkpoint.
    pub last_slot: i64,
    /// What its columns are.
    pub columns: Vec<Column>,
}

/// One column of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The data source.
    pub source: String,
    /// The metric it holds.
    pub metric: String,
    /// How its values follow one another.
    pub kind: Kind,
    /// What one is.
    pub unit: Unit,
}

impl Job {
    /// The files of a label set, those set aside too.
    pub fn files_of<'a>(&'a self, series: &'a [(String, String)]) -> impl Iterator<Item = &'a SeriesFile> {
        self.files.iter().filter(move |file| of_series(&file.labels) == of_series(series))
    }

    /// Finds the file that these labels are written to.
    pub fn current(&self, labels: &LabelSet) -> Option<&SeriesFile> {
        self.files.iter().find(|file| file.generation == 0 && file.labels == *labels)
    }

    /// Says whether a run's declarations would change the job.
    pub fn would_grow(&self, declared: &[MetricSpec]) -> bool {
        with_declared(&self.metrics, declared).is_some()
    }

    /// The files that label sets are written to, one or more for each; the one without labels not among them.
    pub fn current_sets(&self) -> impl Iterator<Item = &SeriesFile> {
        self.files.iter().filter(|file| file.generation == 0 && !of_series(&file.labels).is_empty())
    }

    /// The slot of the last reading of all, as of the last checkpoint.
    pub fn last_slot(&self) -> Option<i64> {
        self.files.iter().map(|file| file.last_slot).max()
    }
}

/// What the catalogue and the series files are a picture of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpointed {
    /// Tells the file that belongs to it from others.
    pub mark: u64,
    /// The last record that is in the picture.
    pub position: Position,
}

/// True names, units and kinds of all series.
#[derive(Debug)]
pub struct Catalogue {
    connection: Connection,
    jobs: BTreeMap<String, Job>,
    checkpoint: Option<Checkpointed>,
    /// Given to the next file, or to the next one that is set aside; never given twice.
    next_file: i64,
    /// Jobs that are not in the file as they are here.
    changed: BTreeSet<String>,
    /// Last slots that are not in the file yet, by number of the series file.
    unsaved_slots: HashMap<i64, i64>,
    /// Why series have no values.
    gaps: Book,
    /// Series files that the last commit has given up; they are removed, and it may be that a loss of power brings them back.
    given_up: BTreeSet<String>,
    /// Those that the next one will.
    to_give_up: BTreeSet<String>,
}

impl Catalogue {
    /// Opens the catalogue of a data folder, making or migrating it.
    pub fn open(data: &Path) -> Result<Self, CatalogueError> {
        let connection = schema::FORMAT.open(&data.join(FILE_NAME))?;
        let jobs = load::jobs(&connection)?;
        let checkpoint = load::checkpoint(&connection)?;
        let gaps = gaps::load(&connection)?;
        let newest = jobs.values().flat_map(|job| &job.files).map(|file| file.id).max();
        let next_file = load::next_file(&connection)?.max(newest.unwrap_or(0) + 1);
        let given_up = load::given_up(&connection)?;
        let (changed, unsaved_slots, to_give_up) = Default::default();
        Ok(Self { connection, jobs, checkpoint, next_file, changed, unsaved_slots, gaps, given_up, to_give_up })
    }

    /// Copies what the file says into another data folder.
    pub fn copy_to(&self, data: &Path) -> Result<(), CatalogueError> {
        self.connection.execute("VACUUM INTO ?1", [data.join(FILE_NAME).to_string_lossy()])?;
        Ok(())
    }

    /// Every job by name.
    pub fn jobs(&self) -> &BTreeMap<String, Job> {
        &self.jobs
    }

    /// What the file is a picture of; nothing before the first checkpoint.
    pub fn checkpoint(&self) -> Option<Checkpointed> {
        self.checkpoint
    }

    /// Says whether a file of the job lies there.
    pub fn is_taken(&self, job: &str, path: &str) -> bool {
        self.jobs.get(job).is_some_and(|job| job.files.iter().any(|file| file.path == path))
    }

    /// Takes a job's shape; metrics declared at run time stay.
    pub fn put_shape(&mut self, shape: &Shape) {
        let known = self.jobs.get(&shape.job);
        let metrics = merged(shape, known);
        let same = known.is_some_and(|job| {
            (&job.agent, &job.target, &job.labels, job.step, &job.metrics)
                == (&shape.agent, &shape.target, &shape.labels, shape.step_s, &metrics)
        });
        if same {
            return;
        }
        let (wishes, files) = self.jobs.remove(&shape.job).map(|job| (job.wishes, job.files)).unwrap_or_default();
        let (agent, target, labels) = (shape.agent.clone(), shape.target.clone(), shape.labels.clone());
        self.jobs.insert(shape.job.clone(), Job { agent, target, labels, step: shape.step_s, wishes, metrics, files });
        self.changed.insert(shape.job.clone());
    }

    /// Takes how a job wants its files.
    pub fn put_wishes(&mut self, job: &str, wishes: &Wishes) {
        if let Some(known) = self.jobs.get_mut(job).filter(|known| known.wishes != *wishes) {
            known.wishes.clone_from(wishes);
            self.changed.insert(job.into());
        }
    }

    /// Takes metrics that a run declared. Says whether any was new or different.
    pub fn declare(&mut self, job: &str, declared: &[MetricSpec]) -> bool {
        let Some(known) = self.jobs.get_mut(job) else { return false };
        let Some(metrics) = with_declared(&known.metrics, declared) else { return false };
        known.metrics = metrics;
        self.changed.insert(job.into());
        true
    }

    /// Notes a new file, and gives it its number.
    pub fn add_file(&mut self, job: &str, mut file: SeriesFile) -> Option<i64> {
        let known = self.jobs.get_mut(job)?;
        let id = self.next_file;
        (file.id, self.next_file) = (id, id + 1);
        known.files.push(file);
        self.changed.insert(job.into());
        Some(id)
    }

    /// Takes a number for a file that is set aside: greater than those of all before it.
    pub fn take_generation(&mut self) -> u32 {
        self.next_file += 1;
        u32::try_from(self.next_file - 1).unwrap_or(u32::MAX)
    }

    /// Notes that a file gives way to a new one.
    pub fn set_aside(&mut self, job: &str, id: i64, path: &str, generation: u32) {
        let Some(file) = self.jobs.get_mut(job).and_then(|job| job.files.iter_mut().find(|file| file.id == id)) else { return };
        path.clone_into(&mut file.path);
        file.generation = generation;
        self.changed.insert(job.into());
    }

    /// Notes that a file has taken over the rows of another one, which goes with the next commit.
    pub fn took_over(&mut self, job: &str, by: &[i64], source: &SeriesFile) {
        if let Some(known) = self.jobs.get_mut(job) {
            for file in known.files.iter_mut().filter(|file| by.contains(&file.id)) {
                file.since = file.since.min(source.since);
            }
            known.files.retain(|file| file.id != source.id);
            self.give_up(&source.path);
            self.changed.insert(job.into());
        }
    }

    /// Has a file removed with the next commit that nothing here knows any more.
    pub fn give_up(&mut self, path: &str) {
        self.to_give_up.insert(path.to_owned());
    }

    /// Series files that the last commit has given up, but for those whose name another one has by now.
    pub fn given_up(&self) -> impl Iterator<Item = &str> {
        let job = |path: &str| path.split('/').next().unwrap_or_default().to_owned();
        self.given_up.iter().map(String::as_str).filter(move |path| !self.is_taken(&job(path), path))
    }

    /// Says whether a file goes with the next commit, or is gone.
    pub fn is_given_up(&self, path: &str) -> bool {
        self.to_give_up.contains(path) || self.given_up.contains(path)
    }

    /// Makes a job known as the successor of another one, with what that one's runs have declared.
    pub fn succeed(&mut self, from: &str, to: &str) {
        let Some(old) = self.jobs.get(from).cloned() else { return };
        let new = self.jobs.entry(to.to_owned()).or_insert_with(|| Job { files: Vec::new(), ..old.clone() });
        for metric in old.metrics.into_iter().filter(|metric| metric.declared) {
            if new.metrics.iter().all(|known| known.spec.name != metric.spec.name) {
                new.metrics.push(metric);
            }
        }
        self.changed.insert(to.to_owned());
    }

    /// Notes that a file is another job's now, and where it lies.
    pub fn hand_over(&mut self, from: &str, id: i64, to: &str, path: &str, generation: u32) {
        let Some(old) = self.jobs.get_mut(from) else { return };
        let Some(place) = old.files.iter().position(|file| file.id == id) else { return };
        let file = SeriesFile { path: path.to_owned(), generation, ..old.files.remove(place) };
        if let Some(new) = self.jobs.get_mut(to) {
            new.files.push(file);
            new.files.sort_by_key(|file| file.id);
        }
        self.changed.extend([from.to_owned(), to.to_owned()]);
    }

    /// Forgets a job that has no files.
    pub fn forget_job(&mut self, job: &str) {
        if self.jobs.get(job).is_some_and(|known| known.files.is_empty()) {
            self.jobs.remove(job);
            self.changed.insert(job.to_owned());
        }
    }

    /// Forgets a file.
    pub fn forget_file(&mut self, job: &str, id: i64) {
        if let Some(known) = self.jobs.get_mut(job) {
            known.files.retain(|file| file.id != id);
            self.changed.insert(job.into());
        }
    }

    /// Notes the last slot of files, by number.
    pub fn seen(&mut self, last_slots: &[(i64, i64)]) {
        self.unsaved_slots.extend(last_slots.iter().copied());
        let slots: HashMap<_, _> = last_slots.iter().copied().collect();
        for file in self.jobs.values_mut().flat_map(|job| &mut job.files) {
            file.last_slot = slots.get(&file.id).copied().unwrap_or(file.last_slot);
        }
    }
}

fn merged(shape: &Shape, known: Option<&Job>) -> Vec<JobMetric> {
    let mut metrics: Vec<_> = shape.metrics.iter().map(|spec| JobMetric { spec: spec.clone(), declared: false }).collect();
    for old in known.iter().flat_map(|job| &job.metrics).filter(|metric| metric.declared) {
        if metrics.iter().all(|metric| metric.spec.name != old.spec.name) {
            metrics.push(old.clone());
        }
    }
    metrics
}

/// The metrics with those of a run added; nothing if it brings none. What the agent declared when it was built stands.
fn with_declared(known: &[JobMetric], declared: &[MetricSpec]) -> Option<Vec<JobMetric>> {
    let mut metrics = known.to_vec();
    for spec in declared.iter().filter(|spec| fault(spec).is_none()) {
        match metrics.iter_mut().find(|metric| metric.spec.name == spec.name) {
            None => metrics.push(JobMetric { spec: spec.clone(), declared: true }),
            Some(metric) if metric.declared => metric.spec = spec.clone(),
            Some(_) => {}
        }
    }
    (metrics != known).then_some(metrics)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(metrics: &[&str]) -> Shape {
        let spec = |name: &&str| MetricSpec {
            name: (*name).into(),
            kind: Kind::Counter,
            unit: Unit::Messages,
            help: "Mails.".into(),
            keys: vec!["queue".into()],
        };
        Shape {
            job: "j".into(),
            agent: "a".into(),
            target: "t".into(),
            labels: vec![("site".into(), "paris".into())],
            step_s: 60,
            metrics: metrics.iter().map(spec).collect(),
        }
    }

    #[test]
    fn what_was_put_in_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut catalogue = Catalogue::open(folder.path()).unwrap();
        catalogue.put_shape(&shape(&["mails"]));
        assert!(catalogue.declare("j", &shape(&["late"]).metrics));
        assert!(!catalogue.declare("j", &shape(&["late", "mails"]).metrics), "nothing was new");
        let columns = vec![Column { source: "m".into(), metric: "mails".into(), kind: Kind::Counter, unit: Unit::Messages }];
        let labels = vec![("queue".into(), "a b".into())];
        let path = "j/x.rrd".into();
        let file = SeriesFile { id: 0, labels, path, generation: 0, step: 60, first_slot: 60, since: 60, last_slot: 60, columns };
        let id = catalogue.add_file("j", file.clone()).unwrap();
        let checkpoint = |position| Checkpointed { mark: u64::MAX, position };
        catalogue.commit(checkpoint(7)).unwrap();
        catalogue.seen(&[(id, 120)]);
        catalogue.commit(checkpoint(8)).unwrap();
        catalogue.set_aside("j", id, "j/x.1.rrd", 1);
        catalogue.add_file("j", file).unwrap();
        catalogue.seen(&[(id, 180)]);
        catalogue.commit(checkpoint(9)).unwrap();
        let before = format!("{:?}", catalogue.jobs());
        catalogue.add_file("j", catalogue.jobs()["j"].files[0].clone());
        drop(catalogue);
        let again = Catalogue::open(folder.path()).unwrap();
        assert_eq!((format!("{:?}", again.jobs()), again.checkpoint()), (before, Some(checkpoint(9))), "as of the last commit");
        assert_eq!(again.jobs()["j"].files.iter().map(|file| file.last_slot).collect::<Vec<_>>(), [180, 60]);
    }

    #[test]
    fn a_change_is_noted_at_once_until_the_next_commit() {
        let folder = tempfile::tempdir().unwrap();
        let changes = [Change::Moved { from: "j/a.rrd".into(), to: "j/a.1.rrd".into() }, Change::Born { path: "j/a.rrd".into() }];
        let mut catalogue = Catalogue::open(folder.path()).unwrap();
        catalogue.note(&changes).unwrap();
        drop(catalogue);
        let mut catalogue = Catalogue::open(folder.path()).unwrap();
        assert_eq!(catalogue.changes().unwrap(), changes);
        catalogue.commit(Checkpointed { mark: 1, position: 1 }).unwrap();
        assert!(catalogue.changes().unwrap().is_empty());
    }

    #[test]
    fn a_metric_declared_at_run_time_outlives_a_new_shape() {
        let folder = tempfile::tempdir().unwrap();
        let mut catalogue = Catalogue::open(folder.path()).unwrap();
        catalogue.put_shape(&shape(&["mails"]));
        catalogue.declare("j", &shape(&["late"]).metrics);
        catalogue.put_shape(&shape(&["other"]));
        let names: Vec<_> = catalogue.jobs()["j"].metrics.iter().map(|metric| metric.spec.name.clone()).collect();
        assert_eq!(names, ["other", "late"]);
    }

    #[test]
    fn a_newer_catalogue_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        drop(Catalogue::open(folder.path()).unwrap());
        Connection::open(folder.path().join(FILE_NAME)).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let error = Catalogue::open(folder.path()).unwrap_err();
        assert!(matches!(error, CatalogueError::Database(DatabaseError::Newer { found: 99, .. })), "{error}");
    }
}
