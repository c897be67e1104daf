//! What is usual of a series at this hour of the week, from what is stored of it: median and deviation.
//!
//! Hours of the last weeks are compared with the same hour of other weeks and the hours beside it. The deviation is the median of the
//! distances from the median, as a normal distribution has it, so that a quarter of wild values moves nothing; what single values scatter
//! around their own hour is added. Where too few weeks are known, the same hour of other days stands in; where these are too few, too,
//! nothing is usual and nothing is judged. Special days of a calendar, as holidays, are taken for Sundays: what was usual on Sundays is usual on
//! them, and what was on them moves no working day.

use std::{collections::HashMap, sync::Arc};

use crate::schedule::{Holidays, Zone};

/// How far back is looked, seconds: five weeks.
pub const LOOKED_BACK_S: i64 = 35 * 86_400;
/// How far back single values are looked at, seconds.
pub const FINE_S: i64 = 2 * 86_400;
/// Seconds of an hour.
const HOUR_S: i64 = 3_600;
/// Hours of a week.
const WEEK_H: i64 = 168;
/// Hours of a day.
const DAY_H: i64 = 24;
/// The first hour of a Sunday, as hours of the week are counted: 1970 began with a Thursday.
const SUNDAY_H: i64 = 72;
/// Values that make something usual at an hour of the week: of three weeks, with the hours beside it.
const OF_WEEK_MIN: usize = 9;
/// Values that make something usual at an hour of the day.
const OF_DAY_MIN: usize = 9;
/// From a median of distances to the deviation of a normal distribution.
const TO_SIGMA: f64 = 1.4826;
/// The least deviation, as a share of the median: what hardly moves is no alarm when it moves a little.
const DEVIATION_MIN: f64 = 0.02;

/// What is usual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    /// Half of the values are below it.
    pub median: f64,
    /// How far values usually are from it.
    pub deviation: f64,
}

impl Usual {
    /// How many deviations a value is away; below 0 where it is less.
    pub fn distance(&self, value: f64) -> f64 {
        (value - self.median) / self.deviation
    }

    /// Between which values so many deviations lie.
    pub fn band(&self, deviations: f64) -> (f64, f64) {
        (self.median - deviations * self.deviation, self.median + deviations * self.deviation)
    }
}

/// What is usual of one series, by hour of the week.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baseline {
    calendar: Calendar,
    usual: Vec<Option<Usual>>,
}

/// Which hour of the week an instant belongs to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calendar {
    /// Whose days and hours.
    pub zone: Zone,
    /// Days that are taken for Sundays.
    pub special: Option<Arc<Holidays>>,
}

impl Baseline {
    /// Learns from rows of an hour, and from finer rows of late.
    ///
    /// Shape: rows by rising time; each stands for the time before it. Unknown rows count for nothing.
    pub fn of(hours: &[(i64, Option<f64>)], fine: &[(i64, Option<f64>)], calendar: Calendar) -> Self {
        let known = |rows: &[(i64, Option<f64>)]| -> Vec<(i64, f64)> {
            rows.iter().filter_map(|(time, value)| Some((*time, value.filter(|value| value.is_finite())?))).collect()
        };
        let (hours, fine) = (known(hours), known(fine));
        let mut by_hour: Vec<Vec<f64>> = vec![Vec::new(); 168];
        for (time, value) in &hours {
            if let Some(values) = by_hour.get_mut(calendar.hour_of_week(*time - 1)) {
                values.push(*value);
            }
        }
        let scatter = scatter(&hours, &fine);
        let near = |hour: i64, step: i64, times: i64| -> Vec<f64> {
            let hours = (0..times).flat_map(|at| [-1, 0, 1].map(|beside| (hour + step * at + beside).rem_euclid(WEEK_H)));
            hours.filter_map(|hour| by_hour.get(usize::try_from(hour).ok()?)).flatten().copied().collect()
        };
        let usual = (0..WEEK_H).map(|hour| {
            usual(near(hour, 0, 1), OF_WEEK_MIN, scatter).or_else(|| usual(near(hour, DAY_H, WEEK_H / DAY_H), OF_DAY_MIN, scatter))
        });
        Self { usual: usual.collect(), calendar }
    }

    /// What is usual at a time; nothing where too little is known.
    pub fn at(&self, time_s: i64) -> Option<Usual> {
        self.usual.get(self.calendar.hour_of_week(time_s)).copied().flatten()
    }

