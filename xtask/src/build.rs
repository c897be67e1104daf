//! The release build. Whoever needs it asks for it here: in other words, cargo would build much of it once more.
//!
//! How a crate is built depends on what all packages of one command ask of it, the dependencies of their tests included as soon as one
//! example is among what is wanted. So the programs that benches measure with are a package that has none, and that asks of other crates
//! what the daemon, its worker and the agents' libraries ask together (`host/bench`); a wall among the host's tests holds that.

use crate::error::{Error, Outcome};
use crate::{process, test};

/// Builds the daemon, its worker and the agents' libraries.
pub(crate) fn release() -> Outcome {
    cargo(&[])
}

/// Builds these packages only, programs and libraries, with what all of the release ask of other crates. No example is among what is wanted
/// here: the dependencies of their tests would be, too.
pub(crate) fn only(packages: &[&str]) -> Outcome {
    let named = ["watchpost-bench", "watchpost-worker"].iter().chain(packages).flat_map(|name| ["--package", name]);
    cargo(&named.chain(["--lib", "--bins"]).collect::<Vec<_>>())
}

/// Builds what benches measure with, for which the release, or part of it, has been built: programs of their own, and agents that misbehave.
pub(crate) fn examples(names: &[&str]) -> Outcome {
    let named = names.iter().flat_map(|name| ["--example", name]);
    cargo(&["--package", "watchpost-bench", "--package", "watchpost-worker"].into_iter().chain(named).collect::<Vec<_>>())
}

fn cargo(words: &[&str]) -> Outcome {
    let status = process::attend(test::cargo("build")?.arg("--release").args(words))?;
    match status.success() {
        true => Ok(()),
        false => Err(Error::Program { program: [&["cargo build --release"], words].concat().join(" "), why: status.to_string() }),
    }
}
