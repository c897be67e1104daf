//! How long rows of which step are kept: a profile, or spans that somebody wrote out.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::archive::{Archive, Consolidation};

const HOUR: u32 = 3_600;
const DAY: u32 = 86_400;

/// Rows of the finest archive of a profile, at least.
const BASE_ROWS_MIN: u32 = 2_880;
/// Rows of the finest archive that the usual profile has, at most: six hours at a step of one second.
const BASE_ROWS_MAX: u32 = 21_600;
/// Rows of one archive, at most.
pub const ROWS_MAX: u32 = 5_000_000;

/// How long the rows of a job's series are kept.
///
/// The order of variants is part of the journal's format: append, never insert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keeping {
    /// As a profile has it.
    Profile(Profile),
    /// As somebody wrote it out, the finest first.
    Spans(Vec<Span>),
}

impl Default for Keeping {
    fn default() -> Self {
        Self::Profile(Profile::default())
    }
}

/// A choice of spans that has a name.
///
/// The order of variants is part of the journal's format: append, never insert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Profile {
    /// Each slot for two days, 10 minutes for a week, hours for 400 days.
    #[default]
    Standard,
    /// Each slot for two weeks, 5 minutes for a quarter, hours for 400 days, with least and greatest of both.
    Fine,
    /// Each slot for two days, 10 minutes for a month, hours for two years, days for ten.
    Long,
}

impl Profile {
    /// All of them, the usual one first.
    pub const ALL: [Self; 3] = [Self::Standard, Self::Fine, Self::Long];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Fine => "fine",
            Self::Long => "long",
        }
    }

    /// Finds the profile of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    fn spans(self) -> Vec<Span> {
        use Consolidation::{Average, Max, Min};
        let span = |every, kept, of: &[Consolidation]| Span { every, kept, of: of.to_vec() };
        match self {
            Self::Standard => {
                vec![span(0, 2 * DAY, &[Average]), span(600, 7 * DAY, &[Average, Max]), span(HOUR, 400 * DAY, &[Average, Max])]
            }
            Self::Fine => {
                vec![span(0, 14 * DAY, &[Average]), span(300, 90 * DAY, &[Average, Min, Max]), span(HOUR, 400 * DAY, &[Average, Min, Max])]
            }
            Self::Long => vec![
                span(0, 2 * DAY, &[Average]),
                span(600, 30 * DAY, &[Average, Max]),
                span(HOUR, 2 * 365 * DAY, &[Average, Min, Max]),
                span(DAY, 10 * 365 * DAY, &[Average, Min, Max]),
            ],
        }
    }

    /// Rows of the finest archive: at least, at most.
    fn base_rows(self) -> (u32, u32) {
        match self {
            Self::Standard | Self::Long => (BASE_ROWS_MIN, BASE_ROWS_MAX),
            Self::Fine => (BASE_ROWS_MIN, 14 * BASE_ROWS_MAX),
        }
    }
}

/// Rows of one step, and how long they are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Seconds between rows; 0 means every slot.
    pub every: u32,
    /// Seconds that they are kept.
    pub kept: u32,
    /// What each row is of the slots that it stands for.
    pub of: Vec<Consolidation>,
}

impl Keeping {
    /// The archives of a file with this step, the finest first.
    ///
    /// Shape: each step is a multiple of the file's; what the slots themselves already hold for as long is left out.
    pub fn archives(&self, step: u32) -> Vec<Archive> {
        let step = step.max(1);
        let (spans, (rows_min, rows_max)) = match self {
            Self::Profile(profile) => (profile.spans(), profile.base_rows()),
            Self::Spans(spans) => (spans.clone(), (1, ROWS_MAX)),
        };
        let (fine, coarse): (Vec<_>, Vec<_>) = spans.iter().partition(|span| span.every <= step);
        let kept = fine.iter().map(|span| span.kept).max().unwrap_or(step);
        // What a profile keeps of hours, a job of hours keeps of its slots.
        let rows_max = if fine.iter().any(|span| span.every > 0) { ROWS_MAX } else { rows_max };
        let rows = kept.div_ceil(step).clamp(rows_min, rows_max);
        let mut all = vec![Archive { consolidation: Consolidation::Average, steps: 1, rows }];
        for span in coarse {
            let steps = span.every.div_ceil(step);
            let rows = (span.kept / (steps * step)).clamp(1, ROWS_MAX);
            all.extend(span.of.iter().map(|consolidation| Archive { consolidation: *consolidation, steps, rows }));
        }
        all
    }
}

impl fmt::Display for Keeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Profile(profile) => f.write_str(profile.name()),
            Self::Spans(_) => f.write_str("written out"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::archive::file_bytes;

    #[test]
    fn ten_thousand_jobs_of_eight_metrics_at_a_minute_fit_into_twenty_gigabytes() {
        // Two more data sources: `up` and `run_duration`.
        let archives = Keeping::default().archives(60);
        let bytes = 10_000 * file_bytes(10, &archives);
        assert!((15_000_000_000..=20_000_000_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn every_profile_has_hours_for_four_hundred_days_at_every_step() {
        for profile in Profile::ALL {
            for step in [1, 5, 7, 10, 30, 60, 90, 300, 420, 600, 1_800, 3_600, 5_400, 21_600, 43_200, 86_400] {
                let all = Keeping::Profile(profile).archives(step);
                let reach = |archive: &Archive| u64::from(archive.rows) * u64::from(archive.steps) * u64::from(step);
                assert_eq!(all[0].steps, 1, "step {step}");
                assert!(reach(&all[0]) >= 6 * 3_600, "step {step}: {all:?}");
                for how in [Consolidation::Average, Consolidation::Max] {
                    // Rows of a slot are the greatest as well as the mean.
                    let hours = |a: &&Archive| {
                        (a.consolidation == how && (a.steps * step).abs_diff(3_600) < step) || (a.steps == 1 && step >= 3_600)
                    };
                    assert!(all.iter().filter(hours).any(|a| reach(a) >= 399 * 86_400), "{} of {profile:?} at {step}: {all:?}", how.name());
                }
                assert!(all[1..].iter().all(|a| a.steps > 1), "step {step}: {all:?}");
                let bound = if profile == Profile::Fine { 40_000_000 } else { 9_000_000 };
                assert!(file_bytes(10, &all) < bound, "{profile:?} at step {step}: {}", file_bytes(10, &all));
            }
        }
    }

    #[test]
    fn spans_that_are_written_out_are_kept_as_they_are_written() {
        let span = |every, kept, of: &[Consolidation]| Span { every, kept, of: of.to_vec() };
        let keeping = Keeping::Spans(vec![span(0, 3_600, &[Consolidation::Average]), span(100, 7_200, &[Consolidation::Min])]);
        let archive = |consolidation, steps, rows| Archive { consolidation, steps, rows };
        assert_eq!(keeping.archives(10), [archive(Consolidation::Average, 1, 360), archive(Consolidation::Min, 10, 72)]);
        assert_eq!(keeping.archives(60), [archive(Consolidation::Average, 1, 60), archive(Consolidation::Min, 2, 60)]);
        assert_eq!(keeping.archives(3_600), [archive(Consolidation::Average, 1, 2)], "the slots hold it as long");
    }
}
