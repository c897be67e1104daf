//! `watchpost rules replay`, `diff` and `suggest`: what alarms there would have been.

use serde::Serialize;
use watchpost_plugin_api::Unit;

use super::{
    Context,
    failure::{Failure, Outcome},
    load::now,
    past::{HeldTo, Replayed, replay},
    print_json,
    table::{self, counted, plain},
    time,
};
use crate::{
    alarm::{bound::Bound, replay::Episode},
    config::{self, AlarmRule, At, Draft, Place, nearest},
    console::readable,
    series::{
        selector::Selector,
        time::{Clock, parse_range},
    },
};

pub(super) const REPLAY_EXAMPLES: &str = "\
Coarse archives are held against as their largest value (a bound above) or their smallest (a bound below), and tell of trouble that was \
shorter than a row as if it had lasted for one; which archive answered for which span is told. `absent` bounds and maintenance are left out.

Examples:
  watchpost rules replay slow
  watchpost rules replay slow --from -1y --json";
pub(super) const DIFF_EXAMPLES: &str = "\
A rule that is to be tried stands in the configuration with `enabled = false`.

Example:
  watchpost rules diff slow slower --from -1y";
pub(super) const SUGGEST_EXAMPLES: &str = "Example:\n  watchpost rules suggest 'connect_time{job=\"pop-paris\"}' --from -90d";

const CANNOT_REPLAY: &str = "cannot replay the rule";
/// How many deviations from the median a bound may be.
const DEVIATIONS: [f64; 3] = [3.0, 6.0, 10.0];
const CANNOT_SUGGEST: &str = "cannot suggest a bound";

/// Which part of the past.
#[derive(clap::Args)]
pub(super) struct Range {
    /// Where the past begins that counts: -1y, now-30d, 2026-03-29.
    #[arg(long, default_value = "now-30d", allow_hyphen_values = true, value_name = "TIME")]
    from: String,
    /// Where it ends.
    #[arg(long, default_value = "now", allow_hyphen_values = true, value_name = "TIME")]
    to: String,
}

/// A rule by its name.
#[derive(clap::Args)]
pub(super) struct OfJob {
    /// The job, where thresholds of several bear the name.
    #[arg(long, value_name = "JOB")]
    job: Option<String>,
}

impl Range {
    fn seconds(&self, cannot: &str) -> Result<(i64, i64), Failure> {
        let clock = Clock { now: crate::daemon::now_ns() / 1_000_000_000, zone: time::zone() };
        let (from, to) = parse_range(&self.from, &self.to, clock).map_err(|error| Failure::wrong(cannot, crate::chain(&error)))?;
        let to = to.min(clock.now);
        if from >= to {
            return Err(Failure::wrong(cannot, "the past ends before it begins"));
        }
        Ok((from, to))
    }
}

/// What a rule would have said.
#[derive(Serialize)]
struct Story {
    rule: String,
    series: String,
    #[serde(flatten)]
    replayed: Replayed,
    sum: Sum,
}

/// All alarms of a story.
#[derive(Debug, PartialEq, Serialize)]
struct Sum {
    alarms: usize,
    flapping: usize,
    /// Seconds, of all series together.
    raised_s: i64,
    longest_s: i64,
}

impl Sum {
    fn of(replayed: &Replayed) -> Self {
        let lasted = || replayed.alarms.iter().map(|alarm| lasted(alarm, replayed.held_to.to));
        Self {
            alarms: replayed.alarms.len(),
            flapping: replayed.alarms.iter().filter(|alarm| alarm.flapping).count(),
            raised_s: lasted().sum(),
            longest_s: lasted().max().unwrap_or(0),
        }
    }

    fn said(&self) -> String {
        let alarms = counted(self.alarms, "alarm");
        if self.alarms == 0 {
            return alarms;
        }
        let flapping = if self.flapping > 0 { format!(", {} of them flapping", self.flapping) } else { String::new() };
        format!("{alarms}{flapping}, {} in all, the longest {}", time::span(self.raised_s as f64), time::span(self.longest_s as f64))
    }
}

