//! What happens to plugins and their jobs that somebody should hear of.

use watchpost_plugin_api::Severity;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// The plugin.
    pub plugin: String,
    /// The job that it is about: the guilty one of a death, if there is one.
    pub job: Option<String>,
    /// What it is.
    pub what: What,
    /// A sentence.
    pub text: String,
}

/// What sort of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A worker died, of this.
    Died(&'static str),
    /// A job is held back.
    HeldBack,
    /// A job is quarantined.
    Quarantined,
    /// A quarantined job runs once, to see.
    OnProbation,
    /// A job is quarantined no longer.
    Released,
    /// The jobs of a library run in several workers, to find out which of them brings it down.
    ToldApart,
    /// Runs were not answered in time.
    Unanswered,
}

impl What {
    /// Names it, as events do.
    pub fn code(self) -> &'static str {
        match self {
            Self::Died(_) => "worker_crashed",
            Self::HeldBack => "job_held_back",
            Self::Quarantined => "job_quarantined",
            Self::OnProbation => "job_on_probation",
            Self::Released => "job_released",
            Self::ToldApart => "jobs_told_apart",
            Self::Unanswered => "runs_unanswered",
        }
    }

    /// Names what became of the job, as metrics do; none where nothing did.
    pub fn step(self) -> Option<&'static str> {
        match self {
            Self::Died(_) | Self::ToldApart | Self::Unanswered => None,
            Self::HeldBack => Some("held_back"),
            Self::Quarantined => Some("quarantined"),
            Self::OnProbation => Some("probation"),
            Self::Released => Some("released"),
        }
    }

    /// How bad it is.
    pub fn severity(self) -> Severity {
        match self {
            Self::Quarantined => Severity::Major,
            Self::Died(_) => Severity::Minor,
            Self::HeldBack | Self::ToldApart | Self::Unanswered => Severity::Warning,
            Self::OnProbation | Self::Released => Severity::Indeterminate,
        }
    }
}
