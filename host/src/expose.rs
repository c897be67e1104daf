//! What others may ask the daemon for: one file per outside format, and the listener that serves them.
//!
//! Reading order: [`host_metrics`] (what the daemon says of itself) · [`prometheus`] (the scrape) · [`http`] (the listener) ·
//! [`rrdcached`] (front ends of RRD files).

pub mod host_metrics;
pub mod http;
pub mod prometheus;
pub mod rrdcached;
