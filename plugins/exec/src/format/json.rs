//! JSON lines, our own form: one object a line.
//!
//! A sample is `{"metric": "queue_age", "value": 3.5}`, and may say more: `"kind"` ("gauge", which is the default, or "counter"), `"unit"`
//! ("seconds", "bytes", "ratio", "messages", "connections", "queries", "errors", "answers", "days", "number"; or one that is turned into
//! these: "ms", "us", "ns", "min", "h", "d", "%", "KB", "MiB", …), `"labels"` (an object of texts), `"help"` (one sentence), `"time"`
//! (seconds since 1970). `null` for a value is unknown; true and false are 1 and 0.
//!
//! An event is `{"event": "a short word", "text": "a sentence", "severity": "warning"}`; severities are "indeterminate", "warning" (the
//! default), "minor", "major", "critical".
//!
//! `{"error": "connect", "text": "why"}` fails the run: its kind is "resolve", "connect", "tls", "auth", "protocol" or "timeout" where the
//! target is to blame (`up` is 0), or "local" or "limit" where it is not (`up` is unknown).
//!
//! `{"end": true}` says that all of this time is told: a run that takes it from a long-lived program waits for no more.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use watchpost_plugin_api::{AgentError, ErrorKind, Kind, Severity, quoted};

use crate::{
    point::{Event, Point, Said},
    unit::measure,
};

/// Kinds of failure that a program can tell of.
const KINDS: [ErrorKind; 8] = [
    ErrorKind::RESOLVE,
    ErrorKind::CONNECT,
    ErrorKind::TLS,
    ErrorKind::AUTH,
    ErrorKind::PROTOCOL,
    ErrorKind::TIMEOUT,
    ErrorKind::LOCAL,
    ErrorKind::LIMIT,
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    metric: String,
    value: Value,
    kind: Option<Kind>,
    unit: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    help: Option<String>,
    time: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Happened {
    event: String,
    text: String,
    severity: Option<Severity>,
    /// Taken and not kept: an event is of its run.
    #[serde(rename = "time")]
    _time: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Failure {
    error: String,
    text: String,
}

/// Reads a line.
///
/// Errors: what is wrong, in words.
pub(crate) fn line(line: &str) -> Result<Said, String> {
    let value: Value = serde_json::from_str(line).map_err(|_| "no JSON".to_owned())?;
    let Value::Object(object) = &value else { return Err("no JSON object".into()) };
    let has = |key: &str| object.contains_key(key);
    match () {
        () if has("metric") => sample(parsed(value)?),
        () if has("event") => {
            let Happened { event, text, severity, .. } = parsed(value)?;
            Ok(Said::Event(Event { severity: severity.unwrap_or(Severity::Warning), code: event, text }))
        }
        () if has("error") => failure(&parsed(value)?),
        () if object.len() == 1 && object.get("end") == Some(&Value::Bool(true)) => Ok(Said::End),
        () => Err("neither `metric` nor `event`, `error` or `end`".into()),
    }
}

fn parsed<T: for<'de> Deserialize<'de>>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| quoted(&error.to_string()))
}

fn sample(sample: Sample) -> Result<Said, String> {
    let value = match sample.value {
        Value::Null => None,
        Value::Bool(is_so) => Some(f64::from(u8::from(is_so))),
        Value::Number(number) => Some(number.as_f64().ok_or("`value` is too large")?),
        _ => return Err("`value` is no number".into()),
    };
    let measure = match sample.unit.as_deref() {
        None => None,
        Some(word) => Some(measure(word).ok_or_else(|| format!("`{}` is no unit", quoted(word)))?),
    };
    Ok(Said::Point(Point {
        name: sample.metric,
        kind: sample.kind.or(measure.and_then(|measure| measure.kind)),
        unit: measure.map(|measure| measure.unit),
        help: sample.help,
        labels: sample.labels.into_iter().collect(),
        value: value.map(|value| measure.map_or(value, |measure| measure.of(value))),
        time: sample.time,
    }))
}

