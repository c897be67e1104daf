//! What a selector may mean among jobs, before anything of them is stored.

use std::collections::BTreeSet;

use watchpost_plugin_api::{Kind, MetricSpec, Unit};

use super::layout::{RUN_DURATION, UP};
use super::selector::{Known, NAME_LABEL, Selector};
use crate::{config::nearest, reading::Shape};

/// The number of events that a run reported; a last value without a series, for rows that ask whether something reports at all.
pub const EVENTS: &str = "events";

/// What stands for the agent of an event that the host gives.
pub const HOST: &str = "host";

/// What the host records of every run.
pub fn of_every_run() -> [MetricSpec; 3] {
    let gauge =
        |name: &str, unit, help: &str| MetricSpec { name: name.into(), kind: Kind::Gauge, unit, help: help.into(), keys: Vec::new() };
    [
        gauge(UP, Unit::Number, "Whether the target is up."),
        gauge(RUN_DURATION, Unit::Seconds, "How long the run took."),
        gauge(EVENTS, Unit::Number, "Events that the run reported."),
    ]
}

/// A label that a job gives all its series.
pub fn label_of<'a>(shape: &'a Shape, label: &str) -> Option<&'a str> {
    match label {
        "agent" => Some(&shape.agent),
        "job" => Some(&shape.job),
        "target" => Some(&shape.target),
        own => shape.labels.iter().find(|(key, _)| key == own).map(|(_, value)| value.as_str()),
    }
}

/// Says whether a job may be meant, whatever it measures.
pub fn may_be_of(selector: &Selector, shape: &Shape) -> bool {
    selector.may_match(|label| label_of(shape, label).map_or(Known::Open, Known::Is))
}

/// Says whether a series of this metric may be meant.
pub fn may_be(selector: &Selector, shape: &Shape, spec: &MetricSpec) -> bool {
    selector.may_match(|label| match label_of(shape, label) {
        Some(value) => Known::Is(value),
        None if label == NAME_LABEL => Known::Is(&spec.name),
        None if spec.keys.iter().any(|key| key == label) => Known::Open,
        None => Known::Is(""),
    })
}

/// Says whether an event may be meant that a job gives, or the host about it: what events themselves say is not known before.
pub fn may_hear_of(selector: &Selector, shape: &Shape) -> bool {
    let of_agent = |agent: &str| {
        selector.may_match(|label| match label {
            "agent" => Known::Is(agent),
            NAME_LABEL | "code" | "severity" | "text" => Known::Open,
            other => Known::Is(label_of(shape, other).unwrap_or_default()),
        })
    };
    of_agent(&shape.agent) || of_agent(HOST)
}

/// Says whether an event may be meant that the host gives of itself, and of no job.
pub fn may_be_of_host(selector: &Selector) -> bool {
    selector.may_match(|label| match label {
        "agent" => Known::Is(HOST),
        NAME_LABEL | "code" | "severity" | "text" => Known::Open,
        _ => Known::Is(""),
    })
}

/// Why no job can give what is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// No job has a label of this value.
    Label {
        /// The label.
        label: String,
        /// Its value, as it was written.
        value: String,
        /// The value that was probably meant.
        meant: Option<String>,
    },
    /// None of the jobs that are meant declares this metric; it may still come with a run.
    Metric {
        /// The metric, as it was written.
        metric: String,
        /// The metric that was probably meant.
        meant: Option<String>,
    },
    /// The metric has no such label.
    Key {
        /// The metric.
        metric: String,
        /// The label, as it was written.
        label: String,
        /// The label that was probably meant.
        meant: Option<String>,
    },
    /// Each label is known, and no job has all of them.
    Together,
}

impl Miss {
    /// Says what is not there.
    pub fn what(&self) -> String {
        match self {
            Self::Label { label, value, .. } if label == "job" => format!("no job is called `{}`", value.escape_debug()),
            Self::Label { label, value, .. } => format!("no job has the {label} `{}`", value.escape_debug()),
            Self::Metric { metric, .. } => format!("no job that is meant has the metric `{metric}`"),
            Self::Key { metric, label, .. } => format!("no series of `{metric}` has a label `{label}`"),
            Self::Together => "no job has all of these labels".to_owned(),
        }
    }

    /// Says what was probably meant.
    pub fn hint(&self) -> Option<String> {
        let (Self::Label { meant, .. } | Self::Metric { meant, .. } | Self::Key { meant, .. }) = self else { return None };
        meant.as_ref().map(|meant| format!("did you mean `{meant}`?"))
    }
}

