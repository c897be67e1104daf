//! Which archive of a file answers.

use crate::series::archive::{Archive, Consolidation};
use crate::series::header::Header;

/// The archive that answers, and the step of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::series) struct Resolution {
    /// The archive's place among those of the file; base rows are the same under every consolidation, and kept as averages.
    pub(in crate::series) index: usize,
    /// Seconds between rows of the archive.
    pub(in crate::series) archive_step: u32,
    /// Seconds between rows of the answer.
    pub(in crate::series) step: u32,
}

/// Chooses as rrdtool does: of the archives that reach back to `from` the one nearest to the wanted step, else the one that
/// reaches furthest. Nothing if no archive has that consolidation.
pub(in crate::series) fn choose(header: &Header, how: Consolidation, from: i64, wanted: Option<u32>) -> Option<Resolution> {
    let base = header.shape.step;
    let step_of = |archive: &Archive| archive.steps.saturating_mul(base);
    let begin_of = |archive: &Archive| {
        let step = i64::from(step_of(archive));
        header.last.stamp - header.last.stamp.rem_euclid(step) - step * i64::from(archive.rows)
    };
    let distance = |archive: &Archive| step_of(archive).abs_diff(wanted.unwrap_or(1));
    let candidates = || header.shape.archives.iter().enumerate().filter(|(_, archive)| archive.consolidation == how || archive.steps == 1);
    let reaching = candidates().filter(|(_, archive)| begin_of(archive) <= from).min_by_key(|(_, archive)| distance(archive));
    let (index, archive) = reaching.or_else(|| candidates().min_by_key(|(_, archive)| (begin_of(archive), distance(archive))))?;
    let archive_step = step_of(archive);
    let step = wanted.map_or(archive_step, |wanted| wanted.div_ceil(archive_step).saturating_mul(archive_step)).max(1);
    Some(Resolution { index, archive_step, step })
}
