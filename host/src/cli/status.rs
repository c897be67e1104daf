//! `watchpost status`: host, workers and jobs on one screen, whatever their number.

use std::cmp::Reverse;

use hyper::Method;
use watchpost_plugin_api::Severity;

use super::{
    Context,
    failure::Outcome,
    job_table, print_json,
    table::{self, counted, plain},
    terminal, time,
};
use crate::{
    daemon::{
        now_ns,
        status::{Status, Worker},
    },
    plugin::{Crash, Report, WorkerState},
};

/// Workers that are listed, those that do not run first, then those with most jobs.
const WORKERS_SHOWN: usize = 6;
/// Lines beside those of host, workers and listed jobs: blank ones, heads, counts, what was left out, and the shell's next line.
const LINES_BESIDE: usize = 7;
/// Records that a view of the journal may be behind without a word: they come many at a time.
const BEHIND_UNTOLD: u64 = 1_000;

pub(super) fn run(context: &Context) -> Outcome {
    let answer = context.ask("cannot tell the status", Method::GET, "/api/v1/status")?;
    let status: Status = answer.read()?;
    if context.json {
        return print_json(&status);
    }
    let now = now_ns() as f64 / 1e9;
    let above = host(&status, now);
    println!();
    let workers = workers(&status.workers, now);
    println!();
    job_table::summary(&status.jobs, now, terminal::rows().saturating_sub(above + workers + LINES_BESIDE));
    Ok(())
}

/// Prints how the host is; gives the lines that this takes.
fn host(status: &Status, now: f64) -> usize {
    let host = &status.host;
    let up = time::span(now - host.started as f64);
    let mut lines = vec![
        format!(
            "watchpost {}, process {}, up {up}, memory {}, {}",
            host.version,
            host.pid,
            memory(host.memory_bytes),
            host.config.display()
        ),
        format!("http://{}/  data {}", host.listen, host.data.display()),
        match &host.not_ready {
            None => format!("ready; journal {}; series {}; {}", plain(&host.journal), plain(&host.series), sandbox(status)),
            Some(why) => format!("NOT READY: {}; series {}; {}", plain(why), plain(&host.series), sandbox(status)),
        },
    ];
    let alarms: Vec<_> = host.alarms.iter().rev().filter(|(_, count)| **count > 0).collect();
    if !alarms.is_empty() {
        let counts: Vec<_> = alarms.iter().map(|(severity, count)| format!("{count} {}", severity_word(**severity))).collect();
        lines.push(format!("ALARMS: {}; `watchpost alarms` lists them", counts.join(", ")));
    }
    let behind = host.behind.iter().filter(|(_, records)| **records > BEHIND_UNTOLD);
    lines.extend(behind.map(|(view, records)| {
        format!("{view} is {} behind the journal", counted(usize::try_from(*records).unwrap_or(usize::MAX), "record"))
    }));
    let failing = host.channels_failing.iter();
    lines.extend(failing.map(|(channel, why)| format!("channel {} CANNOT BE TOLD: {}", plain(channel), plain(why))));
    if host.migrating > 0 {
        lines.push(format!("series files being migrated to another shape: {}", host.migrating));
    }
    lines.extend(host.refused_libraries.iter().map(|(path, why)| format!("not loaded: {}: {}", path.display(), plain(why))));
    // A file or a program gets each line whole.
    if let Some(columns) = terminal::columns() {
        lines = lines.iter().flat_map(|line| terminal::wrapped(line, columns)).collect();
    }
    lines.iter().for_each(|line| println!("{line}"));
    lines.len()
}

fn severity_word(severity: Severity) -> String {
    serde_json::to_value(severity).ok().and_then(|word| word.as_str().map(Into::into)).unwrap_or_default()
}

/// Says how far agents are held to what they need.
fn sandbox(status: &Status) -> String {
    let gaps: Vec<&str> = status.host.gaps.iter().map(|gap| gap.what.as_str()).collect();
    let free: Vec<&str> = status.workers.iter().filter(|worker| !worker.report.sandbox).map(|worker| worker.plugin.as_str()).collect();
    let free = if free.is_empty() { String::new() } else { format!("; NOT CONFINED: {}", free.join(", ")) };
    format!("agents confined but for {}{free}", gaps.join(", "))
}

/// Prints how the workers are; gives the lines that this takes, its head not counted.
fn workers(all: &[Worker], now: f64) -> usize {
    let mut workers: Vec<&Worker> = all.iter().collect();
    workers.sort_by_key(|worker| (worker.report.state == WorkerState::Ready, Reverse(worker.report.crashes), Reverse(worker.report.jobs)));
    let shown = if workers.len() > WORKERS_SHOWN { &workers[..WORKERS_SHOWN] } else { &workers };
    let rows: Vec<Vec<String>> = shown.iter().map(|worker| row(worker, now)).collect();
    table::print(&["plugin", "worker", "pid", "memory", "jobs", "crashes", "restarts", "last crash"], &rows);
    if workers.len() > shown.len() {
        println!("and {} more; --json lists all", workers.len() - shown.len());
    }
    shown.len() + usize::from(workers.len() > shown.len())
}

fn row(worker: &Worker, now: f64) -> Vec<String> {
    let report = &worker.report;
    let crash = report.last_crash.as_ref().map_or("-".into(), |crash| crash_line(crash, now));
    let crash = worker.note.as_ref().map_or(crash.clone(), |note| format!("{crash}; {note}"));
    let crash = apart(report).map_or(crash.clone(), |apart| format!("{crash}; {apart}"));
    let crash = report.refusal.as_ref().map_or(crash.clone(), |why| format!("{crash}; not back: {why}"));
    vec![
        worker.plugin.clone(),
        report.state.name().into(),
        report.pid.map_or("-".into(), |pid| pid.to_string()),
        memory(worker.memory_bytes),
        report.jobs.to_string(),
        report.crashes.to_string(),
        report.restarts.to_string(),
        crash,
    ]
}

/// Says which jobs have a worker to themselves, to find out who brings it down.
fn apart(report: &Report) -> Option<String> {
    let jobs: Vec<&str> = report.apart.iter().flat_map(|apart| &apart.jobs).map(String::as_str).collect();
    match jobs[..] {
        [] => None,
        [job] => Some(format!("job {job} has a worker to itself")),
        _ => Some(format!("{} jobs run in {} workers, to tell them apart", jobs.len(), report.apart.len())),
    }
}

fn crash_line(crash: &Crash, now: f64) -> String {
    let at = crash.at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let guilty = crash.guilty.as_ref().map_or("no job to blame".into(), |job| format!("job {job}"));
    format!("{} ago, {guilty}: {}", time::span(now - at), crash.how)
}

/// Memory in use, in whole MiB.
fn memory(bytes: Option<u64>) -> String {
    bytes.map_or("unknown".into(), |bytes| format!("{} MiB", bytes.div_ceil(1 << 20)))
}
