//! Claims about the room as a whole; one file per subject.

mod appointments;
mod brute_force;
mod cases;
mod clock_steps;
mod dialect;
mod every;
mod folding;
mod rhythm;
mod simulated_year;
mod windows;

use std::error::Error;

use chrono::DateTime;

use super::{Timetable, UnixTime, Zone};

/// Zones whose clocks behave differently: an hour, half an hour, two hours, at midnight, in Ramadan, odd, never.
const ZONES: [&str; 11] = [
    "Europe/Paris",
    "America/New_York",
    "America/Havana",
    "America/St_Johns",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Asia/Kathmandu",
    "Pacific/Chatham",
    "UTC",
];

fn zone(name: &str) -> Zone {
    Zone::parse(name).unwrap()
}

fn cron(expression: &str, zone_name: &str) -> Timetable {
    Timetable::cron(expression, zone(zone_name)).unwrap()
}

fn at(rfc3339: &str) -> UnixTime {
    UnixTime::from_secs(DateTime::parse_from_rfc3339(rfc3339).unwrap().timestamp())
}

/// Says an error as the edge of the program does: the chain, once.
fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
}
