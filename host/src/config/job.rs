//! A checked job, and the check that makes it.

use std::{collections::BTreeMap, fmt, time::Duration};

use watchpost_plugin_api::LABELS_RESERVED;

use super::{
    fault::{At, Fault, Faults, Place},
    reader::Field,
    schedule_file::{RawJob, RawTarget, Settings, merged},
    target::Target,
    text::{Data, Table},
    timing::{Rhythms, Timing},
};
use crate::schedule::Overlap;

/// Characters of a job's name, at most.
const NAME_CHARS_MAX: usize = 80;

/// Bytes of a label's value, at most.
const LABEL_BYTES_MAX: usize = 1024;

/// Label sets of one job unless said otherwise.
const LABELS_MAX: u32 = 100;

/// Label sets of one job that may be asked for.
const LABELS_MAX_MAX: u32 = 100_000;

/// Measurements of one run that may be asked for.
const SAMPLES_MAX: u32 = 100;

/// The name of a job: `[a-z0-9][a-z0-9._@-]{0,79}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobName(String);

impl JobName {
    /// Takes a name that keeps the rule.
    pub fn new(name: &str) -> Option<Self> {
        let fitting = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._@-".contains(&byte);
        let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        (first && name.len() <= NAME_CHARS_MAX && name.bytes().all(fitting)).then(|| Self(name.into()))
    }

    /// Lends the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Agent, target, timetable and config: one thing that is measured.
///
/// Two are equal when they say the same, wherever they are written; that they run alike also takes an equal [`Bound`](super::Bound),
/// for a secret may have changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// What it is called; no other job bears the name.
    pub name: At<JobName>,
    /// What measures.
    pub agent: At<String>,
    /// When it is due, and how close its runs come.
    pub timing: Timing,
    /// How long a run may take.
    pub timeout: Duration,
    /// What happens when it is due while its last run still goes on.
    pub overlap: Overlap,
    /// Its own labels, by key.
    pub labels: BTreeMap<String, At<String>>,
    /// Label sets its series may have.
    pub labels_max: u32,
    /// Measurements of one run.
    pub samples: At<u32>,
    /// What its agent is told; the agent's schema has yet to be asked.
    pub(super) config: At<Table>,
}

/// What the targets of one job share.
struct Shared {
    agent: Option<At<String>>,
    overlap: Option<Overlap>,
    labels_max: Option<u32>,
    samples: Option<At<u32>>,
}

/// Checks one job of a file and expands its targets.
pub(super) fn check(raw: RawJob, defaults: &Settings, rhythms: &mut Rhythms, faults: &mut Faults) -> Vec<Job> {
    let RawJob { place, name, targets, settings } = raw;
    let settings = settings.over(defaults);
    let name = name
        .required("name", &place, "each job has a name of its own: name = \"pop-paris\"", faults)
        .and_then(|name| check_name(name, faults));
    let shared = Shared::check(&settings, &place, faults);
    let Some(targets) = check_targets(targets, faults) else {
        return expand(name, None, &settings, &shared, &place, rhythms, faults).into_iter().collect();
    };
    targets
        .into_iter()
        .filter_map(|target| {
            let full = name.as_ref().and_then(|name| name_of_target(name, &target, faults));
            expand(full, Some(target.value), &settings, &shared, &place, rhythms, faults)
        })
        .collect()
}

/// Makes the job of one target, or the job that has none.
fn expand(
    name: Option<At<JobName>>,
    target: Option<Target>,
    settings: &Settings,
    shared: &Shared,
    place: &Place,
    rhythms: &mut Rhythms,
    faults: &mut Faults,
) -> Option<Job> {
    let (mut config, mut labels) = (settings.config.clone(), settings.labels.clone());
    if let Some(target) = target {
        let written = if let Field::Given(config) = &config { &config.place } else { place };
        config = merged(Field::Given(At { value: target.config, place: written.clone() }), &config);
        labels = merged(target.labels, &labels);
    }
    let labels = check_labels(labels, faults);
    // A job whose name is wrong still has its timing checked; the phase does not matter then.
    let (timing, timeout) = Timing::check(settings, name.as_ref().map_or("", |name| name.as_str()), place, rhythms, faults)?;
    Some(Job {
        name: name?,
        agent: shared.agent.clone()?,
        timing,
        timeout,
        overlap: shared.overlap?,
        labels: labels?,
        labels_max: shared.labels_max?,
        samples: shared.samples.clone()?,
        config: match config {
            Field::Given(config) => config,
            Field::Absent => At { value: Table::default(), place: place.clone() },
            Field::Broken => return None,
        },
    })
}

impl Shared {
    fn check(settings: &Settings, place: &Place, faults: &mut Faults) -> Self {
        let agent = settings.agent.clone().required("agent", place, "say what measures: agent = \"smtp\"", faults);
        let overlap = match &settings.overlap {
            Field::Absent => Some(Overlap::default()),
            Field::Broken => None,
            Field::Given(word) => match Overlap::parse(word) {
                Ok(overlap) => Some(overlap),
                Err(error) => {
                    faults.push(Fault::new(&word.place, error.to_string()));
                    None
                }
            },
        };
        let labels_max = check_count("labels_max", &settings.labels_max, LABELS_MAX, LABELS_MAX_MAX, place, faults);
        let samples = check_count("samples", &settings.samples, 1, SAMPLES_MAX, place, faults);
        Self { agent, overlap, labels_max: labels_max.map(|count| count.value), samples }
    }
}

