//! Many lives, several at once, and word of how far they are.

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Mutex, MutexGuard, PoisonError},
    thread::{available_parallelism, scope},
    time::{Duration, Instant},
};

use crate::{Figures, chance::Chance};

/// Where nothing of what is proved rests on a disk, a folder in memory spares it: the page cache outlives a killed process, and a power cut
/// has its own model of what is synced.
const IN_MEMORY: &str = "/dev/shm";
/// How long nothing is said, at most, while lives pass.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// After how many something is said in any case.
const TELL_AFTER: u64 = 100;

/// What is left to do, and what came of what is done.
struct Run {
    chance: Chance,
    left: u64,
    done: u64,
    told: (u64, Instant),
    figures: Figures,
}

/// Has so many lives pass, several at once, `at_once` of them in one go; each gets how many it is to be, and a seed. Gives what they came to.
///
/// The first one that fails is the last one, and tells its seed: `WATCHPOST_PROVE_LIFE` has that life again, and no other.
pub(crate) fn pass(count: u64, at_once: u64, life: impl Fn(u64, u64) -> Figures + Sync) -> Figures {
    if let Ok(seed) = env::var("WATCHPOST_PROVE_LIFE") {
        return life(at_once, seed.parse().expect("WATCHPOST_PROVE_LIFE is a number"));
    }
    let began = Instant::now();
    let run = Mutex::new(Run { chance: Chance::seeded(), left: count, done: 0, told: (0, began), figures: Figures::default() });
    let work = || {
        while let Some((lives, seed)) = next(&run, at_once) {
            let figures = catch_unwind(AssertUnwindSafe(|| life(lives, seed))).unwrap_or_else(|panic| {
                lock(&run).left = 0;
                resume_unwind(panic)
            });
            let mut run = lock(&run);
            run.done += lives;
            run.figures.add(figures);
            if run.done >= run.told.0 + TELL_AFTER || run.told.1.elapsed() >= TELL_EVERY {
                run.told = (run.done, Instant::now());
                println!("{} of {count} after {:.0} s: {}", run.done, began.elapsed().as_secs_f64(), run.figures.in_short());
            }
        }
    };
    scope(|scope| (0..available_parallelism().map_or(1, usize::from)).for_each(|_| drop(scope.spawn(work))));
    println!("{count} in {:.0} s", began.elapsed().as_secs_f64());
    run.into_inner().unwrap().figures
}

fn next(run: &Mutex<Run>, at_once: u64) -> Option<(u64, u64)> {
    let mut run = lock(run);
    let lives = at_once.min(run.left);
    run.left -= lives;
    (lives > 0).then(|| (lives, run.chance.next()))
}

fn lock(run: &Mutex<Run>) -> MutexGuard<'_, Run> {
    run.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder for a data folder that lives and dies: in memory, unless `TMPDIR` says where.
pub(crate) fn folder() -> tempfile::TempDir {
    let in_memory = env::var_os("TMPDIR").is_none().then(|| tempfile::tempdir_in(IN_MEMORY).ok()).flatten();
    in_memory.unwrap_or_else(|| tempfile::tempdir().unwrap())
}
