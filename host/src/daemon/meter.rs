//! Looks at the host once a second: what others count is told to its metrics, and the log is told when the host is not ready.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio::time::interval;
use watchpost_journal::Counters;
use watchpost_plugin_api::Severity;

use tracing::{error, info, warn};

use super::{Daemon, host_alarms::HostWatch, service_manager::Standing, status::unix_seconds};
use crate::{
    latest::Health,
    log::{seconds, trouble::Trouble},
    plugin::{Holding, WorkerState},
};

/// How often the metrics are brought up to date.
const EVERY: Duration = Duration::from_secs(1);
/// How often the journal is freed of what everybody is done with.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// What was told before: counters only rise by what is new.
#[derive(Default)]
struct Told {
    journal: Counters,
    rows: u64,
    lock_retries: u64,
    migrated: u64,
    /// Restarts, crashes and lines held back by plugin; one that took over counts anew.
    workers: HashMap<u64, (u64, u64, u64)>,
}

/// How long a writer stands still before that is an event: for moments another program may hold a file.
const STOP_TOLD_AFTER: Duration = Duration::from_secs(10);

/// Writers that stand still: since when, why, and whether it was told.
#[derive(Default)]
struct Stops(HashMap<&'static str, (Instant, String, bool)>);

impl Stops {
    /// Takes how a writer is; gives the events that this makes.
    ///
    /// Shape: what cannot be written down while the journal stands still is told when it is written again.
    fn turn(&mut self, writer: &'static str, why: Option<String>, now: Instant) -> Vec<(Severity, &'static str, String)> {
        let lasted = |since: Instant| seconds(now.saturating_duration_since(since));
        let is_kept = !self.0.contains_key("journal");
        match why {
            Some(why) => {
                let (since, last, told) = self.0.entry(writer).or_insert((now, String::new(), false));
                *last = why;
                if *told || writer == "journal" || !is_kept || now.saturating_duration_since(*since) < STOP_TOLD_AFTER {
                    return Vec::new();
                }
                *told = true;
                vec![(Severity::Major, "writer_stopped", format!("{writer} not written for {} s: {last}", lasted(*since)))]
            }
            None => match self.0.remove(writer) {
                Some((since, _, true)) => {
                    vec![(Severity::Indeterminate, "writer_resumed", format!("{writer} written again after {} s", lasted(since)))]
                }
                Some((since, last, false)) if writer == "journal" => {
                    let text = format!("{writer} not written for {} s, readings of that time are lost: {last}", lasted(since));
                    vec![
                        (Severity::Major, "writer_stopped", text),
                        (Severity::Indeterminate, "writer_resumed", format!("{writer} written again")),
                    ]
                }
                _ => Vec::new(),
            },
        }
    }
}

/// Meters until the daemon ends.
pub(super) async fn lead(daemon: Arc<Daemon>) {
    let mut told = Told::default();
    let mut ticks = interval(EVERY);
    let (mut swept, mut unswept, mut unready) = (Instant::now(), Trouble::new(), Trouble::new());
    let (mut standing, mut stops, mut host) = (Standing::default(), Stops::default(), HostWatch::default());
    loop {
        ticks.tick().await;
        if swept.elapsed() >= SWEEP_EVERY {
            sweep(&daemon, &mut unswept);
            swept = Instant::now();
        }
        watch(daemon.not_ready(), &mut unready, Instant::now());
        told.journal(&daemon);
        told.workers(&daemon);
        told.series(&daemon);
        for (writer, why) in [("journal", daemon.journal_trouble()), ("series", daemon.hindrance.told())] {
            daemon.metrics.set_writer_stopped(writer, why.is_some());
            for (severity, code, text) in stops.turn(writer, why, Instant::now()) {
                daemon.report(severity, code, text);
            }
        }
        host.look(&daemon, Instant::now());
        standing.tell(|| daemon.standing());
        for (name, records) in daemon.behind() {
            daemon.metrics.set_consumer_behind(name, records);
        }
    }
}

/// Frees the journal of what everybody is done with.
fn sweep(daemon: &Daemon, unswept: &mut Trouble) {
    let now = Instant::now();
    match daemon.drop_what_all_have().map_err(|error| crate::chain(&error)) {
        Ok(()) => drop(unswept.is_over(now)),
        Err(why) => {
            if unswept.met(&why, now).is_some() {
                warn!("old segments of the journal stay where they are: {why}");
            }
        }
    }
}

/// Tells when the daemon is no longer ready, and when it is again.
fn watch(ready: Result<(), String>, unready: &mut Trouble, now: Instant) {
    match ready {
        Ok(()) => {
            if let Some(told) = unready.is_over(now) {
                info!(lasted_s = seconds(told.lasted), "ready again");
            }
        }
        Err(why) => {
            if let Some(told) = unready.met(&why, now) {
                error!(lasted_s = seconds(told.lasted), "not ready: {why}");
            }
        }
    }
}

impl Daemon {
    /// How the jobs stand, in a line.
    fn standing(&self) -> String {
        let snapshot = self.snapshot();
        let count = |health| snapshot.jobs.iter().filter(|job| job.health(snapshot.now_ns) == health).count();
        let [ok, failing, unknown] = [Health::Ok, Health::Failing, Health::Unknown].map(count);
        let jobs = snapshot.jobs.len();
        let standing = format!("{jobs} jobs: {ok} ok, {failing} failing, {unknown} unknown; http://{}/", self.address);
        match self.not_ready() {
            Ok(()) => standing,
            Err(why) => format!("not ready: {why}; {standing}"),
        }
    }
}

impl Told {
    fn journal(&mut self, daemon: &Daemon) {
        let now = daemon.journal.counters();
        let before = std::mem::replace(&mut self.journal, now);
        daemon.metrics.journal_appended(now.records - before.records, now.bytes - before.bytes);
        daemon.metrics.journal_synced(now.syncs - before.syncs, now.sync_time.saturating_sub(before.sync_time));
        daemon.metrics.set_journal_queue(usize::try_from(now.queue_records).unwrap_or(usize::MAX));
        let errors = (now.append_errors + now.write_errors) - (before.append_errors + before.write_errors);
        daemon.metrics.journal_append_failed(errors);
    }

    fn workers(&mut self, daemon: &Daemon) {
        let (mut running, mut held_back, mut quarantined) = (0, 0, 0);
        let now = unix_seconds(SystemTime::now());
        for plugin in daemon.plugins().all() {
            let report = plugin.report();
            running += usize::from(report.state == WorkerState::Ready);
            held_back += report.held.iter().filter(|held| held.holding == Holding::HeldBack && held.until > now).count();
            quarantined += report.held.iter().filter(|held| held.holding == Holding::Quarantined).count();
            let told = self.workers.entry(plugin.id()).or_default();
            let (restarts, crashes) = (report.restarts.saturating_sub(told.0), report.crashes.saturating_sub(told.1));
            daemon.metrics.worker_restarted(&plugin.name(), restarts);
            daemon.metrics.worker_crashed(&plugin.name(), crashes);
            daemon.metrics.log_lines_held_back(&plugin.name(), report.lines_held_back.saturating_sub(told.2));
            *told = (report.restarts, report.crashes, report.lines_held_back);
        }
        daemon.metrics.set_workers(running);
        daemon.metrics.set_libraries_refused(daemon.plugins().problems().len());
        daemon.metrics.set_jobs_held("held_back", held_back);
        daemon.metrics.set_jobs_held("quarantined", quarantined);
    }

    fn series(&mut self, daemon: &Daemon) {
        // A fetch may hold the store for a while: the figures come a second later then.
        let Ok(store) = daemon.store.try_lock() else { return };
        let (counts, held, migrating) = (store.counts(), store.rows_held(), store.migrations_pending());
        drop(store);
        daemon.metrics.series_rows_written(counts.rows_written - self.rows);
        daemon.metrics.series_lock_retried(counts.writes_locked - self.lock_retries);
        daemon.metrics.set_series_rows_pending(held);
        daemon.metrics.series_files_migrated(counts.files_migrated - self.migrated);
        daemon.metrics.set_series_migrations_pending(migrating);
        (self.rows, self.lock_retries, self.migrated) = (counts.rows_written, counts.writes_locked, counts.files_migrated);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::lines_of;

    #[test]
    fn a_writer_that_stands_still_is_an_event_and_so_is_that_it_goes_on() {
        let (mut stops, began) = (Stops::default(), Instant::now());
        let mut told = Vec::new();
        for second in 0..40 {
            let now = began + Duration::from_secs(second);
            // A file that is held for a moment, then a full disk.
            let series = (second == 2 || (5..25).contains(&second)).then(|| "no space".to_owned());
            let journal = (5..8).contains(&second).then(|| "no space".to_owned());
            for (writer, why) in [("series", series), ("journal", journal)] {
                told.extend(stops.turn(writer, why, now).into_iter().map(|(_, code, text)| format!("{second} {code}: {text}")));
            }
        }
        let expected = [
            "8 writer_stopped: journal not written for 3 s, readings of that time are lost: no space",
            "8 writer_resumed: journal written again",
            "15 writer_stopped: series not written for 10 s: no space",
            "25 writer_resumed: series written again after 20 s",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_disk_that_is_full_for_ten_minutes_has_a_line_when_that_begins_and_one_when_it_ends() {
        let (mut unready, began) = (Trouble::new(), Instant::now());
        let full = || Err("the journal cannot be written: no space left on device".to_owned());
        let lines = lines_of(|| {
            for second in 0..700 {
                let ready = if (10..610).contains(&second) { full() } else { Ok(()) };
                watch(ready, &mut unready, began + Duration::from_secs(second));
            }
        });
        let said: Vec<_> = lines.iter().map(|line| (line["level"].as_str().unwrap(), line["message"].as_str().unwrap())).collect();
        let why = "not ready: the journal cannot be written: no space left on device";
        assert_eq!(said, [("ERROR", why), ("INFO", "ready again")]);
        assert_eq!(lines[1]["lasted_s"], 600.0);
    }
}
