//! `[[route]]`: which channels are told of which alarms.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use watchpost_plugin_api::Severity;

use super::{
    At, Fault, Faults, Place, Rule,
    declared::Declared,
    near::did_you_mean,
    reader::{Field, Reader, Texts},
    text::Table,
    timing::{Almanac, check_span, check_zone, is_window},
};
use crate::{
    alarm::x733::{SEVERITIES, severity_named},
    notify::{
        channel::Channel,
        person::Person,
        roster::Roster,
        route::{Escalation, Route},
    },
    schedule::{Windows, Zone},
    series::selector::Selector,
};

/// Keys that it has.
const KEYS: [&str; 13] = [
    "active",
    "channels",
    "delay",
    "escalate",
    "group_by",
    "group_wait",
    "holidays",
    "match",
    "repeat",
    "severity",
    "ticket_for",
    "timezone",
    "to",
];
/// What there can be a ticket for.
const TICKETS_FOR: [&str; 2] = ["alarm", "situation"];
/// Keys of an escalation.
const KEYS_OF_ESCALATION: [&str; 3] = ["after", "channels", "to"];
/// How long a group gathers unless said otherwise.
const GROUP_WAIT: Duration = Duration::from_secs(30);

/// Whom routes may name.
pub(super) struct Known<'k> {
    /// Channels of the configuration.
    pub(super) channels: &'k [At<Channel>],
    /// Persons.
    pub(super) persons: &'k [At<Arc<Person>>],
    /// Rosters.
    pub(super) rosters: &'k [At<Roster>],
    /// Channels that tell persons.
    pub(super) used: &'k BTreeSet<String>,
    /// The names of all channels, persons and rosters, those with a fault among them.
    pub(super) declared: [&'k Declared; 3],
    /// Whether no channel has a fault.
    pub(super) channels_whole: bool,
}

/// Checks all routes against who there is.
pub(super) fn check(tables: &[At<Table>], known: &Known<'_>, almanac: &mut Almanac, faults: &mut Faults) -> Vec<Route> {
    let mut named = BTreeSet::new();
    let routes: Vec<Route> = tables.iter().filter_map(|table| Walk { known, named: &mut named, almanac, faults }.route(table)).collect();
    if routes.len() == tables.len() {
        known.tell_idle(&named, faults);
    }
    routes
}

impl Known<'_> {
    fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.declared.iter().flat_map(|declared| declared.names())
    }

    /// Tells of those whom nobody names.
    fn tell_idle(&self, named: &BTreeSet<String>, faults: &mut Faults) {
        let is_told = |channel: &Channel| channel.heartbeat.is_some() || !channel.kind.is_routed();
        let is_idle = |channel: &&At<Channel>| !named.contains(&channel.name) && !self.used.contains(&channel.name) && !is_told(channel);
        for channel in self.channels.iter().filter(is_idle) {
            let message = format!("channel {}: no route names it, it will be told nothing", channel.name);
            faults.push(
                Fault::new(Rule::ChannelIdle, &channel.place, message)
                    .hint(format!("write [[route]] with channels = [\"{}\"]", channel.name)),
            );
        }
        let on_duty: BTreeSet<&String> = self
            .rosters
            .iter()
            .flat_map(|roster| roster.members.iter().chain(roster.exceptions.iter().map(|exception| &exception.person)))
            .collect();
        let persons =
            self.persons.iter().filter(|person| !on_duty.contains(&person.name)).map(|person| (&person.name, &person.place, "person"));
        let rosters = self.rosters.iter().map(|roster| (&roster.name, &roster.place, "roster"));
        for (name, place, what) in persons.chain(rosters).filter(|(name, ..)| !named.contains(*name)) {
            let message = format!("{what} {name}: no route names it, nothing will be told");
            faults.push(Fault::new(Rule::PersonIdle, place, message).hint(format!("write [[route]] with to = [\"{name}\"]")));
        }
    }
}

struct Walk<'w> {
    known: &'w Known<'w>,
    /// Who is named so far.
    named: &'w mut BTreeSet<String>,
    almanac: &'w mut Almanac,
    faults: &'w mut Faults,
}

