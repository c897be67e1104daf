//! Long steps that talk: output goes to a log, one line shows what is being done and for how long.

use crate::error::{Error, Outcome, doing};
use crate::process::{self, LOOK_AGAIN};
use crate::signal::{self, Signal};
use std::fs::{self, File, OpenOptions};
use std::io::{IsTerminal, Write, stderr};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often a log without a terminal gets a sign of life.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);
/// How long a program may take to end when asked to; apt may have to finish a package.
const END_WITHIN: Duration = Duration::from_secs(60);
/// How much of a log explains a failure.
const TAIL_LINES: usize = 20;
const SPINNER: [char; 4] = ['|', '/', '-', '\\'];

/// Runs a program to its end with its output in `log`, showing `stage` meanwhile.
///
/// Errors: [`Error::Program`] with the log's tail if it fails or takes longer than `deadline`.
pub(crate) fn run(stage: &str, command: &mut Command, log: &Path, deadline: Duration) -> Outcome {
    let program = command.get_program().to_string_lossy().into_owned();
    let begun = Instant::now();
    let sink = append(log)?;
    let twin = sink.try_clone().map_err(doing("share the log"))?;
    let mut child = process::spawn(command.stdin(Stdio::null()).stdout(sink).stderr(twin))?;
    let status = watch(stage, &mut child, deadline)?;
    let why = match status {
        Some(status) if status.success() => {
            say(stage, &format!("done in {:.1} s", begun.elapsed().as_secs_f64()));
            return Ok(());
        }
        Some(status) => status.to_string(),
        None => format!("not done after {} s", deadline.as_secs()),
    };
    say(stage, "failed");
    Err(Error::Program { program, why: format!("{why}; the end of {}:\n{}", log.display(), tail(log)) })
}

/// Gives the last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// Opens a log for appending.
pub(crate) fn append(log: &Path) -> Outcome<File> {
    let opened = OpenOptions::new().create(true).append(true).open(log);
    opened.map_err(doing(format!("open the log {}", log.display())))
}

/// Waits for the child; `None` says that the deadline ended it.
fn watch(stage: &str, child: &mut Child, deadline: Duration) -> Outcome<Option<ExitStatus>> {
    let begun = Instant::now();
    let mut ticker = Ticker::new(stage);
    loop {
        if let Some(status) = child.try_wait().map_err(doing("wait for a program"))? {
            return if signal::caught() { Err(Error::Interrupted) } else { Ok(Some(status)) };
        }
        if signal::caught() || begun.elapsed() > deadline {
            signal::send(child.id(), Signal::Terminate);
            if !process::wait_until(END_WITHIN, || !matches!(child.try_wait(), Ok(None))) {
                signal::send(child.id(), Signal::Kill);
            }
            return if signal::caught() { Err(Error::Interrupted) } else { Ok(None) };
        }
        ticker.tick(begun.elapsed());
        sleep(LOOK_AGAIN);
    }
}

/// Says how a stage ended.
fn say(stage: &str, what: &str) {
    let clear = if stderr().is_terminal() { "\r\x1b[K" } else { "" };
    eprintln!("{clear}{stage}: {what}");
}

/// The line that moves.
struct Ticker<'a> {
    stage: &'a str,
    terminal: bool,
    turns: usize,
    said: Duration,
}

impl<'a> Ticker<'a> {
    fn new(stage: &'a str) -> Self {
        let terminal = stderr().is_terminal();
        if !terminal {
            eprintln!("{stage} …");
        }
        Self { stage, terminal, turns: 0, said: Duration::ZERO }
    }

    fn tick(&mut self, elapsed: Duration) {
        if self.terminal {
            let turn = SPINNER[self.turns % SPINNER.len()];
            eprint!("\r{turn} {} … {} s ", self.stage, elapsed.as_secs());
            stderr().flush().ok();
            self.turns += 1;
        } else if elapsed - self.said >= SIGN_OF_LIFE {
            eprintln!("{} … {} s", self.stage, elapsed.as_secs());
            self.said = elapsed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_sh(script: &str, deadline: Duration) -> Outcome {
        let log = tempfile::NamedTempFile::new().unwrap();
        run("a stage", Command::new("sh").args(["-c", script]), log.path(), deadline)
    }

    #[test]
    fn a_failure_shows_the_end_of_the_log() {
        let error = run_sh("echo first; echo the reason >&2; exit 3", Duration::from_secs(5));
        let text = error.unwrap_err().to_string();
        assert!(text.contains("exit status: 3") && text.contains("the reason"), "{text}");
    }

    #[test]
    fn a_program_past_its_deadline_is_ended_and_named() {
        let error = run_sh("exec sleep 300", Duration::from_millis(100)).unwrap_err();
        assert!(error.to_string().starts_with("sh: not done after"), "{error}");
    }
}
