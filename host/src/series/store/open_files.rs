//! The series files that readings come in for, by job and label set.

use std::collections::HashMap;

use super::open_file::OpenFile;
use crate::series::name::LabelSet;

/// All open files; how many they are is known without counting.
#[derive(Debug, Default)]
pub(super) struct OpenFiles {
    by_job: HashMap<String, HashMap<LabelSet, OpenFile>>,
    count: usize,
}

impl OpenFiles {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Those of a job.
    pub(super) fn of_job(&self, job: &str) -> impl Iterator<Item = &OpenFile> {
        self.by_job.get(job).into_iter().flat_map(HashMap::values)
    }

    pub(super) fn get(&self, job: &str, labels: &LabelSet) -> Option<&OpenFile> {
        self.by_job.get(job)?.get(labels)
    }

    /// Those of a job, to be written in.
    pub(super) fn of_job_mut(&mut self, job: &str) -> Option<&mut HashMap<LabelSet, OpenFile>> {
        self.by_job.get_mut(job)
    }

    /// Whether a job has all of these.
    pub(super) fn has_all<'a>(&self, job: &str, mut sets: impl Iterator<Item = &'a LabelSet>) -> bool {
        self.by_job.get(job).is_some_and(|of_job| sets.all(|labels| of_job.contains_key(labels)))
    }

    pub(super) fn insert(&mut self, job: &str, labels: LabelSet, file: OpenFile) {
        let of_job = match self.by_job.get_mut(job) {
            Some(of_job) => of_job,
            None => self.by_job.entry(job.to_owned()).or_default(),
        };
        self.count += usize::from(of_job.insert(labels, file).is_none());
    }

    pub(super) fn remove(&mut self, job: &str, labels: &LabelSet) -> Option<OpenFile> {
        let removed = self.by_job.get_mut(job)?.remove(labels);
        self.count -= usize::from(removed.is_some());
        removed
    }

    /// Removes those of a job, and gives them.
    pub(super) fn remove_job(&mut self, job: &str) -> HashMap<LabelSet, OpenFile> {
        let removed = self.by_job.remove(job).unwrap_or_default();
        self.count -= removed.len();
        removed
    }

    /// Takes those of a job again.
    pub(super) fn put_job(&mut self, job: &str, files: HashMap<LabelSet, OpenFile>) {
        files.into_iter().for_each(|(labels, file)| self.insert(job, labels, file));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &LabelSet, &OpenFile)> {
        self.by_job.iter().flat_map(|(job, files)| files.iter().map(move |(labels, file)| (job.as_str(), labels, file)))
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut OpenFile> {
        self.by_job.values_mut().flat_map(HashMap::values_mut)
    }
}