    /// Between which values most are at a time: so many deviations to either side of what is usual; nothing where too little is known.
    pub fn band_at(&self, time_s: i64, deviations: f64) -> Option<(f64, f64)> {
        Some(self.at(time_s)?.band(deviations))
    }

    /// The same over a span, in the mean of its hours; nothing where too little is known of one.
    pub fn band_over(&self, from_s: i64, to_s: i64, deviations: f64) -> Option<(f64, f64)> {
        let hours = (to_s - from_s).div_euclid(HOUR_S).max(1);
        let (mut low, mut high) = (0.0, 0.0);
        for hour in 0..hours {
            // What ends with an hour is of it.
            let (below, above) = self.band_at(to_s - 1 - hour * HOUR_S, deviations)?;
            (low, high) = (low + below, high + above);
        }
        Some((low / hours as f64, high / hours as f64))
    }
}

fn usual(values: Vec<f64>, least: usize, scatter: f64) -> Option<Usual> {
    if values.len() < least {
        return None;
    }
    let middle = median(values.clone())?;
    let spread = TO_SIGMA * median(values.iter().map(|value| (value - middle).abs()).collect())?;
    let deviation = spread.hypot(scatter).max(DEVIATION_MIN * middle.abs());
    // What never moved at all has no deviation: whatever is otherwise is far away.
    Some(Usual { median: middle, deviation: deviation.max(f64::MIN_POSITIVE) })
}

/// How far single values are from the mean of their own hour.
fn scatter(hours: &[(i64, f64)], fine: &[(i64, f64)]) -> f64 {
    let means: HashMap<i64, f64> = hours.iter().map(|(time, value)| ((time - 1).div_euclid(3_600), *value)).collect();
    let distances = fine.iter().filter_map(|(time, value)| Some((value - means.get(&(time - 1).div_euclid(3_600))?).abs()));
    TO_SIGMA * median(distances.collect()).unwrap_or(0.0)
}

