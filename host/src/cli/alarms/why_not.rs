//! `watchpost alarms why-not`: what decides whether a channel, a person or a roster is told of an alarm, one after the other.

mod duty;

use super::{One, at, whole_of};
use crate::{
    alarm::request::Whole,
    cli::{
        Context,
        failure::{Failure, Outcome},
        load, print_json,
        table::{self, plain},
    },
    config::{self, Draft, nearest},
    daemon::now_ns,
    notify::{
        channel::Channel,
        outbox::Message,
        person::{Person, Wait, When},
        route::Route,
    },
};

const CANNOT: &str = "cannot say why";

/// Who is asked about.
struct Who<'w> {
    name: &'w str,
    /// Channels by which it is told.
    channels: Vec<&'w Channel>,
    /// The person, if it is one.
    person: Option<&'w Person>,
    /// Rosters that it is, or takes turns in.
    rosters: Vec<&'w str>,
    draft: &'w Draft,
}

pub(super) fn run(context: &Context, one: &One, name: &str) -> Outcome {
    let found = whole_of(context, one, CANNOT)?;
    let (draft, _) = config::read(&context.file()?, load::now());
    let who = Who::find(&draft, name);
    let told: Vec<&Message> = found.messages.iter().filter(|message| who.is(&message.channel)).collect();
    if who.is_nobody() && told.is_empty() {
        let channels = draft.channels.iter().map(|known| known.name.as_str());
        let people = draft.persons.iter().map(|person| person.name.as_str()).chain(draft.rosters.iter().map(|roster| roster.name.as_str()));
        let near = nearest(name, channels.chain(people)).map(|near| format!("; did you mean `{near}`?"));
        let why = format!("no channel, person or roster is called `{}`{}", plain(name), near.unwrap_or_default());
        return Err(Failure::wrong(CANNOT, why));
    }
    let reasons = who.reasons(&found, now_ns());
    if context.json {
        return print_json(&serde_json::json!({ "channel": name, "alarm": one.number, "reasons": reasons, "messages": told }));
    }
    for reason in &reasons {
        println!("{}", plain(reason));
    }
    println!();
    if told.is_empty() {
        println!("{} was told nothing of alarm {}", plain(name), one.number);
    } else {
        print_messages(&found, &told);
    }
    Ok(())
}

impl<'w> Who<'w> {
    fn find(draft: &'w Draft, name: &'w str) -> Self {
        let person = draft.persons.iter().find(|person| person.name == name).map(|person| &**person);
        let is_its = |channel: &&Channel| channel.name == name || person.is_some_and(|person| person.addresses.contains(&channel.name));
        let rosters = draft.rosters.iter().filter(|roster| {
            let stands_in = roster.exceptions.iter().map(|exception| &exception.person);
            roster.name == name || roster.members.iter().chain(stands_in).any(|member| member == name)
        });
        let rosters = rosters.map(|roster| roster.name.as_str()).collect();
        Self { name, channels: draft.channels.iter().filter(is_its).collect(), person, rosters, draft }
    }

    fn is_nobody(&self) -> bool {
        self.channels.is_empty() && self.person.is_none() && self.rosters.is_empty()
    }

    /// Whether a message is for it; that to a roster is for all who take turns.
    fn is(&self, channel: &str) -> bool {
        channel == self.name || self.names(std::slice::from_ref(&channel.to_owned()))
    }

    /// Whether any of these stands for it.
    fn names(&self, told: &[String]) -> bool {
        told.iter().any(|name| self.channels.iter().any(|channel| channel.name == *name) || self.rosters.contains(&name.as_str()))
    }

