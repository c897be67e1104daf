//! Selectors of series: `metric{label="value", other=~"regex"}`, as PromQL has them.
//!
//! Source: Prometheus, "Querying basics", "Time series selectors" and "String literals".

mod lexer;

use std::fmt;

use lexer::Lexer;
use regex::Regex;
use watchpost_plugin_api::MetricSpec;
use watchpost_services::outcome::Sample;

/// The label that a bare name in front of the braces stands for.
pub const NAME_LABEL: &str = "__name__";

/// Where and why a selector cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct SelectorError {
    /// The character, counted from 1.
    pub column: usize,
    /// What is there, and what would be right.
    pub message: String,
}

/// Which series are meant; two are equal when they are written alike.
#[derive(Clone, Debug)]
pub struct Selector {
    text: String,
    matchers: Vec<Matcher>,
}

#[derive(Clone, Debug)]
struct Matcher {
    label: String,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Is(String),
    IsNot(String),
    Fits(Regex),
    FitsNot(Regex),
}

impl Selector {
    /// Reads a selector.
    ///
    /// Errors: the column, what stands there and what would be right; also when it would select everything.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut lexer = Lexer::new(text);
        let mut matchers = Vec::new();
        let begin = lexer.column();
        if let Some(name) = lexer.word(true) {
            matchers.push(Matcher { label: NAME_LABEL.into(), test: Test::Is(name) });
        }
        if lexer.take("{") {
            braces(&mut lexer, &mut matchers)?;
        }
        if !lexer.is_at_end() {
            return Err(lexer.unexpected(if matchers.is_empty() { "a metric name or {" } else { "{ or the end" }));
        }
        if matchers.iter().all(|matcher| matcher.test.holds("")) {
            let message = "this selects everything; name a metric or a label's value, as in up{job=\"pop-paris\"}".into();
            return Err(SelectorError { column: begin, message });
        }
        Ok(Self { text: text.to_owned(), matchers })
    }

    /// The selector as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Labels that must have one value, each with it.
    pub fn fixed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.matchers.iter().filter_map(|matcher| match &matcher.test {
            Test::Is(value) => Some((matcher.label.as_str(), value.as_str())),
            _ => None,
        })
    }

    /// The labels that it looks at, each once, in their order.
    pub fn labels(&self) -> Vec<&str> {
        let mut labels: Vec<&str> = Vec::new();
        for matcher in &self.matchers {
            if !labels.contains(&matcher.label.as_str()) {
                labels.push(&matcher.label);
            }
        }
        labels
    }

    /// Whether it takes a value of a label, whatever the others are.
    pub fn takes(&self, label: &str, value: &str) -> bool {
        self.matchers.iter().filter(|matcher| matcher.label == label).all(|matcher| matcher.test.holds(value))
    }

    /// The one job whose series are meant, if one is named.
    pub fn job(&self) -> Option<&str> {
        self.fixed().find(|(label, value)| *label == "job" && !value.is_empty()).map(|(_, value)| value)
    }

    /// The same, but of one job only.
    pub fn of_job(&self, job: &str) -> Self {
        let text = format!("{} of {job}", self.text);
        let mut matchers = self.matchers.clone();
        matchers.push(Matcher { label: "job".into(), test: Test::Is(job.to_owned()) });
        Self { text, matchers }
    }

    /// Says whether a series is meant; a label that it does not have is empty.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.matchers.iter().all(|matcher| matcher.test.holds(label(&matcher.label).unwrap_or_default()))
    }

    /// Says whether a series may be meant of which some labels are not known yet: those are open, and any value may come.
    pub fn may_match<'a>(&self, label: impl Fn(&str) -> Known<'a>) -> bool {
        self.matchers.iter().all(|matcher| match label(&matcher.label) {
            Known::Open => true,
            Known::Is(value) => matcher.test.holds(value),
        })
    }
}

/// What is known of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known<'a> {
    /// Nothing yet.
    Open,
    /// Its value; empty where the series does not have it.
    Is(&'a str),
}

impl PartialEq for Selector {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Test {
    fn holds(&self, value: &str) -> bool {
        match self {
            Self::Is(expected) => value == expected,
            Self::IsNot(expected) => value != expected,
            Self::Fits(regex) => regex.is_match(value),
            Self::FitsNot(regex) => !regex.is_match(value),
        }
    }
}

fn braces(lexer: &mut Lexer<'_>, matchers: &mut Vec<Matcher>) -> Result<(), SelectorError> {
    loop {
        if lexer.take("}") {
            return Ok(());
        }
        matchers.push(matcher(lexer)?);
        if !lexer.take(",") && !lexer.sees("}") {
            return Err(lexer.unexpected(", or }"));
        }
    }
}

fn matcher(lexer: &mut Lexer<'_>) -> Result<Matcher, SelectorError> {
    let label = lexer.word(false).ok_or_else(|| lexer.unexpected("a label or }"))?;
    let operator = ["=~", "!~", "!=", "="].into_iter().find(|operator| lexer.take(operator));
    let operator = operator.ok_or_else(|| lexer.unexpected("= != =~ or !~"))?;
    let column = lexer.column();
    let value = lexer.string()?;
    // PromQL anchors both ends.
    let regex = |value: &str| {
        Regex::new(&format!("^(?s:{value})$"))
            .map_err(|error| SelectorError { column, message: format!("not a regular expression: {}", last_line(&error)) })
    };
    let test = match operator {
        "=~" => Test::Fits(regex(&value)?),
        "!~" => Test::FitsNot(regex(&value)?),
        "!=" => Test::IsNot(value),
        _ => Test::Is(value),
    };
    Ok(Matcher { label, test })
}

fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").into()
}

