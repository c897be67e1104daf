//! When a job is due, from `every`, `cron`, `timezone` and `timeout`.

use std::{collections::HashMap, error::Error, time::Duration};

use super::{
    fault::{At, Fault, Faults, Place},
    reader::Field,
    schedule_file::Settings,
};
use crate::schedule::{Rhythm, ScheduleError, Timetable, UnixTime, Zone, parse_span};

/// When a job is due, and how close its runs come.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// The instants at which it is due.
    pub timetable: Timetable,
    /// The interval, and the step of its series.
    pub rhythm: Rhythm,
}

/// Rhythms already known: looking two years ahead is done once for each expression and zone.
pub(super) struct Rhythms {
    now: UnixTime,
    known: HashMap<(String, &'static str), Rhythm>,
}

impl Rhythms {
    pub(super) fn at(now: UnixTime) -> Self {
        Self { now, known: HashMap::new() }
    }

    fn of(&mut self, text: &str, timetable: &Timetable) -> Rhythm {
        let key = (text.to_owned(), timetable.zone().name());
        *self.known.entry(key).or_insert_with(|| timetable.rhythm(self.now))
    }
}

impl Timing {
    /// Makes a job's timing and the time a run may take.
    pub(super) fn check(
        settings: &Settings,
        job: &str,
        place: &Place,
        rhythms: &mut Rhythms,
        faults: &mut Faults,
    ) -> Option<(Self, Duration)> {
        let zone = check_zone(&settings.timezone, faults);
        let timeout = check_timeout(&settings.timeout, faults);
        let (key, text) = choose(settings, place, faults)?;
        // The expression is checked even where the zone is unknown.
        let shown_in = zone.unwrap_or_default();
        let timetable = match key {
            "every" => Timetable::every(text, job, shown_in),
            _ => Timetable::cron(text, shown_in),
        };
        let timetable = timetable.map_err(|error| faults.push(refused(key, &text.place, &error))).ok()?;
        let rhythm = rhythms.of(text, &timetable);
        let (timeout, at) = match timeout {
            Field::Absent => (None, text.place.clone()),
            Field::Broken => return None,
            Field::Given(timeout) => (Some(timeout.value), timeout.place),
        };
        let deadline = rhythm.deadline(timeout);
        let deadline = deadline.map_err(|error| faults.push(refused("timeout", &at, &error))).ok()?;
        zone.map(|_| (Self { timetable, rhythm }, deadline))
    }
}

/// Holds a job to one of `every` and `cron`.
fn choose<'s>(settings: &'s Settings, place: &Place, faults: &mut Faults) -> Option<(&'static str, &'s At<String>)> {
    const HINT: &str = "write one of them: every = \"30s\" or cron = \"*/5 8-18 * * MON-FRI\"";
    match (&settings.every, &settings.cron) {
        (Field::Given(every), Field::Absent) => Some(("every", every)),
        (Field::Absent, Field::Given(cron)) => Some(("cron", cron)),
        (Field::Absent, Field::Absent) => {
            faults.push(Fault::new(place, "job: neither `every` nor `cron`").hint(HINT));
            None
        }
        (Field::Given(every), Field::Given(cron)) => {
            faults.push(Fault::new(&every.place.clone().max(cron.place.clone()), "job: both `every` and `cron`").hint(HINT));
            None
        }
        _ => None,
    }
}

fn check_zone(field: &Field<String>, faults: &mut Faults) -> Option<Zone> {
    match field {
        Field::Absent => Some(Zone::default()),
        Field::Broken => None,
        Field::Given(name) => Zone::parse(name).map_err(|error| faults.push(refused("timezone", &name.place, &error))).ok(),
    }
}

fn check_timeout(field: &Field<String>, faults: &mut Faults) -> Field<Duration> {
    match field {
        Field::Absent => Field::Absent,
        Field::Broken => Field::Broken,
        Field::Given(text) => match parse_span(text) {
            Ok(value) => Field::Given(At { value, place: text.place.clone() }),
            Err(error) => {
                faults.push(refused("timeout", &text.place, &error));
                Field::Broken
            }
        },
    }
}

/// Turns a refusal of the schedule room into a fault: what it is, and its causes as what would be right.
fn refused(key: &str, place: &Place, error: &ScheduleError) -> Fault {
    let message = match error {
        ScheduleError::Span { .. } | ScheduleError::Cron { .. } => format!("`{key}`: {error}"),
        _ => error.to_string(),
    };
    Fault::new(place, message).maybe_hint(causes(error))
}

/// Tells the causes of an error, the nearest first.
fn causes(error: &dyn Error) -> Option<String> {
    let cause = error.source()?;
    Some(causes(cause).map_or_else(|| cause.to_string(), |further| format!("{cause}: {further}")))
}
