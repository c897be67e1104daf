//! CPU of one plain session by SMTP (greeting, EHLO, QUIT) with 10,000 of them in flight at once: our agent in a worker, our agent in one
//! process, the same words over sockets and nothing else (what the kernel takes: nobody can cost less), and `blackbox_exporter`; and what
//! 5,000 in flight have resident.
//!
//! The server holds every greeting back until all clients are connected. Whoever asks the exporter is not counted, nor is the server. The
//! exporter is asked for 5,000 only: a probe of it takes two descriptors, and at 10,000 it has come to its limit and answers none.

use super::cost::{self, Folder, median};
use super::daemon::{Running, free};
use crate::error::{Error, Outcome, doing};
use crate::{build, place, process, programs};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Measurements of each.
const ROUNDS: usize = 3;
/// Sessions at once where memory is measured.
const FOR_MEMORY: usize = 5_000;
/// How long one round may take.
const ROUND_WITHIN: Duration = Duration::from_secs(90);
/// How long a program may take to answer.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// The same dialogue as the agent's, as blackbox_exporter is told.
const MODULE: &str = "modules:\n  smtp:\n    prober: tcp\n    timeout: 60s\n    tcp:\n      query_response:\n      - expect: '^220 '\n      \
    - send: 'EHLO bench'\n      - expect: '^250 '\n      - send: 'QUIT'\n      - expect: '^221 '\n";

/// What a round of sessions cost.
struct Round {
    /// Milliseconds of CPU for all of them: of the program that made them, and of its worker.
    cpu: f64,
    worker: f64,
    resident_kib: u64,
}

/// Who makes sessions.
struct Maker {
    name: &'static str,
    /// Sessions at once where CPU is measured.
    in_flight: usize,
    make: fn(&Scene, usize) -> Outcome<Round>,
}

/// Ours is the first: the others are told in its measure.
const MAKERS: [Maker; 4] = [
    Maker { name: "watchpost, worker and host", in_flight: 10_000, make: worker },
    Maker { name: "watchpost, agent in one process", in_flight: 10_000, make: inside },
    Maker { name: "sockets and nothing else", in_flight: 10_000, make: bare },
    Maker { name: "blackbox_exporter", in_flight: 5_000, make: blackbox },
];

struct Scene {
    folder: PathBuf,
    program: PathBuf,
    library: PathBuf,
}

/// Builds the worker, the agent, and who makes sessions.
pub(super) fn build() -> Outcome {
    build::only(&["watchpost-smtp"])?;
    build::examples(&["in_flight"])
}

pub(super) fn run() -> Outcome {
    let (folder, release) = (Folder::make("probes")?, place::built("release")?);
    let scene =
        Scene { folder: folder.0.clone(), program: release.join("examples/in_flight"), library: release.join("libwatchpost_smtp.so") };
    let mut figures: Vec<(Vec<f64>, Vec<f64>)> = MAKERS.iter().map(|_| Default::default()).collect();
    for _ in 0..ROUNDS {
        for (maker, (cpu, resident)) in MAKERS.iter().zip(&mut figures) {
            let round = (maker.make)(&scene, maker.in_flight)?;
            cpu.push((round.cpu + round.worker) / maker.in_flight as f64);
            let round = if maker.in_flight == FOR_MEMORY { round } else { (maker.make)(&scene, FOR_MEMORY)? };
            resident.push(round.resident_kib as f64 / 1024.0);
        }
    }
    print(&figures);
    Ok(())
}

/// Prints CPU and memory of each maker.
fn print(figures: &[(Vec<f64>, Vec<f64>)]) {
    println!("{:<34} {:>9} {:>14} {:>20} {:>8} {:>15}", "", "in flight", "CPU ms/session", "of", "to ours", "MiB with 5,000");
    let ours = median(&figures[0].0);
    for (maker, (cpu, resident)) in MAKERS.iter().zip(figures) {
        let all = cpu.iter().map(|one| format!("{one:.3}")).collect::<Vec<_>>().join(" ");
        let (cpu, resident) = (median(cpu), median(resident));
        println!("{:<34} {:>9} {cpu:>14.3} {all:>20} {:>7.2}x {resident:>15.1}", maker.name, maker.in_flight, cpu / ours);
    }
    println!("medians of {ROUNDS}; CPU in user and kernel with so many in flight at once, resident at most");
}

fn bare(scene: &Scene, count: usize) -> Outcome<Round> {
    scene.round(count, "bare", None)
}

fn inside(scene: &Scene, count: usize) -> Outcome<Round> {
    scene.round(count, "inside", None)
}

fn worker(scene: &Scene, count: usize) -> Outcome<Round> {
    scene.round(count, "worker", Some(&scene.library.display().to_string()))
}

fn blackbox(scene: &Scene, count: usize) -> Outcome<Round> {
    let config = scene.folder.join("blackbox.yml");
    fs::write(&config, MODULE).map_err(doing("write blackbox.yml"))?;
    let listen = free()?;
    let mut command = Command::new(exporter()?);
    command.arg(format!("--config.file={}", config.display())).arg(format!("--web.listen-address={listen}"));
    let exporter = Running(process::spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))?);
    let pid = exporter.0.id();
    if !process::wait_until(READY_WITHIN, || std::net::TcpStream::connect(listen).is_ok()) {
        return Err(Error::Refused("blackbox_exporter does not listen".into()));
    }
    let used = || cost::used_by(pid).ok_or_else(|| Error::Refused("blackbox_exporter is gone".into()));
    let before = used()?;
    scene.round(count, "http", Some(&listen.to_string()))?;
    Ok(Round { cpu: (used()? - before) * 1e3, worker: 0.0, resident_kib: most_resident(pid) })
}

fn exporter() -> Outcome<PathBuf> {
    let name = "prometheus-blackbox-exporter";
    programs::find(name).ok_or_else(|| Error::Refused(format!("there is no {name} to compare with (Debian: {name})")))
}

impl Scene {
    /// Has all sessions made, against a server of their own: ports of the last round are still in use.
    fn round(&self, count: usize, how: &str, with: Option<&str>) -> Outcome<Round> {
        let (port, many) = (free()?.port().to_string(), count.to_string());
        let mut sink = Command::new(&self.program);
        let sink = sink.args(["sink", &port, &many]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut sink = Running(process::spawn(sink)?);
        let mut ready = String::new();
        let said = sink.0.stdout.take().ok_or_else(|| Error::Refused("the server has no output".into()))?;
        BufReader::new(said).read_line(&mut ready).map_err(doing("wait for the server"))?;
        let mut command = Command::new(&self.program);
        command.args([how, &port, &many]).args(with);
        let cost = cost::of(&mut command, &self.folder, ROUND_WITHIN)?;
        let figures: Vec<f64> = cost.said.split_whitespace().filter_map(|figure| figure.parse().ok()).collect();
        match figures[..] {
            [well, 0.0, cpu, worker, resident] if well as usize == count => Ok(Round { cpu, worker, resident_kib: resident as u64 }),
            _ => Err(Error::Refused(format!("{how}: not all of {count} sessions went well: {} {}", cost.status, cost.said.trim()))),
        }
    }
}

/// The most that a process ever had resident. Source: proc(5), `status`, VmHWM.
fn most_resident(pid: u32) -> u64 {
    let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
