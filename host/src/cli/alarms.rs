//! `watchpost alarms`

mod parts;
mod situations;
mod why_not;

use std::{collections::BTreeMap, path::Path};

use clap::Subcommand;
use hyper::Method;

use super::{
    Context,
    client::query,
    failure::{Failure, Outcome},
    print_json, table, time,
};
use crate::{
    alarm::{
        depend::Held,
        life::Stage,
        notice::Notice,
        record::{Alarm, Origin},
        request::{AlarmRequest, AlarmRequestError, Found, LIMIT, Whole, whole},
        x733::severity_name,
    },
    config::{self, LooksAt},
    daemon::{
        api::{COMMENT_CHARS_MAX, too_long},
        now_ns,
    },
    expose::http::MORE,
    ticket::store::Shown,
};

pub(super) const EXAMPLES: &str = "A threshold of a job says what is an alarm, and how bad:

  [[job.threshold]]
  metric = \"connect_time\"
  warning = \"> 500ms\"
  major = \"> 2s\"
  raise_after = 3
  rearm = \"< 400ms\"

Examples:
  watchpost alarms
  watchpost alarms list --state all --since now-30d
  watchpost alarms explain 1
  watchpost alarms ack 1 --for 2h";

/// How each failure begins.
const CANNOT: &str = "cannot list alarms";
/// Values that are told with an alarm, at most: the latest.
const VALUES_TOLD: usize = 12;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Lists alarms: the worst first.
    #[command(
        after_help = "Examples:\n  watchpost alarms list --severity major\n  watchpost alarms list --state closed --since now-30d --json"
    )]
    List(List),
    /// Lists alarms that began together, the likely cause first.
    #[command(after_help = "Example:\n  watchpost alarms situations")]
    Situations,
    /// Tells all that is kept of one alarm: what it is about, and every step of its life.
    #[command(after_help = "Example:\n  watchpost alarms show 1")]
    Show(One),
    /// Says why there is the alarm: its rule, the values of late, what was done.
    #[command(after_help = "Example:\n  watchpost alarms explain 1")]
    Explain(One),
    /// Says why somebody was told of an alarm, or was not.
    #[command(after_help = "Example:\n  watchpost alarms why-not 1 ops-mail")]
    WhyNot {
        #[command(flatten)]
        one: One,
        /// The name of a channel, a person or a roster.
        #[arg(value_name = "WHO")]
        who: String,
    },
    /// Takes care of an alarm: others see who.
    #[command(after_help = "Example:\n  watchpost alarms own 1")]
    Own(One),
    /// Has seen an alarm: nobody else need be called, until it is cleared or the time is up.
    #[command(after_help = "Example:\n  watchpost alarms ack 1 --for 2h")]
    Ack {
        #[command(flatten)]
        one: One,
        /// For how long: 30m, 2h, 1d [default: until it is cleared].
        #[arg(long = "for", value_name = "TIME")]
        for_: Option<String>,
        /// Takes it back.
        #[arg(long, conflicts_with = "for_")]
        undo: bool,
    },
    /// Writes something beside an alarm: up to 2,000 characters.
    #[command(after_help = "Example:\n  watchpost alarms annotate 1 \"the provider works on it\"")]
    Annotate {
        #[command(flatten)]
        one: One,
        /// What is to be read there.
        text: String,
    },
    /// Has nobody told of an alarm for a while, also when it comes again.
    #[command(after_help = "Example:\n  watchpost alarms shelve 1 --for 4h")]
    Shelve {
        #[command(flatten)]
        one: One,
        /// For how long: 30m, 4h, 2d.
        #[arg(long = "for", value_name = "TIME", required_unless_present = "undo")]
        for_: Option<String>,
        /// Has people told again.
        #[arg(long, conflicts_with = "for_")]
        undo: bool,
    },
    /// Is done with an alarm whose reason is gone.
    #[command(after_help = "Example:\n  watchpost alarms close 2")]
    Close(One),
}

