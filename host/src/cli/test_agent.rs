//! `watchpost test-agent`

use std::{
    cell::Cell,
    io::{IsTerminal, Write, stderr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{
    Context,
    failure::{Failure, Outcome},
    load::now,
    print_json, runtime,
    table::{self, counted, plain},
};
use crate::{
    config::{self, Faults},
    conformance::{Check, RUNS, Trial, Verdict},
    job::{Job, bind},
    plugin::Plugins,
    schedule::parse_span,
};

pub(super) const EXAMPLES: &str =
    "What an agent is measured with: --set, or the jobs of --jobs, or those of the configuration that --config names, or those of the \
     sample.toml beside the library or up to three folders above it. A job that acts on the world is run 10 times at most.

Examples:
  watchpost test-agent spool/target/release/libspool.so --runs 50
  watchpost test-agent plugins/libspool.so --jobs jobs.toml --runs 20";

/// What a library's jobs stand in where nothing else is said.
const SAMPLE: &str = "sample.toml";
/// Folders above a library that are looked in: a crate's own is three above what cargo builds.
const ABOVE: usize = 4;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The library.
    file: PathBuf,
    /// A schedule whose jobs the agents are tested with.
    #[arg(long, value_name = "FILE", conflicts_with = "sets")]
    jobs: Option<PathBuf>,
    /// The agent that --set is for, if the library carries several.
    #[arg(long, requires = "sets")]
    agent: Option<String>,
    /// One key of the agent's configuration; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Runs of each job, to see whether it keeps what it should give back.
    #[arg(long, value_name = "N", default_value_t = RUNS, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How long the runs of a job may take in all; the rest is left out.
    #[arg(long, value_name = "SPAN", default_value = "10m", value_parser = span)]
    within: Duration,
}

#[derive(Serialize)]
struct Answer {
    library: PathBuf,
    package: String,
    version: String,
    interface: String,
    ok: bool,
    jobs: Vec<Tried>,
    /// Agents of the library that no job is there for.
    untested: Vec<String>,
}

#[derive(Serialize)]
struct Tried {
    job: String,
    agent: String,
    target: String,
    checks: Vec<Check>,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let answer = runtime()?.block_on(test(context, arguments))?;
    let ok = answer.ok;
    if context.json {
        print_json(&answer)?;
    } else {
        show(&answer);
    }
    if ok { Ok(()) } else { Err(Failure::Told(1)) }
}

async fn test(context: &Context, arguments: &Arguments) -> Result<Answer, Failure> {
    let cannot = format!("cannot test {}", arguments.file.display());
    let path = std::path::absolute(&arguments.file).map_err(|error| Failure::of(&cannot, &error))?;
    std::fs::metadata(&path).map_err(|error| Failure::of(&cannot, &error))?;
    let none = Plugins::default();
    let plugins = none.with(none.start(&path, &path).await.map_err(|why| Failure::failed(&cannot, why))?);
    let tried = try_all(context, arguments, &plugins, &cannot).await;
    plugins.stop().await;
    let (jobs, untested) = tried?;
    let Some(plugin) = plugins.all().first() else { return Err(Failure::failed(cannot, "it is not loaded")) };
    let library = plugin.descriptor();
    let failed = jobs.iter().flat_map(|tried| &tried.checks).any(|check| check.verdict == Verdict::Failed);
    Ok(Answer {
        library: path,
        package: library.package.clone(),
        version: library.version.clone(),
        interface: library.interface.clone(),
        ok: !failed && untested.is_empty(),
        jobs,
        untested,
    })
}

async fn try_all(context: &Context, arguments: &Arguments, plugins: &Plugins, cannot: &str) -> Result<(Vec<Tried>, Vec<String>), Failure> {
    let carried: Vec<&str> = plugins.agent_names().collect();
    let wanted = wanted(context, arguments, &carried, cannot)?;
    let mut tried = Vec::new();
    for job in wanted.iter().filter(|job| carried.contains(&job.asks.agent.value.as_str())) {
        let job: Job = bind(job, plugins).await.map_err(|faults| Failure::Faults(Faults::from(faults)))?;
        let (name, agent) = (job.name().to_owned(), job.config.asks.agent.value.clone());
        let progress = Progress::of(&name);
        let checks = Trial::new(&job, arguments.runs, arguments.within, &|now| progress.show(now)).checks().await;
        drop(progress);
        tried.push(Tried { job: name, agent, target: job.examined.target.clone(), checks });
    }
    let untested = carried.iter().filter(|agent| !tried.iter().any(|tried| tried.agent == **agent));
    let untested = untested.map(ToString::to_string).collect();
    Ok((tried, untested))
}

/// The jobs that agents are tested with.
fn wanted(context: &Context, arguments: &Arguments, carried: &[&str], cannot: &str) -> Result<Vec<config::Job>, Failure> {
    if let Some(agent) = arguments.agent.as_deref().filter(|agent| !carried.contains(agent)) {
        return Err(Failure::wrong(cannot, format!("it carries {}, and no agent `{}`", carried.join(", "), plain(agent))));
    }
    if !arguments.sets.is_empty() {
        let agent = match (&arguments.agent, carried) {
            (Some(agent), _) => agent.as_str(),
            (None, [agent]) => agent,
            (None, _) => return Err(Failure::wrong(cannot, format!("it carries {}; say which by --agent", carried.join(", ")))),
        };
        return Ok(vec![config::ad_hoc(agent, &arguments.sets, now()).map_err(Failure::Faults)?]);
    }
    if let Some(file) = &arguments.jobs {
        return config::jobs_of(file, now()).map_err(Failure::Faults);
    }
    if context.config.is_some() {
        return Ok(context.load()?.config.jobs);
    }
    let whole = std::path::absolute(&arguments.file).unwrap_or_else(|_| arguments.file.clone());
    match whole.ancestors().skip(1).take(ABOVE).map(|folder| folder.join(SAMPLE)).find(|file| file.is_file()) {
        Some(file) => config::jobs_of(&file, now()).map_err(Failure::Faults),
        None => Err(Failure::wrong(cannot, "what it is to measure is not known: say --set, --jobs or --config; no sample.toml is near it")),
    }
}

/// Reads a span of time.
fn span(text: &str) -> Result<Duration, String> {
    parse_span(text).map_err(|error| crate::chain(&error))
}

/// A line at the terminal that says how far it is, gone when this is dropped; nothing where no person waits.
struct Progress<'a> {
    job: &'a str,
    /// When the line that stands there was written, and how long it is.
    shown: Cell<Option<(Instant, usize)>>,
}

