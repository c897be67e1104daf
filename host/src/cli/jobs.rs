//! `watchpost jobs`

use clap::Subcommand;
use hyper::Method;

use super::{Context, Failure, Outcome, print_json, status, time};
use crate::{
    daemon::{now_ns, status::Job},
    reading::Reading,
};
use watchpost_services::outcome::Status;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the jobs of the running daemon.
    List,
    /// Runs a job now, in the daemon; the result is stored as the job's latest.
    Run {
        /// The job's name.
        job: String,
    },
    /// Stops starting a job's runs, over restarts, until it is resumed.
    Pause {
        /// The job's name.
        job: String,
    },
    /// Starts a paused job's runs again.
    Resume {
        /// The job's name.
        job: String,
    },
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    match arguments.command.as_ref().unwrap_or(&Command::List) {
        Command::List => list(context),
        Command::Run { job } => run_now(context, job),
        Command::Pause { job } => switch(context, job, "pause"),
        Command::Resume { job } => switch(context, job, "resume"),
    }
}

fn list(context: &Context) -> Outcome {
    let jobs: Vec<Job> = context.ask(Method::GET, "/api/v1/jobs")?.read()?;
    if context.json {
        return print_json(&jobs);
    }
    status::jobs(&jobs, now_ns() as f64 / 1e9);
    Ok(())
}

fn run_now(context: &Context, job: &str) -> Outcome {
    let reading: Reading = context.ask(Method::POST, &format!("/api/v1/jobs/{job}/run"))?.read()?;
    if context.json {
        print_json(&reading)?;
    } else {
        let took = time::short(reading.outcome.duration_ns as f64 / 1e9);
        match &reading.outcome.status {
            Status::Ok => println!("{job}: ok in {took}"),
            Status::Failed { kind, message } => println!("{job}: failed after {took}: {kind}: {}", super::table::plain(message)),
        }
        for sample in &reading.outcome.samples {
            println!(
                "  {}{} = {}",
                sample.metric,
                if sample.labels.is_empty() { String::new() } else { format!("{:?}", sample.labels) },
                sample.value
            );
        }
    }
    if reading.outcome.status.is_ok() { Ok(()) } else { Err(Failure::Told(1)) }
}

fn switch(context: &Context, job: &str, how: &str) -> Outcome {
    context.ask(Method::POST, &format!("/api/v1/jobs/{job}/{how}"))?.success()?;
    if context.json {
        return print_json(&serde_json::json!({ "job": job, "paused": how == "pause" }));
    }
    println!("{job}: {how}d");
    Ok(())
}
