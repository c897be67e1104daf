//! Alarms of the host itself: what is wrong with Watchpost or the machine that it runs on, whatever it measures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::Severity;

use super::{
    record::{Origin, Subject},
    x733::{EventType, ProbableCause},
};

/// The label that says what an alarm of the host is about.
pub const ABOUT: &str = "about";
/// Records that what follows the journal may be behind it, unless that is said.
const BEHIND_MAX: u64 = 10_000;

/// Makes the enum of what can be wrong, with its names and what holds of each unless the configuration says otherwise.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $name:literal $severity:ident $event_type:ident $cause:ident $instruction:literal,)+) => {
        /// What can be wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum HostKind {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl HostKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// Its name: that of the rule.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }

            /// How bad it is unless that is said.
            pub fn severity(self) -> Severity {
                match self {
                    $(Self::$kind => Severity::$severity,)+
                }
            }

            fn trouble(self) -> (EventType, ProbableCause) {
                match self {
                    $(Self::$kind => (EventType::$event_type, ProbableCause::$cause),)+
                }
            }

            fn instruction(self) -> &'static str {
                match self {
                    $(Self::$kind => $instruction,)+
                }
            }
        }
    };
}

kinds! {
    /// A job is quarantined, for it brings its worker down.
    Quarantine = "quarantine" Major ProcessingError ApplicationSubsystem
        "Look at `watchpost plugins` for how its worker died; release the job with `watchpost jobs release` once that is mended.",
    /// A worker dies again and again.
    CrashLoop = "crash_loop" Major ProcessingError SoftwareTerminated
        "Look at `watchpost plugins`: it names the job and how the worker died.",
    /// Readings or series are not written.
    WriterStopped = "writer_stopped" Critical ProcessingError StorageCapacity
        "See that the data folder has room and can be written; writing goes on by itself.",
    /// The disk of the data folder is nearly full.
    DiskLow = "disk_low" Major Equipment StorageCapacity
        "Make room on the disk of the data folder, or move the folder.",
    /// The wall clock was turned.
    ClockStep = "clock_step" Warning TimeDomain DelayedInformation
        "Find out who turned the clock; a time service is to slew it.",
    /// A changed configuration was refused.
    ReloadRefused = "reload_refused" Minor ProcessingError Configuration
        "`watchpost check` names every fault; the configuration of before is in force until `watchpost reload` passes.",
    /// Something that follows the journal is far behind.
    ConsumerBehind = "consumer_behind" Minor ProcessingError Congestion
        "Look at `watchpost status` and the log: the disk may be too slow, or something cannot be written.",
    /// A job has more label sets than it may.
    LabelOverflow = "label_overflow" Warning ProcessingError Configuration
        "Raise labels_max of the job, or have it measure less; `watchpost series drop` makes room.",
    /// A channel cannot be told.
    ChannelDown = "channel_down" Major Communications CommunicationsSubsystem
        "See whether the receiver answers; what is to be told waits for it.",
}

/// What is said of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct HostRule {
    /// Whether it is an alarm.
    pub enabled: bool,
    /// How bad.
    pub severity: Severity,
    /// What an operator is to do.
    pub instruction: Option<String>,
    /// Where more is to be read.
    pub link: Option<String>,
}

/// What is said of all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct HostRules {
    rules: BTreeMap<HostKind, HostRule>,
    /// The share of the data folder's disk that has to be free.
    pub free_min: f64,
    /// Records that what follows the journal may be behind it.
    pub behind_max: u64,
}

impl Default for HostRules {
    fn default() -> Self {
        let rule = |kind: HostKind| {
            let instruction = Some(kind.instruction().to_owned());
            (kind, HostRule { enabled: true, severity: kind.severity(), instruction, link: None })
        };
        Self { rules: HostKind::ALL.iter().map(|kind| rule(*kind)).collect(), free_min: 0.05, behind_max: BEHIND_MAX }
    }
}

impl HostRules {
    /// What is said of a kind, to be changed.
    pub fn of(&mut self, kind: HostKind) -> Option<&mut HostRule> {
        self.rules.get_mut(&kind)
    }

    /// Whether what is called so is an alarm.
    pub fn is_enabled(&self, name: &str) -> bool {
        self.rules.iter().any(|(kind, rule)| kind.name() == name && rule.enabled)
    }

    /// The alarms that what was found makes.
    pub fn alarms(&self, found: Vec<HostFound>) -> Vec<(Subject, Severity)> {
        let subject = |found: HostFound| {
            let rule = self.rules.get(&found.kind).filter(|rule| rule.enabled)?;
            let (event_type, cause) = found.kind.trouble();
            let subject = Subject {
                key: format!("host/{}/{}", found.kind.name(), found.about),
                origin: Origin::Host,
                rule: found.kind.name().to_owned(),
                agent: String::new(),
                job: found.job.unwrap_or_default(),
                target: String::new(),
                series: String::new(),
                labels: if found.about.is_empty() { Vec::new() } else { vec![(ABOUT.into(), found.about)] },
                event_type,
                cause,
                value: None,
                bound: None,
                text: crate::plain(&found.text),
                instruction: rule.instruction.clone(),
                link: rule.link.clone(),
            };
            Some((subject, rule.severity))
        };
        found.into_iter().filter_map(subject).collect()
    }
}

/// Something that is wrong now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFound {
    /// What.
    pub kind: HostKind,
    /// Of what: a job, a plugin, a writer; what tells two of a kind apart.
    pub about: String,
    /// The job that it is about, if it is about one.
    pub job: Option<String>,
    /// A sentence.
    pub text: String,
}

/// What is to be thought of an alarm whose reason is not among what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unseen {
    /// Its reason is gone.
    Over,
    /// Nobody has looked yet: it stays as it is.
    Unknown,
    /// What it is about is in the configuration no more, or nobody wants an alarm of it.
    Gone,
}