impl<'a> Progress<'a> {
    /// How long a line stands before another takes its place.
    const STANDS: Duration = Duration::from_millis(100);
    /// A longer one would go on in the next line, and stay.
    const CHARS_MAX: usize = 79;

    fn of(job: &'a str) -> Self {
        Self { job, shown: Cell::new(None) }
    }

    fn show(&self, now: &str) {
        if stderr().is_terminal() && self.shown.get().is_none_or(|(shown, _)| shown.elapsed() > Self::STANDS) {
            self.write(&format!("{}: {now}", self.job).chars().take(Self::CHARS_MAX).collect::<String>());
        }
    }

    fn write(&self, line: &str) {
        let before = self.shown.get().map_or(0, |(_, chars)| chars);
        self.shown.set(Some((Instant::now(), line.chars().count())));
        // Who closed it does not want to know.
        let _gone = write!(stderr(), "\r{line:<before$}\r{line}");
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if self.shown.get().is_some() {
            self.write("");
        }
    }
}

fn show(answer: &Answer) {
    let file = answer.library.file_name().map(Path::new).unwrap_or(&answer.library);
    println!("{}: {} {}, interface {}", file.display(), plain(&answer.package), plain(&answer.version), plain(&answer.interface));
    for tried in &answer.jobs {
        println!("\n{} ({})", tried.job, tried.agent);
        let rows: Vec<Vec<String>> =
            tried.checks.iter().map(|check| vec![check.name.into(), word(check.verdict).into(), check.seen.clone()]).collect();
        table::print_text(&["check", "verdict", "seen"], &rows);
    }
    println!();
    for agent in &answer.untested {
        println!("no job for agent `{}`: it was not tested", plain(agent));
    }
    let count = |verdict| answer.jobs.iter().flat_map(|tried| &tried.checks).filter(|check| check.verdict == verdict).count();
    let left = match count(Verdict::LeftOut) {
        0 => String::new(),
        left => format!(", {left} left out"),
    };
    println!("{} passed, {} failed{left}", counted(count(Verdict::Passed), "check"), count(Verdict::Failed));
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "ok",
        Verdict::Failed => "FAILED",
        Verdict::LeftOut => "left out",
    }
}
