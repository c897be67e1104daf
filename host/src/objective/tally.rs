//! The sums: seconds of each series of an objective, by day; one SQLite file.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::NaiveDate;
use rusqlite::{Connection, OpenFlags, Transaction, params};

use super::{
    Seconds,
    count::{Before, Counted, Watched},
};
use crate::{config::Objective, reading::Reading};

/// Name of the file in the data folder.
pub const FILE: &str = "objectives.sqlite";
/// The format of the file; a newer one is refused.
const FORMAT: i64 = 1;
/// How long another process (a report, a backup) may hold it.
const BUSY_MAX: Duration = Duration::from_secs(2);
/// Sums that wait to be written, at most.
const WAITING_MAX: usize = 10_000;
/// The tables of [`FORMAT`].
const TABLES: &str = "
    CREATE TABLE sums (
        objective TEXT NOT NULL,        -- digest of what decides how it counts
        series TEXT NOT NULL,
        day TEXT NOT NULL,              -- in the objective's zone, 2026-11-30
        good INTEGER NOT NULL,          -- seconds, as the others
        bad INTEGER NOT NULL,
        unknown INTEGER NOT NULL,
        planned INTEGER NOT NULL,
        PRIMARY KEY (objective, series, day)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE counted (
        objective TEXT NOT NULL,
        job TEXT NOT NULL,
        due INTEGER NOT NULL,           -- of the last reading that was counted, seconds since 1970
        PRIMARY KEY (objective, job)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE series (
        objective TEXT NOT NULL,
        job TEXT NOT NULL,
        series TEXT NOT NULL,
        PRIMARY KEY (objective, job, series)
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 1;
";

/// Why the sums cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum TallyError {
    /// A newer program wrote the file.
    #[error("{path} has format {found}, this program knows up to {FORMAT}")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
    },
    /// SQLite failed.
    #[error("{path} cannot be used")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rusqlite::Error,
    },
}

/// Takes readings and keeps the sums.
#[derive(Debug)]
pub struct Tally {
    path: PathBuf,
    /// Made when there is something to keep.
    connection: Option<Connection>,
    /// By digest of the objective and job.
    before: HashMap<(String, String), Before>,
    waiting: BTreeMap<(String, String, NaiveDate), Seconds>,
    /// Which of `before` are not written yet.
    changed: BTreeSet<(String, String)>,
}

impl Tally {
    /// Opens the sums of a data folder; the file is made with the first one.
    pub fn open(data: &Path) -> Result<Self, TallyError> {
        let path = data.join(FILE);
        let connection = path.exists().then(|| open(&path)).transpose()?;
        let mut tally = Self { path, connection, before: HashMap::new(), waiting: BTreeMap::new(), changed: BTreeSet::new() };
        tally.before = tally.read_before()?;
        Ok(tally)
    }

    /// Counts a reading; false if as many sums wait as may: then [`flush`](Self::flush) comes first.
    pub fn take(&mut self, watched: &Watched, reading: &Reading) -> bool {
        if self.waiting.len() >= WAITING_MAX {
            return false;
        }
        for objective in &watched.objectives {
            let key = (objective.digest.clone(), reading.job.clone());
            let mut before = self.before.remove(&key).unwrap_or_default();
            let known = before.due;
            for Counted { objective, series, day, time } in watched.count(objective, reading, &mut before) {
                let sum = self.waiting.entry((objective, series, day)).or_default();
                *sum = sum.plus(time);
            }
            if before.due != known {
                self.changed.insert(key.clone());
            }
            if before.due.is_some() {
                self.before.insert(key, before);
            }
        }
        true
    }

