//! The house's own work: packages, the lab of real servers, the demo, the tests.
//!
//! Reading order: [`packages`] knows what each piece of work needs, [`lab`] runs real servers,
//! [`demo`] and [`test`] put both to use. It needs the standard library and libc alone, because
//! it is compiled first, on a machine where nothing is installed yet.

mod arguments;
mod bench;
mod build;
mod demo;
mod error;
mod lab;
mod packages;
mod place;
mod privilege;
mod process;
mod programs;
mod progress;
mod prove;
mod signal;
mod template;
mod test;
mod user;

use error::{Error, Outcome};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  demo  [--keep] [--once] [--port-base N] [--listen ADDR] [--built FOLDER]
        installs, builds, starts the lab and watchpost on it; Ctrl-C ends it; --once ends by
        itself when every job has a value; --built runs what lies in that folder of target/
  test  [-- ARGUMENTS OF cargo test]
        installs what the tests need, builds and runs them all
  lab   up|down|status|stall|resume [SERVER…] [--dir DIR] [--port-base N]
        real servers on loopback; `up --hold` keeps them until standard input closes,
        `--wipe` removes the folder afterwards; N is the first of a hundred ports, or `free`;
        a server that is stalled keeps its ports open and answers nobody until it is resumed
  lab   env [--json] | schedule FILE    [--dir DIR] [--port-base N]
        where the lab is, for tests; a schedule with the lab's ports and paths filled in
  packages build|lab|tests|bench [--check]
        installs what is missing; --check only names it
  prove NAME
        runs one of the long proofs; without a name lists them
  bench NAME
        measures the release build; without a name lists what can be measured";

fn main() -> ExitCode {
    signal::catch();
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(code) => code,
        Err(error) => {
            error::print(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(words: &[String]) -> Outcome<ExitCode> {
    let Some((command, rest)) = words.split_first() else {
        return Err(Error::Usage(USAGE.into()));
    };
    match command.as_str() {
        "demo" => demo::run(rest),
        "test" => test::run(rest),
        "lab" => lab::run(rest),
        "packages" => packages::run(rest),
        "prove" => prove::run(rest),
        "bench" => bench::run(rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        other => Err(Error::Usage(format!("no command `{other}`\n\n{USAGE}"))),
    }
}
