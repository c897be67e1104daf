//! What is left of what may be bad, as a series: once a minute for each objective, over its period so far.
//!
//! `level{objective="…"}` and `budget_left{objective="…"}` are stored like what agents measure, under the job `objective@…`, and shown at
//! `/metrics` among the host's own.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    sync::Arc,
    time::Duration,
};

use sha2::{Digest, Sha256};
use tokio::{task::spawn_blocking, time::interval};
use tracing::warn;
use watchpost_plugin_api::{ErrorKind, Kind, MetricSpec, Unit};
use watchpost_services::outcome::{Outcome, Sample, Status};

use super::{Daemon, now_ns};
use crate::{
    config::Objective,
    log::trouble::Trouble,
    objective::{level::Level, tally},
    reading::{Cause, Reading, Record, Shape},
    schedule::UnixTime,
};

/// Seconds between two values.
const STEP_S: u32 = 60;
/// How often it is looked whether the next is due.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Characters of a job's name that are left for an objective's.
const NAME_CHARS_MAX: usize = 60;
/// Whose series these are.
const AGENT: &str = "objective";
const LEVEL: &str = "level";
const BUDGET_LEFT: &str = "budget_left";

/// Tells what is left until the daemon ends.
pub(super) async fn lead(daemon: Arc<Daemon>) {
    let mut looks = interval(LOOK_EVERY);
    let (mut told, mut unread, mut shown) = (0, Trouble::new(), BTreeSet::new());
    let mut shapes: HashMap<String, Shape> = HashMap::new();
    loop {
        looks.tick().await;
        let slot = now_ns() / 1_000_000_000 / i64::from(STEP_S) * i64::from(STEP_S);
        if slot <= told {
            continue;
        }
        told = slot;
        let config = daemon.config();
        let read = spawn_blocking(move || {
            let data = &config.data.value;
            config.objectives.iter().map(|objective| Ok((objective.clone(), level(data, objective)?))).collect::<Result<Vec<_>, String>>()
        });
        let read = read.await.unwrap_or_else(|error| Err(error.to_string()));
        match read {
            Ok(levels) => {
                unread.is_over(std::time::Instant::now());
                for (objective, level) in &levels {
                    daemon.metrics.objective_stands(&objective.name.value, level.level, level.budget_left);
                    let shape = shape(objective);
                    // Once is enough: each time the store looks for its file anew.
                    if shapes.get(&shape.job) != Some(&shape) {
                        drop(daemon.appender.append(&Record::Shape(shape.clone())));
                        shapes.insert(shape.job.clone(), shape);
                    }
                    drop(daemon.appender.append(&Record::Reading(reading(objective, level, slot))));
                }
                shapes.retain(|job, _| levels.iter().any(|(objective, _)| *job == self::job(&objective.name.value)));
                let now: BTreeSet<String> = levels.iter().map(|(objective, _)| objective.name.value.clone()).collect();
                shown.difference(&now).for_each(|gone: &String| daemon.metrics.objective_stands(gone, None, None));
                shown = now;
            }
            Err(why) => {
                if unread.met(&why, std::time::Instant::now()).is_some() {
                    warn!("levels of objectives cannot be told: {why}");
                }
            }
        }
    }
}

/// The level of the period that goes on.
fn level(data: &Path, objective: &Objective) -> Result<Level, String> {
    let today = objective.zone.day(UnixTime::from_secs(now_ns() / 1_000_000_000));
    let days = objective.period.around(today).ok_or("the calendar ends here")?;
    let sums = tally::sums(data, objective, days).map_err(|error| crate::chain(&error))?;
    Ok(Level::of(sums.all(), objective.target))
}

/// The job that an objective's series are kept under: names of jobs have fewer characters, and what is lost is told apart by its digest.
fn job(objective: &str) -> String {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ['.', '_', '-'].contains(&c);
    let plain: String =
        objective.chars().map(|c| c.to_ascii_lowercase()).map(|c| if is_plain(c) { c } else { '-' }).take(NAME_CHARS_MAX).collect();
    if plain == objective {
        return format!("{AGENT}@{plain}");
    }
    let digest = Sha256::digest(objective);
    format!("{AGENT}@{plain}-{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2])
}

/// Says whether a job's name is that of an objective's series.
pub(super) fn is_of_objective(job: &str) -> bool {
    job.strip_prefix(AGENT).is_some_and(|rest| rest.starts_with('@'))
}

fn shape(objective: &Objective) -> Shape {
    let ratio = |name: &str, help: &str| MetricSpec {
        name: name.into(),
        kind: Kind::Gauge,
        unit: Unit::Ratio,
        help: help.into(),
        keys: Vec::new(),
    };
    let name = objective.name.value.clone();
    Shape {
        job: job(&name),
        agent: AGENT.into(),
        target: objective.series.as_str().into(),
        labels: vec![("objective".into(), name)],
        step_s: STEP_S,
        metrics: vec![
            ratio(LEVEL, "Share of the known time of the period so far that was good."),
            ratio(BUDGET_LEFT, "Share that is left of the time that may be bad."),
        ],
    }
}

/// What is not known is not recorded.
fn reading(objective: &Objective, level: &Level, slot: i64) -> Reading {
    let due_ns = slot * 1_000_000_000;
    let sample = |metric: &str, value: Option<f64>| Some(Sample { metric: metric.into(), labels: Vec::new(), value: value? });
    let samples = [sample(LEVEL, level.level), sample(BUDGET_LEFT, level.budget_left)].into_iter().flatten().collect();
    let outcome = Outcome { status: Status::Ok, samples, ..Outcome::failed(ErrorKind::LOCAL, "", now_ns()) };
    let stale_ns = due_ns + 2 * i64::from(STEP_S) * 1_000_000_000;
    Reading { job: job(&objective.name.value), cause: Cause::Schedule, slot, due_ns, stale_ns, outcome }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objectives_that_are_called_differently_have_jobs_of_their_own() {
        assert_eq!(job("mail-paris"), "objective@mail-paris");
        let names = ["mail in Paris", "Mail in Paris", "mail-in-Paris", "mail/in/paris", "été", "ete"];
        let jobs: std::collections::BTreeSet<String> = names.iter().map(|name| job(name)).collect();
        assert_eq!(jobs.len(), names.len(), "{jobs:?}");
        assert!(jobs.iter().all(|job| job.len() <= 80 && job.is_ascii()), "{jobs:?}");
        assert!(job(&"x".repeat(80)).len() <= 80 && job(&"é".repeat(80)).len() <= 80);
    }
}
