//! Which labels alarms can have, with which values: what a choice of alarms asks for that none can have, or none has by now.
//!
//! | label                   | values                                                              | a value that is not among them |
//! |-------------------------|---------------------------------------------------------------------|--------------------------------|
//! | `job agent`, of routes also `rule severity` | of the configuration, and of the host's own alarms | comes never                    |
//! | of jobs, and `target`   | of the jobs                                                         | may come with a message        |
//! | of metrics and messages | whatever comes                                                      | may come                       |

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    alarm::{
        host::{ABOUT, HostKind},
        x733::SEVERITIES,
    },
    config::nearest,
    reading::Shape,
    series::{
        meant::{HOST, may_be_of, of_every_run},
        selector::{NAME_LABEL, Selector},
    },
};

/// The rule of messages of others.
const OF_MESSAGES: &str = "opcmsg";
/// Labels of the host's own alarms and of messages of others.
const OF_OTHERS: [&str; 6] = [ABOUT, "application", "msg_grp", "node", "object", "service_id"];
/// Labels that jobs do not choose.
const OF_EVERY_JOB: [&str; 3] = ["agent", "job", "target"];

/// The labels that alarms can have.
#[derive(Debug)]
pub struct Vocabulary<'v> {
    shapes: Vec<&'v Shape>,
    /// Labels of which all values are known.
    closed: BTreeMap<&'static str, BTreeSet<&'v str>>,
    /// Labels of jobs with the values that there are.
    of_jobs: BTreeMap<&'v str, BTreeSet<&'v str>>,
    /// Labels of which any value may come.
    open: BTreeSet<&'v str>,
    metrics: BTreeSet<String>,
}

/// What no alarm has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmeant {
    /// Whether none can ever have it, as the configuration is.
    pub never: bool,
    /// What it is.
    pub what: String,
    /// What was probably meant.
    pub hint: Option<String>,
}

impl Unmeant {
    /// What it is, and what was probably meant.
    pub fn said(&self) -> String {
        let hint = self.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
        format!("{}{hint}", self.what)
    }
}

impl<'v> Vocabulary<'v> {
    /// The labels of alarms of these jobs, by which maintenance is announced.
    pub fn of_jobs(shapes: impl Iterator<Item = &'v Shape>) -> Self {
        let shapes: Vec<&Shape> = shapes.collect();
        let jobs = shapes.iter().map(|shape| shape.job.as_str()).collect();
        let agents = shapes.iter().map(|shape| shape.agent.as_str()).chain([HOST]).collect();
        let mut of_jobs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for shape in &shapes {
            of_jobs.entry("target").or_default().insert(&shape.target);
            for (key, value) in &shape.labels {
                of_jobs.entry(key).or_default().insert(value);
            }
        }
        let keys = shapes.iter().flat_map(|shape| &shape.metrics).flat_map(|spec| &spec.keys).map(String::as_str);
        let open = keys.chain(OF_OTHERS).chain(["code"]).collect();
        let metrics = shapes.iter().flat_map(|shape| shape.metrics.iter().map(|spec| spec.name.clone()));
        let metrics = metrics.chain(of_every_run().into_iter().map(|spec| spec.name)).collect();
        Self { shapes, closed: [("job", jobs), ("agent", agents)].into(), of_jobs, open, metrics }
    }

    /// The same for routes, which choose by rule and severity too.
    pub fn of_routes(shapes: impl Iterator<Item = &'v Shape>, rules: impl Iterator<Item = &'v str>) -> Self {
        let mut vocabulary = Self::of_jobs(shapes);
        let rules = rules.chain(HostKind::ALL.iter().map(|kind| kind.name())).chain([OF_MESSAGES]).collect();
        vocabulary.closed.extend([("rule", rules), ("severity", SEVERITIES.map(|(name, _)| name).into())]);
        vocabulary
    }

    /// What a selector asks for that no alarm has.
    pub fn unmeant(&self, selector: &Selector) -> Vec<Unmeant> {
        let mut found: Vec<Unmeant> = selector.labels().into_iter().filter_map(|label| self.of_label(selector, label)).collect();
        // Alarms of no job have few of the labels of jobs, and may come with any.
        let of_jobs = !selector.takes("job", "");
        if found.is_empty() && of_jobs && !self.shapes.iter().any(|shape| may_be_of(selector, shape)) {
            found.push(Unmeant { never: false, what: "no job has all of these labels".into(), hint: None });
        }
        found
    }

    fn of_label(&self, selector: &Selector, label: &str) -> Option<Unmeant> {
        if label == NAME_LABEL {
            return self.of_metric(selector);
        }
        // What has no such label is chosen, too.
        if selector.takes(label, "") || self.open.contains(label) {
            return None;
        }
        let known = self.closed.get(label).map(|values| (values, true)).or_else(|| Some((self.of_jobs.get(label)?, false)));
        let Some((values, never)) = known else { return self.unknown(label) };
        if values.iter().any(|value| selector.takes(label, value)) {
            return None;
        }
        let (what, hint) = match selector.fixed().find(|(key, _)| *key == label) {
            Some((_, value)) => {
                let shown = value.escape_debug();
                let what = match label {
                    "job" => format!("no job is called `{shown}`"),
                    "rule" => format!("no rule is called `{shown}`"),
                    "severity" => format!("`{shown}` is no severity"),
                    _ => format!("no job has the {label} `{shown}`"),
                };
                (what, nearest(value, values.iter().copied()).map(|near| format!("did you mean `{near}`?")))
            }
            None => (format!("no {label} fits"), None),
        };
        Some(Unmeant { never, what, hint: hint.or_else(|| never.then(|| there_are(label, values))) })
    }

