//! The layout of every job. Jobs of the same metrics share one: there are few agents and many jobs.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Weak};

use foldhash::fast::RandomState;

use crate::series::catalogue::{Catalogue, Job};
use crate::series::layout::Layout;

/// Layouts by job.
#[derive(Debug, Default)]
pub(super) struct Layouts {
    by_job: HashMap<String, Arc<Layout>, RandomState>,
    /// One of those that come to the same number.
    alike: HashMap<u64, Weak<Layout>>,
}

impl Layouts {
    /// Lays out all that a catalogue has.
    pub(super) fn of(catalogue: &Catalogue) -> Self {
        let mut layouts = Self::default();
        for (name, job) in catalogue.jobs() {
            layouts.put(name, job);
        }
        layouts
    }

    pub(super) fn get(&self, job: &str) -> Option<&Arc<Layout>> {
        self.by_job.get(job)
    }

    /// Lays out a job as it is now.
    pub(super) fn put(&mut self, name: &str, job: &Job) -> &Arc<Layout> {
        let mut hasher = DefaultHasher::new();
        job.step.hash(&mut hasher);
        job.metrics.iter().for_each(|metric| metric.spec.name.hash(&mut hasher));
        let number = hasher.finish();
        let fresh = Layout::of(job);
        let known = self.alike.get(&number).and_then(Weak::upgrade).filter(|known| **known == fresh);
        let layout = known.unwrap_or_else(|| {
            // Those that nobody has any more.
            if self.alike.len() > 2 * self.by_job.len() {
                self.alike.retain(|_, layout| layout.strong_count() > 0);
            }
            let layout = Arc::new(fresh);
            self.alike.insert(number, Arc::downgrade(&layout));
            layout
        });
        self.by_job.entry(name.to_owned()).insert_entry(layout).into_mut()
    }

    pub(super) fn remove(&mut self, job: &str) {
        self.by_job.remove(job);
    }
}