fn failure(failure: &Failure) -> Result<Said, String> {
    let kind = ErrorKind::from_name(&failure.error).filter(|kind| KINDS.contains(kind));
    let kind = kind.ok_or_else(|| format!("`{}` is no kind of failure that a program can tell of", quoted(&failure.error)))?;
    Ok(Said::Failed(AgentError::new(kind, quoted(&failure.text))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use watchpost_plugin_api::Unit;

    use super::*;

    #[track_caller]
    fn refused(text: &str, why: &str) {
        assert_eq!(line(text), Err(why.to_owned()), "{text}");
    }

    #[test]
    fn a_sample_says_as_much_as_it_likes() {
        let check = |text: &str, expected: Point| assert_eq!(line(text), Ok(Said::Point(expected)), "{text}");
        check(r#"{"metric":"a","value":1.5}"#, Point::new("a", Some(1.5)));
        check(r#"{"metric":"a","value":null}"#, Point::new("a", None));
        check(r#" {"value":true,"metric":"a"} "#, Point::new("a", Some(1.0)));
        let all =
            r#"{"metric":"a","value":250,"kind":"gauge","unit":"ms","labels":{"queue":"in","b":"c"},"help":"A.","time":1700000000.5}"#;
        let whole = Point {
            kind: Some(Kind::Gauge),
            unit: Some(Unit::Seconds),
            help: Some("A.".into()),
            time: Some(1_700_000_000.5),
            ..Point::new("a", Some(0.25)).label("b", "c").label("queue", "in")
        };
        check(all, whole);
        let total = Point { kind: Some(Kind::Counter), unit: Some(Unit::Messages), ..Point::new("sent", Some(7.0)) };
        check(r#"{"metric":"sent","value":7,"kind":"counter","unit":"messages"}"#, total);
    }

    #[test]
    fn events_failures_and_ends_are_told_too() {
        let event = |severity| Said::Event(Event { severity, code: "held".into(), text: "mail is held".into() });
        assert_eq!(line(r#"{"event":"held","text":"mail is held"}"#), Ok(event(Severity::Warning)));
        assert_eq!(line(r#"{"event":"held","text":"mail is held","severity":"major"}"#), Ok(event(Severity::Major)));
        assert_eq!(line(r#"{"error":"auth","text":"no"}"#), Ok(Said::Failed(AgentError::auth("no"))));
        assert_eq!(line(r#"{"end":true}"#), Ok(Said::End));
    }

    #[test]
    fn what_is_none_of_these_is_refused_with_why() {
        refused("", "no JSON");
        refused("{\"metric\":", "no JSON");
        refused(&"[".repeat(100_000), "no JSON");
        refused("[1]", "no JSON object");
        refused("{}", "neither `metric` nor `event`, `error` or `end`");
        refused(r#"{"end":false}"#, "neither `metric` nor `event`, `error` or `end`");
        refused(r#"{"metric":"a"}"#, "missing field `value`");
        refused(r#"{"metric":"a","value":"1"}"#, "`value` is no number");
        refused(r#"{"metric":"a","value":1,"units":"s"}"#, {
            "unknown field `units`, expected one of `metric`, `value`, `kind`, `unit`, `labels`, `help`, `time`"
        });
        refused(r#"{"metric":"a","value":1,"unit":"furlong"}"#, "`furlong` is no unit");
        refused(r#"{"metric":"a","value":1e999}"#, "no JSON");
        refused(r#"{"error":"panic","text":"x"}"#, "`panic` is no kind of failure that a program can tell of");
        refused(r#"{"event":"a","text":"b","severity":"fatal"}"#, {
            "unknown variant `fatal`, expected one of `indeterminate`, `warning`, `minor`, `major`, `critical`"
        });
    }

    proptest! {
        #[test]
        fn no_line_whatsoever_panics(text in ".{0,200}") {
            let _ = line(&text);
        }

        #[test]
        fn no_damage_to_a_line_is_more_than_an_error(at in 0usize..70, letter in "[ -~]") {
            let mut text = r#"{"metric":"a","value":250,"kind":"gauge","unit":"ms","labels":{"q":"in"}}"#.to_owned();
            text.replace_range(at..=at, &letter);
            let _ = line(&text);
        }
    }
}
