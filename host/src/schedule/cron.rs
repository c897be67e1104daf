//! A cron expression: five Unix fields, six with seconds first, or a shorthand.
//!
//! The `cron` crate reads every field, from an expression that [`dialect`] brought into its words; the values are its own.
//! What stays here is where it is not Unix: day of month or weekday (it takes both), the shorthands it lacks, expressions
//! that never run, and messages that say what would be right. Its iteration is not used: it ends with the year 2100,
//! steps over what lies in a spring gap and runs a repeated hour out of order.

use super::dialect;
use super::error::{CronFault, ScheduleError};
use super::field::{Field, FieldKind, MONTHS, next_value, values};

/// Expressions with a name, as crontab(5) has them.
const SHORTHANDS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// Days of each month in a leap year.
const DAYS_MAX: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// A cron expression that can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cron {
    text: String,
    pub(super) second: Field,
    pub(super) minute: Field,
    pub(super) hour: Field,
    pub(super) day: Field,
    pub(super) month: Field,
    pub(super) weekday: Field,
}

impl Cron {
    /// Reads an expression.
    ///
    /// Errors: [`ScheduleError::Cron`], also for an expression that can never run (30 February).
    /// Source: crontab(5) of Vixie cron; wrapping ranges and the sixth field are ours.
    pub(super) fn parse(expression: &str) -> Result<Self, ScheduleError> {
        read(expression).map_err(|fault| ScheduleError::Cron { expression: expression.to_owned(), fault })
    }

    /// Finds everything that is wrong with an expression: each field that cannot be read, or the one thing that is wrong with the whole.
    pub(super) fn faults(expression: &str) -> Vec<ScheduleError> {
        let text = expression.trim();
        let Err(fault) = read(text) else { return Vec::new() };
        let faults = match (&fault, longhand(text).and_then(words)) {
            (CronFault::Field { .. }, Ok(words)) => dialect::faults(words),
            _ => vec![fault],
        };
        faults.into_iter().map(|fault| ScheduleError::Cron { expression: expression.to_owned(), fault }).collect()
    }

    /// Gives the expression as it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Tells whether runs follow elapsed time over a change of local time: the hour starts with `*`.
    ///
    /// Otherwise the hour is an appointment, kept once: after a gap, or at the first of two.
    /// Source: cron(8) of Vixie cron, "wildcard jobs".
    pub(super) fn follows_elapsed_time(&self) -> bool {
        self.hour.starred
    }

    /// Tells whether a day satisfies if either its date or its weekday does.
    // crontab(5): both restricted (neither starts with *) means either; else both must hold.
    pub(super) fn either_day(&self) -> bool {
        !self.day.starred && !self.weekday.starred
    }
}

fn read(expression: &str) -> Result<Cron, CronFault> {
    let text = expression.trim();
    let cron = fields(text, longhand(text)?)?;
    can_run(&cron)?;
    Ok(cron)
}

fn longhand(text: &str) -> Result<&str, CronFault> {
    if !text.starts_with('@') {
        return Ok(text);
    }
    let known = SHORTHANDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    known.map(|(_, longhand)| *longhand).ok_or(CronFault::UnknownShorthand)
}

/// Parts an expression into its fields, second first.
fn words(longhand: &str) -> Result<[&str; 6], CronFault> {
    let words: Vec<_> = longhand.split_ascii_whitespace().collect();
    match words[..] {
        [minute, hour, day, month, weekday] => Ok(["0", minute, hour, day, month, weekday]),
        [second, minute, hour, day, month, weekday] => Ok([second, minute, hour, day, month, weekday]),
        _ => Err(CronFault::FieldCount { found: words.len() }),
    }
}

fn fields(text: &str, longhand: &str) -> Result<Cron, CronFault> {
    let written = words(longhand)?;
    let read = dialect::read(written)?;
    let [second, minute, hour, day, month, weekday] = written;
    Ok(Cron {
        text: text.to_owned(),
        second: Field::taken(FieldKind::Second, second, read.seconds()),
        minute: Field::taken(FieldKind::Minute, minute, read.minutes()),
        hour: Field::taken(FieldKind::Hour, hour, read.hours()),
        day: Field::taken(FieldKind::DayOfMonth, day, read.days_of_month()),
        month: Field::taken(FieldKind::Month, month, read.months()),
        weekday: Field::taken(FieldKind::DayOfWeek, weekday, read.days_of_week()),
    })
}

/// Refuses what no calendar holds; every other combination comes round within 40 years.
fn can_run(cron: &Cron) -> Result<(), CronFault> {
    let longest = values(cron.month.values).map(|month| DAYS_MAX[month as usize - 1]).max();
    match (longest, next_value(cron.day.values, 1)) {
        (Some(days), Some(day)) if day > days && !cron.either_day() => {
            let names: Vec<_> = values(cron.month.values).map(|month| MONTHS[month as usize - 1]).collect();
            Err(CronFault::NeverRuns { months: names.join(", "), day })
        }
        _ => Ok(()),
    }
}
