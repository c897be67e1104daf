//! What there is to report of lives that ended badly.

use std::collections::BTreeMap;

use crate::twin::{Differences, Twin};

/// What lives came to.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// What was done when they ended.
    pub(crate) ends: BTreeMap<String, u64>,
    pub(crate) acknowledged: u64,
    pub(crate) acknowledged_lost: u64,
    pub(crate) records: u64,
    pub(crate) files_compared: u64,
    pub(crate) files_unequal: u64,
    /// Kills in a flush after which the journal alone, without the heads, would not have made the files right.
    pub(crate) torn: u64,
    pub(crate) heads_put_back: usize,
    pub(crate) files_removed: usize,
    pub(crate) names_given_back: usize,
    /// Files whose rows another one took over once the process was gone.
    pub(crate) files_migrated: u64,
}

impl Figures {
    pub(crate) fn add(&mut self, other: Self) {
        other.ends.into_iter().for_each(|(end, count)| *self.ends.entry(end).or_default() += count);
        self.acknowledged += other.acknowledged;
        self.acknowledged_lost += other.acknowledged_lost;
        self.records += other.records;
        self.files_compared += other.files_compared;
        self.files_unequal += other.files_unequal;
        self.torn += other.torn;
        self.heads_put_back += other.heads_put_back;
        self.files_removed += other.files_removed;
        self.names_given_back += other.names_given_back;
        self.files_migrated += other.files_migrated;
    }

    /// A life ended while this was done.
    pub(crate) fn ended_while(&mut self, what: String) {
        *self.ends.entry(what).or_default() += 1;
    }

    /// Counts what was acknowledged, and what of it the journal does not have.
    pub(crate) fn took(&mut self, acknowledged: &[(u64, u32)], twin: &Twin) {
        self.acknowledged += acknowledged.len() as u64;
        self.acknowledged_lost += acknowledged.iter().filter(|(position, sum)| twin.sums.get(position) != Some(sum)).count() as u64;
    }

    /// Counts files; that all are equal and nothing is lost is what is proved.
    pub(crate) fn compare(&mut self, differences: &Differences, seed: u64) {
        self.files_compared += differences.compared;
        self.files_unequal += differences.names.len() as u64;
        assert!(differences.names.is_empty() && self.acknowledged_lost == 0, "seed {seed}: {differences:?}\n{self:#?}");
    }

    pub(crate) fn in_short(&self) -> String {
        let Self { acknowledged, acknowledged_lost, files_compared, files_unequal, torn, .. } = self;
        format!(
            "{acknowledged_lost} of {acknowledged} acknowledged lost, {files_unequal} of {files_compared} files unequal, {torn} torn flushes put right"
        )
    }
}
