//! The scrape: every present value as Prometheus text 0.0.4 or OpenMetrics 1.0.
//!
//! Reading order: [`Format`] (which of the two) · [`Families`] (which series belong together) · `text` (how a line is written) ·
//! `registry` (the host's own metrics, through the same writer).
//!
//! Unknown is no line; nothing carries a timestamp, so that what vanishes here is stale there at once.
//! Source: Prometheus "Exposition formats"; OpenMetrics 1.0.

mod family;
mod format;
mod registry;
mod text;

pub use family::Families;
pub use format::Format;

/// Bytes of a typical line; the text is allocated once.
const LINE_BYTES: usize = 160;

/// Writes the jobs' families by name, then the host's.
pub fn render(families: &Families<'_>, host: &[prometheus::proto::MetricFamily], format: Format) -> String {
    let mut text = text::Text::new(format, (families.len() + 256) * LINE_BYTES);
    families.write(&mut text);
    registry::write(host, &mut text);
    text.finish()
}