    /// Writes what waits, durably.
    pub fn flush(&mut self) -> Result<(), TallyError> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let failed = |source| TallyError::Sqlite { path: self.path.clone(), source };
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => open(&self.path)?,
        };
        let written = connection.transaction().and_then(|transaction| {
            self.write(&transaction)?;
            transaction.commit()
        });
        self.connection = Some(connection);
        written.map_err(failed)?;
        self.waiting.clear();
        self.changed.clear();
        Ok(())
    }

    fn write(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut sum = transaction.prepare_cached(
            "INSERT INTO sums VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET
             good = good + excluded.good, bad = bad + excluded.bad, unknown = unknown + excluded.unknown, planned = planned + excluded.planned",
        )?;
        for ((objective, series, day), time) in &self.waiting {
            let [good, bad, unknown, planned] =
                [time.good, time.bad, time.unknown, time.planned].map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX));
            sum.execute(params![objective, series, day.to_string(), good, bad, unknown, planned])?;
        }
        let mut counted = transaction.prepare_cached("INSERT OR REPLACE INTO counted VALUES (?1, ?2, ?3)")?;
        let mut known = transaction.prepare_cached("INSERT OR IGNORE INTO series VALUES (?1, ?2, ?3)")?;
        for (objective, job) in &self.changed {
            let Some(before) = self.before.get(&(objective.clone(), job.clone())) else { continue };
            counted.execute(params![objective, job, before.due])?;
            for series in &before.series {
                known.execute(params![objective, job, series])?;
            }
        }
        Ok(())
    }

    fn read_before(&self) -> Result<HashMap<(String, String), Before>, TallyError> {
        let Some(connection) = &self.connection else { return Ok(HashMap::new()) };
        let read = || -> rusqlite::Result<HashMap<(String, String), Before>> {
            let mut before: HashMap<(String, String), Before> = HashMap::new();
            let mut counted = connection.prepare("SELECT objective, job, due FROM counted")?;
            for row in counted.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))? {
                let (key, due) = row?;
                before.entry(key).or_default().due = Some(due);
            }
            let mut series = connection.prepare("SELECT objective, job, series FROM series")?;
            for row in series.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))? {
                let (key, series) = row?;
                before.entry(key).or_default().series.insert(series);
            }
            Ok(before)
        };
        read().map_err(|source| TallyError::Sqlite { path: self.path.clone(), source })
    }
}

/// The sums of an objective over some days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// By series.
    pub series: BTreeMap<String, Seconds>,
    /// The first day that anything was counted on, ever.
    pub since: Option<NaiveDate>,
    /// When the last reading that counted was due, seconds since 1970.
    pub to: Option<i64>,
}

impl Sums {
    /// All series together.
    pub fn all(&self) -> Seconds {
        self.series.values().fold(Seconds::default(), |sum, time| sum.plus(*time))
    }
}

/// Reads the sums of an objective from `first` on and before `after`; nothing is locked, and a file that is not there is empty.
pub fn sums(data: &Path, objective: &Objective, (first, after): (NaiveDate, NaiveDate)) -> Result<Sums, TallyError> {
    let path = data.join(FILE);
    if !path.exists() {
        return Ok(Sums::default());
    }
    let read = || -> rusqlite::Result<Sums> {
        let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(BUSY_MAX)?;
        // Just being made: its tables come in one step.
        if connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? == 0 {
            return Ok(Sums::default());
        }
        let digest = &objective.digest;
        let mut series = BTreeMap::new();
        let mut rows = connection.prepare(
            "SELECT series, sum(good), sum(bad), sum(unknown), sum(planned) FROM sums
             WHERE objective = ?1 AND day >= ?2 AND day < ?3 GROUP BY series",
        )?;
        let mut found = rows.query(params![digest, first.to_string(), after.to_string()])?;
        while let Some(row) = found.next()? {
            let seconds = |at| row.get::<_, i64>(at).map(i64::unsigned_abs);
            series.insert(row.get(0)?, Seconds { good: seconds(1)?, bad: seconds(2)?, unknown: seconds(3)?, planned: seconds(4)? });
        }
        let since: Option<String> = connection.query_row("SELECT min(day) FROM sums WHERE objective = ?1", [digest], |row| row.get(0))?;
        let to = connection.query_row("SELECT max(due) FROM counted WHERE objective = ?1", [digest], |row| row.get(0))?;
        Ok(Sums { series, since: since.and_then(|day| day.parse().ok()), to })
    };
    read().map_err(|source| TallyError::Sqlite { path: path.clone(), source })
}

/// Refuses the sums of a newer program, and changes nothing.
pub fn refuse_newer(data: &Path) -> Result<(), TallyError> {
    let path = data.join(FILE);
    if !path.exists() {
        return Ok(());
    }
    let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let found = connection.and_then(|connection| connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)));
    match found {
        Ok(found) if found > FORMAT => Err(TallyError::Newer { path, found }),
        // Whatever else there is to say of it, opening says.
        _ => Ok(()),
    }
}

