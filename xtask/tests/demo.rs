//! The demo, whole: the lab's real servers, the daemon as an ordinary user, a value of every job, and nothing left behind.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// How long the demo may be silent, and how long `status` may take to tell of an outage.
const PATIENCE: Duration = Duration::from_secs(90);
/// What stands above the commands that the demo offers.
const TRY_NEXT: &str = "try next, in another terminal:";

/// The demo on what `cargo xtask test` has built. It needs root for Postfix, as the demo itself does.
fn demo(words: &[&str], lab: &Path) -> Command {
    let built = Path::new(env!("CARGO_BIN_EXE_xtask")).with_file_name("watchpost-worker");
    assert!(built.is_file(), "{} is not built: run `cargo build --workspace`, as `cargo xtask test` does", built.display());
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(words).args(["--built", "debug", "--port-base", "free", "--listen", &listen]).arg("--dir").arg(lab);
    command
}

/// A folder that servers of other users can pass.
fn folder() -> tempfile::TempDir {
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    tempfile::Builder::new().prefix("demo").permissions(open).tempdir().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Whether every server of the lab can be had.
fn is_whole() -> bool {
    std::env::var_os("WATCHPOST_TESTS_WITHOUT").is_none()
}

/// The demo's own folder, where it says that its commands are typed.
fn root(text: &str) -> &str {
    let mut lines = text.lines().skip_while(|line| *line != TRY_NEXT);
    let folder = lines.nth(1).and_then(|line| line.strip_prefix("  cd "));
    folder.unwrap_or_else(|| panic!("no folder to try commands in: {text}"))
}

fn nothing_is_left(root: &str) {
    assert!(!Path::new(root).exists(), "{root} was left behind");
    let left = Command::new("pgrep").args(["-f", root]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "", "processes left");
}

#[test]
fn every_job_of_the_three_agents_gets_a_value_and_nothing_is_left() {
    let folder = folder();
    let output = demo(&["demo", "--once"], &folder.path().join("lab")).output().unwrap();
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    if is_whole() {
        assert!(text.contains("watchpost measures 15 jobs, each has a value"), "{text}");
        assert!(text.contains("/schedules/demo.toml (8 smtp, 1 roundtrip, 3 pop3, 3 dns)\n"), "{text}");
    }
    nothing_is_left(root(&text));
}

#[test]
fn every_command_that_the_demo_offers_does_what_it_says() {
    let folder = folder();
    let mut running = Running::start(demo(&["demo"], &folder.path().join("lab")));
    let said = running.said_until("Ctrl-C stops it");
    let offered: Vec<&str> = said.lines().skip_while(|line| *line != TRY_NEXT).filter(|line| line.starts_with("  ")).collect();
    let in_folder = |command: &str| format!("{} && {}", offered[0].trim(), command.trim());
    let status = in_folder(offered[1]);
    for command in &offered[1..4] {
        let output = sh(&in_folder(command));
        assert!(output.status.success(), "{command}: {}", text(&output));
    }
    if is_whole() {
        assert_eq!(offered.len(), 6, "{said}");
        assert!(text(&sh(&status)).contains("15 jobs: 15 ok, 0 failing, 0 unknown"), "{}", text(&sh(&status)));
        lab(offered[4], "postfix is stalled");
        eventually(&status, "timeout: no end within");
        lab(offered[5], "postfix goes on");
        eventually(&status, "15 jobs: 15 ok, 0 failing, 0 unknown");
    }
    running.interrupt();
    nothing_is_left(root(&said));
}

/// Runs what the demo offers as a person would type it; gives what it said.
fn sh(command: &str) -> Output {
    Command::new("sh").args(["-c", command.trim()]).output().unwrap()
}

/// Types a command on the lab, with the program that is tested in the place of one that cargo would build anew.
fn lab(command: &str, answer: &str) {
    let output = sh(&command.replace("cargo xtask", env!("CARGO_BIN_EXE_xtask")));
    assert!(output.status.success() && text(&output).contains(answer), "{command}: {}", text(&output));
}

fn eventually(status: &str, tells: &str) {
    let begun = Instant::now();
    loop {
        let said = text(&sh(status));
        if said.contains(tells) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "`{tells}` is not in {said}");
        thread::sleep(Duration::from_millis(200));
    }
}

/// A demo that runs until it is interrupted; killed when dropped before.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        // Reads to the end, whoever listens: the demo must never wait for a reader.
        thread::spawn(move || stdout.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        Self { child, lines }
    }

    fn said_until(&mut self, last: &str) -> String {
        let mut said = String::new();
        while !said.contains(last) {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{error}; the demo said: {said}"));
            said.extend([&line, "\n"]);
        }
        said
    }

    /// Ends it as Ctrl-C does.
    fn interrupt(mut self) {
        assert!(self.ends(), "the demo does not end");
        assert!(self.child.wait().unwrap().success());
    }

    fn ends(&mut self) -> bool {
        sh(&format!("kill -INT {}", self.child.id()));
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.child.try_wait().unwrap().is_some() {
                return true;
            }
            thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed before its end: asked, the demo takes the daemon and the lab with it; killed, it cannot.
        if self.child.try_wait().unwrap().is_none() && !self.ends() {
            let _ended = self.child.kill();
            let _ended = self.child.wait();
        }
    }
}