/// Shows a series as the selector that selects it: `connect_time{job="x"}`.
pub struct Shown<'a> {
    /// The metric.
    pub metric: &'a str,
    /// Labels, in this order.
    pub labels: &'a [(String, String)],
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric)?;
        for (index, (label, value)) in self.labels.iter().enumerate() {
            write!(f, "{}{label}=\"", if index == 0 { "{" } else { "," })?;
            for c in value.chars() {
                match c {
                    '\\' | '"' => write!(f, "\\{c}")?,
                    '\n' => f.write_str("\\n")?,
                    // A terminal would obey them.
                    c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                    c => write!(f, "{c}")?,
                }
            }
            f.write_str("\"")?;
        }
        if self.labels.is_empty() { Ok(()) } else { f.write_str("}") }
    }
}

/// Shows the series of a sample, without the labels that its job gives it: `queue_size{queue="deferred"}`.
pub fn notation<'a>(sample: &Sample, metrics: impl IntoIterator<Item = &'a MetricSpec>) -> String {
    let keys = metrics.into_iter().find(|metric| metric.name == sample.metric).map(|metric| metric.keys.as_slice()).unwrap_or_default();
    let labels: Vec<(String, String)> = keys.iter().cloned().zip(sample.labels.iter().cloned()).collect();
    Shown { metric: &sample.metric, labels: &labels }.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIES: [(&str, &str); 4] = [(NAME_LABEL, "queue_size"), ("job", "mx1"), ("queue", "a\"b\nc"), ("site", "paris")];

    fn matches(selector: &str) -> bool {
        let selector = Selector::parse(selector).unwrap_or_else(|error| panic!("{selector}: {error}"));
        selector.matches(|label| SERIES.iter().find(|(key, _)| *key == label).map(|(_, value)| *value))
    }

    #[test]
    fn selectors_select_as_promql_does() {
        let table = [
            ("queue_size", true),
            ("queue", false),
            ("queue_size{}", true),
            (" queue_size { job = \"mx1\" , } ", true),
            ("{job=\"mx1\"}", true),
            ("{job='mx1',site!=\"rome\"}", true),
            ("{job=`mx1`}", true),
            ("{job=~\"mx.\"}", true),
            ("{job=~\"mx\"}", false),
            ("{job=~\"x1|mx2\"}", false),
            ("{job=~\"mx1|x\"}", true),
            ("{job=\"mx1\",site!~\"par.*\"}", false),
            ("{job=\"mx1\",absent=\"\"}", true),
            ("{job=\"mx1\",absent!=\"\"}", false),
            ("{queue=\"a\\\"b\\nc\"}", true),
            ("{queue=\"a\\x22b\\012c\"}", true),
            ("{queue=\"\\u0061\\\"b\\U0000000ac\"}", true),
            ("{queue=~\"a.b.c\"}", true),
            ("{__name__=~\"queue_.*\"}", true),
        ];
        for (selector, expected) in table {
            assert_eq!(matches(selector), expected, "{selector}");
        }
    }

    #[test]
    fn a_fault_names_its_column_and_what_would_be_right() {
        let table = [
            ("", "column 1: this selects everything; name a metric or a label's value, as in up{job=\"pop-paris\"}"),
            ("{}", "column 1: this selects everything; name a metric or a label's value, as in up{job=\"pop-paris\"}"),
            ("{job=~\".*\"}", "column 1: this selects everything; name a metric or a label's value, as in up{job=\"pop-paris\"}"),
            ("up{job}", "column 7: found }, expected = != =~ or !~"),
            ("up{job=x}", "column 8: found x, expected a string in quotes"),
            ("up{job=\"x\"", "column 11: found the end, expected , or }"),
            ("up{job=\"x", "column 8: the string has no end"),
            ("up{job=\"\\q\"}", "column 9: unknown escape \\q"),
            ("up{=\"x\"}", "column 4: found =, expected a label or }"),
            ("up job", "column 4: found j, expected { or the end"),
            ("9up", "column 1: found 9, expected a metric name or {"),
            ("up{job=~\"(\"}", "column 9: not a regular expression: unclosed group"),
        ];
        for (selector, expected) in table {
            assert_eq!(Selector::parse(selector).unwrap_err().to_string(), expected, "{selector}");
        }
    }

    #[test]
    fn a_shown_series_selects_itself() {
        let labels = [("queue".to_owned(), "a\"b\\\nc\u{1b}[31m\u{9b}ü".to_owned())];
        let shown = Shown { metric: "queue_size", labels: &labels }.to_string();
        assert_eq!(shown, "queue_size{queue=\"a\\\"b\\\\\\nc\\u001b[31m\\u009bü\"}");
        let selector = Selector::parse(&shown).unwrap();
        assert!(selector.matches(|label| Some(if label == NAME_LABEL { "queue_size" } else { &labels[0].1 })), "{shown}");
    }
}
