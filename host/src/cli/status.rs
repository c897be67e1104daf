//! `watchpost status`: host, workers and jobs on one screen, whatever their number.

use hyper::Method;

use super::{
    Context,
    failure::Outcome,
    job_table, print_json,
    table::{self, counted, plain},
    time,
};
use crate::{
    daemon::{
        now_ns,
        status::{Host, Status, Worker},
    },
    plugin::{Crash, WorkerState},
};

/// Workers that are listed, those that do not run first; a screen has some 24 lines.
const WORKERS_SHOWN: usize = 8;
/// Records that a view of the journal may be behind without a word: they come many at a time.
const BEHIND_UNTOLD: u64 = 1_000;

pub(super) fn run(context: &Context) -> Outcome {
    let answer = context.ask("cannot tell the status", Method::GET, "/api/v1/status")?;
    let status: Status = answer.read()?;
    if context.json {
        return print_json(&status);
    }
    let now = now_ns() as f64 / 1e9;
    host(&status.host, now);
    println!();
    workers(&status.workers, now);
    println!();
    job_table::summary(&status.jobs, now);
    Ok(())
}

fn host(host: &Host, now: f64) {
    let up = time::span(now - host.started as f64);
    println!("watchpost {}, process {}, up {up}, memory {}, {}", host.version, host.pid, memory(host.memory_bytes), host.config.display());
    println!("http://{}/  data {}", host.listen, host.data.display());
    match &host.not_ready {
        None => println!("ready; journal {}; series {}", plain(&host.journal), plain(&host.series)),
        Some(why) => println!("NOT READY: {}; series {}", plain(why), plain(&host.series)),
    }
    for (view, records) in host.behind.iter().filter(|(_, records)| **records > BEHIND_UNTOLD) {
        println!("{view} is {} behind the journal", counted(usize::try_from(*records).unwrap_or(usize::MAX), "record"));
    }
    for (path, why) in &host.refused_libraries {
        println!("not loaded: {}: {}", path.display(), plain(why));
    }
}

fn workers(all: &[Worker], now: f64) {
    let mut workers: Vec<&Worker> = all.iter().collect();
    workers.sort_by_key(|worker| (worker.report.state == WorkerState::Ready, std::cmp::Reverse(worker.report.crashes)));
    let shown = if workers.len() > WORKERS_SHOWN { &workers[..WORKERS_SHOWN] } else { &workers };
    let rows: Vec<Vec<String>> = shown.iter().map(|worker| row(worker, now)).collect();
    table::print(&["plugin", "worker", "pid", "memory", "jobs", "crashes", "restarts", "last crash"], &rows);
    if workers.len() > shown.len() {
        println!("and {} more; --json lists all", workers.len() - shown.len());
    }
}

fn row(worker: &Worker, now: f64) -> Vec<String> {
    let report = &worker.report;
    vec![
        worker.plugin.clone(),
        report.state.name().into(),
        report.pid.map_or("-".into(), |pid| pid.to_string()),
        memory(worker.memory_bytes),
        report.jobs.to_string(),
        report.crashes.to_string(),
        report.restarts.to_string(),
        report.last_crash.as_ref().map_or("-".into(), |crash| crash_line(crash, now)),
    ]
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
