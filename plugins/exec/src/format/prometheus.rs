//! The text of Prometheus and OpenMetrics, told line by line.
//!
//! `# TYPE` says what counts; without it a name that ends in `_total` does. Buckets, sums and counts of histograms are counters of their
//! own. The unit is the ending of a name: `_seconds`, `_bytes`, `_ratio`. NaN and infinities are unknown. `# EOF` ends what is told at a
//! time, and all that a program tells that is started for each run. Times are milliseconds in the one format and seconds in the other; which
//! it is may be known only at the end, and is told by their size.

use std::collections::HashMap;

use watchpost_exposition::{Line, Sample, line as read};
use watchpost_plugin_api::{Kind, Unit};

use crate::point::{Point, Said};

/// Milliseconds of 1973, and seconds of the year 5138: what is below counts seconds.
const MILLISECONDS_FROM: f64 = 1e11;

/// Families of which type and help are known; a page has a few hundred at most.
const FAMILIES_MAX: usize = 1000;

/// What was said of the families so far.
#[derive(Debug, Default)]
pub(crate) struct Families(HashMap<String, Family>);

#[derive(Debug, Default)]
struct Family {
    word: String,
    help: String,
}

impl Families {
    /// Reads a line.
    ///
    /// Errors: what is wrong, in words.
    pub(crate) fn line(&mut self, line: &str) -> Result<Vec<Said>, String> {
        // Exemplars, which the older format does not have, are passed over wherever they are.
        match read(line, true)? {
            Line::Sample(sample) => Ok(vec![Said::Point(self.point(&sample))]),
            Line::Type { family, word } => {
                self.note(family, |known| known.word = word.into());
                Ok(Vec::new())
            }
            Line::Help { family, text } => {
                self.note(family, |known| known.help = text.into());
                Ok(Vec::new())
            }
            Line::End => Ok(vec![Said::End]),
            Line::Nothing => Ok(Vec::new()),
        }
    }

    fn note(&mut self, family: &str, set: impl FnOnce(&mut Family)) {
        if self.0.len() < FAMILIES_MAX || self.0.contains_key(family) {
            set(self.0.entry(family.to_owned()).or_default());
        }
    }

    fn point(&self, sample: &Sample<'_>) -> Point {
        let name = sample.name.as_ref();
        let (family, part) = self.family(name);
        let word = family.map_or("", |family| family.word.as_str());
        let counts = match word {
            "counter" => true,
            "histogram" | "summary" => matches!(part, "_bucket" | "_count" | "_sum"),
            "" | "unknown" | "untyped" => name.ends_with("_total"),
            _ => false,
        };
        let stem = name.strip_suffix(if part.is_empty() { "_total" } else { part }).unwrap_or(name);
        let unit = match () {
            // What is counted of seconds are not seconds.
            _ if matches!(part, "_bucket" | "_count") => Unit::Number,
            _ if stem.ends_with("_seconds") => Unit::Seconds,
            _ if stem.ends_with("_bytes") => Unit::Bytes,
            _ if stem.ends_with("_ratio") => Unit::Ratio,
            _ => Unit::Number,
        };
        let labels = sample.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        Point {
            kind: Some(if counts { Kind::Counter } else { Kind::Gauge }),
            unit: Some(unit),
            help: family.map(|family| family.help.clone()).filter(|help| !help.is_empty()),
            labels,
            time: sample.stamp.map(|stamp| if stamp < MILLISECONDS_FROM { stamp } else { stamp / 1e3 }),
            ..Point::new(name, Some(sample.value).filter(|value| value.is_finite()))
        }
    }

    /// The family of a sample, and the part of it that the sample is.
    fn family<'a>(&self, name: &'a str) -> (Option<&Family>, &'a str) {
        if let Some(family) = self.0.get(name) {
            return (Some(family), "");
        }
        let parts = ["_bucket", "_count", "_sum", "_total"].into_iter();
        let of = |part: &str| Some((self.0.get(name.strip_suffix(part)?)?, &name[name.len() - part.len()..]));
        parts.filter_map(of).next().map_or((None, ""), |(family, part)| (Some(family), part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(page: &str) -> Vec<String> {
        let mut families = Families::default();
        let shown = |said: Said| match said {
            Said::Point(point) => {
                let labels: Vec<String> = point.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
                let value = point.value.map_or("unknown".into(), |value| value.to_string());
                let counter = if point.kind == Some(Kind::Counter) { " counter" } else { "" };
                let help = point.help.map_or(String::new(), |help| format!(" ({help})"));
                format!("{}{{{}}} {value} {}{counter}{help}", point.name, labels.join(","), point.unit.map_or("-", |unit| unit.name()))
            }
            other => format!("{other:?}"),
        };
        page.lines().flat_map(|line| families.line(line).unwrap_or_else(|why| panic!("{line}: {why}"))).map(shown).collect()
    }

    #[test]
    fn types_units_and_helps_are_those_of_the_family() {
        let page = "# HELP mail_size_bytes How large.\n# TYPE mail_size_bytes gauge\nmail_size_bytes{q=\"in\"} 7\n\
            # TYPE sent_total counter\nsent_total 5\n# TYPE wait_seconds counter\nwait_seconds_total 2\nplain_total 1\nplain NaN\n\
            # TYPE lat_seconds histogram\nlat_seconds_bucket{le=\"1\"} 3 # {t=\"x\"} 1\nlat_seconds_sum 4\nlat_seconds_count 3\n# EOF\n";
        let expected = [
            "mail_size_bytes{q=in} 7 bytes (How large.)",
            "sent_total{} 5 number counter",
            "wait_seconds_total{} 2 seconds counter",
            "plain_total{} 1 number counter",
            "plain{} unknown number",
            "lat_seconds_bucket{le=1} 3 number counter",
            "lat_seconds_sum{} 4 seconds counter",
            "lat_seconds_count{} 3 number counter",
            "End",
        ];
        assert_eq!(said(page), expected);
    }

    #[test]
    fn what_is_no_line_is_refused_and_families_without_end_are_not_kept() {
        let mut families = Families::default();
        assert_eq!(families.line("a one"), Err("`one` is no number".into()));
        for number in 0..2 * FAMILIES_MAX {
            assert_eq!(families.line(&format!("# TYPE f{number} counter")), Ok(vec![]));
        }
        assert_eq!(families.0.len(), FAMILIES_MAX);
    }
}
