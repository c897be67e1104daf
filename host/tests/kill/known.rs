//! What the journal holds, and whether all that was told is there.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::Path,
};

use watchpost::reading::{Cause, Reading};
use watchpost_journal::Position;

use crate::{
    answers,
    harness::journal,
    witness::{Noted, Picture},
};

/// Every reading that the journal was seen to hold.
#[derive(Default)]
pub(crate) struct Known {
    readings: Vec<(Position, Reading)>,
    /// Where the last two looks began to find something new.
    looks: [usize; 2],
    whole: HashSet<String>,
    pictures: HashSet<Picture>,
    /// total_time of each job by slot, as written; [`None`] where the run has none.
    slots: HashMap<String, BTreeMap<i64, Option<String>>>,
}

impl Known {
    pub(crate) fn len(&self) -> usize {
        self.readings.len()
    }

    /// total_time of each job by slot.
    pub(crate) fn slots(&self) -> &HashMap<String, BTreeMap<i64, Option<String>>> {
        &self.slots
    }

    /// Looks at the journal again: what the last look found must be there still, each slot of a job once.
    pub(crate) fn grow(&mut self, data: &Path) {
        let [before, _] = self.looks;
        let begin = self.readings.get(before).map_or(Position::START, |(position, _)| *position);
        let found = journal::from(data, begin);
        let (again, new) = found.split_at_checked(self.len() - before).expect("the journal holds what it held");
        assert!(again == &self.readings[before..], "the journal holds what it held");
        self.looks = [self.looks[1], self.len()];
        for (_, reading) in new {
            self.learn(reading);
        }
        self.readings.extend_from_slice(new);
    }

    fn learn(&mut self, reading: &Reading) {
        self.whole.insert(serde_json::to_string(reading).unwrap());
        self.pictures.insert(picture(reading));
        if reading.cause == Cause::Schedule {
            let slots = self.slots.entry(reading.job.clone()).or_default();
            let last = slots.last_key_value().map(|(slot, _)| *slot);
            assert!(last.is_none_or(|last| last < reading.slot), "{}: slot {} after {last:?}", reading.job, reading.slot);
            slots.insert(reading.slot, total_time(reading));
        }
    }

    /// Asserts that everything that was told is in the journal.
    pub(crate) fn holds(&self, noted: &Noted) {
        let missing = self.missing(noted);
        assert!(missing.is_empty(), "{} told and not in the journal, such as {}", missing.len(), missing[0]);
    }

    fn missing(&self, noted: &Noted) -> Vec<String> {
        let readings = noted.readings.difference(&self.whole).cloned();
        let pictures = noted.pictures.difference(&self.pictures).map(|picture| format!("{picture:?}"));
        let is_told = |(job, slot, value): &&(String, i64, String)| {
            self.slots.get(job).and_then(|slots| slots.get(slot)).is_some_and(|known| answers::alike(known.as_deref(), Some(value)))
        };
        let rows = noted.rows.iter().filter(|row| !is_told(row)).map(|row| format!("{row:?}"));
        readings.chain(pictures).chain(rows).collect()
    }
}

fn total_time(reading: &Reading) -> Option<String> {
    reading.outcome.samples.iter().find(|sample| sample.metric == "total_time").map(|sample| sample.value.to_string())
}

/// What `/metrics` shows of a reading: families as DESIGN "Outward" names them; all that the agent measures are times.
fn picture(reading: &Reading) -> Picture {
    let outcome = &reading.outcome;
    let up = outcome.status.up().map(|up| format!("watchpost_up {up}"));
    let duration = (outcome.duration_ns > 0).then(|| format!("watchpost_run_duration_seconds {}", outcome.duration_ns as f64 / 1e9));
    let samples = outcome.samples.iter().map(|sample| format!("watchpost_{}_seconds {}", sample.metric, sample.value));
    (reading.job.clone(), up.into_iter().chain(duration).chain(samples).collect::<BTreeSet<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchpost_plugin_api::ErrorKind;
    use watchpost_services::outcome::{Outcome, Sample, Status};

    fn reading(slot: i64, value: f64) -> Reading {
        let samples = vec![Sample { metric: "total_time".into(), labels: vec![], value }];
        let outcome = Outcome { status: Status::Ok, samples, duration_ns: 7, ..Outcome::failed(ErrorKind::LOCAL, "", slot) };
        Reading { job: "a".into(), cause: Cause::Schedule, slot, due_ns: 0, stale_ns: 0, outcome }
    }

    #[test]
    fn what_was_told_and_is_not_there_is_missed_whoever_noted_it() {
        let mut known = Known::default();
        known.learn(&reading(1, 0.5));
        let told = |reading: &Reading| Noted {
            readings: [serde_json::to_string(reading).unwrap()].into(),
            pictures: [picture(reading)].into(),
            rows: [(reading.job.clone(), reading.slot, total_time(reading).unwrap())].into(),
            last: None,
        };
        assert_eq!(known.missing(&told(&reading(1, 0.5))), Vec::<String>::new());
        assert_eq!(known.missing(&told(&reading(1, 0.25))).len(), 3, "another value is not this one");
        assert_eq!(known.missing(&told(&reading(2, 0.5))).len(), 2, "another slot is not this one; a scrape knows no slots");
    }

    #[test]
    #[should_panic(expected = "slot 1 after Some(1)")]
    fn a_slot_that_comes_twice_is_noticed() {
        let mut known = Known::default();
        known.learn(&reading(1, 0.5));
        known.learn(&reading(1, 0.25));
    }
}
