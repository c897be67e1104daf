//! An alarm: its life, and what it is about.

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::{MetricSpec, Unit};

use super::{
    life::{Life, Stage},
    notice::{Notice, Step},
    x733::{EventType, ProbableCause},
};
use crate::series::layout::UP;

/// What made an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A rule or a threshold, which also ends it.
    Rule,
    /// A message from somebody, who may never say that it is over.
    Message,
    /// The host itself, which also ends it.
    Host,
}

/// How a sentence begins about trouble that was and is over.
pub const OVER: &str = "it is over: ";

/// What an alarm is about, as it was when it was told last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// What the alarm is known by over all its lives: job, series and rule.
    pub key: String,
    /// What made it.
    pub origin: Origin,
    /// The rule's name.
    pub rule: String,
    /// Agent, job and target; empty for what concerns the host alone.
    pub agent: String,
    /// The job's name.
    pub job: String,
    /// What is measured.
    pub target: String,
    /// The series, without the labels that its job gives it.
    pub series: String,
    /// All labels: those of the job and those of the series.
    pub labels: Vec<(String, String)>,
    /// What kind of trouble.
    pub event_type: EventType,
    /// What probably is the reason.
    pub cause: ProbableCause,
    /// The value that decided last, with its unit.
    pub value: Option<String>,
    /// What it was held against.
    pub bound: Option<String>,
    /// A sentence.
    pub text: String,
    /// What an operator is to do.
    pub instruction: Option<String>,
    /// Where more is to be read.
    pub link: Option<String>,
}

impl Subject {
    /// Has its sentence, which tells of trouble, say that it is over, and what said so.
    pub fn say_over(&mut self, because: Option<&str>) {
        if !self.text.starts_with(OVER) {
            let because = because.map(|because| format!("; {because}")).unwrap_or_default();
            self.text = format!("{OVER}{}{because}", self.text);
        }
    }
}

/// An alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Its life that goes on, or went last.
    #[serde(flatten)]
    pub life: Life,
    /// What it is about.
    #[serde(flatten)]
    pub subject: Subject,
    /// The alarm that it began together with, if there was one: the number of the situation.
    #[serde(default)]
    pub situation: Option<u64>,
}

impl Alarm {
    /// What everybody outside is told of a step that has just been made.
    pub fn notice(&self, seq: u64, step: Step, time_ns: i64, (by, comment): (Option<&str>, Option<&str>)) -> Notice {
        let Self { life, subject, situation } = self;
        Notice {
            seq,
            again: 0,
            step,
            time_ns,
            by: by.map(Into::into),
            comment: comment.map(Into::into),
            alarm: life.number,
            key: subject.key.clone(),
            severity: life.severity,
            active: life.stage == Stage::Active,
            silenced: life.silent(),
            raised_ns: life.raised_ns,
            count: life.count,
            event_type: subject.event_type,
            cause: subject.cause,
            rule: subject.rule.clone(),
            agent: subject.agent.clone(),
            job: subject.job.clone(),
            target: subject.target.clone(),
            series: subject.series.clone(),
            labels: subject.labels.clone(),
            value: subject.value.clone(),
            bound: subject.bound.clone(),
            text: subject.text.clone(),
            instruction: subject.instruction.clone(),
            link: subject.link.clone(),
            owner: life.owner.clone(),
            acknowledged: life.acknowledged.is_some(),
            shelved: life.shelved.is_some(),
            situation: *situation,
        }
    }
}

/// The key of an alarm of a rule.
pub fn key(job: &str, series: &str, rule: &str) -> String {
    format!("{job}/{rule}/{series}")
}

/// The kind of trouble and the cause of what gives no value.
pub const MISSING: (EventType, ProbableCause) = (EventType::Communications, ProbableCause::InformationMissing);

/// What kind of trouble it is, and of which cause, where the rule does not say.
pub fn usual_kind(metric: &MetricSpec) -> (EventType, ProbableCause) {
    match metric.name.as_str() {
        UP => (EventType::Communications, ProbableCause::OutOfService),
        name if name.starts_with("queue_") => (EventType::QualityOfService, ProbableCause::QueueSizeExceeded),
        _ if metric.unit == Unit::Seconds => (EventType::QualityOfService, ProbableCause::ResponseTime),
        _ => (EventType::QualityOfService, ProbableCause::ThresholdCrossed),
    }
}
