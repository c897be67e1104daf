//! `watchpost alarms why-not`: what decides whether a channel, a person or a roster is told of an alarm.

use hyper::Method;

use super::{One, asked_wrong, at, folder, whole_of};
use crate::{
    alarm::notice::Notice,
    cli::{
        Context,
        client::query,
        failure::{Failure, Outcome},
        load, print_json,
        table::{self, counted, plain},
        time,
    },
    config,
    daemon::now_ns,
    notify::{
        outbox::Message,
        why_not::{Asked, WhyNot, why_not},
    },
};

const CANNOT: &str = "cannot say why";

pub(super) fn run(context: &Context, one: &One, who: &str) -> Outcome {
    let pairs = [("who", who.to_owned()), ("timezone", time::zone().name().to_owned())];
    let path = format!("/api/v1/alarms/{}/why-not?{}", one.number, query(&pairs));
    let answer: WhyNot = match context.ask_if_it_runs(CANNOT, Method::GET, &path)? {
        Some(answer) => answer.read()?,
        None => by_files(context, one, who)?,
    };
    if context.json {
        return print_json(&answer);
    }
    for reason in &answer.reasons {
        println!("{}", plain(reason));
    }
    println!();
    if answer.messages.is_empty() {
        println!("{} was told nothing of alarm {}", plain(who), one.number);
    } else {
        print_messages(&whole_of(context, one, CANNOT)?.steps, &answer.messages);
    }
    Ok(())
}

/// Without a daemon, what the files say of who is told; what is faulty there is not judged.
fn by_files(context: &Context, one: &One, who: &str) -> Result<WhyNot, Failure> {
    let data = context.data_folder()?;
    let (draft, faults) = config::read(&context.file()?, load::now());
    let hiding = faults.hiding();
    if hiding > 0 {
        let faults = counted(hiding, "fault");
        eprintln!("note: the configuration has {faults}; what a fault hides is not judged; `watchpost check` names all");
    }
    let asked = Asked { who, zone: time::zone(), now_ns: now_ns() };
    why_not(folder(&data, CANNOT)?, one.number, &asked, &draft.known(hiding == 0)).map_err(|error| asked_wrong(CANNOT, &error))
}

/// What became of messages.
pub(super) fn print_messages(steps: &[Notice], messages: &[Message]) {
    let row = |message: &Message| {
        let step = steps.iter().find(|step| step.seq == message.seq).map_or("-", |step| step.step.name());
        let why = message.why.clone().or_else(|| message.via.as_ref().map(|roster| format!("on duty by {roster}")));
        vec![
            message.channel.clone(),
            step.to_owned(),
            message.state.name().to_owned(),
            at(message.done_ns.unwrap_or(message.not_before_ns)),
            message.attempts.to_string(),
            why.unwrap_or_else(|| "-".into()),
        ]
    };
    table::print(&["channel", "step", "state", "when", "attempts", "why"], &messages.iter().map(row).collect::<Vec<_>>());
}
