//! What was before a rule began to look: windows and trends begin with what is stored, not empty.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    task::spawn_blocking,
    time::{interval, sleep},
};
use tracing::{debug, warn};

use super::{Daemon, now_ns};
use crate::{
    alarm::ledger::beginning::{Beginning, Past},
    log::trouble::Trouble,
    series::{archive::Consolidation, error::SeriesError, fetch::Query, selector::Selector},
};

/// How often it is looked whether something begins.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked whether what was seen is stored, and how long that is waited for.
const SETTLES: Duration = Duration::from_secs(2);
const WAITED_MAX: Duration = Duration::from_secs(120);
/// Series whose past is read in one go.
const AT_ONCE: usize = 200;

/// Fills windows until the daemon ends.
pub(super) async fn lead(daemon: Arc<Daemon>) {
    let (mut looks, mut unread) = (interval(LOOK_EVERY), Trouble::new());
    loop {
        looks.tick().await;
        loop {
            let begun = daemon.ledger.lend().begun(AT_ONCE);
            if begun.is_empty() {
                break;
            }
            let seen = daemon.ledger.lend().position();
            daemon.is_stored(seen).await;
            let owner = daemon.clone();
            let Ok((filled, failed)) = spawn_blocking(move || owner.fill(&begun)).await else { continue };
            debug!(filled, "windows of rules began with what is stored");
            let Some(why) = failed else {
                unread.is_over(Instant::now());
                continue;
            };
            if unread.met(&why, Instant::now()).is_some() {
                warn!("what was before a rule began cannot be read; its windows fill as values come: {why}");
            }
        }
    }
}

impl Daemon {
    /// Waits until the series have all records before one, as long as it is worth it.
    async fn is_stored(&self, position: u64) {
        let began = Instant::now();
        loop {
            sleep(SETTLES).await;
            let stored = super::series_view::lend(&self.store).position().map_or(0, |last| last + 1);
            if stored >= position || began.elapsed() > WAITED_MAX {
                return;
            }
        }
    }

    /// Fills the windows of some series; gives how many had a past, and why that of another cannot be read.
    fn fill(&self, begun: &[Beginning]) -> (usize, Option<String>) {
        let (mut filled, mut failed) = (0, None);
        for one in begun {
            let pasts = one.series.iter().map(|of_name| of_name.iter().map(|series| self.past_of(one, series)).collect());
            match pasts.collect::<Result<Vec<Vec<Past>>, SeriesError>>() {
                Ok(pasts) => filled += one.seen(pasts).map_or(0, |past| usize::from(self.ledger.lend().precede(one, &past))),
                Err(error) => failed = Some(crate::chain(&error)),
            }
        }
        (filled, failed)
    }

    /// What is stored of a series; no rows where that is nothing.
    fn past_of(&self, one: &Beginning, series: &Selector) -> Result<Past, SeriesError> {
        let (selectors, consolidation) = (vec![series.clone()], Consolidation::Average);
        // A counter's totals are followed back from the first one: rows have to end where it stands.
        let query = Query { selectors, from: one.from_s, to: one.to_s, step: None, consolidation };
        let taken = super::series_view::lend(&self.store).glance(query, now_ns() / 1_000_000_000)?;
        let read = taken.read(std::iter::empty())?.into_iter().next();
        Ok(read.map_or_else(Past::default, |read| Past { rows: read.rows, step_s: i64::from(read.step) }))
    }
}