/// Finds why none of these jobs can give what is meant; nothing if one may.
pub fn miss<'s>(selector: &Selector, shapes: impl Iterator<Item = &'s Shape> + Clone) -> Option<Miss> {
    let metrics = |shape: &Shape| -> Vec<MetricSpec> { of_every_run().into_iter().chain(shape.metrics.iter().cloned()).collect() };
    let meant: Vec<&Shape> = shapes.clone().filter(|shape| may_be_of(selector, shape)).collect();
    if meant.is_empty() {
        return Some(label_nobody_has(selector, shapes));
    }
    let known: Vec<MetricSpec> = meant.iter().flat_map(|shape| metrics(shape)).collect();
    if meant.iter().any(|shape| metrics(shape).iter().any(|spec| may_be(selector, shape, spec))) {
        return None;
    }
    let Some((_, metric)) = selector.fixed().find(|(label, _)| *label == NAME_LABEL) else { return Some(Miss::Together) };
    if known.iter().all(|spec| spec.name != metric) {
        let meant = nearest(metric, known.iter().map(|spec| spec.name.as_str())).map(str::to_owned);
        return Some(Miss::Metric { metric: metric.to_owned(), meant });
    }
    let keys: BTreeSet<&str> = known.iter().filter(|spec| spec.name == metric).flat_map(|spec| &spec.keys).map(String::as_str).collect();
    let is_unknown =
        |label: &str| label != NAME_LABEL && !keys.contains(label) && meant.iter().all(|shape| label_of(shape, label).is_none());
    let unknown = selector.fixed().find(|(label, value)| !value.is_empty() && is_unknown(label));
    Some(unknown.map_or(Miss::Together, |(label, _)| {
        let own = meant.iter().flat_map(|shape| &shape.labels).map(|(key, _)| key.as_str());
        let near = nearest(label, keys.iter().copied().chain(own).chain(["agent", "job", "target"])).map(str::to_owned);
        Miss::Key { metric: metric.to_owned(), label: label.to_owned(), meant: near }
    }))
}

/// The first label whose value no job has.
fn label_nobody_has<'s>(selector: &Selector, shapes: impl Iterator<Item = &'s Shape> + Clone) -> Miss {
    let found = selector.fixed().find_map(|(label, value)| {
        let values: BTreeSet<&str> = shapes.clone().filter_map(|shape| label_of(shape, label)).collect();
        let is_missed = !values.is_empty() && !values.contains(value);
        let meant = || nearest(value, values.iter().copied()).map(str::to_owned);
        is_missed.then(|| Miss::Label { label: label.to_owned(), value: value.to_owned(), meant: meant() })
    });
    found.unwrap_or(Miss::Together)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes() -> [Shape; 2] {
        let spec = |name: &str, keys: &[&str]| MetricSpec {
            name: name.into(),
            kind: Kind::Gauge,
            unit: Unit::Messages,
            help: "H.".into(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        };
        let shape = |job: &str, agent: &str, metrics: Vec<MetricSpec>| Shape {
            job: job.into(),
            agent: agent.into(),
            target: format!("{job}:25"),
            labels: vec![("site".into(), "paris".into())],
            step_s: 30,
            metrics,
        };
        [shape("pop-paris", "pop3", vec![spec("connect_time", &[])]), shape("spool", "queue", vec![spec("queue_size", &["queue"])])]
    }

    #[test]
    fn what_no_job_can_give_is_told_with_the_nearest_that_one_can() {
        let table = [
            ("connect_time", "-"),
            ("connect_time{job=\"pop-paris\",site=\"paris\"}", "-"),
            ("up{agent=\"queue\"}", "-"),
            ("events{job=\"spool\"}", "-"),
            ("queue_size{queue=\"any\"}", "-"),
            ("{job=~\"pop-.*\"}", "-"),
            ("up{job=\"pop-pairs\"}", "no job is called `pop-pairs`; did you mean `pop-paris`?"),
            ("up{site=\"parsi\"}", "no job has the site `parsi`; did you mean `paris`?"),
            ("up{site=\"rome\"}", "no job has the site `rome`"),
            ("conect_time{job=\"pop-paris\"}", "no job that is meant has the metric `conect_time`; did you mean `connect_time`?"),
            ("bind_time{job=\"pop-paris\"}", "no job that is meant has the metric `bind_time`"),
            ("queue_size{queu=\"any\"}", "no series of `queue_size` has a label `queu`; did you mean `queue`?"),
            ("queue_size{job=\"pop-paris\"}", "no job that is meant has the metric `queue_size`"),
            ("up{job=\"spool\",agent=\"pop3\"}", "no job has all of these labels"),
            ("up{job=~\"imap-.*\"}", "no job has all of these labels"),
        ];
        let shapes = shapes();
        for (series, expected) in table {
            let miss = miss(&Selector::parse(series).unwrap(), shapes.iter());
            let told = miss.map(|miss| [Some(miss.what()), miss.hint()].into_iter().flatten().collect::<Vec<_>>().join("; "));
            assert_eq!(told.as_deref().unwrap_or("-"), expected, "{series}");
        }
    }
}
