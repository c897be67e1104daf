//! How long it takes from `new-agent` to the first value of the new agent in the store of a daemon that runs.

use super::daemon::{Running, ask, free};
use crate::error::{Error, Outcome, doing};
use crate::{place, process};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Agents that are made, one after the other; before them one whose build is not counted.
const AGENTS: [&str; 3] = ["alpha", "beta", "gamma"];
/// How long a daemon may take to be ready, and a first value to come, before the measurement is given up.
const WITHIN: Duration = Duration::from_secs(60);
/// How often it is asked.
const ASK_AGAIN: Duration = Duration::from_millis(50);

pub(super) fn run() -> Outcome {
    let scene = Scene::make()?;
    let begun = Instant::now();
    scene.new_agent("first")?;
    scene.build("first")?;
    println!("a first build, with all that agents depend on: {:.0} s", begun.elapsed().as_secs_f64());
    let mut running = scene.daemon()?;
    let mut times = Vec::new();
    for agent in AGENTS {
        times.push(scene.newcomer(agent)?);
        if running.0.try_wait().map_err(doing("look after the daemon"))?.is_some() {
            return Err(Error::Refused("the daemon has ended".into()));
        }
    }
    times.sort_by_key(|laps| laps.iter().sum::<Duration>());
    let [written, built, tested, taken, measured] = times[AGENTS.len() / 2];
    let whole: Duration = times[AGENTS.len() / 2].iter().sum();
    let seconds = |time: Duration| time.as_secs_f64();
    println!(
        "from new-agent to the first value in the store, median of {}: {:.1} s (written {:.2}, built {:.1}, tested by test-agent {:.1}, \
         taken by the running daemon {:.2}, first value {:.1})",
        AGENTS.len(),
        seconds(whole),
        seconds(written),
        seconds(built),
        seconds(tested),
        seconds(taken),
        seconds(measured),
    );
    Ok(())
}

/// A folder with a configuration; gone when dropped. What is built stays in the target folder, as it does for whoever builds twice.
struct Scene {
    root: PathBuf,
    release: PathBuf,
    target: PathBuf,
    listen: SocketAddr,
}

impl Drop for Scene {
    fn drop(&mut self) {
        // Left behind in the temporary folder at worst.
        let _ = fs::remove_dir_all(&self.root);
    }
}

impl Scene {
    fn make() -> Outcome<Self> {
        let release = place::built("release")?;
        let target = release.with_file_name("newcomer");
        let root = std::env::temp_dir().join(format!("watchpost-newcomer-{}", std::process::id()));
        fs::create_dir_all(root.join("plugins")).map_err(doing(format!("make {}", root.display())))?;
        let scene = Self { root, release, target, listen: free()? };
        scene.configure(&[])?;
        Ok(scene)
    }

    /// Writes the configuration, with the jobs of these agents.
    fn configure(&self, agents: &[&str]) -> Outcome {
        let samples: String = agents.iter().map(|agent| format!(", \"{agent}/sample.toml\"")).collect();
        let main = format!("plugins = [\"plugins\"]\nschedules = [\"jobs.toml\"{samples}]\nlisten = \"{}\"\n", self.listen);
        fs::write(self.root.join("jobs.toml"), "").map_err(doing("write jobs.toml"))?;
        fs::write(self.root.join("watchpost.toml"), main).map_err(doing("write watchpost.toml"))
    }

    fn daemon(&self) -> Outcome<Running> {
        let mut command = self.watchpost(&["run", "--log-level", "error"]);
        let running = Running(process::spawn(command.stdin(Stdio::null()).stdout(Stdio::null()))?);
        self.wait("the daemon to be ready", || ask(self.listen, "/-/ready").is_ok_and(|answer| answer.starts_with("HTTP/1.0 200")))?;
        Ok(running)
    }

    fn watchpost(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.release.join("watchpost"));
        command.args(words).current_dir(&self.root);
        command
    }

    fn new_agent(&self, agent: &str) -> Outcome {
        self.done(&mut self.watchpost(&["new-agent", agent]))
    }

    fn build(&self, agent: &str) -> Outcome {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--quiet", "--release"]).current_dir(self.root.join(agent)).env("CARGO_TARGET_DIR", &self.target);
        self.done(&mut cargo)
    }

    /// Makes an agent, and gives how long each step took.
    fn newcomer(&self, agent: &str) -> Outcome<[Duration; 5]> {
        let mut laps = [Duration::ZERO; 5];
        let mut last = Instant::now();
        let mut lap = |at: usize| {
            laps[at] = last.elapsed();
            last = Instant::now();
        };
        self.new_agent(agent)?;
        lap(0);
        self.build(agent)?;
        lap(1);
        let library = self.target.join("release").join(format!("lib{agent}.so"));
        let sample = self.root.join(agent).join("sample.toml");
        let words = ["test-agent", &library.display().to_string(), "--jobs", &sample.display().to_string()];
        self.done(&mut self.watchpost(&words))?;
        lap(2);
        install(&library, &self.root.join("plugins"))?;
        self.configure(&[agent])?;
        self.done(&mut self.watchpost(&["reload"]))?;
        lap(3);
        let series = format!("entries{{job=\"{agent}\"}}");
        self.wait("the first value", || self.has_value(&series))?;
        lap(4);
        Ok(laps)
    }

    /// Whether the store has a value of a series.
    fn has_value(&self, series: &str) -> bool {
        let said = self.watchpost(&["fetch", series, "--from", "now-1m"]).output();
        // The last field of a row is the value; it is empty where nobody measured.
        said.is_ok_and(|said| {
            String::from_utf8_lossy(&said.stdout).lines().skip(1).any(|row| row.ends_with(|end: char| end.is_ascii_digit()))
        })
    }

    fn wait(&self, what: &str, until: impl Fn() -> bool) -> Outcome {
        let begun = Instant::now();
        while !until() {
            if begun.elapsed() > WITHIN {
                return Err(Error::Refused(format!("waited {} s for {what}", WITHIN.as_secs())));
            }
            sleep(ASK_AGAIN);
        }
        Ok(())
    }

    fn done(&self, command: &mut Command) -> Outcome {
        let program = format!("{command:?}");
        let output = command.stdin(Stdio::null()).output().map_err(doing(format!("run {program}")))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(Error::Program { program, why: String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned() }),
        }
    }
}

/// Puts a library into a folder at once, as whole as it was.
fn install(library: &Path, folder: &Path) -> Outcome {
    let name = library.file_name().unwrap_or_default();
    let (new, place) = (folder.join(".new"), folder.join(name));
    fs::copy(library, &new).and_then(|_| fs::rename(&new, &place)).map_err(doing(format!("install {}", place.display())))
}