    /// A metric that no job declares may still come with a run; one that is nearly called so is misspelt.
    fn of_metric(&self, selector: &Selector) -> Option<Unmeant> {
        let (_, metric) = selector.fixed().find(|(label, _)| *label == NAME_LABEL)?;
        if self.metrics.contains(metric) {
            return None;
        }
        let near = nearest(metric, self.metrics.iter().map(String::as_str))?;
        let what = format!("no job has the metric `{}`", metric.escape_debug());
        Some(Unmeant { never: false, what, hint: Some(format!("did you mean `{near}`?")) })
    }

    /// A label that nothing has yet.
    pub fn unknown(&self, label: &str) -> Option<Unmeant> {
        let known = || {
            let closed = self.closed.keys().copied();
            closed.chain(self.of_jobs.keys().copied()).chain(self.open.iter().copied()).chain(OF_EVERY_JOB)
        };
        if known().any(|known| known == label) || label == NAME_LABEL {
            return None;
        }
        let hint = match nearest(label, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "it may come with values or messages; jobs say theirs by labels = { site = \"paris\" }".to_owned(),
        };
        Some(Unmeant { never: false, what: format!("no job has a label `{}`", label.escape_debug()), hint: Some(hint) })
    }
}

/// The values that there are, where they are few.
fn there_are(label: &str, values: &BTreeSet<&str>) -> String {
    const SHOWN_MAX: usize = 8;
    if label == "rule" {
        return "`watchpost rules` lists all".to_owned();
    }
    let shown: Vec<String> = values.iter().filter(|value| !value.is_empty()).take(SHOWN_MAX).map(|value| format!("`{value}`")).collect();
    let more = if values.len() > SHOWN_MAX { ", …" } else { "" };
    format!("there are {}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use watchpost_plugin_api::{Kind, MetricSpec, Unit};

    use super::*;

    fn shape(job: &str, site: Option<&str>) -> Shape {
        let help = "H.".to_owned();
        let spec = MetricSpec { name: "queue_size".into(), kind: Kind::Gauge, unit: Unit::Messages, help, keys: vec!["queue".into()] };
        Shape {
            job: job.into(),
            agent: "smtp".into(),
            target: format!("{job}:25"),
            labels: site.map(|site| ("site".to_owned(), site.to_owned())).into_iter().collect(),
            step_s: 30,
            metrics: vec![spec],
        }
    }

    #[test]
    fn what_no_alarm_has_is_told_with_the_nearest_and_whether_it_can_ever_come() {
        let shapes = [shape("mx-paris", Some("paris")), shape("mx-rome", Some("rome")), shape("spool", None)];
        let vocabulary = Vocabulary::of_routes(shapes.iter(), ["slow"].into_iter());
        let table = [
            ("{site=\"paris\"}", ""),
            ("{queue=\"any\"}", ""),
            ("{rule=\"channel_down\"}", ""),
            ("{rule=~\"slow|opcmsg\",severity=\"major\"}", ""),
            ("{severity=~\"major|critical\",msg_grp=\"OS\"}", ""),
            ("{job=\"\",agent=\"host\"}", ""),
            ("{about=\"ops-mail\",application=\"db\"}", ""),
            ("{sit!=\"paris\",site=~\"p.*\"}", ""),
            ("queue_size{site=\"rome\"}", ""),
            ("brand_new{site=\"rome\"}", ""),
            ("{job=\"mx-pairs\"}", "never: no job is called `mx-pairs`; did you mean `mx-paris`?"),
            ("{job=~\"imap-.*\"}", "never: no job fits; there are `mx-paris`, `mx-rome`, `spool`"),
            ("{agent=\"smtpp\"}", "never: no job has the agent `smtpp`; did you mean `smtp`?"),
            ("{rule=\"slwo\"}", "never: no rule is called `slwo`; did you mean `slow`?"),
            ("{severity=\"majr\"}", "never: `majr` is no severity; did you mean `major`?"),
            ("{site=\"pariss\"}", "no job has the site `pariss`; did you mean `paris`?"),
            ("{site=\"berlin\"}", "no job has the site `berlin`"),
            ("{sit=\"paris\"}", "no job has a label `sit`; did you mean `site`?"),
            (
                "{quux=\"paris\"}",
                "no job has a label `quux`; it may come with values or messages; jobs say theirs by labels = { site = \"paris\" }",
            ),
            ("queu_size{site=\"rome\"}", "no job has the metric `queu_size`; did you mean `queue_size`?"),
            ("{job=\"mx-paris\",site=\"rome\"}", "no job has all of these labels"),
        ];
        for (selector, expected) in table {
            let said = |unmeant: &Unmeant| {
                let never = if unmeant.never { "never: " } else { "" };
                format!("{never}{}", unmeant.said())
            };
            let found = vocabulary.unmeant(&Selector::parse(selector).unwrap());
            assert_eq!(found.iter().map(said).collect::<Vec<_>>().join("\n"), expected, "{selector}");
        }
        let maintained = Vocabulary::of_jobs(shapes.iter());
        assert!(maintained.unmeant(&Selector::parse("{rule=\"slow\"}").unwrap())[0].what.contains("no job has a label `rule`"));
        assert_eq!(vocabulary.unknown("site"), None);
        assert_eq!(vocabulary.unknown("siet").and_then(|unmeant| unmeant.hint).as_deref(), Some("did you mean `site`?"));
    }
}
