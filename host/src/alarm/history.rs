//! What is remembered of the values of a series, for rules that look at more than the last: thinned, so that a window of an hour takes no
//! more room than one of a minute.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::limit::Of;
use crate::series::trend::trend;

/// Points that a window is made of, about.
const POINTS: i64 = 40;
/// Points that are kept of a series, at most about.
const POINTS_MAX: i64 = 1_000;
/// Points that a trend takes, at least.
const TREND_POINTS_MIN: usize = 8;
/// Seconds of a day.
const DAY_S: f64 = 86_400.0;

/// How far back the limits of a rule look, and how finely, seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    back: i64,
    spacing: i64,
}

impl Reach {
    /// How far back, seconds.
    pub fn back(self) -> i64 {
        self.back
    }

    /// That of all these.
    pub fn of(looked_at: impl Iterator<Item = Of>) -> Self {
        let windows: Vec<i64> = looked_at.filter_map(|of| Some(seconds(of.looks_back()?))).collect();
        let back = windows.iter().copied().max().unwrap_or(0);
        let least = windows.iter().copied().min().unwrap_or(0);
        Self { back, spacing: (least / POINTS).max(back / POINTS_MAX) }
    }
}

/// Values of late, by rising time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History {
    points: Vec<(i64, f64)>,
    /// The newest point that is on disk.
    #[serde(skip)]
    written: Option<i64>,
}

impl History {
    /// Takes a value; of a counter its total, and one that fell was reset: what was before is forgotten. Says whether it is newer than all.
    pub fn take(&mut self, at_s: i64, value: f64, is_total: bool, reach: Reach) -> bool {
        let last = self.points.last().copied();
        if last.is_some_and(|(last, _)| last >= at_s) {
            return false;
        }
        if is_total && last.is_some_and(|(_, last)| value < last) {
            self.points.clear();
        }
        // The last one is always there; those before it stand apart.
        if let [.., (before, _), last] = self.points.as_mut_slice()
            && last.0 - *before < reach.spacing
        {
            *last = (at_s, value);
        } else {
            self.points.push((at_s, value));
        }
        let is_needed = |next: &(i64, f64)| next.0 > at_s - reach.back;
        let old = self.points.iter().skip(1).position(is_needed).unwrap_or(self.points.len());
        self.points.drain(..old.min(self.points.len().saturating_sub(2)));
        true
    }

    /// When the first and the last value came that are remembered.
    pub fn span(&self) -> Option<(i64, i64)> {
        Some((self.points.first()?.0, self.points.last()?.0))
    }

