//! What is wrong with the host itself, looked at once a second; the ledger makes alarms of it, and ends them when it is over.

use std::{
    collections::{HashMap, VecDeque},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use watchpost_services::outcome::Status;

use super::{Daemon, now_ns};
use crate::{
    alarm::{
        host::{ABOUT, HostFound, HostKind, Unseen},
        record::Subject,
    },
    config::Config,
    plugin::Holding,
    reading::{HostEvent, Reading},
};

/// How long a writer stands still before that is an alarm: for moments another program may hold a file.
const STOPPED_AFTER: Duration = Duration::from_secs(10);
/// Deaths of a worker within [`CRASH_SPAN`] that are a loop.
const CRASHES: usize = 3;
/// Over how long deaths of a worker are counted.
const CRASH_SPAN: Duration = Duration::from_secs(600);
/// For how long a clock that was turned is an alarm.
const CLOCK_SPAN: Duration = Duration::from_secs(600);
/// How often the disk is looked at.
const DISK_EVERY: Duration = Duration::from_secs(10);
/// Jobs whose label sets are too many, that are remembered.
const OVERFLOWS_MAX: usize = 1_000;

/// What readings and events of the journal tell of the host.
#[derive(Clone, Debug, Default)]
pub(super) struct Overheard(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    /// When the clock was turned, and how.
    clock: Option<(Instant, String)>,
    /// Jobs whose label sets are too many, and what is said of that.
    overflows: HashMap<String, String>,
    /// Why the last reload was refused.
    reload: Option<String>,
    /// Channels that were tried since this daemon began: why one cannot be told, if it cannot.
    channels: HashMap<String, Option<String>>,
}

impl Overheard {
    fn with<T>(&self, change: impl FnOnce(&mut Heard) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An event of the host's own.
    pub(super) fn event(&self, event: &HostEvent, now: Instant) {
        self.with(|heard| match event.code.as_str() {
            "clock_step" => heard.clock = Some((now, event.text.clone())),
            "reload_refused" => heard.reload = Some(event.text.clone()),
            // What was refused before is in force, or was taken back.
            "reloaded" | "started" => heard.reload = None,
            _ => {}
        });
    }

    /// A reading.
    pub(super) fn reading(&self, reading: &Reading) {
        let refusal = reading.outcome.refusal.as_deref().filter(|why| why.contains("labels_max"));
        let is_over = matches!(reading.outcome.status, Status::Ok);
        self.with(|heard| match refusal {
            Some(why) if heard.overflows.len() < OVERFLOWS_MAX => drop(heard.overflows.insert(reading.job.clone(), why.to_owned())),
            None if is_over => drop(heard.overflows.remove(&reading.job)),
            _ => {}
        });
    }

    /// Whether a channel can be told; if not, why.
    pub(super) fn channel(&self, name: &str, trouble: Option<String>) {
        self.with(|heard| drop(heard.channels.insert(name.to_owned(), trouble)));
    }

    /// A channel is to be tried anew, or is gone: what was seen of it says nothing any more.
    pub(super) fn forget_channel(&self, name: &str) {
        self.with(|heard| drop(heard.channels.remove(name)));
    }

    /// What is to be thought of an alarm of the host whose reason is not seen now.
    fn unseen(&self, subject: &Subject, config: &Config) -> Unseen {
        let is_job_gone = !subject.job.is_empty() && !config.jobs.iter().any(|job| job.name.as_str() == subject.job);
        if is_job_gone || !config.host_alarms.is_enabled(&subject.rule) {
            return Unseen::Gone;
        }
        if subject.rule != HostKind::ChannelDown.name() {
            return Unseen::Over;
        }
        let about = subject.labels.iter().find(|(label, _)| label == ABOUT).map_or("", |(_, about)| about);
        if !config.channels.iter().any(|channel| channel.name == about) {
            return Unseen::Gone;
        }
        // Whether it can be told is seen when it is tried.
        self.with(|heard| if heard.channels.contains_key(about) { Unseen::Over } else { Unseen::Unknown })
    }

    fn found(&self, knows: impl Fn(&str) -> bool, now: Instant) -> Vec<HostFound> {
        self.with(|heard| {
            heard.overflows.retain(|job, _| knows(job));
            heard.clock.take_if(|(at, _)| now.saturating_duration_since(*at) >= CLOCK_SPAN);
            let clock = heard.clock.iter().map(|(_, text)| found(HostKind::ClockStep, "", text.clone()));
            let reload = heard.reload.iter().map(|text| found(HostKind::ReloadRefused, "", format!("a reload was refused: {text}")));
            let overflow = |(job, why): (&String, &String)| HostFound {
                job: Some(job.clone()),
                ..found(HostKind::LabelOverflow, job, format!("job {job} has {why}"))
            };
            let channel = |(name, why): (&String, &Option<String>)| {
                Some(found(HostKind::ChannelDown, name, format!("channel {name} cannot be told: {}", why.as_ref()?)))
            };
            clock.chain(reload).chain(heard.overflows.iter().map(overflow)).chain(heard.channels.iter().filter_map(channel)).collect()
        })
    }
}

/// Deaths of one worker of late.
#[derive(Default)]
struct Deaths {
    /// All that there were.
    known: u64,
    /// When the last of them were seen.
    times: VecDeque<Instant>,
}

impl Deaths {
    /// So many there were before anybody looked.
    fn known(deaths: u64) -> Self {
        Self { known: deaths, times: VecDeque::new() }
    }

    /// Takes how many there are by now; says whether they are a loop.
    fn are_a_loop(&mut self, deaths: u64, now: Instant) -> bool {
        let more = usize::try_from(deaths.saturating_sub(self.known)).unwrap_or(CRASHES).min(CRASHES);
        self.known = deaths;
        self.times.extend(std::iter::repeat_n(now, more));
        self.times.retain(|time| now.saturating_duration_since(*time) < CRASH_SPAN);
        self.times.drain(..self.times.len().saturating_sub(CRASHES));
        self.times.len() >= CRASHES
    }
}

/// What has to be remembered between two looks.
#[derive(Default)]
pub(super) struct HostWatch {
    stopped: HashMap<&'static str, Instant>,
    crashes: HashMap<u64, Deaths>,
    disk: Option<(Instant, Option<f64>)>,
}

impl HostWatch {
    /// Looks at everything; the ledger has it afterwards.
    pub(super) fn look(&mut self, daemon: &Daemon, now: Instant) {
        let config = daemon.config();
        let mut all = self.writers(daemon, now);
        all.extend(self.plugins(daemon, now));
        let behind = daemon.behind().filter(|(_, records)| *records > config.host_alarms.behind_max);
        all.extend(
            behind.map(|(name, records)| found(HostKind::ConsumerBehind, name, format!("{name} is {records} records behind the journal"))),
        );
        if let Some(free) = self.free(&config.data.value, now).filter(|free| *free < config.host_alarms.free_min) {
            let text = format!("{:.1} % of the disk of {} are free", free * 100.0, config.data.display());
            all.push(found(HostKind::DiskLow, "", text));
        }
        all.extend(daemon.overheard.found(|job| config.jobs.iter().any(|known| known.name.as_str() == job), now));
        // While it is being written, nobody waits here: the next look is a second away.
        if let Some(mut ledger) = daemon.ledger.try_lend() {
            ledger.hold_host(config.host_alarms.alarms(all), |subject| daemon.overheard.unseen(subject, &config), now_ns());
        }
    }

    fn writers(&mut self, daemon: &Daemon, now: Instant) -> Vec<HostFound> {
        let mut stopped = Vec::new();
        for (writer, why) in [("journal", daemon.journal_trouble()), ("series", daemon.hindrance.told())] {
            match why {
                Some(why) if now.saturating_duration_since(*self.stopped.entry(writer).or_insert(now)) >= STOPPED_AFTER => {
                    stopped.push(found(HostKind::WriterStopped, writer, format!("{writer} cannot be written: {why}")));
                }
                Some(_) => {}
                None => drop(self.stopped.remove(writer)),
            }
        }
        stopped
    }

    fn plugins(&mut self, daemon: &Daemon, now: Instant) -> Vec<HostFound> {
        let mut all = Vec::new();
        for plugin in daemon.plugins().all() {
            let report = plugin.report();
            let quarantined = report.held.iter().filter(|held| held.holding == Holding::Quarantined);
            all.extend(quarantined.map(|held| HostFound {
                job: Some(held.job.clone()),
                ..found(HostKind::Quarantine, &held.job, format!("job {} is quarantined: it brings its worker down", held.job))
            }));
            let deaths = self.crashes.entry(plugin.id()).or_insert_with(|| Deaths::known(report.crashes));
            if deaths.are_a_loop(report.crashes, now) {
                let name = plugin.name();
                let how = report.last_crash.map(|crash| format!(", lastly {}", crash.how)).unwrap_or_default();
                all.push(found(HostKind::CrashLoop, &name, format!("the worker of {name} has died {CRASHES} times in ten minutes{how}")));
            }
        }
        all
    }

    /// The share of the disk that is free; unknown where the system says nothing.
    fn free(&mut self, data: &Path, now: Instant) -> Option<f64> {
        if let Some((_, free)) = self.disk.filter(|(at, _)| now.saturating_duration_since(*at) < DISK_EVERY) {
            return free;
        }
        let facts = rustix::fs::statvfs(data).ok().filter(|facts| facts.f_blocks > 0);
        let free = facts.map(|facts| facts.f_bavail as f64 / facts.f_blocks as f64);
        self.disk = Some((now, free));
        free
    }
}

fn found(kind: HostKind, about: &str, text: String) -> HostFound {
    HostFound { kind, about: about.to_owned(), job: None, text }
}

#[cfg(test)]
mod tests {
    use watchpost_plugin_api::Severity;

    use super::*;
    use crate::alarm::{
        host::{HostRules, Unseen},
        ledger::Ledger,
        store::NoOutbox,
    };

    /// What the ledger tells of what is found, each at its second.
    fn told(looks: impl IntoIterator<Item = (u64, Vec<HostFound>)>) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path(), Box::new(NoOutbox), 0).unwrap();
        for (at_s, found) in looks {
            ledger.hold_host(HostRules::default().alarms(found), |_| Unseen::Over, i64::try_from(at_s).unwrap() * 1_000_000_000);
        }
        let steps = ledger.commit().unwrap();
        steps.iter().map(|step| format!("{}: {} {}", step.time_ns / 1_000_000_000, step.step.name(), step.text)).collect()
    }

    #[test]
    fn a_clock_that_was_turned_is_an_alarm_for_ten_minutes() {
        let (began, overheard) = (Instant::now(), Overheard::default());
        let text = "the wall clock was turned forward by 3600 s".to_owned();
        overheard.event(&HostEvent { time_ns: 0, job: None, severity: Severity::Warning, code: "clock_step".into(), text }, began);
        let told = told([0, 1, 599, 600, 601].map(|at_s| (at_s, overheard.found(|_| true, began + Duration::from_secs(at_s)))));
        let turned = "the wall clock was turned forward by 3600 s";
        assert_eq!(told, [format!("0: raised {turned}"), format!("600: cleared it is over: {turned}")]);
    }

    #[test]
    fn a_worker_that_dies_again_and_again_is_an_alarm_until_it_has_not_for_a_while() {
        let (began, mut deaths) = (Instant::now(), Deaths::known(7));
        let looks = [(0, 7), (10, 8), (20, 9), (30, 10), (400, 11), (610, 11), (629, 11), (630, 11), (1_400, 11)];
        let found: Vec<_> = looks
            .map(|(at_s, count)| {
                let is_loop = deaths.are_a_loop(count, began + Duration::from_secs(at_s));
                (at_s, if is_loop { vec![found(HostKind::CrashLoop, "smtp", "it dies".into())] } else { Vec::new() })
            })
            .into();
        // The last three were seen at 20, 30 and 400: two of them are left when the first is ten minutes old.
        assert_eq!(told(found), ["30: raised it dies", "629: cleared it is over: it dies"]);
    }
}
