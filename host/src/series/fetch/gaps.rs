//! Why rows of an answer are unknown.

use super::{Query, Series};
use crate::series::error::SeriesError;
use crate::series::gap::book::Told;
use crate::series::gap::{Cause, Gap};
use crate::series::store::SeriesStore;

/// Longest row: what is told of a range begins so much earlier.
const ROW_MAX_S: i64 = 86_400;
/// Gaps of one series, at most; more are left out, the latest first.
const GAPS_MAX: usize = 10_000;

impl SeriesStore {
    /// What is known of a job over the range of a query, up to now.
    pub(super) fn told(&self, job: &str, query: &Query, now: i64) -> Result<Told, SeriesError> {
        let before = i64::from(query.step.unwrap_or(0)).max(ROW_MAX_S);
        let from = query.from.saturating_sub(before);
        let mut told = self.catalogue().told(job, from, query.to.min(now))?;
        told.since = told.since.max(from);
        Ok(told)
    }
}

impl Series {
    /// Takes why rows are unknown, from what is known of the job.
    pub(super) fn explain(&mut self, told: &Told) {
        let step = i64::from(self.step);
        let mut gaps: Vec<Gap> = Vec::new();
        let mut unknown: Option<(i64, i64)> = None;
        let ends = [(i64::MAX, Some(0.0))];
        for (time, value) in self.rows.iter().chain(&ends) {
            match (value, &mut unknown) {
                (None, Some((_, to))) => *to = *time,
                (None, none) => *none = Some((time - step, *time)),
                (Some(_), found) => {
                    if let Some((from, to)) = found.take() {
                        gaps.extend(told.why(from, to));
                    }
                }
            }
        }
        gaps.truncate(GAPS_MAX);
        self.gaps = gaps;
    }

    /// Why the row at this time is unknown: what most of its time was, if that is known.
    pub fn gap_at(&self, time: i64) -> Option<&Gap> {
        let from = time - i64::from(self.step);
        let first = self.gaps.partition_point(|gap| gap.to <= from);
        let here = self.gaps.get(first..)?.iter().take_while(|gap| gap.from < time);
        // The first of two alike.
        here.fold(None, |most: Option<&Gap>, gap| {
            let length = |gap: &Gap| gap.to.min(time) - gap.from.max(from);
            most.filter(|most| length(most) >= length(gap)).or(Some(gap))
        })
    }
}

impl Told {
    /// Why nothing of a value is known after an instant, up to another. What lies between gaps was measured, and gave no such value.
    fn why(&self, from: i64, to: i64) -> Vec<Gap> {
        let first = self.gaps.partition_point(|gap| gap.to <= from);
        let known = self.gaps.get(first..).unwrap_or_default().iter().map_while(|gap| gap.within(from, to));
        let (mut all, mut at) = (Vec::new(), from.max(self.since));
        let measured = |from: i64, to: i64| (from < to).then_some(Gap { from, to, cause: Cause::NotRecorded, detail: None });
        for gap in known {
            all.extend(measured(at, gap.from));
            at = gap.to;
            all.push(gap);
        }
        all.extend(measured(at, to.min(self.until)));
        all
    }
}

#[cfg(test)]
mod tests {
    use watchpost_plugin_api::{Kind, Unit};

    use super::*;

    fn gap(from: i64, to: i64, cause: Cause) -> Gap {
        Gap { from, to, cause, detail: None }
    }

    #[test]
    fn unknown_rows_have_their_causes_and_what_was_measured_without_them_says_so() {
        let told = Told { since: 60, until: 600, gaps: vec![gap(120, 180, Cause::HostDown), gap(300, 420, Cause::Blackout)] };
        let values = [None, None, None, Some(1.0), None, None, Some(2.0), None, None, None, None];
        let rows = (1..).map(|slot| slot * 60).zip(values).collect();
        let mut series = Series {
            metric: "a".into(),
            labels: Vec::new(),
            unit: Unit::Seconds,
            kind: Kind::Gauge,
            step: 60,
            kept: 60,
            rows,
            gaps: Vec::new(),
        };
        series.explain(&told);
        let expected = [
            gap(60, 120, Cause::NotRecorded),
            gap(120, 180, Cause::HostDown),
            gap(240, 300, Cause::NotRecorded),
            gap(300, 360, Cause::Blackout),
            gap(420, 600, Cause::NotRecorded),
        ];
        assert_eq!(series.gaps, expected);
        let at = |time| series.gap_at(time).map(|gap| gap.cause);
        let causes = [60, 120, 180, 240, 300, 360, 420, 600, 660].map(at);
        let (none, lost) = (None, Some(Cause::NotRecorded));
        assert_eq!(causes, [none, lost, Some(Cause::HostDown), none, lost, Some(Cause::Blackout), none, lost, none]);
    }

    #[test]
    fn a_long_row_has_the_cause_of_most_of_its_time() {
        let mut series = Series {
            metric: "a".into(),
            labels: Vec::new(),
            unit: Unit::Seconds,
            kind: Kind::Gauge,
            step: 600,
            kept: 60,
            rows: vec![(600, None)],
            gaps: Vec::new(),
        };
        series.explain(&Told { since: 0, until: 600, gaps: vec![gap(0, 240, Cause::HostDown), gap(300, 600, Cause::Skipped)] });
        assert_eq!(series.gap_at(600).map(|gap| gap.cause), Some(Cause::Skipped));
        assert_eq!(series.gaps.len(), 3);
    }
}
