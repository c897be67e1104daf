//! When a job is due, from `every`, `cron`, `timezone` and `timeout`.

use std::{
    collections::HashMap,
    error::Error,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    At, Fault, Faults, Place, Rule,
    reader::{Field, Texts},
    schedule_file::Settings,
};
use crate::schedule::{
    CronFault, HolidayFault, Holidays, ItemFault, Rhythm, ScheduleError, SpanFault, Timetable, UnixTime, Windows, Zone, parse_long_span,
    parse_span,
};

/// When a job is due, and how close its runs come.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// The instants at which it is due.
    pub timetable: Timetable,
    /// The interval, and the step of its series.
    pub rhythm: Rhythm,
}

/// What is known of time: the hour, and what many jobs ask for and is looked up once.
pub(super) struct Almanac {
    now: UnixTime,
    /// By expression and zone: two years are looked through for each.
    rhythms: HashMap<(String, &'static str), Rhythm>,
    /// By file; none where it was told of.
    holidays: HashMap<PathBuf, Option<Arc<Holidays>>>,
}

impl Almanac {
    pub(super) fn at(now: UnixTime) -> Self {
        Self { now, rhythms: HashMap::new(), holidays: HashMap::new() }
    }

    pub(super) fn now(&self) -> UnixTime {
        self.now
    }

    fn rhythm_of(&mut self, text: &str, timetable: &Timetable) -> Rhythm {
        let key = (text.to_owned(), timetable.zone().name());
        *self.rhythms.entry(key).or_insert_with(|| timetable.rhythm(self.now))
    }

    pub(super) fn holidays_of(&mut self, file: &At<String>, faults: &mut Faults) -> Option<Arc<Holidays>> {
        let path = file.place.resolve(&file.value);
        let mut read = |path: &PathBuf| read_holidays(path, &file.place).map(Arc::new).map_err(|found| faults.extend(found)).ok();
        self.holidays.entry(path).or_insert_with_key(&mut read).clone()
    }
}

impl Timing {
    /// Makes a job's timing and the time a run may take.
    pub(super) fn check(
        settings: &Settings,
        job: &str,
        place: &Place,
        almanac: &mut Almanac,
        faults: &mut Faults,
    ) -> Option<(Self, Duration)> {
        let zone = check_zone(&settings.timezone, faults);
        let timeout = check_span("timeout", &settings.timeout, faults);
        // The expressions are checked even where the zone is unknown, and both of them where one is too many.
        let shown_in = zone.unwrap_or_default();
        if zone.is_some() {
            tell_idle_zone(settings, faults);
        }
        let every = timetable("every", &settings.every, |text| Timetable::every(text, job, shown_in).map_err(|error| vec![error]), faults);
        let cron =
            timetable("cron", &settings.cron, |text| Timetable::cron(text, shown_in).map_err(|_| Timetable::cron_faults(text)), faults);
        let windows = windows(settings, zone, almanac, faults);
        let (text, timetable) = choose(every, cron, place, faults)?;
        let rhythm = almanac.rhythm_of(text, &timetable);
        let (timeout, at) = match timeout {
            Field::Absent => (None, text.place.clone()),
            Field::Broken => return None,
            Field::Given(timeout) => (Some(timeout.value), timeout.place),
        };
        let deadline = rhythm.deadline(timeout);
        let deadline = deadline.map_err(|error| faults.push(refused("timeout", &at, &error))).ok();
        // Windows are read in a zone: of one that is unknown nothing can be said.
        zone?;
        let timetable = within(timetable, windows?, settings, almanac.now, faults)?;
        Some((Self { timetable, rhythm }, deadline?))
    }
}

/// A text and the timetable that it makes, if it makes one; none if nothing is written.
type Written<'s> = Field<(&'s At<String>, Option<Timetable>)>;

fn timetable<'s>(
    key: &str,
    field: &'s Field<String>,
    read: impl FnOnce(&str) -> Result<Timetable, Vec<ScheduleError>>,
    faults: &mut Faults,
) -> Written<'s> {
    match field {
        Field::Absent => Field::Absent,
        Field::Broken => Field::Broken,
        Field::Given(text) => {
            let timetable = read(text).map_err(|errors| faults.extend(errors.iter().map(|error| refused(key, &text.place, error)))).ok();
            Field::Given(At { value: (text, timetable), place: text.place.clone() })
        }
    }
}

/// Holds a job to one of `every` and `cron`.
fn choose<'s>(every: Written<'s>, cron: Written<'s>, place: &Place, faults: &mut Faults) -> Option<(&'s At<String>, Timetable)> {
    const HINT: &str = "write one of them: every = \"30s\" or cron = \"*/5 8-18 * * MON-FRI\"";
    match (every, cron) {
        (Field::Given(one), Field::Absent) | (Field::Absent, Field::Given(one)) => {
            let (text, timetable) = one.value;
            Some((text, timetable?))
        }
        (Field::Absent, Field::Absent) => {
            faults.push(Fault::new(Rule::TimingMissing, place, "job: neither `every` nor `cron`").hint(HINT));
            None
        }
        (Field::Given(every), Field::Given(cron)) => {
            faults.push(Fault::new(Rule::TimingTwice, &every.place.max(cron.place), "job: both `every` and `cron`").hint(HINT));
            None
        }
        _ => None,
    }
}

