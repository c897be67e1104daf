//! A lab of one real server, named, which needs no root: what starts, dies and ends, and what does not.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::net::{TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A lab of this test's own, in a folder and on ports that nobody else uses.
struct OwnLab {
    _folder: tempfile::TempDir,
    dir: PathBuf,
}

impl OwnLab {
    /// `None`, and a line that says so, where named is not installed and could not be.
    fn new() -> Option<Self> {
        let without = std::env::var("WATCHPOST_TESTS_WITHOUT").unwrap_or_default();
        if without.split(' ').any(|package| package == "bind9") {
            eprintln!("left out: there is no named");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("lab").permissions(open()).tempdir().unwrap();
        let dir = folder.path().join("lab");
        Some(Self { _folder: folder, dir })
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg("lab").args(words).arg("--dir").arg(&self.dir);
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    fn status(&self) -> (i32, String) {
        let output = self.run(&["status", "named"]);
        (output.status.code().unwrap(), text(&output))
    }

    fn up(&self) {
        let output = self.run(&["up", "named", "--port-base", "free"]);
        assert!(output.status.success(), "{}", text(&output));
    }

    fn port(&self) -> u16 {
        let facts = fs::read_to_string(self.dir.join("lab.json")).unwrap();
        let after = facts.split("\"dns\": ").nth(1).unwrap();
        after.split(',').next().unwrap().parse().unwrap()
    }

    fn pid(&self) -> String {
        let record = fs::read_to_string(self.dir.join("running/named")).unwrap();
        record.split(' ').next().unwrap().to_owned()
    }
}

impl Drop for OwnLab {
    fn drop(&mut self) {
        self.run(&["down"]);
    }
}

fn open() -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o755)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_server_is_up_until_it_is_taken_down() {
    let Some(lab) = OwnLab::new() else { return };
    assert_eq!(lab.status().0, 1);
    lab.up();
    let (code, table) = lab.status();
    assert!(code == 0 && table.contains(" up "), "{table}");
    assert!(answers(lab.port()));
    assert!(lab.run(&["down", "named"]).status.success());
    assert!(lab.status().1.contains(" down "));
    assert!(!answers(lab.port()));
}

#[test]
fn a_killed_server_is_reported_dead_and_can_be_started_again() {
    let Some(lab) = OwnLab::new() else { return };
    lab.up();
    let port = lab.port();
    Command::new("kill").args(["-9", &lab.pid()]).status().unwrap();
    eventually("the port stays open", || !answers(port));
    let (code, table) = lab.status();
    assert!(code == 1 && table.contains("died"), "{table}");
    assert!(lab.run(&["up", "named"]).status.success());
    assert!(answers(port), "the lab keeps its ports");
}

#[test]
fn a_stalled_server_keeps_its_port_and_answers_nobody_until_it_is_resumed_or_taken_down() {
    let Some(lab) = OwnLab::new() else { return };
    lab.up();
    let zone = |name: &str| asks(lab.port(), name);
    assert_eq!(zone("mail.lab.test"), Some(NOERROR));
    assert!(lab.run(&["stall", "named"]).status.success());
    let (code, table) = lab.status();
    assert!(code == 1 && table.contains(" stalled "), "{table}");
    assert!(answers(lab.port()), "the kernel still takes connections");
    assert_eq!(zone("mail.lab.test"), None);
    let resumed = lab.run(&["resume", "named"]);
    assert!(resumed.status.success() && text(&resumed).contains("named goes on"), "{}", text(&resumed));
    assert_eq!((zone("mail.lab.test"), lab.status().0), (Some(NOERROR), 0));

    assert!(lab.run(&["stall", "named"]).status.success());
    assert!(lab.run(&["up", "named"]).status.success(), "to start what is stalled lets it go on");
    assert_eq!(lab.status().0, 0);
    assert!(lab.run(&["stall", "named"]).status.success());
    assert!(lab.run(&["down"]).status.success());
    assert!(lab.run(&["stall", "named"]).status.code() == Some(1) && !answers(lab.port()));
}

/// PHP's server leaves its workers behind when it is ended alone, with the port open.
#[test]
fn a_server_of_many_processes_ends_with_all_of_them_for_root_and_for_anybody() {
    let without = std::env::var("WATCHPOST_TESTS_WITHOUT").unwrap_or_default();
    if without.split(' ').any(|package| package.starts_with("php-") || package.starts_with("roundcube-")) {
        eprintln!("left out: there is no roundcube");
        return;
    }
    let is_root = fs::metadata("/proc/self").map(|own| std::os::unix::fs::MetadataExt::uid(&own)).unwrap() == 0;
    for as_nobody in [false, true].into_iter().filter(|as_nobody| is_root || !as_nobody) {
        let folder = tempfile::Builder::new().prefix("lab").permissions(open()).tempdir().unwrap();
        let (dir, xtask) = (folder.path().join("lab"), folder.path().join("xtask"));
        fs::copy(env!("CARGO_BIN_EXE_xtask"), &xtask).unwrap();
        let mut words = vec!["--"];
        if as_nobody {
            std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
            words = vec!["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
        }
        let lab = OwnLab { _folder: folder, dir };
        let run = |command: &[&str]| {
            let output =
                Command::new("setpriv").args(&words).arg(&xtask).arg("lab").args(command).arg("--dir").arg(&lab.dir).output().unwrap();
            assert!(output.status.success(), "{}", text(&output));
        };
        run(&["up", "roundcube", "--port-base", "free"]);
        let facts = fs::read_to_string(lab.dir.join("lab.json")).unwrap();
        let port = facts.split("\"webmail\": ").nth(1).unwrap().split([',', '\n']).next().unwrap().parse().unwrap();
        let named = lab.dir.display().to_string();
        eventually("not all processes come", || answers(port) && processes_of(&named) == 5);
        run(&["down"]);
        assert!(!answers(port) && processes_of(&named) == 0, "{} processes", processes_of(&named));
    }
}

const NOBODY: u32 = 65_534;

/// Processes of PHP whose command names this lab.
fn processes_of(lab: &str) -> usize {
    let commands = fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read(entry.unwrap().path().join("cmdline")).ok());
    let commands = commands.map(|command| String::from_utf8_lossy(&command).into_owned());
    commands.filter(|command| command.contains(lab) && command.split('\0').next().is_some_and(|program| program.ends_with("/php"))).count()
}

#[test]
fn the_name_server_fails_in_each_way_that_status_promises() {
    let Some(lab) = OwnLab::new() else { return };
    lab.up();
    let table = lab.status().1;
    let place = format!("127.0.0.1:{}", lab.port());
    assert!(table.lines().any(|line| line.trim().starts_with(&place) && line.contains("broken.test fails")), "{table}");
    for (name, code) in [("nobody.lab.test", NXDOMAIN), ("mail.broken.test", SERVFAIL), ("elsewhere.example", REFUSED)] {
        assert_eq!(asks(lab.port(), name), Some(code), "{name}");
    }
}

/// Response codes. Source: RFC 1035 4.1.1.
const NOERROR: u8 = 0;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;
const REFUSED: u8 = 5;

/// Asks for the address of a name; gives the response code, `None` if nobody answers.
fn asks(port: u16, name: &str) -> Option<u8> {
    let mut question = vec![0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(label.len().try_into().unwrap());
        question.extend(label.as_bytes());
    }
    question.extend([0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    socket.send_to(&question, ("127.0.0.1", port)).unwrap();
    let mut answer = [0; 512];
    socket.recv(&mut answer).ok()?;
    Some(answer[3] & 0x0f)
}

#[test]
fn two_labs_beside_each_other_do_not_meet() {
    let (Some(one), Some(other)) = (OwnLab::new(), OwnLab::new()) else { return };
    one.up();
    other.up();
    assert_ne!(one.port(), other.port());
    assert!(one.run(&["down"]).status.success());
    assert_eq!(other.status().0, 0);
}

#[test]
fn a_port_of_another_program_is_named_and_left_alone() {
    let (Some(one), Some(other)) = (OwnLab::new(), OwnLab::new()) else { return };
    one.up();
    let base = fs::read_to_string(one.dir.join("port-base")).unwrap();
    let refused = other.run(&["up", "named", "--port-base", &base]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains(&format!("port {} is taken", one.port())), "{}", text(&refused));
    other.run(&["down"]);
    assert_eq!(one.status().0, 0);
}

#[test]
fn a_held_lab_goes_with_whoever_holds_it() {
    let Some(lab) = OwnLab::new() else { return };
    let mut holder = hold(&lab);
    eventually("the lab does not come up", || lab.dir.join("running/named").exists() && lab.status().0 == 0);
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    assert!(!lab.dir.exists(), "its folder goes, too");
}

fn hold(lab: &OwnLab) -> Child {
    let mut command = lab.command(&["up", "named", "--hold", "--wipe", "--port-base", "free"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_folder_that_is_no_lab_is_never_wiped() {
    let folder = tempfile::tempdir().unwrap();
    let file: &Path = &folder.path().join("precious");
    fs::write(file, "").unwrap();
    let mut wipe = Command::new(env!("CARGO_BIN_EXE_xtask"));
    wipe.args(["lab", "down", "--wipe", "--dir"]).arg(folder.path());
    assert_eq!(wipe.output().unwrap().status.code(), Some(1));
    assert!(file.exists());
}
