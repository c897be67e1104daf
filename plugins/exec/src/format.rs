//! The forms in which programs tell what they have measured.

pub(crate) mod influx;
pub(crate) mod json;
pub(crate) mod nagios;
pub(crate) mod perfdata;
pub(crate) mod prometheus;
pub(crate) mod putval;

use crate::{config::Format, point::Said};

/// How the lines of one program are read; what was said of families is remembered.
#[derive(Debug)]
pub(crate) enum Form {
    Json,
    Influx,
    /// With the name that the program was given for this machine.
    Putval(String),
    Prometheus(prometheus::Families),
}

impl Form {
    /// How lines of that format are read; none if it is not told in lines.
    pub(crate) fn of(format: Format, host: &str) -> Option<Self> {
        match format {
            Format::Nagios => None,
            Format::JsonLines => Some(Self::Json),
            Format::Influx => Some(Self::Influx),
            Format::Putval => Some(Self::Putval(host.into())),
            Format::Prometheus => Some(Self::Prometheus(prometheus::Families::default())),
        }
    }

    /// Reads a line.
    ///
    /// Errors: what is wrong, in words.
    pub(crate) fn line(&mut self, line: &str) -> Result<Vec<Said>, String> {
        match self {
            Self::Json if line.trim().is_empty() => Ok(Vec::new()),
            Self::Json => json::line(line).map(|said| vec![said]),
            Self::Influx => influx::line(line),
            Self::Putval(host) => putval::line(line, host),
            Self::Prometheus(families) => families.line(line.trim_end_matches('\r')),
        }
    }
}