pub(super) fn run_replay(context: &Context, name: &str, of: &OfJob, range: &Range) -> Outcome {
    let draft = draft(context)?;
    let rule = rule(&draft, name, of.job.as_deref(), CANNOT_REPLAY)?;
    let replayed = replay(context, CANNOT_REPLAY, (rule, &draft), range.seconds(CANNOT_REPLAY)?)?;
    let story = Story { rule: rule.name.value.clone(), series: rule.series.value.to_string(), sum: Sum::of(&replayed), replayed };
    if context.json {
        return print_json(&story);
    }
    let Replayed { held_to, alarms } = &story.replayed;
    if !alarms.is_empty() {
        let rows: Vec<_> = alarms.iter().map(|alarm| row(alarm, held_to.to)).collect();
        table::print(&HEAD, &rows);
        println!();
    }
    println!("{}: {}", plain(&story.rule), story.sum.said());
    tell(held_to);
    Ok(())
}

/// Alarms of two rules that are about the same trouble, or of one alone.
#[derive(Serialize)]
struct Pair {
    /// `both`, `first` or `second`.
    of: &'static str,
    first: Option<Episode>,
    second: Option<Episode>,
}

#[derive(Serialize)]
struct Difference {
    first: Story,
    second: Story,
    pairs: Vec<Pair>,
}

pub(super) fn run_diff(context: &Context, names: [&str; 2], of: &OfJob, range: &Range) -> Outcome {
    let draft = draft(context)?;
    let range = range.seconds(CANNOT_REPLAY)?;
    let [first, second] = names.map(|name| {
        let rule = rule(&draft, name, of.job.as_deref(), CANNOT_REPLAY)?;
        let replayed = replay(context, CANNOT_REPLAY, (rule, &draft), range)?;
        Ok::<_, Failure>(Story { rule: rule.name.value.clone(), series: rule.series.value.to_string(), sum: Sum::of(&replayed), replayed })
    });
    let (first, second) = (first?, second?);
    let pairs = pairs(&first.replayed.alarms, &second.replayed.alarms, range.1);
    if context.json {
        return print_json(&Difference { first, second, pairs });
    }
    let rows: Vec<_> = pairs
        .iter()
        .filter_map(|pair| {
            let alarm = pair.first.as_ref().or(pair.second.as_ref())?;
            let of = match pair.of {
                "first" => first.rule.clone(),
                "second" => second.rule.clone(),
                _ => "both".to_owned(),
            };
            Some(std::iter::once(of).chain(row(alarm, range.1)).collect())
        })
        .collect();
    if !rows.is_empty() {
        let head: Vec<&str> = std::iter::once("of").chain(HEAD).collect();
        table::print(&head, &rows);
        println!();
    }
    for story in [&first, &second] {
        println!("{}: {}", plain(&story.rule), story.sum.said());
    }
    tell(&first.replayed.held_to);
    Ok(())
}

/// Which alarms of the second were raised while one of the first on the same series was, or the other way round.
fn pairs(first: &[Episode], second: &[Episode], end: i64) -> Vec<Pair> {
    let is_with = |a: &Episode, b: &Episode| {
        a.job == b.job && a.series == b.series && a.raised <= b.cleared.unwrap_or(end) && b.raised <= a.cleared.unwrap_or(end)
    };
    let mut pairs: Vec<Pair> = Vec::new();
    for alarm in first {
        let with = second.iter().find(|other| is_with(alarm, other)).cloned();
        pairs.push(Pair { of: if with.is_some() { "both" } else { "first" }, first: Some(alarm.clone()), second: with });
    }
    for alarm in second.iter().filter(|alarm| !first.iter().any(|other| is_with(alarm, other))) {
        pairs.push(Pair { of: "second", first: None, second: Some(alarm.clone()) });
    }
    pairs.sort_by_key(|pair| pair.first.as_ref().or(pair.second.as_ref()).map(|alarm| alarm.raised));
    pairs
}

/// A bound, and what alarms it would have made.
#[derive(Serialize)]
struct Suggestion {
    bound: String,
    #[serde(flatten)]
    sum: Sum,
}

