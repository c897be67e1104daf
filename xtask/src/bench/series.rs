//! What series files cost: CPU and bytes of an update, acknowledged samples that a crash takes, beside rrdtool, rrdcached and collectd; how
//! soon is answered; what a store of ten thousand files takes of a core and of memory; what a large workbook takes.
//!
//! All of it is measured by `host/bench/examples/series`, which says how.

use super::cost::Folder;
use crate::error::{Error, Outcome};
use crate::{build, place, process};
use std::process::Command;

/// Files, samples of each, and rounds: enough for ticks of 10 ms to be fine, few enough for a small disk.
const PEERS: [&str; 3] = ["300", "240", "3"];
/// Files, and slots of ten seconds: eleven minutes, so that each file is written at least once.
const LARGE: [&str; 2] = ["10000", "66"];
/// Values of the workbook.
const VALUES: &str = "1000000";

pub(super) fn run() -> Outcome {
    build::examples(&["series"])?;
    let program = place::built("release")?.join("examples/series");
    let folder = Folder::make("series")?;
    let within = |name: &str| folder.0.join(name).display().to_string();
    let words = |first: &[&str], rest: &[&str]| [first, rest].concat().iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    for words in [
        words(&["peers", &within("peers")], &PEERS),
        words(&["answers", &within("answers")], &[]),
        words(&["xlsx", VALUES], &[]),
        words(&["large", &within("large")], &LARGE),
    ] {
        let status = process::attend(Command::new(&program).args(&words))?;
        if !status.success() {
            return Err(Error::Program { program: format!("series {}", words.join(" ")), why: status.to_string() });
        }
    }
    Ok(())
}
