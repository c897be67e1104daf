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

/// Builds what benches measure with, for which the release has been built: programs of their own, and agents that misbehave.
pub(crate) fn examples() -> Outcome {
    cargo(&["--package", "watchpost-bench", "--package", "watchpost-plugin-api", "--package", "watchpost-worker", "--examples"])
}

fn cargo(words: &[&str]) -> Outcome {
    let status = process::attend(test::cargo("build")?.arg("--release").args(words))?;
    match status.success() {
        true => Ok(()),
        false => Err(Error::Program { program: [&["cargo build --release"], words].concat().join(" "), why: status.to_string() }),
    }
}
