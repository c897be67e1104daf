//! A store of many files while time passes: what it takes of a core, and of memory.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use watchpost::series::store::{Applied, Options, SeriesStore};

use crate::{cost, small::Small, world};

/// One of so many rows of an archive is there.
const ROWS_OF: u32 = 100;

/// Lets so many slots pass over so many files, each of eight values, and prints what that cost.
pub(crate) fn print(folder: &Path, files: u64, slots: u64) {
    let me = std::process::id();
    std::fs::create_dir_all(folder).unwrap();
    let mut store = SeriesStore::open_with(folder, Options::default(), Box::new(Small::new(ROWS_OF, None))).unwrap();
    let mut position = 0;
    let mut give = |store: &mut SeriesStore, record| {
        position += 1;
        while store.apply(position, &record).unwrap() == Applied::Behind {
            store.flush();
        }
    };
    let began = Instant::now();
    (0..files).for_each(|file| give(&mut store, world::shape(world::job(file))));
    (0..files).for_each(|file| give(&mut store, world::reading(file, 0)));
    store.flush();
    store.checkpoint(began, |_| Ok(())).unwrap();
    println!("{files} files made in {:.0} s", began.elapsed().as_secs_f64());
    let (cpu, disk) = (cost::cpu(me), cost::disk_bytes(me));
    let (mut now, mut flushes, mut made) = (began, 0.0, 0.0);
    for slot in 1..=slots {
        let cpu = cost::cpu(me);
        (0..files).for_each(|file| give(&mut store, world::reading(file, slot)));
        made += cost::cpu(me) - cpu;
        for _ in 0..world::STEP * 2 {
            now += Duration::from_millis(500);
            let cpu = cost::cpu(me);
            store.flush_due(now);
            if store.checkpoint_due(now) {
                store.checkpoint(now, |_| Ok(())).unwrap();
            }
            flushes += cost::cpu(me) - cpu;
        }
    }
    let passed = slots as f64 * f64::from(world::STEP);
    let (cpu, updates) = (cost::cpu(me) - cpu, files * slots);
    println!(
        "{files} files of {} values every {} s, {passed:.0} s of it: {:.2} % of a core ({:.2} us/update: taking {:.2}, writing {:.2}), {:.0} MiB at most, {:.0} bytes to disk of each",
        world::VALUES,
        world::STEP,
        cpu * 100.0 / passed,
        cpu * 1e6 / updates as f64,
        made * 1e6 / updates as f64,
        flushes * 1e6 / updates as f64,
        cost::most_resident(me),
        (cost::disk_bytes(me) - disk) as f64 / updates as f64,
    );
}
