//! When a job is due: at an interval, or by a cron expression in a zone.

use std::fmt;

use super::cron::Cron;
use super::describe;
use super::error::ScheduleError;
use super::every::Every;
use super::rhythm::Rhythm;
use super::runs::Runs;
use super::span::{parse_span, spoken};
use super::unix_time::UnixTime;
use super::zone::Zone;
use super::zoned::ZonedCron;

/// The instants at which a job is due; holds only what can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timetable {
    kind: Kind,
    zone: Zone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Every(Every),
    Cron(ZonedCron),
}

impl Timetable {
    /// Makes the timetable of `every = "30s"` for a job.
    ///
    /// Due times are `k × every + phase` in Unix time, phase being the hash of the job's name within the interval.
    /// The zone is only what times are shown in.
    /// Errors: [`ScheduleError::Span`].
    pub fn every(every: &str, job: &str, zone: Zone) -> Result<Self, ScheduleError> {
        let kind = Kind::Every(Every::new(parse_span(every)?, job));
        Ok(Self { kind, zone })
    }

    /// Makes the timetable of `cron = "*/5 8-18 * * MON-FRI"` in a zone.
    ///
    /// Errors: [`ScheduleError::Cron`].
    pub fn cron(expression: &str, zone: Zone) -> Result<Self, ScheduleError> {
        let cron = Cron::parse(expression)?;
        Ok(Self { kind: Kind::Cron(ZonedCron::new(cron, zone)), zone })
    }

    /// Finds everything that is wrong with a cron expression; nothing if it can run.
    pub fn cron_faults(expression: &str) -> Vec<ScheduleError> {
        Cron::faults(expression)
    }

    /// Says whether it is an `every`, whose runs are spread, or a `cron`, whose runs are appointments.
    pub fn is_spread(&self) -> bool {
        matches!(self.kind, Kind::Every(_))
    }

    /// Gives the zone in which the job's times are shown (and a cron expression is read).
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// Finds the first run after an instant; `None` past the year 9999.
    pub fn next_after(&self, time: UnixTime) -> Option<UnixTime> {
        self.first_from(time.as_secs() + 1)
    }

    /// Walks the runs after an instant: the next `count`, fewer at the end of time.
    pub fn upcoming(&self, after: UnixTime, count: usize) -> impl Iterator<Item = UnixTime> {
        std::iter::successors(self.next_after(after), |due| self.next_after(*due)).take(count)
    }

    /// Tells how close runs come, and so what step the job's series have, over the two calendar years (UTC) from the
    /// start of the one `now` lies in.
    ///
    /// The same at every start within a year, so that a restart does not reshape files.
    pub fn rhythm(&self, now: UnixTime) -> Rhythm {
        match &self.kind {
            Kind::Every(every) => Rhythm::of_every(every.step()),
            Kind::Cron(_) => {
                let (from, until) = (now.start_of_year(), now.start_of_year_after(2));
                let span = until.as_secs() - from.as_secs();
                let runs = self.runs_between(from.as_secs(), until.as_secs());
                Rhythm::of_cron(runs.gap_min.unwrap_or(span))
            }
        }
    }

    /// Tells whether runs follow elapsed time where the wall clock is turned; otherwise each is an appointment.
    pub(super) fn follows_elapsed_time(&self) -> bool {
        match &self.kind {
            Kind::Every(_) => true,
            Kind::Cron(zoned) => zoned.cron.follows_elapsed_time(),
        }
    }

    /// Finds the first run at or after an instant.
    pub(super) fn first_from(&self, instant: i64) -> Option<UnixTime> {
        let due = match &self.kind {
            Kind::Every(every) => Some(every.first_from(instant)),
            Kind::Cron(zoned) => zoned.first_from(instant),
        };
        due.filter(|due| *due <= UnixTime::LAST.as_secs()).map(UnixTime::from_secs)
    }

    /// Folds the runs from one instant up to, not including, another.
    pub(super) fn runs_between(&self, from: i64, until: i64) -> Runs {
        match &self.kind {
            Kind::Every(every) => every.runs_between(from, until),
            Kind::Cron(zoned) => zoned.runs_between(from, until),
        }
    }
}

/// For people: "every 30 s, phase 12 s", "at 08:00 Mon-Fri Europe/Paris".
impl fmt::Display for Timetable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Every(every) => {
                let [step, phase] = [every.step(), every.phase()].map(|seconds| spoken(seconds.unsigned_abs()));
                write!(f, "every {step}, phase {phase}")
            }
            Kind::Cron(zoned) => {
                write!(f, "{} {}", describe::cron(&zoned.cron), zoned.zone.name())
            }
        }
    }
}
