//! `watchpost rules suggest`: bounds from history, each with the alarms that it would have made.

use serde::Serialize;
use watchpost_plugin_api::Unit;

use super::{
    Context,
    failure::{Failure, Outcome},
    past::{replay, values},
    print_json,
    rule_replay::{Range, Sum, tell},
    table, time,
};
use crate::{
    alarm::bound::Bound,
    config::{AlarmRule, At, Place},
    series::selector::Selector,
};

pub(super) const EXAMPLES: &str = "Example:\n  watchpost rules suggest 'connect_time{job=\"pop-paris\"}' --from -90d";

const CANNOT_SUGGEST: &str = "cannot suggest a bound";
/// How many deviations from the median a bound may be.
const DEVIATIONS: [f64; 3] = [3.0, 6.0, 10.0];

/// A bound, and what alarms it would have made.
#[derive(Serialize)]
struct Suggestion {
    bound: String,
    #[serde(flatten)]
    sum: Sum,
}

pub(super) fn run(context: &Context, series: &str, is_below: bool, range: &Range) -> Outcome {
    let draft = context.draft()?;
    let range = range.seconds(CANNOT_SUGGEST)?;
    let selector = Selector::parse(series).map_err(|error| Failure::wrong(CANNOT_SUGGEST, crate::chain(&error)))?;
    let (unit, values) = values(context, CANNOT_SUGGEST, (series, &draft), range, is_below)?;
    let mut suggestions = Vec::new();
    let mut held_to = None;
    for limit in candidates(values, is_below) {
        let bound = format!("{} {}", if is_below { "<" } else { ">" }, quantity(limit, unit));
        let Some(parsed) = Bound::parse(&bound) else { continue };
        let rule = AlarmRule::trial(At { value: selector.clone(), place: Place::whole("") }, At { value: parsed, place: Place::whole("") });
        let replayed = replay(context, CANNOT_SUGGEST, (&rule, &draft), range)?;
        let sum = Sum::of(&replayed);
        let is_news = suggestions.last().is_none_or(|last: &Suggestion| last.bound != bound && last.sum != sum);
        if is_news {
            suggestions.push(Suggestion { bound, sum });
        }
        held_to = Some(replayed.held_to);
    }
    if context.json {
        return print_json(&suggestions);
    }
    let row = |one: &Suggestion| {
        let span = |seconds: i64| time::span(seconds as f64);
        vec![one.bound.clone(), one.sum.alarms.to_string(), one.sum.flapping.to_string(), span(one.sum.raised_s), span(one.sum.longest_s)]
    };
    table::print(&["bound", "alarms", "flapping", "in all", "longest"], &suggestions.iter().map(row).collect::<Vec<_>>());
    println!("\nAfter `raise_after = {}`, cleared after one good value.", AlarmRule::TRIAL_RAISE_AFTER);
    if let Some(held_to) = held_to {
        tell(&held_to);
    }
    Ok(())
}

/// What may be a bound, the mildest first: what so few of the values are beyond, what none was beyond, and what is so many deviations away
/// from the median. The deviation is that of a normal distribution, by the median of distances.
fn candidates(mut values: Vec<f64>, is_below: bool) -> Vec<f64> {
    let order = |a: &f64, b: &f64| if is_below { b.total_cmp(a) } else { a.total_cmp(b) };
    let middle = |sorted: &[f64]| sorted.get(sorted.len() / 2).copied();
    values.sort_by(order);
    let last = values.len().saturating_sub(1);
    let at = |share: f64| values.get((share * last as f64).floor() as usize).copied();
    let mut found: Vec<f64> = [0.9, 0.99, 0.999, 0.9999, 1.0].into_iter().filter_map(at).collect();
    if let Some(median) = middle(&values) {
        let mut distances: Vec<f64> = values.iter().map(|value| (value - median).abs()).collect();
        distances.sort_by(f64::total_cmp);
        let deviation = 1.4826 * middle(&distances).unwrap_or(0.0) * if is_below { -1.0 } else { 1.0 };
        found.extend(DEVIATIONS.map(|times| median + times * deviation).into_iter().filter(|bound| *bound != median));
    }
    let mut found: Vec<f64> = found.into_iter().map(|value| rounded(value, is_below)).collect();
    found.sort_by(order);
    found.dedup();
    found
}

/// Two figures are enough for a bound; it is rounded away from what is usual.
fn rounded(value: f64, is_below: bool) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let unit = 10_f64.powf(value.abs().log10().floor() - 1.0);
    let figures = value / unit;
    let figures = match figures.round() {
        near if (figures - near).abs() < 1e-6 => near,
        _ if is_below => figures.floor(),
        _ => figures.ceil(),
    };
    figures * unit
}

/// A quantity as bounds are written.
fn quantity(value: f64, unit: Unit) -> String {
    let (suffix, size) = match unit {
        Unit::Seconds if value.abs() < 1e-3 => ("us", 1e-6),
        Unit::Seconds if value.abs() < 1.0 => ("ms", 1e-3),
        Unit::Seconds => ("s", 1.0),
        Unit::Bytes if value.abs() >= 1e9 => ("GB", 1e9),
        Unit::Bytes if value.abs() >= 1e6 => ("MB", 1e6),
        Unit::Ratio => ("%", 0.01),
        _ => ("", 1.0),
    };
    // Figures beyond those of the rounding are noise of the division.
    let text = format!("{:.6}", value / size);
    format!("{}{suffix}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_rounded_away_from_what_is_usual_and_read_as_written() {
        let table = [
            (0.012_345, Unit::Seconds, false, "13ms"),
            (0.012_345, Unit::Seconds, true, "12ms"),
            (2.31, Unit::Seconds, false, "2.4s"),
            (0.000_358, Unit::Seconds, false, "360us"),
            (123_456.0, Unit::Messages, false, "130000"),
            (0.876, Unit::Ratio, true, "87%"),
            (5.2e9, Unit::Bytes, false, "5.2GB"),
            (0.0, Unit::Number, false, "0"),
        ];
        for (value, unit, is_below, expected) in table {
            let written = quantity(rounded(value, is_below), unit);
            assert_eq!(written, expected);
            assert!(Bound::parse(&format!("> {written}")).is_some_and(|bound| bound.limit(unit).is_ok()), "{written}");
        }
    }

    #[test]
    fn candidates_leave_ever_fewer_values_beyond_them() {
        let values: Vec<f64> = (1..=10_000).map(f64::from).collect();
        assert_eq!(candidates(values.clone(), false), [9_000.0, 9_900.0, 10_000.0, 17_000.0, 28_000.0, 43_000.0]);
        assert_eq!(candidates(values, true), [1_000.0, 100.0, 11.0, 2.0, 1.0, -6_200.0, -18_000.0, -33_000.0]);
        assert_eq!(candidates(Vec::new(), false), Vec::<f64>::new());
    }
}
