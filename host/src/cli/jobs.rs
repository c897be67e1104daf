//! `watchpost jobs`

use clap::Subcommand;
use hyper::Method;

use watchpost_plugin_api::MetricSpec;
use watchpost_services::outcome::Status;

use super::{
    Context,
    client::encoded,
    failure::{Failure, Outcome},
    job_table, print_json, table, time, values,
};
use crate::{
    daemon::{now_ns, status::Job},
    reading::Reading,
};

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the jobs of the running daemon.
    #[command(after_help = "Examples:\n  watchpost jobs list\n  watchpost jobs list --json")]
    List,
    /// Runs a job now, in the daemon; the result is stored as the job's latest.
    #[command(after_help = "Example:\n  watchpost jobs run pop-paris")]
    Run {
        /// The job's name.
        job: String,
    },
    /// Stops starting a job's runs, over restarts, until it is resumed.
    #[command(after_help = "Example:\n  watchpost jobs pause pop-paris")]
    Pause {
        /// The job's name.
        job: String,
    },
    /// Sets a job free that is held back or quarantined for crashes.
    #[command(after_help = "Example:\n  watchpost jobs release pop-paris")]
    Release {
        /// The job's name.
        job: String,
    },
    /// Starts a paused job's runs again.
    #[command(after_help = "Example:\n  watchpost jobs resume pop-paris")]
    Resume {
        /// The job's name.
        job: String,
    },
}

/// What the daemon says to a pause, or to its end.
#[derive(serde::Deserialize)]
struct Switched {
    paused: bool,
    changed: bool,
}

/// What the daemon says to a release.
#[derive(serde::Deserialize)]
struct Released {
    released: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    match arguments.command.as_ref().unwrap_or(&Command::List) {
        Command::List => list(context),
        Command::Run { job } => run_now(context, job),
        Command::Pause { job } => switch(context, job, "pause"),
        Command::Release { job } => release(context, job),
        Command::Resume { job } => switch(context, job, "resume"),
    }
}

fn list(context: &Context) -> Outcome {
    let jobs: Vec<Job> = context.ask("cannot list the jobs", Method::GET, "/api/v1/jobs")?.read()?;
    if context.json {
        return print_json(&jobs);
    }
    job_table::all(&jobs, now_ns() as f64 / 1e9);
    Ok(())
}

fn run_now(context: &Context, job: &str) -> Outcome {
    let cannot = format!("cannot run job `{job}`");
    let reading: Reading = context.ask(&cannot, Method::POST, &path(job, "run"))?.read()?;
    let outcome = &reading.outcome;
    if context.json {
        print_json(&reading)?;
    } else {
        let took = time::short(outcome.duration_ns as f64 / 1e9);
        match &outcome.status {
            Status::Ok => println!("{job}: ok in {took}"),
            Status::Failed { kind, message } => println!("{job}: failed after {took}: {kind}: {}", table::plain(message)),
        }
        // A reading names its labels' values only; whoever has no labels need not ask for their keys.
        let has_labels = outcome.samples.iter().any(|sample| !sample.labels.is_empty());
        let mut metrics: Vec<MetricSpec> =
            if has_labels { context.ask(&cannot, Method::GET, &path(job, "metrics"))?.read()? } else { Vec::new() };
        metrics.extend(outcome.declared.iter().cloned());
        values::print(&outcome.samples, &metrics);
    }
    if outcome.status.is_ok() { Ok(()) } else { Err(Failure::Told(1)) }
}

fn switch(context: &Context, job: &str, how: &str) -> Outcome {
    let Switched { paused, changed } = context.ask(&format!("cannot {how} job `{job}`"), Method::POST, &path(job, how))?.read()?;
    if context.json {
        return print_json(&serde_json::json!({ "job": job, "paused": paused, "changed": changed }));
    }
    match (paused, changed) {
        (_, true) => println!("{job}: {how}d"),
        (true, false) => println!("{job}: was paused already"),
        (false, false) => println!("{job}: was not paused"),
    }
    Ok(())
}

fn release(context: &Context, job: &str) -> Outcome {
    let answer = context.ask(&format!("cannot release job `{job}`"), Method::POST, &path(job, "release"))?;
    let Released { released } = answer.read()?;
    if context.json {
        return print_json(&serde_json::json!({ "job": job, "released": released }));
    }
    println!("{job}: {}", if released { "released; it runs when it is due" } else { "was not held" });
    Ok(())
}

fn path(job: &str, what: &str) -> String {
    format!("/api/v1/jobs/{}/{what}", encoded(job))
}
