//! What a crash of any kind leaves of the series, and what the next process makes of it: the files of a run that nobody interrupted,
//! byte for byte, with every acknowledged reading.
//!
//! Reading order: this file (the stories) · `world` (what is measured: jobs, gaps, resets, new shapes) · `life` (a process that measures
//! until it is killed) · `twin` (the run that nobody interrupts, and how both are compared) · `power` (a machine that loses its power)
//! with `disk` (what such a machine finds again) · `failing` (a disk that says that it failed) · `lives` (many of them at once) · `figures`
//! (what they came to) · `chance`.
//!
//! `WATCHPOST_PROVE_STORE_KILLS` kills are made, and power is lost in `WATCHPOST_PROVE_POWER_CUTS` lives; `cargo xtask prove crash` makes
//! two thousand, `prove power` a thousand. `WATCHPOST_PROVE_SEED` repeats a run, `WATCHPOST_PROVE_LIFE` the one life of it that failed,
//! `WATCHPOST_PROVE_UNHEALED` leaves heads of files as the killed process left them, and must fail.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test fails as the test does")]

mod chance;
mod disk;
mod failing;
mod figures;
mod life;
mod lives;
mod power;
mod twin;
mod world;

use std::{env, path::Path, process::Command, time::Instant};

use chance::Chance;
use figures::Figures;
use life::{CHILD_DIR, Phase, live_and_die, live_until_killed};
use twin::Twin;
use watchpost::series::store::{Applied, Options, SeriesStore};
use watchpost_journal::{Position, Reader};

/// Kills of one test run, where nobody asks for more.
const KILLS: u64 = 40;
/// After so many kills the next ones get a folder of their own, so that comparing stays quick.
const KILLS_PER_FOLDER: u64 = 10;

#[test]
fn a_killed_store_becomes_what_a_clean_run_is_byte_for_byte() {
    if let Some(dir) = env::var_os(CHILD_DIR) {
        return live_until_killed(Path::new(&dir));
    }
    let kills = env::var("WATCHPOST_PROVE_STORE_KILLS").map_or(KILLS, |count| count.parse().expect("a number"));
    let figures = lives::pass(kills, KILLS_PER_FOLDER, killed_again_and_again);
    println!("{figures:#?}");
    assert!(figures.acknowledged > kills, "the kills came too early");
    assert!(kills < 500 || figures.torn > 0, "nothing was torn: the proof shows nothing");
}

/// The lives of one folder, each killed.
fn killed_again_and_again(kills: u64, seed: u64) -> Figures {
    let (mut chance, mut figures) = (Chance(seed), Figures::default());
    let dir = lives::folder();
    let mut twin = Twin::new();
    for _ in 0..kills {
        let (phase, acknowledged) = live_and_die(dir.path(), &mut chance);
        figures.ended_while(format!("{phase:?}"));
        let Ok(reader) = Reader::offline(&dir.path().join("journal"), Position::START) else {
            assert!(acknowledged.is_empty(), "the journal is gone");
            continue;
        };
        figures.records += twin.follow(reader);
        figures.took(&acknowledged, &twin);
        if phase == Phase::Flushing {
            figures.torn += u64::from(!unhealed(dir.path(), &twin).is_empty());
        }
        let mut store = recovered(dir.path(), env::var_os("WATCHPOST_PROVE_UNHEALED").is_none(), &mut figures);
        if chance.below(2) == 0 {
            store.checkpoint(Instant::now(), |_| Ok(())).unwrap();
        }
        figures.compare(&twin.differences(dir.path(), &store), seed);
    }
    figures
}

/// What would be wrong if heads were left as the killed process left them.
fn unhealed(dir: &Path, twin: &Twin) -> Vec<String> {
    let copy = lives::folder();
    let copied = Command::new("cp").arg("-a").arg(dir.join(".")).arg(copy.path()).status().unwrap();
    assert!(copied.success());
    let store = recovered(copy.path(), false, &mut Figures::default());
    drop(store);
    twin.unequal(copy.path())
}

/// Makes of a folder what the next process makes of it.
fn recovered(dir: &Path, heal: bool, figures: &mut Figures) -> SeriesStore {
    let mut store = SeriesStore::open(dir, Options::default()).unwrap();
    let healed = store.recover(heal).unwrap();
    assert!(!healed.checkpoint_lost && healed.heads_unfit == 0, "{healed:?}");
    figures.heads_put_back += healed.heads;
    figures.files_removed += healed.files_removed;
    figures.names_given_back += healed.names_given_back;
    let from = store.position().map_or(Position::START, |position| Position::from(position).next());
    for (position, record) in watchpost::daemon::records(Reader::offline(&dir.join("journal"), from).unwrap()) {
        assert_eq!(store.apply(position, &record).unwrap(), Applied::Taken);
    }
    assert_eq!(store.flush().files_behind, 0);
    figures.files_migrated += migrated(&mut store, usize::MAX);
    store
}

/// Has files take over the rows of those before them; gives how many these were.
fn migrated(store: &mut SeriesStore, files_max: usize) -> u64 {
    let before = store.counts().files_migrated;
    for _ in 0..files_max {
        let Some(migration) = store.next_migration() else { break };
        let done = migration.run();
        store.migrated(&migration, done).unwrap();
    }
    store.counts().files_migrated - before
}
