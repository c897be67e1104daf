//! Jobs as people read them: those that need somebody first.

use super::{
    table::{self, counted, grouped, plain},
    terminal, time,
};
use crate::{daemon::status::Job, plugin::Holding};

/// Jobs that a summary lists, however small the screen.
const LISTED_MIN: usize = 5;
/// Lines of a reason below its job, at most.
const REASON_LINES: usize = 2;
/// How far a reason is moved in below its job.
const INDENT: &str = "    ";
/// What says most about a job that is well, the first that it has; of several measurements the median.
const HEADLINES: [&str; 6] =
    ["roundtrip_time", "roundtrip_time{q=\"0.5\"}", "total_time", "total_time{q=\"0.5\"}", "query_time", "query_time{q=\"0.5\"}"];

/// Prints how many jobs there are and how they stand, and, in so many lines, those that somebody must look at; those that are well too,
/// if there is room for all.
pub(super) fn summary(jobs: &[Job], now: f64, lines: usize) {
    counts(jobs);
    let sorted = sorted(jobs);
    let most = lines.max(LISTED_MIN);
    let are_few = sorted.len() <= most;
    let listed: Vec<&Job> = sorted.iter().copied().filter(|job| are_few || job.health != "ok").take(most).collect();
    if !listed.is_empty() {
        let head = ["job", "health", "since", "ok runs", "total", "next run", "why"];
        rows_with_reasons(&head, &listed.iter().map(|job| row_of_summary(job, now)).collect::<Vec<_>>());
    }
    let left_out = sorted.iter().filter(|job| job.health != "ok").count().saturating_sub(most);
    match (are_few, left_out) {
        (true, _) => {}
        (false, 0) => println!("`watchpost jobs` lists those that are ok too"),
        (false, more) => println!("and {} more that are not ok; `watchpost jobs` lists all", grouped(more)),
    }
}

/// Prints every job.
pub(super) fn all(jobs: &[Job], now: f64) {
    counts(jobs);
    let rows: Vec<Vec<String>> = sorted(jobs).into_iter().map(|job| row_of_all(job, now)).collect();
    rows_with_reasons(&["job", "health", "since", "target", "total", "next run", "runs", "skipped", "why"], &rows);
}

fn counts(jobs: &[Job]) {
    let count = |health: &str| grouped(jobs.iter().filter(|job| job.health == health).count());
    let paused = jobs.iter().filter(|job| job.next_run.is_none()).count();
    let quarantined = jobs.iter().filter(|job| job.held.as_ref().is_some_and(|held| held.holding == Holding::Quarantined)).count();
    let quarantined = if quarantined > 0 { format!("; {} quarantined", grouped(quarantined)) } else { String::new() };
    let paused = if paused > 0 { format!("; {} paused", grouped(paused)) } else { String::new() };
    println!(
        "{}: {} ok, {} failing, {} unknown{quarantined}{paused}",
        counted(jobs.len(), "job"),
        count("ok"),
        count("failing"),
        count("unknown")
    );
}

/// Failing jobs, then those nothing is known of, then the others; each by name.
fn sorted(jobs: &[Job]) -> Vec<&Job> {
    let mut jobs: Vec<&Job> = jobs.iter().collect();
    jobs.sort_by_key(|job| (["failing", "unknown", "ok"].iter().position(|health| *health == job.health), job.name.as_str()));
    jobs
}

/// Prints rows whose last cell is the reason. At a terminal too narrow for it, the reason has a line of its own.
fn rows_with_reasons(head: &[&str], rows: &[Vec<String>]) {
    let columns = terminal::columns().unwrap_or(usize::MAX);
    let lines = table::lines(head, rows);
    if lines.iter().all(|line| line.chars().count() <= columns) {
        return lines.iter().for_each(|line| println!("{line}"));
    }
    let without: Vec<Vec<String>> = rows.iter().map(|row| row[..row.len() - 1].to_vec()).collect();
    let reasons = std::iter::once(None).chain(rows.iter().map(|row| row.last().filter(|reason| !reason.is_empty())));
    for (line, reason) in table::lines(&head[..head.len() - 1], &without).iter().zip(reasons) {
        println!("{}", terminal::cut(line, columns));
        let width = columns.saturating_sub(INDENT.len());
        let reason = reason.map(|reason| terminal::wrapped(&plain(reason), width)).unwrap_or_default();
        for line in reason.iter().take(REASON_LINES) {
            println!("{INDENT}{}", terminal::cut(line, width));
        }
    }
}

fn row_of_summary(job: &Job, now: f64) -> Vec<String> {
    let runs = format!("{} of {}", job.ok, job.runs);
    vec![job.name.clone(), mark(job), since(job, now), runs, total(job), next(job, now), why(job)]
}

fn row_of_all(job: &Job, now: f64) -> Vec<String> {
    let (runs, skipped) = (job.runs.to_string(), job.skipped.to_string());
    vec![job.name.clone(), mark(job), since(job, now), job.target.clone(), total(job), next(job, now), runs, skipped, why(job)]
}

fn mark(job: &Job) -> String {
    match job.health.as_str() {
        _ if job.held.as_ref().is_some_and(|held| held.holding == Holding::Quarantined) => "quarantined".into(),
        "failing" => "FAILING".into(),
        other => other.into(),
    }
}

fn since(job: &Job, now: f64) -> String {
    job.since.map_or("-".into(), |since| time::span(now - since))
}

fn total(job: &Job) -> String {
    HEADLINES.iter().find_map(|metric| job.values.get(*metric)).map_or("-".into(), |seconds| time::short(*seconds))
}

fn next(job: &Job, now: f64) -> String {
    job.next_run.map_or("paused".into(), |next| format!("in {}", time::span(next - now)))
}

fn why(job: &Job) -> String {
    match (&job.kind, &job.why) {
        (Some(kind), Some(why)) => format!("{kind}: {why}"),
        (None, Some(why)) => why.clone(),
        _ => String::new(),
    }
}
