//! Gives what is told to rosters to whoever is on duty when it is due, until nobody says any more which rosters there are.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, watch},
    task::spawn_blocking,
};
use tracing::error;

use crate::{
    alarm::turns::Turns,
    daemon::now_ns,
    log::{seconds, trouble::Trouble},
    notify::{outbox::Outbox, route::Routes},
};

/// How often it is looked whether anything is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often what is done with and old is dropped.
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);

/// Hands on what is due; `poke` tells channels that they have got something.
pub(super) async fn lead((path, turns): (PathBuf, Turns), mut routes: watch::Receiver<Arc<Routes>>, poke: Arc<Notify>) {
    let (mut kept, mut unread, mut pruned) = (None::<Outbox>, Trouble::new(), Instant::now());
    loop {
        let now = routes.borrow_and_update().clone();
        if now.people.rosters.is_empty() {
            if routes.changed().await.is_err() {
                return;
            }
            continue;
        }
        let (path, turns, outbox, prune) = (path.clone(), turns.clone(), kept.take(), pruned.elapsed() >= PRUNE_EVERY);
        if prune {
            pruned = Instant::now();
        }
        let handed = spawn_blocking(move || {
            let mut outbox = outbox.map_or_else(|| Outbox::open(&path, turns), Ok)?;
            let handed = outbox.hand_on(&now, now_ns())?;
            for roster in now.people.rosters.keys().filter(|_| prune) {
                outbox.prune(roster, now_ns())?;
            }
            Ok::<_, rusqlite::Error>((outbox, handed))
        });
        let handed = handed.await.unwrap_or_else(|error| Err(rusqlite::Error::ToSqlConversionFailure(error.into())));
        match handed {
            Ok((outbox, handed)) => {
                kept = Some(outbox);
                unread.is_over(Instant::now());
                if handed {
                    poke.notify_waiters();
                }
            }
            Err(error) => {
                let why = crate::chain(&error);
                if let Some(told) = unread.met(&why, Instant::now()) {
                    error!(lasted_s = seconds(told.lasted), "what is for rosters cannot be handed on: {why}");
                }
            }
        }
        tokio::select! {
            changed = routes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}
