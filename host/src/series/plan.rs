//! The rows that one reading adds to one file, and what each slot is then worth.
//!
//! RRD smears a value over the whole time since the last row, drops it when that is longer than the heartbeat, and takes a
//! falling total for a wrap. These rules put rows before the reading's own so that none of it happens.

use super::row::{Datum, Row};

/// What a slot is worth, from one row to the next.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Begins after this instant.
    pub from: i64,
    /// Ends with this instant; every slot between is worth the same.
    pub to: i64,
    /// One value for each data source: gauges as they are, counters per second.
    pub values: Vec<Option<f64>>,
}

/// Plans the rows of a reading of `slot`, given the last row of the file: gives the one that must stand before its own, if one must; its own has
/// these cells, of which one becomes unknown where there is no room for a row before.
///
/// Shape: `last`, if any, is older than `slot` and has as many cells; `reach` is the heartbeat of counters, seconds.
/// Unknown: gauges between the rows; counters that fell, or whose totals lie further apart than the heartbeat.
pub fn plan(last: Option<&Row>, slot: i64, cells: &mut [Datum], step: u32, reach: u32) -> Option<Row> {
    let last = last?;
    let before = between(last, (slot, cells), slot - i64::from(step), reach);
    if before.is_none() && step == 1 {
        lose_fallen(last, cells);
    }
    before
}

/// What slots are worth, given the row before and the planned rows after it.
///
/// Shape: rows as [`plan`] gave them, of any number of readings; spans by rising time.
pub fn spans(before: Option<&Row>, rows: &[Row], step: u32) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut last = before.cloned().or_else(|| {
        let first = rows.first()?;
        Some(Row { stamp: first.stamp - i64::from(step), cells: vec![Datum::Unknown; first.cells.len()] })
    });
    for (n, row) in rows.iter().enumerate() {
        // The moment of a reset is no slot of its own.
        let is_reset = step > 1 && rows.get(n + 1).is_some_and(|next| next.stamp == row.stamp + 1);
        if is_reset {
            continue;
        }
        spans.extend(last.as_ref().map(|last| span(last, row)));
        last = Some(row.clone());
    }
    spans
}

/// The row that must stand between the last one and the reading's own: the missing slot before it, or the moment of a reset.
fn between(last: &Row, (slot, cells): (i64, &[Datum]), start: i64, reach: u32) -> Option<Row> {
    if last.stamp < start {
        return Some(row_between(last, (slot, cells), start, reach));
    }
    let reset = last.cells.iter().zip(cells).any(|(old, new)| falls(*old, *new));
    // The gauges' value is repeated there, so that the slot's average is exactly it.
    (reset && slot - 1 > last.stamp).then(|| {
        let mut row = row_between(last, (slot, cells), slot - 1, reach);
        for (cell, new) in row.cells.iter_mut().zip(cells) {
            if let Datum::Gauge(value) = new {
                *cell = Datum::Gauge(*value);
            }
        }
        row
    })
}

fn row_between(last: &Row, (slot, cells): (i64, &[Datum]), stamp: i64, reach: u32) -> Row {
    let reachable = slot - last.stamp <= i64::from(reach);
    let cells = last.cells.iter().zip(cells).map(|(old, new)| match (old, new) {
        (Datum::Total(old), Datum::Total(new)) if reachable && old <= new => {
            Datum::Total(on_the_line((last.stamp, *old), (slot, *new), stamp))
        }
        _ => Datum::Unknown,
    });
    Row { stamp, cells: cells.collect() }
}

/// A step of one second leaves no room for a row between: the reset itself is unknown.
fn lose_fallen(last: &Row, cells: &mut [Datum]) {
    for (old, new) in last.cells.iter().zip(cells) {
        if falls(*old, *new) {
            *new = Datum::Unknown;
        }
    }
}

fn falls(old: Datum, new: Datum) -> bool {
    matches!((old, new), (Datum::Total(old), Datum::Total(new)) if new < old)
}

/// The total at `stamp` on the straight line between two totals, rounded.
fn on_the_line((t0, v0): (i64, u64), (t1, v1): (i64, u64), stamp: i64) -> u64 {
    let whole = u128::from(t1.abs_diff(t0));
    let part = u128::from(stamp.abs_diff(t0));
    let rise = (u128::from(v1 - v0) * part + whole / 2) / whole;
    v0 + u64::try_from(rise).unwrap_or(v1 - v0)
}

fn span(last: &Row, row: &Row) -> Span {
    let values = last.cells.iter().zip(&row.cells).map(|(old, new)| match (old, new) {
        (_, Datum::Gauge(value)) => Some(*value),
        (Datum::Total(old), Datum::Total(new)) if old <= new => Some(rate(*old, *new, row.stamp - last.stamp)),
        _ => None,
    });
    Span { from: last.stamp, to: row.stamp, values: values.collect() }
}

#[expect(clippy::cast_precision_loss, reason = "a rate is a fraction; 53 bits are what RRD keeps of it, too")]
fn rate(old: u64, new: u64, seconds: i64) -> f64 {
    (new - old) as f64 / seconds as f64
}

#[cfg(test)]
mod tests {
    use super::Datum::{Gauge, Total, Unknown};
    use super::*;

