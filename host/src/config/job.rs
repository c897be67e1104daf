//! A checked job, and the check that makes it.

use std::time::Duration;

use super::{
    At, Fault, Faults, Place, Rule, archives,
    assignment::Assignment,
    depends_on::{self, DependsOn},
    labels,
    name::{self, JobName},
    reader::Field,
    schedule_file::{RawJob, RawTarget, Settings, merged},
    target::Target,
    text::Table,
    timing::{Almanac, Timing, check_span},
};
use crate::{schedule::Overlap, series::keeping::Keeping};

/// Label sets of one job unless said otherwise.
const LABELS_MAX: u32 = 100;

/// Label sets of one job that may be asked for.
const LABELS_MAX_MAX: u32 = 100_000;

/// Measurements of one run that may be asked for.
const SAMPLES_MAX: u32 = 100;

/// Deaths of its worker after which a job is quarantined unless said otherwise.
const QUARANTINE_AFTER: u32 = 5;

/// Deaths of its worker that may be borne.
const QUARANTINE_AFTER_MAX: u32 = 1000;

/// Agent, target, timetable and config: one thing that is measured.
///
/// Two are equal when they say the same, wherever they are written; that they run alike also takes an equal [`Bound`](super::Bound),
/// for a secret may have changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// What it is called; no other job bears the name.
    pub name: At<JobName>,
    /// What it asks of its agent.
    pub asks: Assignment,
    /// When it is due, and how close its runs come.
    pub timing: Timing,
    /// How long a run may take.
    pub timeout: Duration,
    /// What happens when it is due while its last run still goes on.
    pub overlap: Overlap,
    /// Label sets its series may have.
    pub labels_max: u32,
    /// How often it may bring its worker down, without ten good runs in between, before it is quarantined.
    pub quarantine_after: u32,
    /// How long its series are kept: "standard", "fine", "long", or a list, e.g. [{ keep = "2d" }, { every = "1h", keep = "400d",
    /// of = ["average", "max"] }]; an item without `every` is of each slot. Left out, as `[store]` says.
    pub keeping: Option<Keeping>,
    /// Longest gap between two totals of a counter over which the growth between them is known, e.g. "2h". Left out, a day and two slots.
    pub heartbeat: Option<Duration>,
    /// What silences its alarms while it is in alarm itself: jobs whose `up` is meant, or SERIES, e.g. ["ping-gw", 'loss{job="link"}'].
    pub depends_on: Vec<At<DependsOn>>,
    /// What the job was called before, e.g. "pop-old": series of that name become its own.
    pub was: Option<At<JobName>>,
}

/// What came of a job, or of one of its targets.
pub(super) enum Checked {
    /// It can run, if its agent agrees.
    Sound(Box<Job>),
    /// It was told of; its name is taken all the same, and its agent can still be asked.
    Faulty { name: Option<At<JobName>>, asks: Option<Box<Assignment>>, depends_on: Vec<At<DependsOn>> },
}

impl Checked {
    pub(super) fn name(&self) -> Option<&At<JobName>> {
        match self {
            Self::Sound(job) => Some(&job.name),
            Self::Faulty { name, .. } => name.as_ref(),
        }
    }

    pub(super) fn was(&self) -> Option<&At<JobName>> {
        match self {
            Self::Sound(job) => job.was.as_ref(),
            Self::Faulty { .. } => None,
        }
    }
}

/// What the targets of one job share.
struct Shared {
    place: Place,
    settings: Settings,
    agent: Option<At<String>>,
    overlap: Option<Overlap>,
    labels_max: u32,
    samples: Option<At<u32>>,
    quarantine_after: u32,
    archives: Field<Keeping>,
    heartbeat: Field<Duration>,
    depends_on: Vec<At<DependsOn>>,
    /// Whether nothing was told of.
    sound: bool,
}

/// Checks one job of a file and expands its targets.
pub(super) fn check(raw: RawJob, defaults: &Settings, almanac: &mut Almanac, faults: &mut Faults) -> Vec<Checked> {
    let RawJob { place, name, was, targets, settings, .. } = raw;
    let hint = "each job has a name of its own: name = \"pop-paris\"";
    let name = name.required("name", &place, hint, faults).and_then(|name| name::check(&name, faults));
    let mut shared = Shared::check(place, settings.over(defaults), faults);
    let was = match check_was(&was, faults) {
        Field::Broken => {
            shared.sound = false;
            None
        }
        was => was.given(),
    };
    match targets {
        Field::Absent => vec![shared.expand(name, was, Target::default(), almanac, faults)],
        Field::Broken => vec![shared.expand(None, None, Target::lost(), almanac, faults)],
        Field::Given(list) => {
            if list.value.is_empty() {
                let fault = Fault::new(Rule::TargetsEmpty, &list.place, "`targets`: no target");
                faults.push(fault.hint("leave the key out, and say the target in `config`"));
                return vec![shared.expand(None, None, Target::lost(), almanac, faults)];
            }
            let mut expand = |raw: RawTarget| {
                let place = raw.place.clone();
                let target = Target::check(raw, faults);
                let full = name.as_ref().zip(target.suffix.as_ref()).map(|(name, suffix)| format!("{}@{suffix}", name.value));
                let full = full.and_then(|full| name::check(&At { value: full, place }, faults));
                let was = was.as_ref().zip(target.suffix.as_ref());
                let was = was.and_then(|(was, suffix)| {
                    Some(At { value: JobName::new(&format!("{}@{suffix}", was.value))?, place: was.place.clone() })
                });
                shared.expand(full, was, target, almanac, faults)
            };
            list.value.into_iter().map(&mut expand).collect()
        }
    }
}

