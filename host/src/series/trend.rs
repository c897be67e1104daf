//! Where a series goes: how much it grows in a day, how sure that is, and when it is somewhere.
//!
//! The slope is the median of the slopes between all pairs of points, which a quarter of wild points does not move, and its interval is of the
//! same order statistics. Points are medians of whole days, counted back from the last value, so that no hour of the day weighs more than another.
//! Source: Theil 1950; Sen 1968, "Estimates of the regression coefficient based on Kendall's tau".

/// Seconds of a day.
const DAY_S: i64 = 86_400;
/// Days from which on points are medians of days.
const DAYS_MIN: usize = 4;
/// Points from which a slope can be told.
const POINTS_MIN: usize = 3;
/// Points, at most, of what is no median of a day; beyond, several are one.
const POINTS_MAX: usize = 300;
/// Quantile of the normal distribution for an interval that nine of ten such hold the truth.
const Z_90: f64 = 1.645;
/// Days beyond which nobody says when something is reached.
pub const HORIZON_DAYS: f64 = 3_650.0;

/// Growth in a day: the least, the likeliest and the most, with nine chances in ten.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// The least.
    pub low: f64,
    /// The median.
    pub likely: f64,
    /// The most.
    pub high: f64,
}

/// What is known of where a series goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// The time of the last value, seconds since 1970.
    pub at: i64,
    /// What it is then, by the trend.
    pub level: f64,
    /// In a day.
    pub growth: Growth,
    /// Days from the first value to the last.
    pub days: f64,
    /// Whether whole days were compared: fewer than four, and the hours of a day count as growth.
    pub whole_days: bool,
}

/// When a trend is somewhere, days from its last value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reached {
    /// It is there, or beyond, by its level.
    Now,
    /// Then; earliest, likeliest, latest. None: not within ten years.
    In {
        /// With the growth that leads there fastest.
        earliest: f64,
        /// With the likeliest.
        likely: Option<f64>,
        /// With the slowest.
        latest: Option<f64>,
    },
    /// Not within ten years, or it goes the other way.
    Never,
}

/// Follows a series.
///
/// Shape: rows by rising time. Unknown rows count for nothing.
/// Unknown: fewer than three points are known.
pub fn trend(rows: &[(i64, Option<f64>)]) -> Option<Trend> {
    let known: Vec<(i64, f64)> = rows.iter().filter_map(|(time, value)| Some((*time, value.filter(|value| value.is_finite())?))).collect();
    let (first, last) = (known.first()?.0, known.last()?.0);
    let days = medians(&known, last, DAY_S);
    let whole_days = days.len() >= DAYS_MIN;
    let points = if whole_days { days } else { medians(&known, last, ((last - first) / POINTS_MAX as i64).max(1)) };
    if points.len() < POINTS_MIN {
        return None;
    }
    let growth = growth(&points)?;
    let levels = points.iter().map(|(day, value)| value - growth.likely * day);
    Some(Trend { at: last, level: median(levels.collect())?, growth, days: (last - first) as f64 / DAY_S as f64, whole_days })
}

impl Trend {
    /// When it comes to `limit`, from below or from above.
    pub fn reaches(&self, limit: f64) -> Reached {
        let way = limit - self.level;
        if way == 0.0 {
            return Reached::Now;
        }
        let within = |growth: f64| Some(way / growth).filter(|days| (0.0..=HORIZON_DAYS).contains(days));
        let Growth { low, likely, high } = self.growth;
        let (fast, slow) = if way > 0.0 { (high, low) } else { (low, high) };
        match within(fast) {
            Some(earliest) => Reached::In { earliest, likely: within(likely), latest: within(slow) },
            None => Reached::Never,
        }
    }
}

/// The median of each span, counted back from `last`: (days before or after it, value), by rising time.
fn medians(known: &[(i64, f64)], last: i64, span: i64) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    for part in known.chunk_by(|a, b| (last - a.0) / span == (last - b.0) / span) {
        let (times, values): (Vec<f64>, Vec<f64>) = part.iter().map(|(time, value)| ((time - last) as f64 / DAY_S as f64, *value)).unzip();
        points.extend(median(times).zip(median(values)));
    }
    points
}