impl Calendar {
    fn hour_of_week(&self, time_s: i64) -> usize {
        let local = time_s + self.zone.offset_at(time_s);
        let hour = local.div_euclid(3_600);
        let is_special = self.special.as_ref().is_some_and(|special| special.has(local.div_euclid(86_400)));
        let hour = if is_special { SUNDAY_H + hour.rem_euclid(DAY_H) } else { hour.rem_euclid(WEEK_H) };
        usize::try_from(hour).unwrap_or(0)
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(lower + (upper - lower) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::UnixTime;

    const HOUR: i64 = 3_600;
    /// Monday, 2026-03-02, 00:00 UTC.
    const MONDAY: i64 = 1_772_409_600;

    /// Busy on working days from 8 to 18, quiet otherwise.
    fn busy(time: i64) -> f64 {
        let hour = (time - MONDAY).div_euclid(HOUR).rem_euclid(168);
        if hour / 24 < 5 && (8..18).contains(&(hour % 24)) { 100.0 } else { 10.0 }
    }

    /// Something that scatters without a memory, between -1 and 1.
    fn scattered() -> impl FnMut() -> f64 {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
        }
    }

    fn rows(weeks: i64, step: i64, last_s: i64, value: &mut dyn FnMut(i64) -> f64) -> Vec<(i64, Option<f64>)> {
        let end = MONDAY + weeks * 7 * 86_400;
        (1..=last_s / step).rev().map(|at| end - (at - 1) * step).map(|time| (time, Some(value(time - 1)))).collect()
    }

    #[test]
    fn what_is_usual_depends_on_the_hour_of_the_week() {
        let mut noise = scattered();
        let hours = rows(5, HOUR, LOOKED_BACK_S, &mut |time| busy(time) + noise());
        let fine = rows(5, 60, FINE_S, &mut |time| busy(time) + 5.0 * noise());
        let baseline = Baseline::of(&hours, &fine, Calendar::default());
        let next = MONDAY + 35 * 86_400;
        let at = |day: i64, hour: i64| baseline.at(next + (24 * day + hour) * HOUR + 600).unwrap();
        let (monday, sunday) = (at(0, 12), at(6, 12));
        assert!((monday.median - 100.0).abs() < 2.0 && (sunday.median - 10.0).abs() < 2.0, "{monday:?} {sunday:?}");
        // Of values that scatter evenly over 10, half are within 2.5 of the middle.
        assert!((3.0..5.0).contains(&monday.deviation), "{monday:?}");
        assert!(monday.distance(130.0) > 5.0 && monday.distance(105.0) < 3.0 && sunday.distance(100.0) > 15.0);
    }

    #[test]
    fn wild_values_and_unknown_ones_move_nothing() {
        let mut noise = scattered();
        let mut hours = rows(5, HOUR, LOOKED_BACK_S, &mut |time| busy(time) + noise());
        for (at, row) in hours.iter_mut().enumerate() {
            match at % 11 {
                3 => row.1 = Some(1e9),
                7 => row.1 = None,
                _ => {}
            }
        }
        let baseline = Baseline::of(&hours, &[], Calendar::default());
        let noon = baseline.at(MONDAY + 35 * 86_400 + 12 * HOUR).unwrap();
        assert!((noon.median - 100.0).abs() < 3.0 && noon.deviation < 5.0, "{noon:?}");
    }

    #[test]
    fn of_few_days_the_hour_of_the_day_is_usual_and_of_fewer_nothing() {
        let daily = |time: i64| if (time - MONDAY).div_euclid(HOUR).rem_euclid(24) < 12 { 1.0 } else { 9.0 };
        let known = |days: i64| Baseline::of(&rows(5, HOUR, days * 86_400, &mut |time| daily(time)), &[], Calendar::default());
        let next = MONDAY + 35 * 86_400;
        let baseline = known(4);
        let (morning, evening) = (baseline.at(next + 6 * HOUR).unwrap(), baseline.at(next + 18 * HOUR).unwrap());
        assert_eq!((morning.median, evening.median), (1.0, 9.0));
        assert_eq!(known(2).at(next + 6 * HOUR), None);
        assert_eq!(Baseline::default().at(next), None);
    }

    #[test]
    fn what_hardly_moves_is_no_alarm_when_it_moves_a_little() {
        let flat = Baseline::of(&rows(5, HOUR, LOOKED_BACK_S, &mut |_| 50.0), &[], Calendar::default());
        let usual = flat.at(MONDAY).unwrap();
        assert!(usual.distance(51.0) <= 1.0 && usual.distance(60.0) > 3.0, "{usual:?}");
    }

    #[test]
    fn hours_are_those_of_the_zone() {
        let paris = Zone::parse("Europe/Paris").unwrap();
        let hours = rows(5, HOUR, LOOKED_BACK_S, &mut |time| busy(time + HOUR));
        let baseline = Baseline::of(&hours, &[], Calendar { zone: paris, special: None });
        // 17:30 in Paris, an hour before UTC; summer time has not come.
        assert_eq!(baseline.at(MONDAY + 16 * HOUR + 1_800).map(|usual| usual.median), Some(100.0));
    }

    #[test]
    fn a_special_day_is_as_usual_as_a_sunday_and_moves_no_other() {
        // Every Wednesday but the last was a holiday, as quiet as a Sunday.
        let day = |time: i64| (time - MONDAY).div_euclid(24 * HOUR);
        let was_off = |time: i64| day(time).rem_euclid(7) == 2 && day(time) < 28;
        let quiet_wednesdays = |time: i64| if was_off(time) { 10.0 } else { busy(time) };
        let hours = rows(5, HOUR, LOOKED_BACK_S, &mut |time| quiet_wednesdays(time));
        let dates = [2, 9, 16, 23, 37].map(|day| Zone::default().day(UnixTime::from_secs(MONDAY + day * 24 * HOUR)).to_string());
        let special = Some(Arc::new(Holidays::parse(&dates.join("\n")).unwrap()));
        let known = |special| Baseline::of(&hours, &[], Calendar { zone: Zone::default(), special });
        let noon = |day: i64| MONDAY + day * 24 * HOUR + 12 * HOUR;
        let (with, without) = (known(special), known(None));
        let median = |baseline: &Baseline, day: i64| baseline.at(noon(day)).unwrap().median;
        // The next Wednesday is one, the one after it is none, and a Thursday never was.
        assert_eq!([median(&with, 37), median(&with, 44), median(&with, 38)], [10.0, 100.0, 100.0]);
        assert_eq!(median(&without, 44), 10.0, "nobody knew that these were no days like others");
        let (low, high) = with.band_at(noon(38), 2.0).unwrap();
        assert!(low < 100.0 && high > 100.0);
    }
}
