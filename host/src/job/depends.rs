//! Jobs that depend on what is not there, on what nothing judges, or on themselves.

use std::collections::{HashMap, HashSet};

use super::Job;
use crate::{
    alarm::depend::RulesByJob,
    config::{AlarmRule, At, DependsOn, Draft, Fault, Rule, nearest},
    reading::Shape,
    series::meant::{may_be, may_be_of, miss, of_every_run},
};

/// Tells of every dependency that cannot hold, or silences nobody.
///
/// `all`: these are all the jobs there are; otherwise only names are looked at, which are known of all. `rules_whole`: no rule has a fault.
pub(super) fn faults(draft: &Draft, jobs: &[Job], all: bool, rules_whole: bool) -> Vec<Fault> {
    if !all {
        return by_names(draft);
    }
    let jobs: Vec<Depending<'_>> = jobs.iter().map(|job| Depending { shape: &job.shape, on: &job.config.depends_on }).collect();
    let mut faults = faults_of(&draft.rules, &jobs);
    faults.retain(|fault| rules_whole || fault.rule != Rule::DependsOnUnjudged);
    faults
}

/// What depends on a job that is not there, or on itself, as far as names tell.
fn by_names(draft: &Draft) -> Vec<Fault> {
    let Some(names) = &draft.job_names else { return Vec::new() };
    let sound = draft.jobs.iter().flat_map(|job| job.depends_on.iter().map(|on| (Some(job.name.as_str()), on)));
    let faulty = draft.faulty_depend_on.iter().map(|(name, on)| (name.as_deref(), on));
    let (mut faults, mut told) = (Vec::new(), HashSet::new());
    let mut on: HashMap<&str, Vec<(&str, &At<DependsOn>)>> = HashMap::new();
    for (job, it) in sound.chain(faulty) {
        let Some(named) = it.value.series.job() else { continue };
        if let Some(known) = names.get(named) {
            job.into_iter().for_each(|job| on.entry(job).or_default().push((known, it)));
        } else if told.insert(format!("{} {named}", it.place)) {
            let near = nearest(named, names.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
            let message = format!("`depends_on`: no job is called `{}`", named.escape_debug());
            faults.push(Fault::new(Rule::DependsOnUnknown, &it.place, message).maybe_hint(near));
        }
    }
    faults.extend(circles(names.iter().map(String::as_str), &on));
    faults
}

/// A job, and what it depends on.
#[derive(Clone, Copy)]
struct Depending<'j> {
    shape: &'j Shape,
    on: &'j [At<DependsOn>],
}

impl<'j> Depending<'j> {
    fn name(&self) -> &'j str {
        &self.shape.job
    }
}

