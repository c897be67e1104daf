//! Every fault of the zoo beside a hundred jobs of another library: what it is taken for, how soon, and what that costs the others.
//!
//! Faults of a run come from beasts that are let loose one by one; `files` has those of a library that is not to be loaded, and of an agent
//! that is not to be made.

mod files;

use super::daemon::{Running, ask, free};
use crate::error::{Error, Outcome, doing};
use crate::{build, place, process};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Jobs of the other library, each every second.
const WITNESSES: usize = 100;
/// How long they are watched before anything happens, and after each beast at least.
const QUIET: Duration = Duration::from_secs(20);
const AFTER: Duration = Duration::from_secs(3);
/// How often they are looked at: each of their runs is seen.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How long a daemon may take to be ready, and a beast to be seen.
const WITHIN: Duration = Duration::from_secs(60);
/// The beasts that misbehave in a run; how long their runs may take, seconds.
const BEASTS: [(&str, u32); 22] = [
    ("panic", 9),
    ("panic-in-drop", 1),
    ("abort", 9),
    ("exit0", 9),
    ("exit1", 9),
    ("segfault", 9),
    ("overflow", 9),
    ("block", 9),
    ("spin", 9),
    ("pend", 1),
    ("ignore-cancel", 1),
    ("hoard", 9),
    ("leak", 9),
    ("mute", 9),
    ("many-metrics", 9),
    ("many-labels", 9),
    ("nan", 9),
    ("undeclared", 9),
    ("long-lines", 9),
    ("flood", 9),
    ("half-frame", 9),
    ("half-frame-and-pend", 1),
];

/// Builds the daemon, its worker, and the agents.
pub(super) fn build() -> Outcome {
    build::only(&["watchpost"])?;
    build::examples(&["tame", "zoo", "major", "bench_aborts", "bench_changed"])
}

pub(super) fn run() -> Outcome {
    let house = House::make()?;
    let _daemon = house.start()?;
    let mut watch = Watch::default();
    let begun = Instant::now();
    while begun.elapsed() < QUIET {
        watch.look(&house.jobs()?);
        sleep(LOOK_EVERY);
    }
    let mut rows = vec![Row { fault: "(none)".into(), ..Row::default() }];
    rows[0].seen = watch.phase();
    for (beast, _) in BEASTS {
        rows.push(house.let_loose(beast, &mut watch)?);
    }
    rows.push(house.panics_in_new(&mut watch)?);
    for unfit in &files::UNFIT {
        rows.push(house.is_given(unfit, &mut watch)?);
    }
    watch.print(&rows);
    Ok(())
}

/// What one fault came to.
#[derive(Default)]
struct Row {
    fault: String,
    taken_for: String,
    after: Duration,
    seen: Phase,
}

/// What was seen of the witnesses meanwhile.
#[derive(Default)]
struct Phase {
    /// When their runs began, by witness, seconds since 1970.
    starts: Vec<(usize, f64)>,
    /// Runs that were due and did not end well, or not at all.
    lost: f64,
}

/// A witness as it was seen last.
#[derive(Clone, Copy, Default)]
struct Seen {
    last_run: f64,
    runs: f64,
    ok: f64,
}

/// Looks at the witnesses.
#[derive(Default)]
struct Watch {
    last: BTreeMap<usize, Seen>,
    /// As they were when the phase began.
    before: BTreeMap<usize, Seen>,
    starts: Vec<(usize, f64)>,
}

impl Watch {
    fn look(&mut self, jobs: &BTreeMap<usize, Seen>) {
        for (&witness, &seen) in jobs.iter().filter(|(_, seen)| seen.runs > 0.0) {
            self.before.entry(witness).or_insert(seen);
            if self.last.insert(witness, seen).is_none_or(|last| last.last_run < seen.last_run) {
                self.starts.push((witness, seen.last_run));
            }
        }
    }

