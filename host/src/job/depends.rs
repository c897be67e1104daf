//! Jobs that depend on what is not there, on what nothing judges, or on themselves.

use std::collections::{HashMap, HashSet};

use super::Job;
use crate::{
    config::{AlarmRule, At, DependsOn, Fault, Rule},
    reading::Shape,
    series::meant::{may_be, may_be_of, miss, of_every_run},
};

/// Tells of every dependency that cannot hold, or silences nobody.
///
/// `all`: these are all the jobs there are; otherwise what is not there may be among the others.
pub(super) fn faults(rules: &[AlarmRule], jobs: &[Job], all: bool) -> Vec<Fault> {
    if !all {
        return Vec::new();
    }
    let mut known = HashMap::new();
    let mut faults = Vec::new();
    let mut on: HashMap<&str, Vec<(&str, &At<DependsOn>)>> = HashMap::new();
    for job in jobs {
        for it in &job.config.depends_on {
            // Many jobs depend on the same.
            let meant = known.entry(it.value.series.as_str()).or_insert_with(|| meant(&it.value, jobs));
            if meant.is_empty() {
                faults.push(unknown(it, jobs));
            } else if !meant.iter().any(|shape| is_judged(&it.value, shape, rules)) {
                let message = format!("`depends_on`: no rule looks at {}; it will silence nobody", it.value.series);
                let hint = "write a threshold for it: [[job.threshold]] metric = \"up\", critical = \"< 1\"";
                faults.push(Fault::new(Rule::DependsOnUnjudged, &it.place, message).hint(hint));
            }
            on.entry(job.name()).or_default().extend(meant.iter().map(|shape| (shape.job.as_str(), it)));
        }
    }
    // Those of `[defaults]` would be told of once for each job.
    let mut told = HashSet::new();
    faults.retain(|fault| told.insert(format!("{} {}", fault.place, fault.message)));
    faults.extend(circles(jobs, &on));
    faults
}

fn meant<'j>(on: &DependsOn, jobs: &'j [Job]) -> Vec<&'j Shape> {
    let is_meant = |shape: &&Shape| may_be_of(&on.series, shape) && specs(shape).iter().any(|spec| may_be(&on.series, shape, spec));
    jobs.iter().map(|job| &job.shape).filter(is_meant).collect()
}

fn specs(shape: &Shape) -> Vec<watchpost_plugin_api::MetricSpec> {
    of_every_run().into_iter().chain(shape.metrics.iter().cloned()).collect()
}

fn is_judged(on: &DependsOn, shape: &Shape, rules: &[AlarmRule]) -> bool {
    let specs = specs(shape);
    let specs: Vec<_> = specs.iter().filter(|spec| may_be(&on.series, shape, spec)).collect();
    rules.iter().any(|rule| {
        rule.enabled && rule.looks_at.series().is_some_and(|series| specs.iter().any(|spec| may_be(&series.value, shape, spec)))
    })
}

fn unknown(on: &At<DependsOn>, jobs: &[Job]) -> Fault {
    let miss = miss(&on.value.series, jobs.iter().map(|job| &job.shape));
    let what = miss.as_ref().map_or_else(|| "nothing gives that".to_owned(), crate::series::meant::Miss::what);
    let fault = Fault::new(Rule::DependsOnUnknown, &on.place, format!("`depends_on`: {what}"));
    fault.maybe_hint(miss.and_then(|miss| miss.hint()))
}

/// Tells of each circle once, at the dependency that closes it.
fn circles(jobs: &[Job], on: &HashMap<&str, Vec<(&str, &At<DependsOn>)>>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut done: HashSet<&str> = HashSet::new();
    for job in jobs.iter().map(Job::name) {
        // The way to where we are, each with the number of dependencies that were followed from there.
        let mut way: Vec<(&str, usize)> = if done.contains(job) { Vec::new() } else { vec![(job, 0)] };
        while let Some((here, followed)) = way.last_mut() {
            let Some((next, it)) = on.get(*here).and_then(|all| all.get(*followed)) else {
                done.insert(*here);
                way.pop();
                continue;
            };
            *followed += 1;
            if let Some(begin) = way.iter().position(|(known, _)| known == next) {
                let circle: Vec<&str> = way.iter().skip(begin).map(|(known, _)| *known).chain([*next]).collect();
                let message = format!("`depends_on`: {next} depends on itself: {}", circle.join(" on "));
                let hint = "leave one of them out; depends_on = [] in a job sets aside what [defaults] says";
                faults.push(Fault::new(Rule::DependsOnItself, &it.place, message).hint(hint));
            } else if !done.contains(next) {
                way.push((next, 0));
            }
        }
    }
    faults
}
