//! What was before a rule began to look: windows and trends begin with what is stored, not empty.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::spawn_blocking,
    time::{interval, sleep},
};
use tracing::{debug, warn};

use super::{Daemon, now_ns};
use crate::{
    alarm::ledger::beginning::Beginning,
    log::trouble::Trouble,
    series::{
        archive::Consolidation,
        error::SeriesError,
        fetch::{Query, Series},
    },
};

/// How often it is looked whether something begins.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// After how long what was seen is stored.
const SETTLES: Duration = Duration::from_secs(2);
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
            // The value that it was seen by is stored by then.
            sleep(SETTLES).await;
            let owner = daemon.clone();
            match spawn_blocking(move || owner.fill(&begun)).await.map_err(|error| error.to_string()) {
                Ok(Ok(filled)) => {
                    unread.is_over(std::time::Instant::now());
                    debug!(filled, "windows of rules began with what is stored");
                }
                Ok(Err(why)) | Err(why) => {
                    if unread.met(&why, std::time::Instant::now()).is_some() {
                        warn!("what was before a rule began cannot be read; its windows fill as values come: {why}");
                    }
                }
            }
        }
    }
}

impl Daemon {
    /// Fills the windows of some series; gives how many had a past.
    fn fill(&self, begun: &[Beginning]) -> Result<usize, String> {
        let mut filled = 0;
        for one in begun {
            let Some(past) = self.past_of(one).map_err(|error| crate::chain(&error))? else { continue };
            filled += usize::from(self.ledger.lend().precede(one, &past.rows, i64::from(past.step)));
        }
        Ok(filled)
    }

    fn past_of(&self, one: &Beginning) -> Result<Option<Series>, SeriesError> {
        let (selectors, consolidation) = (vec![one.series.clone()], Consolidation::Average);
        // A counter's totals are followed back from the first one: rows have to end where it stands.
        let query = Query { selectors, from: one.from_s, to: one.to_s, step: None, consolidation };
        let taken = super::series_view::lend(&self.store).ask(query, now_ns() / 1_000_000_000)?;
        Ok(taken.read(std::iter::empty())?.into_iter().next())
    }
}
