//! The catalogue: true names, units and kinds of all series, and the files they lie in.
//!
//! Wholly in memory while open; a statement runs only when something new appears, and at checkpoints.

mod load;
mod schema;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use serde::Serialize;
use watchpost_plugin_api::{Kind, MetricSpec, Unit};

use super::name::LabelSet;
use crate::{job::fault, reading::Shape};

/// Name of the catalogue in the data folder.
pub const FILE_NAME: &str = "catalogue.sqlite";

/// Why the catalogue cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// A newer program wrote it.
    #[error("{path} has format {found}, this program knows up to {known}")]
    Newer {
        /// The catalogue.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest known.
        known: i64,
    },
    /// SQLite failed.
    #[error("the catalogue failed")]
    Sqlite(#[from] rusqlite::Error),
}

/// One job, as its last shape and its runs have described it.
#[derive(Clone, Debug)]
pub struct Job {
    id: i64,
    /// Its agent's name.
    pub agent: String,
    /// The label `target`.
    pub target: String,
    /// Its own labels.
    pub labels: Vec<(String, String)>,
    /// Seconds between slots.
    pub step: u32,
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
    /// The labels of its series, with true values.
    pub labels: LabelSet,
    /// Where it lies, below the series folder.
    pub path: String,
    /// 0 while it is written to, else the number it was set aside with.
    pub generation: u32,
    /// Seconds between slots.
    pub step: u32,
    /// The slot of its first reading.
    pub first_slot: i64,
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
    /// Finds the file that this label set is written to.
    pub fn current(&self, labels: &LabelSet) -> Option<&SeriesFile> {
        self.files.iter().find(|file| file.generation == 0 && file.labels == *labels)
    }

    /// Says whether a run's declarations would change the job.
    pub fn would_grow(&self, declared: &[MetricSpec]) -> bool {
        !declared.is_empty() && with_declared(&self.metrics, declared).is_some()
    }

    /// Counts label sets that have a file, the one without labels not counted.
    pub fn label_sets(&self) -> usize {
        self.current_sets().count()
    }

    /// Those label sets.
    pub fn current_sets(&self) -> impl Iterator<Item = &LabelSet> {
        self.files.iter().filter(|file| file.generation == 0 && !file.labels.is_empty()).map(|file| &file.labels)
    }
}

/// True names, units and kinds of all series.
#[derive(Debug)]
pub struct Catalogue {
    connection: Connection,
    jobs: BTreeMap<String, Job>,
}

impl Catalogue {
    /// Opens the catalogue of a data folder, making or migrating it.
    pub fn open(data: &Path) -> Result<Self, CatalogueError> {
        let connection = schema::open(&data.join(FILE_NAME))?;
        let jobs = load::jobs(&connection)?;
        Ok(Self { connection, jobs })
    }

    /// Every job by name.
    pub fn jobs(&self) -> &BTreeMap<String, Job> {
        &self.jobs
    }

    /// Says whether a file of the job lies there.
    pub fn is_taken(&self, job: &str, path: &str) -> bool {
        self.jobs.get(job).is_some_and(|job| job.files.iter().any(|file| file.path == path))
    }

    /// Takes a job's shape; metrics declared at run time stay. Nothing is written if nothing changes.
    pub fn put_shape(&mut self, shape: &Shape) -> Result<(), CatalogueError> {
        let known = self.jobs.get(&shape.job);
        let metrics = merged(shape, known);
        let same = known.is_some_and(|job| {
            (&job.agent, &job.target, &job.labels, job.step, &job.metrics)
                == (&shape.agent, &shape.target, &shape.labels, shape.step_s, &metrics)
        });
        if same {
            return Ok(());
        }
        let transaction = self.connection.transaction()?;
        let id: i64 = transaction.query_row(
            "INSERT INTO jobs (name, agent, target, labels, step_s) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (name) DO UPDATE SET agent = ?2, target = ?3, labels = ?4, step_s = ?5 RETURNING id",
            params![shape.job, shape.agent, shape.target, json(&shape.labels), shape.step_s],
            |row| row.get(0),
        )?;
        put_metrics(&transaction, id, &metrics)?;
        transaction.commit()?;
        let files = self.jobs.remove(&shape.job).map(|job| job.files).unwrap_or_default();
        let (agent, target, labels) = (shape.agent.clone(), shape.target.clone(), shape.labels.clone());
        self.jobs.insert(shape.job.clone(), Job { id, agent, target, labels, step: shape.step_s, metrics, files });
        Ok(())
    }

    /// Takes metrics that a run declared. Says whether any was new or different; nothing is written otherwise.
    pub fn declare(&mut self, job: &str, declared: &[MetricSpec]) -> Result<bool, CatalogueError> {
        let Some(job) = self.jobs.get_mut(job) else { return Ok(false) };
        let Some(metrics) = with_declared(&job.metrics, declared) else { return Ok(false) };
        let transaction = self.connection.transaction()?;
        put_metrics(&transaction, job.id, &metrics)?;
        transaction.commit()?;
        job.metrics = metrics;
        Ok(true)
    }

