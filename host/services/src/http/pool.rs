//! Connections that wait for a further request.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::link::Link;

/// Connections that wait at most; the one that waited longest is closed for the next. A browser keeps six for one host.
const WAITING_MAX: usize = 16;

/// Connections of one run, or of one job, that wait for a further request. Nothing reads what a server sends on one meanwhile.
#[derive(Default)]
pub(crate) struct Pool(Mutex<Vec<(String, Link)>>);

impl Pool {
    /// Takes the connection that waited shortest for the same server, if one is still good.
    pub(crate) async fn take(&self, key: &str) -> Option<Link> {
        loop {
            let mut link = {
                let mut waiting = self.waiting();
                let at = waiting.iter().rposition(|(known, _)| known == key)?;
                waiting.remove(at).1
            };
            if link.is_ready().await {
                return Some(link);
            }
        }
    }

    /// Keeps a connection.
    pub(crate) fn put(&self, key: String, link: Link) {
        let mut waiting = self.waiting();
        if waiting.len() == WAITING_MAX {
            waiting.remove(0);
        }
        waiting.push((key, link));
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<(String, Link)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
