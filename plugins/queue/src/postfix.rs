//! Postfix, asked by the socket at which `postqueue` asks: no program is started, and no file of a message is opened.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use watchpost_plugin_api::{AgentError, Cx, Endpoint, ErrorKind, Laps, Level, Lines, standard};

use crate::{
    found::Found,
    showq::{Listener, Listing, Message, QUEUES},
    tally::CORRUPT,
};

/// Messages that the dialogue shows.
const SHOWN_MAX: u32 = 20;

/// Where `showq` listens.
pub(crate) fn socket(queue_directory: &Path) -> PathBuf {
    queue_directory.join("public/showq")
}

/// Where Postfix puts files that it cannot read.
pub(crate) fn corrupt(queue_directory: &Path) -> PathBuf {
    queue_directory.join("corrupt")
}

/// Counts what waits.
pub(crate) async fn count(
    cx: &Cx,
    queue_directory: &Path,
    found: &mut Found,
    laps: &mut Laps<'_>,
    warned: &mut bool,
) -> Result<(), AgentError> {
    let stream = cx.connect(Endpoint::unix(socket(queue_directory))).await?.binary();
    laps.lap(standard::CONNECT_TIME);
    found.tally.has(&QUEUES);
    let (mut from, mut listing, mut hearing) =
        (Lines::new(stream), Listing::default(), Hearing { cx, found, seen: HashSet::new(), shown: 0 });
    loop {
        let piece = from.peek().await.map_err(|error| error.context("in the middle of the listing"))?;
        let length = piece.len();
        if listing.read(piece, &mut hearing)? {
            break;
        }
        from.consume(length);
    }
    count_corrupt(cx, queue_directory, found, warned).await
}

/// Counts what Postfix set aside, of which `showq` does not tell. Where that may not be listed it stays unknown, and the rest is known.
async fn count_corrupt(cx: &Cx, queue_directory: &Path, found: &mut Found, warned: &mut bool) -> Result<(), AgentError> {
    match list_corrupt(cx, queue_directory, found).await {
        Err(error) if error.kind() == ErrorKind::LOCAL => {
            found.tally.lost(CORRUPT);
            if !*warned {
                *warned = true;
                cx.log(Level::Warn, &format!("corrupt messages are not counted: {error}"));
            }
            Ok(())
        }
        done => done,
    }
}

async fn list_corrupt(cx: &Cx, queue_directory: &Path, found: &mut Found) -> Result<(), AgentError> {
    let mut scan = cx.scan(corrupt(queue_directory)).await?;
    found.tally.has(&[CORRUPT]);
    while let Some(entry) = scan.next().await? {
        if entry.is_file() {
            found.tally.add(CORRUPT, Some(entry.size), entry.modified)?;
        }
    }
    Ok(())
}

/// Counts what the listing says, and shows the first of it.
struct Hearing<'a> {
    cx: &'a Cx,
    found: &'a mut Found,
    /// Messages counted: one that moves on while the queues are listed is told by each, and counted where it was first.
    seen: HashSet<String>,
    shown: u32,
}

impl Listener for Hearing<'_> {
    fn message(&mut self, message: Message) -> Result<(), AgentError> {
        let Message { queue, id, bytes, since } = message;
        if self.shown < SHOWN_MAX {
            let age = self.cx.age_of(since).as_secs();
            self.cx.note_received(&format!("{id} in {queue}: {bytes} bytes, for {age} s"));
        } else if self.shown == SHOWN_MAX {
            self.cx.note_received("(and more)");
        }
        self.shown = self.shown.saturating_add(1);
        if !self.seen.insert(id) {
            return Ok(());
        }
        self.found.tally.add(queue, Some(bytes), since)
    }

    fn recipient(&mut self, address: &str) {
        self.found.tops.recipient(address);
    }

    fn reason(&mut self, reason: &str) {
        self.found.tops.reason(reason);
    }
}
