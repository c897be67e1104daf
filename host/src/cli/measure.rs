//! `watchpost measure`

use serde::Serialize;
use watchpost_services::outcome::{Outcome as Measured, Status};

use super::{
    Context, Failure, Outcome, explain,
    load::{now, plugins},
    print_json, runtime,
    table::plain,
    time,
};
use crate::{
    config::{self, Config, Weight},
    job::{Job, bind},
    plugin::{RunEnd, RunRequest},
};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// A job of the configuration.
    #[arg(required_unless_present = "agent", conflicts_with = "agent")]
    job: Option<String>,
    /// An agent, with its configuration by `--set`, instead of a job.
    #[arg(long)]
    agent: Option<String>,
    /// One key of the agent's configuration: a TOML value, or a text as it stands.
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "agent")]
    sets: Vec<String>,
    /// Shows the dialogue with credentials masked, the phases, and what would be stored.
    #[arg(long)]
    explain: bool,
    /// Answers as a Nagios check: one line, exit code 0 ok, 2 critical, 3 unknown.
    #[arg(long, conflicts_with = "explain")]
    as_check: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    job: &'a str,
    target: &'a str,
    up: Option<f64>,
    outcome: &'a Measured,
    dialogue: &'a [watchpost_services::dialogue::Said],
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let done = measure(context, arguments);
    match (done, arguments.as_check) {
        (Err(Failure::Failed(why) | Failure::Wrong(why)), true) => {
            println!("WATCHPOST UNKNOWN - {}", plain(&why));
            Err(Failure::Told(3))
        }
        (Err(Failure::Faults(faults)), true) => {
            let first =
                faults.iter().find(|fault| fault.weight == Weight::Error).map_or("the configuration has faults", |fault| &fault.message);
            println!("WATCHPOST UNKNOWN - {}", plain(first));
            eprintln!("{faults}");
            Err(Failure::Told(3))
        }
        (Ok(code), _) => {
            if code == 0 {
                Ok(())
            } else {
                Err(Failure::Told(code))
            }
        }
        (Err(failure), _) => Err(failure),
    }
}

/// Measures and tells; gives the exit code.
fn measure(context: &Context, arguments: &Arguments) -> Result<u8, Failure> {
    let config = context.load()?.config;
    let chosen = choose(&config, arguments)?;
    let cursor = if arguments.job.is_some() { crate::daemon::cursor_of(&config.data.value, chosen.name.as_str()) } else { None };
    let (job, end) = runtime()?.block_on(async {
        let plugins = plugins(&config).await;
        let job = bind(&chosen, &plugins).await.map_err(|faults| Failure::Faults(faults.into()))?;
        job.plugin.open(job.open());
        let request = RunRequest { job: job.number, timeout: job.config.timeout, cursor, explain: arguments.explain || context.json };
        let end = job.run(request).await;
        plugins.stop().await;
        Ok((job, end))
    })?;
    show(context, arguments, &job, &end)?;
    Ok(match (arguments.as_check, end.outcome.status.is_ok(), end.outcome.status.up()) {
        (_, true, _) => 0,
        (true, false, None) => 3,
        (true, false, Some(_)) => 2,
        (false, false, _) => 1,
    })
}

fn choose(config: &Config, arguments: &Arguments) -> Result<config::Job, Failure> {
    if let Some(agent) = &arguments.agent {
        return config::ad_hoc(agent, &arguments.sets, now()).map_err(Failure::Faults);
    }
    let name = arguments.job.as_deref().unwrap_or_default();
    let found = config.jobs.iter().find(|job| job.name.as_str() == name);
    found.cloned().ok_or_else(|| Failure::Wrong(format!("there is no job `{name}`; `watchpost plan` lists all")))
}

fn show(context: &Context, arguments: &Arguments, job: &Job, end: &RunEnd) -> Outcome {
    let (name, target, outcome) = (job.name(), &job.examined.target, &end.outcome);
    if arguments.as_check {
        println!("{}", check_line(target, outcome));
        return Ok(());
    }
    if context.json {
        return print_json(&Answer { job: name, target, up: outcome.status.up(), outcome, dialogue: &end.dialogue });
    }
    if arguments.explain {
        let slot = job.config.timing.timetable.next_after(now()).map(|due| job.config.timing.rhythm.step().slot(due).time().as_secs());
        explain::print(name, target, slot, end);
        return Ok(());
    }
    match &outcome.status {
        Status::Ok => println!("{name}: ok: {target} in {}", time::short(outcome.duration_ns as f64 / 1e9)),
        Status::Failed { kind, message } => println!("{name}: failed: {target}: {kind}: {}", plain(message)),
    }
    for sample in &outcome.samples {
        let labels = if sample.labels.is_empty() { String::new() } else { format!(" {:?}", sample.labels) };
        println!("  {}{labels} = {}", sample.metric, sample.value);
    }
    Ok(())
}

/// Source: Monitoring Plugins Development Guidelines, "Plugin Output for Nagios", "Performance data".
fn check_line(target: &str, outcome: &Measured) -> String {
    let (word, text) = match &outcome.status {
        Status::Ok => ("OK", format!("answered in {}", time::short(outcome.duration_ns as f64 / 1e9))),
        Status::Failed { kind, message } => {
            (if outcome.status.up().is_some() { "CRITICAL" } else { "UNKNOWN" }, format!("{kind}: {message}"))
        }
    };
    let values = outcome.samples.iter().filter(|sample| sample.labels.is_empty());
    let perfdata: Vec<String> = values
        .map(|sample| format!("{}={}{}", sample.metric, sample.value, if sample.metric.ends_with("_time") { "s" } else { "" }))
        .collect();
    // A bar would begin the performance data.
    let text = plain(&text).replace('|', "/");
    format!("WATCHPOST {word} - {target}: {text} | {}", perfdata.join(" ")).trim_end_matches(" | ").to_owned()
}