    /// Ends a phase.
    fn phase(&mut self) -> Phase {
        // A run is due every second: as many as lie between the first and the last that were seen have to be there, and well.
        let lost = self.last.iter().filter_map(|(witness, now)| {
            let before = self.before.get(witness)?;
            Some(((now.last_run - before.last_run).round() - (now.ok - before.ok)).max(0.0))
        });
        let lost = lost.sum();
        self.before = self.last.clone();
        Phase { starts: std::mem::take(&mut self.starts), lost }
    }

    fn print(&self, rows: &[Row]) {
        // Each has its own part of the second; the earliest start that was ever seen of it is no later than that.
        let mut first: BTreeMap<usize, f64> = BTreeMap::new();
        let mut least: BTreeMap<usize, f64> = BTreeMap::new();
        for &(witness, start) in rows.iter().flat_map(|row| &row.seen.starts) {
            let base = *first.entry(witness).or_insert(start);
            let least = least.entry(witness).or_insert(0.0);
            *least = least.min(off(start, base));
        }
        let late = |phase: &Phase| {
            let mut late: Vec<f64> = phase.starts.iter().map(|(witness, start)| off(*start, first[witness]) - least[witness]).collect();
            late.sort_by(f64::total_cmp);
            late.get((late.len() * 99 / 100).min(late.len().saturating_sub(1))).copied().unwrap_or(f64::NAN) * 1e3
        };
        let quiet = rows.first().map_or(f64::NAN, |row| late(&row.seen));
        println!("{:<30} {:>9} {:>9} {:>12}  taken for", "fault", "after", "lost runs", "p99 lateness");
        for row in rows {
            let (p99, after) = (late(&row.seen), row.after.as_secs_f64());
            println!("{:<30} {:>7.3} s {:>9} {:>+9.1} ms  {}", row.fault, after, row.seen.lost, p99 - quiet, row.taken_for);
        }
        println!(
            "{WITNESSES} witnesses every second; without a fault their p99 lateness is {quiet:.1} ms, to which the others are compared"
        );
    }
}

/// How far apart two instants are within their seconds, from -0.5 to 0.5 s.
fn off(start: f64, base: f64) -> f64 {
    let apart = start - base;
    apart - apart.round()
}

/// A configuration in a folder of its own; gone when dropped.
struct House {
    root: PathBuf,
    listen: SocketAddr,
    program: PathBuf,
}

impl Drop for House {
    fn drop(&mut self) {
        // Left behind in the temporary folder at worst.
        let _ = fs::remove_dir_all(&self.root);
    }
}