    /// What holds now, of the alarm as it was at its last step and of the configuration as its files say.
    fn reasons(&self, found: &Whole, now_ns: i64) -> Vec<String> {
        if self.is_nobody() {
            return vec!["the configuration has no such channel any more".into()];
        }
        let mut reasons: Vec<String> = self.channels.iter().map(|channel| tells(channel)).collect();
        reasons.extend(found.alarm.life.silenced.as_ref().map(|why| format!("nobody is told for now: {why}")));
        reasons.extend(found.alarm.life.held.as_ref().map(|held| format!("nobody is told for now: {}", held.why())));
        for (route, number) in self.draft.routes.iter().zip(1..) {
            reasons.extend(self.of_route(route, number, found, now_ns));
        }
        if self.draft.routes.is_empty() {
            reasons.push("there is no route".into());
        }
        for roster in self.rosters.iter().filter_map(|name| self.draft.rosters.iter().find(|roster| roster.name == **name)) {
            reasons.extend(duty::reasons(roster, self.person, found, now_ns));
        }
        reasons.extend(self.person.into_iter().flat_map(|person| of_person(person, found)));
        reasons
    }

    fn of_route(&self, route: &Route, number: usize, found: &Whole, now_ns: i64) -> Vec<String> {
        let Some(notice) = found.steps.last() else { return Vec::new() };
        let via = |told: &[String]| {
            let by_itself = told.iter().any(|name| self.channels.iter().any(|channel| channel.name == *name) || name == self.name);
            let roster = told.iter().find(|name| self.rosters.contains(&name.as_str())).filter(|_| !by_itself);
            roster.map_or_else(|| "names it".to_owned(), |roster| format!("names roster {roster}"))
        };
        let mut steps: Vec<String> = Vec::new();
        if self.names(&route.channels) {
            steps.push(via(&route.channels));
        }
        for further in route.escalate.iter().filter(|further| self.names(&further.channels)) {
            let after = further.after.as_secs();
            let due = duty::escalation(found, &further.channels, now_ns).map(|said| format!(" ({said})")).unwrap_or_default();
            steps.push(format!("{} after {after} s if nobody has taken the alarm{due}", via(&further.channels)));
        }
        if steps.is_empty() {
            return vec![format!("route {number} does not name it")];
        }
        let misses = route.misses(notice);
        let delay = if route.delay.is_zero() { String::new() } else { format!("; {} s after it was raised", route.delay.as_secs()) };
        let waits = route.waits_until(notice.time_ns).map(|until| format!("; its hours begin {}", at(until))).unwrap_or_default();
        let said = |names: String| match misses.as_slice() {
            [] => format!("route {number} {names}, and is about the alarm{delay}{waits}"),
            misses => format!("route {number} {names}, and is not about the alarm: {}", misses.join("; ")),
        };
        steps.into_iter().map(said).collect()
    }
}

fn tells(channel: &Channel) -> String {
    let steps: Vec<&str> = channel.tell.iter().map(|step| step.name()).collect();
    format!("channel {} is told of: {}", channel.name, if steps.is_empty() { "nothing".into() } else { steps.join(", ") })
}

/// Hours, quiet hours and digests of a person: when the alarm was raised, and at its last step.
fn of_person(person: &Person, found: &Whole) -> Vec<String> {
    let mut said = Vec::new();
    let (first, last) = (found.steps.first(), found.steps.last());
    for (notice, which) in first.map(|step| (step, "when it was raised")).into_iter().chain(last.map(|step| (step, "at its last step"))) {
        let When { at_ns, wait } = person.when(notice, notice.time_ns);
        let what = match wait {
            None => continue,
            Some(Wait::Hours) => format!("{which} {} was not there, and is told from {} on", person.name, at(at_ns)),
            Some(Wait::Quiet) => format!("{which} {} had quiet hours, which it does not break through, until {}", person.name, at(at_ns)),
            Some(Wait::Digest) => format!("{which} it was for the digest of {}, which is told {}", person.name, at(at_ns)),
        };
        if !said
            .iter()
            .any(|known: &String| known.trim_start_matches("when it was raised ") == what.trim_start_matches("at its last step "))
        {
            said.push(what);
        }
    }
    if !said.is_empty() && found.messages.iter().any(|message| message.via.is_some() && person.addresses.contains(&message.channel)) {
        said.push(format!("{} was told on duty, whatever the hour", person.name));
    }
    said
}

/// What became of messages.
pub(super) fn print_messages(found: &Whole, messages: &[&Message]) {
    let row = |message: &&Message| {
        let step = found.steps.iter().find(|step| step.seq == message.seq).map_or("-", |step| step.step.name());
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
