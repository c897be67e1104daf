//! What decides whether a channel, a person or a roster is told of an alarm, one after the other.

mod duty;

use std::{path::Path, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    channel::Channel,
    outbox::Message,
    person::{Person, Wait, When},
    roster::Roster,
    route::Route,
};
use crate::{
    alarm::request::{AlarmRequestError, Whole, whole},
    config::nearest,
    schedule::{UnixTime, Zone},
};

/// Who there is to be told, and of what.
#[derive(Clone, Copy)]
pub struct Known<'k> {
    /// Channels, those of persons among them.
    pub channels: &'k [Channel],
    /// Who is told of which alarms.
    pub routes: &'k [Route],
    /// Persons.
    pub persons: &'k [Arc<Person>],
    /// Who takes turns.
    pub rosters: &'k [Roster],
    /// Whether that is all: files may have faults, which hide some.
    pub whole: bool,
}

/// Who is asked about, and by whose clock.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// A channel, a person or a roster.
    pub who: &'a str,
    /// Where whoever asks is.
    pub zone: Zone,
    /// Now, nanoseconds since 1970.
    pub now_ns: i64,
}

impl Asked<'_> {
    fn at(&self, time_ns: i64) -> String {
        self.zone.clock(UnixTime::from_secs(time_ns.div_euclid(1_000_000_000)))
    }
}

/// What decided, and what came of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct WhyNot {
    /// Who was asked about.
    pub channel: String,
    /// The number of the alarm.
    pub alarm: u64,
    /// What decided, one after the other.
    pub reasons: Vec<String>,
    /// What is for them in the outbox.
    pub messages: Vec<Message>,
}

/// Nobody is called so.
#[derive(Debug, thiserror::Error)]
#[error("no channel, person or roster{but} is called `{name}`{near}")]
pub struct NobodyError {
    name: String,
    /// Those with a fault are not known.
    but: &'static str,
    /// Who may be meant.
    near: String,
}

/// Says why somebody was told of an alarm, or was not.
///
/// Shape: what holds now, of the alarm as it was at its last step, and of who is known.
pub fn why_not(data: &Path, number: u64, asked: &Asked<'_>, known: &Known<'_>) -> Result<WhyNot, AlarmRequestError> {
    let found = whole(data, number)?;
    let who = Who::find(known, asked);
    let messages: Vec<Message> = found.messages.iter().filter(|message| who.is(&message.channel)).cloned().collect();
    if who.is_nobody() && messages.is_empty() {
        return Err(known.nobody(asked.who).into());
    }
    Ok(WhyNot { channel: asked.who.to_owned(), alarm: number, reasons: who.reasons(&found), messages })
}

impl Known<'_> {
    fn nobody(&self, name: &str) -> NobodyError {
        let channels = self.channels.iter().map(|known| known.name.as_str());
        let people = self.persons.iter().map(|person| person.name.as_str()).chain(self.rosters.iter().map(|roster| roster.name.as_str()));
        let near = nearest(name, channels.chain(people)).map(|near| format!("; did you mean `{near}`?"));
        NobodyError { name: name.to_owned(), but: if self.whole { "" } else { " without a fault" }, near: near.unwrap_or_default() }
    }

    /// How a route is called; a fault may hide one before it.
    fn route(&self, number: usize) -> String {
        if self.whole { format!("route {number}") } else { format!("route {number} of those without a fault") }
    }
}

/// Who is asked about.
struct Who<'w> {
    asked: &'w Asked<'w>,
    known: &'w Known<'w>,
    /// Channels by which it is told.
    channels: Vec<&'w Channel>,
    /// The person, if it is one.
    person: Option<&'w Person>,
    /// Rosters that it is, or takes turns in.
    rosters: Vec<&'w Roster>,
}

impl<'w> Who<'w> {
    fn find(known: &'w Known<'w>, asked: &'w Asked<'w>) -> Self {
        let name = asked.who;
        let person = known.persons.iter().find(|person| person.name == name).map(|person| &**person);
        let is_its = |channel: &&Channel| channel.name == name || person.is_some_and(|person| person.addresses.contains(&channel.name));
        let takes_turns = |roster: &&Roster| {
            let stands_in = roster.exceptions.iter().map(|exception| &exception.person);
            roster.name == name || roster.members.iter().chain(stands_in).any(|member| member == name)
        };
        let (channels, rosters) = (known.channels.iter().filter(is_its).collect(), known.rosters.iter().filter(takes_turns).collect());
        Self { asked, known, channels, person, rosters }
    }

