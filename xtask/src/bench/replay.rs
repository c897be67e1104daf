//! How long it takes to hold a rule to a year of a hundred series.

use super::cost::{self, Folder};
use crate::error::{Error, Outcome, doing};
use crate::{build, place, process};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// Jobs, with one series each that the rule looks at.
const JOBS: usize = 100;
/// Replays measured.
const TIMES: usize = 3;
const WITHIN: Duration = Duration::from_secs(120);

pub(super) fn run() -> Outcome {
    build::examples(&["past"])?;
    let release = place::built("release")?;
    let folder = Folder::make("replay")?;
    let mut jobs = String::from("[[rule]]\nname = \"slow\"\nseries = 'banner_time'\nwarning = \"> 500ms\"\nraise_after = 3\n");
    jobs += "[[rule]]\nname = \"unusual\"\nseries = 'banner_time'\nwarning = \"> 8 deviations\"\nraise_after = 3\n";
    for job in 0..JOBS {
        jobs += &format!("[[job]]\nname = \"job-{job}\"\nagent = \"smtp\"\nevery = \"10m\"\nconfig = {{ host = \"127.0.0.1\" }}\n");
    }
    let config = folder.0.join("watchpost.toml");
    fs::write(folder.0.join("jobs.toml"), jobs).map_err(doing("write jobs.toml"))?;
    fs::write(&config, "plugins = []\nschedules = [\"jobs.toml\"]\n").map_err(doing("write watchpost.toml"))?;
    let mut past = Command::new(release.join("examples/past"));
    let status = process::attend(past.arg(&folder.0).arg(JOBS.to_string()))?;
    if !status.success() {
        return Err(Error::Program { program: "past".into(), why: status.to_string() });
    }
    for rule in ["slow", "unusual"] {
        let (mut took, mut cpu, mut last) = (Vec::new(), Vec::new(), String::new());
        for _ in 0..TIMES {
            let begun = Instant::now();
            let mut replay = Command::new(release.join("watchpost"));
            let replay = replay.args(["rules", "replay", rule, "--from", "now-1y", "--config"]).arg(&config);
            let cost = cost::of(replay, &folder.0, WITHIN)?;
            took.push(begun.elapsed().as_secs_f64());
            cpu.push(cost.cpu);
            if !cost.status.success() {
                return Err(Error::Program { program: format!("rules replay {rule}"), why: cost.said });
            }
            last = cost.said;
        }
        println!("{rule}: a year of {JOBS} series in {:.2} s, {:.2} s of CPU, medians of {TIMES}", cost::median(&took), cost::median(&cpu));
        last.lines().rev().take(3).collect::<Vec<_>>().iter().rev().for_each(|line| println!("  {line}"));
    }
    Ok(())
}
