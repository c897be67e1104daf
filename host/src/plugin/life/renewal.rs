//! A worker takes over from one that may not touch what is needed now.
//!
//! Nothing widens a confinement, so wider needs start another worker, and so does a file that took the name of one that may be touched
//! (a log that was rotated). The one before ends the runs that it has; no run waits for it, is lost or made twice.

use std::{
    future::poll_fn,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;
use watchpost_plugin_api::ErrorKind;
use watchpost_worker::{
    confine::{Confinement, union},
    frames::{FromWorker, ToWorker},
};

use super::Life;
use crate::plugin::{
    RunEnd,
    blame::Cause,
    comeback::{Comeback, Started},
    jobs::Jobs,
    live::{Garbled, Live, fingerprint},
    source::Source,
};

/// How often it is looked whether files are still those that the worker may touch.
const FILES_EVERY: Duration = Duration::from_secs(2);

/// The worker that is to take over, and those that were taken over from.
pub(super) struct Renewal {
    /// The worker to come.
    next: Comeback,
    /// Why the last one did not come.
    failed: Option<String>,
    retiring: Vec<Retiring>,
    files_seen: Instant,
    files: Option<JoinHandle<bool>>,
}

/// What is heard of a renewal.
pub(super) enum News {
    /// A worker is being started.
    Begun,
    /// It came, or did not.
    Came(Box<Started>),
    /// One that was taken over from says something.
    Said(usize, Box<Option<Result<FromWorker, Garbled>>>),
}

/// How a worker has to be confined for these jobs.
pub(super) fn confinement(base: &Confinement, jobs: &Jobs) -> Confinement {
    Confinement { needs: union(jobs.needs()), ..base.clone() }
}

/// A worker that ends the runs it has.
struct Retiring {
    live: Live,
    runs: Vec<u64>,
}

impl Renewal {
    pub(super) fn new() -> Self {
        Self { next: Comeback::new(), failed: None, retiring: Vec::new(), files_seen: Instant::now(), files: None }
    }

    /// Has a worker come soon; one that did not come is tried again in its own time.
    pub(super) fn begin(&mut self) {
        if self.failed.is_none() {
            self.next.soon();
        }
    }

    /// Waits for what there is to be heard. Nothing is lost when this is dropped before it ends.
    pub(super) async fn news(&mut self, source: &Arc<Source>, confinement: impl Fn() -> Confinement) -> News {
        let retiring = &mut self.retiring;
        let said = poll_fn(|cx| {
            let mut said = retiring.iter_mut().enumerate().filter_map(|(at, retiring)| match retiring.live.poll_answer(cx) {
                Poll::Ready(answer) => Some(News::Said(at, Box::new(answer))),
                Poll::Pending => None,
            });
            said.next().map_or(Poll::Pending, Poll::Ready)
        });
        tokio::select! {
            step = self.next.step(source, confinement) => step.map_or(News::Begun, |started| News::Came(Box::new(started))),
            said = said => said,
        }
    }

    /// Cancels a run that a worker may have that was taken over from.
    pub(super) fn cancel_run(&self, run: u64) {
        let of = self.retiring.iter().filter(|retiring| retiring.runs.contains(&run));
        of.for_each(|retiring| retiring.live.ask(ToWorker::Cancel { run }));
    }

    /// Runs that workers may have that were taken over from.
    pub(super) fn runs(&self) -> Vec<u64> {
        self.retiring.iter().flat_map(|retiring| &retiring.runs).copied().collect()
    }

    /// No worker is to come any more.
    pub(super) fn cancel(&mut self) {
        self.next.cancel();
    }

    /// Nor is one needed that ends its runs.
    pub(super) fn stop(&mut self) {
        self.next.cancel();
        self.retiring.clear();
    }
}

impl Life {
    /// Whether the worker at hand may touch what a job needs.
    pub(super) fn has_room_for(&self, number: u64) -> bool {
        let needs = self.jobs.get(number).map(|job| &job.open.needs);
        needs.is_none_or(|needs| self.live.as_ref().is_none_or(|live| live.confinement.covers(needs)))
    }

    /// Confines the next worker, and this one if it may touch what is guarded now, on that base.
    pub(super) fn guard(&mut self, base: Confinement) {
        let exposed = |live: &Live| base.forbidden.difference(&live.confinement.forbidden).any(|path| live.confinement.reaches(path));
        if self.live.as_ref().is_some_and(exposed) {
            self.renewal.next.soon();
        }
        self.base = base;
    }

    pub(super) async fn hear(&mut self, news: News) {
        match news {
            News::Begun => {}
            News::Came(started) => self.renew(*started),
            News::Said(at, said) => self.take_last_words(at, *said).await,
        }
    }

    /// Has the worker that started take over.
    fn renew(&mut self, started: Started) {
        match started {
            Ok((live, descriptor)) if descriptor == self.descriptor => self.take_over(live),
            Ok(_) => self.stay("the library was replaced by one that carries something else; `watchpost reload` takes it".into()),
            Err(why) => self.stay(why),
        }
    }

    fn take_over(&mut self, live: Live) {
        self.renewal.failed = None;
        self.comeback.cancel();
        let Some(before) = self.live.take() else { return self.revive(live) };
        self.story.took_over(live.process.pid, before.since.elapsed());
        self.renewal.retiring.push(Retiring { live: before, runs: self.runs.sent() });
        self.jobs.forget_worker();
        self.report().pid = Some(live.process.pid);
        self.live = Some(live);
        self.send_what_waits();
        self.dismiss();
        if self.jobs.numbers().any(|number| !self.has_room_for(number)) {
            self.renewal.next.soon();
        }
    }

    /// No worker takes over: what the one at hand may not do fails, and says why.
    fn stay(&mut self, why: String) {
        let wait = self.renewal.next.later(None);
        self.story.refused(&why, wait);
        self.renewal.failed = Some(why);
        for number in self.runs.waiting() {
            self.fail_without_room(number);
        }
    }

    /// Fails a run for which there is no room, when none is to be had; says whether it had to.
    pub(super) fn fail_without_room(&mut self, number: u64) -> bool {
        let (Some(why), Some(job)) = (&self.renewal.failed, self.runs.job(number)) else { return false };
        let fails = !self.has_room_for(job);
        if fails {
            let end = RunEnd::failed(ErrorKind::LOCAL, format!("no worker may touch what this job needs: {why}"));
            self.runs.end(number, end);
        }
        fails
    }

    /// Takes what a worker says that was taken over from.
    async fn take_last_words(&mut self, at: usize, said: Option<Result<FromWorker, Garbled>>) {
        match said {
            // Its successor makes the agents, and knows better.
            Some(Ok(FromWorker::NotOpened { .. } | FromWorker::Examined { .. })) => {}
            Some(Ok(answer)) => self.take(answer),
            Some(Err(garbled)) => {
                let cause = self.renewal.retiring[at].live.cause_of(garbled);
                self.bury_before(at, cause).await;
            }
            None => self.bury_before(at, Cause::Ended).await,
        }
        self.dismiss();
    }

    /// One that was taken over from died with runs that it had.
    async fn bury_before(&mut self, at: usize, cause: Cause) {
        let Retiring { live, runs } = self.renewal.retiring.swap_remove(at);
        self.bury_retired(live, cause, &runs).await;
    }

    /// Ends those that were taken over from whose thread is blocked.
    pub(super) async fn look_at_retiring(&mut self) {
        let blocked = |(at, retiring): (usize, &mut Retiring)| {
            let (work, how) = retiring.live.watchdog.blocked(&retiring.live.process.page, Instant::now())?;
            Some((at, Cause::Blocked(work, how)))
        };
        if let Some((at, cause)) = self.renewal.retiring.iter_mut().enumerate().find_map(blocked) {
            self.bury_before(at, cause).await;
        }
    }

    /// Ends the workers that were taken over from and have nothing to do any more.
    pub(super) fn dismiss(&mut self) {
        let (runs, mut done) = (&self.runs, Vec::new());
        self.renewal.retiring.retain(|retiring| {
            let busy = retiring.runs.iter().any(|number| runs.is_waited_for(*number));
            if !busy {
                done.extend(retiring.runs.iter().copied());
            }
            busy
        });
        // Given up long ago: nobody is left to blame for them.
        for number in done {
            self.runs.end(number, RunEnd::failed(ErrorKind::INTERRUPTED, "the worker was replaced"));
        }
    }

    /// Looks from time to time, or at once, whether the files are still those that the worker may touch.
    pub(super) async fn look_at_files(&mut self) {
        let Some(live) = &self.live else { return };
        match self.renewal.files.take_if(|files| files.is_finished()) {
            Some(files) => {
                let changed = files.await.unwrap_or(false);
                if changed {
                    self.renewal.next.soon();
                }
            }
            None if self.renewal.files.is_none() && self.renewal.files_seen.elapsed() > FILES_EVERY => {
                self.renewal.files_seen = Instant::now();
                let (before, confinement) = (live.files, live.confinement.clone());
                // A file system that does not answer holds up nobody.
                let changed = async move { fingerprint(confinement).await.is_ok_and(|now| now != before) };
                self.renewal.files = live.confinement.sandbox.then(|| tokio::spawn(changed));
            }
            None => {}
        }
    }

    /// A run failed over something of this machine: maybe a file is another now.
    pub(super) fn suspect_files(&mut self) {
        if let Some(long_ago) = Instant::now().checked_sub(FILES_EVERY) {
            self.renewal.files_seen = long_ago;
        }
    }
}
