//! The shape of a series file: step, data sources, archives.

use watchpost_plugin_api::Kind;

use super::archive::Archive;
use super::keeping::Keeping;
use super::name::source_names;

/// Longest gap over which a counter's growth is kept unless said otherwise, beside two steps.
const COUNTER_GAP_S: u32 = 86_400;

/// How a job wants its files, beside step and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// How long rows of which step are kept.
    pub keeping: Keeping,
    /// Seconds between two totals beyond which the growth between them is unknown; nothing: a day and two steps.
    pub heartbeat: Option<u32>,
}

impl Wishes {
    /// Seconds between totals beyond which the growth between them is unknown, of a file with this step.
    pub fn counter_heartbeat(&self, step: u32) -> u32 {
        let least = step.saturating_mul(2);
        self.heartbeat.map_or(COUNTER_GAP_S.saturating_add(least), |heartbeat| heartbeat.max(least))
    }
}

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
    pub fn of<'a>(step: u32, metrics: impl IntoIterator<Item = (&'a str, Kind)>, wishes: &Wishes) -> Self {
        let step = step.max(1);
        let (names, kinds): (Vec<_>, Vec<_>) = metrics.into_iter().unzip();
        // Gauges are unknown in each slot without a reading, however long the gap.
        let heartbeat = |kind| match kind {
            Kind::Gauge => step.saturating_mul(2),
            Kind::Counter => wishes.counter_heartbeat(step),
        };
        let source = |(name, kind)| Source { name, kind, heartbeat: heartbeat(kind) };
        let sources = source_names(names).into_iter().zip(kinds).map(source).collect();
        Self { step, sources, archives: wishes.keeping.archives(step) }
    }

    /// Seconds between totals beyond which the growth between them is unknown.
    pub fn counter_heartbeat(&self) -> u32 {
        let counters = self.sources.iter().filter(|source| source.kind == Kind::Counter);
        counters.map(|source| source.heartbeat).max().unwrap_or(0)
    }
}