impl Shared {
    fn check(place: Place, settings: Settings, faults: &mut Faults) -> Self {
        let agent = settings.agent.clone().required("agent", &place, "say what measures: agent = \"smtp\"", faults);
        let overlap = check_overlap(&settings.overlap, faults);
        let labels_max = check_count("labels_max", &settings.labels_max, LABELS_MAX_MAX, Rule::LabelsMaxOutOfRange, faults);
        let samples = check_count("samples", &settings.samples, SAMPLES_MAX, Rule::SamplesOutOfRange, faults);
        let crashes = &settings.quarantine_after;
        let crashes = check_count("quarantine_after", crashes, QUARANTINE_AFTER_MAX, Rule::QuarantineAfterOutOfRange, faults);
        let (archives, heartbeat) = (archives::check(&settings.archives, faults), check_span("heartbeat", &settings.heartbeat, faults));
        let counts = !labels_max.is_broken() && !samples.is_broken() && !crashes.is_broken();
        let depends_on = depends_on::check(&settings.depends_on, faults);
        let sound = counts && !archives.is_broken() && !heartbeat.is_broken() && depends_on.is_some();
        let depends_on = depends_on.unwrap_or_default();
        let quarantine_after = crashes.given().map_or(QUARANTINE_AFTER, |count| count.value);
        let labels_max = labels_max.given().map_or(LABELS_MAX, |count| count.value);
        Self {
            place,
            settings,
            agent,
            overlap,
            labels_max,
            samples: samples.given(),
            quarantine_after,
            archives,
            heartbeat,
            depends_on,
            sound,
        }
    }

    /// Makes the job of one target, or the job that has none; what cannot run is told of, and its agent is asked all the same.
    fn expand(
        &self,
        name: Option<At<JobName>>,
        was: Option<At<JobName>>,
        target: Target,
        almanac: &mut Almanac,
        faults: &mut Faults,
    ) -> Checked {
        let settings = &self.settings;
        let written = if let Field::Given(config) = &settings.config { &config.place } else { &self.place };
        let of_target = Field::Given(At { value: target.config, place: written.clone() });
        let config = merged(of_target, &settings.config).given();
        let config = config.unwrap_or_else(|| At { value: Table::default(), place: written.clone() });
        let config_lost = settings.config_lost || target.config_lost;
        let (labels, labels_sound) = labels::check(merged(target.labels, &settings.labels), faults);
        // A job whose name is wrong still has its timing checked; the phase does not matter then.
        let phase_of = name.as_ref().map_or("", |name| name.as_str());
        let timing = Timing::check(settings, phase_of, &self.place, almanac, faults);
        let step = timing.as_ref().map_or(1, |(timing, _)| u32::try_from(timing.rhythm.step().as_secs()).unwrap_or(u32::MAX));
        let kept = archives::check_with_step(&self.archives, &self.heartbeat, step, faults);
        let sound = self.sound && kept && labels_sound && !config_lost && !config.value.is_broken();
        let samples = self.samples.clone();
        let asks = self.agent.clone().map(|agent| Assignment { agent, labels, samples, config, config_lost });
        match (name, asks, timing, self.overlap) {
            (Some(name), Some(asks), Some((timing, timeout)), Some(overlap)) if sound => {
                let (labels_max, quarantine_after) = (self.labels_max, self.quarantine_after);
                let keeping = self.archives.clone().given().map(|archives| archives.value);
                let heartbeat = self.heartbeat.clone().given().map(|heartbeat| heartbeat.value);
                let depends_on = self.depends_on.clone();
                let job = Job { name, asks, timing, timeout, overlap, labels_max, quarantine_after, keeping, heartbeat, depends_on, was };
                Checked::Sound(Box::new(job))
            }
            (name, asks, ..) => Checked::Faulty { name, asks: asks.map(Box::new), depends_on: self.depends_on.clone() },
        }
    }
}

fn check_was(field: &Field<String>, faults: &mut Faults) -> Field<JobName> {
    let name = match field {
        Field::Absent => return Field::Absent,
        Field::Broken => return Field::Broken,
        Field::Given(name) => name,
    };
    match JobName::new(name) {
        Some(value) => Field::Given(At { value, place: name.place.clone() }),
        None => {
            let message = format!("`was`: \"{}\" is no name of a job", name.escape_debug());
            faults.push(Fault::new(Rule::NameIllegal, &name.place, message).hint("write what the job was called before"));
            Field::Broken
        }
    }
}

/// Checks a number of at least 1.
fn check_count(key: &str, field: &Field<i64>, max: u32, rule: Rule, faults: &mut Faults) -> Field<u32> {
    let number = match field {
        Field::Absent => return Field::Absent,
        Field::Broken => return Field::Broken,
        Field::Given(number) => number,
    };
    match u32::try_from(number.value) {
        Ok(count) if (1..=max).contains(&count) => Field::Given(At { value: count, place: number.place.clone() }),
        _ => {
            let fault = Fault::new(rule, &number.place, format!("`{key}`: {} is out of range", number.value));
            faults.push(fault.hint(format!("1 to {max}")));
            Field::Broken
        }
    }
}

fn check_overlap(field: &Field<String>, faults: &mut Faults) -> Option<Overlap> {
    match field {
        Field::Absent => Some(Overlap::default()),
        Field::Broken => None,
        Field::Given(word) => Overlap::parse(word)
            .map_err(|_| {
                let fault = Fault::new(Rule::OverlapUnknown, &word.place, format!("`overlap`: \"{}\" is unknown", word.escape_debug()));
                faults.push(fault.hint("write \"skip\" (also if left out), \"queue\" or \"cancel\""));
            })
            .ok(),
    }
}
