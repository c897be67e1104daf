//! What is measured: a name, a kind, a unit, a sentence, and the keys of its labels.

use serde::{Deserialize, Serialize};

/// Longest static metric name: RRD's data source names end here (rrdcreate(1), "DS").
pub const NAME_CHARS_MAX: usize = 19;

/// Endings that the exposition formats keep for themselves.
const ENDINGS_RESERVED: [&str; 5] = ["_count", "_sum", "_bucket", "_total", "_info"];
/// Metrics that the host adds to every job.
const NAMES_RESERVED: [&str; 3] = ["up", "run_duration", "loss"];
/// Label keys that the host sets on every series.
pub const LABELS_RESERVED: [&str; 8] = ["agent", "job", "target", "q", "le", "quantile", "instance", "rule"];

/// How values of a metric follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// A running total; a fall means it began anew.
    Counter,
}

/// What one unit of a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Seconds, fractions allowed.
    Seconds,
    /// Bytes.
    Bytes,
    /// A share from 0 to 1.
    Ratio,
    /// Mail messages.
    Messages,
    /// Connections.
    Connections,
    /// Queries or commands.
    Queries,
    /// Failures.
    Errors,
    /// Answers or records.
    Answers,
    /// Days.
    Days,
    /// A plain number.
    Number,
}

/// Reads the unit of a metric that may be a newer library's: a unit that is not known is a plain number. What people write is read strictly.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase", remote = "Unit")]
enum AnyUnit {
    Seconds,
    Bytes,
    Ratio,
    Messages,
    Connections,
    Queries,
    Errors,
    Answers,
    Days,
    #[serde(other)]
    Number,
}

impl Unit {
    /// The unit as a person reads it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::Ratio => "ratio",
            Self::Messages => "messages",
            Self::Connections => "connections",
            Self::Queries => "queries",
            Self::Errors => "errors",
            Self::Answers => "answers",
            Self::Days => "days",
            Self::Number => "number",
        }
    }
}

/// A metric known when the agent is compiled; a name that a store or a console would refuse does not compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    name: &'static str,
    kind: Kind,
    unit: Unit,
    help: &'static str,
    keys: &'static [&'static str],
}

impl Metric {
    /// Declares a value that goes up and down.
    ///
    /// Shape: `name` is `[a-z][a-z0-9_]*`, at most 19 characters, without a unit; `help` is one sentence.
    pub const fn gauge(name: &'static str, unit: Unit, help: &'static str) -> Self {
        Self::checked(name, Kind::Gauge, unit, help)
    }

    /// Declares a running total.
    pub const fn counter(name: &'static str, unit: Unit, help: &'static str) -> Self {
        Self::checked(name, Kind::Counter, unit, help)
    }

    /// Says which label keys each sample of this metric carries, in this order.
    pub const fn by(mut self, keys: &'static [&'static str]) -> Self {
        let mut at = 0;
        while at < keys.len() {
            assert!(is_word(keys[at]), "a label key is [a-z][a-z0-9_]*");
            assert!(!is_among(keys[at], &LABELS_RESERVED), "the host sets this label itself");
            at += 1;
        }
        self.keys = keys;
        self
    }

    const fn checked(name: &'static str, kind: Kind, unit: Unit, help: &'static str) -> Self {
        assert!(is_word(name), "a metric name is [a-z][a-z0-9_]*");
        assert!(name.len() <= NAME_CHARS_MAX, "a metric name has at most 19 characters: RRD takes no more");
        assert!(!is_among(name, &NAMES_RESERVED), "the host adds this metric to every job itself");
        let mut at = 0;
        while at < ENDINGS_RESERVED.len() {
            assert!(!ends_with(name, ENDINGS_RESERVED[at]), "this ending belongs to the exposition formats");
            at += 1;
        }
        assert!(!help.is_empty(), "a metric says in a sentence what it is");
        Self { name, kind, unit, help, keys: &[] }
    }

    /// The name, without unit.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The declaration with owned strings, as it crosses to the host.
    pub fn spec(&self) -> MetricSpec {
        MetricSpec {
            name: self.name.into(),
            kind: self.kind,
            unit: self.unit,
            help: self.help.into(),
            keys: self.keys.iter().map(|key| (*key).into()).collect(),
        }
    }
}

