//! Rules that look at what no job can give, or hold it against bounds of another unit.

use super::Job;
use crate::{
    alarm::together::find,
    config::{AlarmRule, At, Fault, LooksAt, Rule, SeriesExpression, nearest},
    reading::Shape,
    series::{
        meant::{Miss, may_be, miss, of_every_run},
        selector::{NAME_LABEL, Selector},
    },
};

/// Tells of every rule whose series no job can give, and of every bound in a wrong unit.
///
/// `all`: these are all the jobs there are; otherwise what is not there may be among the others.
pub(super) fn faults(rules: &[AlarmRule], jobs: &[Job], all: bool) -> Vec<Fault> {
    let of_one = |rule: &AlarmRule| {
        if let LooksAt::Expression(expression) = &rule.looks_at {
            return of_expression(rule, expression, jobs, all);
        }
        let wrong = units_wrong(rule, jobs);
        if !wrong.is_empty() {
            return wrong;
        }
        if !matches!(rule.looks_at, LooksAt::Series(_)) {
            return Vec::new();
        }
        let unknown = match &rule.of_job {
            Some(job) => jobs.iter().find(|known| known.name() == job).and_then(|job| metric_unknown(rule, &job.shape)),
            None => series_unknown(rule, jobs, all),
        };
        unknown.into_iter().collect()
    };
    rules.iter().flat_map(of_one).collect()
}

/// An expression whose names no job can give, that adds what is of two units, or whose bounds are of another than what it gives.
fn of_expression(rule: &AlarmRule, expression: &SeriesExpression, jobs: &[Job], all: bool) -> Vec<Fault> {
    let shapes = jobs.iter().map(|job| &job.shape).filter(|shape| rule.of_job.as_ref().is_none_or(|job| *job == shape.job));
    let unknown = |series: &At<Selector>| {
        let miss = miss(&series.value, shapes.clone()).filter(|miss| all && !matches!(miss, Miss::Metric { meant: None, .. }))?;
        let message = format!("rule {}: {}", rule.name.value, miss.what());
        Some(Fault::new(Rule::AlarmSeriesUnknown, &series.place, message).maybe_hint(miss.hint()))
    };
    let mut faults: Vec<Fault> = expression.series.iter().filter_map(unknown).collect();
    let measure = match find(expression, rule.of_job.as_deref(), shapes.clone()) {
        Ok(found) => {
            faults.extend(found.crowded(expression, shapes.clone()).and_then(|(name, both)| crowded(expression, name, &both)));
            found.measure
        }
        Err(why) => {
            let message = format!("`expression`: \"{}\" has no unit: {why}", expression.formula.value);
            let hint = "counters are what they rise in a second";
            faults.push(Fault::new(Rule::ExpressionUnitsMixed, &expression.formula.place, message).hint(hint));
            return faults;
        }
    };
    let Some(measure) = measure else { return faults };
    let bounds = rule.bounds.iter().chain([&rule.rearm]).flatten();
    faults.extend(bounds.filter_map(|bound| {
        let why = bound.value.limit(measure.unit().0).err()?;
        let message = format!("\"{}\" is no bound of {}: {why}", bound.value, expression.formula.value);
        Some(Fault::new(Rule::AlarmUnitWrong, &bound.place, message).hint(format!("the expression gives {measure}")))
    }));
    faults
}

/// A name alone that means several series that belong together, of which nobody knows which is meant: it would be unknown for ever.
fn crowded(expression: &SeriesExpression, name: usize, both: &[String; 2]) -> Option<Fault> {
    let (series, name) = (expression.series.get(name)?, expression.formula.value.names().get(name)?);
    let message = format!("`{name}` stands alone for one series, and means several that belong together: {}", both.join(", "));
    let hint = format!("write avg({name}), or say what tells them apart: by = [\"job\"]");
    Some(Fault::new(Rule::ExpressionNameSeveral, &series.place, message).hint(hint))
}

/// A threshold on a metric that its job's agent does not declare: nearly so called, it is misspelt; else it may still come with a run.
fn metric_unknown(rule: &AlarmRule, shape: &Shape) -> Option<Fault> {
    let every = of_every_run();
    let mut known = every.iter().chain(&shape.metrics).map(|spec| spec.name.as_str());
    let series = rule.looks_at.series()?;
    let (_, metric) = series.value.fixed().find(|(label, _)| *label == NAME_LABEL)?;
    if known.any(|name| name == metric) {
        return None;
    }
    let names = every.iter().chain(&shape.metrics).map(|spec| spec.name.as_str());
    let message = format!("`metric`: agent `{}` has no metric `{metric}`", shape.agent);
    Some(match nearest(metric, names) {
        Some(near) => Fault::new(Rule::AlarmMetricUnknown, &series.place, message).hint(format!("did you mean `{near}`?")),
        None => {
            let hint = format!("it may come with a run; `watchpost agents {}` lists those that are declared", shape.agent);
            Fault::new(Rule::AlarmSeriesUnknown, &series.place, message).hint(hint)
        }
    })
}

fn series_unknown(rule: &AlarmRule, jobs: &[Job], all: bool) -> Option<Fault> {
    let series = rule.looks_at.series()?;
    let miss = miss(&series.value, jobs.iter().map(|job| &job.shape)).filter(|_| all)?;
    // A metric that nobody declares may still come with a run; one that is nearly called so is misspelt.
    if matches!(miss, Miss::Metric { meant: None, .. }) {
        return None;
    }
    let message = format!("rule {}: {}", rule.name.value, miss.what());
    Some(Fault::new(Rule::AlarmSeriesUnknown, &series.place, message).maybe_hint(miss.hint()))
}

fn units_wrong(rule: &AlarmRule, jobs: &[Job]) -> Vec<Fault> {
    let Some(series) = rule.looks_at.series() else { return Vec::new() };
    let every = of_every_run();
    let specs = jobs.iter().flat_map(|job| every.iter().chain(&job.shape.metrics).map(move |spec| (&job.shape, spec)));
    let meant: Vec<_> = specs.filter(|(shape, spec)| may_be(&series.value, shape, spec)).collect();
    let bounds = rule.overrides.iter().flat_map(|other| &other.bounds).chain(&rule.bounds).chain([&rule.rearm]).flatten();
    let wrong = |bound: &At<crate::alarm::bound::Bound>| {
        meant.iter().find_map(|(shape, spec)| {
            let why = bound.value.limit(spec.unit).err()?;
            let message = format!("\"{}\" is no bound of {}: {why}", bound.value, spec.name);
            let hint = format!("{} of job {} is in {}", spec.name, shape.job, spec.unit.name());
            Some(Fault::new(Rule::AlarmUnitWrong, &bound.place, message).hint(hint))
        })
    };
    bounds.filter_map(wrong).collect()
}
