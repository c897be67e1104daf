//! A process that appends readings to a journal and lets the store follow, until it is killed.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    os::unix::fs::FileExt,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread::{sleep, spawn},
    time::{Duration, Instant},
};

use watchpost::series::store::{Applied, Options as StoreOptions, SeriesStore, Step};
use watchpost_journal::{Journal, Options, Position};

use crate::{chance::Chance, world::World};

pub(crate) const CHILD_DIR: &str = "WATCHPOST_STORE_CHILD_DIR";
const CHILD_SEED: &str = "WATCHPOST_STORE_CHILD_SEED";
const THIS_TEST: &str = "a_killed_store_becomes_what_a_clean_run_is_byte_for_byte";

/// A child that takes longer to begin is a failure.
const PATIENCE: Duration = Duration::from_secs(60);
/// A child that nobody kills ends by itself.
const CHILD_LIFE: Duration = Duration::from_secs(120);
/// How long a life lasts at most, once it has begun.
const LIFE_MICROS_MAX: u64 = 400_000;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Starting,
    Recovering,
    Appending,
    Taking,
    Flushing,
    /// Up to the heads of files in the checkpoint file.
    Keeping,
    /// Until the files are durable.
    Syncing,
    /// Until the catalogue speaks of the checkpoint file.
    Committing,
    /// Until that file has its name.
    Settling,
    /// A file takes over the rows of one before it.
    Migrating,
}

const PHASES: [Phase; 10] = [
    Phase::Starting,
    Phase::Recovering,
    Phase::Appending,
    Phase::Taking,
    Phase::Flushing,
    Phase::Keeping,
    Phase::Syncing,
    Phase::Committing,
    Phase::Settling,
    Phase::Migrating,
];

/// Phases that are waited for; those in which most can be torn more often.
const AIMED_AT: [Phase; 10] = [
    Phase::Migrating,
    Phase::Migrating,
    Phase::Flushing,
    Phase::Flushing,
    Phase::Flushing,
    Phase::Flushing,
    Phase::Keeping,
    Phase::Syncing,
    Phase::Committing,
    Phase::Settling,
];

/// Waits until the process does this; not for long.
fn await_phase(dir: &Path, phase: Phase) {
    let (file, end) = (File::open(phase_file(dir)).unwrap(), Instant::now() + Duration::from_secs(5));
    let mut now = [0];
    while now[0] != phase as u8 && Instant::now() < end {
        file.read_exact_at(&mut now, 0).unwrap();
        std::hint::spin_loop();
    }
}

/// Where the process writes what it does: the page cache outlives it.
fn phase_file(dir: &Path) -> std::path::PathBuf {
    dir.join("phase")
}

/// Lets a process live on the folder and kills it; gives what it did just then, and what it had acknowledged.
pub(crate) fn live_and_die(dir: &Path, chance: &mut Chance) -> (Phase, Vec<(u64, u32)>) {
    fs::write(phase_file(dir), [0]).unwrap();
    let (mut child, lines) = start(dir, chance);
    let mut acknowledged = Vec::new();
    // One in six is killed while it starts; of the others half at any moment, half in a phase that is chosen.
    match chance.below(6) {
        0 => sleep(Duration::from_micros(chance.below(LIFE_MICROS_MAX / 4))),
        1..4 => {
            acknowledged.push(lines.recv_timeout(PATIENCE).expect("an acknowledgement in time"));
            sleep(Duration::from_micros(chance.below(LIFE_MICROS_MAX)));
        }
        _ => {
            acknowledged.push(lines.recv_timeout(PATIENCE).expect("an acknowledgement in time"));
            sleep(Duration::from_micros(chance.below(LIFE_MICROS_MAX / 4)));
            await_phase(dir, chance.of(&AIMED_AT));
            sleep(Duration::from_micros(chance.below(300)));
        }
    }
    child.kill().unwrap();
    while let Ok(line) = lines.recv_timeout(PATIENCE) {
        acknowledged.push(line);
    }
    child.wait().unwrap();
    let phase = fs::read(phase_file(dir)).unwrap()[0];
    (PHASES[usize::from(phase)], acknowledged)
}

