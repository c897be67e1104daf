//! `watchpost alarms why-not`: what decides whether a channel is told of an alarm, one after the other.

use super::{One, at, whole_of};
use crate::{
    alarm::request::Whole,
    cli::{
        Context,
        failure::{Failure, Outcome},
        load, print_json,
        table::{self, plain},
    },
    config::{self, nearest},
    notify::{channel::Channel, outbox::Message, route::Route},
};

const CANNOT: &str = "cannot say why";

pub(super) fn run(context: &Context, one: &One, channel: &str) -> Outcome {
    let found = whole_of(context, one, CANNOT)?;
    let (draft, _) = config::read(&context.file()?, load::now());
    let told: Vec<&Message> = found.messages.iter().filter(|message| message.channel == channel).collect();
    let known = draft.channels.iter().find(|known| known.name == channel);
    if known.is_none() && told.is_empty() {
        let near = nearest(channel, draft.channels.iter().map(|known| known.name.as_str())).map(|near| format!("; did you mean `{near}`?"));
        return Err(Failure::wrong(CANNOT, format!("no channel is called `{}`{}", plain(channel), near.unwrap_or_default())));
    }
    let reasons = reasons(&found, known, &draft.routes);
    if context.json {
        return print_json(&serde_json::json!({ "channel": channel, "alarm": one.number, "reasons": reasons, "messages": told }));
    }
    for reason in &reasons {
        println!("{}", plain(reason));
    }
    println!();
    if told.is_empty() {
        println!("{} was told nothing of alarm {}", plain(channel), one.number);
    } else {
        print_messages(&found, &told);
    }
    Ok(())
}

/// What holds now, of the alarm as it was at its last step and of the configuration as its files say.
fn reasons(found: &Whole, channel: Option<&Channel>, routes: &[Route]) -> Vec<String> {
    let Some(channel) = channel else { return vec!["the configuration has no such channel any more".into()] };
    let mut reasons = Vec::new();
    let steps: Vec<&str> = channel.tell.iter().map(|step| step.name()).collect();
    reasons.push(format!("channel {} is told of: {}", channel.name, if steps.is_empty() { "nothing".into() } else { steps.join(", ") }));
    reasons.extend(found.alarm.life.silenced.as_ref().map(|why| format!("nobody is told for now: {why}")));
    reasons.extend(found.alarm.life.held.as_ref().map(|held| format!("nobody is told for now: {}", held.why())));
    let Some(notice) = found.steps.last() else { return reasons };
    for (route, number) in routes.iter().zip(1..) {
        let is_first = route.channels.contains(&channel.name);
        let later = route.escalate.iter().find(|further| further.channels.contains(&channel.name));
        let names = match (is_first, later) {
            (true, _) => "names it".to_owned(),
            (false, Some(further)) => format!("names it after {} s if nobody has taken the alarm", further.after.as_secs()),
            (false, None) => {
                reasons.push(format!("route {number} does not name it"));
                continue;
            }
        };
        let misses = route.misses(notice);
        if !misses.is_empty() {
            reasons.push(format!("route {number} {names}, and is not about the alarm: {}", misses.join("; ")));
            continue;
        }
        let waits = route.waits_until(notice.time_ns).map(|until| format!("; its hours begin {}", at(until))).unwrap_or_default();
        let delay = if route.delay.is_zero() { String::new() } else { format!("; {} s after it was raised", route.delay.as_secs()) };
        reasons.push(format!("route {number} {names}, and is about the alarm{delay}{waits}"));
    }
    if routes.is_empty() {
        reasons.push("there is no route".into());
    }
    reasons
}

/// What became of messages.
pub(super) fn print_messages(found: &Whole, messages: &[&Message]) {
    let row = |message: &&Message| {
        let step = found.steps.iter().find(|step| step.seq == message.seq).map_or("-", |step| step.step.name());
        vec![
            message.channel.clone(),
            step.to_owned(),
            message.state.name().to_owned(),
            at(message.done_ns.unwrap_or(message.not_before_ns)),
            message.attempts.to_string(),
            message.why.clone().unwrap_or_else(|| "-".into()),
        ]
    };
    table::print(&["channel", "step", "state", "when", "attempts", "why"], &messages.iter().map(row).collect::<Vec<_>>());
}
