//! `watchpost rules show` and `rules list --series`: how each series stands with the rules that look at it, alarm or not.

use hyper::Method;

use super::{
    Context,
    client::query,
    failure::{Failure, Outcome},
    print_json,
    rule_replay::OfJob,
    rules::{Shown, print_one},
    table, time,
};
use crate::{
    alarm::{ledger::standing::Standing, x733::severity_name},
    config::{AlarmRule, nearest},
    expose::http::MORE,
};

pub(super) const EXAMPLES: &str = "\
ok: the last value is as it should be. trouble: it is not, whether there is an alarm already or not. unknown: there is no value, or too \
little of what the rule looks back at, or it is outside the rule's hours; an alarm that was raised before stands until more is known.

Examples:
  watchpost rules show slow
  watchpost rules show slow --json";

const CANNOT: &str = "cannot tell how series stand";

/// Shows one rule and its series.
pub(super) fn show(context: &Context, name: &str, of: &OfJob) -> Outcome {
    let draft = context.draft()?;
    let is_it = |rule: &&AlarmRule| rule.name.value == name && of.job().is_none_or(|job| rule.of_job.as_deref().is_none_or(|of| of == job));
    let rules: Vec<Shown> = draft.rules.iter().filter(is_it).map(Shown::of).collect();
    if rules.is_empty() {
        let meant = nearest(name, draft.rules.iter().map(|rule| rule.name.value.as_str()));
        let hint = meant.map_or("`watchpost rules` lists all".to_owned(), |meant| format!("did you mean `{meant}`?"));
        return Err(Failure::wrong(CANNOT, format!("no rule is called `{name}`; {hint}")));
    }
    // One that is disabled is looked at by nobody.
    let asked = [("rule", Some(name.to_owned())), ("job", of.job().map(str::to_owned))];
    let series = if rules.iter().any(Shown::is_enabled) { standings(context, &asked)? } else { Vec::new() };
    if context.json {
        return print_json(&serde_json::json!({ "rules": rules, "series": series }));
    }
    for rule in &rules {
        print_one(rule);
        println!();
    }
    if series.is_empty() {
        println!("it looks at no series now")
    } else {
        print(&series, false)
    }
    Ok(())
}

/// Lists all series of all rules.
pub(super) fn list(context: &Context) -> Outcome {
    let series = standings(context, &[])?;
    if context.json {
        return print_json(&series);
    }
    print(&series, true);
    Ok(())
}

fn standings(context: &Context, asked: &[(&str, Option<String>)]) -> Result<Vec<Standing>, Failure> {
    let pairs: Vec<(&str, String)> = asked.iter().filter_map(|(key, value)| Some((*key, value.clone()?))).collect();
    let answer = context.ask(CANNOT, Method::GET, &format!("/api/v1/rules/standing?{}", query(&pairs)))?;
    if answer.header(MORE) == Some("true") {
        eprintln!("note: there are more; name a rule");
    }
    answer.read()
}

fn print(series: &[Standing], with_rule: bool) {
    let row = |one: &Standing| {
        let severity = one.severity.map(|severity| format!(", {}", severity_name(severity))).unwrap_or_default();
        let own = vec![
            one.job.clone().unwrap_or_else(|| "-".into()),
            one.series.clone(),
            format!("{}{severity}", one.state.name()),
            one.since.map_or_else(|| "-".into(), time::local),
            one.alarm.map_or_else(|| "-".into(), |alarm| alarm.to_string()),
            one.why.clone().unwrap_or_else(|| "-".into()),
        ];
        if with_rule { [vec![one.rule.clone()], own].concat() } else { own }
    };
    let head = ["job", "series", "state", "since", "alarm", "why"];
    let head: Vec<&str> = if with_rule { [&["rule"][..], &head].concat() } else { head.to_vec() };
    table::print(&head, &series.iter().map(row).collect::<Vec<_>>());
}
