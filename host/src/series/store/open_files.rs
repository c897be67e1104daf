//! The series files that readings come in for, by job and label set.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::open_file::OpenFile;
use crate::series::layout::Layout;
use crate::series::name::LabelSet;

/// The labels of the file of a job that has none: most have no other.
static NONE: LabelSet = Vec::new();

/// All open files; how many they are is known without counting.
#[derive(Debug, Default)]
pub(super) struct OpenFiles {
    by_job: HashMap<String, OfJob, RandomState>,
    count: usize,
}

/// The open files of one job.
#[derive(Debug)]
pub(super) struct OfJob {
    /// The job's layout, for whoever has found its files.
    pub(super) layout: Arc<Layout>,
    plain: Option<OpenFile>,
    labelled: HashMap<LabelSet, OpenFile>,
}

impl OfJob {
    fn new(layout: &Arc<Layout>) -> Self {
        Self { layout: Arc::clone(layout), plain: None, labelled: HashMap::new() }
    }

    fn count(&self) -> usize {
        self.labelled.len() + usize::from(self.plain.is_some())
    }

    pub(super) fn get(&self, labels: &LabelSet) -> Option<&OpenFile> {
        if labels.is_empty() { self.plain.as_ref() } else { self.labelled.get(labels) }
    }

    pub(super) fn get_mut(&mut self, labels: &LabelSet) -> Option<&mut OpenFile> {
        if labels.is_empty() { self.plain.as_mut() } else { self.labelled.get_mut(labels) }
    }

    fn insert(&mut self, labels: LabelSet, file: OpenFile) -> Option<OpenFile> {
        if labels.is_empty() { self.plain.replace(file) } else { self.labelled.insert(labels, file) }
    }

    fn remove(&mut self, labels: &LabelSet) -> Option<OpenFile> {
        if labels.is_empty() { self.plain.take() } else { self.labelled.remove(labels) }
    }

    fn iter(&self) -> impl Iterator<Item = (&LabelSet, &OpenFile)> {
        self.plain.iter().map(|file| (&NONE, file)).chain(&self.labelled)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &OpenFile> {
        self.plain.iter().chain(self.labelled.values())
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut OpenFile> {
        self.plain.iter_mut().chain(self.labelled.values_mut())
    }
}

impl OpenFiles {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Those of a job.
    pub(super) fn of_job(&self, job: &str) -> impl Iterator<Item = &OpenFile> {
        self.by_job.get(job).into_iter().flat_map(OfJob::values)
    }

    pub(super) fn get(&self, job: &str, labels: &LabelSet) -> Option<&OpenFile> {
        self.by_job.get(job)?.get(labels)
    }

    /// Those of a job, to be written in.
    pub(super) fn of_job_mut(&mut self, job: &str) -> Option<&mut OfJob> {
        self.by_job.get_mut(job)
    }

    pub(super) fn insert(&mut self, job: &str, layout: &Arc<Layout>, labels: LabelSet, file: OpenFile) {
        let of_job = match self.by_job.get_mut(job) {
            Some(of_job) => of_job,
            None => self.by_job.entry(job.to_owned()).or_insert_with(|| OfJob::new(layout)),
        };
        self.count += usize::from(of_job.insert(labels, file).is_none());
    }

    /// A job is laid out otherwise.
    pub(super) fn lay_out(&mut self, job: &str, layout: &Arc<Layout>) {
        if let Some(of_job) = self.by_job.get_mut(job) {
            of_job.layout = Arc::clone(layout);
        }
    }

    pub(super) fn remove(&mut self, job: &str, labels: &LabelSet) -> Option<OpenFile> {
        let removed = self.by_job.get_mut(job)?.remove(labels);
        self.count -= usize::from(removed.is_some());
        removed
    }

    /// Removes those of a job, and gives them.
    pub(super) fn remove_job(&mut self, job: &str) -> Option<OfJob> {
        let removed = self.by_job.remove(job);
        self.count -= removed.as_ref().map_or(0, OfJob::count);
        removed
    }

    /// Takes those of a job again, which has none.
    pub(super) fn put_job(&mut self, job: &str, files: OfJob) {
        self.count += files.count();
        self.by_job.insert(job.to_owned(), files);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &LabelSet, &OpenFile)> {
        self.by_job.iter().flat_map(|(job, files)| files.iter().map(move |(labels, file)| (job.as_str(), labels, file)))
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut OpenFile> {
        self.by_job.values_mut().flat_map(OfJob::values_mut)
    }
}