/// Checks a number of at least 1.
fn check_count(key: &str, field: &Field<i64>, default: u32, max: u32, job: &Place, faults: &mut Faults) -> Option<At<u32>> {
    match field {
        Field::Absent => Some(At { value: default, place: job.clone() }),
        Field::Broken => None,
        Field::Given(number) => match u32::try_from(number.value) {
            Ok(count) if (1..=max).contains(&count) => Some(At { value: count, place: number.place.clone() }),
            _ => {
                faults.push(Fault::new(&number.place, format!("`{key}`: {} is not in 1 to {max}", number.value)));
                None
            }
        },
    }
}

fn check_name(name: At<String>, faults: &mut Faults) -> Option<At<JobName>> {
    let checked = JobName::new(&name);
    if checked.is_none() {
        let message = format!("`name`: \"{}\" is no job name", name.escape_debug());
        faults.push(Fault::new(&name.place, message).hint(name_rule(&name)));
    }
    Some(At { value: checked?, place: name.place })
}

fn name_rule(name: &str) -> String {
    let length = name.chars().count();
    if length > NAME_CHARS_MAX {
        return format!("it has {length} characters, {NAME_CHARS_MAX} are allowed");
    }
    "lower case letters, digits, `.`, `_`, `@` and `-`, the first a letter or a digit".into()
}

fn name_of_target(name: &At<JobName>, target: &At<Target>, faults: &mut Faults) -> Option<At<JobName>> {
    let full = format!("{}@{}", name.value, target.suffix);
    check_name(At { value: full, place: target.place.clone() }, faults)
}

/// Checks the targets; `None` if the job has no such key.
fn check_targets(field: Field<Vec<At<RawTarget>>>, faults: &mut Faults) -> Option<Vec<At<Target>>> {
    match field {
        Field::Absent => None,
        Field::Broken => Some(Vec::new()),
        Field::Given(list) => {
            if list.value.is_empty() {
                faults.push(Fault::new(&list.place, "`targets`: no target").hint("leave the key out, and say the target in `config`"));
            }
            let check = |raw: At<RawTarget>| {
                let place = raw.place.clone();
                Target::check(raw, faults).map(|target| At { value: target, place })
            };
            Some(list.value.into_iter().filter_map(check).collect())
        }
    }
}

fn check_labels(field: Field<Table>, faults: &mut Faults) -> Option<BTreeMap<String, At<String>>> {
    let table = match field {
        Field::Absent => return Some(BTreeMap::new()),
        Field::Broken => return None,
        Field::Given(table) => table.value,
    };
    let mut labels = BTreeMap::new();
    let mut sound = true;
    for (key, entry) in table.0 {
        let (key_fault, value) = (label_key_fault(&key, &entry.key), check_label_value(&key, entry.value, faults));
        sound &= key_fault.is_none() && value.is_some();
        faults.extend(key_fault);
        labels.extend(value.map(|value| (key, value)));
    }
    sound.then_some(labels)
}

fn label_key_fault(key: &str, place: &Place) -> Option<Fault> {
    if LABELS_RESERVED.contains(&key) {
        return Some(Fault::new(place, format!("label `{key}`: the host sets this label itself")).hint("choose another key"));
    }
    let fitting = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_word = key.bytes().next().is_some_and(|first| first.is_ascii_lowercase()) && key.bytes().all(fitting);
    let message = format!("label `{}`: no key of a label", key.escape_debug());
    (!is_word).then(|| Fault::new(place, message).hint("lower case letters, digits and `_`, the first a letter"))
}

fn check_label_value(key: &str, value: At<Data>, faults: &mut Faults) -> Option<At<String>> {
    let fault = match &value.value {
        Data::Text(text) if text.len() > LABEL_BYTES_MAX => {
            Fault::new(&value.place, format!("label `{key}`: {} bytes, {LABEL_BYTES_MAX} are allowed", text.len()))
        }
        Data::Text(text) if text.contains('\0') => Fault::new(&value.place, format!("label `{key}`: a NUL is no text")),
        Data::Text(text) => return Some(At { value: text.clone(), place: value.place }),
        other => Fault::new(&value.place, format!("label `{key}`: {} where a text belongs", other.shape())),
    };
    faults.push(fault);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_name_is_a_word_of_at_most_80_characters() {
        for name in ["a", "0", "pop-paris", "mx@mx1.lab.test-25", &"a".repeat(80)] {
            assert!(JobName::new(name).is_some(), "{name}");
        }
        for name in ["", "-a", "@a", "Pop", "pop paris", "ä", "a/b", &"a".repeat(81)] {
            assert!(JobName::new(name).is_none(), "{name:?} passed");
        }
    }
}
