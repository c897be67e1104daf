//! `watchpost rules replay` and `diff`: what alarms there would have been.

use serde::Serialize;

use super::{
    Context,
    failure::{Failure, Outcome},
    past::{HeldTo, Replayed, replay},
    print_json,
    table::{self, counted, plain},
    time,
};
use crate::{
    alarm::replay::Episode,
    config::{AlarmRule, Draft, SEVERITIES, nearest},
    console::readable,
    series::time::{Clock, parse_range},
};

pub(super) const REPLAY_EXAMPLES: &str = "\
Coarse archives are held against as their largest value (a bound above) or their smallest (a bound below), and tell of trouble that was \
shorter than a row as if it had lasted for one; which archive answered for which span is told. What a rule looks back at for less than a \
row (`change > 5 in 10m` in rows of an hour) is unknown there. What a series that was absent did not give is missed as it was then: not \
while its job was paused, outside its windows, in a blackout or while no daemon ran. Rules over several series are held to means, and to the \
longest rows of theirs; rules over events to the events of the last 30 days. Active hours hold as they do now; alarms of which nobody would \
have been told, for maintenance, are marked so. What its job depends on silences nothing here.

Examples:
  watchpost rules replay slow
  watchpost rules replay slow --from -1y --json";
pub(super) const DIFF_EXAMPLES: &str = "\
A rule that is to be tried stands in the configuration with `enabled = false`.

Example:
  watchpost rules diff slow slower --from -1y";

const CANNOT_REPLAY: &str = "cannot replay the rule";

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

impl OfJob {
    /// The job's name, if one was named.
    pub(super) fn job(&self) -> Option<&str> {
        self.job.as_deref()
    }
}

impl Range {
    pub(super) fn seconds(&self, cannot: &str) -> Result<(i64, i64), Failure> {
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
pub(super) struct Sum {
    pub(super) alarms: usize,
    pub(super) flapping: usize,
    /// Of which nobody would have been told: maintenance.
    pub(super) silenced: usize,
    /// Seconds, of all series together.
    pub(super) raised_s: i64,
    pub(super) longest_s: i64,
}

impl Sum {
    pub(super) fn of(replayed: &Replayed) -> Self {
        let lasted = || replayed.alarms.iter().map(|alarm| lasted(alarm, replayed.held_to.to));
        Self {
            alarms: replayed.alarms.len(),
            flapping: replayed.alarms.iter().filter(|alarm| alarm.flapping).count(),
            silenced: replayed.alarms.iter().filter(|alarm| alarm.silenced.is_some()).count(),
            raised_s: lasted().sum(),
            longest_s: lasted().max().unwrap_or(0),
        }
    }

    fn said(&self) -> String {
        let alarms = counted(self.alarms, "alarm");
        if self.alarms == 0 {
            return alarms;
        }
        let some = |count: usize, what: &str| if count > 0 { format!(", {count} of them {what}") } else { String::new() };
        let (flapping, silenced) = (some(self.flapping, "flapping"), some(self.silenced, "silenced by maintenance"));
        format!(
            "{alarms}{flapping}{silenced}, {} in all, the longest {}",
            time::span(self.raised_s as f64),
            time::span(self.longest_s as f64)
        )
    }
}

pub(super) fn run_replay(context: &Context, name: &str, of: &OfJob, range: &Range) -> Outcome {
    let draft = context.draft()?;
    let rule = rule(&draft, name, of.job.as_deref(), CANNOT_REPLAY)?;
    let replayed = replay(context, CANNOT_REPLAY, (rule, &draft), range.seconds(CANNOT_REPLAY)?)?;
    let story = Story { rule: rule.name.value.clone(), series: rule.looks_at.shown(), sum: Sum::of(&replayed), replayed };
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
    let draft = context.draft()?;
    let range = range.seconds(CANNOT_REPLAY)?;
    let [first, second] = names.map(|name| {
        let rule = rule(&draft, name, of.job.as_deref(), CANNOT_REPLAY)?;
        let replayed = replay(context, CANNOT_REPLAY, (rule, &draft), range)?;
        Ok::<_, Failure>(Story { rule: rule.name.value.clone(), series: rule.looks_at.shown(), sum: Sum::of(&replayed), replayed })
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
    let held_alike = first.replayed.held_to == second.replayed.held_to;
    for story in [&first, &second] {
        println!("{}: {}", plain(&story.rule), story.sum.said());
        if !held_alike {
            tell(&story.replayed.held_to);
        }
    }
    if held_alike {
        tell(&first.replayed.held_to);
    }
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

const HEAD: [&str; 7] = ["raised", "lasted", "severity", "rows of", "job", "series", "text"];

fn row(alarm: &Episode, end: i64) -> Vec<String> {
    let ended = if alarm.cleared.is_none() { ", goes on" } else { "" };
    let flaps = if alarm.flapping { ", flapping" } else { "" };
    let silenced = if alarm.silenced.is_some() { ", silenced" } else { "" };
    let severity = SEVERITIES.iter().find(|(known, _)| *known == alarm.severity).map_or("indeterminate", |(_, name)| name);
    vec![
        time::local(alarm.raised as f64),
        format!("{}{ended}{flaps}{silenced}", time::span(lasted(alarm, end) as f64)),
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
pub(super) fn tell(held_to: &HeldTo) {
    let spans = held_to.spans.iter().map(|span| {
        let rows = span.consolidation.map_or_else(String::new, |how| format!(" ({how})"));
        format!("{} in rows of {}{rows}", readable::duration((span.to - span.from) as f64), readable::duration(span.step.into()))
    });
    let all = held_to.known + held_to.unknown;
    println!(
        "held to {} of {} series: {}",
        counted(all as usize, "row"),
        table::grouped(held_to.series),
        spans.collect::<Vec<_>>().join(", ")
    );
    if held_to.unknown > 0 {
        let what = if held_to.misses { "without a value" } else { "unknown, and not judged" };
        println!("{what}: {}", counted(held_to.unknown as usize, "row"));
    }
    for note in &held_to.notes {
        println!("{}", plain(note));
    }
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
    fn alarms_that_were_raised_together_are_pairs() {
        let episode = |raised, cleared, series: &str| Episode {
            job: "mx".into(),
            series: series.into(),
            raised,
            cleared,
            severity: watchpost_plugin_api::Severity::Major,
            flapping: false,
            silenced: None,
            step: 60,
            text: String::new(),
        };
        let first = [episode(100, Some(200), "a"), episode(400, Some(500), "a")];
        let second = [episode(150, Some(160), "a"), episode(150, Some(160), "b"), episode(600, None, "a")];
        let of: Vec<_> = pairs(&first, &second, 1_000).iter().map(|pair| pair.of).collect();
        assert_eq!(of, ["both", "second", "first", "second"]);
    }
}
