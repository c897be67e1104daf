//! `watchpost status`

use hyper::Method;

use super::{Context, Outcome, print_json, table, time};
use crate::{
    daemon::{
        now_ns,
        status::{Job, Status, Worker},
    },
    plugin::Crash,
};

pub(super) fn run(context: &Context) -> Outcome {
    let answer = context.ask(Method::GET, "/api/v1/status")?;
    let status: Status = answer.read()?;
    if context.json {
        return print_json(&status);
    }
    show(&status, now_ns() as f64 / 1e9);
    Ok(())
}

fn show(status: &Status, now: f64) {
    let host = &status.host;
    println!("watchpost {}, process {}, up {}, {}", host.version, host.pid, time::span(now - host.started as f64), host.config.display());
    println!("http://{}/  data {}", host.listen, host.data.display());
    match &host.not_ready {
        None => println!("ready; journal {}", host.journal),
        Some(why) => println!("NOT READY: {}", table::plain(why)),
    }
    for (view, records) in host.behind.iter().filter(|(_, records)| **records > 0) {
        println!("{view} is {} behind the journal", table::counted(usize::try_from(*records).unwrap_or(usize::MAX), "record"));
    }
    for (path, why) in &host.refused_libraries {
        println!("not loaded: {}: {}", path.display(), table::plain(why));
    }
    println!();
    table::print(
        &["plugin", "worker", "pid", "jobs", "crashes", "last crash"],
        &status.workers.iter().map(|worker| row_of_worker(worker, now)).collect::<Vec<_>>(),
    );
    println!();
    jobs(&status.jobs, now);
}

fn row_of_worker(worker: &Worker, now: f64) -> Vec<String> {
    let report = &worker.report;
    let pid = report.pid.map_or("-".into(), |pid| pid.to_string());
    let crash = report.last_crash.as_ref().map_or("-".into(), |crash| crash_line(crash, now));
    let crash = report.refusal.as_ref().map_or(crash.clone(), |why| format!("{crash}; not back: {why}"));
    vec![worker.plugin.clone(), report.state.name().into(), pid, report.jobs.to_string(), report.crashes.to_string(), crash]
}

fn crash_line(crash: &Crash, now: f64) -> String {
    let at = crash.at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let guilty = crash.guilty.as_ref().map_or("no job to blame".into(), |job| format!("job {job}"));
    format!("{} ago, {guilty}: {}", time::span(now - at), crash.how)
}

/// Prints jobs, the failing ones first.
pub(super) fn jobs(jobs: &[Job], now: f64) {
    let count = |health: &str| jobs.iter().filter(|job| job.health == health).count();
    println!("{}: {} ok, {} failing, {} unknown", table::counted(jobs.len(), "job"), count("ok"), count("failing"), count("unknown"));
    let mut jobs: Vec<&Job> = jobs.iter().collect();
    jobs.sort_by_key(|job| (["failing", "unknown", "ok"].iter().position(|health| *health == job.health), job.name.clone()));
    let rows: Vec<Vec<String>> = jobs.into_iter().map(|job| row_of_job(job, now)).collect();
    table::print(&["job", "health", "since", "target", "total", "next run", "runs", "skipped", "why"], &rows);
}

fn row_of_job(job: &Job, now: f64) -> Vec<String> {
    let mark = match job.health.as_str() {
        "ok" => "ok",
        "failing" => "FAILING",
        _ => "unknown",
    };
    let since = job.since.map_or("-".into(), |since| time::span(now - since));
    let total = job.values.get("total_time").or_else(|| job.values.get("query_time")).map_or("-".into(), |seconds| time::short(*seconds));
    let next = job.next_run.map_or("paused".into(), |next| format!("in {}", time::span(next - now)));
    let why = match (&job.kind, &job.why) {
        (Some(kind), Some(why)) => format!("{kind}: {why}"),
        (None, Some(why)) => why.clone(),
        _ => String::new(),
    };
    vec![job.name.clone(), mark.into(), since, job.target.clone(), total, next, job.runs.to_string(), job.skipped.to_string(), why]
}
