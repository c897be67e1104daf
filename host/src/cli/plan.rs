//! `watchpost plan`

use std::{cmp::Reverse, collections::BinaryHeap, path::Path};

use serde::Serialize;

use super::{
    Context,
    failure::Outcome,
    load::{now, unknown_job},
    print_json, table,
};
use crate::{config::Job, schedule::UnixTime};

/// Runs that are listed at most: more than anybody reads.
const RUNS_MAX: usize = 100_000;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Only this job.
    job: Option<String>,
    /// How many runs, at least 1.
    #[arg(short = 'n', long = "count", default_value_t = 20, value_name = "COUNT", value_parser = runs)]
    count: usize,
}

#[derive(Serialize)]
struct Run<'a> {
    job: &'a str,
    /// Seconds since 1970.
    due: i64,
    /// In the job's zone.
    local: String,
    schedule: String,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let (file, all) = (context.file()?, context.draft()?.jobs);
    let chosen = |job: &&Job| arguments.job.as_ref().is_none_or(|name| job.name.as_str() == name);
    let jobs: Vec<&Job> = all.iter().filter(chosen).collect();
    if let (Some(name), true) = (&arguments.job, jobs.is_empty()) {
        return Err(unknown_job(&format!("cannot plan job `{name}`"), name, &all));
    }
    let runs: Vec<Run<'_>> = upcoming(&jobs, now()).take(arguments.count).map(|(due, job)| shown(job, due)).collect();
    if context.json {
        return print_json(&runs);
    }
    if runs.is_empty() {
        println!("nothing is planned: {}", why_nothing(&jobs, &file));
        return Ok(());
    }
    let rows: Vec<Vec<String>> = runs.iter().map(|run| vec![run.local.clone(), run.job.to_owned(), run.schedule.clone()]).collect();
    table::print(&["due", "job", "schedule"], &rows);
    Ok(())
}

/// Why none of these jobs is ever due: each has windows, and they are over.
fn why_nothing(jobs: &[&Job], file: &Path) -> String {
    match jobs {
        [] => format!("{} has no job", file.display()),
        [job] => format!("all windows of job {} are over", job.name.as_str()),
        several => format!("all windows of its {} jobs are over", several.len()),
    }
}

/// Reads a number of runs.
fn runs(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=RUNS_MAX).contains(count));
    count.ok_or_else(|| format!("a whole number from 1 to {RUNS_MAX} is wanted"))
}

/// The runs of all jobs in the order in which they are due.
fn upcoming<'a>(jobs: &'a [&'a Job], after: UnixTime) -> impl Iterator<Item = (UnixTime, &'a Job)> {
    let next = |at: usize, after| jobs[at].timing.timetable.next_after(after).map(|due| Reverse((due, at)));
    let mut queue: BinaryHeap<Reverse<(UnixTime, usize)>> = (0..jobs.len()).filter_map(|at| next(at, after)).collect();
    std::iter::from_fn(move || {
        let Reverse((due, at)) = queue.pop()?;
        queue.extend(next(at, due));
        Some((due, jobs[at]))
    })
}

fn shown(job: &Job, due: UnixTime) -> Run<'_> {
    let timetable = &job.timing.timetable;
    Run { job: job.name.as_str(), due: due.as_secs(), local: timetable.zone().format(due), schedule: timetable.to_string() }
}
