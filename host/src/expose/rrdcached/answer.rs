//! How rrdcached writes an answer: a status with a message, and as many lines as the status says; below 0 it is a refusal.

use std::{fmt::Write, path::Path};

use crate::series::outside::{Fact, Rows};

/// What is said to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer(String);

impl Answer {
    /// It is done, and this is all there is to say.
    pub(super) fn done(message: &str) -> Self {
        Self(format!("0 {message}\n"))
    }

    /// It is not done.
    pub(super) fn refusal(why: &str) -> Self {
        Self(format!("-1 {}\n", crate::plain(why)))
    }

    /// Rows of the data sources that are named, of all if none is.
    ///
    /// Unknown: `nan`.
    /// Errors: a name that the file does not have.
    pub(super) fn rows(rows: &Rows, sources: &[String]) -> Result<Self, String> {
        let place = |name: &String| {
            let found = rows.sources.iter().position(|source| source == name);
            found.ok_or_else(|| format!("No data source is called {}; there are: {}", crate::plain(name), rows.sources.join(" ")))
        };
        let columns = match sources {
            [] => (0..rows.sources.len()).collect(),
            named => named.iter().map(place).collect::<Result<Vec<_>, _>>()?,
        };
        let mut text =
            format!("{} Success\nFlushVersion: 1\nStart: {}\nEnd: {}\nStep: {}\n", rows.rows.len() + 6, rows.from, rows.to(), rows.step);
        let names: Vec<&str> = columns.iter().filter_map(|column| rows.sources.get(*column)).map(String::as_str).collect();
        let _infallible = write!(text, "DSCount: {}\nDSName: {}\n", names.len(), names.join(" "));
        for (time, values) in &rows.rows {
            let _infallible = write!(text, "{time}:");
            for column in &columns {
                let value = values.get(*column).copied().flatten().unwrap_or(f64::NAN);
                let _infallible = write!(text, " {}", scientific(value, 17, "nan"));
            }
            text.push('\n');
        }
        Ok(Self(text))
    }

    /// What a file says of itself; the numbers of the kinds are librrd's.
    pub(super) fn facts(file: &Path, facts: &[(String, Fact)]) -> Self {
        let mut text = format!("{} Info for {} follows\n", facts.len(), file.display());
        for (key, fact) in facts {
            let _infallible = match fact {
                Fact::Value(value) => writeln!(text, "{key} 0 {}", scientific(*value, 10, "NaN")),
                Fact::Count(count) => writeln!(text, "{key} 1 {count}"),
                Fact::Text(said) => writeln!(text, "{key} 2 {}", crate::plain(said)),
            };
        }
        Self(text)
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

/// A number as `%.Ne` of C has it: a sign and two digits of exponent at least.
fn scientific(value: f64, digits: usize, unknown: &str) -> String {
    if value.is_nan() {
        return unknown.to_owned();
    }
    let written = format!("{value:.digits$e}");
    match written.split_once('e') {
        None => written, // infinite
        Some((number, exponent)) => match exponent.strip_prefix('-') {
            Some(exponent) => format!("{number}e-{exponent:0>2}"),
            None => format!("{number}e+{exponent:0>2}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        let sources = vec!["up".to_owned(), "run_duration".to_owned()];
        Rows { from: 100, step: 10, sources, rows: vec![(110, vec![Some(1.0), None]), (120, vec![None, Some(0.7)])] }
    }

    #[test]
    fn rows_are_written_as_rrdcached_does() {
        let said = "8 Success\nFlushVersion: 1\nStart: 100\nEnd: 120\nStep: 10\nDSCount: 2\nDSName: up run_duration\n\
            110: 1.00000000000000000e+00 nan\n120: nan 6.99999999999999956e-01\n";
        assert_eq!(Answer::rows(&rows(), &[]).unwrap().text(), said);
        let one = "8 Success\nFlushVersion: 1\nStart: 100\nEnd: 120\nStep: 10\nDSCount: 1\nDSName: run_duration\n110: nan\n120: 6.99999999999999956e-01\n";
        assert_eq!(Answer::rows(&rows(), &["run_duration".to_owned()]).unwrap().text(), one);
        assert_eq!(Answer::rows(&rows(), &["x".to_owned()]).unwrap_err(), "No data source is called x; there are: up run_duration");
    }

    #[test]
    fn numbers_are_written_as_c_does() {
        for (value, expected) in [
            (0.5, "5.0000000000e-01"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-inf"),
            (-1e123, "-1.0000000000e+123"),
            (0.0, "0.0000000000e+00"),
        ] {
            assert_eq!(scientific(value, 10, "NaN"), expected);
        }
    }
}
