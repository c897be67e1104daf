//! One event as one line, whatever is in it: monitored servers are hostile, and what they say stands in the log.

use std::{
    borrow::Cow,
    error::Error,
    fmt::{self, Debug, Write},
    time::{Duration, SystemTime},
};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Bytes of a message or of a field's text; what is longer is cut, and the line says by how much.
const TEXT_BYTES_MAX: usize = 4096;
/// Names that every JSON line has; a field never takes one of them.
const OF_EVERY_LINE: [&str; 4] = ["timestamp", "level", "target", "message"];

/// Lines for people.
pub(super) struct Text {
    pub(super) colours: bool,
}

/// Lines for programs.
pub(super) struct Json;

/// One event: every text in it is a single line that no terminal obeys, and has a bound.
struct Line<'e> {
    timestamp: String,
    level: Level,
    target: &'e str,
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl<'e> Line<'e> {
    fn of(event: &'e Event<'_>) -> Self {
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        let mut line = Self { timestamp: rfc3339(Utc::now()), level, target, message: String::new(), fields: Vec::new() };
        event.record(&mut line);
        line
    }

    fn field(&mut self, field: &Field, value: impl Into<Value>) {
        self.fields.push((field.name(), value.into()));
    }

    fn text(&mut self, field: &Field, text: &str) {
        match field.name() {
            "message" => self.message = harmless(text),
            _ => self.field(field, harmless(text)),
        }
    }
}

impl Visit for Line<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.field(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.text(field, &crate::chain(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field, &format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>, N: for<'w> FormatFields<'w> + 'static> FormatEvent<S, N> for Text {
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let line = Line::of(event);
        let (begin, end) = if self.colours { (colour(line.level), "\x1b[0m") } else { ("", "") };
        write!(to, "{} {begin}{:>5}{end} {}", line.timestamp, line.level, line.message)?;
        for (key, value) in &line.fields {
            write!(to, " {key}={}", bare_or_quoted(value))?;
        }
        writeln!(to)
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>, N: for<'w> FormatFields<'w> + 'static> FormatEvent<S, N> for Json {
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let text = serde_json::to_string(&Line::of(event)).map_err(|_| fmt::Error)?;
        writeln!(to, "{text}")
    }
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut object = to.serialize_map(None)?;
        for (key, text) in OF_EVERY_LINE.into_iter().zip([&self.timestamp, self.level.as_str(), self.target, &self.message]) {
            object.serialize_entry(key, text)?;
        }
        for (key, value) in &self.fields {
            match OF_EVERY_LINE.contains(key) {
                true => object.serialize_entry(&format!("{key}_"), value)?,
                false => object.serialize_entry(key, value)?,
            }
        }
        object.end()
    }
}

/// Names an instant, nanoseconds since 1970, as the log does.
pub fn instant(ns: i64) -> String {
    rfc3339(DateTime::from_timestamp_nanos(ns))
}

/// Names an instant as the log does.
pub fn instant_of(at: SystemTime) -> String {
    rfc3339(at.into())
}

/// A span of time as the log has it: seconds, to the millisecond.
pub fn seconds(span: Duration) -> f64 {
    span.as_millis() as f64 / 1000.0
}

fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A text within its bound, with what a terminal or a reader of lines would obey written out.
fn harmless(text: &str) -> String {
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    let mut line = String::with_capacity(end);
    for c in text[..end].chars() {
        match c {
            _ if crate::is_obeyed(c) => line.extend(c.escape_default()),
            _ => line.push(c),
        }
    }
    if end < text.len() {
        let _never_fails = write!(line, "… ({} more bytes)", text.len() - end);
    }
    line
}

/// A value that ends where a reader of `key=value` sees its end.
fn bare_or_quoted(value: &Value) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_alphanumeric() || "._@:/+-<>".contains(c);
    match value {
        Value::String(text) if !text.is_empty() && text.chars().all(is_plain) => text.into(),
        // No backslash before it: what a server says may end in one. Programs read JSON, which keeps the quotes.
        Value::String(text) => format!("\"{}\"", text.replace('"', "'")).into(),
        other => other.to_string().into(),
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        _ => "\x1b[2m",
    }
}

