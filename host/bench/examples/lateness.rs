//! How late runs start, for `cargo xtask bench schedule`.
//!
//! `journal DATA PREFIX EVERY FROM UNTIL` looks at the runs of jobs whose name begins so, every so many seconds, that were due from one
//! second of Unix time up to another; it says one line: runs, then p50, p99 and the most of their lateness in milliseconds, then slots
//! that are missing and slots that are there twice. Late is a run from its due time to when its agent was called.
//! `month` lets a month pass on a clock of its own, with every wake-up late by up to 20 ms, and says runs and seconds of drift.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a measurement ends with its reason")]

use std::{collections::HashMap, path::Path, time::Duration};

use watchpost::{
    reading::{Cause, Reading, Record},
    schedule::{Clocks, DueClock, Ticker, Timetable, UnixTime, Zone},
};
use watchpost_journal::{Position, Reader};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["journal", data, prefix, every, from, until] => {
            println!("{}", journal(Path::new(data), prefix, every.parse().unwrap(), from.parse().unwrap(), until.parse().unwrap()));
        }
        ["month"] => println!("{}", month()),
        _ => panic!("journal DATA PREFIX EVERY FROM UNTIL | month"),
    }
}

fn journal(data: &Path, prefix: &str, every: i64, from: i64, until: i64) -> String {
    let (mut late_ms, mut slots) = (Vec::new(), HashMap::<String, Vec<i64>>::new());
    for reading in readings(data).filter(|reading| reading.job.starts_with(prefix) && reading.cause == Cause::Schedule) {
        if (from..until).contains(&(reading.due_ns / 1_000_000_000)) {
            late_ms.push(late(&reading, every).as_secs_f64() * 1e3);
            slots.entry(reading.job).or_default().push(reading.slot);
        }
    }
    let (mut missing, mut twice) = (0, 0);
    for mut slots in slots.into_values() {
        slots.sort_unstable();
        let gaps = slots.windows(2).map(|pair| (pair[1] - pair[0]) / every);
        gaps.for_each(|gap| if gap == 0 { twice += 1 } else { missing += gap - 1 });
    }
    late_ms.sort_by(f64::total_cmp);
    let part = |part: f64| late_ms.get((late_ms.len() as f64 * part) as usize).or(late_ms.last()).copied().unwrap_or(f64::NAN);
    format!("{} {:.3} {:.3} {:.3} {missing} {twice}", late_ms.len(), part(0.5), part(0.99), part(1.0))
}

/// From when a run was due, within its second, to when its agent was called.
fn late(reading: &Reading, every: i64) -> Duration {
    let timetable = Timetable::every(&format!("{every}s"), &reading.job, Zone::default()).unwrap();
    let due = Duration::from_nanos(reading.due_ns.unsigned_abs()) + timetable.spread(&reading.job);
    Duration::from_nanos(reading.outcome.started_ns.unsigned_abs()).saturating_sub(due)
}

fn readings(data: &Path) -> impl Iterator<Item = Reading> {
    let mut reader = Reader::offline(&data.join("journal"), Position::START).expect("there is a journal");
    let records = std::iter::from_fn(move || reader.next().expect("the journal is whole"));
    records.filter_map(|(_, payload)| match postcard::from_bytes(&payload).expect("the record is understood") {
        Record::Reading(reading) => Some(reading),
        Record::Shape(_) | Record::Event(_) | Record::Silence(_) | Record::Upkeep(_) => None,
    })
}

fn month() -> String {
    const EVERY: i64 = 10;
    let wall = Duration::from_secs(1_796_000_000);
    let timetable = Timetable::every("10s", "no-op", Zone::default()).unwrap();
    let step = timetable.rhythm(UnixTime::from_duration(wall)).step();
    let mut clocks = Clocks { monotonic: Duration::from_secs(77), wall };
    let (mut clock, mut ticker) = (DueClock::start(clocks), Ticker::start(timetable, step, wall, None));
    let (mut dues, mut random) = (Vec::new(), 88_172_645_463_325_252_u64);
    while clocks.wall - wall < Duration::from_secs(30 * 86_400) {
        let next = clock.monotonic_at(ticker.next_due().unwrap());
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let pass = next.saturating_sub(clocks.monotonic) + Duration::from_micros(random % 20_000);
        (clocks.monotonic, clocks.wall) = (clocks.monotonic + pass, clocks.wall + pass);
        dues.extend(ticker.poll(clock.observe(clocks).0).run.map(|run| run.due.as_secs()));
    }
    let expected = dues[0] + EVERY * (dues.len() as i64 - 1);
    format!("{} {}", dues.len(), dues[dues.len() - 1] - expected)
}