pub(super) fn check_zone(field: &Field<String>, faults: &mut Faults) -> Option<Zone> {
    match field {
        Field::Absent => Some(Zone::default()),
        Field::Broken => None,
        Field::Given(name) => Zone::parse(name).map_err(|error| faults.push(refused("timezone", &name.place, &error))).ok(),
    }
}

/// Reads the windows of a job; those that speak of holidays have a list of them.
fn windows(settings: &Settings, zone: Option<Zone>, almanac: &mut Almanac, faults: &mut Faults) -> Option<Option<Windows>> {
    let holidays = match &settings.holidays {
        Field::Absent => None,
        Field::Broken => return None,
        Field::Given(file) => Some(almanac.holidays_of(file, faults)?),
    };
    let mut texts = |key: &str, field: &Field<Texts>| match field {
        Field::Absent => Some(Vec::new()),
        Field::Broken => None,
        // The job would run at no time at all.
        Field::Given(texts) if key == "active" && texts.whole && texts.items.is_empty() => {
            let fault = Fault::new(Rule::WindowNeverOpen, &texts.place, "`active`: it names no window, nothing would ever be measured");
            faults.push(fault.hint("name a window such as \"MON-FRI 8-18\", or leave the key out"));
            None
        }
        Field::Given(texts) => {
            let sound = |text: &&At<String>| is_window(key, text, zone, holidays.is_some(), faults);
            let sound: Vec<String> = texts.items.iter().filter(sound).map(|text| text.value.clone()).collect();
            (texts.whole && sound.len() == texts.items.len()).then_some(sound)
        }
    };
    let (active, blackout) = (texts("active", &settings.active), texts("blackout", &settings.blackout));
    let (active, blackout) = (active?, blackout?);
    let [active, blackout] = [&active, &blackout].map(|texts| texts.iter().map(String::as_str));
    Windows::parse(active, blackout, holidays.unwrap_or_default()).ok()
}

/// Whether a text is a window that comes in its zone; of one that is unknown nothing can be said.
pub(super) fn is_window(key: &str, text: &At<String>, zone: Option<Zone>, holidays_known: bool, faults: &mut Faults) -> bool {
    let comes = || zone.map_or(Ok(()), |zone| Windows::comes_in(text, zone));
    match Windows::check(text).and_then(|speaks_of_holidays| comes().map(|()| speaks_of_holidays)) {
        Err(error) => faults.push(refused(key, &text.place, &error)),
        Ok(true) if !holidays_known => {
            let message = format!("`{key}`: \"{}\" speaks of holidays, and no file lists them", text.escape_debug());
            faults.push(Fault::new(Rule::HolidaysMissing, &text.place, message).hint("name it: holidays = \"holidays.txt\""));
        }
        Ok(_) => return true,
    }
    false
}

/// Narrows a timetable to its windows.
fn within(timetable: Timetable, windows: Option<Windows>, settings: &Settings, now: UnixTime, faults: &mut Faults) -> Option<Timetable> {
    let (key, place) = match (&settings.active, &settings.blackout) {
        (Field::Given(active), _) => ("active", &active.place),
        (_, Field::Given(blackout)) => ("blackout", &blackout.place),
        _ => return Some(timetable),
    };
    let narrowed = timetable.within(windows, now).map_err(|error| faults.push(refused(key, place, &error))).ok()?;
    if narrowed.is_over(now) {
        let fault = Fault::new(Rule::WindowOver, place, format!("`{key}`: all its windows are over, nothing will be measured"));
        faults.push(fault.hint("write windows that are to come, or take the job out"));
    }
    Some(narrowed)
}

/// Reads a list of holidays.
///
/// Errors: one fault if it cannot be read, else one for each line that is no date.
fn read_holidays(path: &Path, named_at: &Place) -> Result<Holidays, Vec<Fault>> {
    let unreadable = |error: std::io::Error| {
        let message = format!("`holidays`: cannot read {}: {}", path.display(), crate::chain(&error));
        vec![Fault::new(Rule::HolidaysUnreadable, named_at, message)]
    };
    let bytes = super::text::read(path).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|error| unreadable(std::io::Error::other(error)))?;
    let illegal = |fault: &HolidayFault| {
        let message = format!("\"{}\" is no date", fault.word.escape_debug());
        let fault = Fault::new(Rule::HolidayIllegal, &Place::at(path, fault.line, fault.column), message);
        fault.hint("write 2026-04-06, or 12-25 for every year; a name may follow")
    };
    Holidays::parse(&text).map_err(|faults| faults.iter().map(illegal).collect())
}

