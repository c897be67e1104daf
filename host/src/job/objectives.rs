//! Objectives that ask for what no job can give, or hold it against a bound of another unit.

use super::Job;
use crate::{
    config::{Fault, Objective, Rule},
    series::meant::{Miss, may_be, miss},
};

/// Tells of every objective whose series no job can give, and of every bound in a wrong unit.
///
/// `all`: these are all the jobs there are; otherwise what is not there may be among the others.
pub(super) fn faults(objectives: &[Objective], jobs: &[Job], all: bool) -> Vec<Fault> {
    objectives.iter().flat_map(|objective| unit_wrong(objective, jobs).or_else(|| unknown(objective, jobs, all))).collect()
}

fn unknown(objective: &Objective, jobs: &[Job], all: bool) -> Option<Fault> {
    let miss = miss(&objective.series.value, jobs.iter().map(|job| &job.shape)).filter(|_| all)?;
    // A metric that nobody declares may still come with a run; one that is nearly called so is misspelt.
    if matches!(miss, Miss::Metric { meant: None, .. }) {
        return None;
    }
    let message = format!("objective {}: {}", objective.name.value, miss.what());
    Some(Fault::new(Rule::ObjectiveSeriesUnknown, &objective.series.place, message).maybe_hint(miss.hint()))
}

fn unit_wrong(objective: &Objective, jobs: &[Job]) -> Option<Fault> {
    let good = objective.good.as_ref()?;
    let specs = jobs.iter().flat_map(|job| job.shape.metrics.iter().map(move |spec| (&job.shape, spec)));
    let mut meant = specs.filter(|(shape, spec)| may_be(&objective.series.value, shape, spec));
    meant.find_map(|(shape, spec)| {
        let why = good.value.holds(0.0, spec.unit).err()?;
        let message = format!("`good`: {why}");
        let hint = format!("{} of job {} is in {}", spec.name, shape.job, spec.unit.name());
        Some(Fault::new(Rule::ObjectiveUnitWrong, &good.place, message).hint(hint))
    })
}
