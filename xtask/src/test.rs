//! `cargo xtask test`: what the tests need, the build, the tests, and how long each took.

use crate::error::{Error, Outcome};
use crate::packages::{self, Use};
use crate::{place, privilege, process, prove};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Runs `test [-- ARGUMENTS]`; the arguments go to `cargo test`.
pub(crate) fn run(words: &[String]) -> Outcome<ExitCode> {
    let arguments = match words.split_first() {
        None => words,
        Some((first, rest)) if first == "--" => rest,
        Some((first, _)) => return Err(Error::Usage(format!("`{first}`: arguments of cargo test follow `--`"))),
    };
    let mut stages = Stages::default();
    let outcome = all(arguments, &mut stages);
    stages.print();
    outcome
}

fn all(arguments: &[String], stages: &mut Stages) -> Outcome<ExitCode> {
    let uses = [Use::Build, Use::Lab, Use::Tests];
    let missing = stages.time("packages", || packages::ensure(&uses))?;
    packages::check_build(&missing)?;
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    if !names.is_empty() {
        eprintln!("left out: what needs {}", names.join(", "));
    }
    let mut build = cargo("build")?;
    build.args(["--workspace"]);
    let built = stages.time("build", || process::attend(&mut build))?;
    if !built.success() {
        return Ok(prove::code(built));
    }
    let mut test = cargo("test")?;
    test.args(["--workspace"]).args(arguments);
    if !names.is_empty() {
        test.env("WATCHPOST_TESTS_WITHOUT", names.join(" "));
    }
    stages.time("tests", || process::attend(&mut test)).map(prove::code)
}

/// Begins a cargo command in the workspace that knows where this program is: tests start labs with it.
pub(crate) fn cargo(word: &str) -> Outcome<Command> {
    let mut command = Command::new(place::cargo());
    command.arg(word).current_dir(place::workspace());
    command.env("WATCHPOST_XTASK", privilege::own_program()?);
    Ok(command)
}

/// How long each stage took.
#[derive(Default)]
struct Stages(Vec<(&'static str, Duration)>);

impl Stages {
    fn time<T>(&mut self, name: &'static str, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let result = work();
        self.0.push((name, begun.elapsed()));
        result
    }

    fn print(&self) {
        let parts = self.0.iter().map(|(name, took)| format!("{name} {:.1} s", took.as_secs_f64()));
        eprintln!("{}", parts.collect::<Vec<_>>().join(", "));
    }
}
