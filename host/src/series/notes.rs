//! What whoever reads an answer should know of its steps.

use std::collections::BTreeMap;

use super::fetch::Series;
use super::output::title;
use super::request::Format;

/// Notes of one answer, at most.
const NOTES_MAX: usize = 5;

/// Tells of rows that are not as far apart as was asked, and of steps that differ within one table.
///
/// As rrdtool does, the nearest step that what is kept can give is taken; unlike it, that is said.
pub(super) fn of_steps(series: &[Series], wanted: Option<u32>, format: Format) -> Vec<String> {
    let mut by_step: BTreeMap<(u32, u32), Vec<&Series>> = BTreeMap::new();
    for one in series {
        by_step.entry((one.step, one.kept)).or_default().push(one);
    }
    if let Some(wanted) = wanted {
        let others = by_step.iter().filter(|((step, _), _)| *step != wanted);
        return others.take(NOTES_MAX).map(|((step, kept), series)| other_step(wanted, *step, *kept, series)).collect();
    }
    let mut steps: Vec<u32> = by_step.keys().map(|(step, _)| *step).collect();
    steps.dedup();
    let in_one_table = format != Format::Json && steps.len() > 1;
    in_one_table.then(|| several_steps(&steps)).into_iter().collect()
}

fn other_step(wanted: u32, step: u32, kept: u32, series: &[&Series]) -> String {
    let first = series.first().map(|first| title(first)).unwrap_or_default();
    let more = if series.len() > 1 { format!(" and {} more", series.len() - 1) } else { String::new() };
    format!(
        "rows are {} apart, not {}: over this range every {} is kept, and a step is a multiple of that ({first}{more})",
        length(step),
        length(wanted),
        length(kept)
    )
}

fn several_steps(steps: &[u32]) -> String {
    let listed: Vec<String> = steps.iter().map(|step| length(*step)).collect();
    let common = steps.iter().copied().reduce(least_common_multiple).unwrap_or(1);
    format!("rows are {} apart, by series, which leaves cells empty; --step {common} gives all of them one step", listed.join(" or "))
}

fn least_common_multiple(a: u32, b: u32) -> u32 {
    let (mut larger, mut smaller) = (a, b);
    while smaller > 0 {
        (larger, smaller) = (smaller, larger % smaller);
    }
    (a / larger.max(1)).saturating_mul(b)
}

/// A length of time in the largest unit that leaves no rest.
pub(crate) fn length(seconds: u32) -> String {
    let (unit, name) =
        [(86_400, "d"), (3_600, "h"), (60, "min")].into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit)).unwrap_or((1, "s"));
    format!("{} {name}", seconds / unit)
}

#[cfg(test)]
mod tests {
    use watchpost_plugin_api::{Kind, Unit};

    use super::*;

    fn series(metric: &str, step: u32, kept: u32) -> Series {
        Series {
            metric: metric.into(),
            labels: Vec::new(),
            unit: Unit::Seconds,
            kind: Kind::Gauge,
            step,
            kept,
            rows: Vec::new(),
            gaps: Vec::new(),
        }
    }

    #[test]
    fn a_step_that_was_not_asked_for_is_told_with_its_reason() {
        let answer = [series("a", 10, 5), series("b", 10, 5), series("c", 7, 7), series("d", 3_600, 300)];
        let expected = [
            "rows are 10 s apart, not 7 s: over this range every 5 s is kept, and a step is a multiple of that (a and 1 more)",
            "rows are 1 h apart, not 7 s: over this range every 5 min is kept, and a step is a multiple of that (d)",
        ];
        assert_eq!(of_steps(&answer, Some(7), Format::Json), expected);
    }

    #[test]
    fn a_table_of_several_steps_says_which_one_fits_all() {
        let answer = [series("a", 20, 20), series("b", 30, 30), series("c", 30, 30)];
        let expected = ["rows are 20 s or 30 s apart, by series, which leaves cells empty; --step 60 gives all of them one step"];
        assert_eq!(of_steps(&answer, None, Format::Csv), expected);
        assert!(of_steps(&answer, None, Format::Json).is_empty(), "objects have their own steps");
        assert!(of_steps(&answer[1..], None, Format::Csv).is_empty());
    }
}
