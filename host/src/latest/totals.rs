//! The totals of the run before the last one: what a counter's rate is made of.

use watchpost_plugin_api::{Kind, MetricSpec};
use watchpost_services::outcome::Sample;

use super::Last;

/// Every counter's total, as one run recorded it.
#[derive(Clone, Debug)]
pub(super) struct Totals {
    started_ns: i64,
    samples: Vec<Sample>,
}

impl Totals {
    /// The totals of a run; nothing if it recorded none.
    pub(super) fn of(last: &Last, metrics: &[MetricSpec]) -> Option<Self> {
        let is_counter =
            |name: &str| metrics.iter().chain(&last.declared).find(|spec| spec.name == name).is_some_and(|spec| spec.kind == Kind::Counter);
        let samples: Vec<Sample> = last.samples.iter().filter(|sample| is_counter(&sample.metric)).cloned().collect();
        (!samples.is_empty()).then_some(Self { started_ns: last.started_ns, samples })
    }

    /// By how much a total rose in each second since then.
    ///
    /// Unknown: a counter that was not there, and one that fell, for nobody knows what it counted before it began anew.
    pub(super) fn rate(&self, sample: &Sample, started_ns: i64) -> Option<f64> {
        let before = self.samples.iter().find(|before| before.metric == sample.metric && before.labels == sample.labels)?;
        let (rise, time_ns) = (sample.value - before.value, started_ns.saturating_sub(self.started_ns));
        (rise >= 0.0 && time_ns > 0).then(|| rise / (time_ns as f64 / 1e9))
    }
}
