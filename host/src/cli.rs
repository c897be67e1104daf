//! The commands, one file each.

mod agents;
mod alarms;
mod as_check;
mod asked;
mod backup;
mod capacity;
mod check;
mod client;
mod coverage;
mod elsewhere;
mod events;
mod explain;
mod failure;
mod fetch;
mod generate;
mod graph;
mod init;
mod job_table;
mod jobs;
mod load;
mod maintenance;
mod measure;
mod new_agent;
mod notify;
mod opcmsg;
mod past;
mod plan;
mod plugins;
mod reload;
mod rosters;
mod rule_replay;
mod rule_standing;
mod rule_suggest;
mod rule_test;
mod rules;
mod run;
mod series;
mod sheet;
mod sla;
mod status;
mod table;
mod terminal;
mod test_agent;
mod time;
mod values;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use failure::{Failure, Outcome};

/// Measures messaging services: every phase of every protocol, stored, exposed, explained.
#[derive(Parser)]
#[command(name = "watchpost", version, propagate_version = true, arg_required_else_help = true, after_help = HELP)]
struct Arguments {
    /// The main configuration file [default: ./watchpost.toml, then /etc/watchpost/watchpost.toml].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answers in JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

/// What the whole of the command line has in common.
const HELP: &str = "Exit codes: 0 fine, 1 the thing failed, 2 wrong usage or configuration.

Examples:
  watchpost check
  watchpost measure pop-paris --explain";

#[derive(Subcommand)]
enum Command {
    /// Runs the daemon until SIGTERM; SIGHUP reloads.
    #[command(after_help = "Examples:\n  watchpost run\n  watchpost run --config watchpost.toml --log json --log-level debug")]
    Run(run::Arguments),
    /// Writes a first schedule, from a look at the servers of a domain.
    #[command(after_help = init::EXAMPLES)]
    Init(init::Arguments),
    /// Checks the configuration, its secrets and its plugins, and names every fault.
    #[command(after_help = "Examples:\n  watchpost check\n  watchpost check --config watchpost.toml --json")]
    Check,
    /// Lists the agents that the plugin folders carry, or explains one.
    #[command(after_help = "Examples:\n  watchpost agents\n  watchpost agents smtp")]
    Agents(agents::Arguments),
    /// Shows when jobs run next, in their own zone.
    #[command(after_help = "Examples:\n  watchpost plan\n  watchpost plan pop-paris -n 5")]
    Plan(plan::Arguments),
    /// Measures once, now, and stores nothing.
    #[command(after_help = measure::EXAMPLES)]
    Measure(measure::Arguments),
    /// Tells the health of daemon, workers and jobs.
    #[command(after_help = "Examples:\n  watchpost status\n  watchpost status --json")]
    Status,
    /// Gives stored values of series as a table or as JSON.
    #[command(after_help = fetch::EXAMPLES)]
    Fetch(fetch::Arguments),
    /// Says how much series grow in a day, and when they reach a limit.
    #[command(after_help = capacity::EXAMPLES)]
    Capacity(capacity::Arguments),
    /// Draws series as a picture.
    #[command(after_help = graph::EXAMPLES)]
    Graph(graph::Arguments),
    /// Lists the series that are kept, or tells all that is known of some.
    #[command(after_help = "Examples:\n  watchpost series\n  watchpost series show 'up{job=\"pop-paris\"}'")]
    Series(series::Arguments),
    /// Tells service levels: what was promised, what was kept, what may still be bad.
    #[command(after_help = sla::EXAMPLES)]
    Sla(sla::Arguments),
    /// Says which rows of a table of figures have a value.
    #[command(after_help = coverage::EXAMPLES)]
    Coverage(coverage::Arguments),
    /// Lists what agents and the daemon reported: the latest, oldest first.
    #[command(after_help = "Examples:\n  watchpost events\n  watchpost events --job pop-paris --since now-2d --severity minor")]
    Events(events::Arguments),
    /// Lists alarms, explains one, acknowledges, annotates, shelves or closes it.
    #[command(after_help = alarms::EXAMPLES)]
    Alarms(alarms::Arguments),
    /// Lists channels and what waits for them, tests one, prints the MIB.
    #[command(after_help = notify::EXAMPLES)]
    Notify(notify::Arguments),
    /// Lists who is on duty, and shows when.
    #[command(after_help = rosters::EXAMPLES)]
    Rosters(rosters::Arguments),
    /// Lists what is an alarm, and how bad.
    #[command(after_help = "Examples:\n  watchpost rules\n  watchpost rules list --json")]
    Rules(rules::Arguments),
    /// Announces maintenance, in which nobody is told of alarms; lists and ends it.
    #[command(after_help = maintenance::EXAMPLES)]
    Maintenance(maintenance::Arguments),
    /// Raises an alarm, or clears it, in the words of OpenView's opcmsg.
    #[command(after_help = opcmsg::EXAMPLES)]
    Opcmsg(opcmsg::Arguments),
    /// Lists jobs, runs one now, pauses, resumes or releases one.
    #[command(after_help = "Examples:\n  watchpost jobs\n  watchpost jobs run pop-paris")]
    Jobs(jobs::Arguments),
    /// Lists plugins, reloads, disables, installs or removes one.
    #[command(after_help = "Examples:\n  watchpost plugins\n  watchpost plugins install target/release/libspool.so")]
    Plugins(plugins::Arguments),
    /// Makes the daemon take its changed configuration, whole or not at all.
    ///
    /// Libraries that are new in the plugin folders are loaded. `data` and `listen` cannot change while it runs.
    #[command(after_help = "Example:\n  watchpost reload")]
    Reload,
    /// Copies the data folder, also while the daemon runs.
    #[command(after_help = backup::EXAMPLES)]
    Backup(backup::Arguments),
    /// Writes a first agent of your own: a crate or a script, with a test and a job.
    #[command(after_help = new_agent::EXAMPLES)]
    NewAgent(new_agent::Arguments),
    /// Tests whether a library's agents keep to what the host expects of them, and reports.
    #[command(after_help = test_agent::EXAMPLES)]
    TestAgent(test_agent::Arguments),
    /// Prints the completions of a shell.
    #[command(after_help = generate::COMPLETIONS_EXAMPLES)]
    Completions(generate::Completions),
    /// Writes the man pages, one for each command.
    #[command(after_help = "Example:\n  watchpost man --output ~/.local/share/man/man1")]
    Man(generate::Man),
}

/// What every command gets.
struct Context {
    /// The file named by `--config`.
    config: Option<PathBuf>,
    /// Whether programs read the answer.
    json: bool,
}

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    // A reader that had enough (`| head`) ends us quietly instead of with a panic.
    restore_sigpipe();
    let arguments = Arguments::try_parse_from(opcmsg::with_long_flags(std::env::args_os()));
    if !matches!(arguments, Ok(Arguments { command: Command::Run(_), .. })) {
        tell_a_full_disk();
    }
    let Arguments { config, json, command } = match arguments {
        Ok(arguments) => arguments,
        Err(refusal) => return failure::refused(&refusal),
    };
    let context = Context { config, json };
    let done = match command {
        Command::Run(arguments) => run::run(&context, &arguments),
        Command::Init(arguments) => init::run(&context, &arguments),
        Command::Check => check::run(&context),
        Command::Agents(arguments) => agents::run(&context, &arguments),
        Command::Plan(arguments) => plan::run(&context, &arguments),
        Command::Measure(arguments) => measure::run(&context, &arguments),
        Command::Status => status::run(&context),
        Command::Fetch(arguments) => fetch::run(&context, &arguments),
        Command::Capacity(arguments) => capacity::run(&context, &arguments),
        Command::Graph(arguments) => graph::run(&context, &arguments),
        Command::Series(arguments) => series::run(&context, &arguments),
        Command::Sla(arguments) => sla::run(&context, &arguments),
        Command::Coverage(arguments) => coverage::run(&context, &arguments),
        Command::Events(arguments) => events::run(&context, &arguments),
        Command::Alarms(arguments) => alarms::run(&context, &arguments),
        Command::Maintenance(arguments) => maintenance::run(&context, &arguments),
        Command::Opcmsg(arguments) => opcmsg::run(&context, &arguments),
        Command::Notify(arguments) => notify::run(&context, &arguments),
        Command::Rosters(arguments) => rosters::run(&context, &arguments),
        Command::Rules(arguments) => rules::run(&context, &arguments),
        Command::Jobs(arguments) => jobs::run(&context, &arguments),
        Command::Plugins(arguments) => plugins::run(&context, &arguments),
        Command::Reload => reload::run(&context),
        Command::Backup(arguments) => backup::run(&context, &arguments),
        Command::NewAgent(arguments) => new_agent::run(&context, &arguments),
        Command::TestAgent(arguments) => test_agent::run(&context, &arguments),
        Command::Completions(arguments) => generate::completions(&arguments),
        Command::Man(arguments) => generate::man(&arguments),
    };
    done.map_or_else(Failure::tell, |()| ExitCode::SUCCESS)
}

/// A runtime for commands: one thread is plenty.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|error| Failure::of("cannot start the runtime", &error))
}

/// Writes an answer for programs.
fn print_json<T: serde::Serialize>(answer: &T) -> Outcome {
    let text = serde_json::to_string_pretty(answer).map_err(|error| Failure::of("cannot write the answer", &error))?;
    println!("{text}");
    Ok(())
}

/// An answer that cannot be written is an error, not a panic with a backtrace.
fn tell_a_full_disk() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let said = info.payload().downcast_ref::<String>().map(String::as_str).unwrap_or_default();
        match said.strip_prefix("failed printing to stdout: ") {
            Some(why) => {
                eprintln!("error: cannot write the answer: {}", crate::without_number(why));
                std::process::exit(1);
            }
            None => usual(info),
        }
    }));
}

#[expect(unsafe_code, reason = "Rust ignores SIGPIPE from the start, and has no safe way back")]
fn restore_sigpipe() {
    // SAFETY: a plain signal(2) before any thread is started. The daemon ignores it again.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}
