//! Which series over which range: the arguments that `fetch` and `graph` share.

use super::time;
use crate::series::{
    band::deviations_of,
    request::{AskedWrong, FetchRequest, Format},
};

/// What is asked of series.
#[derive(clap::Args)]
pub(super) struct Asked {
    /// Which series: a metric with matchers as PromQL has them.
    #[arg(required = true, value_name = "SERIES")]
    series: Vec<String>,
    /// Where the range begins: now-1h, -2d, midnight, "noon yesterday", end-1d, 2026-03-29, an RFC 3339 time, seconds since 1970
    /// [default: now-1h, of a picture now-1d].
    #[arg(long, visible_alias = "since", allow_hyphen_values = true, value_name = "TIME")]
    from: Option<String>,
    /// Where the range ends.
    #[arg(long, visible_alias = "until", default_value = "now", allow_hyphen_values = true, value_name = "TIME")]
    to: String,
    /// Time between rows, as 300 or 5m; a multiple of what is kept so far back. The finest there is otherwise.
    #[arg(long, value_name = "LENGTH")]
    step: Option<String>,
    /// How rows of a longer step are made: AVERAGE, MIN, MAX or LAST.
    #[arg(long, value_name = "HOW")]
    consolidation: Option<String>,
    /// Between which values each usually is at that hour of the week, so many deviations to either side; 2 unless it is said.
    #[arg(long, value_name = "DEVIATIONS", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = deviations)]
    band: Option<f64>,
}

fn deviations(text: &str) -> Result<f64, String> {
    deviations_of(text).ok_or_else(|| AskedWrong::Deviations(text.into()).to_string())
}

impl Asked {
    /// The request that this is, with a begin where none was named.
    pub(super) fn request(&self, from: &str, format: Format) -> FetchRequest {
        let Self { series, to, step, consolidation, band, .. } = self;
        FetchRequest {
            series: series.clone(),
            from: self.from.clone().unwrap_or_else(|| from.to_owned()),
            to: to.clone(),
            step: step.clone(),
            consolidation: consolidation.clone(),
            format,
            zone: time::zone(),
            gaps: false,
            band: *band,
        }
    }
}
