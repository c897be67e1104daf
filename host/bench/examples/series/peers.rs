//! Who writes samples, each as whoever measures would have it do.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{cached::Cached, collectd::Collectd, cost, ours, world};

/// How long a peer may take for anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// What samples cost.
pub(crate) struct Cost {
    /// Seconds of CPU of the program that writes.
    pub(crate) writer: f64,
    /// Seconds of CPU of whoever has the samples and hands them to it.
    pub(crate) client: f64,
    pub(crate) disk_bytes: u64,
}

/// One that writes samples.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// The package that it comes with; nothing of ours.
    pub(crate) package: &'static str,
    /// Writes all samples of all files in a folder of its own.
    pub(crate) write: fn(&Path, u64, u64) -> Cost,
    /// Is killed after that many rounds were acknowledged; all is as the next start makes it on return.
    pub(crate) die: fn(&Path, u64, u64),
}

pub(crate) const PEERS: [Peer; 4] = [
    Peer { name: "watchpost, journal and store", package: "", write: write_ours, die: kill_ours },
    Peer { name: "rrdtool -, a pipe", package: "rrdtool", write: write_pipe, die: kill_pipe },
    Peer { name: "rrdcached with its journal", package: "rrdcached", write: write::<Cached>, die: die::<Cached> },
    Peer { name: "collectd, its rrdtool plugin", package: "collectd-core", write: write::<Collectd>, die: die::<Collectd> },
];

/// A daemon that takes samples.
pub(crate) trait Daemon: Sized {
    /// Starts it on the files of a folder.
    fn start(folder: &Path, files: u64) -> Self;
    fn pid(&self) -> u32;
    /// Hands it a sample of every file, and waits for its word that it has them.
    fn give(&mut self, files: u64, sample: u64);
    /// Has all written, of which this sample is the last.
    fn flush(&mut self, files: u64, sample: u64);
    /// Kills it.
    fn kill(self);
}

/// Rounds between two flushes: ten minutes.
const ROUNDS_HELD: u64 = 60;

fn write<D: Daemon>(folder: &Path, files: u64, samples: u64) -> Cost {
    let mut daemon = D::start(folder, files);
    let (me, pid) = (std::process::id(), daemon.pid());
    let before = (cost::cpu(me), cost::cpu(pid), cost::disk_bytes(pid));
    for sample in 1..=samples {
        daemon.give(files, sample);
        if sample % ROUNDS_HELD == 0 || sample == samples {
            daemon.flush(files, sample);
        }
    }
    let cost = Cost { client: cost::cpu(me) - before.0, writer: cost::cpu(pid) - before.1, disk_bytes: cost::disk_bytes(pid) - before.2 };
    daemon.kill();
    cost
}

fn die<D: Daemon>(folder: &Path, files: u64, samples: u64) {
    let mut daemon = D::start(folder, files);
    (1..=samples).for_each(|sample| daemon.give(files, sample));
    daemon.kill();
    // The next one takes what its journal has, if it keeps one.
    let mut daemon = D::start(folder, files);
    std::thread::sleep(Duration::from_secs(2));
    daemon.flush(files, 0);
    std::thread::sleep(Duration::from_secs(1));
    daemon.kill();
}

/// Where the file of a job lies.
pub(crate) fn file(folder: &Path, file: u64) -> PathBuf {
    folder.join("series").join(world::job(file)).join("_.rrd")
}

/// Waits until something is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn spawn_ours(folder: &Path, files: u64, samples: u64) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("ours").arg(folder).args([files.to_string(), samples.to_string()]).stdout(Stdio::piped());
    command.spawn().unwrap()
}

fn write_ours(folder: &Path, files: u64, samples: u64) -> Cost {
    let output = spawn_ours(folder, files, samples).wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let words: Vec<&str> = said.lines().find_map(|line| line.strip_prefix("cost ")).unwrap().split(' ').collect();
    Cost { writer: words[0].parse().unwrap(), client: words[1].parse().unwrap(), disk_bytes: words[2].parse().unwrap() }
}

fn kill_ours(folder: &Path, files: u64, samples: u64) {
    let mut child = spawn_ours(folder, files, samples + 1_000_000);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap() == &format!("acknowledged {samples}")).unwrap().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    ours::recover(folder);
}

/// `rrdtool -`: each line an update, each answered.
struct Pipe {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Pipe {
    fn start() -> Self {
        let mut child = Command::new("rrdtool").arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    /// A round for each file; answers are read once all are asked for, which is kind to it.
    fn give(&mut self, folder: &Path, files: u64, sample: u64) {
        const AT_ONCE: usize = 200;
        let all: Vec<u64> = (0..files).collect();
        for part in all.chunks(AT_ONCE) {
            let lines: String =
                part.iter().map(|n| format!("update {} {}\n", file(folder, *n).display(), world::text(*n, sample))).collect();
            self.input.write_all(lines.as_bytes()).unwrap();
            for _ in part {
                let mut line = String::new();
                self.output.read_line(&mut line).unwrap();
                assert!(line.starts_with("OK"), "{line}");
            }
        }
    }
}

fn write_pipe(folder: &Path, files: u64, samples: u64) -> Cost {
    let mut pipe = Pipe::start();
    let (me, pid) = (std::process::id(), pipe.child.id());
    let before = (cost::cpu(me), cost::cpu(pid));
    (1..=samples).for_each(|sample| pipe.give(folder, files, sample));
    let cost = Cost { client: cost::cpu(me) - before.0, writer: cost::cpu(pid) - before.1, disk_bytes: cost::disk_bytes(pid) };
    drop(pipe.input);
    pipe.output.read_to_string(&mut String::new()).unwrap();
    pipe.child.wait().unwrap();
    cost
}

fn kill_pipe(folder: &Path, files: u64, samples: u64) {
    let mut pipe = Pipe::start();
    (1..=samples).for_each(|sample| pipe.give(folder, files, sample));
    pipe.child.kill().unwrap();
    pipe.child.wait().unwrap();
}
