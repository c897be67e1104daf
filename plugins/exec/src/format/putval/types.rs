//! Types of values that programs for collectd commonly tell: their data sources, and what those mean.
//!
//! Source: types.db(5) as collectd 5 ships it, and the units that its plugins give them.

use watchpost_plugin_api::{Kind, Unit};

/// One data source of a type.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) unit: Unit,
}

use Kind::{Counter, Gauge};
use Unit::{Bytes, Number, Ratio, Seconds};

/// Types by name: kind and unit, and the data sources if there are several.
const TYPES: [(&str, Kind, Unit, &[&str]); 36] = [
    ("bitrate", Gauge, Number, &[]),
    ("bytes", Gauge, Bytes, &[]),
    ("cache_size", Gauge, Bytes, &[]),
    ("connections", Counter, Unit::Connections, &[]),
    ("count", Gauge, Number, &[]),
    ("counter", Counter, Number, &[]),
    ("current_connections", Gauge, Unit::Connections, &[]),
    ("delay", Gauge, Seconds, &[]),
    ("derive", Counter, Number, &[]),
    ("df", Gauge, Bytes, &["used", "free"]),
    ("df_complex", Gauge, Bytes, &[]),
    ("disk_octets", Counter, Bytes, &["read", "write"]),
    ("disk_ops", Counter, Number, &["read", "write"]),
    ("dns_answer", Counter, Unit::Answers, &[]),
    ("dns_query", Counter, Unit::Queries, &[]),
    ("duration", Gauge, Seconds, &[]),
    ("email_check", Gauge, Number, &[]),
    ("email_count", Gauge, Unit::Messages, &[]),
    ("email_size", Gauge, Bytes, &[]),
    ("errors", Counter, Unit::Errors, &[]),
    ("file_size", Gauge, Bytes, &[]),
    ("files", Gauge, Number, &[]),
    ("if_octets", Counter, Bytes, &["rx", "tx"]),
    ("if_packets", Counter, Number, &["rx", "tx"]),
    ("latency", Gauge, Seconds, &[]),
    ("load", Gauge, Number, &["shortterm", "midterm", "longterm"]),
    ("memory", Gauge, Bytes, &[]),
    ("operations", Counter, Number, &[]),
    ("percent", Gauge, Ratio, &[]),
    ("ping", Gauge, Number, &[]),
    ("queue_length", Gauge, Number, &[]),
    ("requests", Gauge, Number, &[]),
    ("response_time", Gauge, Seconds, &[]),
    ("swap", Gauge, Bytes, &[]),
    ("total_bytes", Counter, Bytes, &[]),
    ("uptime", Gauge, Seconds, &[]),
];

/// The data sources of a type. One that is not known has as many as there are values.
pub(super) fn sources(name: &str, values: usize) -> Vec<Source> {
    let source = |name: &str, kind, unit| Source { name: name.into(), kind, unit };
    match TYPES.iter().find(|(known, ..)| *known == name) {
        Some((_, kind, unit, [])) => vec![source("value", *kind, *unit)],
        Some((_, kind, unit, several)) => several.iter().map(|name| source(name, *kind, *unit)).collect(),
        None if values == 1 => vec![source("value", Gauge, Number)],
        None => (0..values).map(|at| source(&format!("value{at}"), Gauge, Number)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_once_and_in_order() {
        assert!(TYPES.is_sorted_by(|one, next| one.0 < next.0));
    }
}
