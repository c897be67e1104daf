//! Needs that no sandbox grants: a job that is to touch a secret, the configuration or the data folder would fail at each run.

use std::path::{Path, PathBuf};

use watchpost_worker::confine::Forbidden;

use super::{Job, hold::key_above};
use crate::config::{Config, Fault, Guarded, Rule};

/// Tells of every such need, where the config names it.
pub(super) fn faults(config: &Config, jobs: &[Job]) -> Vec<Fault> {
    let guarded = config.guarded();
    let forbidden = Forbidden::of(guarded.keys().map(PathBuf::as_path));
    let mut faults = Vec::new();
    for job in jobs.iter().filter(|job| job.plugin.is_sandboxed()) {
        let needs = &job.examined.needs;
        for path in needs.files.iter().chain(&needs.removes).chain(&needs.programs) {
            faults.extend(forbidden.holds(path).and_then(|held| guarded.get(held)).map(|what| fault(job, path, *what)));
        }
    }
    faults
}

fn fault(job: &Job, path: &Path, what: Guarded) -> Fault {
    let key = key_above(job.bound.config(), path).unwrap_or_default();
    let shown = if key.is_empty() { "config" } else { key.as_str() };
    let (why, hint) = in_words(what);
    let message = format!("`{shown}`: {} {why}, and no agent is ever given that", path.display());
    Fault::new(Rule::NeedGuarded, job.config.asks.place_of(&key), message).hint(hint)
}

/// What is at such a path, and what would be right.
fn in_words(what: Guarded) -> (&'static str, &'static str) {
    match what {
        Guarded::Secret => ("holds a secret", "name another file; a key that takes a secret is given it by { file = \"…\" }"),
        Guarded::Configuration => ("is part of this configuration, which may hold secrets", "name another file"),
        Guarded::Data => ("is in the data folder", "name what is outside of it"),
    }
}
