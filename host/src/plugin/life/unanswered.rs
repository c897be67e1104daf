//! Runs that nobody answered in time: an event tells of them, many at once.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::Life;
use crate::plugin::{Incident, What};

/// Between two events of one plugin.
const TOLD_EVERY: Duration = Duration::from_secs(60);
/// Jobs that an event names.
const NAMED_MAX: usize = 5;

/// Those of which nothing was told yet.
#[derive(Default)]
pub(super) struct Unanswered {
    runs: usize,
    jobs: BTreeSet<String>,
    told: Option<Instant>,
}

impl Unanswered {
    fn text(&self) -> String {
        let named: Vec<&str> = self.jobs.iter().take(NAMED_MAX).map(String::as_str).collect();
        let more = self.jobs.len() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let (runs, count) = match self.runs {
            1 => ("a run was".to_owned(), "counts"),
            runs => (format!("{runs} runs were"), "count"),
        };
        format!("{runs} not answered in time and {count} as interrupted, of {}{more}", named.join(", "))
    }
}

impl Life {
    /// Notes the job of each run that was given up, and tells of them once in a while.
    pub(super) fn note_unanswered(&mut self, jobs: &[u64]) {
        let noted = &mut self.unanswered;
        noted.runs += jobs.len();
        noted.jobs.extend(jobs.iter().filter_map(|&job| self.jobs.name(job).map(str::to_owned)));
        if noted.runs == 0 || noted.told.is_some_and(|told| told.elapsed() < TOLD_EVERY) {
            return;
        }
        let text = format!("plugin {}: {}", self.name, noted.text());
        let mut named = std::mem::take(&mut noted.jobs);
        let job = if named.len() == 1 { named.pop_first() } else { None };
        (noted.runs, noted.told) = (0, Some(Instant::now()));
        self.ward.tell(Incident { plugin: self.name.clone(), job, what: What::Unanswered, text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_counts_runs_and_names_some_of_their_jobs() {
        let of = |runs, jobs: usize| Unanswered { runs, jobs: (0..jobs).map(|job| format!("job-{job}")).collect(), told: None }.text();
        assert_eq!(of(1, 1), "a run was not answered in time and counts as interrupted, of job-0");
        let many = "9 runs were not answered in time and count as interrupted, of job-0, job-1, job-2, job-3, job-4 and 2 more";
        assert_eq!(of(9, 7), many);
    }
}