    fn is_nobody(&self) -> bool {
        self.channels.is_empty() && self.person.is_none() && self.rosters.is_empty()
    }

    /// Whether a message is for it; that to a roster is for all who take turns.
    fn is(&self, channel: &str) -> bool {
        channel == self.asked.who || self.names(std::slice::from_ref(&channel.to_owned()))
    }

    /// Whether any of these stands for it.
    fn names(&self, told: &[String]) -> bool {
        told.iter().any(|name| self.channels.iter().any(|channel| channel.name == *name) || self.has_roster(name))
    }

    fn has_roster(&self, name: &str) -> bool {
        self.rosters.iter().any(|roster| roster.name == name)
    }

    fn reasons(&self, found: &Whole) -> Vec<String> {
        let but = if self.known.whole { "any more" } else { "without a fault" };
        if self.is_nobody() {
            return vec![format!("the configuration has no such channel {but}")];
        }
        let mut reasons: Vec<String> = self.channels.iter().map(|channel| tells(channel)).collect();
        reasons.extend(found.alarm.life.silenced.as_ref().map(|why| format!("nobody is told for now: {why}")));
        reasons.extend(found.alarm.life.held.as_ref().map(|held| format!("nobody is told for now: {}", held.why())));
        for (route, number) in self.known.routes.iter().zip(1..) {
            reasons.extend(self.of_route(route, &self.known.route(number), found));
        }
        if self.known.routes.is_empty() {
            reasons.push(format!("there is no route{}", if self.known.whole { "" } else { " without a fault" }));
        }
        for roster in &self.rosters {
            reasons.extend(duty::reasons(roster, self.person, found, self.asked));
        }
        reasons.extend(self.person.into_iter().flat_map(|person| self.of_person(person, found)));
        reasons
    }

    fn of_route(&self, route: &Route, called: &str, found: &Whole) -> Vec<String> {
        let Some(notice) = found.steps.last() else { return Vec::new() };
        let via = |told: &[String]| {
            let by_itself = told.iter().any(|name| self.channels.iter().any(|channel| channel.name == *name) || name == self.asked.who);
            let roster = told.iter().find(|name| self.has_roster(name)).filter(|_| !by_itself);
            roster.map_or_else(|| "names it".to_owned(), |roster| format!("names roster {roster}"))
        };
        let mut steps: Vec<String> = Vec::new();
        if self.names(&route.channels) {
            steps.push(via(&route.channels));
        }
        for further in route.escalate.iter().filter(|further| self.names(&further.channels)) {
            let after = further.after.as_secs();
            let due = duty::escalation(found, &further.channels, self.asked).map(|said| format!(" ({said})")).unwrap_or_default();
            steps.push(format!("{} after {after} s if nobody has taken the alarm{due}", via(&further.channels)));
        }
        if steps.is_empty() {
            return vec![format!("{called} does not name it")];
        }
        let misses = route.misses(notice);
        let delay = if route.delay.is_zero() { String::new() } else { format!("; {} s after it was raised", route.delay.as_secs()) };
        let waits =
            route.waits_until(notice.time_ns).map(|until| format!("; its hours begin {}", self.asked.at(until))).unwrap_or_default();
        let said = |names: String| match misses.as_slice() {
            [] => format!("{called} {names}, and is about the alarm{delay}{waits}"),
            misses => format!("{called} {names}, and is not about the alarm: {}", misses.join("; ")),
        };
        steps.into_iter().map(said).collect()
    }

    /// Hours, quiet hours and digests of a person: when the alarm was raised, and at its last step.
    fn of_person(&self, person: &Person, found: &Whole) -> Vec<String> {
        let mut said = Vec::new();
        let (first, last) = (found.steps.first(), found.steps.last());
        for (notice, which) in first.map(|step| (step, "when it was raised")).into_iter().chain(last.map(|step| (step, "at its last step")))
        {
            let When { at_ns, wait } = person.when(notice, notice.time_ns);
            let (name, at) = (&person.name, self.asked.at(at_ns));
            let what = match wait {
                None => continue,
                Some(Wait::Hours) => format!("{which} {name} was not there, and is told from {at} on"),
                Some(Wait::Quiet) => format!("{which} {name} had quiet hours, which it does not break through, until {at}"),
                Some(Wait::Digest) => format!("{which} it was for the digest of {name}, which is told {at}"),
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
}

fn tells(channel: &Channel) -> String {
    let steps: Vec<&str> = channel.tell.iter().map(|step| step.name()).collect();
    format!("channel {} is told of: {}", channel.name, if steps.is_empty() { "nothing".into() } else { steps.join(", ") })
}
