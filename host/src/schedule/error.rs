//! What can be wrong with a schedule, each with what would be right.
//!
//! Reading order: [`ScheduleError`] is what the room answers; [`SpanFault`], [`CronFault`] and [`WindowFault`] are its causes.

use std::time::Duration;

use super::field::{FieldKind, ItemFault};
use super::span::{self, SPAN_MAX};

/// Why a job's schedule was refused.
///
/// The text says its own step and leaves the cause to `source`, so that an edge that prints the chain says each once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// `every` or `timeout` holds no time span.
    #[error("{text:?} is not a time span")]
    Span {
        /// What was written.
        text: String,
        /// What is wrong with it.
        #[source]
        fault: SpanFault,
    },
    /// `cron` holds no cron expression, or one that never runs.
    #[error("{expression:?} is not a usable cron expression")]
    Cron {
        /// What was written.
        expression: String,
        /// What is wrong with it.
        #[source]
        fault: CronFault,
    },
    /// `timezone` names a zone that IANA does not list.
    #[error("time zone {name:?} is unknown; {}", zone_hint(.nearest))]
    UnknownZone {
        /// What was written.
        name: String,
        /// The IANA name that looks most like it, if any does.
        nearest: Option<&'static str>,
    },
    /// `overlap` holds a word that means nothing.
    #[error("overlap {word:?} is unknown; write \"skip\", \"queue\" or \"cancel\"")]
    UnknownOverlap {
        /// What was written.
        word: String,
    },
    /// `active` or `blackout` holds no window of time.
    #[error("{text:?} is not a window of time")]
    Window {
        /// What was written.
        text: String,
        /// What is wrong with it.
        #[source]
        fault: WindowFault,
    },
    /// A window of which a change of clocks leaves nothing.
    #[error("{text:?} never comes: clocks in {zone} go from {from} to {until}")]
    WindowSkipped {
        /// What was written.
        text: String,
        /// Where clocks are changed.
        zone: &'static str,
        /// The local time before the gap.
        from: String,
        /// The local time after it.
        until: String,
    },
    /// Its windows never let it run when it is due.
    #[error("it can never run: {reason}")]
    NeverOpen {
        /// Why.
        reason: String,
    },
    /// `timeout` lets a run last into the next one.
    #[error(
        "timeout {} is longer than {}, the shortest time between two runs",
        span::written(.timeout.as_secs()),
        span::written(.interval.as_secs())
    )]
    TimeoutOverInterval {
        /// The timeout that was asked for.
        timeout: Duration,
        /// The shortest time between two runs.
        interval: Duration,
    },
}

/// What is wrong with a text that should be a time span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpanFault {
    /// Not a row of numbers with units.
    #[error("write whole numbers with units, such as \"30s\", \"5m\" or \"1h30m\"")]
    Shape,
    /// A number stands alone.
    #[error("a unit is missing: write \"{number}s\" for seconds, or m, h, d")]
    NoUnit {
        /// The number without a unit.
        number: String,
    },
    /// A unit that is not one of `s`, `m`, `min`, `h`, `d`.
    #[error("unit {unit:?} is unknown; use s, m (or min), h, d")]
    UnknownUnit {
        /// What stands where a unit should.
        unit: String,
    },
    /// Units that do not fall, as in "30m1h" or "1m1m".
    #[error("units go from large to small, each once, as in \"1d12h\" or \"1h30m\"")]
    Order,
    /// A fraction of a unit.
    #[error("fractions are not taken: write {}", whole_hint(*.seconds))]
    Fraction {
        /// The whole seconds that come nearest, if the rest could be read.
        seconds: Option<u64>,
    },
    /// No time at all.
    #[error("the shortest span is \"1s\"")]
    Zero,
    /// More than a leap year.
    #[error("the longest span is \"{}\"", span::written(SPAN_MAX.as_secs()))]
    TooLong,
}

/// What is wrong with a text that should be a cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronFault {
    /// Neither five nor six fields.
    #[error(
        "it has {found} fields; write 5 (minute hour day-of-month month day-of-week) \
         or 6 (second first)"
    )]
    FieldCount {
        /// How many fields were written.
        found: usize,
    },
    /// `@something` that is no known shorthand.
    #[error("shorthand is unknown; write @hourly, @daily, @weekly, @monthly or @yearly")]
    UnknownShorthand,
    /// One field cannot be read.
    #[error("{field} {item:?}")]
    Field {
        /// Which field.
        field: FieldKind,
        /// The item of the field that is at fault.
        item: String,
        /// What is wrong with it.
        #[source]
        fault: ItemFault,
    },
    /// The `cron` crate refuses what passed every check here; a test holds that it never does.
    #[error("the cron crate refuses {translated:?}, into which it was translated: {reason}")]
    Untaken {
        /// The expression in the crate's words.
        translated: String,
        /// What the crate says.
        reason: String,
    },
    /// No date satisfies day of month and month together.
    #[error("it can never run: day {day} is past the end of {months}")]
    NeverRuns {
        /// The months asked for, by name.
        months: String,
        /// The lowest day of month asked for.
        day: u32,
    },
}

/// What is wrong with a text that should be a window of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowFault {
    /// Neither days nor times.
    #[error("write days, times or both, such as \"MON-FRI 08:00-18:00\", \"SUN\" or \"2026-12-24..2026-12-26\"")]
    Empty,
    /// No day of the week, nor a word for some.
    #[error("{word:?} is no day: write MON to SUN, daily, holidays, or a date such as 2026-12-24")]
    Day {
        /// What stands where a day should.
        word: String,
    },
    /// No date of the calendar.
    #[error("{word:?} is no date: write year-month-day, such as 2026-12-24")]
    Date {
        /// What stands where a date should.
        word: String,
    },
    /// No stretch of a day.
    #[error("{word:?} is no stretch of a day: write 08:00-18:00, or 22:00-06:00 into the next day")]
    Time {
        /// What stands where times should.
        word: String,
    },
    /// A stretch that ends when it begins.
    #[error("{word:?} ends when it begins: the whole day is 00:00-24:00")]
    NoTime {
        /// What was written.
        word: String,
    },
    /// Dates that fall.
    #[error("{word:?} ends before it begins")]
    Backwards {
        /// What was written.
        word: String,
    },
    /// Days or times a second time.
    #[error("{word:?} is one too many: write each window as a text of its own, and times with commas, as in \"08:00-12:00,13:00-18:00\"")]
    Twice {
        /// The second of them.
        word: String,
    },
    /// Holidays without holidays.
    #[error("\"holidays except holidays\" holds no day")]
    HolidaysButHolidays,
}

/// A line of a list of holidays that is no date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is no date: write 2026-04-06, or 12-25 for every year; a name may follow")]
pub struct HolidayFault {
    /// The line, counted from 1.
    pub line: u32,
    /// The character of the line, counted from 1.
    pub column: u32,
    /// What stands where the date should.
    pub word: String,
}

fn zone_hint(nearest: &Option<&'static str>) -> String {
    match nearest {
        Some(name) => format!("nearest is {name:?}"),
        None => "write an IANA name such as \"Europe/Paris\"".to_owned(),
    }
}

fn whole_hint(seconds: Option<u64>) -> String {
    match seconds {
        Some(seconds) => format!("{:?}", span::written(seconds)),
        None => "whole numbers, such as \"1m30s\"".to_owned(),
    }
}