/// Tells of a job's own zone that no expression of its follows; one of `[defaults]` is meant for those that have one.
fn tell_idle_zone(settings: &Settings, faults: &mut Faults) {
    if !settings.active.is_absent() || !settings.blackout.is_absent() {
        return;
    }
    if let (Field::Given(zone), Field::Given(_), Field::Absent) = (&settings.timezone, &settings.every, &settings.cron)
        && settings.zone_is_own
    {
        let message = "`timezone`: `every` follows no clock on the wall; the zone is only what `plan` shows times in";
        let fault = Fault::new(Rule::ZoneIdle, &zone.place, message);
        faults.push(fault.hint("leave it out, or write an appointment: cron = \"*/5 8-18 * * MON-FRI\""));
    }
}

/// Reads a span of time.
pub(super) fn check_span(key: &str, field: &Field<String>, faults: &mut Faults) -> Field<Duration> {
    check_span_with(parse_span, key, field, faults)
}

/// Reads a span of time that may be years.
pub(super) fn check_long_span(key: &str, field: &Field<String>, faults: &mut Faults) -> Field<Duration> {
    check_span_with(parse_long_span, key, field, faults)
}

fn check_span_with(
    parse: impl FnOnce(&str) -> Result<Duration, ScheduleError>,
    key: &str,
    field: &Field<String>,
    faults: &mut Faults,
) -> Field<Duration> {
    match field {
        Field::Absent => Field::Absent,
        Field::Broken => Field::Broken,
        Field::Given(text) => match parse(text) {
            Ok(value) => Field::Given(At { value, place: text.place.clone() }),
            Err(error) => {
                faults.push(refused(key, &text.place, &error));
                Field::Broken
            }
        },
    }
}

/// Turns a refusal of the schedule room into a fault: what it is, and its causes as what would be right.
fn refused(key: &str, place: &Place, error: &ScheduleError) -> Fault {
    let fault = |message: String| Fault::new(rule_of(error), place, message);
    match error {
        ScheduleError::UnknownZone { name, nearest } => {
            let usual = || "write an IANA name such as \"Europe/Paris\"".to_owned();
            let hint = nearest.map_or_else(usual, |near| format!("did you mean \"{near}\"?"));
            fault(format!("`{key}`: \"{}\" is no time zone", name.escape_debug())).hint(hint)
        }
        ScheduleError::WindowSkipped { .. } => fault(format!("`{key}`: {error}")).hint("write times that are there on that day"),
        ScheduleError::TimeoutOverInterval { .. } => {
            let said = error.to_string();
            let said = said.strip_prefix("timeout ").unwrap_or(&said);
            fault(format!("`{key}`: {said}"))
                .hint("at most that, whatever `overlap` says; left out, it is 10s or the time between two runs, whichever is less")
        }
        _ => fault(format!("`{key}`: {error}")).maybe_hint(causes(error)),
    }
}

/// Finds the rule behind a refusal of the schedule room.
fn rule_of(error: &ScheduleError) -> Rule {
    match error {
        ScheduleError::Span { fault, .. } => match fault {
            SpanFault::Shape => Rule::SpanIllegal,
            SpanFault::NoUnit { .. } => Rule::SpanUnitMissing,
            SpanFault::UnknownUnit { .. } => Rule::SpanUnitUnknown,
            SpanFault::Order => Rule::SpanUnitOrder,
            SpanFault::Fraction { .. } => Rule::SpanFraction,
            SpanFault::Zero => Rule::SpanZero,
            SpanFault::TooLong => Rule::SpanTooLong,
        },
        ScheduleError::Cron { fault, .. } => match fault {
            CronFault::FieldCount { .. } => Rule::CronFields,
            CronFault::UnknownShorthand => Rule::CronShorthandUnknown,
            CronFault::NeverRuns { .. } => Rule::CronNeverRuns,
            CronFault::Field { fault, .. } => match fault {
                ItemFault::Empty => Rule::CronItemEmpty,
                ItemFault::OtherDialect { .. } => Rule::CronSignForeign,
                ItemFault::NotAValue { .. } => Rule::CronValueUnknown,
                ItemFault::OutOfRange { .. } => Rule::CronValueOutOfRange,
                ItemFault::BadStep { .. } => Rule::CronStepIllegal,
                ItemFault::StepWithoutRange { .. } => Rule::CronStepWithoutRange,
                ItemFault::StepTooLong { .. } => Rule::CronStepTooLong,
            },
            // It never comes to that: what the crate refuses was refused before.
            CronFault::Untaken { .. } => Rule::CronValueUnknown,
        },
        ScheduleError::UnknownZone { .. } => Rule::ZoneUnknown,
        ScheduleError::UnknownOverlap { .. } => Rule::OverlapUnknown,
        ScheduleError::Window { .. } => Rule::WindowIllegal,
        ScheduleError::WindowSkipped { .. } | ScheduleError::NeverOpen { .. } => Rule::WindowNeverOpen,
        ScheduleError::TimeoutOverInterval { .. } => Rule::TimeoutTooLong,
    }
}

/// Tells the causes of an error, the nearest first.
fn causes(error: &dyn Error) -> Option<String> {
    let cause = error.source()?;
    Some(causes(cause).map_or_else(|| cause.to_string(), |further| format!("{cause}: {further}")))
}