impl Walk<'_> {
    fn route(mut self, at: &At<Table>) -> Option<Route> {
        let mut reader = Reader::new("`[[route]]`", &KEYS, &at.value);
        let matches = reader.text("match", self.faults);
        let severity = reader.text("severity", self.faults);
        let (active, holidays, timezone) =
            (reader.text_or_texts("active", self.faults), reader.text("holidays", self.faults), reader.text("timezone", self.faults));
        let (channels, to) = (reader.text_or_texts("channels", self.faults), reader.text_or_texts("to", self.faults));
        let spans = ["delay", "group_wait", "repeat"].map(|key| (key, reader.text(key, self.faults)));
        let group_by = reader.texts("group_by", self.faults);
        let escalate = reader.tables("escalate", self.faults);
        let ticket_for = reader.text("ticket_for", self.faults);
        reader.finish(self.faults);
        let channels = self.told(channels, to, &at.place, "who is told: channels = [\"ops-mail\"], or to = [\"ann\"]");
        let matches = check_match(matches, self.faults);
        let severity = check_severity(severity, self.faults);
        let zone = check_zone(&timezone, self.faults);
        let active = self.active(&active, zone, &holidays);
        let [delay, group_wait, repeat] = spans.map(|(key, text)| self.span(key, &text));
        let group_by = match group_by {
            Field::Absent => Some(Vec::new()),
            Field::Broken => None,
            Field::Given(texts) => texts.whole.then_some(texts.value.items),
        };
        let written = escalate.len();
        let escalate: Vec<Escalation> = escalate.iter().filter_map(|table| self.escalation(table)).collect();
        let whole = escalate.len() == written;
        let by_situation = self.by_situation(&ticket_for, channels.as_ref(), &escalate);
        let route = Route {
            matches: matches?,
            severity: severity?,
            active: active?,
            zone: zone?,
            channels: channels?,
            delay: delay?.unwrap_or_default(),
            group_by: group_by?,
            group_wait: group_wait?.unwrap_or(GROUP_WAIT),
            repeat: repeat?,
            escalate,
            by_situation: by_situation?,
        };
        whole.then_some(route)
    }

    fn escalation(&mut self, at: &At<&Table>) -> Option<Escalation> {
        let mut reader = Reader::new("`escalate`", &KEYS_OF_ESCALATION, at.value);
        let after = reader.text("after", self.faults);
        let (channels, to) = (reader.text_or_texts("channels", self.faults), reader.text_or_texts("to", self.faults));
        reader.finish(self.faults);
        let hint = "write escalate = [{ after = \"15m\", to = [\"boss\"] }]";
        let after = after.required("after", &at.place, hint, self.faults).and_then(|text| self.span("after", &Field::Given(text))?);
        let channels = self.told(channels, to, &at.place, hint);
        Some(Escalation { after: after?, channels: channels? })
    }

    /// Who is told: channels, addresses of persons, and rosters.
    fn told(&mut self, channels: Field<Texts>, to: Field<Texts>, place: &Place, hint: &str) -> Option<Vec<String>> {
        if to.is_absent() {
            let texts = channels.required("channels", place, hint, self.faults)?;
            return self.all("channels", &texts, Self::channel);
        }
        let to = to.given().and_then(|texts| self.all("to", &texts, Self::anybody));
        let channels = match channels {
            Field::Absent => Some(Vec::new()),
            Field::Broken => None,
            Field::Given(texts) => self.all("channels", &texts, Self::channel),
        };
        let (mut told, to) = (channels?, to?);
        told.extend(to);
        let mut seen = BTreeSet::new();
        told.retain(|name| seen.insert(name.clone()));
        Some(told)
    }

    fn all(&mut self, key: &str, texts: &At<Texts>, find: fn(&mut Self, &At<String>) -> Option<Vec<String>>) -> Option<Vec<String>> {
        let found: Vec<Vec<String>> = texts.items.iter().filter_map(|text| find(self, text)).collect();
        if texts.items.is_empty() && texts.whole {
            let fault = Fault::new(Rule::KeyMissing, &texts.place, format!("`{key}`: nobody is named"));
            self.faults.push(fault.hint(format!("write {key} = [\"{}\"]", if key == "to" { "ann" } else { "ops-mail" })));
        }
        (texts.whole && !found.is_empty() && found.len() == texts.items.len()).then(|| found.concat())
    }

    fn channel(&mut self, text: &At<String>) -> Option<Vec<String>> {
        let [declared, ..] = self.known.declared;
        self.named.insert(text.value.clone());
        if let Some(channel) = self.known.channels.iter().find(|channel| channel.name == text.value) {
            if !channel.kind.is_routed() {
                let message = format!("`channels`: {} is told of every run, and of no alarms alone", text.value);
                let hint = "leave it out of routes; its own `match` says of which jobs";
                self.faults.push(Fault::new(Rule::RouteChannelUnrouted, &text.place, message).hint(hint));
                return None;
            }
            return Some(vec![text.value.clone()]);
        }
        if declared.lacks(text) {
            let message = format!("`channels`: no channel is called \"{}\"", text.escape_debug());
            let hint = if self.known.names().any(|name| name == text.as_str()) {
                format!("persons and rosters are told by to = [\"{}\"]", text.value)
            } else if declared.names().next().is_none() {
                "channels are `[[channel]]` tables in watchpost.toml".to_owned()
            } else {
                did_you_mean(text, "channels", declared.names())
            };
            self.faults.push(Fault::new(Rule::RouteChannelUnknown, &text.place, message).hint(hint));
        }
        None
    }

    fn anybody(&mut self, text: &At<String>) -> Option<Vec<String>> {
        self.named.insert(text.value.clone());
        if let Some(person) = self.known.persons.iter().find(|person| person.name == text.value) {
            return Some(person.addresses.clone());
        }
        let is_sound = self.known.channels.iter().any(|channel| channel.name == text.value)
            || self.known.rosters.iter().any(|roster| roster.name == text.value);
        if is_sound {
            return Some(vec![text.value.clone()]);
        }
        if self.known.declared.iter().all(|declared| declared.lacks(text)) {
            let message = format!("`to`: no person, roster or channel is called \"{}\"", text.escape_debug());
            let hint = did_you_mean(text, "there are", self.known.names());
            self.faults.push(Fault::new(Rule::RouteChannelUnknown, &text.place, message).hint(hint));
        }
        None
    }

    fn span(&mut self, key: &str, text: &Field<String>) -> Option<Option<Duration>> {
        match check_span(key, text, self.faults) {
            Field::Absent => Some(None),
            Field::Broken => None,
            Field::Given(span) => Some(Some(span.value)),
        }
    }

    /// Whether there is one ticket for a situation; somebody who is told has to make tickets then.
    fn by_situation(&mut self, text: &Field<String>, channels: Option<&Vec<String>>, escalate: &[Escalation]) -> Option<bool> {
        let text = match text {
            Field::Absent => return Some(false),
            Field::Broken => return None,
            Field::Given(text) => text,
        };
        if !TICKETS_FOR.contains(&text.as_str()) {
            let message = format!("`ticket_for`: \"{}\" is nothing that there is a ticket for", text.escape_debug());
            let hint = did_you_mean(text, "tickets are for", TICKETS_FOR);
            self.faults.push(Fault::new(Rule::RouteTicketUnknown, &text.place, message).hint(hint));
            return None;
        }
        let told: BTreeSet<&String> = channels?.iter().chain(escalate.iter().flat_map(|further| &further.channels)).collect();
        let makes_tickets = |channel: &&At<Channel>| told.contains(&channel.name) && channel.kind.reopen_within().is_some();
        if self.known.channels_whole && !self.known.channels.iter().any(|channel| makes_tickets(&channel)) {
            let message = "`ticket_for`: none of the route's channels makes tickets";
            let hint = "leave it out, or name a channel of type \"ticket\"";
            self.faults.push(Fault::new(Rule::RouteTicketNone, &text.place, message).hint(hint));
        }
        Some(text.as_str() == "situation")
    }

    fn active(&mut self, active: &Field<Texts>, zone: Option<Zone>, holidays: &Field<String>) -> Option<Option<Windows>> {
        let holidays = match holidays {
            Field::Absent => None,
            Field::Broken => return None,
            Field::Given(file) => Some(self.almanac.holidays_of(file, self.faults)?),
        };
        let texts = match active {
            Field::Absent => return Some(None),
            Field::Broken => return None,
            Field::Given(texts) => texts,
        };
        let sound: Vec<&str> = texts
            .items
            .iter()
            .filter(|text| is_window("active", text, zone, holidays.is_some(), self.faults))
            .map(|text| text.as_str())
            .collect();
        let whole = texts.whole && sound.len() == texts.items.len();
        whole.then(|| Windows::parse(sound, [], holidays.unwrap_or_default()).ok()).flatten()
    }
}

