//! A step of an alarm's life, as everybody outside is told of it: complete in itself, so that a channel needs nothing else.

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::Severity;

use super::x733::{EventType, ProbableCause};

/// What happened to an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It began.
    Raised,
    /// It goes on with another severity.
    Changed,
    /// Somebody takes care of it.
    Owned,
    /// Somebody has seen it.
    Acknowledged,
    /// The acknowledgement was taken back, or its time is up.
    Unacknowledged,
    /// Somebody wrote something beside it.
    Annotated,
    /// Nobody is to be told of it for a while.
    Shelved,
    /// The while is over.
    Unshelved,
    /// Maintenance or what it depends on silences it; measuring goes on.
    Silenced,
    /// Nothing silences it any more.
    Unsilenced,
    /// It comes and goes; told once, until it settles.
    Flapping,
    /// It settled.
    Settled,
    /// Its reason is gone.
    Cleared,
    /// It is done with.
    Closed,
    /// Its job or its rule is gone.
    Withdrawn,
}

impl Step {
    /// All of them, in the order of a life.
    pub const ALL: [Self; 15] = [
        Self::Raised,
        Self::Changed,
        Self::Owned,
        Self::Acknowledged,
        Self::Unacknowledged,
        Self::Annotated,
        Self::Shelved,
        Self::Unshelved,
        Self::Silenced,
        Self::Unsilenced,
        Self::Flapping,
        Self::Settled,
        Self::Cleared,
        Self::Closed,
        Self::Withdrawn,
    ];

    /// Whether the alarm is over with it.
    pub fn ends(self) -> bool {
        matches!(self, Self::Cleared | Self::Closed | Self::Withdrawn)
    }

    /// Names it, as JSON does.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Changed => "changed",
            Self::Owned => "owned",
            Self::Acknowledged => "acknowledged",
            Self::Unacknowledged => "unacknowledged",
            Self::Annotated => "annotated",
            Self::Shelved => "shelved",
            Self::Unshelved => "unshelved",
            Self::Silenced => "silenced",
            Self::Unsilenced => "unsilenced",
            Self::Flapping => "flapping",
            Self::Settled => "settled",
            Self::Cleared => "cleared",
            Self::Closed => "closed",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A step of an alarm's life with the alarm as it is after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Number of the step: rises by one from step to step, over all alarms and restarts.
    pub seq: u64,
    /// How many messages of the step came before this one to the same channel: a reminder is another message than what it reminds of.
    #[serde(skip)]
    pub again: u32,
    /// What happened.
    pub step: Step,
    /// When, nanoseconds since 1970.
    pub time_ns: i64,
    /// Who did it; nothing where a rule did.
    pub by: Option<String>,
    /// What was said with it: a comment, an annotation.
    pub comment: Option<String>,
    /// Number of the alarm: each time that one is raised anew it gets another.
    pub alarm: u64,
    /// What the alarm is known by over all its lives: job, series and rule.
    pub key: String,
    /// How bad it is now; how bad it was, once it is cleared.
    pub severity: Severity,
    /// Whether its reason is there.
    pub active: bool,
    /// Why nobody is to be told of it now, if so: shelved, maintenance, what it depends on.
    pub silenced: Option<String>,
    /// When this life began, nanoseconds since 1970.
    pub raised_ns: i64,
    /// How often its reason was seen in this life.
    pub count: u64,
    /// What kind of trouble.
    pub event_type: EventType,
    /// What probably is the reason.
    pub cause: ProbableCause,
    /// The rule's name.
    pub rule: String,
    /// Agent, job and target; empty for what concerns the host alone.
    pub agent: String,
    /// The job's name.
    pub job: String,
    /// What is measured.
    pub target: String,
    /// The series: `connect_time{queue="deferred"}`.
    pub series: String,
    /// All labels: those of the job and those of the series.
    pub labels: Vec<(String, String)>,
    /// The value that decided, with its unit: `2.31 s`; nothing if none is known.
    pub value: Option<String>,
    /// What the value was held against: `> 2s`.
    pub bound: Option<String>,
    /// A sentence.
    pub text: String,
    /// What an operator is to do.
    pub instruction: Option<String>,
    /// Where more is to be read.
    pub link: Option<String>,
    /// Who owns it.
    pub owner: Option<String>,
    /// Whether somebody has seen it, and that holds.
    #[serde(default)]
    pub acknowledged: bool,
    /// Whether somebody wants nobody told of it for now.
    #[serde(default)]
    pub shelved: bool,
    /// The alarm that it began together with, if there was one: the number of the situation.
    #[serde(default)]
    pub situation: Option<u64>,
}

impl Notice {
    /// Whether somebody works on it, or has seen it and that holds: then nobody else is called.
    pub fn is_taken(&self) -> bool {
        self.owner.is_some() || self.acknowledged
    }

    /// The same for every attempt to tell of this step, and for no other step: what a receiver tells repetitions by. A reminder is none: it
    /// has an id of its own.
    pub fn id(&self, instance: &str) -> String {
        format!("{instance}-{}", self.number())
    }

    /// The same without whose daemon it is of.
    pub fn number(&self) -> String {
        let Self { alarm, seq, again, .. } = self;
        if *again == 0 { format!("{alarm}-{seq}") } else { format!("{alarm}-{seq}-{again}") }
    }
}