fn faults_of(rules: &[AlarmRule], jobs: &[Depending<'_>]) -> Vec<Fault> {
    let (by_name, rules) = (by_name(jobs), RulesByJob::new(rules));
    let mut known = HashMap::new();
    let mut faults = Vec::new();
    let mut on: HashMap<&str, Vec<(&str, &At<DependsOn>)>> = HashMap::new();
    for job in jobs {
        for it in job.on {
            // Many jobs depend on the same.
            let meant = known.entry(it.value.series.as_str()).or_insert_with(|| meant(&it.value, jobs, &by_name));
            if meant.is_empty() {
                faults.push(unknown(it, jobs));
            } else if !meant.iter().any(|shape| is_judged(&it.value, shape, &rules)) {
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
    faults.extend(circles(jobs.iter().map(Depending::name), &on));
    faults
}

fn by_name<'j>(jobs: &[Depending<'j>]) -> HashMap<&'j str, &'j Shape> {
    jobs.iter().map(|job| (job.name(), job.shape)).collect()
}

/// The jobs that a dependency means: most name one, and no other is looked at then.
fn meant<'j>(on: &DependsOn, jobs: &[Depending<'j>], by_name: &HashMap<&str, &'j Shape>) -> Vec<&'j Shape> {
    let is_meant = |shape: &&Shape| may_be_of(&on.series, shape) && specs(shape).iter().any(|spec| may_be(&on.series, shape, spec));
    match on.series.job() {
        Some(job) => by_name.get(job).copied().filter(is_meant).into_iter().collect(),
        None => jobs.iter().map(|job| job.shape).filter(is_meant).collect(),
    }
}

fn specs(shape: &Shape) -> Vec<watchpost_plugin_api::MetricSpec> {
    of_every_run().into_iter().chain(shape.metrics.iter().cloned()).collect()
}

fn is_judged(on: &DependsOn, shape: &Shape, rules: &RulesByJob<'_>) -> bool {
    let specs = specs(shape);
    let specs: Vec<_> = specs.iter().filter(|spec| may_be(&on.series, shape, spec)).collect();
    rules
        .near(&shape.job)
        .any(|rule| rule.looks_at.series().is_some_and(|series| specs.iter().any(|spec| may_be(&series.value, shape, spec))))
}

fn unknown(on: &At<DependsOn>, jobs: &[Depending<'_>]) -> Fault {
    let miss = miss(&on.value.series, jobs.iter().map(|job| job.shape));
    let what = miss.as_ref().map_or_else(|| "nothing gives that".to_owned(), crate::series::meant::Miss::what);
    let fault = Fault::new(Rule::DependsOnUnknown, &on.place, format!("`depends_on`: {what}"));
    fault.maybe_hint(miss.and_then(|miss| miss.hint()))
}

/// Tells of each circle once, at the dependency that closes it.
fn circles<'j>(jobs: impl Iterator<Item = &'j str>, on: &HashMap<&str, Vec<(&'j str, &At<DependsOn>)>>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut done: HashSet<&str> = HashSet::new();
    for job in jobs {
        // The way to where we are, each with the number of dependencies that were followed from there.
        let mut way: Vec<(&str, usize)> = if done.contains(job) { Vec::new() } else { vec![(job, 0)] };
        let mut places: HashMap<&str, usize> = way.iter().map(|(job, _)| (*job, 0)).collect();
        while let Some((here, followed)) = way.last_mut() {
            let Some((next, it)) = on.get(*here).and_then(|all| all.get(*followed)) else {
                done.insert(*here);
                places.remove(*here);
                way.pop();
                continue;
            };
            *followed += 1;
            if let Some(begin) = places.get(next) {
                let circle: Vec<&str> = way.iter().skip(*begin).map(|(known, _)| *known).chain([*next]).collect();
                let message = format!("`depends_on`: {next} depends on itself: {}", circle.join(" on "));
                let hint = "leave one of them out; depends_on = [] in a job sets aside what [defaults] says";
                faults.push(Fault::new(Rule::DependsOnItself, &it.place, message).hint(hint));
            } else if !done.contains(next) {
                places.insert(*next, way.len());
                way.push((next, 0));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::{config::Place, series::selector::Selector};

    /// Jobs of which each depends on the one before it, and whatever else.
    fn faults(jobs: usize, more: &[(usize, &str)]) -> (Vec<String>, Duration) {
        let place = Place::whole("a.toml");
        let on =
            |text: &str| At { value: DependsOn { said: text.to_owned(), series: Selector::parse(text).unwrap() }, place: place.clone() };
        let named = |job: usize| format!("j{job}");
        let shapes: Vec<Shape> = (0..jobs)
            .map(|job| Shape {
                job: named(job),
                agent: "smtp".into(),
                target: "h".into(),
                labels: Vec::new(),
                step_s: 60,
                metrics: Vec::new(),
            })
            .collect();
        let on: Vec<Vec<At<DependsOn>>> = (0..jobs)
            .map(|job| {
                let before = job.checked_sub(1).map(|before| on(&format!("up{{job=\"{}\"}}", named(before))));
                let more = more.iter().filter(|(of, _)| *of == job).map(|(_, text)| on(text));
                before.into_iter().chain(more).collect()
            })
            .collect();
        let depending: Vec<Depending<'_>> = shapes.iter().zip(&on).map(|(shape, on)| Depending { shape, on }).collect();
        let began = Instant::now();
        let faults = faults_of(&[], &depending);
        let took = began.elapsed();
        (faults.into_iter().filter(|fault| fault.rule != Rule::DependsOnUnjudged).map(|fault| fault.message).collect(), took)
    }

    #[test]
    fn ten_thousand_jobs_that_depend_on_each_other_are_looked_at_once() {
        let (told, took) = faults(10_000, &[(0, "up{job=\"j9999\"}")]);
        assert!(told.len() == 1 && told[0].starts_with("`depends_on`: j"), "{}", told.len());
        println!("10,000 dependencies took {took:?}");
        // A debug build on a busy machine; whoever looks at all jobs for each takes many times as long.
        assert!(took < Duration::from_secs(5), "{took:?}");
    }

    #[test]
    fn circles_are_told_where_they_close() {
        assert_eq!(faults(3, &[]).0, [""; 0]);
        assert_eq!(faults(3, &[(1, "up{job=\"j2\"}")]).0, ["`depends_on`: j1 depends on itself: j1 on j2 on j1"]);
        assert_eq!(faults(2, &[(0, "up{job=\"gone\"}")]).0.len(), 1);
    }
}
