//! `[[route]]`: which channels are told of which alarms.

use std::time::Duration;

use watchpost_plugin_api::Severity;

use super::{
    At, Fault, Faults, Rule,
    near::did_you_mean,
    reader::{Field, Reader, Texts},
    text::Table,
    timing::{Almanac, check_span, check_zone, is_window},
};
use crate::{
    alarm::x733::{SEVERITIES, severity_named},
    notify::{
        channel::Channel,
        route::{Escalation, Route},
    },
    schedule::Windows,
    series::selector::Selector,
};

/// Keys that it has.
const KEYS: [&str; 11] =
    ["active", "channels", "delay", "escalate", "group_by", "group_wait", "holidays", "match", "repeat", "severity", "timezone"];
/// Keys of an escalation.
const KEYS_OF_ESCALATION: [&str; 2] = ["after", "channels"];
/// How long a group gathers unless said otherwise.
const GROUP_WAIT: Duration = Duration::from_secs(30);

/// Checks all routes against the channels there are.
///
/// `whole`: every channel was read; otherwise one that is not known may be there.
pub(super) fn check(tables: &[At<Table>], channels: &[At<Channel>], whole: bool, almanac: &mut Almanac, faults: &mut Faults) -> Vec<Route> {
    let names: Vec<&str> = channels.iter().map(|channel| channel.name.as_str()).collect();
    let routes: Vec<Route> = tables.iter().filter_map(|table| Walk { names: &names, whole, almanac, faults }.route(table)).collect();
    let all = routes.len() == tables.len();
    for channel in channels.iter().filter(|_| all) {
        let named = |route: &Route| {
            route.channels.iter().chain(route.escalate.iter().flat_map(|further| &further.channels)).any(|name| *name == channel.name)
        };
        if !routes.iter().any(named) {
            let message = format!("channel {}: no route names it, it will be told nothing", channel.name);
            faults.push(
                Fault::new(Rule::ChannelIdle, &channel.place, message)
                    .hint(format!("write [[route]] with channels = [\"{}\"]", channel.name)),
            );
        }
    }
    routes
}

struct Walk<'w> {
    names: &'w [&'w str],
    whole: bool,
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
        let channels = reader.text_or_texts("channels", self.faults);
        let spans = ["delay", "group_wait", "repeat"].map(|key| (key, reader.text(key, self.faults)));
        let group_by = reader.texts("group_by", self.faults);
        let escalate = reader.tables("escalate", self.faults);
        reader.finish(self.faults);
        let channels = channels.required("channels", &at.place, "who is told: channels = [\"ops-mail\"]", self.faults);
        let channels = channels.and_then(|texts| self.channels(&texts));
        let matches = self.matches(matches);
        let severity = self.severity(severity);
        let zone = check_zone(&timezone, self.faults);
        let active = self.active(&active, &holidays);
        let [delay, group_wait, repeat] = spans.map(|(key, text)| self.span(key, &text));
        let group_by = match group_by {
            Field::Absent => Some(Vec::new()),
            Field::Broken => None,
            Field::Given(texts) => texts.whole.then(|| texts.value.items.into_iter().map(|text| text.value).collect()),
        };
        let written = escalate.len();
        let escalate: Vec<Escalation> = escalate.iter().filter_map(|table| self.escalation(table)).collect();
        let whole = escalate.len() == written;
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
        };
        whole.then_some(route)
    }

    fn escalation(&mut self, at: &At<&Table>) -> Option<Escalation> {
        let mut reader = Reader::new("`escalate`", &KEYS_OF_ESCALATION, at.value);
        let (after, channels) = (reader.text("after", self.faults), reader.text_or_texts("channels", self.faults));
        reader.finish(self.faults);
        let hint = "write escalate = [{ after = \"15m\", channels = [\"boss\"] }]";
        let after = after.required("after", &at.place, hint, self.faults).and_then(|text| self.span("after", &Field::Given(text))?);
        let channels = channels.required("channels", &at.place, hint, self.faults).and_then(|texts| self.channels(&texts));
        Some(Escalation { after: after?, channels: channels? })
    }

    fn channels(&mut self, texts: &At<Texts>) -> Option<Vec<String>> {
        let mut named = Vec::new();
        for text in &texts.items {
            if self.names.contains(&text.as_str()) {
                named.push(text.value.clone());
            } else if self.whole {
                let message = format!("`channels`: no channel is called \"{}\"", text.escape_debug());
                let hint = if self.names.is_empty() {
                    "channels are `[[channel]]` tables in watchpost.toml".to_owned()
                } else {
                    did_you_mean(text, "channels", self.names.iter().copied())
                };
                self.faults.push(Fault::new(Rule::RouteChannelUnknown, &text.place, message).hint(hint));
            }
        }
        if texts.items.is_empty() && texts.whole {
            let fault = Fault::new(Rule::KeyMissing, &texts.place, "`channels`: nobody is named");
            self.faults.push(fault.hint("write channels = [\"ops-mail\"]"));
        }
        (texts.whole && !named.is_empty() && named.len() == texts.items.len()).then_some(named)
    }

    fn matches(&mut self, field: Field<String>) -> Option<Option<Selector>> {
        match field {
            Field::Absent => Some(None),
            Field::Broken => None,
            Field::Given(text) => match Selector::parse(&text) {
                Ok(selector) => Some(Some(selector)),
                Err(error) => {
                    let message = format!("`match`: \"{}\" selects no alarms", text.escape_debug());
                    self.faults.push(Fault::new(Rule::RouteMatchIllegal, &text.place, message).hint(error.to_string()));
                    None
                }
            },
        }
    }

    fn severity(&mut self, field: Field<String>) -> Option<Severity> {
        match field {
            Field::Absent => Some(Severity::Indeterminate),
            Field::Broken => None,
            Field::Given(text) => {
                let found = severity_named(&text);
                if found.is_none() {
                    let message = format!("`severity`: \"{}\" is no severity", text.escape_debug());
                    let hint = did_you_mean(&text, "severities", SEVERITIES.into_iter().map(|(name, _)| name));
                    self.faults.push(Fault::new(Rule::RouteSeverityUnknown, &text.place, message).hint(hint));
                }
                found
            }
        }
    }

    fn span(&mut self, key: &str, text: &Field<String>) -> Option<Option<Duration>> {
        match check_span(key, text, self.faults) {
            Field::Absent => Some(None),
            Field::Broken => None,
            Field::Given(span) => Some(Some(span.value)),
        }
    }

    fn active(&mut self, active: &Field<Texts>, holidays: &Field<String>) -> Option<Option<Windows>> {
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
            .filter(|text| is_window("active", text, holidays.is_some(), self.faults))
            .map(|text| text.as_str())
            .collect();
        let whole = texts.whole && sound.len() == texts.items.len();
        whole.then(|| Windows::parse(sound, [], holidays.unwrap_or_default()).ok()).flatten()
    }
}
