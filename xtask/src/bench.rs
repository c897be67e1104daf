//! `cargo xtask bench NAME`: speed and cost of the release build, medians of several runs, printed and never asserted.

mod cost;
mod daemon;
mod imap;
mod logs;
mod newcomer;
mod probes;
mod replay;
mod rules;
mod schedule;
mod series;
mod start;
mod zoo;

use crate::build;
use crate::error::{Error, Outcome};
use crate::packages::{self, Use};
use std::process::ExitCode;

/// A measurement that ends within ten minutes.
struct Bench {
    name: &'static str,
    /// What it tells.
    tells: &'static str,
    run: fn() -> Outcome,
    /// What is built for it.
    build: fn() -> Outcome,
    /// What it needs beside the build.
    needs: &'static [Use],
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "start",
        tells: "from start to ready with 2,000 jobs, how their first runs spread, memory at rest",
        run: start::run,
        build: build::release,
        needs: &[],
    },
    Bench {
        name: "logs",
        tells: "lines of a mail log counted in a second of CPU, beside mtail and pflogsumm",
        run: logs::run,
        build: build::release,
        needs: &[Use::Bench],
    },
    Bench {
        name: "imap",
        tells: "CPU of a session by IMAP over TLS, beside what check_imap and blackbox_exporter can do of it",
        run: imap::run,
        build: build::release,
        needs: &[Use::Lab, Use::Bench],
    },
    Bench {
        name: "probes",
        tells: "CPU of a session by SMTP with 10,000 in flight, in a worker, in one process and by sockets alone, beside blackbox_exporter; memory of 5,000",
        run: probes::run,
        build: probes::build,
        needs: &[Use::Bench],
    },
    Bench {
        name: "newcomer",
        tells: "from new-agent to the first value of the new agent in the store of a daemon that runs",
        run: newcomer::run,
        build: build::release,
        needs: &[],
    },
    Bench {
        name: "rules",
        tells: "CPU of two rules on each of 100,000 series, beside Prometheus",
        run: rules::run,
        build: build::release,
        needs: &[Use::Bench],
    },
    Bench {
        name: "schedule",
        tells: "how late 10,000 jobs start with one core kept busy, and the jobs of one library while another is replaced; drift of a month",
        run: schedule::run,
        build: build::release,
        needs: &[],
    },
    Bench {
        name: "replay",
        tells: "how long a rule takes to be held to a year of 100 series",
        run: replay::run,
        build: build::release,
        needs: &[],
    },
    Bench {
        name: "series",
        tells: "what an update of an RRD file costs and what of it a crash takes, beside rrdtool, rrdcached and collectd; answers; ten thousand files",
        run: series::run,
        build: build::release,
        needs: &[Use::Bench],
    },
    Bench {
        name: "zoo",
        tells: "every way in which an agent misbehaves: what it is taken for, how soon, and what it costs other libraries' jobs",
        run: zoo::run,
        build: zoo::build,
        needs: &[],
    },
];

/// Runs `bench NAME`; without a name lists what can be measured.
pub(crate) fn run(words: &[String]) -> Outcome<ExitCode> {
    let lines: Vec<String> = BENCHES.iter().map(|bench| format!("  {:<10} {}", bench.name, bench.tells)).collect();
    let bench = match words {
        [] => {
            println!("{}", lines.join("\n"));
            return Ok(ExitCode::SUCCESS);
        }
        [name] => BENCHES.iter().find(|bench| bench.name == name),
        _ => None,
    };
    let Some(bench) = bench else {
        return Err(Error::Usage(format!("measure what? there are:\n{}", lines.join("\n"))));
    };
    packages::check_build(&packages::ensure(&[&[Use::Build], bench.needs].concat())?)?;
    (bench.build)()?;
    (bench.run)().map(|()| ExitCode::SUCCESS)
}