/// What `speak` logs in this thread, in a format.
#[cfg(test)]
pub(super) fn written<F>(format: F, speak: impl FnOnce()) -> String
where
    F: FormatEvent<tracing_subscriber::Registry, tracing_subscriber::fmt::format::DefaultFields> + Send + Sync + 'static,
{
    let (lines, reading) = std::sync::mpsc::channel();
    let writer = move || Sent(lines.clone());
    tracing::subscriber::with_default(tracing_subscriber::fmt().event_format(format).with_writer(writer).finish(), speak);
    reading.try_iter().map(|bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned()).collect()
}

/// A writer into a channel.
#[cfg(test)]
struct Sent(std::sync::mpsc::Sender<Vec<u8>>);

#[cfg(test)]
impl std::io::Write for Sent {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _nobody_reads = self.0.send(bytes.to_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::{info, warn};

    /// What is written of the events of `speak`, as text and as JSON.
    fn written(speak: impl Fn()) -> (String, String) {
        (super::written(Text { colours: false }, &speak), super::written(Json, &speak))
    }

    #[test]
    fn what_a_hostile_server_says_stays_on_its_line_and_moves_no_terminal() {
        let hostile = "421 bye\r\n2026-01-01T00:00:00.000Z ERROR all is lost\x1b]0;x\x07\u{9b}2J\u{202e}\u{2028}\u{85}end\0\t";
        let (text, json) = written(|| warn!(why = hostile, shown = %hostile, error = ?hostile, "failing: {hostile}"));
        for line in [&text, &json] {
            assert_eq!(line.matches('\n').count(), 1, "{line:?}");
            assert!(line.trim_end().chars().all(|c| !crate::is_obeyed(c)), "{line:?}");
        }
        let parsed: Value = serde_json::from_str(&json).unwrap();
        let shown = r"421 bye\r\n2026-01-01T00:00:00.000Z ERROR all is lost\u{1b}]0;x\u{7}\u{9b}2J\u{202e}\u{2028}\u{85}end\u{0}\t";
        assert_eq!((&parsed["message"], &parsed["why"]), (&format!("failing: {shown}").into(), &shown.into()));
        assert!(text.contains(&format!(" WARN failing: {shown} why=\"{shown}\"")), "{text}");
    }

    #[test]
    fn a_field_ends_where_its_reader_sees_its_end() {
        let (text, _) = written(|| info!(job = "pop-paris", note = "a \"b\" job=x", empty = "", runs = 3, ratio = 0.5, ok = true, "said"));
        let fields = text.trim_end().split_once(" said ").unwrap().1;
        assert_eq!(fields, r#"job=pop-paris note="a 'b' job=x" empty="" runs=3 ratio=0.5 ok=true"#);
    }

    #[test]
    fn every_json_line_has_its_four_names_once_first_and_what_is_unknown_is_absent_or_null() {
        let none: Option<u64> = None;
        let (_, json) = written(|| info!(target: "watchpost::x", level = "mine", pid = none, rate = f64::NAN, "said"));
        let parsed: serde_json::Map<String, Value> = serde_json::from_str(&json).unwrap();
        assert!(chrono::DateTime::parse_from_rfc3339(parsed["timestamp"].as_str().unwrap()).is_ok(), "{json}");
        assert_eq!((&parsed["level"], &parsed["target"], &parsed["message"]), (&"INFO".into(), &"watchpost::x".into(), &"said".into()));
        assert_eq!((&parsed["level_"], parsed.get("pid"), &parsed["rate"]), (&"mine".into(), None, &Value::Null));
        let order = OF_EVERY_LINE.map(|name| json.find(&format!("\"{name}\":")).unwrap());
        assert!(order.is_sorted() && order[0] == 1, "{json}");
    }

    #[test]
    fn a_text_without_end_is_cut_and_an_error_is_told_with_its_causes_and_no_number() {
        let long = "ä".repeat(TEXT_BYTES_MAX);
        let error = std::io::Error::from_raw_os_error(111);
        let (text, json) = written(|| warn!(long, error = &error as &dyn Error, "cannot connect"));
        assert!(text.len() < TEXT_BYTES_MAX + 200 && text.contains("ä… (4096 more bytes)"), "{text}");
        let parsed: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(parsed["error"], "Connection refused");
    }
}
