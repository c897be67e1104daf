//! How late 10,000 no-op jobs start while one core is kept busy, whether a month of late wake-ups adds up, and what the replacement of
//! one library does to the jobs of another.

use super::cost::{self, Folder};
use super::daemon::{Daemon, Running};
use crate::error::{Error, Outcome, doing};
use crate::{build, place, process};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

/// Jobs of the daemon whose lateness is measured, and seconds between their runs.
const MANY: (usize, i64) = (10_000, 10);
/// Jobs beside which a library is replaced.
const BESIDE: (usize, i64) = (1_000, 2);
/// Jobs of the library that is replaced.
const REPLACED: usize = 20;
/// How long the daemon runs before it is looked at: its series files are made then.
const WARM: Duration = Duration::from_secs(70);
/// How long it is looked at.
const WINDOW: Duration = Duration::from_secs(60);
/// How long before, during and after a replacement.
const STRETCH: Duration = Duration::from_secs(10);
/// How long the reading of a journal may take.
const READ_WITHIN: Duration = Duration::from_secs(60);

pub(super) fn run() -> Outcome {
    build::examples(&["lateness", "tame"])?;
    let examples = place::built("release")?.join("examples");
    let scene = Scene { program: examples.join("lateness"), tame: examples.join("libtame.so") };
    println!("{:<46} {:>8} {:>9} {:>9} {:>9} {:>8} {:>6}", "lateness in ms", "runs", "p50", "p99", "most", "missing", "twice");
    scene.many()?;
    scene.replacement()?;
    let folder = Folder::make("month")?;
    let month = cost::of(Command::new(&scene.program).arg("month"), &folder.0, READ_WITHIN)?;
    let (runs, drift) = month.said.trim().split_once(' ').ok_or_else(|| Error::Refused("no month has passed".into()))?;
    println!("a simulated month, every wake-up late by up to 20 ms: {runs} runs, {drift} s of drift");
    Ok(())
}

struct Scene {
    program: PathBuf,
    tame: PathBuf,
}

impl Scene {
    fn many(&self) -> Outcome {
        let folder = self.folder("schedule", &[])?;
        let daemon = Daemon::start_with(&folder.0, &folder.0.join("plugins"), &jobs("no-op", "tame", MANY, "{}"))?;
        let mut busy = Command::new("sh");
        let busy = Running(process::spawn(busy.args(["-c", "while :; do :; done"]).stdin(Stdio::null()))?);
        sleep(WARM);
        let (from, until) = (now()?, now()? + WINDOW.as_secs() as i64);
        sleep(WINDOW + Duration::from_secs(2));
        drop(busy);
        self.tell(&format!("{} jobs at {} s, one core kept busy", MANY.0, MANY.1), &daemon, "no-op", MANY.1, from, until)
    }

    fn replacement(&self) -> Outcome {
        let smtp = place::built("release")?.join("libwatchpost_smtp.so");
        let folder = self.folder("replacement", &[&smtp])?;
        let plugins = folder.0.join("plugins");
        // Nobody listens on port 9.
        let replaced = jobs("replaced", "smtp", (REPLACED, BESIDE.1), "{ host = \"127.0.0.1\", port = 9 }");
        let daemon = Daemon::start_with(&folder.0, &plugins, &(jobs("no-op", "tame", BESIDE, "{}") + &replaced))?;
        sleep(STRETCH * 2);
        let begun = now()?;
        let next = plugins.join("next");
        // Another file with the same code.
        let bytes = fs::read(&smtp).map_err(doing("read a library"))?;
        fs::write(&next, [bytes, b"\n".to_vec()].concat()).map_err(doing("write a library"))?;
        fs::rename(&next, plugins.join("libwatchpost_smtp.so")).map_err(doing("replace a library"))?;
        sleep(STRETCH * 2 + Duration::from_secs(3));
        let stretch = STRETCH.as_secs() as i64;
        for (name, from) in [("before", begun - stretch), ("during", begun), ("after", begun + stretch)] {
            let name = format!("{} jobs, {name} a library is replaced", BESIDE.0);
            self.tell(&name, &daemon, "no-op", BESIDE.1, from, from + stretch)?;
        }
        self.tell(&format!("its own {REPLACED} jobs meanwhile"), &daemon, "replaced", BESIDE.1, begun - stretch, begun + 2 * stretch)
    }

    /// A folder with a folder of plugins in it.
    fn folder(&self, name: &str, libraries: &[&Path]) -> Outcome<Folder> {
        let folder = Folder::make(name)?;
        let plugins = folder.0.join("plugins");
        fs::create_dir(&plugins).map_err(doing("make a folder for libraries"))?;
        for library in [&[self.tame.as_path()], libraries].concat() {
            let name = library.file_name().ok_or_else(|| Error::Refused("a library has no name".into()))?;
            fs::copy(library, plugins.join(name)).map_err(doing(format!("copy {}", library.display())))?;
        }
        Ok(folder)
    }

    fn tell(&self, name: &str, daemon: &Daemon, prefix: &str, every: i64, from: i64, until: i64) -> Outcome {
        let folder = Folder::make("lateness")?;
        let mut command = Command::new(&self.program);
        command.arg("journal").arg(daemon.data()).args([prefix, &every.to_string(), &from.to_string(), &until.to_string()]);
        let cost = cost::of(&mut command, &folder.0, READ_WITHIN)?;
        let figures: Vec<&str> = cost.said.split_whitespace().collect();
        let [runs, p50, p99, most, missing, twice] = figures[..] else {
            return Err(Error::Program { program: "lateness".into(), why: format!("{}: {}", cost.status, cost.said) });
        };
        println!("{name:<46} {runs:>8} {p50:>9} {p99:>9} {most:>9} {missing:>8} {twice:>6}");
        Ok(())
    }
}

fn jobs(prefix: &str, agent: &str, (count, every): (usize, i64), config: &str) -> String {
    let mut text = String::new();
    for number in 0..count {
        let _ = writeln!(text, "[[job]]\nname = \"{prefix}-{number}\"\nagent = \"{agent}\"\nevery = \"{every}s\"\nconfig = {config}");
    }
    text
}

/// Seconds since 1970.
fn now() -> Outcome<i64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map(|since| since.as_secs() as i64).map_err(|_| Error::Refused("the clock shows a year before 1970".into()))
}
