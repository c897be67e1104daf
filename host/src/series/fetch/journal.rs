//! What the journal says of series, by the same rules that files are written by.
//!
//! Files lag behind; over its span the journal is right.

use std::collections::{BTreeMap, HashMap};

use super::pick::Pick;
use super::track::Track;
use crate::reading::{Given, Reading, Record};
use crate::series::Position;
use crate::series::catalogue::Job;
use crate::series::layout::{Filled, Layout, Spread};
use crate::series::name::LabelSet;
use crate::series::plan::{plan, spans};
use crate::series::row::{Datum, Row};

/// The span of the journal for each picked series.
pub(super) struct Overlay<'a> {
    jobs: HashMap<&'a str, FollowedJob<'a>>,
    range: (i64, i64),
}

struct FollowedJob<'a> {
    layout: Layout,
    files: HashMap<LabelSet, Followed<'a>>,
}

struct Followed<'a> {
    step: u32,
    /// Heartbeat of counters.
    reach: u32,
    first_slot: i64,
    last: Option<Row>,
    tracks: Vec<(usize, &'a Pick, Track)>,
}

impl<'a> Overlay<'a> {
    /// Prepares for these series; rows outside the range are not kept.
    pub(super) fn new(known: &'a BTreeMap<String, Job>, picks: &'a [Pick], range: (i64, i64)) -> Self {
        let mut jobs: HashMap<&str, FollowedJob<'_>> = HashMap::new();
        for (index, pick) in picks.iter().enumerate() {
            let Some(job) = known.get(&pick.job) else { continue };
            let (Some(current), Some(_)) = (job.current(&pick.file), pick.column) else { continue };
            let followed = jobs.entry(&pick.job).or_insert_with(|| FollowedJob { layout: Layout::of(job), files: HashMap::new() });
            if !followed.layout.fits(current) {
                continue; // a new shape waits for its first reading; until then files answer
            }
            let reach = followed.layout.counter_heartbeat();
            let file = followed.files.entry(pick.file.clone()).or_insert_with(|| Followed {
                step: current.step,
                reach,
                first_slot: current.first_slot,
                last: None,
                tracks: Vec::new(),
            });
            file.tracks.push((index, pick, Track::over(i64::MAX, i64::MIN)));
        }
        Self { jobs, range }
    }

    /// Follows the journal, and gives a track for each series that it speaks of, by the series' place.
    pub(super) fn follow(mut self, journal: impl IntoIterator<Item = (Position, Record)>) -> HashMap<usize, Track> {
        for (_, record) in journal {
            if let Record::Reading(reading) = record {
                self.read(&reading);
            }
        }
        let files = self.jobs.into_values().flat_map(|job| job.files.into_values());
        let tracks = files.flat_map(|file| file.tracks).filter(|(_, _, track)| track.from < track.to);
        tracks.map(|(index, _, track)| (index, track)).collect()
    }

    fn read(&mut self, reading: &Reading) {
        let Some(job) = self.jobs.get_mut(reading.job.as_str()) else { return };
        let mut spread = Spread::default();
        job.layout.spread(&Given::of(reading).outcome, &mut spread);
        for Filled { labels, cells, .. } in spread.rows_mut() {
            if let Some(file) = job.files.get_mut(labels) {
                file.read(reading.slot, std::mem::take(cells), self.range);
            }
        }
    }
}

impl Followed<'_> {
    fn read(&mut self, slot: i64, mut cells: Vec<Datum>, range: (i64, i64)) {
        let is_of_file = slot >= self.first_slot && slot % i64::from(self.step) == 0;
        if !is_of_file || self.last.as_ref().is_some_and(|last| slot <= last.stamp) {
            return;
        }
        let before = plan(self.last.as_ref(), slot, &mut cells, self.step, self.reach);
        let rows: Vec<_> = before.into_iter().chain([Row { stamp: slot, cells }]).collect();
        let spans = spans(self.last.as_ref(), &rows, self.step);
        let is_first = self.last.is_none();
        for (_, pick, track) in &mut self.tracks {
            if is_first {
                track.from = pick.answers_from(slot, self.step);
            }
            track.to = slot;
            for span in spans.iter().filter(|span| span.to > range.0 && span.from < range.1) {
                track.push(span.from, span.to, pick.column.and_then(|column| span.values.get(column).copied().flatten()));
            }
        }
        self.last = rows.into_iter().next_back();
    }
}
