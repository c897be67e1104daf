//! What outlives a worker: reports of crashes, which jobs are quarantined, and who is told of it.
//!
//! Reading order: [`Ward`] (takes it, and hands it to one thread that writes and tells) · `report_file` (a crash, for people) ·
//! `book` (the quarantined jobs, over restarts) · `reserve` (libraries that were gone back to, over restarts).

mod book;
mod report_file;
mod reserve;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, OnceLock, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use tracing::{error, warn};

use super::{Incident, source::Source};
use book::Book;
pub(super) use book::Kept;
pub(super) use report_file::CrashReport;
use report_file::Reports;
use reserve::Reserve;

/// Errands that may wait to be run; deaths are rarer than this by far.
const ERRANDS_MAX: usize = 1024;

/// Keeps what outlives a worker; without a data folder nothing is kept, and nobody told.
#[derive(Default)]
pub struct Ward {
    quarantined: Mutex<BTreeMap<String, Kept>>,
    desk: Mutex<Option<Desk>>,
    reserve: OnceLock<Reserve>,
}

/// The thread that writes and tells.
struct Desk {
    errands: SyncSender<Errand>,
    thread: thread::JoinHandle<()>,
}

enum Errand {
    Tell(Incident),
    Report(Box<CrashReport>),
    Keep(BTreeMap<String, Kept>),
}

impl Ward {
    /// Begins to keep things in a data folder, and to tell of incidents.
    ///
    /// Errors: the file of the quarantined jobs cannot be read, or the thread not be started.
    pub fn settle(&self, data: &Path, tell: impl Fn(&Incident) + Send + 'static) -> io::Result<()> {
        let (book, quarantined) = Book::open(data)?;
        *self.quarantined.lock().unwrap_or_else(PoisonError::into_inner) = quarantined;
        let (errands, queue) = sync_channel(ERRANDS_MAX);
        let reports = Reports::of(data);
        let thread = thread::Builder::new().name("ward".into()).spawn(move || run(&queue, &book, &reports, tell))?;
        *self.desk.lock().unwrap_or_else(PoisonError::into_inner) = Some(Desk { errands, thread });
        Ok(())
    }

    /// Has libraries that were gone back to used from this data folder, before any is loaded.
    pub fn reserve_in(&self, data: &Path) {
        let _known = self.reserve.set(Reserve::of(data));
    }

    /// What to load in place of a file that was sent back, and why it was.
    pub fn instead_of(&self, path: &Path) -> Option<(PathBuf, String)> {
        self.reserve.get()?.instead_of(path)
    }

    /// Keeps a library that was gone back to, to be used at the next start as well.
    pub(super) fn keep_library(&self, library: &Source, sent_back: &Source, why: &str) {
        if let Some(Err(error)) = self.reserve.get().map(|reserve| reserve.keep(library, sent_back, why)) {
            warn!(path = %library.path.display(), "the library that was gone back to cannot be kept for the next start: {}", crate::chain(&error));
        }
    }

    /// Keeps nothing in place of this file any more: it is used again, or gone.
    pub fn forget_library(&self, path: &Path) {
        if let Some(Err(error)) = self.reserve.get().map(|reserve| reserve.forget(path)) {
            warn!(path = %path.display(), "what was kept in place of a library cannot be removed: {}", crate::chain(&error));
        }
    }

    /// Writes and tells what waits, and ends.
    pub fn finish(&self) {
        let desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Desk { errands, thread }) = desk {
            drop(errands);
            if thread.join().is_err() {
                error!("what keeps crash reports panicked");
            }
        }
    }

    /// Tells of an incident.
    pub(super) fn tell(&self, incident: Incident) {
        self.send(Errand::Tell(incident));
    }

    /// Writes a crash report.
    pub(super) fn report(&self, report: CrashReport) {
        self.send(Errand::Report(Box::new(report)));
    }

    /// Tells why a job is quarantined.
    pub(super) fn kept(&self, job: &str) -> Option<Kept> {
        self.quarantined.lock().unwrap_or_else(PoisonError::into_inner).get(job).cloned()
    }

    /// Remembers that a job is quarantined.
    pub(super) fn keep(&self, job: &str, kept: Kept) {
        self.change(|quarantined| {
            quarantined.insert(job.to_owned(), kept);
            true
        });
    }

    /// Forgets that a job was quarantined.
    pub(super) fn free(&self, job: &str) {
        self.change(|quarantined| quarantined.remove(job).is_some());
    }

    fn change(&self, with: impl FnOnce(&mut BTreeMap<String, Kept>) -> bool) {
        let mut quarantined = self.quarantined.lock().unwrap_or_else(PoisonError::into_inner);
        if with(&mut quarantined) {
            self.send(Errand::Keep(quarantined.clone()));
        }
    }

    fn send(&self, errand: Errand) {
        let desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(desk) = desk.as_ref() else { return };
        if desk.errands.try_send(errand).is_err() {
            error!("too much happens to the plugins at once: a crash report or an event is lost");
        }
    }
}

fn run(queue: &Receiver<Errand>, book: &Book, reports: &Reports, tell: impl Fn(&Incident)) {
    for errand in queue {
        match errand {
            Errand::Tell(incident) => tell(&incident),
            Errand::Report(report) => {
                if let Err(error) = reports.write(&report) {
                    warn!(plugin = report.plugin, "a crash report cannot be written: {}", crate::chain(&error));
                }
            }
            Errand::Keep(quarantined) => {
                if let Err(error) = book.write(&quarantined) {
                    warn!("which jobs are quarantined cannot be written down: {}", crate::chain(&error));
                }
            }
        }
    }
}
