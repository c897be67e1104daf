//! `cargo xtask prove NAME`: tests that run a small count every day, run with their full one.

use crate::error::{Error, Outcome};
use crate::{process, test};
use std::process::{ExitCode, ExitStatus};

/// A test whose count comes from the environment.
struct Proof {
    name: &'static str,
    package: &'static str,
    /// The test target, `tests/<target>.rs` of the package; its library's own tests where there is none.
    target: &'static str,
    /// Which of its tests; all where nothing is said.
    only: &'static str,
    /// Another test target of the package that proves the same, with a count of its own from the same variable.
    beside: Option<&'static str>,
    /// The variable that holds the count.
    variable: &'static str,
    count: u32,
    /// Whether it proves how long something takes, which is that of a release.
    release: bool,
    /// What holds if it passes.
    shows: &'static str,
}

const PROOFS: &[Proof] = &[
    Proof {
        name: "kill",
        package: "watchpost",
        target: "kill",
        only: "",
        beside: None,
        variable: "WATCHPOST_PROVE_KILLS",
        count: 100,
        release: false,
        shows: "a daemon killed while it writes loses nothing that was acknowledged",
    },
    Proof {
        name: "journal",
        package: "watchpost-journal",
        target: "crash",
        only: "",
        beside: None,
        variable: "WATCHPOST_PROVE_KILLS",
        count: 200,
        release: false,
        shows: "a journal whose writer is killed keeps every acknowledged record",
    },
    Proof {
        name: "crash",
        package: "watchpost",
        target: "store",
        only: "a_killed_store",
        beside: None,
        variable: "WATCHPOST_PROVE_STORE_KILLS",
        count: 2000,
        release: false,
        shows: "a store killed while it writes, flushes and makes checkpoints loses no acknowledged reading, and every series file becomes \
                what a run that nobody interrupts makes of the same journal, byte for byte",
    },
    Proof {
        name: "power",
        package: "watchpost",
        target: "store",
        only: "a_power_cut",
        beside: None,
        variable: "WATCHPOST_PROVE_POWER_CUTS",
        count: 1000,
        release: false,
        shows: "a store whose machine loses its power, with any part of what was not synced on the disk, loses no acknowledged reading, and \
                every series file becomes what a run that nobody interrupts makes of the same journal, byte for byte",
    },
    Proof {
        name: "delivery",
        package: "watchpost",
        target: "",
        only: "daemon::delivery",
        beside: None,
        variable: "WATCHPOST_PROVE_DELIVERIES",
        count: 10_000,
        release: false,
        shows: "every step of every alarm's life arrives at a receiver that fails in all ways, told by a daemon that is killed at random: in \
                its order, and again only under the same id; so do digests of persons, and what is for whoever is on duty",
    },
    Proof {
        name: "tickets",
        package: "watchpost",
        target: "",
        only: "tickets::tests",
        beside: Some("tickets"),
        variable: "WATCHPOST_PROVE_TICKETS",
        count: 10_000,
        release: false,
        shows: "every alarm has exactly one ticket with every step in it and none is left open, in a system that fails in all ways, by a daemon \
                that is killed at random; what people do there is seen once, and what we do is taken for nobody's",
    },
    Proof {
        name: "storm",
        package: "watchpost",
        target: "",
        only: "daemon::storm",
        beside: None,
        variable: "WATCHPOST_PROVE_STORM",
        count: 100_000,
        release: true,
        shows: "when everything goes wrong at once every step of every alarm is stored at once and told soon, alone or with others",
    },
    Proof {
        name: "logs",
        package: "watchpost-maillog",
        target: "following",
        only: "",
        beside: None,
        variable: "WATCHPOST_PROVE_LOGS",
        count: 200,
        release: false,
        shows: "a log that is rotated, cut, compressed and written to late, read by a worker that is killed, has each line counted once",
    },
    Proof {
        name: "conformance",
        package: "watchpost",
        target: "lab",
        only: "conformance",
        beside: None,
        variable: "WATCHPOST_PROVE_CONFORMANCE",
        count: 1000,
        release: false,
        shows: "every shipped agent, run against real servers, keeps to what test-agent looks for",
    },
    Proof {
        name: "roundtrip",
        package: "watchpost-roundtrip",
        target: "journeys",
        only: "",
        beside: None,
        variable: "WATCHPOST_PROVE_ROUNDTRIPS",
        count: 1000,
        release: false,
        shows: "of messages delivered late, twice, in any order or never, sent by a worker that is killed, none that comes in time is lost, \
                none counts twice, and no other is touched",
    },
];

/// Runs `prove NAME`; without a name lists what can be proved.
pub(crate) fn run(words: &[String]) -> Outcome<ExitCode> {
    let Some(proof) = chosen(words)? else {
        println!("{}", list());
        return Ok(ExitCode::SUCCESS);
    };
    // The tests start programs of the whole workspace, which `cargo test --package` alone does not refresh.
    let built = process::attend(test::cargo("build")?.arg("--workspace"))?;
    if !built.success() {
        return Ok(code(built));
    }
    eprintln!("{} times: {}", proof.count, proof.shows);
    let proved = prove(proof, proof.target, proof.only)?;
    match proof.beside.filter(|_| proved.success()) {
        Some(target) => prove(proof, target, "").map(code),
        None => Ok(code(proved)),
    }
}

/// Runs the tests of one target with the proof's count.
fn prove(proof: &Proof, target: &str, only: &str) -> Outcome<ExitStatus> {
    let mut cargo = test::cargo("test")?;
    cargo.args(["--package", proof.package]);
    if proof.release {
        cargo.arg("--release");
    }
    match target {
        "" => cargo.arg("--lib"),
        target => cargo.args(["--test", target]),
    };
    cargo.args([only, "--", "--nocapture"]);
    cargo.env(proof.variable, proof.count.to_string());
    process::attend(&mut cargo)
}

/// The proof that is named; none if none is.
fn chosen(words: &[String]) -> Outcome<Option<&'static Proof>> {
    let wrong = |what: String| Error::Usage(format!("{what}; there are:\n{}", list()));
    match words {
        [] => Ok(None),
        [name] => PROOFS.iter().find(|proof| proof.name == name).map(Some).ok_or_else(|| wrong(format!("no proof `{name}`"))),
        _ => Err(wrong("one proof at a time".into())),
    }
}

/// Passes on how a program ended.
pub(crate) fn code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(1))
}

fn list() -> String {
    let lines = PROOFS.iter().map(|proof| format!("  {:<12} {} times: {}", proof.name, proof.count, proof.shows));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn an_unknown_proof_lists_all_and_is_wrong_usage() {
        for line in ["nothing", "kill journal"] {
            let error = run(&words(line)).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(PROOFS.iter().all(|proof| error.to_string().contains(proof.name)), "{error}");
        }
    }

    #[test]
    fn no_name_lists_all_and_is_no_error() {
        assert!(chosen(&[]).unwrap().is_none());
        assert_eq!(run(&[]).unwrap(), ExitCode::SUCCESS);
        assert_eq!(chosen(&words("kill")).unwrap().map(|proof| proof.name), Some("kill"));
    }
}