fn growth(points: &[(f64, f64)]) -> Option<Growth> {
    let mut slopes: Vec<f64> = Vec::with_capacity(points.len() * points.len() / 2);
    for (at, (day, value)) in points.iter().enumerate() {
        let later = points.iter().skip(at + 1).filter(|(other, _)| other > day);
        slopes.extend(later.map(|(other, then)| (then - value) / (other - day)));
    }
    slopes.sort_by(f64::total_cmp);
    let (n, count) = (points.len() as f64, slopes.len() as f64);
    let spread = Z_90 * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    let place = |rank: f64| slopes.get(rank.clamp(0.0, count - 1.0) as usize).copied();
    Some(Growth {
        low: place(((count - spread) / 2.0).floor())?,
        likely: median(slopes.clone())?,
        high: place(((count + spread) / 2.0).ceil())?,
    })
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

    const HOUR: i64 = 3_600;

    fn hourly(days: i64, value: impl Fn(f64) -> f64) -> Vec<(i64, Option<f64>)> {
        (0..=days * 24).map(|hour| (hour * HOUR, Some(value(hour as f64 / 24.0)))).collect()
    }

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() <= 1e-9 * other.abs().max(1.0)
    }

    #[test]
    fn a_straight_line_is_followed_exactly() {
        let trend = trend(&hourly(30, |day| 100.0 + 2.0 * day)).unwrap();
        assert!(
            near(trend.growth.likely, 2.0) && near(trend.growth.low, 2.0) && near(trend.growth.high, 2.0) && near(trend.level, 160.0),
            "{trend:?}"
        );
        assert!(trend.whole_days && near(trend.days, 30.0));
        let Reached::In { earliest, likely: Some(likely), latest: Some(latest) } = trend.reaches(200.0) else { panic!("{trend:?}") };
        assert!(near(earliest, 20.0) && near(likely, 20.0) && near(latest, 20.0));
        assert_eq!(trend.reaches(100.0), Reached::Never, "it goes the other way");
        assert_eq!(trend.reaches(1e9), Reached::Never, "not within ten years");
    }

    #[test]
    fn the_hours_of_a_day_are_no_growth() {
        let trend = trend(&hourly(14, |day| 50.0 + 0.5 * day + 40.0 * (day * std::f64::consts::TAU).sin())).unwrap();
        assert!((trend.growth.likely - 0.5).abs() < 0.02, "{trend:?}");
    }

    #[test]
    fn wild_values_and_unknown_ones_move_nothing() {
        let mut rows = hourly(20, |day| 10.0 * day);
        for (at, row) in rows.iter_mut().enumerate() {
            match at % 24 {
                3..=7 => row.1 = Some(1e9),
                9..=12 => row.1 = None,
                13 => row.1 = Some(f64::NAN),
                _ => {}
            }
        }
        let trend = trend(&rows).unwrap();
        assert!((trend.growth.likely - 10.0).abs() < 0.5, "{trend:?}");
    }

    #[test]
    fn what_shrinks_comes_to_its_limit_from_above() {
        let trend = trend(&hourly(10, |day| 100.0 - 5.0 * day)).unwrap();
        let Reached::In { likely: Some(likely), .. } = trend.reaches(0.0) else { panic!("{trend:?}") };
        assert!(near(likely, 10.0), "{likely}");
    }

    #[test]
    fn of_less_than_four_days_it_is_said_that_days_were_not_compared() {
        let trend = trend(&hourly(2, |day| 3.0 * day)).unwrap();
        assert!(!trend.whole_days && near(trend.growth.likely, 3.0), "{trend:?}");
    }

    #[test]
    fn of_too_little_nothing_is_told() {
        for rows in [vec![], vec![(0, Some(1.0))], vec![(0, None); 50], vec![(0, Some(1.0)), (10, Some(2.0))]] {
            assert_eq!(trend(&rows), None, "{rows:?}");
        }
    }

    /// Nine of ten intervals hold the truth when values scatter without a memory.
    #[test]
    fn the_interval_holds_the_truth_as_often_as_it_says() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut scatter = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 31) - 0.5
        };
        let held = (0..400).filter(|_| {
            let rows: Vec<_> = (0..40).map(|day| (day * DAY_S, Some(7.0 * day as f64 + 60.0 * scatter()))).collect();
            let Growth { low, high, .. } = trend(&rows).unwrap().growth;
            (low..=high).contains(&7.0)
        });
        let held = held.count();
        assert!((344..=380).contains(&held), "{held} of 400: 360 are nine of ten");
    }
}