    /// Takes what was before the first value: rows by rising time, of a counter what it rose in each second of a row. Says whether more is
    /// remembered now.
    ///
    /// Unknown: of a counter nothing is known before a row that is not.
    pub fn precede(&mut self, rows: &[(i64, Option<f64>)], step_s: i64, is_total: bool, reach: Reach) -> bool {
        let Some(first) = self.points.first().copied() else { return false };
        let before = if is_total { totals(first, rows, step_s) } else { known_before(first.0, rows) };
        let mut whole = Self::default();
        for (at_s, value) in before.into_iter().chain(self.points.iter().copied()) {
            whole.take(at_s, value, is_total, reach);
        }
        let is_more = whole.points.first().is_some_and(|(at_s, _)| *at_s < first.0);
        if is_more {
            *self = whole;
        }
        is_more
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Whether what came since it was written last is worth writing: a minute of it, or all.
    pub fn is_due(&mut self) -> bool {
        let Some((newest, _)) = self.points.last() else { return self.written.take().is_some() };
        let is_due = self.written.is_none_or(|written| newest - written >= 60);
        if is_due {
            self.written = Some(*newest);
        }
        is_due
    }

    /// The last value.
    pub fn last(&self) -> Option<f64> {
        self.points.last().map(|(_, value)| *value)
    }

    /// What a limit looks at; nothing where the values do not reach that far back.
    ///
    /// `step_s`: seconds between two values, usually.
    pub fn figure(&self, of: Of, step_s: i64, reach: Reach) -> Option<f64> {
        let now = self.points.last()?;
        let then = |window: Duration| {
            let wanted = now.0 - seconds(window);
            let then = self.points.iter().rev().find(|(time, _)| *time <= wanted)?;
            // A value from long before the window says nothing of its beginning.
            (then.0 >= wanted - 2 * step_s - reach.spacing).then_some(then)
        };
        let rate = |then: &(i64, f64)| (now.1 - then.1) / (now.0 - then.0) as f64;
        match of {
            Of::Change(window) => Some(now.1 - then(window)?.1),
            Of::RelativeChange(window) => then(window).filter(|then| then.1 != 0.0).map(|then| (now.1 - then.1) / then.1.abs()),
            Of::Rate(_, None) => self.points.iter().rev().nth(1).map(rate),
            Of::Rate(_, Some(window)) => then(window).map(rate),
            Of::Forecast(ahead, window) => self.forecast(ahead, window),
            Of::Value | Of::Absence | Of::Deviation | Of::Events(_) => None,
        }
    }

    /// What it will be by its trend. A trend that may as well be none leads nowhere.
    fn forecast(&self, ahead: Duration, window: Duration) -> Option<f64> {
        let (now_s, _) = self.points.last()?;
        let begin = now_s - seconds(window);
        let rows: Vec<(i64, Option<f64>)> =
            self.points.iter().filter(|(time, _)| *time >= begin).map(|(time, value)| (*time, Some(*value))).collect();
        let reaches_back = rows.first().is_some_and(|(first, _)| *first <= begin + seconds(window) / 2);
        if rows.len() < TREND_POINTS_MIN || !reaches_back {
            return None;
        }
        let trend = trend(&rows)?;
        let goes_somewhere = trend.growth.low > 0.0 || trend.growth.high < 0.0;
        let growth = if goes_somewhere { trend.growth.likely } else { 0.0 };
        Some(trend.level + growth * ahead.as_secs_f64() / DAY_S)
    }
}

/// Known values before an instant.
fn known_before(first_s: i64, rows: &[(i64, Option<f64>)]) -> Vec<(i64, f64)> {
    rows.iter().filter(|(at_s, _)| *at_s < first_s).filter_map(|(at_s, value)| Some((*at_s, (*value)?))).collect()
}

/// What a counter's total was at the beginning of each row, back from a total that is known to a row that is not.
fn totals((first_s, total): (i64, f64), rows: &[(i64, Option<f64>)], step_s: i64) -> Vec<(i64, f64)> {
    let (mut end_s, mut total, mut totals) = (first_s, total, Vec::new());
    for (at_s, rate) in rows.iter().rev().skip_while(|(at_s, _)| *at_s > first_s) {
        let Some(rate) = rate.filter(|_| *at_s == end_s) else { break };
        (end_s, total) = (at_s - step_s, total - rate * step_s as f64);
        totals.push((end_s, total));
    }
    totals.reverse();
    totals
}

fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Takes values a minute apart, `None` where there is none, and gives the last figure.
    fn figure(of: Of, is_total: bool, values: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
        let (reach, mut history) = (Reach::of([of].into_iter()), History::default());
        let mut last = None;
        for (value, at) in values.into_iter().zip(0..) {
            let taken = value.map(|value| history.take(at * 60, value, is_total, reach));
            last = taken.and_then(|_| history.figure(of, 60, reach));
        }
        last
    }

    #[test]
    fn a_window_is_compared_with_its_beginning() {
        let rising = |count: i64| (0..count).map(|at| Some(100.0 + at as f64));
        let change = Of::Change(10 * MINUTE);
        assert_eq!(figure(change, false, rising(11)), Some(10.0));
        assert_eq!(figure(change, false, rising(10)), None, "nothing is known of ten minutes ago");
        assert_eq!(figure(Of::RelativeChange(10 * MINUTE), false, rising(11)), Some(0.1));
        assert_eq!(figure(Of::RelativeChange(MINUTE), false, [Some(0.0), Some(5.0)]), None, "no share of nothing");
        assert_eq!(figure(Of::RelativeChange(MINUTE), false, [Some(-4.0), Some(-2.0)]), Some(0.5));
        assert_eq!(figure(Of::Rate(MINUTE, None), false, [Some(1.0), Some(61.0)]), Some(1.0));
        assert_eq!(figure(Of::Rate(MINUTE, Some(5 * MINUTE)), false, rising(6)), Some(1.0 / 60.0));
    }

