//! rrdcached's reading side: front ends of RRD files draw what is current, also what no file has yet.
//!
//! FLUSH, FLUSHALL, FETCH, INFO, FIRST, LAST, PING and QUIT, as rrdtool sends them with `--daemon`; whatever changes something is refused,
//! and so is every file that is no series of ours. Source: rrdcached(1), and what rrdtool 1.7.2 was seen to say and to take.
//!
//! Reading order: [`Files`] (what is asked) · `request` (a line taken apart) · `answer` (how an answer is written) · [`serve()`].

mod answer;
mod request;
mod socket;

use std::{path::Path, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    task::spawn_blocking,
    time::timeout,
};

use crate::series::{
    archive::Consolidation,
    outside::{Fact, Rows},
};
use answer::Answer;
use request::Request;

pub use socket::{SocketError, listen};

/// Bytes of a line, its end included, at most; as rrdcached has it.
const LINE_BYTES_MAX: u64 = 4096;
/// Front ends that are answered at one time; others wait.
const READERS_MAX: usize = 64;
/// How long a front end may say nothing before it is let go.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// How long it may take to read an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The series files, for somebody who names them by their paths.
pub trait Files: Send + Sync {
    /// Writes what the file does not have yet; of all files where none is named.
    fn flush(&self, file: Option<&Path>) -> Result<(), String>;

    /// Reads rows after `from` and up to `to`.
    fn rows(&self, file: &Path, consolidation: Consolidation, from: i64, to: i64) -> Result<Rows, String>;

    /// Reads everything that a file says of itself, in rrdtool's order.
    fn facts(&self, file: &Path) -> Result<Vec<(String, Fact)>, String>;

    /// Reads when the first row of an archive was.
    fn first(&self, file: &Path, archive: usize) -> Result<i64, String>;

    /// Reads when the last row was.
    fn last(&self, file: &Path) -> Result<i64, String>;

    /// The time now, seconds since 1970.
    fn now(&self) -> i64;

    /// Whether somebody with that process id may not ask.
    fn turns_away(&self, peer: Option<i32>) -> bool;
}

/// Answers until told to stop.
pub async fn serve(listener: UnixListener, files: Arc<dyn Files>, stop: impl Future<Output = ()>) {
    let readers = Arc::new(Semaphore::new(READERS_MAX));
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely: whoever has them gives some back.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let peer = stream.peer_cred().ok().and_then(|peer| peer.pid());
        if files.turns_away(peer) {
            continue;
        }
        let (files, readers) = (files.clone(), readers.clone());
        tokio::spawn(async move {
            // Closed only when the daemon ends.
            let Ok(_turn) = readers.acquire_owned().await else { return };
            converse(stream, files).await;
        });
    }
}

/// Answers one front end until it leaves, or takes too long.
async fn converse(stream: UnixStream, files: Arc<dyn Files>) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut reader).take(LINE_BYTES_MAX);
        let Ok(Ok(1..)) = timeout(IDLE_MAX, bounded.read_until(b'\n', &mut line)).await else { return };
        let whole = line.pop_if(|last| *last == b'\n').is_some();
        let request = match whole {
            true => Request::parse(&line),
            false => Err(format!("a line is longer than {LINE_BYTES_MAX} bytes")),
        };
        if request == Ok(Request::Quit) {
            return;
        }
        let asked = files.clone();
        let answered = spawn_blocking(move || match request {
            Ok(request) => answer(&*asked, &request),
            Err(why) => Answer::refusal(&why),
        });
        let Ok(answer) = answered.await else { return };
        let written = timeout(ANSWER_WITHIN, writer.write_all(answer.text().as_bytes())).await;
        if !matches!(written, Ok(Ok(()))) || !whole {
            return;
        }
    }
}

fn answer(files: &dyn Files, request: &Request) -> Answer {
    let answered = match request {
        Request::Flush(file) => files.flush(Some(file)).map(|()| Answer::done(&format!("Successfully flushed {}.", file.display()))),
        Request::FlushAll => files.flush(None).map(|()| Answer::done("Flushed all files.")),
        Request::Fetch { file, consolidation, from, to, sources } => {
            let (from, to) = request::span(*from, *to, files.now());
            files.rows(file, *consolidation, from, to).and_then(|rows| Answer::rows(&rows, sources))
        }
        Request::Info(file) => files.facts(file).map(|facts| Answer::facts(file, &facts)),
        Request::First(file, archive) => files.first(file, *archive).map(|first| Answer::done(&first.to_string())),
        Request::Last(file) => files.last(file).map(|last| Answer::done(&last.to_string())),
        Request::Ping => Ok(Answer::done("PONG")),
        Request::Quit => Ok(Answer::done("")),
    };
    answered.unwrap_or_else(|why| Answer::refusal(&why))
}
