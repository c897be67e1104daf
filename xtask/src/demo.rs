//! `cargo xtask demo`: from a bare machine to a measured mail service, and back.
//!
//! Steps: packages, build, lab, a folder of its own, the daemon as an ordinary user, a value of
//! every job. Dropping [`Running`] ends them in the opposite order, and nothing else.

mod daemon;
mod folder;
mod held_lab;
mod metrics;

use crate::arguments::Arguments;
use crate::error::{Error, Outcome, doing};
use crate::lab::Lab;
use crate::packages::{self, Use};
use crate::process::{self, LOOK_AGAIN};
use crate::{build, signal, user};
use daemon::Daemon;
use folder::Folder;
use held_lab::HeldLab;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What is built and run unless a folder of built programs is named: tests run what they have built already.
const RELEASE: &str = "release";
/// Where the demo listens unless told otherwise.
const LISTEN: &str = "127.0.0.1:9470";
/// How long it may take until every job has a value; the slowest runs every 30 s.
const VALUES_WITHIN: Duration = Duration::from_secs(60);
/// How often it is asked which jobs have one.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// What the demo started. The order of the fields is the order in which it ends.
struct Running {
    daemon: Daemon,
    _held: HeldLab,
    folder: Folder,
    /// What has to stand before a command that reads the daemon's secrets, which are its user's alone.
    run_as: String,
    /// What a command on this lab has to say to find it; nothing for the usual one.
    found_by: String,
}

/// Runs `demo [--keep] [--once] [--port-base N] [--listen ADDR] [--built FOLDER]`.
pub(crate) fn run(words: &[String]) -> Outcome<ExitCode> {
    let arguments = Arguments::parse(words, &["keep", "once"], &["port-base", "listen", "dir", "built"])?;
    if !arguments.words.is_empty() {
        return Err(Error::Usage(format!("the demo knows no `{}`", arguments.words.join(" "))));
    }
    let listen = listen(arguments.value("listen").unwrap_or(LISTEN))?;
    let begun = Instant::now();
    let built = arguments.value("built").unwrap_or(RELEASE);
    if arguments.value("built").is_none() {
        build()?;
    }
    let mut running = start(&arguments, listen, built)?;
    wait_for_values(&mut running, listen)?;
    explain(&running, listen, begun.elapsed());
    if arguments.has("once") {
        return Ok(ExitCode::SUCCESS);
    }
    println!("Ctrl-C stops it, the lab with it");
    let ended = wait_for_the_end(&mut running);
    println!("ending");
    drop(running);
    ended.map(|()| ExitCode::SUCCESS)
}

/// Checks where to listen before minutes are spent on building.
fn listen(text: &str) -> Outcome<SocketAddr> {
    let parsed = text.parse();
    let address: SocketAddr = parsed.map_err(|_| Error::Usage(format!("--listen {text} is no ADDRESS:PORT")))?;
    TcpListener::bind(address).map_err(doing(format!("listen on {address} (try --listen)")))?;
    Ok(address)
}

fn build() -> Outcome {
    let missing = packages::ensure(&[Use::Build, Use::Lab])?;
    packages::check_build(&missing)?;
    eprintln!("building the release");
    build::release()
}

fn start(arguments: &Arguments, listen: SocketAddr, built: &str) -> Outcome<Running> {
    let account = user::ordinary();
    let account = account.ok_or_else(|| Error::Refused("there is no ordinary user to run as".into()))?;
    let keep = arguments.has("keep");
    let lab = Lab::of(arguments)?;
    let held = HeldLab::start(&lab, keep)?;
    let folder = Folder::make(&lab, &account, listen, keep, built)?;
    if user::is_root() {
        println!("watchpost runs as the user {} (uid {})", account.name, account.uid);
    }
    let daemon = Daemon::start(&folder, &account)?;
    let is_usual = ["dir", "port-base"].iter().all(|option| arguments.value(option).is_none());
    let found_by = if is_usual { String::new() } else { format!(" --dir {}", lab.dir.display()) };
    let is_ours = user::person().is_some_and(|person| person.uid == account.uid);
    let run_as = if is_ours { String::new() } else { format!("runuser -u {} -- ", account.name) };
    Ok(Running { daemon, _held: held, folder, run_as, found_by })
}

/// Waits until every job has a value and found its server up.
///
/// Errors: the daemon ended, or jobs have no such value in time; both with the end of its log.
fn wait_for_values(running: &mut Running, listen: SocketAddr) -> Outcome {
    let begun = Instant::now();
    println!("waiting for a value of each of {} jobs", running.folder.jobs.len());
    loop {
        let ups = metrics::ups(listen).unwrap_or_default();
        let is_up = |job: &&String| ups.iter().any(|(name, up)| name == *job && *up);
        let waiting: Vec<&String> = running.folder.jobs.iter().filter(|job| !is_up(job)).collect();
        if waiting.is_empty() {
            return Ok(());
        }
        running.daemon.check()?;
        if begun.elapsed() >= VALUES_WITHIN {
            let names: Vec<&str> = waiting.into_iter().map(String::as_str).collect();
            let seconds = VALUES_WITHIN.as_secs();
            return Err(running.daemon.complain(&format!("not up after {seconds} s: {}", names.join(", "))));
        }
        pause(ASK_AGAIN)?;
    }
}

fn pause(time: Duration) -> Outcome {
    if process::wait_until(time, signal::caught) { Err(Error::Interrupted) } else { Ok(()) }
}

/// Waits for Ctrl-C, the proper end.
///
/// Errors: the daemon ended by itself.
fn wait_for_the_end(running: &mut Running) -> Outcome {
    while !signal::caught() {
        running.daemon.check()?;
        sleep(LOOK_AGAIN);
    }
    Ok(())
}

fn explain(running: &Running, listen: SocketAddr, took: Duration) {
    let Folder { jobs, agents, .. } = &running.folder;
    let agents = agents.iter().map(|(agent, count)| format!("{count} {agent}")).collect::<Vec<_>>().join(", ");
    println!("\nwatchpost measures {} jobs, each has a value; this took {:.0} s", jobs.len(), took.as_secs_f64());
    println!("  start page   http://{listen}/");
    println!("  metrics      http://{listen}/metrics");
    println!("  jobs         {} ({agents})", running.folder.schedule().display());
    println!("\ntry next, in another terminal:");
    next(running, jobs).iter().for_each(|line| println!("  {line}"));
    if let Some(server) = running.folder.busiest {
        println!("\nhold a server still, see `status` tell of it a few seconds later, and let it go on; in the clone:");
        ["stall", "resume"].iter().for_each(|word| println!("  cargo xtask lab {word} {server}{}", running.found_by));
    }
    println!();
}

/// Gives commands on the running daemon; in its folder they need not be told of its configuration.
fn next(running: &Running, jobs: &[String]) -> [String; 4] {
    let job = jobs.iter().find(|job| *job == "submission").or(jobs.first()).map_or("", String::as_str);
    let command = |words: &str| format!("{}bin/watchpost {words}", running.run_as);
    let folder = format!("cd {}", running.folder.root.display());
    [folder, command("status"), command(&format!("measure {job} --explain")), command(&format!("plan {job} -n 5"))]
}
