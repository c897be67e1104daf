//! Running totals.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Classes of lines that a pack may have.
pub(crate) const CLASSES_MAX: usize = 64;

macro_rules! totals {
    ($($total:ident = $name:literal,)+) => {
        /// What a line may add to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Total {
            $(#[doc = concat!("`", $name, "`.")] $total,)+
        }

        impl Total {
            pub(crate) const ALL: &[Self] = &[$(Self::$total),+];

            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$total => $name,)+
                }
            }
        }
    };
}

totals! {
    MessagesReceived = "messages_received",
    MessagesStored = "messages_stored",
    MessagesSent = "messages_sent",
    MessagesDeferred = "messages_deferred",
    MessagesBounced = "messages_bounced",
    MessagesProcessed = "messages_processed",
    MessagesRetrieved = "messages_retrieved",
    ReceivedBytes = "received_bytes",
    StoredBytes = "stored_bytes",
    Connections = "connections",
    ConnectionsFailed = "connections_failed",
    ConnectionsRejected = "connections_rejected",
    ConnectionsTimedOut = "connections_timed_out",
    RelayConnections = "relay_connections",
    RelayErrors = "relay_errors",
    MessagesUnsized = "messages_unsized",
}

const TOTALS: usize = Total::ALL.len();

/// What a pack says of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It is of this class.
    Class(u8),
    /// Another program wrote it, or it is no line of the log proper.
    Foreign,
    /// It is this program's, or nobody knows whose, and of no known form.
    Unknown,
}

/// Running totals of one log.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    pub(crate) lines: u64,
    pub(crate) unmatched: u64,
    pub(crate) foreign: u64,
    pub(crate) cut: u64,
    classes: [u64; CLASSES_MAX],
    totals: [u64; TOTALS],
    /// How often the line under way is meant: loggers write "message repeated 3 times".
    pub(crate) times: u64,
}

/// The same as it stands in the cursor: by name, so that another version's order does not matter.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    lines: u64,
    unmatched: u64,
    foreign: u64,
    cut: u64,
    classes: BTreeMap<String, u64>,
    totals: BTreeMap<String, u64>,
}

impl Default for Tally {
    fn default() -> Self {
        Self { lines: 0, unmatched: 0, foreign: 0, cut: 0, classes: [0; CLASSES_MAX], totals: [0; TOTALS], times: 1 }
    }
}

impl Tally {
    /// Adds to a total, once for each time the line is meant.
    pub(crate) fn add(&mut self, total: Total, amount: u64) {
        let sum = &mut self.totals[total as usize];
        *sum = sum.saturating_add(amount.saturating_mul(self.times));
    }

    pub(crate) fn total(&self, total: Total) -> u64 {
        self.totals[total as usize]
    }

    pub(crate) fn class(&self, class: usize) -> u64 {
        self.classes[class]
    }

    /// Counts a line.
    pub(crate) fn count(&mut self, seen: Seen, cut: bool) {
        self.lines += 1;
        self.cut += u64::from(cut);
        match seen {
            Seen::Class(class) => self.classes[usize::from(class)] += self.times,
            Seen::Foreign => self.foreign += 1,
            Seen::Unknown => self.unmatched += 1,
        }
        self.times = 1;
    }

    pub(crate) fn keep(&self, names: &[&str]) -> Kept {
        let classes = names.iter().zip(self.classes).filter(|(_, count)| *count > 0).map(|(name, count)| ((*name).to_owned(), count));
        let totals = Total::ALL.iter().map(|&total| (total.name().to_owned(), self.total(total))).filter(|(_, sum)| *sum > 0);
        let Self { lines, unmatched, foreign, cut, .. } = *self;
        Kept { lines, unmatched, foreign, cut, classes: classes.collect(), totals: totals.collect() }
    }

    pub(crate) fn of(kept: &Kept, names: &[&str]) -> Self {
        let Kept { lines, unmatched, foreign, cut, classes, totals } = kept;
        let mut tally = Self { lines: *lines, unmatched: *unmatched, foreign: *foreign, cut: *cut, ..Self::default() };
        for (place, name) in tally.classes.iter_mut().zip(names) {
            *place = classes.get(*name).copied().unwrap_or(0);
        }
        for (place, total) in tally.totals.iter_mut().zip(Total::ALL) {
            *place = totals.get(total.name()).copied().unwrap_or(0);
        }
        tally
    }
}
