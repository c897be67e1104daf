//! What a program costs in CPU time, its children included, and how the figures of several runs are told.

use crate::error::{Error, Outcome, doing};
use crate::{process, signal};
use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Ticks of a second in `/proc/PID/stat`. Source: time(7), "The Software Clock, HZ, and Jiffies": USER_HZ is 100 everywhere.
const TICKS: f64 = 100.0;
/// How often it is asked whether a program has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What a program did and cost.
pub(super) struct Cost {
    /// Seconds of CPU in user and kernel, of the program and of its children that it waited for.
    pub(super) cpu: f64,
    /// What it wrote on standard output.
    pub(super) said: String,
    pub(super) status: ExitStatus,
}

/// Runs a program to its end; what it says goes by a file in that folder, so that nobody has to read while it runs.
///
/// Errors: it took longer than `within`, or we were asked to end; it is killed then.
pub(super) fn of(command: &mut Command, folder: &Path, within: Duration) -> Outcome<Cost> {
    let program = command.get_program().to_string_lossy().into_owned();
    let said = folder.join("said");
    let output = File::create(&said).map_err(doing("make a file for what a program says"))?;
    command.stdin(Stdio::null()).stdout(output).stderr(Stdio::null());
    let mut child = process::spawn(command)?;
    let begun = Instant::now();
    // A child that has ended and was not waited for still has its figures.
    let cpu = loop {
        let (state, cpu) = stat(child.id()).ok_or_else(|| Error::Program { program: program.clone(), why: "is gone".into() })?;
        if state == 'Z' {
            break cpu;
        }
        if begun.elapsed() > within || signal::caught() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
            return Err(Error::Program { program, why: format!("not done after {} s", begun.elapsed().as_secs()) });
        }
        sleep(LOOK_AGAIN);
    };
    let status = child.wait().map_err(doing(format!("wait for {program}")))?;
    let said = fs::read(&said).map_err(doing("read what a program said"))?;
    Ok(Cost { cpu, said: String::from_utf8_lossy(&said).into_owned(), status })
}

/// Seconds of CPU that a running process has used, its children that it waited for included.
pub(super) fn used_by(pid: u32) -> Option<f64> {
    stat(pid).map(|(_, cpu)| cpu)
}

/// Processes that a process started, and those that they did.
pub(super) fn below(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<u32> =
        children.flat_map(|line| line.split_whitespace().filter_map(|child| child.parse().ok()).collect::<Vec<_>>()).collect();
    let below: Vec<u32> = children.iter().flat_map(|&child| below(child)).collect();
    [children, below].concat()
}

/// Source: proc(5), `/proc/PID/stat` fields 3 and 14 to 17.
fn stat(pid: u32) -> Option<(char, f64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.get(text.rfind(')')? + 1..)?.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let ticks: Option<f64> = fields.skip(10).take(4).map(|field| field.parse::<f64>().ok()).sum();
    Some((state, ticks? / TICKS))
}

/// The one in the middle.
pub(super) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A folder that only we can enter, gone when dropped.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn make(name: &str) -> Outcome<Self> {
        let path = std::env::temp_dir().join(format!("watchpost-bench-{name}-{}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(doing(format!("make {}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind in the temporary folder at worst.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_a_program_has_that_of_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; echo done; exit 3"]);
        let cost = of(&mut command, folder.path(), Duration::from_secs(60)).unwrap();
        assert!(cost.cpu > 0.02, "{}", cost.cpu);
        assert_eq!((cost.said.as_str(), cost.status.code()), ("done\n", Some(3)));
    }

    #[test]
    fn those_below_a_process_are_found_however_deep() {
        let mut child = Command::new("sh").args(["-c", "sh -c 'sleep 60; true'; true"]).spawn().unwrap();
        let deep = process::wait_until(Duration::from_secs(10), || below(child.id()).len() == 2);
        let found = below(child.id());
        for pid in found.iter().rev() {
            signal::send(*pid, signal::Signal::Kill);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(deep && below(std::process::id()).iter().all(|pid| *pid != std::process::id()));
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let error = of(Command::new("sleep").arg("60"), folder.path(), Duration::from_millis(50)).err();
        assert!(error.is_some_and(|error| error.to_string().contains("sleep")));
    }

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert!(median(&[]).is_nan());
    }
}
