//! What is usual of many series: learned from the store, and kept by the calendar that it is held to. Two rules whose zones or holidays differ
//! see different hours of the week in one series, and share nothing of it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use super::baseline::{Baseline, Calendar, FINE_S, LOOKED_BACK_S};
use crate::{
    config::AlarmRule,
    schedule::Zone,
    series::{
        archive::Consolidation,
        band::Band,
        error::SeriesError,
        fetch::{Query, Series},
        selector::{NAME_LABEL, Selector, Shown},
        store::SeriesStore,
    },
};

/// Seconds of an hour.
const HOUR_S: u32 = 3_600;
/// Single values of late that are looked at, at most: two days of one every half a minute.
const FINE_VALUES_MAX: i64 = 5_760;

/// Baselines of one calendar, by job and series.
type OfCalendar = HashMap<String, HashMap<String, Baseline>>;

/// What is usual of many series, by the calendar that it is held to.
#[derive(Debug, Default)]
pub struct Baselines(Vec<(Calendar, OfCalendar)>);

impl Baselines {
    /// Takes what is usual of a series, by a calendar.
    pub fn insert(&mut self, calendar: &Calendar, job: &str, series: String, baseline: Baseline) {
        let place = self.0.iter().position(|(known, _)| known == calendar).unwrap_or_else(|| {
            self.0.push((calendar.clone(), HashMap::new()));
            self.0.len() - 1
        });
        if let Some((_, of_calendar)) = self.0.get_mut(place) {
            of_calendar.entry(job.to_owned()).or_default().insert(series, baseline);
        }
    }

    /// Takes all that others know; of what both know, theirs.
    pub fn extend(&mut self, other: Self) {
        for (calendar, of_calendar) in other.0 {
            for (job, all) in of_calendar {
                all.into_iter().for_each(|(series, baseline)| self.insert(&calendar, &job, series, baseline));
            }
        }
    }

    /// What is usual of a series, by the calendar of a rule.
    pub fn of(&self, rule: &AlarmRule, job: &str, series: &str) -> Option<&Baseline> {
        let is_its = |calendar: &Calendar| calendar.zone == rule.zone && calendar.special == rule.holidays;
        self.0.iter().find(|(calendar, _)| is_its(calendar))?.1.get(job)?.get(series)
    }

    /// Takes over what was known of a job of which nothing can be learned just now.
    pub fn keep(&mut self, job: &str, known: &Self) {
        for (calendar, of_calendar) in &known.0 {
            for (series, baseline) in of_calendar.get(job).into_iter().flatten() {
                let is_new =
                    !self.0.iter().any(|(of, jobs)| of == calendar && jobs.get(job).is_some_and(|known| known.contains_key(series)));
                if is_new {
                    self.insert(calendar, job, series.clone(), baseline.clone());
                }
            }
        }
    }

