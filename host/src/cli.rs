//! The commands, one file each.

mod agents;
mod check;
mod client;
mod events;
mod explain;
mod fetch;
mod generate;
mod jobs;
mod load;
mod measure;
mod plan;
mod reload;
mod run;
mod status;
mod table;
mod time;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::config::Faults;

/// Measures messaging services: every phase of every protocol, stored, exposed, explained.
#[derive(Parser)]
#[command(name = "watchpost", version, propagate_version = true, arg_required_else_help = true)]
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

#[derive(Subcommand)]
enum Command {
    /// Runs the daemon until SIGTERM; SIGHUP reloads.
    #[command(after_help = "Example: watchpost run --config /etc/watchpost/watchpost.toml")]
    Run(run::Arguments),
    /// Checks the configuration, its secrets and its plugins, and names every fault.
    #[command(after_help = "Example: watchpost check --config watchpost.toml")]
    Check,
    /// Lists the agents that the plugin folders carry, or explains one.
    #[command(after_help = "Example: watchpost agents smtp")]
    Agents(agents::Arguments),
    /// Shows when jobs run next, in their own zone.
    #[command(after_help = "Example: watchpost plan pop-paris -n 5")]
    Plan(plan::Arguments),
    /// Measures once, now, and stores nothing.
    #[command(
        after_help = "Examples:\n  watchpost measure pop-paris --explain\n  watchpost measure --agent smtp --set host=mail.example.org --as-check"
    )]
    Measure(measure::Arguments),
    /// Tells the health of daemon, workers and jobs.
    #[command(after_help = "Example: watchpost status")]
    Status,
    /// Gives stored values of series as a table or as JSON.
    #[command(after_help = "Example: watchpost fetch 'connect_time{job=\"pop-paris\"}' --from now-1h --format csv")]
    Fetch(fetch::Arguments),
    /// Lists what agents and the daemon reported: the latest, oldest first.
    #[command(after_help = "Example: watchpost events --job pop-paris --since now-2d --severity minor")]
    Events(events::Arguments),
    /// Lists jobs, runs one now, pauses or resumes one.
    #[command(after_help = "Example: watchpost jobs run pop-paris")]
    Jobs(jobs::Arguments),
    /// Makes the daemon take its changed configuration, whole or not at all.
    #[command(after_help = "Example: watchpost reload")]
    Reload,
    /// Prints the completions of a shell.
    #[command(after_help = "Example: watchpost completions bash > /etc/bash_completion.d/watchpost")]
    Completions(generate::Completions),
    /// Writes the man pages, one for each command.
    #[command(after_help = "Example: watchpost man --output /usr/local/share/man/man1")]
    Man(generate::Man),
}

/// What every command gets.
struct Context {
    /// The file named by `--config`.
    config: Option<PathBuf>,
    /// Whether programs read the answer.
    json: bool,
}

/// How a command failed; it has told why by then, or tells it now.
enum Failure {
    /// The thing failed: exit 1.
    Failed(String),
    /// Wrong usage or configuration: exit 2.
    Wrong(String),
    /// The configuration has faults: exit 2.
    Faults(Faults),
    /// Told already: this exit code.
    Told(u8),
}

impl Failure {
    /// The thing failed, for this reason.
    fn of(what: &str, error: &dyn std::error::Error) -> Self {
        Self::Failed(format!("{what}: {}", crate::chain(error)))
    }
}

type Outcome = Result<(), Failure>;

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    // A reader that had enough (`| head`) ends us quietly instead of with a panic.
    restore_sigpipe();
    if !matches!(std::env::args().nth(1).as_deref(), Some("run")) {
        tell_a_full_disk();
    }
    let Arguments { config, json, command } = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(refusal) => return refused(&refusal),
    };
    let context = Context { config, json };
    let done = match command {
        Command::Run(arguments) => run::run(&context, &arguments),
        Command::Check => check::run(&context),
        Command::Agents(arguments) => agents::run(&context, &arguments),
        Command::Plan(arguments) => plan::run(&context, &arguments),
        Command::Measure(arguments) => measure::run(&context, &arguments),
        Command::Status => status::run(&context),
        Command::Fetch(arguments) => fetch::run(&context, &arguments),
        Command::Events(arguments) => events::run(&context, &arguments),
        Command::Jobs(arguments) => jobs::run(&context, &arguments),
        Command::Reload => reload::run(&context),
        Command::Completions(arguments) => generate::completions(&arguments),
        Command::Man(arguments) => generate::man(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Failed(why)) => told(&why, 1),
        Err(Failure::Wrong(why)) => told(&why, 2),
        Err(Failure::Faults(faults)) => {
            eprintln!("{faults}");
            ExitCode::from(2)
        }
        Err(Failure::Told(code)) => ExitCode::from(code),
    }
}

/// Tells what is wrong with the arguments, or the help that was asked for.
fn refused(refusal: &clap::Error) -> ExitCode {
    let _nobody_reads = refusal.print();
    let wrong = refusal.use_stderr();
    // To Nagios, 2 would be a verdict on the target.
    let as_check = std::env::args().any(|argument| argument == "--as-check");
    ExitCode::from(match (wrong, as_check) {
        (false, _) => 0,
        (true, true) => 3,
        (true, false) => 2,
    })
}

fn told(why: &str, code: u8) -> ExitCode {
    eprintln!("error: {why}");
    ExitCode::from(code)
}

/// A runtime for commands: one thread is plenty.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|error| Failure::of("cannot start", &error))
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