    /// Notes a new file.
    pub fn add_file(&mut self, job: &str, mut file: SeriesFile) -> Result<(), CatalogueError> {
        let Some(job) = self.jobs.get_mut(job) else { return Ok(()) };
        let transaction = self.connection.transaction()?;
        transaction.execute(
            "INSERT INTO files (job, labels, path, generation, step_s, first_slot, last_slot) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![job.id, json(&file.labels), file.path, file.generation, file.step, file.first_slot, file.last_slot],
        )?;
        file.id = transaction.last_insert_rowid();
        for (column, place) in file.columns.iter().zip(0_i64..) {
            transaction.execute(
                "INSERT INTO sources (file, place, name, metric, kind, unit) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![file.id, place, column.source, column.metric, word(&column.kind), word(&column.unit)],
            )?;
        }
        transaction.commit()?;
        job.files.push(file);
        Ok(())
    }

    /// Notes that a file gives way to a new one.
    pub fn set_aside(&mut self, job: &str, id: i64, path: &str, generation: u32) -> Result<(), CatalogueError> {
        let Some(file) = self.jobs.get_mut(job).and_then(|job| job.files.iter_mut().find(|file| file.id == id)) else { return Ok(()) };
        self.connection.execute("UPDATE files SET path = ?1, generation = ?2 WHERE id = ?3", params![path, generation, id])?;
        path.clone_into(&mut file.path);
        file.generation = generation;
        Ok(())
    }

    /// Notes the last slot of files, by number.
    pub fn seen(&mut self, last_slots: &[(i64, i64)]) -> Result<(), CatalogueError> {
        let transaction = self.connection.transaction()?;
        for (id, slot) in last_slots {
            transaction.prepare_cached("UPDATE files SET last_slot = ?2 WHERE id = ?1")?.execute(params![id, slot])?;
        }
        transaction.commit()?;
        let slots: std::collections::HashMap<_, _> = last_slots.iter().copied().collect();
        for file in self.jobs.values_mut().flat_map(|job| &mut job.files) {
            file.last_slot = slots.get(&file.id).copied().unwrap_or(file.last_slot);
        }
        Ok(())
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

fn put_metrics(connection: &Connection, job: i64, metrics: &[JobMetric]) -> Result<(), CatalogueError> {
    connection.execute("DELETE FROM metrics WHERE job = ?1", params![job])?;
    for (JobMetric { spec, declared }, place) in metrics.iter().zip(0_i64..) {
        connection.execute(
            "INSERT INTO metrics (job, place, name, kind, unit, help, keys, declared) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![job, place, spec.name, word(&spec.kind), word(&spec.unit), spec.help, json(&spec.keys), declared],
        )?;
    }
    Ok(())
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_value(value).unwrap_or_default().to_string()
}

/// A kind or unit as the word that its JSON is.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(Into::into)).unwrap_or_default()
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
        catalogue.put_shape(&shape(&["mails"])).unwrap();
        assert!(catalogue.declare("j", &shape(&["late"]).metrics).unwrap());
        assert!(!catalogue.declare("j", &shape(&["late", "mails"]).metrics).unwrap(), "nothing was new");
        let columns = vec![Column { source: "m".into(), metric: "mails".into(), kind: Kind::Counter, unit: Unit::Messages }];
        let labels = vec![("queue".into(), "a b".into())];
        let path = "j/x.rrd".into();
        let file = SeriesFile { id: 0, labels, path, generation: 0, step: 60, first_slot: 60, last_slot: 60, columns };
        catalogue.add_file("j", file).unwrap();
        let id = catalogue.jobs()["j"].files[0].id;
        catalogue.seen(&[(id, 120)]).unwrap();
        catalogue.set_aside("j", id, "j/x.1.rrd", 1).unwrap();
        let before = format!("{:?}", catalogue.jobs());
        drop(catalogue);
        assert_eq!(format!("{:?}", Catalogue::open(folder.path()).unwrap().jobs()), before);
    }

    #[test]
    fn a_metric_declared_at_run_time_outlives_a_new_shape() {
        let folder = tempfile::tempdir().unwrap();
        let mut catalogue = Catalogue::open(folder.path()).unwrap();
        catalogue.put_shape(&shape(&["mails"])).unwrap();
        catalogue.declare("j", &shape(&["late"]).metrics).unwrap();
        catalogue.put_shape(&shape(&["other"])).unwrap();
        let names: Vec<_> = catalogue.jobs()["j"].metrics.iter().map(|metric| metric.spec.name.clone()).collect();
        assert_eq!(names, ["other", "late"]);
    }

    #[test]
    fn a_newer_catalogue_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        drop(Catalogue::open(folder.path()).unwrap());
        Connection::open(folder.path().join(FILE_NAME)).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let error = Catalogue::open(folder.path()).unwrap_err();
        assert!(matches!(error, CatalogueError::Newer { found: 99, .. }), "{error}");
    }
}