    /// Of how many series something is known.
    pub fn len(&self) -> usize {
        self.0.iter().flat_map(|(_, of_calendar)| of_calendar.values()).map(HashMap::len).sum()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Learns what is usual of the series that are meant, as it was at an instant; gives each with it.
///
/// `step_s`: seconds between values, usually.
pub fn learn(
    store: &Mutex<SeriesStore>,
    selector: &Selector,
    calendar: &Calendar,
    (now_s, step_s): (i64, u32),
) -> Result<Vec<(Series, Baseline)>, SeriesError> {
    let fetch = |back: i64, step: Option<u32>| -> Result<Vec<Series>, SeriesError> {
        let (from, consolidation) = (now_s - back, Consolidation::Average);
        let query = Query { selectors: vec![selector.clone()], from, to: now_s, step, consolidation };
        let taken = store.lock().unwrap_or_else(PoisonError::into_inner).glance(query, now_s)?;
        // What is in the journal alone is a few minutes of weeks.
        taken.read(std::iter::empty())
    };
    let back = FINE_S.min(i64::from(step_s.max(1)).saturating_mul(FINE_VALUES_MAX));
    let mut fine: HashMap<(String, Vec<(String, String)>), Series> =
        fetch(back, None)?.into_iter().map(|series| ((series.metric.clone(), series.labels.clone()), series)).collect();
    let learned = fetch(LOOKED_BACK_S, Some(HOUR_S))?.into_iter().map(|hours| {
        let fine = fine.remove(&(hours.metric.clone(), hours.labels.clone())).map(|series| series.rows).unwrap_or_default();
        let baseline = Baseline::of(&hours.rows, &fine, calendar.clone());
        (hours, baseline)
    });
    Ok(learned.collect())
}

/// The bands of series, so many deviations to either side of what was usual when their rows end: by the calendar of the rule that holds a series
/// against it, else by the clocks of `zone`.
pub fn bands(
    store: &Mutex<SeriesStore>,
    series: &[Series],
    deviations: f64,
    (rules, zone, now_s): (&[AlarmRule], Zone, i64),
) -> Result<Vec<Band>, SeriesError> {
    let band = |one: &Series| -> Result<Band, SeriesError> {
        let end = one.rows.last().map_or(now_s, |(end, _)| *end).min(now_s);
        let calendar = calendar_of(rules, one).unwrap_or(Calendar { zone, special: None });
        // Labels come as the catalogue has them: what selects one of them always reads.
        let learned = match Selector::parse(&Shown { metric: &one.metric, labels: &one.labels }.to_string()) {
            Ok(selector) => learn(store, &selector, &calendar, (end, one.kept))?,
            Err(_) => Vec::new(),
        };
        let baseline = learned.into_iter().find(|(found, _)| found.labels == one.labels).map(|(_, baseline)| baseline).unwrap_or_default();
        let step = i64::from(one.step.max(1));
        Ok(Band { deviations, rows: one.rows.iter().map(|(time, _)| baseline.band_over(*time - step, *time, deviations)).collect() })
    };
    series.iter().map(band).collect()
}

/// The calendar of the first rule that holds a series against what is usual.
fn calendar_of(rules: &[AlarmRule], series: &Series) -> Option<Calendar> {
    let label = |wanted: &str| match wanted {
        NAME_LABEL => Some(series.metric.as_str()),
        _ => series.labels.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str()),
    };
    let is_its = |rule: &&AlarmRule| {
        rule.enabled && rule.asks_what_is_usual() && rule.looks_at.series().is_some_and(|meant| meant.value.matches(label))
    };
    rules.iter().find(is_its).map(AlarmRule::calendar)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        alarm::bound::Bound,
        config::{At, Place},
    };

    #[test]
    fn rules_of_different_zones_share_nothing_that_is_usual() {
        let at = || Place::whole("");
        let rule = |zone: &str| {
            let series = At { value: Selector::parse("up").unwrap(), place: at() };
            let bound = At { value: Bound::parse("> 3 deviations").unwrap(), place: at() };
            AlarmRule { zone: Zone::parse(zone).unwrap(), ..AlarmRule::trial(series, bound) }
        };
        let (paris, tokyo) = (rule("Europe/Paris"), rule("Asia/Tokyo"));
        let mut baselines = Baselines::default();
        for (rule, value) in [(&paris, 1.0), (&tokyo, 9.0)] {
            let hours: Vec<(i64, Option<f64>)> = (1..=840).map(|hour| (hour * 3_600, Some(value))).collect();
            baselines.insert(&rule.calendar(), "mx", "up".into(), Baseline::of(&hours, &[], rule.calendar()));
        }
        let median = |rule| baselines.of(rule, "mx", "up").and_then(|baseline| baseline.at(0)).map(|usual| usual.median);
        assert_eq!((median(&paris), median(&tokyo), median(&rule("UTC"))), (Some(1.0), Some(9.0), None));
        assert_eq!(baselines.len(), 2);
        let mut next = Baselines::default();
        next.keep("mx", &baselines);
        next.keep("other", &baselines);
        assert_eq!(next.len(), 2, "what cannot be learned anew stays as it was");
    }

    #[test]
    fn what_is_learned_of_some_series_leaves_the_others_as_they_were() {
        let of = |series: &[(&str, &str, f64)]| {
            let mut baselines = Baselines::default();
            for (job, series, value) in series {
                let hours: Vec<(i64, Option<f64>)> = (1..=840).map(|hour| (hour * 3_600, Some(*value))).collect();
                baselines.insert(&Calendar::default(), job, (*series).to_owned(), Baseline::of(&hours, &[], Calendar::default()));
            }
            baselines
        };
        let mut known = of(&[("mx", "up", 1.0), ("mx", "size", 2.0), ("my", "up", 3.0)]);
        known.extend(of(&[("mx", "size", 7.0), ("mz", "up", 8.0)]));
        let at = Place::whole("");
        let (series, bound) = (Selector::parse("up").unwrap(), Bound::parse("> 3 deviations").unwrap());
        let rule = AlarmRule::trial(At { value: series, place: at.clone() }, At { value: bound, place: at });
        let median = |job, series| known.of(&rule, job, series).and_then(|baseline| baseline.at(0)).map(|usual| usual.median);
        let all = [median("mx", "up"), median("mx", "size"), median("my", "up"), median("mz", "up")];
        assert_eq!(all, [Some(1.0), Some(7.0), Some(3.0), Some(8.0)]);
    }
}
