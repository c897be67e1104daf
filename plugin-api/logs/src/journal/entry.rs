//! An entry of the journal, as journalctl writes it in JSON, and the line of a syslog that says the same.

use serde_json::{Map, Value};

/// An entry.
pub(super) struct Entry {
    pub(super) cursor: String,
    /// Whether its message is missing: journalctl leaves out what is very long.
    pub(super) is_empty: bool,
    fields: Map<String, Value>,
}

impl Entry {
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(line) else { return None };
        let Some(Value::String(cursor)) = fields.remove("__CURSOR") else { return None };
        // It goes back to journalctl as an argument.
        if cursor.is_empty() || cursor.len() > 1000 || !cursor.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        Some(Self { cursor, is_empty: bytes(fields.get("MESSAGE")).is_none(), fields })
    }

    /// `2026-11-29T22:28:50Z mx1 postfix/smtpd[12]: connect from …`
    pub(super) fn write(&self, line: &mut Vec<u8>) {
        line.clear();
        let field = |name: &str| bytes(self.fields.get(name));
        let micros = field("__REALTIME_TIMESTAMP").and_then(|text| String::from_utf8(text).ok()?.parse::<u64>().ok());
        line.extend_from_slice(stamp(micros.unwrap_or(0) / 1_000_000).as_bytes());
        line.push(b' ');
        line.extend(field("_HOSTNAME").unwrap_or_else(|| b"-".to_vec()).into_iter().map(plain));
        line.push(b' ');
        let program = field("SYSLOG_IDENTIFIER").or_else(|| field("_COMM"));
        line.extend(program.unwrap_or_else(|| b"unknown".to_vec()).into_iter().map(plain));
        if let Some(pid) = field("SYSLOG_PID").or_else(|| field("_PID")) {
            line.push(b'[');
            line.extend(pid.into_iter().map(plain));
            line.push(b']');
        }
        line.extend_from_slice(b": ");
        // A message of several lines is one.
        line.extend(field("MESSAGE").unwrap_or_default().into_iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
    }
}

/// A field's bytes: text, numbers where it is no text, and the first of several.
fn bytes(value: Option<&Value>) -> Option<Vec<u8>> {
    match value? {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Array(list) => match list.first() {
            Some(first @ (Value::String(_) | Value::Array(_))) => bytes(Some(first)),
            _ => list.iter().map(|byte| u8::try_from(byte.as_u64()?).ok()).collect(),
        },
        _ => None,
    }
}

/// A byte that is no part of a line's own punctuation.
fn plain(byte: u8) -> u8 {
    if byte <= b' ' || matches!(byte, b':' | b'[' | b']') { b'_' } else { byte }
}

/// Seconds since 1970 as RFC 3339 writes them. Source: Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
fn stamp(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::syslog;

    fn check(json: &str, expected: Option<&str>) {
        let mut line = Vec::new();
        let written = Entry::read(json.as_bytes()).map(|entry| {
            entry.write(&mut line);
            String::from_utf8_lossy(&line).into_owned()
        });
        assert_eq!(written.as_deref(), expected, "{json}");
        assert!(written.is_none_or(|line| syslog(line.as_bytes()).is_some()));
    }

    #[test]
    fn an_entry_becomes_the_line_that_a_syslog_would_have() {
        let front = r#"{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1795991330578815","_HOSTNAME":"mx1","#;
        check(
            &format!(r#"{front}"SYSLOG_IDENTIFIER":"postfix/smtpd","SYSLOG_PID":"12","_PID":"13","MESSAGE":"connect from a"}}"#),
            Some("2026-11-29T22:28:50Z mx1 postfix/smtpd[12]: connect from a"),
        );
        check(
            &format!(r#"{front}"_COMM":["dove cot","b"],"_PID":"13","MESSAGE":[97,10,98]}}"#),
            Some("2026-11-29T22:28:50Z mx1 dove_cot[13]: a b"),
        );
        check(r#"{"__CURSOR":"a","MESSAGE":null}"#, Some("1970-01-01T00:00:00Z - unknown: "));
        for none in ["", "{", "[]", r#"{"MESSAGE":"a"}"#, r#"{"__CURSOR":"a\nb"}"#, r#"{"__CURSOR":7}"#] {
            check(none, None);
        }
    }
}
