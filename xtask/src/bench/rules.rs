//! What two rules on each of 100,000 series cost, beside Debian's Prometheus: its CPU with the rules less that without, at the same scrape.
//!
//! All of it is measured by `host/bench/examples/rules.rs`, which says how.

use super::cost::Folder;
use crate::error::{Error, Outcome};
use crate::{build, place, process};
use std::process::Command;

pub(super) fn run() -> Outcome {
    build::examples(&["rules"])?;
    let program = place::built("release")?.join("examples/rules");
    let folder = Folder::make("rules")?;
    let status = process::attend(Command::new(&program).arg(&folder.0))?;
    if status.success() { Ok(()) } else { Err(Error::Program { program: "rules".into(), why: status.to_string() }) }
}
