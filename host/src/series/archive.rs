//! Archives: how long rows of which step are kept.

use std::fmt;

/// Rows of the finest archive, at least.
const BASE_ROWS_MIN: u32 = 2_880;
/// Rows of the finest archive, at most: six hours at a step of one second.
const BASE_ROWS_MAX: u32 = 21_600;
/// Time the finest archive holds, if that many rows may be.
const BASE_SECONDS: u32 = 2 * DAY;
/// Step of the middle archives, and the time they hold.
const MIDDLE: (u32, u32) = (300, 7 * DAY);
/// Step of the coarse archives, and the time they hold.
const COARSE: (u32, u32) = (3_600, 400 * DAY);
const DAY: u32 = 86_400;

/// Share of a row's span that may be unknown: a row of a coarser archive is what was measured of its span, and unknown when
/// nothing was. Jobs that are not due in most of their slots (`0,1 * * * *`) would keep nothing otherwise.
pub const XFF: f64 = 0.9999;

/// How several rows become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Consolidation {
    /// The mean of what is known.
    #[default]
    Average,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// The latest; no archive keeps it, so rows are made of base rows as far back as those are kept.
    Last,
}

impl Consolidation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Average, Self::Min, Self::Max, Self::Last];

    /// The name RRD has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Average => "AVERAGE",
            Self::Min => "MIN",
            Self::Max => "MAX",
            Self::Last => "LAST",
        }
    }

    /// Finds the consolidation of that name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Consolidation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One archive of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Archive {
    /// How base rows become one of its rows.
    pub consolidation: Consolidation,
    /// Base rows in one row.
    pub steps: u32,
    /// Rows it holds.
    pub rows: u32,
}

/// The archives of a file with this step, the finest first.
///
/// Shape: base rows; 5 minutes AVERAGE, MIN and MAX for a week; hours AVERAGE and MAX for 400 days. Each step is a multiple of
/// the file's; what the base rows already hold is left out.
pub fn archives(step: u32) -> Vec<Archive> {
    let step = step.max(1);
    let kept = if step >= COARSE.0 { COARSE.1 } else { BASE_SECONDS };
    let rows = (kept / step).clamp(BASE_ROWS_MIN, BASE_ROWS_MAX);
    let mut all = vec![Archive { consolidation: Consolidation::Average, steps: 1, rows }];
    let mut add = |(span, kept): (u32, u32), how: &[Consolidation]| {
        let steps = span.div_ceil(step);
        if steps > 1 {
            all.extend(how.iter().map(|consolidation| Archive { consolidation: *consolidation, steps, rows: kept / (steps * step) }));
        }
    };
    add(MIDDLE, &[Consolidation::Average, Consolidation::Min, Consolidation::Max]);
    add(COARSE, &[Consolidation::Average, Consolidation::Max]);
    all
}

/// Size of a file with so many data sources, in bytes.
///
/// Source: the layout that `header` reads.
pub fn file_bytes(sources: usize, archives: &[Archive]) -> u64 {
    let rows: u64 = archives.iter().map(|archive| u64::from(archive.rows)).sum();
    super::header::bytes(sources as u64, archives.len() as u64) + rows * sources as u64 * 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_sources_at_a_minute_take_about_two_megabytes() {
        let bytes = file_bytes(10, &archives(60));
        assert!((1_500_000..2_500_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn the_size_is_that_of_the_measured_file() {
        // facts: 8 data sources, 10 archives of these rows, 8,350,160 bytes
        let rows = [8_640, 10_080, 10_080, 10_080, 12_960, 12_960, 12_960, 17_520, 17_520, 17_520];
        let all = rows.map(|rows| Archive { consolidation: Consolidation::Average, steps: 1, rows });
        assert_eq!(file_bytes(8, &all), 8_350_160);
    }

    #[test]
    fn every_step_from_a_second_to_a_day_gets_archives_that_reach() {
        for step in [1, 5, 7, 10, 30, 60, 90, 300, 420, 600, 1_800, 3_600, 5_400, 21_600, 43_200, 86_400] {
            let all = archives(step);
            let reach = |archive: &Archive| u64::from(archive.rows) * u64::from(archive.steps) * u64::from(step);
            assert_eq!(all[0].steps, 1, "step {step}");
            assert!(reach(&all[0]) >= 6 * 3_600, "step {step}: {all:?}");
            assert!(all.iter().any(|a| a.consolidation == Consolidation::Average && reach(a) >= 390 * 86_400), "step {step}: {all:?}");
            assert!(all[1..].iter().all(|a| a.steps > 1), "step {step}: {all:?}");
            assert!(file_bytes(10, &all) < 4_500_000, "step {step}: {}", file_bytes(10, &all));
        }
    }
}