impl House {
    fn make() -> Outcome<Self> {
        let (release, listen) = (place::built("release")?, free()?);
        let root = std::env::temp_dir().join(format!("watchpost-zoo-{}", std::process::id()));
        let plugins = root.join("plugins");
        fs::create_dir_all(&plugins).map_err(doing(format!("make {}", plugins.display())))?;
        for library in ["libtame.so", "libzoo.so"] {
            let from = release.join("examples").join(library);
            fs::copy(&from, plugins.join(library)).map_err(doing(format!("copy {}", from.display())))?;
        }
        let mut jobs = String::new();
        for witness in 0..WITNESSES {
            let _ = writeln!(jobs, "[[job]]\nname = \"witness-{witness}\"\nagent = \"tame\"\nevery = \"1s\"\nconfig = {{}}\n");
        }
        for (beast, timeout) in BEASTS {
            // Due on the last day of a leap year's February: run by hand.
            let due = format!("cron = \"0 0 29 2 *\"\ntimeout = \"{timeout}s\"");
            let _ = writeln!(jobs, "[[job]]\nname = \"{beast}\"\nagent = \"beast\"\n{due}\nconfig = {{ does = \"{beast}\" }}\n");
        }
        let main = format!("plugins = [\"plugins\"]\nschedules = [\"jobs.toml\"]\nlisten = \"{listen}\"\n");
        for (name, text) in [("watchpost.toml", main), ("jobs.toml", jobs)] {
            fs::write(root.join(name), text).map_err(doing(format!("write {name}")))?;
        }
        Ok(Self { root, listen, program: release.join("watchpost") })
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).arg("--config").arg(self.root.join("watchpost.toml")).stdin(Stdio::null());
        command
    }

    fn start(&self) -> Outcome<Running> {
        let daemon = Running(process::spawn(self.command(&["run", "--log-level", "off"]).stdout(Stdio::null()))?);
        let is_ready = || ask(self.listen, "/-/ready").is_ok_and(|answer| answer.contains(" 200 "));
        if !process::wait_until(WITHIN, is_ready) {
            return Err(Error::Refused("the daemon did not become ready".into()));
        }
        Ok(daemon)
    }

    /// The witnesses, as `jobs` lists them.
    fn jobs(&self) -> Outcome<BTreeMap<usize, Seen>> {
        let text = process::output(&mut self.command(&["jobs", "list", "--json"]))?;
        let (mut jobs, mut witness, mut seen) = (BTreeMap::new(), None, Seen::default());
        for (key, value) in pairs(&text) {
            let number = || value.parse().unwrap_or(0.0);
            match key {
                "name" => (witness, seen) = (value.strip_prefix("witness-").and_then(|number| number.parse().ok()), Seen::default()),
                "last_run" => seen.last_run = number(),
                "runs" => seen.runs = number(),
                "ok" => seen.ok = number(),
                "skipped" => drop(witness.map(|witness| jobs.insert(witness, seen))),
                _ => {}
            }
        }
        Ok(jobs)
    }

    /// Runs a beast until it is seen for what it is.
    fn let_loose(&self, beast: &str, watch: &mut Watch) -> Outcome<Row> {
        let mut child = Running(process::spawn(self.command(&["jobs", "run", beast]).stdout(Stdio::null()).stderr(Stdio::null()))?);
        self.watched(beast, watch, || match child.0.try_wait().map_err(doing("wait for a run"))? {
            Some(_) => self.taken_for(beast).map(Some),
            None => Ok(None),
        })
    }

    /// Watches the others until a fault that just began is seen for what it is, and a while longer.
    fn watched(&self, fault: &str, watch: &mut Watch, mut seen: impl FnMut() -> Outcome<Option<String>>) -> Outcome<Row> {
        let begun = Instant::now();
        let (mut taken, mut looked) = (None, Instant::now());
        while taken.as_ref().is_none_or(|(after, _)| begun.elapsed() < *after + AFTER) {
            if taken.is_none() {
                let after = begun.elapsed();
                taken = seen()?.map(|taken_for| (after, taken_for));
            }
            if begun.elapsed() > WITHIN {
                return Err(Error::Refused(format!("{fault} was not seen for what it is")));
            }
            if looked.elapsed() >= LOOK_EVERY {
                watch.look(&self.jobs()?);
                looked = Instant::now();
            }
            sleep(Duration::from_millis(2));
        }
        let (after, taken_for) = taken.unwrap_or_default();
        Ok(Row { fault: fault.into(), taken_for, after, seen: watch.phase() })
    }

    /// What `jobs` says of a beast.
    fn taken_for(&self, beast: &str) -> Outcome<String> {
        let text = process::output(&mut self.command(&["jobs", "list", "--json"]))?;
        let (mut is_it, mut kind, mut why) = (false, String::new(), String::new());
        for (key, value) in pairs(&text) {
            match key {
                "name" => is_it = value == beast,
                "kind" if is_it => kind = value.into(),
                "why" if is_it => why = value.into(),
                _ => {}
            }
        }
        Ok(if kind.is_empty() || kind == "null" { "ok; what it gave too much of is refused".into() } else { format!("{kind}: {why}") })
    }
}

/// Keys and values of pretty JSON, line by line, without their quotes.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.trim().strip_prefix('"')?.split_once("\": ")?;
        Some((key, value.trim_end_matches(',').trim_matches('"')))
    })
}
