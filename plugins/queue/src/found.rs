//! What a run finds out.

use std::{num::NonZeroU32, time::SystemTime};

use crate::{tally::Tally, tops::Tops};

/// What a run finds out.
pub(crate) struct Found {
    /// How many messages wait, where, how large, how long.
    pub(crate) tally: Tally,
    /// Who waits for what.
    pub(crate) tops: Tops,
}

impl Found {
    /// An empty queue.
    pub(crate) fn nothing(now: SystemTime, entries_max: NonZeroU32) -> Self {
        Self { tally: Tally::new(now, entries_max), tops: Tops::default() }
    }
}