#[derive(clap::Args)]
struct List {
    /// Which: open (active and cleared), active, cleared, closed or all.
    #[arg(long, default_value = "open")]
    state: String,
    /// At least this bad: indeterminate, warning, minor, major or critical.
    #[arg(long)]
    severity: Option<String>,
    /// Of this job only.
    #[arg(long)]
    job: Option<String>,
    /// Of this rule only.
    #[arg(long)]
    rule: Option<String>,
    /// Closed ones: those closed since then, as now-1h, -2d, midnight or 2026-03-29.
    #[arg(long, default_value = "now-7d", allow_hyphen_values = true, value_name = "TIME")]
    since: String,
    /// So many at most: the latest.
    #[arg(long, default_value_t = LIMIT, value_name = "COUNT")]
    limit: usize,
}

impl Default for List {
    fn default() -> Self {
        let AlarmRequest { state, since, limit, .. } = AlarmRequest::default();
        Self { state, severity: None, job: None, rule: None, since, limit }
    }
}

#[derive(clap::Args)]
struct One {
    /// The alarm's number.
    number: u64,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    match &arguments.command {
        None => list(context, &List::default()),
        Some(Command::List(arguments)) => list(context, arguments),
        Some(Command::Situations) => situations::run(context),
        Some(Command::Show(one)) => show(context, one),
        Some(Command::Explain(one)) => explain(context, one),
        Some(Command::WhyNot { one, who }) => why_not::run(context, one, who),
        Some(Command::Own(one)) => act(context, one, "own", &[]),
        Some(Command::Ack { one, undo: true, .. }) => act(context, one, "unacknowledge", &[]),
        Some(Command::Ack { one, for_, .. }) => act(context, one, "acknowledge", &for_pairs(for_.as_deref())),
        Some(Command::Annotate { one, text }) => act(context, one, "annotate", &[("text", text.clone())]),
        Some(Command::Shelve { one, undo: true, .. }) => act(context, one, "unshelve", &[]),
        Some(Command::Shelve { one, for_, .. }) => act(context, one, "shelve", &for_pairs(for_.as_deref())),
        Some(Command::Close(one)) => act(context, one, "close", &[]),
    }
}

fn for_pairs(span: Option<&str>) -> Vec<(&'static str, String)> {
    span.iter().map(|span| ("for", (*span).to_owned())).collect()
}

fn list(context: &Context, arguments: &List) -> Outcome {
    let List { state, severity, job, rule, since, limit } = arguments;
    let request = AlarmRequest {
        state: state.clone(),
        severity: severity.clone(),
        job: job.clone(),
        rule: rule.clone(),
        since: since.clone(),
        limit: *limit,
        zone: time::zone(),
    };
    let path = format!("/api/v1/alarms?{}", query(&request.to_pairs()));
    let found = match context.ask_if_it_runs(CANNOT, Method::GET, &path)? {
        Some(answer) => Found { alarms: answer.read()?, more: answer.header(MORE) == Some("true") },
        None => request.answer(folder(&context.data_folder()?, CANNOT)?, now_ns()).map_err(|error| asked_wrong(CANNOT, &error))?,
    };
    if found.more {
        eprintln!("note: there are more; --limit gives more than {limit}");
    }
    if context.json {
        return print_json(&found.alarms);
    }
    let rows: Vec<_> = found.alarms.iter().map(row).collect();
    table::print(&["alarm", "severity", "state", "since", "count", "owner", "job", "text"], &rows);
    Ok(())
}

/// A data folder that is there: without a daemon, its files are read.
fn folder<'f>(data: &'f Path, cannot: &str) -> Result<&'f Path, Failure> {
    if data.is_dir() { Ok(data) } else { Err(Failure::failed(cannot, format!("there is no data folder {}", data.display()))) }
}

fn asked_wrong(cannot: &str, error: &AlarmRequestError) -> Failure {
    if error.is_asked_wrong() { Failure::wrong(cannot, crate::chain(error)) } else { Failure::of(cannot, error) }
}

fn row(alarm: &Alarm) -> Vec<String> {
    let Alarm { life, subject, .. } = alarm;
    vec![
        life.number.to_string(),
        severity_name(life.severity).to_owned(),
        state(alarm),
        at(life.raised_ns),
        life.count.to_string(),
        life.owner.clone().unwrap_or_else(|| "-".into()),
        subject.job.clone(),
        short(&subject.text),
    ]
}

