//! What doveadm answers by HTTP: what Dovecot counts, and who is logged in.
//!
//! Samples: `count` and `sum` {metric, field} of each metric that Dovecot counts (the number of values of that field, and their sum; the
//! field `duration`, in microseconds, is that of every event), `sessions` {service} and `sessions` of all of them.
//! Source: Dovecot's manual, "Doveadm HTTP API", `doveadm stats dump`, `doveadm who`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use watchpost_exposition::Sample;
use watchpost_plugin_api::quoted;

/// Both questions at once; the answers bear their tags.
pub(crate) const QUESTION: &str = "[[\"statsDump\",{\"fields\":\"count sum\"},\"stats\"],[\"who\",{\"separateConnections\":true},\"who\"]]";
/// Services whose sessions may be counted; the names come from a configuration, so there are few.
const SERVICES_MAX: usize = 1000;

/// Reads an answer; gives each sample to `take`.
///
/// Errors: what is wrong, in words.
pub(crate) fn read(page: &str, mut take: impl FnMut(&Sample<'_>) -> Result<(), String>) -> Result<(), String> {
    // 2.3 leaves out a comma before an error, so that what it says then is no JSON.
    let answers: Vec<Value> = serde_json::from_str(page).map_err(|error| format!("it is no JSON: {error}"))?;
    let (mut stats, mut who) = (None, None);
    for answer in &answers {
        let parts = answer.as_array().map(Vec::as_slice).unwrap_or_default();
        match (parts.first().and_then(Value::as_str), parts.last().and_then(Value::as_str)) {
            (Some("doveadmResponse"), Some("stats")) => stats = Some(parts),
            (Some("doveadmResponse"), Some("who")) => who = Some(parts),
            (Some("error"), Some(tag)) => return Err(refused(tag, parts)),
            _ => return Err("an answer that nobody asked for".into()),
        }
    }
    for row in rows(stats.ok_or("no answer of statsDump")?) {
        let text = |key| row.get(key).and_then(Value::as_str).ok_or(format!("statsDump tells no {key}"));
        let labels = [("metric", text("metric_name")?), ("field", text("field")?)];
        for name in ["count", "sum"] {
            let value = row.get(name).and_then(number).ok_or(format!("statsDump tells no {name}"))?;
            take(&Sample::of(name, labels, value))?;
        }
    }
    let mut sessions: BTreeMap<&str, u32> = BTreeMap::new();
    for row in rows(who.ok_or("no answer of who")?) {
        let service = row.get("service").and_then(Value::as_str).ok_or("who tells no service")?;
        if sessions.len() == SERVICES_MAX && !sessions.contains_key(service) {
            return Err(format!("more than {SERVICES_MAX} services"));
        }
        *sessions.entry(service).or_default() += 1;
    }
    take(&Sample::of("sessions", [], f64::from(sessions.values().sum::<u32>())))?;
    sessions.iter().try_for_each(|(service, count)| take(&Sample::of("sessions", [("service", service)], f64::from(*count))))
}

/// Rows of an answer: a list of them, or each by itself, as 2.3 writes some.
fn rows<'a>(parts: &'a [Value]) -> impl Iterator<Item = &'a Map<String, Value>> {
    let rows = |part: &'a Value| match part {
        Value::Array(rows) => rows.as_slice(),
        one => std::slice::from_ref(one),
    };
    parts.iter().flat_map(rows).filter_map(Value::as_object)
}

/// A number, also where it stands in quotes.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok().filter(|number: &f64| number.is_finite()))
}

fn refused(tag: &str, parts: &[Value]) -> String {
    let kind = parts.get(1).and_then(|told| told.get("type")).and_then(Value::as_str).unwrap_or("an error");
    format!("{} answered {}", quoted(tag), quoted(kind))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(page: &str) -> Result<Vec<String>, String> {
        let mut all = Vec::new();
        read(page, |sample| {
            let labels: Vec<&str> = sample.labels.iter().map(|(_, value)| value.as_ref()).collect();
            all.push(format!("{} {} {}", sample.name, labels.join("/"), sample.value));
            Ok(())
        })?;
        Ok(all)
    }

    const STATS: &str = r#"["doveadmResponse",[{"metric_name":"a","field":"duration","count":7,"sum":579},{"metric_name":"a","field":"size","count":"2","sum":"10"}],"stats"]"#;

    fn check(who: &str, expected: &[&str]) {
        let stats = ["count a/duration 7", "sum a/duration 579", "count a/size 2", "sum a/size 10"];
        let expected: Vec<String> = stats.iter().chain(expected).map(|&line| line.to_owned()).collect();
        assert_eq!(said(&format!("[{STATS},{who}]")), Ok(expected), "{who}");
    }

    #[test]
    fn what_is_counted_and_who_is_there_are_samples() {
        check(r#"["doveadmResponse",[],"who"]"#, &["sessions  0"]);
        let three = r#"{"username":"a","service":"imap","pid":"1"},{"username":"b","service":"pop3"},{"username":"a","service":"imap"}"#;
        let expected = ["sessions  3", "sessions imap 2", "sessions pop3 1"];
        check(&format!(r#"["doveadmResponse",[{three}],"who"]"#), &expected);
        // As some versions write a list of more than one.
        let (first, rest) = three.split_once("},").unwrap();
        check(&format!(r#"["doveadmResponse",[{first}}}],{rest},"who"]"#), &expected);
    }

    #[test]
    fn what_is_no_answer_says_why() {
        let who = r#"["doveadmResponse",[],"who"]"#;
        let check = |page: &str, why: &str| assert_eq!(said(page), Err(why.to_owned()), "{page}");
        check("[]", "no answer of statsDump");
        check(&format!("[{STATS}]"), "no answer of who");
        check(&format!("[{who}]"), "no answer of statsDump");
        check(r#"[["error",{"type":"unknownMethod","exitCode":0},"who"]]"#, "who answered unknownMethod");
        check(r#"[["doveadmResponse",[],"other"]]"#, "an answer that nobody asked for");
        check(&format!(r#"[["doveadmResponse",[{{"field":"f"}}],"stats"],{who}]"#), "statsDump tells no metric_name");
        let without = format!(r#"[["doveadmResponse",[{{"metric_name":"m","field":"f","sum":1}}],"stats"],{who}]"#);
        check(&without, "statsDump tells no count");
        check(&format!(r#"[{STATS},["doveadmResponse",[{{"username":"a"}}],"who"]]"#), "who tells no service");
        assert!(said("<html>").unwrap_err().starts_with("it is no JSON: "));
        assert!(said(&"[".repeat(100_000)).unwrap_err().starts_with("it is no JSON: "), "no nesting is too deep");
    }

    proptest! {
        #[test]
        fn no_answer_whatsoever_panics(page in ".{0,200}") {
            let _ = said(&page);
        }
    }
}
