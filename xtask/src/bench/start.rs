//! How fast a daemon with 2,000 jobs is ready, whether their first runs come in a herd, and what it costs at rest.

use crate::error::{Error, Outcome, doing};
use crate::place;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Jobs of the measured daemon, each every minute.
const JOBS: usize = 2_000;
/// Starts measured.
const STARTS: usize = 5;
/// How long a start may take before the measurement is given up.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How often it is asked.
const ASK_AGAIN: Duration = Duration::from_millis(2);
/// How long the daemon rests before its memory is read.
const REST: Duration = Duration::from_secs(2);

/// A daemon that is ended when dropped.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) fn run() -> Outcome {
    let house = House::make()?;
    let mut times = Vec::new();
    let mut cost = String::new();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let daemon = house.start()?;
        house.wait_ready(&daemon)?;
        times.push(begun.elapsed());
        sleep(REST);
        cost = memory(daemon.0.id());
    }
    times.sort();
    let spread = times.iter().map(|time| format!("{:.0}", time.as_secs_f64() * 1e3)).collect::<Vec<_>>().join(" ");
    println!("start to ready, {JOBS} jobs: median {:.0} ms of {STARTS} ({spread})", times[STARTS / 2].as_secs_f64() * 1e3);
    println!("{}", house.herd()?);
    print!("{cost}");
    Ok(())
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
        let release = place::built("release")?;
        let root = std::env::temp_dir().join(format!("watchpost-bench-{}", std::process::id()));
        fs::create_dir(&root).map_err(doing(format!("make {}", root.display())))?;
        let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let listen = free.map_err(doing("find a free port"))?;
        let house = Self { root, listen, program: release.join("watchpost") };
        let plugins = release.display();
        house.write("watchpost.toml", &format!("plugins = [\"{plugins}\"]\nschedules = [\"jobs.toml\"]\nlisten = \"{listen}\"\n"))?;
        let mut jobs = String::new();
        for number in 0..JOBS {
            // Nobody listens on port 9: what a job costs beside its session is what is looked at.
            let _ = writeln!(
                jobs,
                "[[job]]\nname = \"job-{number}\"\nagent = \"smtp\"\nevery = \"60s\"\nconfig = {{ host = \"127.0.0.1\", port = 9 }}\n"
            );
        }
        house.write("jobs.toml", &jobs)?;
        Ok(house)
    }

    fn write(&self, name: &str, text: &str) -> Outcome {
        fs::write(self.root.join(name), text).map_err(doing(format!("write {name}")))
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).arg("--config").arg(self.root.join("watchpost.toml"));
        command
    }

    /// Starts a daemon on an empty data folder.
    fn start(&self) -> Outcome<Daemon> {
        let data = self.root.join("data");
        if data.exists() {
            fs::remove_dir_all(&data).map_err(doing("empty the data folder"))?;
        }
        let mut command = self.command(&["run", "--log-level", "error"]);
        command.stdout(Stdio::null()).spawn().map(Daemon).map_err(doing("start the daemon"))
    }

    fn wait_ready(&self, daemon: &Daemon) -> Outcome {
        let begun = Instant::now();
        while !self.is_ready() {
            if begun.elapsed() > READY_WITHIN || !Path::new(&format!("/proc/{}", daemon.0.id())).exists() {
                return Err(Error::Refused("the daemon did not become ready".into()));
            }
            sleep(ASK_AGAIN);
        }
        Ok(())
    }

    fn is_ready(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.listen) else { return false };
        let mut answer = String::new();
        let question = format!("GET /-/ready HTTP/1.0\r\nHost: {}\r\n\r\n", self.listen);
        stream.write_all(question.as_bytes()).and_then(|()| stream.read_to_string(&mut answer)).is_ok() && answer.contains(" 200 ")
    }

    /// How many of the first runs fall into the same second.
    fn herd(&self) -> Outcome<String> {
        let output = self.command(&["plan", "--json", "-n", &JOBS.to_string()]).output().map_err(doing("ask for the plan"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut seconds: BTreeMap<i64, usize> = BTreeMap::new();
        let due = |line: &str| line.trim().strip_prefix("\"due\": ")?.trim_end_matches(',').parse().ok();
        for second in text.lines().filter_map(due) {
            *seconds.entry(second).or_default() += 1;
        }
        let (all, most) = (seconds.values().sum::<usize>(), seconds.values().max().copied().unwrap_or(0));
        Ok(format!(
            "first runs: {all} within {} s, at most {most} in one second, {:.0} on average",
            seconds.len(),
            all as f64 / seconds.len().max(1) as f64
        ))
    }
}

/// Memory of the daemon and its worker.
fn memory(daemon: u32) -> String {
    let mut text = String::new();
    for (name, pid) in [("host", Some(daemon)), ("worker", child_of(daemon))] {
        let Some(pid) = pid else { continue };
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let figure = |key: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
                .map_or("?".into(), |kib| format!("{:.1} MiB", kib as f64 / 1024.0))
        };
        let _ = writeln!(text, "memory at rest, {name}: {} resident, {} its own share", figure("Rss:"), figure("Pss:"));
    }
    text
}

fn child_of(pid: u32) -> Option<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let children = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    children.flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).find_map(|child| child.parse().ok())
}
