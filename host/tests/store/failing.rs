//! A disk that fails to take what was written, and says so when it is asked to make it durable: what it did not take is gone by then.

use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use watchpost::series::store::{Applied, Options, SeriesStore};
use watchpost_journal::{Journal, Options as JournalOptions, Position};

use crate::{chance::Chance, disk::Disk, lives, migrated, twin::Twin, world::World};

/// Lives of a store, each with several failures.
const LIVES: u64 = 4;
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn after_a_failed_sync_the_store_goes_back_and_ends_as_a_clean_run_does() {
    let mut chance = Chance::seeded();
    let (mut failures, mut compared) = (0, 0);
    for _ in 0..LIVES {
        let seed = chance.next();
        let (failed, files) = a_life(seed);
        failures += failed;
        compared += files;
    }
    println!("{LIVES} lives, {failures} failed syncs, {compared} files compared");
    assert!(failures > LIVES, "hardly anything failed");
}

/// Gives how many syncs failed, and how many files were compared.
fn a_life(seed: u64) -> (u64, u64) {
    let dir = lives::folder();
    let (mut chance, mut twin) = (Chance(seed), Twin::new());
    let disk = Arc::new(Mutex::new((Disk::new(dir.path(), u64::MAX, chance.next()), Chance(chance.next()), 0)));
    let options = JournalOptions { group_delay: Duration::ZERO, ..JournalOptions::default() };
    let (journal, _) = Journal::open(&dir.path().join("journal"), options).unwrap();
    let mut store = SeriesStore::open(dir.path(), Options::default()).unwrap();
    store.flush_within((chance.below(2) == 0).then_some(Duration::from_secs(3_600)));
    let asked = disk.clone();
    store.on_sync(Box::new(move || {
        let (disk, chance, failures) = &mut *asked.lock().unwrap();
        if *failures < 20 && chance.below(3) > 0 {
            *failures += 1;
            disk.loses_what_was_written();
            return Err(io::Error::from_raw_os_error(5));
        }
        disk.sync();
        Ok(())
    }));
    let mut world = World::new(60);
    let mut reader = journal.reader(journal.first());
    let mut turns_left = 120;
    loop {
        while let Some((position, payload)) = reader.next().unwrap() {
            assert_eq!(store.apply(position.into(), &postcard::from_bytes(&payload).unwrap()).unwrap(), Applied::Taken);
        }
        turns_left -= 1;
        let checkpointed = match chance.below(8) {
            _ if turns_left <= 0 => store.checkpoint(Instant::now(), |_| Ok(())).map(Some),
            0 | 1 => store.checkpoint(Instant::now(), |_| Ok(())).map(Some),
            2..5 => {
                store.flush();
                migrated(&mut store, 1);
                Ok(None)
            }
            _ => {
                append(&journal, &mut world, &mut chance);
                Ok(None)
            }
        };
        match checkpointed {
            Ok(Some(_)) if turns_left <= 0 => break,
            Ok(_) => {}
            Err(error) => {
                assert!(store.is_unsure(), "{error}");
                let recovered = store.go_back(true).unwrap();
                assert!(!recovered.checkpoint_lost && recovered.heads_unfit == 0, "seed {seed}: {recovered:?}");
                reader = journal.reader(store.position().map_or(Position::START, |position| Position::from(position).next()));
            }
        }
    }
    assert_eq!(store.flush().files_behind, 0);
    migrated(&mut store, usize::MAX);
    twin.follow(journal.reader(journal.first()));
    let differences = twin.differences(dir.path(), &store);
    assert!(differences.names.is_empty(), "seed {seed}: {differences:?}");
    (disk.lock().unwrap().2, differences.compared)
}

fn append(journal: &Journal, world: &mut World, chance: &mut Chance) {
    for _ in 0..1 + chance.below(20) {
        journal.append(&postcard::to_stdvec(&world.next(chance)).unwrap()).unwrap().wait(PATIENCE).unwrap();
    }
}
