//! What the job of a test depends on, and how that fares beside it.

use watchpost_plugin_api::{Kind, MetricSpec, Unit};

use super::{Test, Told, What, own_labels, values};
use crate::{
    alarm::depend::{Dependent, Depends},
    config::{DependsOn, Draft, nearest},
    reading::Shape,
    series::{layout::UP, meant::of_every_run, selector::NAME_LABEL},
};

/// One of what a job depends on.
pub(super) struct Behind {
    shape: Shape,
    told: Told,
}

impl Behind {
    /// Its job.
    pub(super) fn job(&self) -> &str {
        &self.shape.job
    }

    /// What it says.
    pub(super) fn told(&self) -> &Told {
        &self.told
    }

    /// How it looks.
    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }
}

/// All of them that the test tells of.
pub(super) fn all(test: &Test, draft: &Draft, step_s: i64) -> Result<Vec<Behind>, String> {
    let known: Vec<&DependsOn> = on(test, draft);
    let one = |(said, written): (&String, &Vec<super::Value>)| -> Result<Behind, String> {
        let on = known.iter().find(|on| on.said == *said).ok_or_else(|| {
            let meant = nearest(said, known.iter().map(|on| on.said.as_str()));
            let hint = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
            format!("`{}` does not depend on `{said}`{hint}", test.job)
        })?;
        let name = on.series.job().ok_or_else(|| format!("`{said}` names no job, and nobody knows whose values these are"))?;
        let job = draft.jobs.iter().find(|job| job.name.as_str() == name).ok_or_else(|| format!("no job is called `{name}`"))?;
        let metric = on.series.fixed().find(|(label, _)| *label == NAME_LABEL).map_or(UP, |(_, metric)| metric).to_owned();
        let is_down = |what: &What| metric == UP && matches!(what, What::Number(value) if *value < 1.0);
        let values = values(written)?.into_iter().map(|what| if is_down(&what) { What::Down } else { what });
        let of_every = of_every_run().iter().any(|spec| spec.name == metric);
        let spec =
            || MetricSpec { name: metric.clone(), kind: Kind::Gauge, unit: unit(&metric, draft), help: "Of a test.".into(), keys: vec![] };
        let shape = Shape {
            job: name.to_owned(),
            agent: job.asks.agent.value.clone(),
            target: "test".into(),
            labels: own_labels(name, draft).map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            step_s: u32::try_from(step_s).unwrap_or(u32::MAX),
            metrics: if of_every { Vec::new() } else { vec![spec()] },
        };
        Ok(Behind { shape, told: Told { metric: metric.clone(), labels: Default::default(), values: values.collect() } })
    };
    test.depends_on.iter().map(one).collect()
}

/// What depends on what in the test.
pub(super) fn depends(test: &Test, shape: &Shape, behind: &[Behind], draft: &Draft) -> Depends {
    let own = Dependent { shape: shape.clone(), on: on(test, draft).into_iter().cloned().collect() };
    let others = behind.iter().map(|one| Dependent { shape: one.shape.clone(), on: Vec::new() });
    Depends::new(&std::iter::once(own).chain(others).collect::<Vec<_>>(), &draft.rules)
}

fn on<'d>(test: &Test, draft: &'d Draft) -> Vec<&'d DependsOn> {
    let job = draft.jobs.iter().find(|job| job.name.as_str() == test.job);
    job.into_iter().flat_map(|job| &job.depends_on).map(|on| &on.value).collect()
}

/// The unit that the bounds of a metric's rules are written in.
fn unit(metric: &str, draft: &Draft) -> Unit {
    let is_its = |selector: &crate::series::selector::Selector| selector.fixed().any(|(label, name)| label == NAME_LABEL && name == metric);
    let rules = || draft.rules.iter().filter(|rule| rule.looks_at.series().is_some_and(|series| is_its(&series.value)));
    let fits = |unit: &Unit| rules().flat_map(|rule| rule.bounds.iter().flatten()).all(|bound| bound.value.limit(*unit).is_ok());
    [Unit::Seconds, Unit::Bytes, Unit::Ratio, Unit::Days, Unit::Number].into_iter().find(fits).unwrap_or(Unit::Number)
}
