//! What systemd is told (sd_notify(3)), by a daemon that believes it runs us.

use std::{
    fs::{self, File},
    os::unix::net::UnixDatagram,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::{Pid, Signal, kill_process},
};

use watchpost_testkit::ClosedPort;

use crate::{
    harness::{Daemon, House, until},
    servers::{job, willing},
};

/// How long a word may take that comes for sure.
const SOON: Duration = Duration::from_secs(15);
/// What the watchdog allows between two signs of life.
const WATCHDOG: Duration = Duration::from_millis(1500);

/// The other end of the socket that a service manager gives.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    /// Starts a daemon as systemd does.
    fn starts(house: &House) -> (Self, Daemon) {
        let path = house.folder().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let manager = Self { socket, path };
        let daemon = house.start_with(|command| manager.gives(command));
        (manager, daemon)
    }

    fn gives(&self, command: &mut Command) {
        command.env("NOTIFY_SOCKET", &self.path).env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
    }

    /// The next message within a time, whatever it says.
    fn next(&self, patience: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).ok()?;
        Some(String::from_utf8(message[..length].to_vec()).unwrap())
    }

    /// The next message that has this in it; others, signs of life among them, are passed over.
    fn hears(&self, part: &str) -> String {
        let heard = until(SOON, || self.next(SOON).filter(|message| message.contains(part)));
        heard.unwrap_or_else(|| panic!("nobody said {part:?}"))
    }

    /// What is said within a time.
    fn hears_for(&self, time: Duration) -> Vec<(Duration, String)> {
        let begun = Instant::now();
        let mut heard = Vec::new();
        while let Some(left) = time.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
            heard.extend(self.next(left).map(|message| (begun.elapsed(), message)));
        }
        heard
    }
}

fn signal(daemon: &Daemon, signal: Signal) {
    kill_process(Pid::from_raw(daemon.pid().try_into().unwrap()).unwrap(), signal).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_hears_readiness_reloads_standing_and_the_end() {
    let (server, door) = (willing().await, ClosedPort::take().unwrap());
    let closed = door.port().unwrap();
    let house = House::new(&(job("one", "every = \"1s\"", server.port()) + &job("gone", "every = \"1s\"", closed)));
    let (manager, daemon) = Manager::starts(&house);
    let listen = daemon.listen();
    assert_eq!(
        manager.hears("READY=1"),
        format!("READY=1\nSTATUS=2 jobs, http://{listen}/\n"),
        "the first word, and the port that is bound"
    );
    manager.hears(&format!("STATUS=2 jobs: 1 ok, 1 failing, 0 unknown; http://{listen}/\n"));

    signal(&daemon, Signal::HUP);
    let reloading = manager.hears("RELOADING=1");
    // Since systemd 253 the stamp must come with it (sd_notify(3), "RELOADING=1").
    let stamp =
        reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")?.parse::<u64>().ok()).expect("a stamp in one message");
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    assert!(stamp / 1_000_000 <= now.tv_sec.unsigned_abs() && stamp / 1_000_000 + 60 > now.tv_sec.unsigned_abs(), "{stamp}");
    assert!(manager.hears("READY=1").contains(&format!("http://{listen}/")));

    // A refused reload is over, too.
    house.schedule("[[job]]\n");
    assert_eq!(house.run(&["reload"]).code, Some(2));
    manager.hears("RELOADING=1");
    assert!(manager.hears("READY=1").contains("STATUS=2 jobs, "));

    signal(&daemon, Signal::TERM);
    manager.hears("STOPPING=1");
    assert!(daemon.stop().status.success());
    let after = manager.hears_for(Duration::from_millis(200));
    assert!(after.is_empty(), "{after:?}");
}

#[test]
fn the_watchdog_is_fed_twice_in_its_time_though_nothing_is_due() {
    let house = House::new("");
    let (manager, _daemon) = Manager::starts(&house);
    manager.hears("WATCHDOG=1");
    let fed: Vec<Duration> =
        manager.hears_for(WATCHDOG * 3).into_iter().filter(|(_, said)| said.contains("WATCHDOG=1")).map(|(at, _)| at).collect();
    let pauses = fed.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(fed.len() >= 6 && pauses.clone().all(|pause| pause < WATCHDOG), "{fed:?}");
}

#[test]
fn a_scheduler_that_hangs_feeds_no_watchdog() {
    let house = House::new(&job("one", "every = \"1h\"", 1));
    let (manager, daemon) = Manager::starts(&house);
    manager.hears("WATCHDOG=1");
    // The scheduler notes a paused job in a file. Writing to a pipe that nobody reads, it waits.
    let trap = house.data().join("paused.tmp");
    mknodat(CWD, &trap, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let pauses = Asks(house.command(&["jobs", "pause", "one"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    // What was on its way.
    manager.hears_for(WATCHDOG);
    let silent = manager.hears_for(WATCHDOG * 2);
    assert!(silent.iter().all(|(_, said)| !said.contains("WATCHDOG=1")), "{silent:?}");
    assert!(!daemon.workers().is_empty(), "the process lives, which is not enough");
    let reader = fs::OpenOptions::new().read(true).open(&trap).unwrap();
    manager.hears("WATCHDOG=1");
    drop::<(File, Asks)>((reader, pauses));
}

/// A command that is asked while nobody answers.
struct Asks(Child);

impl Drop for Asks {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

#[test]
fn workers_are_told_of_no_service_manager() {
    let house = House::new("");
    let (_manager, daemon) = Manager::starts(&house);
    let workers = daemon.workers();
    assert!(!workers.is_empty());
    for worker in workers {
        let environment = fs::read_to_string(format!("/proc/{}/environ", worker.pid)).unwrap();
        assert!(!environment.contains("NOTIFY_SOCKET") && !environment.contains("WATCHDOG"), "{environment:?}");
    }
}
