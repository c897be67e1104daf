//! Series files that take over the rows of those before them: a few at a time, between readings, and told as events.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tracing::{info, warn};
use watchpost_plugin_api::Severity;

use super::{
    appender::Appender,
    series_view::{SharedStore, lend},
};
use crate::{
    log::{seconds, trouble::Trouble},
    series::{error::SeriesError, store::FOLDER},
};

/// How long readings wait for migrations, at each flush; one file is migrated in any case.
const AT_ONCE: Duration = Duration::from_millis(100);
/// Time without a migration after which they are told to be over: files come with the first reading of each job.
const OVER_AFTER: Duration = Duration::from_secs(10);
/// Metrics of one file that are told by name, at most.
const NAMED_MAX: usize = 10;

/// Files that wait for others to take over their rows, for `status` to tell.
#[derive(Clone, Default)]
pub(super) struct Pending(Arc<AtomicUsize>);

impl Pending {
    pub(super) fn files(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Has files migrated, and tells of it.
pub(super) struct Migrations {
    pending: Pending,
    appender: Appender,
    /// When they began, and when the last one was there.
    under_way: Option<(Instant, Instant)>,
    /// Files that were migrated before.
    migrated: u64,
    failing: Trouble,
}

impl Migrations {
    pub(super) fn new(pending: Pending, appender: Appender) -> Self {
        Self { pending, appender, under_way: None, migrated: 0, failing: Trouble::new() }
    }

    /// Has some files migrated. Whoever keeps the store calls it now and then, and lends it for moments only.
    pub(super) fn go_on(&mut self, store: &SharedStore, now: Instant) {
        let pending = lend(store).migrations_pending();
        self.pending.0.store(pending, Ordering::Relaxed);
        if pending > 0 {
            if self.under_way.is_none() {
                self.migrated = lend(store).counts().files_migrated;
                let text = "series files take over the rows of others: of those before them, whose shape was another, or of imported ones";
                let text = text.to_owned();
                self.appender.report(None, Severity::Indeterminate, "series_migration_began", text);
            }
            self.under_way = Some((self.under_way.map_or(now, |(began, _)| began), now));
            if let Err(error) = some(store, now) {
                self.failed(&error, now);
            }
        }
        self.pending.0.store(lend(store).migrations_pending(), Ordering::Relaxed);
        for stay in lend(store).take_stays() {
            let more = stay.metrics.len().saturating_sub(NAMED_MAX);
            let named = stay.metrics.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
            let named = if more > 0 { format!("{named} and {more} more") } else { named };
            let text = format!("{FOLDER}/{} stays, set aside and readable: it alone has the past of {named}", stay.path);
            self.appender.report(Some(&stay.job), Severity::Indeterminate, "series_set_aside", text);
        }
        if let Some((began, last)) = self.under_way.filter(|(_, last)| pending == 0 && now.duration_since(*last) >= OVER_AFTER) {
            self.under_way = None;
            self.failing.is_over(now);
            let (files, took) = (lend(store).counts().files_migrated - self.migrated, seconds(last.duration_since(began)));
            info!(files, took_s = took, "the rows of series files are taken over");
            let text = format!("the rows of {files} series files are taken over by others, in {took} s");
            self.appender.report(None, Severity::Indeterminate, "series_migrated", text);
        }
    }

    fn failed(&mut self, error: &SeriesError, now: Instant) {
        let why = crate::chain(error);
        if let Some(told) = self.failing.met(&why, now) {
            warn!(times = told.times, "a series file cannot be migrated; it is set aside and read until it can: {why}");
        }
    }
}

/// Has files migrated for a while.
fn some(store: &SharedStore, now: Instant) -> Result<(), SeriesError> {
    while let Some(migration) = { lend(store).next_migration() } {
        let done = migration.run();
        lend(store).migrated(&migration, done)?;
        if now.elapsed() > AT_ONCE {
            break;
        }
    }
    Ok(())
}
