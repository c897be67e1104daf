//! The shape of a series file: step, data sources, archives.

use watchpost_plugin_api::Kind;

use super::archive::{Archive, archives};
use super::name::source_names;

/// Longest gap over which a counter's growth is kept, beside two steps.
const COUNTER_GAP_S: u32 = 86_400;

/// One data source of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name in the file.
    pub name: String,
    /// How its values follow one another.
    pub kind: Kind,
    /// Seconds between rows beyond which a value is dropped.
    pub heartbeat: u32,
}

/// What a file is made of; a file of another shape than asked is set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileShape {
    /// Seconds between slots.
    pub step: u32,
    /// Data sources, in the order of the file.
    pub sources: Vec<Source>,
    /// Archives, in the order of the file.
    pub archives: Vec<Archive>,
}

impl FileShape {
    /// The shape of a file for these metrics.
    pub fn of<'a>(step: u32, metrics: impl IntoIterator<Item = (&'a str, Kind)>) -> Self {
        let step = step.max(1);
        let (names, kinds): (Vec<_>, Vec<_>) = metrics.into_iter().unzip();
        let source = |(name, kind)| Source { name, kind, heartbeat: heartbeat(kind, step) };
        Self { step, sources: source_names(names).into_iter().zip(kinds).map(source).collect(), archives: archives(step) }
    }
}

/// Seconds between rows beyond which RRD drops a value.
pub fn heartbeat(kind: Kind, step: u32) -> u32 {
    match kind {
        Kind::Gauge => step.saturating_mul(2),
        Kind::Counter => counter_heartbeat(step),
    }
}

/// Seconds between totals beyond which the growth between them is unknown.
pub fn counter_heartbeat(step: u32) -> u32 {
    COUNTER_GAP_S.saturating_add(step.saturating_mul(2))
}
