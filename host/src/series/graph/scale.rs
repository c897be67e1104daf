//! In which unit values are drawn and written, so that people read figures and not exponents.

use watchpost_plugin_api::{Kind, Unit};

use super::Drawn;
use crate::series::output::unit_of;

/// Units of time: how many of one a second is, name, sign; from the shortest on.
const TIMES: [(f64, &str, &str); 5] = [
    (1e6, "microseconds", "µs"),
    (1e3, "milliseconds", "ms"),
    (1.0, "seconds", "s"),
    (1.0 / 60.0, "minutes", "min"),
    (1.0 / 3_600.0, "hours", "h"),
];
/// Units of size, likewise.
const SIZES: [(f64, &str, &str); 5] = [
    (1.0, "bytes", "B"),
    (1.0 / 1_024.0, "KiB", "KiB"),
    (1.0 / 1_048_576.0, "MiB", "MiB"),
    (1.0 / 1_073_741_824.0, "GiB", "GiB"),
    (1.0 / 1_099_511_627_776.0, "TiB", "TiB"),
];
/// Values from which the next unit is better.
const TIME_MAX: [f64; 4] = [1e-3, 1.0, 120.0, 7_200.0];
const SIZE_MAX: [f64; 4] = [1_024.0, 1_048_576.0, 1_073_741_824.0, 1_099_511_627_776.0];
/// Values up to which an axis needs no letters like k and M.
const PLAIN: std::ops::Range<f64> = 0.01..10_000.0;

/// What values are multiplied with, and what they are then.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    /// Of a drawn value to a stored one.
    pub(super) factor: f64,
    /// What stands beside the axis.
    pub(super) label: String,
    /// What stands after a figure; nothing where series differ.
    pub(super) sign: String,
    /// Whether figures are written out.
    pub(super) is_plain: bool,
}

impl Scale {
    /// The unit in which the greatest value reads well; that in which values are stored, where series have several.
    pub(super) fn of(series: &[Drawn]) -> Self {
        let greatest = series.iter().flat_map(|one| &one.values).flatten().fold(0.0_f64, |most, value| most.max(value.abs()));
        let mut kinds: Vec<(Unit, Kind)> = Vec::new();
        for one in series {
            if !kinds.contains(&(one.unit, one.kind)) {
                kinds.push((one.unit, one.kind));
            }
        }
        let [(unit, kind)] = kinds.as_slice() else {
            let label = kinds.iter().map(|(unit, kind)| unit_of(*unit, *kind)).collect::<Vec<_>>().join(", ");
            return Self { factor: 1.0, label, sign: String::new(), is_plain: PLAIN.contains(&greatest) };
        };
        let (factor, name, sign) = match unit {
            Unit::Seconds => step(&TIMES, &TIME_MAX, greatest),
            Unit::Bytes => step(&SIZES, &SIZE_MAX, greatest),
            Unit::Ratio => (100.0, "percent".into(), "%".into()),
            other => (1.0, unit_of(*other, Kind::Gauge), String::new()),
        };
        let per = if *kind == Kind::Counter { (" per second", "/s") } else { ("", "") };
        Self { factor, label: name + per.0, sign: sign + per.1, is_plain: PLAIN.contains(&(greatest * factor)) }
    }

    /// A value, with as many figures as say something, and its unit.
    pub(super) fn written(&self, value: Option<f64>) -> String {
        let Some(value) = value.map(|value| value * self.factor) else { return "unknown".into() };
        let size = value.abs();
        let figures = match size {
            0.0 => "0".to_owned(),
            0.001..10.0 => format!("{value:.3}"),
            10.0..100.0 => format!("{value:.2}"),
            100.0..1_000.0 => format!("{value:.1}"),
            1_000.0..1e9 => format!("{value:.0}"),
            _ => format!("{value:.2e}"),
        };
        if self.sign.is_empty() { figures } else { format!("{figures} {}", self.sign) }
    }
}

fn step(units: &[(f64, &str, &str); 5], most: &[f64; 4], greatest: f64) -> (f64, String, String) {
    let place = most.iter().position(|most| greatest < *most).unwrap_or(most.len());
    let (factor, name, sign) = units.get(place).copied().unwrap_or((1.0, "", ""));
    (factor, name.to_owned(), sign.to_owned())
}
