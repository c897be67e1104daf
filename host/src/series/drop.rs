//! What `series drop` asks: which series are no longer wanted, and what goes with them.

use std::sync::Mutex;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::{
    error::SeriesError,
    fetch::LabelSetOf,
    request::{AskedWrong, FetchError, lend, selectors},
    store::SeriesStore,
};

/// What may be asked by parameters of a URL.
const PARAMETERS: [&str; 2] = ["series", "dry"];

/// What is asked, as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DropRequest {
    /// SERIES, as the command line takes them.
    pub series: Vec<String>,
    /// Whether it is only told what would be dropped.
    pub dry: bool,
}

/// Series that lie in the same files, which are dropped together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// The series.
    pub series: Vec<String>,
    /// Their files, in the data folder.
    pub files: Vec<String>,
    /// Bytes of these files.
    pub bytes: u64,
}

/// Why nothing was dropped.
#[derive(Debug, thiserror::Error)]
pub enum UndroppedError {
    /// The question is wrong, or nothing is meant.
    #[error(transparent)]
    Asked(#[from] FetchError),
    /// A file holds what is wanted besides.
    #[error("{} lies in one file with {others}, and is dropped with all of them or not: {all} means them all", .asked)]
    Part {
        /// A series that was meant.
        asked: String,
        /// What was not meant.
        others: String,
        /// What means all of the file.
        all: String,
    },
    /// The store fails.
    #[error("the series cannot be dropped")]
    Store(#[from] SeriesError),
}

impl From<AskedWrong> for UndroppedError {
    fn from(error: AskedWrong) -> Self {
        Self::Asked(error.into())
    }
}

impl UndroppedError {
    /// Whether the question is wrong, not the store.
    pub fn is_asked_wrong(&self) -> bool {
        match self {
            Self::Asked(error) => error.is_asked_wrong(),
            Self::Part { .. } => true,
            Self::Store(_) => false,
        }
    }
}

impl DropRequest {
    /// Reads a request from the parameters of a URL.
    pub fn from_pairs(pairs: &[(String, String)]) -> Result<Self, AskedWrong> {
        let mut request = Self::default();
        for (key, value) in pairs {
            match (key.as_str(), value.as_str()) {
                ("series", series) => request.series.push(series.into()),
                ("dry", "true") => request.dry = true,
                ("dry", "false") => request.dry = false,
                (other, _) => return Err(AskedWrong::Parameter { given: other.into(), known: &PARAMETERS }),
            }
        }
        Ok(request)
    }

    /// Writes the request as the parameters of a URL.
    pub fn to_pairs(&self) -> Vec<(&'static str, String)> {
        let series = self.series.iter().map(|series| ("series", series.clone()));
        series.chain([("dry", self.dry.to_string())]).collect()
    }

    /// Drops what is meant, or tells only what that is; gives the label sets that are gone as well.
    pub fn answer(&self, store: &Mutex<SeriesStore>) -> Result<(Vec<Dropped>, Vec<LabelSetOf>), UndroppedError> {
        if self.series.is_empty() {
            return Err(AskedWrong::Nothing.into());
        }
        let selectors = selectors(&self.series)?;
        let mut store = lend(store);
        let meant = store.sets_of(&selectors)?;
        let dropped = meant.iter().map(|set| store.dropped(set)).collect();
        let sets: Vec<LabelSetOf> = meant.into_iter().map(|set| set.of).collect();
        if self.dry {
            return Ok((dropped, Vec::new()));
        }
        let files = store.files_of(&sets);
        store.drop_series(&files, Instant::now())?;
        Ok((dropped, sets))
    }
}