/// A text as a table has room for it; `alarms show` has it whole.
fn short(text: &str) -> String {
    const CHARS_MAX: usize = 160;
    match text.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// How it stands: `active, acknowledged`.
fn state(alarm: &Alarm) -> String {
    let life = &alarm.life;
    let stage = match life.stage {
        Stage::Active => "active",
        Stage::Cleared => "cleared",
        Stage::Closed => "closed",
    };
    let more = [
        (life.flapping, "flapping"),
        (life.acknowledged.is_some(), "acknowledged"),
        (life.shelved.is_some(), "shelved"),
        (life.silenced.is_some(), "silenced"),
        (matches!(life.held, Some(Held::Inhibited { .. })), "inhibited"),
        (matches!(life.held, Some(Held::Awaits { .. } | Held::Confirms { .. })), "held"),
    ];
    std::iter::once(stage).chain(more.into_iter().filter_map(|(is, word)| is.then_some(word))).collect::<Vec<_>>().join(", ")
}

fn at(time_ns: i64) -> String {
    time::local(time_ns as f64 / 1e9)
}

fn whole_of(context: &Context, one: &One, cannot: &str) -> Result<Whole, Failure> {
    match context.ask_if_it_runs(cannot, Method::GET, &format!("/api/v1/alarms/{}", one.number))? {
        Some(answer) => answer.read(),
        None => whole(folder(&context.data_folder()?, cannot)?, one.number).map_err(|error| asked_wrong(cannot, &error)),
    }
}

fn show(context: &Context, one: &One) -> Outcome {
    let found = whole_of(context, one, "cannot show the alarm")?;
    if context.json {
        return print_json(&found);
    }
    about(&found.alarm);
    print_tickets(&found.tickets);
    println!();
    print_steps(&found.steps);
    Ok(())
}

fn about(alarm: &Alarm) {
    let Alarm { life, subject, situation } = alarm;
    let mut lines = vec![
        format!("alarm {}, {}, {}", life.number, severity_name(life.severity).to_owned(), state(alarm)),
        subject.text.clone(),
        match (subject.series.as_str(), subject.job.as_str(), subject.origin) {
            ("", "", Origin::Message) => "of no series, but by message".to_owned(),
            ("", "", _) => "of the host itself".to_owned(),
            ("", job, _) => format!("of job {job}, and of no series"),
            (series, "", _) => format!("series {series}, of no job alone"),
            (series, job, _) => format!("series {series} of job {job}, target {}", subject.target),
        },
        format!("{}, probable cause {}", subject.event_type.name(), subject.cause.name()),
        format!("raised {}, seen {} times, the last time {}", at(life.raised_ns), life.count, at(life.last_ns)),
    ];
    lines.extend(life.cleared_ns.map(|cleared| format!("cleared {}", at(cleared))));
    lines.extend(life.closed_ns.map(|closed| format!("closed {}", at(closed))));
    lines.extend(life.owner.as_ref().map(|owner| format!("owned by {owner}")));
    let until = |until: Option<i64>| until.map_or_else(|| "it is cleared".to_owned(), at);
    lines.extend(life.acknowledged.as_ref().map(|ack| format!("acknowledged by {} until {}", ack.by, until(ack.until_ns))));
    lines.extend(life.shelved.as_ref().map(|shelf| format!("shelved by {} until {}", shelf.by, until(shelf.until_ns))));
    lines.extend(life.silenced.as_ref().map(|why| format!("nobody is told: {why}")));
    lines.extend(life.held.as_ref().map(|held| format!("nobody is told: {}", held.why())));
    lines.extend(situation.map(|number| format!("began together with alarm {number}, see `watchpost alarms situations`")));
    lines.extend(subject.instruction.as_ref().map(|what| format!("to do: {what}")));
    lines.extend(subject.link.as_ref().map(|link| format!("see {link}")));
    for line in lines {
        println!("{}", table::plain(&line));
    }
}

/// Tickets in other people's systems: how each stands, what is being asked of it, and what went wrong.
fn print_tickets(tickets: &[Shown]) {
    for ticket in tickets {
        let id = ticket.id.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
        let word = ticket.word.as_ref().filter(|word| *word != ticket.state.name()).map(|word| format!(" ({word})")).unwrap_or_default();
        let owner = ticket.owner.as_ref().map(|owner| format!(", taken by {owner}")).unwrap_or_default();
        let mut lines = vec![format!("ticket{id} of {}, channel {}: {}{word}{owner}", ticket.system, ticket.channel, ticket.state.name())];
        lines.extend(ticket.link.as_ref().map(|link| format!("  see {link}")));
        let tries = if ticket.attempts > 0 { format!(", failed {} times", ticket.attempts) } else { String::new() };
        let next = ticket.next_ns.filter(|next| *next > 0).map(|next| format!(", again {}", at(next))).unwrap_or_default();
        lines.extend(ticket.pending.as_ref().map(|what| format!("  pending: {what}{tries}{next}")));
        lines.extend(ticket.error.as_ref().map(|why| format!("  failing: {why}")));
        for line in lines {
            println!("{}", table::plain(&line));
        }
    }
}

fn print_steps(steps: &[Notice]) {
    let row = |notice: &Notice| {
        let said = notice.comment.clone().or_else(|| notice.value.clone());
        vec![
            at(notice.time_ns),
            notice.step.name().to_owned(),
            severity_name(notice.severity).to_owned(),
            notice.by.clone().unwrap_or_else(|| "-".into()),
            said.unwrap_or_else(|| "-".into()),
        ]
    };
    table::print(&["time", "step", "severity", "by", "value or comment"], &steps.iter().map(row).collect::<Vec<_>>());
}

fn explain(context: &Context, one: &One) -> Outcome {
    const CANNOT: &str = "cannot explain the alarm";
    let found = whole_of(context, one, CANNOT)?;
    let (written, whole) = rule_of(context, &found.alarm);
    let rule = written.as_ref().map(super::rules::Shown::of);
    let has_series = rule.as_ref().is_none_or(|rule| rule.has_series);
    let values = if has_series { values_of_late(context, &found.alarm, CANNOT)? } else { Vec::new() };
    let expression =
        written.as_ref().and_then(|rule| if let LooksAt::Expression(expression) = &rule.looks_at { Some(expression) } else { None });
    let together = expression.map(|expression| Ok((expression, parts::of_late(context, &found.alarm, expression, CANNOT)?))).transpose()?;
    if context.json {
        let values = match &together {
            Some((_, rows)) => serde_json::json!(rows),
            None => values.iter().map(|(time, value)| serde_json::json!({ "time": time, "value": value })).collect(),
        };
        let Whole { alarm, steps, messages, tickets } = &found;
        return print_json(&serde_json::json!({
            "alarm": alarm, "steps": steps, "messages": messages, "tickets": tickets, "rule": rule, "values": values,
        }));
    }
    about(&found.alarm);
    print_tickets(&found.tickets);
    println!();
    match &rule {
        Some(rule) => super::rules::print_one(rule),
        None => println!("{}", table::plain(&without_rule(&found, whole))),
    }
    println!();
    if let Some((expression, rows)) = together.as_ref().filter(|(_, rows)| !rows.is_empty()) {
        parts::print(rows, expression);
    } else if values.is_empty() && found.alarm.subject.series.is_empty() {
        println!("no series is behind it");
    } else if values.is_empty() {
        println!("no values of late are stored");
    } else {
        let shown = |value: &Option<f64>| value.map_or_else(|| "unknown".to_owned(), |value| value.to_string());
        let rows: Vec<_> = values.iter().map(|(time, value)| vec![time::local(*time), shown(value)]).collect();
        table::print(&["time", "value"], &rows);
    }
    println!();
    print_steps(&found.steps);
    if !found.messages.is_empty() {
        println!();
        why_not::print_messages(&found.steps, &found.messages);
    }
    Ok(())
}

/// What made an alarm that no rule of the configuration did, as far as faults hide none.
fn without_rule(found: &Whole, whole: bool) -> String {
    let Whole { alarm: Alarm { subject, life, .. }, steps, .. } = found;
    match subject.origin {
        Origin::Rule if whole => format!("its rule, {}, is not in the configuration", subject.rule),
        Origin::Rule => format!("its rule, {}, is not in the configuration, or has a fault; `watchpost check` names faults", subject.rule),
        Origin::Host => format!("no rule made it, but the host itself, which also ends it; [host_alarms.{}] tunes that", subject.rule),
        Origin::Message => {
            let by = steps.iter().find_map(|step| step.by.clone()).map(|by| format!(" from {by}")).unwrap_or_default();
            let label = |key: &str| subject.labels.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
            let said = [("application", "application"), ("object", "object"), ("group", "msg_grp"), ("node", "node")];
            let said: Vec<String> = said.iter().filter_map(|(word, key)| Some(format!("{word} {}", label(key)?))).collect();
            let again = if life.count > 1 { format!(", the last of {} {}", life.count, at(life.last_ns)) } else { String::new() };
            format!(
                "no rule made it: it came by message ({}){by}, {}, {}{again}; one of severity normal ends it, or `watchpost alarms close`",
                subject.rule,
                at(life.raised_ns),
                said.join(", "),
            )
        }
    }
}

/// The rule that made it, if the files have it, and whether no fault of theirs hides one.
fn rule_of(context: &Context, alarm: &Alarm) -> (Option<config::AlarmRule>, bool) {
    let Ok(file) = context.file() else { return (None, false) };
    let (draft, faults) = config::read(&file, super::load::now());
    let subject = &alarm.subject;
    let is_it = |rule: &&config::AlarmRule| rule.name.value == subject.rule && rule.of_job.as_ref().is_none_or(|job| *job == subject.job);
    (draft.rules.iter().find(is_it).cloned(), faults.hiding() == 0)
}

/// One series as the API gives it.
#[derive(serde::Deserialize)]
struct Series {
    start: Option<i64>,
    step: i64,
    values: Vec<Option<f64>>,
}

/// What the series was of late, the newest last.
fn values_of_late(context: &Context, alarm: &Alarm, cannot: &str) -> Result<Vec<(f64, Option<f64>)>, Failure> {
    let subject = &alarm.subject;
    let (metric, own) = subject
        .series
        .split_once('{')
        .map_or((subject.series.as_str(), String::new()), |(metric, rest)| (metric, format!(",{}", rest.trim_end_matches('}'))));
    let series = format!("{metric}{{job=\"{}\"{own}}}", subject.job);
    let end = alarm.life.cleared_ns.unwrap_or_else(now_ns) / 1_000_000_000;
    let pairs = [("series", series), ("from", (end - 86_400).to_string()), ("to", end.to_string()), ("format", "json".to_owned())];
    let answer = context.ask_if_it_runs(cannot, Method::GET, &format!("/api/v1/fetch?{}", query(&pairs)))?;
    // Series may be dropped, and without a daemon nobody is asked: then there is less to tell.
    let Some(found) = answer.and_then(|answer| answer.read::<Vec<Series>>().ok()).and_then(|found| found.into_iter().next()) else {
        return Ok(Vec::new());
    };
    let (start, step) = (found.start.unwrap_or(0), found.step);
    let all: Vec<(f64, Option<f64>)> = found.values.into_iter().zip(0..).map(|(value, at)| ((start + step * at) as f64, value)).collect();
    let known = all.iter().rposition(|(_, value)| value.is_some()).map_or(all.len(), |last| last + 1);
    Ok(all.get(known.saturating_sub(VALUES_TOLD)..known).unwrap_or_default().to_vec())
}

fn act(context: &Context, one: &One, what: &str, said: &[(&str, String)]) -> Outcome {
    let cannot = format!("cannot {what} alarm {}", one.number);
    if let Some((_, text)) = said.iter().find(|(key, text)| *key == "text" && text.chars().count() > COMMENT_CHARS_MAX) {
        return Err(Failure::wrong(&cannot, too_long(text)));
    }
    let path = format!("/api/v1/alarms/{}/{what}", one.number);
    let said: BTreeMap<&str, &String> = said.iter().map(|(key, value)| (*key, value)).collect();
    let body = if said.is_empty() { Vec::new() } else { serde_json::to_vec(&said).unwrap_or_default() };
    let alarm: Alarm = context.ask_saying(&cannot, &path, body)?.read()?;
    if context.json {
        return print_json(&alarm);
    }
    let owner = alarm.life.owner.as_ref().map(|owner| format!(", owned by {}", table::plain(owner))).unwrap_or_default();
    let noted = if what == "annotate" { "; noted" } else { "" };
    println!("alarm {}: {}{owner}{noted}", alarm.life.number, state(&alarm));
    Ok(())
}
