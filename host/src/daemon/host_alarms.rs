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
    pub(super) fn event(&self, event: &HostEvent) {
        self.with(|heard| match event.code.as_str() {
            "clock_step" => heard.clock = Some((Instant::now(), event.text.clone())),
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

    fn found(&self, knows: impl Fn(&str) -> bool) -> Vec<HostFound> {
        self.with(|heard| {
            heard.overflows.retain(|job, _| knows(job));
            heard.clock.take_if(|(at, _)| at.elapsed() >= CLOCK_SPAN);
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

/// What has to be remembered between two looks.
#[derive(Default)]
pub(super) struct HostWatch {
    stopped: HashMap<&'static str, Instant>,
    crashes: HashMap<u64, (u64, VecDeque<Instant>)>,
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
        all.extend(daemon.overheard.found(|job| config.jobs.iter().any(|known| known.name.as_str() == job)));
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
            let (known, times) = self.crashes.entry(plugin.id()).or_insert_with(|| (report.crashes, VecDeque::new()));
            let more = usize::try_from(report.crashes.saturating_sub(*known)).unwrap_or(CRASHES).min(CRASHES);
            *known = report.crashes;
            times.extend(std::iter::repeat_n(now, more));
            times.retain(|time| now.saturating_duration_since(*time) < CRASH_SPAN);
            times.drain(..times.len().saturating_sub(CRASHES));
            if times.len() >= CRASHES {
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
