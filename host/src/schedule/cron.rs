//! A cron expression: five Unix fields, six with seconds first, or a shorthand.
//!
//! The `cron` crate is a development dependency only: it reads another dialect (Sunday is 1, day of month AND day of
//! week, no wrapping range), ends with the year 2100 and steps over what lies in a spring gap. Bringing an expression
//! into its dialect takes the whole field parser below, after which it has nothing left to do; where both dialects
//! mean the same, a test holds us to it.

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

fn fields(text: &str, longhand: &str) -> Result<Cron, CronFault> {
    let words: Vec<_> = longhand.split_ascii_whitespace().collect();
    let (second, minute, hour, day, month, weekday) = match words[..] {
        [minute, hour, day, month, weekday] => (None, minute, hour, day, month, weekday),
        [second, minute, hour, day, month, weekday] => (Some(second), minute, hour, day, month, weekday),
        _ => return Err(CronFault::FieldCount { found: words.len() }),
    };
    Ok(Cron {
        text: text.to_owned(),
        second: second.map_or(Ok(Field::only(0)), |text| field(FieldKind::Second, text))?,
        minute: field(FieldKind::Minute, minute)?,
        hour: field(FieldKind::Hour, hour)?,
        day: field(FieldKind::DayOfMonth, day)?,
        month: field(FieldKind::Month, month)?,
        weekday: field(FieldKind::DayOfWeek, weekday)?,
    })
}

fn field(kind: FieldKind, text: &str) -> Result<Field, CronFault> {
    Field::parse(kind, text).map_err(|(item, fault)| CronFault::Field { field: kind, item, fault })
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