fn start(dir: &Path, chance: &mut Chance) -> (Child, Receiver<(u64, u32)>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", THIS_TEST, "--nocapture"])
        .env(CHILD_DIR, dir)
        .env(CHILD_SEED, chance.next().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    let (sender, lines) = channel();
    spawn(move || listen(output, |line| _ = sender.send(line)));
    (child, lines)
}

fn listen(output: ChildStdout, told: impl Fn((u64, u32))) {
    let mut output = BufReader::new(output);
    let mut line = String::new();
    while output.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
        if let Some(words) = line.strip_prefix("acknowledged ").and_then(|words| words.strip_suffix('\n')) {
            let (position, sum) = words.split_once(' ').unwrap();
            told((position.parse().unwrap(), sum.parse().unwrap()));
        }
        line.clear();
    }
}

/// The process.
pub(crate) fn live_until_killed(dir: &Path) {
    let mut chance = Chance(std::env::var(CHILD_SEED).unwrap().parse().unwrap());
    let phases = || {
        let file = File::options().write(true).open(phase_file(dir)).unwrap();
        move |phase: Phase| file.write_all_at(&[phase as u8], 0).unwrap()
    };
    let (enter, told) = (phases(), phases());
    let mut store = SeriesStore::open(dir, StoreOptions::default()).unwrap();
    let from = store.position().map_or(Position::START, |position| Position::from(position).next());
    let options = Options { segment_bytes_max: 64 << 10, group_delay: Duration::from_millis(1), seen_end: from, ..Options::default() };
    let (journal, recovery) = Journal::open(&dir.join("journal"), options).unwrap();
    assert!(recovery.lost.is_empty() && recovery.damaged.is_empty(), "{recovery:?}");
    // Half of them let rows gather over their checkpoints.
    store.flush_within((chance.below(2) == 0).then_some(Duration::from_secs(3_600)));
    enter(Phase::Recovering);
    store.recover(true).unwrap();
    let mut world = World::new(300);
    watchpost::daemon::records(journal.reader(journal.first())).for_each(|(_, record)| world.saw(&record));
    store.on_step(Box::new(move |step| {
        told(match step {
            Step::Flushed => Phase::Keeping,
            Step::HeadsKept => Phase::Syncing,
            Step::Synced => Phase::Committing,
            Step::Committed => Phase::Settling,
            Step::Settled => Phase::Appending,
            Step::TakenBack => Phase::Recovering,
        });
    }));
    let mut reader = journal.reader(from);
    let end = Instant::now() + CHILD_LIFE;
    while Instant::now() < end {
        enter(Phase::Taking);
        while let Some((position, payload)) = reader.next().unwrap() {
            let record = postcard::from_bytes(&payload).unwrap();
            assert_eq!(store.apply(position.into(), &record).unwrap(), Applied::Taken);
        }
        if chance.below(6) == 0 {
            enter(Phase::Flushing);
            store.flush();
        }
        if chance.below(20) == 0 {
            enter(Phase::Flushing);
            store.checkpoint(Instant::now(), |_| Ok(())).unwrap();
        }
        if chance.below(4) == 0
            && let Some(migration) = store.next_migration()
        {
            enter(Phase::Migrating);
            let done = migration.run();
            store.migrated(&migration, done).unwrap();
        }
        enter(Phase::Appending);
        append(&journal, &mut world, &mut chance);
    }
}

/// Appends a few readings, and tells those that are durable; the last ones may still be on their way.
fn append(journal: &Journal, world: &mut World, chance: &mut Chance) {
    let count = 1 + chance.below(40);
    for n in 0..count {
        let payload = postcard::to_stdvec(&world.next(chance)).unwrap();
        let sum = crc32c::crc32c(&payload);
        let tell = move |position: Position| {
            let line = format!("acknowledged {} {sum}\n", u64::from(position));
            std::io::stdout().write_all(line.as_bytes()).unwrap();
        };
        let ticket = journal.append(&payload).unwrap();
        if n + 1 == count {
            tell(ticket.wait(PATIENCE).unwrap());
        }
    }
}
