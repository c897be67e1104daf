//! `watchpost rules`

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use super::{
    Context,
    failure::Outcome,
    print_json,
    rule_replay::{self, OfJob, Range},
    rule_standing, rule_suggest, table,
};
use crate::{
    config::{AlarmRule, LooksAt, SEVERITIES},
    console::readable,
};

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the rules of the configuration, and the thresholds of jobs.
    #[command(after_help = "Examples:\n  watchpost rules list\n  watchpost rules list --series\n  watchpost rules list --json")]
    List {
        /// How each series stands with each rule: ok, trouble or unknown.
        #[arg(long)]
        series: bool,
    },
    /// Shows one rule, and how each of its series stands: ok, trouble or unknown.
    #[command(after_help = rule_standing::EXAMPLES)]
    Show {
        /// The rule, or the threshold, by its name.
        #[arg(value_name = "RULE")]
        rule: String,
        #[command(flatten)]
        of: OfJob,
    },
    /// Holds the rules to values of a file, and compares the stories.
    #[command(after_help = super::rule_test::EXAMPLES)]
    Test {
        /// The file of tests.
        file: PathBuf,
    },
    /// Tells the alarms that a rule would have raised in the past.
    #[command(after_help = rule_replay::REPLAY_EXAMPLES)]
    Replay {
        /// The rule, or the threshold, by its name.
        #[arg(value_name = "RULE")]
        rule: String,
        #[command(flatten)]
        of: OfJob,
        #[command(flatten)]
        range: Range,
    },
    /// Tells where two rules would have said different things of the past.
    #[command(after_help = rule_replay::DIFF_EXAMPLES)]
    Diff {
        /// The one.
        #[arg(value_name = "RULE")]
        first: String,
        /// The other.
        #[arg(value_name = "OTHER")]
        second: String,
        #[command(flatten)]
        of: OfJob,
        #[command(flatten)]
        range: Range,
    },
    /// Proposes bounds for series, each with the alarms that it would have made.
    #[command(after_help = rule_suggest::EXAMPLES)]
    Suggest {
        /// Which series: a metric with matchers as PromQL has them.
        series: String,
        /// Too little is bad, not too much.
        #[arg(long)]
        below: bool,
        #[command(flatten)]
        range: Range,
    },
}

/// A rule as it is listed.
#[derive(Serialize)]
pub(super) struct Shown {
    name: String,
    /// The job whose threshold it is.
    job: Option<String>,
    /// What it looks at: series, events or an expression.
    series: String,
    /// Whether it looks at series by themselves: their values are told.
    #[serde(skip)]
    pub(super) has_series: bool,
    /// Without an event for so long it is over, seconds.
    quiet_s: Option<u64>,
    /// By severity.
    bounds: Vec<(&'static str, String)>,
    raise_after: String,
    clear_after: u32,
    rearm: Option<String>,
    overrides: usize,
    enabled: bool,
    active: Option<String>,
    timezone: &'static str,
    alias: Option<String>,
    comment: Option<String>,
    event_type: Option<&'static str>,
    cause: Option<&'static str>,
    instruction: Option<String>,
    link: Option<String>,
    /// Where it is written.
    place: String,
}

impl Shown {
    pub(super) fn of(rule: &AlarmRule) -> Self {
        let bounds = rule.bounds.iter().zip(SEVERITIES);
        Self {
            name: rule.name.value.clone(),
            job: rule.of_job.clone(),
            series: rule.looks_at.shown(),
            has_series: rule.looks_at.series().is_some(),
            quiet_s: match &rule.looks_at {
                LooksAt::Events(pattern) => pattern.quiet.map(|quiet| quiet.as_secs()),
                LooksAt::Series(_) | LooksAt::Expression(_) => None,
            },
            bounds: bounds.filter_map(|(bound, (_, key))| Some((key, bound.as_ref()?.value.to_string()))).collect(),
            raise_after: match rule.raise_after {
                (times, of) if times == of => times.to_string(),
                (times, of) => format!("{times} of {of}"),
            },
            clear_after: rule.clear_after,
            rearm: rule.rearm.as_ref().map(|rearm| rearm.value.to_string()),
            overrides: rule.overrides.len(),
            enabled: rule.enabled,
            active: rule.hours.as_ref().map(|hours| hours.said().trim_start_matches("active ").to_owned()),
            timezone: rule.zone.name(),
            alias: rule.alias.clone(),
            comment: rule.comment.clone(),
            event_type: rule.event_type.map(|kind| kind.name()),
            cause: rule.cause.map(|cause| cause.name()),
            instruction: rule.instruction.clone(),
            link: rule.link.clone(),
            place: rule.name.place.to_string(),
        }
    }

    /// Whether anybody looks at it.
    pub(super) fn is_enabled(&self) -> bool {
        self.enabled
    }

    fn bounds(&self) -> String {
        if self.bounds.is_empty() {
            return "as bad as its event".to_owned();
        }
        self.bounds.iter().map(|(severity, bound)| format!("{severity} {bound}")).collect::<Vec<_>>().join(", ")
    }
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    match &arguments.command {
        Some(Command::Test { file }) => return super::rule_test::run(context, file),
        Some(Command::Replay { rule, of, range }) => return rule_replay::run_replay(context, rule, of, range),
        Some(Command::Diff { first, second, of, range }) => return rule_replay::run_diff(context, [first, second], of, range),
        Some(Command::Suggest { series, below, range }) => return rule_suggest::run(context, series, *below, range),
        Some(Command::Show { rule, of }) => return rule_standing::show(context, rule, of),
        Some(Command::List { series: true }) => return rule_standing::list(context),
        Some(Command::List { series: false }) | None => {}
    }
    let rules: Vec<Shown> = context.draft()?.rules.iter().map(Shown::of).collect();
    if context.json {
        return print_json(&rules);
    }
    let row = |rule: &Shown| {
        let enabled = if rule.enabled { "" } else { "DISABLED, " };
        vec![rule.name.clone(), rule.series.clone(), rule.raise_after.clone(), format!("{enabled}{}", rule.bounds())]
    };
    table::print(&["rule", "series", "raise after", "bounds"], &rules.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

/// Tells one rule in lines.
pub(super) fn print_one(rule: &Shown) {
    let mut lines = vec![
        format!("rule {} on {}, {}", rule.name, rule.series, rule.place),
        match rule.quiet_s {
            Some(quiet) => format!("{}, over after {} without one", rule.bounds(), readable::duration(quiet as f64)),
            None => format!("bounds: {}; raised after {}, cleared after {}", rule.bounds(), rule.raise_after, rule.clear_after),
        },
    ];
    lines.extend(rule.rearm.as_ref().map(|rearm| format!("cleared only by values {rearm}")));
    lines.extend(rule.active.as_ref().map(|active| format!("raises only within {active} ({})", rule.timezone)));
    lines.extend((!rule.enabled).then(|| "it is disabled".to_owned()));
    lines.extend(rule.comment.clone());
    for line in lines {
        println!("{}", table::plain(&line));
    }
}
