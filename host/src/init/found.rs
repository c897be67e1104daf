//! Looks behind all ports at once, within a time.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, timeout_at},
};
use watchpost_services::Shared;

use super::{
    book::Book,
    look::{Encryption, Look, Seen, Target},
};

/// How long all of it may take.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Doors that are looked at, at most.
pub const DOORS_MAX: usize = 500;

/// A port behind which somebody is.
#[derive(Clone, Debug)]
pub struct Door {
    /// The server.
    pub target: Target,
    /// The port.
    pub port: u16,
    /// Who is there.
    pub seen: Seen,
}

impl Door {
    /// The door as people and URLs write it: an IPv6 address in brackets.
    pub fn address(&self) -> String {
        let (host, port) = (self.target.host.trim_matches(['[', ']']), self.port);
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// Where a web server is entered.
    pub fn url(&self) -> String {
        let scheme = if self.seen.encryption == Encryption::Implicit { "https" } else { "http" };
        format!("{scheme}://{}/", self.address())
    }
}

/// What came of all of them.
#[derive(Debug, Default)]
pub struct Doors {
    /// Those that are open, in the order in which they were asked for.
    pub open: Vec<Door>,
    /// How many are closed.
    pub closed: usize,
    /// How many had not answered when the time was over.
    pub late: usize,
}

/// Looks behind every one of these ports until the time is over.
pub async fn look(book: &Arc<Book>, ca_file: Option<&PathBuf>, doors: Vec<(Target, u16)>, until: Instant) -> Doors {
    let (tls, mut tasks) = (Shared::default(), JoinSet::new());
    let all = doors.len();
    for (at, (target, port)) in doors.into_iter().enumerate() {
        let look = Look { book: book.clone(), tls: tls.clone(), ca_file: ca_file.cloned(), target, port };
        tasks.spawn(async move {
            let seen = look.look().await;
            (at, seen.map(|seen| Door { target: look.target, port: look.port, seen }))
        });
    }
    let mut open: Vec<(usize, Door)> = Vec::new();
    let mut ended = 0;
    while let Ok(Some(done)) = timeout_at(until, tasks.join_next()).await {
        ended += 1;
        if let Ok((at, Some(door))) = done {
            open.push((at, door));
        }
    }
    open.sort_by_key(|(at, _)| *at);
    let open: Vec<Door> = open.into_iter().map(|(_, door)| door).collect();
    Doors { closed: ended - open.len(), late: all - ended, open }
}
