//! Units as programs write them, and what is stored instead: seconds, bytes, ratios.
//!
//! Source: the Monitoring Plugins' development guidelines, "Performance data"; Icinga 2, "Unit of Measurement". "MB" is 1024 × 1024 bytes:
//! the Monitoring Plugins count so wherever they write it.

use watchpost_plugin_api::{Kind, Unit};

/// What a unit comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measure {
    pub(crate) unit: Unit,
    /// A counter, if the unit says so (`c`).
    pub(crate) kind: Option<Kind>,
    /// What one of it is in the stored unit, as a ratio: a division by a power of ten is exact where a product with its inverse is not.
    times: f64,
    over: f64,
}

impl Measure {
    /// A number as it is.
    pub(crate) const PLAIN: Self = Self::new(Unit::Number, 1.0, 1.0);

    const fn new(unit: Unit, times: f64, over: f64) -> Self {
        Self { unit, kind: None, times, over }
    }

    /// Turns a value into the stored unit.
    pub(crate) fn of(self, value: f64) -> f64 {
        value * self.times / self.over
    }
}

/// Finds what a unit comes to; `None` for one that is none of ours, whose numbers stay as they are.
pub(crate) fn measure(word: &str) -> Option<Measure> {
    let seconds = |times, over| Some(Measure::new(Unit::Seconds, times, over));
    match word {
        "s" => seconds(1.0, 1.0),
        "ms" => seconds(1.0, 1e3),
        "us" | "µs" | "μs" => seconds(1.0, 1e6),
        "ns" => seconds(1.0, 1e9),
        "m" | "min" => seconds(60.0, 1.0),
        "h" => seconds(3600.0, 1.0),
        "d" => seconds(86_400.0, 1.0),
        "%" => Some(Measure::new(Unit::Ratio, 1.0, 100.0)),
        "c" => Some(Measure { kind: Some(Kind::Counter), ..Measure::PLAIN }),
        "" => Some(Measure::PLAIN),
        other => of_bytes(other).or_else(|| of_name(other)),
    }
}

/// Whether others know a unit that is none of ours: bits, what is electric, weighed, warm, bright or loud, or anything by the time.
///
/// Source: Icinga 2, "Unit of Measurement".
pub(crate) fn is_known_elsewhere(word: &str) -> bool {
    const WITH_PREFIX: [&str; 24] = [
        "b", "bps", "Bps", "A", "V", "W", "O", "Ω", "Ohm", "As", "Ah", "Vs", "Ws", "Wm", "Wh", "VA", "VAs", "eV", "g", "m", "l", "L", "Hz",
        "Pa",
    ];
    const AS_THEY_ARE: [&str; 14] = ["C", "F", "K", "°C", "°F", "dB", "dBm", "lm", "lx", "t", "packets", "rpm", "ppm", "°"];
    const PREFIXES: [char; 14] = ['n', 'u', 'µ', 'μ', 'm', 'c', 'd', 'h', 'k', 'K', 'M', 'G', 'T', 'P'];
    let of_time = ["/s", "/min", "/h"].into_iter().find_map(|ending| word.strip_suffix(ending));
    let once = |word: &str| {
        let bare = word.strip_prefix(PREFIXES).unwrap_or(word);
        AS_THEY_ARE.contains(&word) || WITH_PREFIX.iter().any(|unit| [word, bare, bare.strip_prefix('i').unwrap_or(bare)].contains(unit))
    };
    once(word) || of_time.is_some_and(|counted| once(counted) || measure(counted).is_some())
}

/// `B`, `KB`, `kB`, `KiB`, …; bits (`b`, `Mb`) are none of these.
fn of_bytes(word: &str) -> Option<Measure> {
    let prefix = word.strip_suffix("iB").filter(|prefix| !prefix.is_empty()).or_else(|| word.strip_suffix('B'))?;
    let power = match prefix {
        "" => 0,
        "K" | "k" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        "P" => 5,
        "E" => 6,
        _ => return None,
    };
    Some(Measure::new(Unit::Bytes, 1024_f64.powi(power), 1.0))
}

/// Units by the names that this product gives them.
fn of_name(word: &str) -> Option<Measure> {
    const UNITS: [Unit; 10] = [
        Unit::Seconds,
        Unit::Bytes,
        Unit::Ratio,
        Unit::Messages,
        Unit::Connections,
        Unit::Queries,
        Unit::Errors,
        Unit::Answers,
        Unit::Days,
        Unit::Number,
    ];
    UNITS.into_iter().find(|unit| unit.name() == word).map(|unit| Measure::new(unit, 1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_comes_to_seconds_bytes_ratios_or_plain_numbers() {
        let check = |word, value: f64, unit, expected: f64| {
            let measure = measure(word).unwrap_or_else(|| panic!("{word}"));
            assert_eq!((measure.unit, measure.of(value)), (unit, expected), "{value}{word}");
        };
        check("s", 0.25, Unit::Seconds, 0.25);
        check("ms", 3.0, Unit::Seconds, 0.003);
        check("us", 125.0, Unit::Seconds, 0.000_125);
        check("µs", 125.0, Unit::Seconds, 0.000_125);
        check("ns", 7.0, Unit::Seconds, 0.000_000_007);
        check("d", 2.0, Unit::Seconds, 172_800.0);
        check("%", 12.5, Unit::Ratio, 0.125);
        check("B", 1.0, Unit::Bytes, 1.0);
        check("KB", 1.0, Unit::Bytes, 1024.0);
        check("kB", 1.0, Unit::Bytes, 1024.0);
        check("MB", 1.5, Unit::Bytes, 1_572_864.0);
        check("GiB", 1.0, Unit::Bytes, 1_073_741_824.0);
        check("TB", 1.0, Unit::Bytes, 1_099_511_627_776.0);
        check("", 7.0, Unit::Number, 7.0);
        check("messages", 7.0, Unit::Messages, 7.0);
    }

    #[test]
    fn a_unit_that_others_know_is_one_and_other_letters_are_none() {
        for word in ["V", "mA", "kWh", "°C", "F", "b", "Mb", "Kib", "Mbps", "B/s", "KB/s", "c/s", "packets", "dBm", "GHz", "%/h"] {
            assert!(is_known_elsewhere(word), "{word}");
        }
        for word in ["", "x10", "zz", "E", "em", "ps", "users", "V2", "0", "/s0", "µ"] {
            assert!(!is_known_elsewhere(word), "{word}");
        }
    }

    #[test]
    fn a_counter_says_so_and_what_is_no_unit_of_ours_is_none() {
        assert_eq!(measure("c").and_then(|measure| measure.kind), Some(Kind::Counter));
        for word in ["b", "Mb", "iB", "XB", "V", "B/s", "°C", "Seconds"] {
            assert_eq!(measure(word), None, "{word}");
        }
    }
}
