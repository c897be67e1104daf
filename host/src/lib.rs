//! The daemon and its command line.
//!
//! Reading order, along the one flow: [`config`] (files to checked jobs) · [`job`] (held to their agents) · [`schedule`] (when a job is
//! due) · [`plugin`] (who measures) · [`reading`] (what is journaled) · [`series`] (RRD files) · [`latest`] and [`expose`] (what consoles
//! scrape) · [`event`] (what was reported) · [`database`] (SQLite files) · [`alarm`] (what is wrong) · [`notify`] (who is told) · [`ticket`] (what stands in other people's systems) · [`console`] (what people see) · [`daemon`] (all of it running) · [`cli`] (the commands) · [`init`]
//! (a first schedule) · [`scaffold`] (a first agent) · [`conformance`] (whether it
//! behaves) · [`log`] (what all of it tells) · [`nagios`] (a run as a check).

pub mod alarm;
pub mod cli;
pub mod config;
pub mod conformance;
pub mod console;
pub mod daemon;
pub mod database;
pub mod event;
pub mod expose;
pub mod init;
pub mod job;
pub mod latest;
pub mod log;
pub mod nagios;
pub mod notify;
pub mod objective;
pub mod plugin;
pub mod reading;
pub mod scaffold;
pub mod schedule;
pub mod series;
pub mod ticket;

/// An error with its causes, each said once: `cannot open the journal: permission denied`.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = without_number(&error.to_string());
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = without_number(&error.to_string());
        // Some libraries repeat their cause in their own text.
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// Errors of the operating system without their numbers, which tell a reader nothing.
pub(crate) fn without_number(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |said, part| match part.split_once(')') {
        Some((number, rest)) if number.parse::<i32>().is_ok() => said + rest,
        _ => said + " (os error " + part,
    })
}

/// A text without anything that a terminal or a log would obey: monitored data is hostile.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if is_obeyed(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Where a text is no TOML of the right shape, and why, in one line.
pub(crate) fn in_one_line(text: &str, error: &toml::de::Error) -> String {
    let why = error.message().lines().collect::<Vec<_>>().join(", ");
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else { return why };
    let (line, column) = (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap_or_default().chars().count() + 1);
    format!("line {line}, column {column}: {why}")
}

/// Whether a character does something instead of being shown: controls, ends of lines, what turns the direction of writing.
fn is_obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_text_is_no_toml_is_told_in_one_line() {
        let said = |text: &str| in_one_line(text, &toml::from_str::<std::collections::BTreeMap<String, i64>>(text).unwrap_err());
        assert_eq!(said("a = 1\nb = \"x\"\n"), "line 2, column 5: invalid type: string \"x\", expected i64");
        assert!(said("a = 1\nb = [\n").starts_with("line 2, column ") && !said("a = [").contains('\n'));
    }

    #[test]
    fn the_number_of_an_error_is_left_out_and_what_follows_it_is_not() {
        let told = |text: &str| chain(&std::io::Error::other(text.to_owned()));
        assert_eq!(told("cannot read a: no such file (os error 2); look there (os error 13)!"), "cannot read a: no such file; look there!");
        assert_eq!(told("a server said (os error x) and (os error "), "a server said (os error x) and (os error ");
        assert_eq!(chain(&std::io::Error::from_raw_os_error(2)), "No such file or directory");
    }
}
