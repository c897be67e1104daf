//! `watchpost run`

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use super::{
    Context,
    failure::{Failure, Outcome},
};
use crate::{
    daemon::start::{self, StartError},
    log,
};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// How the log is written, on standard error.
    #[arg(long, value_enum, default_value = "text")]
    log: LogFormat,
    /// What is logged: error, warn, info, debug, or a filter as `watchpost=debug`, which may name libraries too.
    #[arg(long, default_value = "info", value_name = "LEVEL")]
    log_level: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    /// A line for people.
    Text,
    /// An object a line, for programs.
    Json,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    start_log(arguments)?;
    // `status` shows it to people who stand elsewhere.
    let file = context.file()?;
    let file = std::path::absolute(&file).unwrap_or(file);
    ignore_sigpipe();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::of("the daemon does not start", &error))?;
    let ended = runtime.block_on(start::run(file));
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    ended.map_err(|error| match error {
        StartError::Config(faults) => Failure::Faults(faults),
        StartError::Hindered(faults) => {
            eprintln!("{faults}");
            Failure::Told(1)
        }
        other => Failure::of("the daemon does not start", &other),
    })
}

fn start_log(arguments: &Arguments) -> Outcome {
    // What libraries say is told by whoever uses them, with what it is about.
    let of_level = arguments.log_level.parse::<LevelFilter>().ok().map(|level| format!("off,watchpost={level}"));
    let filter = EnvFilter::try_new(of_level.as_ref().unwrap_or(&arguments.log_level));
    let filter = filter.map_err(|error| Failure::wrong(format!("`--log-level {}`", arguments.log_level), error.to_string()))?;
    let form = match arguments.log {
        LogFormat::Text => log::Form::Text,
        LogFormat::Json => log::Form::Json,
    };
    log::start(form, filter);
    Ok(())
}

#[expect(unsafe_code, reason = "as for restoring it")]
fn ignore_sigpipe() {
    // SAFETY: a plain signal(2) before any thread is started.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}