/// A metric's declaration as it crosses to the host, and for metrics known only at run time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MetricSpec {
    /// The name, without unit.
    pub name: String,
    /// How values follow one another.
    pub kind: Kind,
    /// What one is.
    #[serde(deserialize_with = "AnyUnit::deserialize")]
    pub unit: Unit,
    /// One sentence.
    pub help: String,
    /// Label keys, in order.
    #[serde(default)]
    pub keys: Vec<String>,
}

impl MetricSpec {
    /// Declares a value that goes up and down, known only at run time.
    pub fn gauge(name: impl Into<String>, unit: Unit, help: impl Into<String>) -> Self {
        Self { name: name.into(), kind: Kind::Gauge, unit, help: help.into(), keys: Vec::new() }
    }

    /// Declares a running total, known only at run time.
    pub fn counter(name: impl Into<String>, unit: Unit, help: impl Into<String>) -> Self {
        Self { kind: Kind::Counter, ..Self::gauge(name, unit, help) }
    }

    /// Says which label keys each sample carries, in this order.
    pub fn by<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.keys = keys.into_iter().map(Into::into).collect();
        self
    }

    /// Says what is wrong with a declaration made at run time; the rules of [`Metric`], but for the length of the name.
    pub fn fault(&self) -> Option<&'static str> {
        if !is_word(&self.name) {
            return Some("a metric name is [a-z][a-z0-9_]*");
        }
        if is_among(&self.name, &NAMES_RESERVED) {
            return Some("the host adds this metric to every job itself");
        }
        if ENDINGS_RESERVED.iter().any(|ending| self.name.ends_with(ending)) {
            return Some("this ending belongs to the exposition formats");
        }
        if self.keys.iter().any(|key| !is_word(key) || is_among(key, &LABELS_RESERVED)) {
            return Some("a label key is [a-z][a-z0-9_]* and none of those the host sets");
        }
        None
    }
}

const fn is_word(name: &str) -> bool {
    let bytes = name.as_bytes();
    if bytes.is_empty() || !bytes[0].is_ascii_lowercase() {
        return false;
    }
    let mut at = 1;
    while at < bytes.len() {
        if !(bytes[at].is_ascii_lowercase() || bytes[at].is_ascii_digit() || bytes[at] == b'_') {
            return false;
        }
        at += 1;
    }
    true
}

const fn is_among(name: &str, reserved: &[&str]) -> bool {
    let mut at = 0;
    while at < reserved.len() {
        if reserved[at].len() == name.len() && ends_with(name, reserved[at]) {
            return true;
        }
        at += 1;
    }
    false
}

const fn ends_with(name: &str, ending: &str) -> bool {
    let (name, ending) = (name.as_bytes(), ending.as_bytes());
    if ending.len() > name.len() {
        return false;
    }
    let mut at = 0;
    while at < ending.len() {
        if name[name.len() - ending.len() + at] != ending[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(name: &str) -> Option<&'static str> {
        let keys = vec![];
        MetricSpec { name: name.into(), kind: Kind::Gauge, unit: Unit::Number, help: "A.".into(), keys }.fault()
    }

    #[test]
    fn a_unit_that_a_newer_library_knows_is_a_number_and_what_people_misspell_is_none() {
        let spec = |unit: &str| {
            serde_json::from_str::<MetricSpec>(&format!(r#"{{"name":"a","kind":"gauge","unit":"{unit}","help":"A.","keys":[]}}"#))
        };
        assert_eq!([spec("parsecs"), spec("days")].map(|spec| spec.unwrap().unit), [Unit::Number, Unit::Days]);
        assert!(serde_json::from_str::<Unit>("\"parsecs\"").is_err());
    }

    #[test]
    fn names_that_stores_or_consoles_would_refuse_are_refused() {
        for name in ["", "Up", "9lives", "a-b", "up", "loss", "run_duration", "mails_total", "x_bucket", "é"] {
            assert!(declared(name).is_some(), "{name:?} passed");
        }
        for name in ["ups", "total_time", "counts", "connect_time", "a_name_far_longer_than_rrd_takes"] {
            assert_eq!(declared(name), None, "{name:?}");
        }
    }

    #[test]
    #[should_panic(expected = "at most 19 characters")]
    fn a_static_name_longer_than_rrd_takes_is_refused() {
        Metric::gauge("twenty_characters_ab", Unit::Number, "Too long.");
    }

    #[test]
    #[should_panic(expected = "the host sets this label itself")]
    fn a_label_the_host_sets_is_refused() {
        Metric::gauge("size", Unit::Number, "Fine.").by(&["job"]);
    }
}