    #[test]
    fn what_is_missing_is_no_beginning() {
        let of = Of::Change(10 * MINUTE);
        let gap = |missing: std::ops::Range<i64>| (0..30).map(move |at| Some(at as f64).filter(|_| !missing.contains(&at)));
        assert_eq!(figure(of, false, gap(18..20)), Some(12.0), "two minutes before will do");
        assert_eq!(figure(of, false, gap(10..20)), None);
        assert_eq!(figure(of, false, gap(29..30)), None, "nothing is known of now");
    }

    #[test]
    fn of_a_counter_what_it_rose_is_looked_at_and_a_reset_is_unknown() {
        let total = [0.0, 60.0, 120.0, 5.0, 65.0].map(Some);
        assert_eq!(figure(Of::Rate(MINUTE, None), true, total), Some(1.0));
        assert_eq!(figure(Of::Rate(MINUTE, None), true, total.into_iter().take(4)), None);
        assert_eq!(figure(Of::Change(3 * MINUTE), true, total), None);
        assert_eq!(figure(Of::Change(2 * MINUTE), true, total.into_iter().take(3)), Some(120.0));
    }

    #[test]
    fn a_trend_leads_somewhere_and_scatter_leads_nowhere() {
        let of = Of::Forecast(240 * MINUTE, 120 * MINUTE);
        let filling = |count: i64| (0..count).map(|at| Some(0.5 + at as f64 * 0.001));
        let led = figure(of, false, filling(121)).unwrap();
        assert!((led - 0.86).abs() < 0.01, "{led}");
        assert_eq!(figure(of, false, filling(40)), None, "less than half of the window is known");
        let scattered = (0..121).map(|at| Some(0.5 + f64::from((at * 7919) % 13) / 100.0));
        let led = figure(of, false, scattered).unwrap();
        assert!((0.45..0.70).contains(&led), "{led}");
        // One wild value changes nothing.
        let wild = (0..121).map(|at| Some(if at == 120 { 9.0 } else { 0.5 }));
        let led = figure(of, false, wild).unwrap();
        assert!((led - 0.5).abs() < 0.01, "{led}");
    }

    #[test]
    fn what_is_written_is_at_most_a_minute_behind() {
        let mut history = History::default();
        let due: Vec<bool> = (0..130)
            .map(|at| {
                history.take(at, at as f64, false, Reach::default());
                history.is_due()
            })
            .collect();
        assert_eq!(due.iter().filter(|due| **due).count(), 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        /// However values come, few are kept, by rising time, and a change is that of the values that came.
        #[test]
        fn it_stays_small_and_in_order(
            steps in proptest::collection::vec((1_i64..400, 0_u32..1_000), 1..300),
            window in 60_u64..100_000,
        ) {
            let window = Duration::from_secs(window);
            let (of, reach) = (Of::Change(window), Reach::of([Of::Change(window)].into_iter()));
            let (mut history, mut at, mut all) = (History::default(), 0, Vec::new());
            for (step, value) in steps {
                at += step;
                let value = f64::from(value);
                all.push((at, value));
                prop_assert!(history.take(at, value, false, reach));
                prop_assert!(!history.take(at, 7.0, false, reach), "nothing comes twice");
                prop_assert!(history.points.len() as i64 <= POINTS + 5, "{}", history.points.len());
                prop_assert!(history.points.is_sorted_by(|one, next| one.0 < next.0));
                if let Some(change) = history.figure(of, 60, reach) {
                    let earliest = at - seconds(window) - 120 - reach.spacing;
                    let possible = all.iter().filter(|(time, _)| (earliest..=at - seconds(window)).contains(time));
                    prop_assert!(possible.map(|(_, then)| value - then).any(|possible| possible == change));
                }
            }
        }
    }
}
