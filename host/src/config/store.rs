//! How series and journal are written, in `[store]`.

use std::time::Duration;

use super::{
    At, Fault, Faults, Rule, archives,
    reader::{Field, Reader},
    text::Table,
    timing::check_span,
};
use crate::series::keeping::Keeping;

/// Keys that the table has.
const KEYS: [&str; 3] = ["archives", "commit_ms", "flush"];

/// Longest time that a sample waits for its file: so much a daemon that was killed has to take from its journal again.
const FLUSH_MAX: Duration = Duration::from_secs(3_600);

/// Time that a group of readings gathers in, milliseconds.
const COMMIT_MS: std::ops::RangeInclusive<i64> = 10..=50;

/// How series and journal are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// How long a sample may wait in memory for its file, e.g. "10m". It is durable and told by every answer meanwhile. Left out, half a
    /// second while there are few files, and longer the more there are, up to ten minutes: rows of a file are then written many at once.
    pub flush: Option<Duration>,
    /// How long readings gather before the journal makes them durable together, milliseconds from 10 to 50. Default 10.
    pub commit: Duration,
    /// How long series of jobs are kept that say nothing of it: "standard", "fine", "long", or a list as jobs have it. Default "standard".
    pub archives: Keeping,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { flush: None, commit: Duration::from_millis(COMMIT_MS.start().unsigned_abs()), archives: Keeping::default() }
    }
}

/// Takes shape and meaning of the table.
pub(super) fn check(table: Field<Table>, faults: &mut Faults) -> StoreSettings {
    let Some(At { value: table, .. }) = table.given() else { return StoreSettings::default() };
    let mut reader = Reader::new("[store]", &KEYS, &table);
    let kept = reader.any("archives", faults);
    let (commit, flush) = (reader.whole("commit_ms", faults), reader.text("flush", faults));
    reader.finish(faults);
    let usual = StoreSettings::default();
    let commit = commit.given().and_then(|commit| check_commit(&commit, faults));
    let flush = check_span("flush", &flush, faults).given().filter(|flush| check_flush(flush, faults));
    let archives = archives::check(&kept, faults).given().map(|archives| archives.value).unwrap_or_default();
    StoreSettings { archives, flush: flush.map(|flush| flush.value), commit: commit.unwrap_or(usual.commit) }
}

fn check_commit(commit: &At<i64>, faults: &mut Faults) -> Option<Duration> {
    if !COMMIT_MS.contains(&commit.value) {
        let message = format!("`commit_ms`: {} is not in the range {} to {}", commit.value, COMMIT_MS.start(), COMMIT_MS.end());
        let fault = Fault::new(Rule::CommitOutOfRange, &commit.place, message);
        faults.push(fault.hint("milliseconds in which readings gather, to be made durable at once"));
        return None;
    }
    Some(Duration::from_millis(commit.value.unsigned_abs()))
}

fn check_flush(flush: &At<Duration>, faults: &mut Faults) -> bool {
    let fits = flush.value <= FLUSH_MAX;
    if !fits {
        let message = "`flush`: no sample waits longer than an hour for its file";
        faults.push(Fault::new(Rule::FlushOutOfRange, &flush.place, message).hint("write \"10m\", or leave it out"));
    }
    fits
}
