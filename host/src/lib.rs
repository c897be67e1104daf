//! The daemon and its command line.
//!
//! Reading order, along the one flow: [`config`] (files to checked jobs) · [`job`] (held to their agents) · [`schedule`] (when a job is
//! due) · [`plugin`] (who measures) · [`reading`] (what is journaled) · [`series`] (RRD files) · [`latest`] and [`expose`] (what consoles
//! scrape) · [`event`] (what was reported) · [`console`] (what people see) · [`daemon`] (all of it running) · [`cli`] (the commands).

pub mod cli;
pub mod config;
pub mod console;
pub mod daemon;
pub mod event;
pub mod expose;
pub mod job;
pub mod latest;
pub mod plugin;
pub mod reading;
pub mod schedule;
pub mod series;

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

/// An error of the operating system without its number, which tells a reader nothing.
fn without_number(text: &str) -> String {
    text.split_once(" (os error ").map_or(text, |(said, _)| said).to_owned()
}

/// A text without anything that a terminal or a log would obey: monitored data is hostile.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
