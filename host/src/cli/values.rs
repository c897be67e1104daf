//! Values of a run, as people read them.

use watchpost_plugin_api::MetricSpec;
use watchpost_services::outcome::Sample;

use super::table::plain;
use crate::series::selector::notation;

/// Prints each value under its series: `queue_size{queue="deferred"} = 3`.
pub(super) fn print(samples: &[Sample], metrics: &[MetricSpec]) {
    for sample in samples {
        println!("  {} = {}", plain(&notation(sample, metrics)), sample.value);
    }
}