    fn row(stamp: i64, cells: &[Datum]) -> Row {
        Row { stamp, cells: cells.to_vec() }
    }

    /// Counters reach over a day and two steps.
    fn plan(last: Option<&Row>, slot: i64, mut cells: Vec<Datum>, step: u32) -> Vec<Row> {
        let before = super::plan(last, slot, &mut cells, step, 86_400 + 2 * step);
        before.into_iter().chain([Row { stamp: slot, cells }]).collect()
    }

    fn check(last: Option<Row>, slot: i64, cells: &[Datum], step: u32, expected: &[Row]) {
        assert_eq!(plan(last.as_ref(), slot, cells.to_vec(), step), expected);
    }

    #[test]
    fn a_reading_right_after_the_last_needs_no_row_before_it() {
        check(None, 120, &[Gauge(1.0), Total(5)], 60, &[row(120, &[Gauge(1.0), Total(5)])]);
        check(Some(row(60, &[Unknown, Total(1)])), 120, &[Gauge(1.0), Total(5)], 60, &[row(120, &[Gauge(1.0), Total(5)])]);
    }

    #[test]
    fn over_a_gap_gauges_are_unknown_and_counters_on_the_line() {
        let last = row(60, &[Gauge(9.0), Total(100)]);
        let own = [Gauge(1.0), Total(201)];
        check(Some(last), 300, &own, 60, &[row(240, &[Unknown, Total(176)]), row(300, &own)]);
    }

    #[test]
    fn a_gap_longer_than_the_heartbeat_is_unknown_for_counters_too() {
        let own = [Total(201)];
        let longest = 60 + 86_400 + 120;
        check(Some(row(60, &[Total(100)])), longest + 60, &own, 60, &[row(longest, &[Unknown]), row(longest + 60, &own)]);
        let rows = plan(Some(&row(60, &[Total(100)])), longest, own.to_vec(), 60);
        assert!(rows[0].cells[0].as_total().is_some(), "{rows:?}");
    }

    #[test]
    fn a_reset_is_unknown_first_and_costs_its_neighbours_nothing() {
        let last = row(60, &[Gauge(9.0), Total(100), Total(0)]);
        let own = [Gauge(1.0), Total(3), Total(60)];
        check(Some(last.clone()), 120, &own, 60, &[row(119, &[Gauge(1.0), Unknown, Total(59)]), row(120, &own)]);
        let spans = spans(Some(&last), &plan(Some(&last), 120, own.to_vec(), 60), 60);
        assert_eq!(spans, [Span { from: 60, to: 120, values: vec![Some(1.0), None, Some(1.0)] }]);
    }

    #[test]
    fn a_reset_at_a_step_of_one_second_is_unknown_itself() {
        check(Some(row(9, &[Total(5), Gauge(1.0)])), 10, &[Total(2), Gauge(2.0)], 1, &[row(10, &[Unknown, Gauge(2.0)])]);
    }

    #[test]
    fn a_reset_in_a_gap_needs_one_row_only() {
        check(Some(row(60, &[Total(5)])), 300, &[Total(2)], 60, &[row(240, &[Unknown]), row(300, &[Total(2)])]);
        check(Some(row(5, &[Total(5)])), 9, &[Total(2)], 1, &[row(8, &[Unknown]), row(9, &[Total(2)])]);
    }

    #[test]
    fn rows_that_wait_tell_what_their_slots_are_worth() {
        let readings = [(60, 5.0, 7), (120, 1.0, 9), (180, 2.0, 3), (600, 3.0, 40), (660, 4.0, 1)];
        for (step, known) in [(60, 0), (60, 2), (1, 0), (1, 3)] {
            let (mut last, mut rows, mut expected, mut before) = (None::<Row>, Vec::new(), Vec::new(), None);
            for (n, (slot, gauge, total)) in readings.iter().enumerate() {
                let planned = plan(last.as_ref(), *slot, vec![Gauge(*gauge), Total(*total)], step);
                let of_this = spans(last.as_ref(), &planned, step);
                last = planned.last().cloned();
                if n < known {
                    before.clone_from(&last);
                } else {
                    rows.extend(planned);
                    expected.extend(of_this);
                }
            }
            assert_eq!(spans(before.as_ref(), &rows, step), expected, "step {step}, {known} written");
        }
    }

    #[test]
    fn what_was_counted_over_a_gap_is_the_sum_of_its_spans() {
        let first = row(0, &[Total(7)]);
        let spans = spans(Some(&first), &plan(Some(&first), 1_000, vec![Total(7 + 12_345)], 10), 10);
        let counted: f64 = spans.iter().map(|span| span.values[0].unwrap() * (span.to - span.from) as f64).sum();
        assert!((counted - 12_345.0).abs() < 1e-6, "{counted}");
    }

    #[test]
    fn totals_near_the_end_of_their_range_stay_on_the_line() {
        assert_eq!(on_the_line((0, 0), (86_400, u64::MAX), 43_200), u64::MAX / 2 + 1);
        assert_eq!(on_the_line((0, u64::MAX), (10, u64::MAX), 5), u64::MAX);
    }
}