fn open(path: &Path) -> Result<Connection, TallyError> {
    let failed = |source| TallyError::Sqlite { path: path.into(), source };
    let connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(BUSY_MAX).map_err(failed)?;
    let format: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    match format {
        FORMAT => {}
        0 => {
            connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
            connection.execute_batch(&format!("BEGIN; {TABLES} COMMIT;")).map_err(failed)?;
        }
        found => return Err(TallyError::Newer { path: path.into(), found }),
    }
    // The place in the journal moves after this: what was counted must be there by then.
    connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use watchpost_plugin_api::{ErrorKind, Kind, MetricSpec, Unit};
    use watchpost_services::outcome::{Outcome, Sample, Status};

    use super::*;
    use crate::{
        config::{At, Place},
        objective::{good::Good, period::Period},
        reading::{Cause, Shape},
        schedule::{Holidays, Timetable, UnixTime, Windows, Zone},
        series::selector::Selector,
    };

    /// Monday, 2026-03-30, 00:00 UTC.
    const MONDAY: i64 = 1_774_828_800;
    const MINUTE: i64 = 60;

    fn at<T>(value: T) -> At<T> {
        At { value, place: Place::whole(Path::new("watchpost.toml")) }
    }

    fn objective(series: &str, good: Option<&str>, hours: &[&str]) -> Objective {
        Objective {
            name: at("mail".to_owned()),
            series: at(Selector::parse(series).unwrap()),
            good: good.map(|good| at(Good::parse(good).unwrap())),
            target: 0.99,
            period: Period::Month,
            zone: Zone::parse("Europe/Paris").unwrap(),
            hours: Windows::parse(hours.iter().copied(), [], std::sync::Arc::new(Holidays::default())).unwrap(),
            digest: series.to_owned(),
        }
    }

    fn watched(objective: Objective, blackout: &[&str]) -> Watched {
        let depth = MetricSpec {
            name: "depth".into(),
            kind: Kind::Gauge,
            unit: Unit::Messages,
            help: "How many.".into(),
            keys: vec!["queue".into()],
        };
        let time = MetricSpec { name: "total_time".into(), unit: Unit::Seconds, keys: vec![], ..depth.clone() };
        let (job, agent, target) = ("mx".into(), "smtp".into(), "h:25".into());
        let shape = Shape { job, agent, target, labels: vec![("site".into(), "paris".into())], step_s: 60, metrics: vec![depth, time] };
        let timetable = Timetable::cron("* * * * *", Zone::default()).unwrap();
        let windows = Windows::parse([], blackout.iter().copied(), std::sync::Arc::new(Holidays::default())).unwrap();
        let timetable = timetable.within(windows, UnixTime::from_secs(MONDAY)).unwrap();
        Watched { objectives: vec![objective], jobs: HashMap::from([("mx".to_owned(), (shape, timetable))]) }
    }

    fn reading(minute: i64, outcome: Outcome) -> Reading {
        let due_ns = (MONDAY + minute * MINUTE) * 1_000_000_000;
        Reading { job: "mx".into(), cause: Cause::Schedule, slot: MONDAY + minute * MINUTE, due_ns, stale_ns: due_ns, outcome }
    }

    fn fine(samples: &[(&str, &[&str], f64)]) -> Outcome {
        let sample = |(metric, labels, value): &(&str, &[&str], f64)| Sample {
            metric: (*metric).into(),
            labels: labels.iter().map(|label| (*label).into()).collect(),
            value: *value,
        };
        Outcome { status: Status::Ok, samples: samples.iter().map(sample).collect(), ..Outcome::failed(ErrorKind::CONNECT, "", 0) }
    }

    fn down() -> Outcome {
        Outcome::failed(ErrorKind::CONNECT, "refused", 0)
    }

    fn unknown() -> Outcome {
        Outcome::failed(ErrorKind::CRASH, "the worker died", 0)
    }

    /// Takes readings and gives the sums of all days, in minutes: good, bad, unknown, planned.
    fn check(watched: &Watched, readings: &[Reading], expected: &[(&str, [u64; 4])]) {
        let folder = tempfile::tempdir().unwrap();
        let mut tally = Tally::open(folder.path()).unwrap();
        for reading in readings {
            assert!(tally.take(watched, reading));
        }
        tally.flush().unwrap();
        let ever = ("2000-01-01".parse().unwrap(), "2100-01-01".parse().unwrap());
        let sums = sums(folder.path(), &watched.objectives[0], ever).unwrap();
        let minutes = |time: &Seconds| [time.good, time.bad, time.unknown, time.planned].map(|seconds| seconds / 60);
        let told: Vec<_> = sums.series.iter().map(|(series, time)| (series.as_str(), minutes(time))).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn a_reading_counts_for_its_slot_and_what_was_missed_is_unknown() {
        let watched = watched(objective("up{site=\"paris\"}", None, &[]), &[]);
        let readings = [reading(0, fine(&[])), reading(1, down()), reading(2, unknown()), reading(10, fine(&[]))];
        check(&watched, &readings, &[("up{job=\"mx\"}", [2, 1, 8, 0])]);
    }

    #[test]
    fn what_was_due_while_the_windows_were_shut_is_planned() {
        let watched = watched(objective("up{job=\"mx\"}", None, &[]), &["MON 00:05-00:15"]);
        check(&watched, &[reading(0, fine(&[])), reading(20, fine(&[]))], &[("up{job=\"mx\"}", [2, 0, 9, 10])]);
    }

    #[test]
    fn only_service_hours_count_in_the_objectives_zone() {
        // 07:55 to 08:05 in Paris, two hours before UTC.
        let watched = watched(objective("up{job=\"mx\"}", None, &["MON-FRI 08:00-18:00"]), &[]);
        let readings: Vec<_> = (355..365).map(|minute| reading(minute, fine(&[]))).collect();
        check(&watched, &readings, &[("up{job=\"mx\"}", [5, 0, 0, 0])]);
    }

    #[test]
    fn a_value_is_held_against_its_bound_and_a_target_that_is_down_is_not_fast() {
        let watched = watched(objective("total_time{job=\"mx\"}", Some("< 500ms"), &[]), &[]);
        let readings = [
            reading(0, fine(&[("total_time", &[], 0.1)])),
            reading(1, fine(&[("total_time", &[], 0.5)])),
            reading(2, fine(&[])),
            reading(3, down()),
            reading(4, unknown()),
        ];
        check(&watched, &readings, &[("total_time{job=\"mx\"}", [1, 2, 2, 0])]);
    }

    #[test]
    fn each_label_set_is_a_series_of_its_own() {
        let watched = watched(objective("depth{queue!=\"hold\"}", Some("<= 10"), &[]), &[]);
        let readings = [
            reading(0, fine(&[("depth", &["active"], 3.0), ("depth", &["hold"], 99.0)])),
            reading(1, fine(&[("depth", &["active"], 11.0), ("depth", &["deferred"], 1.0)])),
            reading(2, down()),
            reading(3, fine(&[("depth", &["active"], 3.0)])),
        ];
        let expected = [("depth{job=\"mx\",queue=\"active\"}", [2, 2, 0, 0]), ("depth{job=\"mx\",queue=\"deferred\"}", [1, 1, 1, 0])];
        check(&watched, &readings, &expected);
    }

    #[test]
    fn manual_runs_and_other_jobs_do_not_count() {
        let watched = watched(objective("up{site=\"paris\"}", None, &[]), &[]);
        let manual = Reading { cause: Cause::Manual, ..reading(1, down()) };
        let other = Reading { job: "other".into(), ..reading(2, down()) };
        check(&watched, &[reading(0, fine(&[])), manual, other], &[("up{job=\"mx\"}", [1, 0, 0, 0])]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

        /// However readings are lost, come again after a crash or the store is opened anew: each minute counts once.
        #[test]
        fn every_minute_counts_once(runs in proptest::collection::vec((1_i64..40, 0_u8..3), 1..40), flushed in any::<u64>()) {
            let watched = watched(objective("up{job=\"mx\"}", None, &["MON 00:00-12:00"]), &["MON 00:30-01:00"]);
            let mut minute = 0;
            let readings: Vec<_> = runs.iter().map(|(after, how)| {
                minute += after;
                reading(minute, match how { 0 => fine(&[]), 1 => down(), _ => unknown() })
            }).collect();
            let folder = tempfile::tempdir().unwrap();
            let mut tally = Tally::open(folder.path()).unwrap();
            let mut from = 0;
            for (at, reading) in readings.iter().enumerate() {
                prop_assert!(tally.take(&watched, reading));
                if flushed >> (at % 64) & 1 == 1 {
                    if flushed >> ((at + 7) % 64) & 1 == 1 {
                        tally.flush().unwrap();
                        from = at + 1;
                    }
                    // Killed: what was not written comes again, and some that was.
                    tally = Tally::open(folder.path()).unwrap();
                    for again in &readings[from.saturating_sub(2)..=at] {
                        prop_assert!(tally.take(&watched, again));
                    }
                }
            }
            tally.flush().unwrap();
            let ever = ("2000-01-01".parse().unwrap(), "2100-01-01".parse().unwrap());
            let all = sums(folder.path(), &watched.objectives[0], ever).unwrap().all();
            let (first, last) = (readings[0].slot, readings[readings.len() - 1].slot);
            // Service hours end at 12:00 in Paris, which is 10:00 UTC.
            let minutes = (first..=last).step_by(60).filter(|at| *at < MONDAY + 600 * MINUTE).count() as u64;
            prop_assert_eq!(all.good + all.bad + all.unknown + all.planned, minutes * 60);
        }
    }
}
