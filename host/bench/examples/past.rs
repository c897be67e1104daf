//! Makes a data folder with a year of the past, for `cargo xtask bench replay`: `past FOLDER JOBS`.
//!
//! Every job is measured every ten minutes of a year, by the store that the daemon has.

#![expect(clippy::unwrap_used, reason = "a helper of a measurement ends with its reason")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use watchpost::{
    reading::{Cause, Reading, Record, Shape},
    series::store::{Applied, Options, SeriesStore},
};
use watchpost_journal::{Journal, Options as JournalOptions, Position, Reader};
use watchpost_plugin_api::{ErrorKind, Kind, MetricSpec, Unit};
use watchpost_services::outcome::{Outcome, Sample, Status};

/// Seconds between readings.
const STEP: i64 = 600;
/// Readings of a year.
const READINGS: i64 = 365 * 86_400 / STEP;
/// Readings that are made durable together.
const TOGETHER: usize = 5_000;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [folder, jobs] = &words[..] else { panic!("past FOLDER JOBS") };
    let (data, jobs): (_, u32) = (Path::new(folder).join("data"), jobs.parse().unwrap());
    fs::create_dir_all(&data).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64 / STEP * STEP;
    let begin = now - READINGS * STEP;
    let mut past = Past::open(&data);
    past.take((0..jobs).map(shape));
    let year: Vec<i64> = (0..=READINGS).collect();
    for part in year.chunks(TOGETHER / jobs.max(1) as usize) {
        past.take(part.iter().flat_map(|nth| (0..jobs).map(move |job| reading(job, begin + nth * STEP, *nth))));
    }
    past.settle();
    println!("{} readings of each of {jobs} jobs", READINGS + 1);
}

/// A store with its journal.
struct Past {
    store: SeriesStore,
    journal: Journal,
    reader: Reader,
}

impl Past {
    fn open(data: &Path) -> Self {
        let mut store = SeriesStore::open(data, Options::default()).unwrap();
        let (journal, _) = Journal::open(&data.join("journal"), JournalOptions::default()).unwrap();
        store.recover(true).unwrap();
        let reader = journal.reader(Position::START);
        Self { store, journal, reader }
    }

    fn take(&mut self, records: impl Iterator<Item = Record>) {
        let payloads = records.map(|record| postcard::to_stdvec(&record).unwrap());
        let last = payloads.map(|payload| self.journal.append(&payload).unwrap()).last();
        last.unwrap().wait(PATIENCE).unwrap();
        while let Some((position, payload)) = self.reader.next().unwrap() {
            let record = postcard::from_bytes(&payload).unwrap();
            while self.store.apply(position.into(), &record).unwrap() == Applied::Behind {
                self.store.flush();
            }
        }
    }

    fn settle(&mut self) {
        assert_eq!(self.store.flush().files_behind, 0);
        self.store.checkpoint(Instant::now(), |_| Ok(())).unwrap();
        // As a daemon does, segments are dropped that everybody is done with.
        self.journal.drop_before(Position::from(self.store.position().unwrap()).next()).unwrap();
    }
}

fn shape(job: u32) -> Record {
    let metric =
        MetricSpec { name: "banner_time".into(), kind: Kind::Gauge, unit: Unit::Seconds, help: "A time.".into(), keys: Vec::new() };
    let (job, agent, target) = (format!("job-{job}"), "smtp".into(), "127.0.0.1:25".into());
    Record::Shape(Shape { job, agent, target, labels: Vec::new(), step_s: STEP as u32, metrics: vec![metric] })
}

/// Slower by day than by night, and for 50 minutes of three days far too slow.
fn reading(job: u32, slot: i64, nth: i64) -> Record {
    let by_day = if slot.rem_euclid(86_400) / 3_600 >= 8 { 0.030 } else { 0.010 };
    let value = if nth % (3 * 144) >= 3 * 144 - 5 { 1.0 } else { by_day + (nth * 7 % 11) as f64 / 1_000.0 };
    let samples = vec![Sample { metric: "banner_time".into(), labels: Vec::new(), value }];
    let due_ns = slot * 1_000_000_000;
    let outcome = Outcome { status: Status::Ok, samples, duration_ns: 250_000_000, ..Outcome::failed(ErrorKind::LOCAL, "", due_ns) };
    Record::Reading(Reading { job: format!("job-{job}"), cause: Cause::Schedule, slot, due_ns, stale_ns: due_ns, outcome })
}
