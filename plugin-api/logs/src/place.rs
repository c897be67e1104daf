//! How far a log was read, over its files.

use serde::{Deserialize, Serialize};

use crate::Mark;

/// How far a log was read: what a run leaves to the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file that is read.
    pub(crate) at: Mark,
    /// The rotated file before it: somebody may still write into it, and what comes next is newer.
    pub(crate) before: Option<Mark>,
    /// Whether files after that one were empty when they were passed: what is in them later is new.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) passed_empty: bool,
}
