//! What `series rename` asks: which job's series are to be another one's.

use std::sync::Mutex;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::{
    error::SeriesError,
    name::is_job_name,
    request::{AskedWrong, lend},
    store::{Applied, SeriesStore},
};
use crate::config::nearest;

/// What may be asked by parameters of a URL.
const PARAMETERS: [&str; 2] = ["from", "to"];

/// What is asked, as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RenameRequest {
    /// The job that has the series.
    pub from: String,
    /// The job that is to have them.
    pub to: String,
}

/// What was renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renamed {
    /// The job that had the series.
    pub from: String,
    /// The job that has them now.
    pub to: String,
    /// Files that are called otherwise.
    pub files: usize,
}

/// Why nothing was renamed.
#[derive(Debug, thiserror::Error)]
pub enum UnrenamedError {
    /// The question cannot be read.
    #[error(transparent)]
    Asked(#[from] AskedWrong),
    /// No job of that name has series.
    #[error("no series are of a job `{job}`: {hint}")]
    NoJob {
        /// The name, as it was written.
        job: String,
        /// What was probably meant.
        hint: String,
    },
    /// No job can be called so.
    #[error("`{0}` is no name of a job")]
    Name(String),
    /// The job is measured.
    #[error("job `{from}` is measured: call it `{to}` in its schedule, with was = \"{from}\", and reload")]
    InForce {
        /// The job.
        from: String,
        /// What it is to be called.
        to: String,
    },
    /// Files cannot be written just now.
    #[error("series files of these jobs cannot be written now; the log says why")]
    Behind,
    /// The store fails.
    #[error("the series cannot be renamed")]
    Store(#[from] SeriesError),
}

impl UnrenamedError {
    /// Whether the question is wrong, not the store.
    pub fn is_asked_wrong(&self) -> bool {
        matches!(self, Self::Asked(_) | Self::NoJob { .. } | Self::Name(_) | Self::InForce { .. })
    }
}

impl RenameRequest {
    /// Reads a request from the parameters of a URL.
    pub fn from_pairs(pairs: &[(String, String)]) -> Result<Self, AskedWrong> {
        let mut request = Self::default();
        for (key, value) in pairs {
            match key.as_str() {
                "from" => request.from.clone_from(value),
                "to" => request.to.clone_from(value),
                other => return Err(AskedWrong::Parameter { given: other.into(), known: &PARAMETERS }),
            }
        }
        Ok(request)
    }

    /// Writes the request as the parameters of a URL.
    pub fn to_pairs(&self) -> Vec<(&'static str, String)> {
        vec![("from", self.from.clone()), ("to", self.to.clone())]
    }

    /// Gives the series of a job to another one; `is_measured` says which jobs are.
    pub fn answer(&self, store: &Mutex<SeriesStore>, is_measured: impl Fn(&str) -> bool) -> Result<Renamed, UnrenamedError> {
        let Self { from, to } = self;
        let mut store = lend(store);
        let jobs = store.catalogue().jobs();
        let files = jobs.get(from).map_or(0, |job| job.files.len());
        if files == 0 {
            let with_files = jobs.iter().filter(|(_, job)| !job.files.is_empty()).map(|(name, _)| name.as_str());
            let hint =
                nearest(from, with_files).map_or("`watchpost series ls` lists all".to_owned(), |near| format!("did you mean `{near}`?"));
            return Err(UnrenamedError::NoJob { job: from.clone(), hint });
        }
        if !is_job_name(to) || from == to {
            return Err(UnrenamedError::Name(to.clone()));
        }
        if is_measured(from) {
            return Err(UnrenamedError::InForce { from: from.clone(), to: to.clone() });
        }
        if store.rename_job(from, to)? == Applied::Behind {
            return Err(UnrenamedError::Behind);
        }
        store.checkpoint_anyway(Instant::now())?;
        Ok(Renamed { from: from.clone(), to: to.clone(), files })
    }
}
