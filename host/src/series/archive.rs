//! Archives: how long rows of which step are kept.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Share of a row's span that may be unknown: a row of a coarser archive is what was measured of its span, and unknown when
/// nothing was. Jobs that are not due in most of their slots (`0,1 * * * *`) would keep nothing otherwise.
pub const XFF: f64 = 0.9999;

/// How several rows become one.
///
/// The order of variants is part of the journal's format: append, never insert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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
    fn the_size_is_that_of_the_measured_file() {
        // facts: 8 data sources, 10 archives of these rows, 8,350,160 bytes
        let rows = [8_640, 10_080, 10_080, 10_080, 12_960, 12_960, 12_960, 17_520, 17_520, 17_520];
        let all = rows.map(|rows| Archive { consolidation: Consolidation::Average, steps: 1, rows });
        assert_eq!(file_bytes(8, &all), 8_350_160);
    }
}
