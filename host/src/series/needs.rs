//! How much room the series of a job will take.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::Serialize;

use super::archive::file_bytes;
use super::catalogue::Job;
use super::layout::Layout;
use super::shape::Wishes;
use crate::reading::Shape;

/// Room that series take from their first readings on: files are as large then as they will ever be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Needs {
    /// Files, one label set for each group of labels.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files where each job has as many label sets as it may have.
    pub files_max: u64,
    /// Their bytes.
    pub bytes_max: u64,
}

impl AddAssign for Needs {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.files_max += other.files_max;
        self.bytes_max += other.bytes_max;
    }
}

impl Needs {
    /// The room for the series of a job.
    pub fn of(shape: &Shape, wishes: &Wishes, labels_max: u64) -> Self {
        let metrics = shape.metrics.iter().map(|spec| super::catalogue::JobMetric { spec: spec.clone(), declared: false }).collect();
        let job = Job {
            agent: shape.agent.clone(),
            target: shape.target.clone(),
            labels: shape.labels.clone(),
            step: shape.step_s,
            wishes: wishes.clone(),
            metrics,
            files: Vec::new(),
        };
        let mut needs = Self::default();
        // Files of one label set, and their bytes, by its keys.
        let mut sets: BTreeMap<Vec<String>, (u64, u64)> = BTreeMap::new();
        for (keys, shape) in Layout::of(&job).shapes() {
            let bytes = file_bytes(shape.sources.len(), &shape.archives);
            needs += Self { files: 1, bytes, files_max: 1, bytes_max: bytes };
            if !keys.is_empty() {
                let (files, sum) = sets.entry(keys.to_vec()).or_default();
                (*files, *sum) = (*files + 1, *sum + bytes);
            }
        }
        // Whichever keys the label sets have: all of the largest at most.
        let (files, bytes) = sets.values().copied().max_by_key(|(_, bytes)| *bytes).unwrap_or_default();
        let more = labels_max.saturating_sub(sets.len() as u64);
        needs += Self { files: 0, bytes: 0, files_max: more * files, bytes_max: more * bytes };
        needs
    }
}

#[cfg(test)]
mod tests {
    use watchpost_plugin_api::{Kind, MetricSpec, Unit};

    use super::*;
    use crate::series::keeping::{Keeping, Profile};

    #[test]
    fn a_job_needs_a_file_for_each_group_of_labels_and_more_for_each_label_set() {
        let metric = |name: &str, keys: &[&str]| {
            let (name, keys) = (name.to_owned(), keys.iter().map(|key| (*key).to_owned()).collect());
            MetricSpec { name, kind: Kind::Gauge, unit: Unit::Seconds, help: "A time.".into(), keys }
        };
        let (job, agent, target) = ("mx".into(), "smtp".into(), "h:25".into());
        let metrics = vec![metric("a", &[]), metric("b", &[]), metric("c", &["queue"])];
        let shape = Shape { job, agent, target, labels: vec![], step_s: 60, metrics };
        let [standard, fine] =
            [Profile::Standard, Profile::Fine].map(|profile| Wishes { keeping: Keeping::Profile(profile), heartbeat: None });
        let bytes = |wishes: &Wishes, sources| file_bytes(sources, &wishes.keeping.archives(60));
        for wishes in [&standard, &fine] {
            let (own, of_set) = (bytes(wishes, 4), bytes(wishes, 1));
            let expected = Needs { files: 2, bytes: own + of_set, files_max: 101, bytes_max: own + 100 * of_set };
            assert_eq!(Needs::of(&shape, wishes, 100), expected);
        }
        let plain = Shape { metrics: vec![], ..shape };
        let bytes = bytes(&standard, 2);
        assert_eq!(Needs::of(&plain, &standard, 100), Needs { files: 1, bytes, files_max: 1, bytes_max: bytes });
    }
}
