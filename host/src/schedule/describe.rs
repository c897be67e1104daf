//! A cron expression in words, where words are shorter than the expression.

use super::cron::Cron;
use super::field::{Field, MONTHS, WEEKDAYS, values};

/// Clock times named one by one, at most.
const TIMES_MAX: usize = 4;

/// Says when a cron expression runs: "at 08:00 Mon-Fri", "every 5 min 08-18 h", or the expression itself.
pub(super) fn cron(cron: &Cron) -> String {
    let Some(times) = times(cron) else {
        return format!("cron {:?}", cron.text());
    };
    [Some(times), days(cron), months(cron)]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ")
}

fn times(cron: &Cron) -> Option<String> {
    let [seconds, minutes, hours] =
        [cron.second, cron.minute, cron.hour].map(|field| values(field.values).collect::<Vec<_>>());
    match (&seconds[..], &minutes[..], &hours[..]) {
        ([0], [minute], hours) if hours.len() <= TIMES_MAX => {
            let times: Vec<_> = hours
                .iter()
                .map(|hour| format!("{hour:02}:{minute:02}"))
                .collect();
            Some(format!("at {}", times.join(", ")))
        }
        ([0], [minute], hours) => Some(format!("at minute {minute:02} of {}", hours_named(hours)?)),
        ([0], minutes, hours) => Some(every(minutes, 60, "min")? + &within(hours)?),
        (seconds, minutes, hours) if minutes.len() == 60 => {
            Some(every(seconds, 60, "s")? + &within(hours)?)
        }
        _ => None,
    }
}

/// Says "every 5 min" of values evenly spread over the whole field.
fn every(values: &[u32], size: u32, unit: &str) -> Option<String> {
    let step = size / values.len() as u32;
    let even = values.iter().zip(0..).all(|(value, n)| *value == n * step);
    (even && step * values.len() as u32 == size).then(|| format!("every {step} {unit}"))
}

fn within(hours: &[u32]) -> Option<String> {
    if hours.len() == 24 {
        Some(String::new())
    } else {
        Some(format!(" {}", range(hours)? + " h"))
    }
}

fn hours_named(hours: &[u32]) -> Option<String> {
    if hours.len() == 24 {
        return Some("every hour".to_owned());
    }
    let spread = every(hours, 24, "h").map(|every| every + " from 00");
    spread.or_else(|| Some(range(hours)? + " h"))
}

/// Says "08-18" of neighbouring hours.
fn range(hours: &[u32]) -> Option<String> {
    let (first, last) = (hours.first()?, hours.last()?);
    match hours.len() {
        1 => Some(format!("{first:02}")),
        n if (last - first) as usize + 1 == n => Some(format!("{first:02}-{last:02}")),
        _ => None,
    }
}

fn days(cron: &Cron) -> Option<String> {
    let day = (!open(cron.day, 31))
        .then(|| format!("on day {}", list(cron.day.values, |n| n.to_string())));
    let weekday = (!open(cron.weekday, 7))
        .then(|| list(cron.weekday.values, |n| title(WEEKDAYS[n as usize])));
    match (day, weekday) {
        (Some(day), Some(weekday)) if cron.either_day() => Some(format!("{day} or {weekday}")),
        (Some(day), Some(weekday)) => Some(format!("{day} if {weekday}")),
        // Either of the two is every day where the other, though written out, leaves none out.
        (day, weekday) if cron.either_day() => day.and(weekday),
        (day, weekday) => day.or(weekday),
    }
}

fn months(cron: &Cron) -> Option<String> {
    let named = |set| list(set, |n| title(MONTHS[n as usize - 1]));
    (!open(cron.month, 12)).then(|| format!("in {}", named(cron.month.values)))
}

fn open(field: Field, size: u32) -> bool {
    field.values.count_ones() == size
}

/// Says "Mon-Fri" of three or more neighbours, else names each.
fn list(set: u64, name: impl Fn(u32) -> String) -> String {
    let mut stretches: Vec<(u32, u32)> = Vec::new();
    for value in values(set) {
        match stretches.last_mut() {
            Some((_, last)) if *last + 1 == value => *last = value,
            _ => stretches.push((value, value)),
        }
    }
    let said = stretches
        .into_iter()
        .map(|(first, last)| match last - first {
            0 => name(first),
            1 => format!("{}, {}", name(first), name(last)),
            _ => format!("{}-{}", name(first), name(last)),
        });
    said.collect::<Vec<_>>().join(", ")
}

/// Writes "MON" as "Mon".
fn title(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    first.to_owned() + &rest.to_ascii_lowercase()
}
