//! Our part: a journal, and a store that follows it.

use std::{
    fs,
    io::Write,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use watchpost::{
    reading::Record,
    series::{
        catalogue::Job,
        layout::Layout,
        shape::FileShape,
        store::{Applied, Options, SeriesStore},
    },
};
use watchpost_journal::{Journal, Options as JournalOptions, Position, Reader};

use crate::{cost, small::Small, world};

/// One of so many rows of an archive is there.
pub(crate) const ROWS_OF: u32 = 20;
/// Rounds whose making is measured, at most: whoever is to be killed is asked for many more, and not what that costs.
const SAMPLES_COUNTED: u64 = 1_000;
/// How long rows wait for their file, as in a store of ten thousand.
const FLUSH_WITHIN: Duration = Duration::from_secs(600);
const PATIENCE: Duration = Duration::from_secs(60);

/// A store with its journal.
pub(crate) struct Ours {
    pub(crate) store: SeriesStore,
    journal: Journal,
    reader: Reader,
}

impl Ours {
    /// Opens a data folder as a daemon does, with fewer rows in its files.
    pub(crate) fn open(folder: &Path, rows_of: u32) -> Self {
        fs::create_dir_all(folder).unwrap();
        let open = |asked| SeriesStore::open_with(folder, Options::default(), Box::new(Small::new(rows_of, asked))).unwrap();
        let known = open(None).catalogue().jobs().values().next().and_then(shape_of);
        let mut store = open(known);
        let from = store.position().map_or(Position::START, |position| Position::from(position).next());
        let (journal, _) = Journal::open(&folder.join("journal"), JournalOptions { seen_end: from, ..JournalOptions::default() }).unwrap();
        store.recover(true).unwrap();
        store.flush_within(Some(FLUSH_WITHIN));
        let reader = journal.reader(from);
        Self { store, journal, reader }
    }

    /// Has records acknowledged, then taken.
    pub(crate) fn take(&mut self, records: &[Record]) {
        let payload = |record: &Record| record.to_bytes().unwrap();
        let (last, others) = records.split_last().unwrap();
        let before = self.journal.counters().records;
        others.iter().for_each(|record| self.journal.put(&payload(record)).unwrap());
        self.journal.append(&payload(last)).unwrap().wait(PATIENCE).unwrap();
        assert_eq!(self.journal.counters().records - before, records.len() as u64, "the journal takes all");
        self.follow();
    }

    /// Takes what the journal has.
    pub(crate) fn follow(&mut self) {
        while let Some((position, payload)) = self.reader.next_in_place().unwrap() {
            while self.store.apply_bytes(position.into(), payload).unwrap().unwrap() == Applied::Behind {
                self.store.flush();
            }
        }
    }

    /// Writes all and makes it durable.
    pub(crate) fn settle(&mut self) {
        assert_eq!(self.store.flush().files_behind, 0);
        self.store.checkpoint(Instant::now(), |_| Ok(())).unwrap();
    }
}

fn shape_of(job: &Job) -> Option<FileShape> {
    Layout::of(job).file(&Vec::new()).map(|(shape, _)| FileShape::clone(&shape))
}

/// Makes every file, with the first sample of each.
pub(crate) fn make(folder: &Path, files: u64) {
    let mut ours = Ours::open(folder, ROWS_OF);
    ours.take(&(0..files).map(|file| world::shape(world::job(file))).collect::<Vec<_>>());
    ours.take(&(0..files).map(|file| world::reading(file, 0)).collect::<Vec<_>>());
    ours.settle();
}

/// Takes the samples, and tells of each round when it is acknowledged; then what all of it cost.
pub(crate) fn run(folder: &Path, files: u64, samples: u64) {
    let client = if samples <= SAMPLES_COUNTED { cpu_of_making(files, samples) } else { 0.0 };
    let mut ours = Ours::open(folder, ROWS_OF);
    let (began, me) = (Instant::now(), std::process::id());
    let (cpu, bytes) = (cost::cpu(me), cost::disk_bytes(me));
    for sample in 1..=samples {
        ours.take(&round(files, sample));
        // All rounds pass at once; rows gather as they do in so much time.
        ours.store.flush_due(began + Duration::from_secs(sample * u64::from(world::STEP)));
        println!("acknowledged {sample}");
        std::io::stdout().flush().unwrap();
    }
    ours.settle();
    println!("cost {} {client} {}", cost::cpu(me) - cpu - client, cost::disk_bytes(me) - bytes);
}

fn round(files: u64, sample: u64) -> Vec<Record> {
    (0..files).map(|file| world::reading(file, sample)).collect()
}

/// Readings come from a worker, which makes them; what that takes is told apart. So it is done once for nothing, with a pause before each round as
/// the journal has it: whoever comes after a pause finds the machine cold.
fn cpu_of_making(files: u64, samples: u64) -> f64 {
    let paused = |work: &dyn Fn(u64)| {
        let before = cost::cpu_of_this_thread();
        (1..=samples).for_each(|sample| {
            work(sample);
            sleep(JournalOptions::default().group_delay);
        });
        cost::cpu_of_this_thread() - before
    };
    let pauses = paused(&|_| ());
    paused(&|sample| drop(std::hint::black_box(round(files, sample)))) - pauses
}

/// What the next daemon does.
pub(crate) fn recover(folder: &Path) {
    let mut ours = Ours::open(folder, ROWS_OF);
    ours.follow();
    ours.settle();
}
