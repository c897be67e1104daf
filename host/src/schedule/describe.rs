//! A cron expression in words, where words are shorter than the expression.

use super::cron::Cron;
use super::field::{MONTHS, WEEKDAYS, values};

/// Values or ranges named one by one, at most; what needs more is better read as the expression.
const NAMED_MAX: usize = 6;

/// Says when a cron expression runs: "at 08:00 Mon-Fri", "every 5 min 08-18 h", or the expression itself.
pub(super) fn cron(cron: &Cron) -> String {
    in_words(cron).unwrap_or_else(|| format!("cron {:?}", cron.text()))
}

/// Values of a field that follow each other, and how many there are.
struct Stretch {
    first: u32,
    last: u32,
    length: u32,
}

/// A set of values on their dial: hours, weekdays and months go round, days of a month do not.
#[derive(Clone, Copy)]
struct Dial {
    set: u64,
    low: u32,
    size: u32,
    round: bool,
}

impl Dial {
    fn hours(cron: &Cron) -> Self {
        Self { set: cron.hour.values, low: 0, size: 24, round: true }
    }

    fn days(cron: &Cron) -> Self {
        Self { set: cron.day.values, low: 1, size: 31, round: false }
    }

    fn months(cron: &Cron) -> Self {
        Self { set: cron.month.values, low: 1, size: 12, round: true }
    }

    fn weekdays(cron: &Cron) -> Self {
        Self { set: cron.weekday.values, low: 0, size: 7, round: true }
    }

    fn is_full(self) -> bool {
        self.set.count_ones() == self.size
    }

    fn has(self, place: u32) -> bool {
        (self.round || place < self.size) && self.set & (1 << self.value(place)) != 0
    }

    fn value(self, place: u32) -> u32 {
        self.low + place % self.size
    }

    /// Cuts a set that is not full into stretches, by rising first value.
    fn stretches(self) -> impl Iterator<Item = Stretch> {
        let starts = move |place: &u32| {
            let follows = if *place > 0 { self.has(place - 1) } else { self.round && self.has(self.size - 1) };
            self.has(*place) && !follows
        };
        (0..self.size).filter(starts).map(move |place| {
            let length = (1..self.size).find(|n| !self.has(place + n)).unwrap_or(self.size);
            Stretch { first: self.value(place), last: self.value(place + length - 1), length }
        })
    }

    /// Says "Mon-Fri" of three or more neighbours, else names each.
    fn named(self, name: impl Fn(u32) -> String) -> Option<String> {
        let said = self.stretches().map(|stretch| {
            let (first, last) = (name(stretch.first), name(stretch.last));
            match stretch.length {
                1 => first,
                2 => format!("{first}, {last}"),
                _ => format!("{first}-{last}"),
            }
        });
        let said: Vec<_> = said.collect();
        (said.len() <= NAMED_MAX).then(|| said.join(", "))
    }
}

fn in_words(cron: &Cron) -> Option<String> {
    let parts = [times(cron)?, days(cron)?, months(cron)?];
    Some(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "))
}

fn times(cron: &Cron) -> Option<String> {
    let [seconds, minutes, hours] = [cron.second, cron.minute, cron.hour].map(|field| values(field.values).collect::<Vec<_>>());
    match (&seconds[..], &minutes[..]) {
        ([0], [minute]) => at_minute(*minute, &hours).or_else(|| hourly(*minute, cron)),
        ([0], minutes) => Some(format!("every {} min{}", spacing(minutes, 60)?, within(cron)?)),
        (seconds, minutes) if minutes.len() == 60 => Some(format!("every {} s{}", spacing(seconds, 60)?, within(cron)?)),
        _ => None,
    }
}

/// Says "at 08:00", or "every 2 h from 00:05" where naming each would be long.
fn at_minute(minute: u32, hours: &[u32]) -> Option<String> {
    if hours.len() < NAMED_MAX {
        let times: Vec<_> = hours.iter().map(|hour| format!("{hour:02}:{minute:02}")).collect();
        return Some(format!("at {}", times.join(", ")));
    }
    let spacing = spacing(hours, 24).filter(|hours| *hours > 1)?;
    Some(format!("every {spacing} h from 00:{minute:02}"))
}

fn hourly(minute: u32, cron: &Cron) -> Option<String> {
    Some(format!("every hour{} at :{minute:02}", within(cron)?))
}

/// Measures the distance of values spread evenly over a whole dial of `size`, from 0 on.
fn spacing(values: &[u32], size: u32) -> Option<u32> {
    let step = size / values.len() as u32;
    let even = values.iter().zip(0..).all(|(value, n)| *value == n * step);
    (even && step * values.len() as u32 == size).then_some(step)
}

/// Says " 08-18 h" of neighbouring hours, nothing of the whole day.
fn within(cron: &Cron) -> Option<String> {
    let hours = Dial::hours(cron);
    let mut stretches = hours.stretches();
    match (stretches.next(), stretches.next()) {
        (None, _) => Some(String::new()),
        (Some(Stretch { first, length: 1, .. }), None) => Some(format!(" {first:02} h")),
        (Some(Stretch { first, last, .. }), None) => Some(format!(" {first:02}-{last:02} h")),
        _ => None,
    }
}

fn days(cron: &Cron) -> Option<String> {
    let (days, weekdays) = (Dial::days(cron), Dial::weekdays(cron));
    let day = || Some(format!("on day {}", days.named(|n| n.to_string())?));
    let weekday = || weekdays.named(|n| title(WEEKDAYS[n as usize]));
    match (days.is_full(), weekdays.is_full()) {
        (false, false) if cron.either_day() => Some(format!("{} or {}", day()?, weekday()?)),
        (false, false) => Some(format!("{} if {}", day()?, weekday()?)),
        // Written out in full, one of two alternatives makes the other idle.
        (false, true) if !cron.either_day() => day(),
        (true, false) if !cron.either_day() => weekday(),
        _ => Some(String::new()),
    }
}

fn months(cron: &Cron) -> Option<String> {
    let months = Dial::months(cron);
    if months.is_full() {
        return Some(String::new());
    }
    Some(format!("in {}", months.named(|n| title(MONTHS[n as usize - 1]))?))
}

/// Writes "MON" as "Mon".
fn title(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    first.to_owned() + &rest.to_ascii_lowercase()
}