/// Reads which alarms are meant, by their labels.
pub(super) fn check_match(field: Field<String>, faults: &mut Faults) -> Option<Option<At<Selector>>> {
    match field {
        Field::Absent => Some(None),
        Field::Broken => None,
        Field::Given(text) => match Selector::parse(&text) {
            Ok(value) => Some(Some(At { value, place: text.place.clone() })),
            Err(error) => {
                let message = format!("`match`: \"{}\" selects no alarms", text.escape_debug());
                faults.push(Fault::new(Rule::RouteMatchIllegal, &text.place, message).hint(error.to_string()));
                None
            }
        },
    }
}

/// Reads the least severity; any where nothing is said.
pub(super) fn check_severity(field: Field<String>, faults: &mut Faults) -> Option<Severity> {
    match field {
        Field::Absent => Some(Severity::Indeterminate),
        Field::Broken => None,
        Field::Given(text) => {
            let found = severity_named(&text);
            if found.is_none() {
                let message = format!("`severity`: \"{}\" is no severity", text.escape_debug());
                let hint = did_you_mean(&text, "severities", SEVERITIES.into_iter().map(|(name, _)| name));
                faults.push(Fault::new(Rule::RouteSeverityUnknown, &text.place, message).hint(hint));
            }
            found
        }
    }
}
