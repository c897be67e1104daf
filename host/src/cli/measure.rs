//! `watchpost measure`

use std::path::PathBuf;

use serde::Serialize;
use watchpost_plugin_api::MetricSpec;
use watchpost_services::outcome::{Outcome as Measured, Status};

use super::{
    Context, as_check, explain,
    failure::{Failure, Outcome},
    load::{now, plugins, unknown_job},
    print_json, runtime,
    table::plain,
    time, values,
};
use crate::{
    config::{self, Faults},
    daemon::cursor_of,
    job::{Job, bind},
    plugin::{RunEnd, RunRequest},
};

pub(super) const EXAMPLES: &str = "A value of --set is what TOML takes it for, else a text as it stands; a dot leads into a table:
  --set port=25 --set submit=true --set password.file=secret

Examples:
  watchpost measure pop-paris
  watchpost measure pop-paris --explain
  watchpost measure --agent smtp --set host=127.0.0.1 --set port=2525
  watchpost measure --as-check --agent smtp --set host=127.0.0.1 --set port=2525";

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("what").args(["job", "agent"]).required(true).multiple(true))]
pub(super) struct Arguments {
    /// A job of the configuration.
    #[arg(conflicts_with = "agent")]
    job: Option<String>,
    /// An agent, with its configuration by `--set`, instead of a job; needs no configuration file.
    #[arg(long)]
    agent: Option<String>,
    /// One key of the agent's configuration; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "agent", conflicts_with = "job")]
    sets: Vec<String>,
    /// A folder with agent libraries [default: those of the configuration, else those beside this program].
    #[arg(long, value_name = "FOLDER", requires = "agent", conflicts_with = "job")]
    plugins: Vec<PathBuf>,
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

/// What is to be measured.
struct Chosen {
    job: config::Job,
    /// What the job's last good run left.
    cursor: Option<Vec<u8>>,
    /// Where its agent may be.
    folders: Vec<PathBuf>,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let measured = choose(context, arguments).and_then(|chosen| measure(context, arguments, chosen));
    let code = measured.map_err(|failure| if arguments.as_check { as_check::unknown(failure) } else { failure })?;
    if code == 0 { Ok(()) } else { Err(Failure::Told(code)) }
}

fn choose(context: &Context, arguments: &Arguments) -> Result<Chosen, Failure> {
    if let Some(agent) = &arguments.agent {
        let folders = context.plugin_folders(&arguments.plugins)?;
        let job = config::ad_hoc(agent, &arguments.sets, now()).map_err(Failure::Faults)?;
        return Ok(Chosen { job, cursor: None, folders });
    }
    let name = arguments.job.as_deref().unwrap_or_default();
    // A job without a fault can be measured, whatever is wrong with others.
    let file = context.file()?;
    let (draft, faults) = config::read(&file, now());
    let Some(config) = draft.config(&file) else { return Err(Failure::Faults(faults)) };
    match config.jobs.iter().find(|job| job.name.as_str() == name) {
        Some(job) => Ok(Chosen { job: job.clone(), cursor: cursor_of(&config.data.value, name), folders: config.plugin_folders() }),
        None if faults.hiding() > 0 => Err(Failure::Faults(faults)),
        None => Err(unknown_job(&format!("cannot measure job `{name}`"), name, &config.jobs)),
    }
}

/// Measures and tells; gives the exit code.
fn measure(context: &Context, arguments: &Arguments, chosen: Chosen) -> Result<u8, Failure> {
    let Chosen { job, cursor, folders } = chosen;
    let (job, end) = runtime()?.block_on(async {
        let plugins = plugins(&folders, &context.sandboxes()).await;
        let job = bind(&job, &plugins).await.map_err(|faults| Failure::Faults(faults.into()))?;
        job.plugin.open(job.open());
        let request = RunRequest { job: job.number, timeout: job.config.timeout, cursor, explain: arguments.explain || context.json };
        let end = job.run(request).await;
        plugins.stop().await;
        Ok((job, end))
    })?;
    if arguments.agent.is_some() && !job.warnings.is_empty() {
        // `check` tells those of a file; nobody else tells these.
        eprintln!("{}", Faults::from(job.warnings.clone()));
    }
    show(context, arguments, &job, &end)?;
    let status = &end.outcome.status;
    Ok(if arguments.as_check { as_check::code(status) } else { u8::from(!status.is_ok()) })
}

fn show(context: &Context, arguments: &Arguments, job: &Job, end: &RunEnd) -> Outcome {
    let (name, target, outcome) = (job.name(), &job.examined.target, &end.outcome);
    let metrics: Vec<MetricSpec> = job.shape.metrics.iter().chain(&outcome.declared).cloned().collect();
    if arguments.as_check {
        println!("{}", as_check::line(target, outcome, &metrics));
        return Ok(());
    }
    if context.json {
        return print_json(&Answer { job: name, target, up: outcome.status.up(), outcome, dialogue: &end.dialogue });
    }
    if arguments.explain {
        let slot = job.config.timing.timetable.next_after(now()).map(|due| job.config.timing.rhythm.step().slot(due).time().as_secs());
        // A run that is in no file has no schedule.
        explain::print(job, slot.filter(|_| arguments.agent.is_none()), end, &metrics);
        return Ok(());
    }
    match &outcome.status {
        Status::Ok => println!("{name}: ok: {} in {}", plain(target), time::short(outcome.duration_ns as f64 / 1e9)),
        Status::Failed { kind, message } => println!("{name}: failed: {}: {kind}: {}", plain(target), plain(message)),
    }
    values::print(&outcome.samples, &metrics);
    Ok(())
}
