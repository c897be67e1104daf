//! How a family and a line are written.

use std::fmt::Write;

use super::Format;

/// A text in the making. Families are opened one after the other and never again.
#[derive(Debug)]
pub(super) struct Text {
    out: String,
    format: Format,
    /// The family that is open, with the ending its samples carry.
    name: String,
}

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Gauge,
    Counter,
    Histogram,
}

impl Text {
    pub(super) fn new(format: Format, capacity: usize) -> Self {
        Self { out: String::with_capacity(capacity), format, name: String::new() }
    }

    /// Opens a family; `name` is without `_total`.
    pub(super) fn family(&mut self, name: &str, kind: Type, help: &str) {
        name.clone_into(&mut self.name);
        let total = if kind == Type::Counter { "_total" } else { "" };
        // Text 0.0.4 has no families beyond names of samples; OpenMetrics names the family without the ending.
        let headed = if self.format == Format::Text { total } else { "" };
        let kind = match kind {
            Type::Gauge => "gauge",
            Type::Counter => "counter",
            Type::Histogram => "histogram",
        };
        let _infallible = write!(self.out, "# HELP {name}{headed} ");
        escape(&mut self.out, help, self.format == Format::OpenMetrics);
        let _infallible = write!(self.out, "\n# TYPE {name}{headed} {kind}\n");
        if let Some(unit) = unit_of(name).filter(|_| self.format == Format::OpenMetrics) {
            let _infallible = writeln!(self.out, "# UNIT {name} {unit}");
        }
        self.name.push_str(total);
    }

    /// Writes a line of the open family: labels as `labels` has them, then the pairs of `more`.
    pub(super) fn sample<'a>(&mut self, ending: &str, labels: &str, more: impl Iterator<Item = (&'a str, &'a str)>, value: f64) {
        self.out.push_str(&self.name);
        self.out.push_str(ending);
        self.out.push('{');
        let opened = self.out.len();
        self.out.push_str(labels);
        for (key, value) in more {
            if self.out.len() > opened {
                self.out.push(',');
            }
            label(&mut self.out, key, value);
        }
        if self.out.len() == opened {
            self.out.truncate(opened - 1);
        } else {
            self.out.push('}');
        }
        // `{}` of an f64 is the shortest plain decimal that reads back as the same number.
        let _infallible = writeln!(self.out, " {value}");
    }

    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }
}

/// Appends `key="value"`.
pub(super) fn label(out: &mut String, key: &str, value: &str) {
    out.push_str(key);
    out.push_str("=\"");
    escape(out, value, true);
    out.push('"');
}

/// Appends with backslash and line feed escaped, and the quote where it would end the text.
fn escape(out: &mut String, text: &str, quotes: bool) {
    let mut rest = text;
    while let Some(at) = rest.find(|c| matches!(c, '\\' | '\n' | '\0') || (quotes && c == '"')) {
        let (clean, special) = rest.split_at(at);
        out.push_str(clean);
        out.push_str(match special.as_bytes()[0] {
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'"' => "\\\"",
            // Scrapers take NUL for the end of the text.
            _ => "\u{fffd}",
        });
        rest = &special[1..];
    }
    out.push_str(rest);
}

/// The unit that a family's name ends in.
fn unit_of(name: &str) -> Option<&'static str> {
    ["seconds", "bytes", "ratio"].into_iter().find(|unit| name.strip_suffix(unit).is_some_and(|stem| stem.ends_with('_')))
}