pub(super) fn run_suggest(context: &Context, series: &str, is_below: bool, range: &Range) -> Outcome {
    let draft = draft(context)?;
    let range = range.seconds(CANNOT_SUGGEST)?;
    let selector = Selector::parse(series).map_err(|error| Failure::wrong(CANNOT_SUGGEST, crate::chain(&error)))?;
    let (unit, values) = super::past::values(context, CANNOT_SUGGEST, (series, &draft), range, is_below)?;
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

const HEAD: [&str; 7] = ["raised", "lasted", "severity", "rows of", "job", "series", "text"];

fn row(alarm: &Episode, end: i64) -> Vec<String> {
    let ended = if alarm.cleared.is_none() { ", goes on" } else { "" };
    let flaps = if alarm.flapping { ", flapping" } else { "" };
    let severity = config::SEVERITIES.iter().find(|(known, _)| *known == alarm.severity).map_or("indeterminate", |(_, name)| name);
    vec![
        time::local(alarm.raised as f64),
        format!("{}{ended}{flaps}", time::span(lasted(alarm, end) as f64)),
        severity.to_owned(),
        time::span(alarm.step.into()),
        alarm.job.clone(),
        alarm.series.clone(),
        alarm.text.clone(),
    ]
}

fn lasted(alarm: &Episode, end: i64) -> i64 {
    alarm.cleared.unwrap_or(end) - alarm.raised
}

/// Tells what a rule was held to, so that nobody takes a coarse story for an exact one.
fn tell(held_to: &HeldTo) {
    let spans = held_to.spans.iter().map(|span| {
        let rows = span.consolidation.map_or_else(String::new, |how| format!(" ({how})"));
        format!("{} in rows of {}{rows}", readable::duration((span.to - span.from) as f64), readable::duration(span.step.into()))
    });
    let all = held_to.known + held_to.unknown;
    println!("held to {} of {}: {}", counted(all as usize, "row"), counted(held_to.series, "series"), spans.collect::<Vec<_>>().join(", "));
    if held_to.unknown > 0 {
        println!("unknown, and not judged: {}", counted(held_to.unknown as usize, "row"));
    }
}

fn draft(context: &Context) -> Result<Draft, Failure> {
    let (draft, faults) = config::read(&context.file()?, now());
    if faults.stop() { Err(Failure::Faults(faults)) } else { Ok(draft) }
}

/// The rule of a name; the job decides where several thresholds bear it.
fn rule<'a>(draft: &'a Draft, name: &str, job: Option<&str>, cannot: &str) -> Result<&'a AlarmRule, Failure> {
    let bear = |rule: &&AlarmRule| rule.name.value == name && job.is_none_or(|job| rule.of_job.as_deref() == Some(job));
    let mut found = draft.rules.iter().filter(bear);
    match (found.next(), found.next()) {
        (Some(rule), None) => Ok(rule),
        (Some(first), Some(second)) => {
            let jobs = [first, second].map(|rule| rule.of_job.as_deref().unwrap_or("no job"));
            Err(Failure::wrong(cannot, format!("several rules are called `{name}`; say which by --job, as --job {}", jobs[0])))
        }
        _ => {
            let known = draft.rules.iter().map(|rule| rule.name.value.as_str());
            let hint =
                nearest(name, known).map_or_else(|| "`watchpost rules` lists all".to_owned(), |near| format!("did you mean `{near}`?"));
            Err(Failure::wrong(cannot, format!("no rule is called `{name}`; {hint}")))
        }
    }
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

    #[test]
    fn alarms_that_were_raised_together_are_pairs() {
        let episode = |raised, cleared, series: &str| Episode {
            job: "mx".into(),
            series: series.into(),
            raised,
            cleared,
            severity: watchpost_plugin_api::Severity::Major,
            flapping: false,
            step: 60,
            text: String::new(),
        };
        let first = [episode(100, Some(200), "a"), episode(400, Some(500), "a")];
        let second = [episode(150, Some(160), "a"), episode(150, Some(160), "b"), episode(600, None, "a")];
        let of: Vec<_> = pairs(&first, &second, 1_000).iter().map(|pair| pair.of).collect();
        assert_eq!(of, ["both", "second", "first", "second"]);
    }
}
