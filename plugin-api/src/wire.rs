//! What crosses as JSON; unknown fields are ignored on both sides, so either may be newer.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Level, Needs, RecordType, Resolver, Severity};

/// What a checked configuration says of its job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examined {
    /// The label `target`.
    pub target: String,
    /// What the job will touch.
    pub needs: Needs,
    /// Whether a lost run may be repeated.
    pub repeatable: bool,
}

/// What [`Cx::resolve`](crate::Cx::resolve) asks.
#[derive(Debug, Serialize, Deserialize)]
pub struct Resolve {
    /// The name, or an address.
    pub name: String,
    /// Which records.
    pub record: RecordType,
    /// Who is asked.
    pub resolver: Resolver,
}

/// What [`Cx::event`](crate::Cx::event) tells.
#[derive(Debug, Serialize, Deserialize)]
pub struct Event {
    /// How bad.
    pub severity: Severity,
    /// A short stable word to count by.
    pub code: String,
    /// A sentence.
    pub text: String,
}

/// What [`Cx::log`](crate::Cx::log) tells.
#[derive(Debug, Serialize, Deserialize)]
pub struct Log {
    /// How loud.
    pub level: Level,
    /// One line.
    pub text: String,
}

/// Which way something went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// To the target.
    Sent,
    /// From the target.
    Received,
}

/// What [`Cx::note_sent`](crate::Cx::note_sent) and [`Cx::note_received`](crate::Cx::note_received) tell.
#[derive(Debug, Serialize, Deserialize)]
pub struct Note {
    /// Which way it went.
    pub way: Way,
    /// What it was, in words; one line.
    pub text: String,
}

/// What [`Cx::scan`](crate::Cx::scan) and [`Cx::scan_names`](crate::Cx::scan_names) ask.
#[derive(Debug, Serialize, Deserialize)]
pub struct Scan {
    /// The directory.
    pub path: PathBuf,
    /// Whether the names are enough.
    pub names_only: bool,
}

/// A piece of a directory; entries are [`DirEntry`](crate::DirEntry) or [`Named`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Scanned<T> {
    /// Some entries; none at all is possible.
    pub entries: Vec<T>,
    /// Whether there are no more.
    pub last: bool,
}

/// An entry whose name is enough.
#[derive(Debug, Serialize, Deserialize)]
pub struct Named {
    /// The name.
    pub name: String,
}
