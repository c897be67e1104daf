//! Routes: which channels are told of which alarms, when, and what if nobody answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use watchpost_plugin_api::Severity;

use super::person::People;
use crate::{
    alarm::{
        notice::{Notice, Step},
        x733::severity_name,
    },
    config::At,
    schedule::{Windows, Zone},
    series::selector::{NAME_LABEL, Selector},
};

/// How far ahead the next opening of a route's hours is looked for.
const AHEAD: Duration = Duration::from_hours(8 * 24);
/// Seconds between two looks.
const LOOK_S: i64 = 60;

/// One `[[route]]`: what it matches is told to its channels.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Which alarms, by labels; all where nothing is said.
    pub matches: Option<At<Selector>>,
    /// How bad they are at least.
    pub severity: Severity,
    /// When somebody is there; always where nothing is said. What is raised in between waits until then.
    pub active: Option<Windows>,
    /// Whose hours.
    pub zone: Zone,
    /// Who is told.
    pub channels: Vec<String>,
    /// How long an alarm has to last before anybody is told.
    pub delay: Duration,
    /// Alarms that are alike in these labels are told together.
    pub group_by: Vec<At<String>>,
    /// How long a group gathers.
    pub group_wait: Duration,
    /// After which time it is told again while nobody owns or has acknowledged it.
    pub repeat: Option<Duration>,
    /// Who else is told if nobody has taken it for a while.
    pub escalate: Vec<Escalation>,
    /// Whether a ticket is of a situation: of all alarms that began together.
    pub by_situation: bool,
}

/// Who else is told, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Escalation {
    /// How long nobody has taken it: since it was raised, since the last acknowledgement of it ended, or since nothing silences it any more.
    pub after: Duration,
    /// Who.
    pub channels: Vec<String>,
}

/// On what a message depends that is not told yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum While {
    /// It is told whatever happens.
    Always,
    /// Only if the alarm is still there.
    Open,
    /// Only if nobody has taken it.
    Untaken,
}

/// A channel that is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Its name.
    pub channel: String,
    /// Not before this instant, nanoseconds since 1970.
    pub not_before_ns: i64,
    /// If what still holds.
    pub condition: While,
    /// With which others.
    pub group: Option<String>,
    /// Again after so many seconds.
    pub repeat_s: Option<u64>,
    /// The roster by which it is on duty.
    pub via: Option<String>,
    /// Whether it is told with the others of the situation, in one ticket.
    pub by_situation: bool,
}

/// The routes in force, and what each channel wants to hear.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routes {
    /// Routes as they stand in the file.
    pub routes: Vec<Route>,
    /// Steps that each channel is told of, by its name.
    pub wants: BTreeMap<String, BTreeSet<Step>>,
    /// Who there is behind channels and rosters.
    pub people: People,
    /// How long an alarm goes on, and nobody takes it, before a channel is told: of those that want it so.
    pub delays: BTreeMap<String, Duration>,
    /// Channels of tickets, and how soon after its end a ticket is reopened.
    pub desks: BTreeMap<String, Duration>,
}

impl Route {
    /// Whether it is about this alarm.
    pub fn is_about(&self, notice: &Notice) -> bool {
        self.misses(notice).is_empty()
    }

    /// What of it an alarm does not meet, in words; nothing where it is about it.
    pub fn misses(&self, notice: &Notice) -> Vec<String> {
        let mut misses = Vec::new();
        if let Some(selector) = self.matches.as_ref().filter(|selector| !selector.matches(|label| label_of(notice, label))) {
            misses.push(format!("its labels are not {}", selector.value));
        }
        if notice.severity < self.severity {
            misses.push(format!("{} is milder than {}", severity_name(notice.severity), severity_name(self.severity)));
        }
        misses
    }

    /// Which instant it waits for with what happens at another, if it does.
    pub fn waits_until(&self, at_ns: i64) -> Option<i64> {
        self.opens(at_ns).filter(|opens| *opens > at_ns)
    }

    /// When it tells of what happens at an instant; nothing if its hours do not open in the next week.
    fn opens(&self, at_ns: i64) -> Option<i64> {
        let Some(windows) = &self.active else { return Some(at_ns) };
        let at = at_ns.div_euclid(1_000_000_000);
        if windows.hold(at, self.zone) {
            return Some(at_ns);
        }
        let first = at - at.rem_euclid(LOOK_S) + LOOK_S;
        let looks = i64::try_from(AHEAD.as_secs()).unwrap_or(i64::MAX) / LOOK_S;
        (0..looks).map(|look| first + look * LOOK_S).find(|at| windows.hold(*at, self.zone)).map(|at| at * 1_000_000_000)
    }

    fn group_of(&self, number: usize, notice: &Notice) -> Option<String> {
        let value = |label: &At<String>| format!("{}={:?}", label.value, label_of(notice, label).unwrap_or_default());
        (!self.group_by.is_empty()).then(|| format!("{number}:{}", self.group_by.iter().map(value).collect::<Vec<_>>().join(",")))
    }
}

impl Routes {
    /// Whether a channel wants to hear of a step; who is on duty is asked when somebody is.
    pub fn wants(&self, channel: &str, step: Step) -> bool {
        self.people.rosters.contains_key(channel) || self.wants.get(channel).is_some_and(|steps| steps.contains(&step))
    }

    /// Who is told that an alarm is there; each channel once, by the route that tells it first.
    ///
    /// Shape: a roster that is to be told at once is whoever is on duty; one that is to be told later stands for itself. While somebody has
    /// taken the alarm nobody else is called, and nobody is reminded.
    pub fn addressed(&self, notice: &Notice) -> Vec<Address> {
        let mut found: BTreeMap<String, Address> = BTreeMap::new();
        let is_taken = notice.is_taken();
        let about = self.routes.iter().enumerate().filter(|(_, route)| route.is_about(notice));
        for (number, route) in about {
            let Some(opens) = route.opens(notice.time_ns) else { continue };
            let repeat_s = route.repeat.filter(|_| !is_taken).map(|repeat| repeat.as_secs());
            let wait = route.delay.max(if route.group_by.is_empty() { Duration::ZERO } else { route.group_wait });
            let first = opens.max(later(notice.time_ns, wait));
            let condition = if first > notice.time_ns { While::Open } else { While::Always };
            let group = route.group_of(number, notice);
            let own = route.channels.iter().map(|channel| (channel, first, condition, group.clone(), repeat_s));
            let others = route.escalate.iter().filter(|_| !is_taken).flat_map(|further| {
                let at = opens.max(later(notice.time_ns, further.after));
                further.channels.iter().map(move |channel| (channel, at, While::Untaken, None, None))
            });
            for (channel, not_before_ns, condition, group, repeat_s) in own.chain(others) {
                let (not_before_ns, condition) = match self.delays.get(channel).filter(|delay| !delay.is_zero()) {
                    Some(_) if is_taken => continue,
                    Some(delay) => (not_before_ns.max(later(notice.time_ns, *delay)), While::Untaken),
                    None => (not_before_ns, condition),
                };
                let by_situation = route.by_situation && self.desks.contains_key(channel);
                let address = Address { channel: channel.clone(), not_before_ns, condition, group, repeat_s, via: None, by_situation };
                for address in self.now_or_later(address, notice.time_ns) {
                    // Who is on duty is told as such: no hours of his hold.
                    let rank = |address: &Address| (address.not_before_ns, address.condition, address.via.is_none());
                    if found.get(&address.channel).is_none_or(|known| rank(known) > rank(&address)) {
                        found.insert(address.channel.clone(), address);
                    }
                }
            }
        }
        found.into_values().collect()
    }

    fn now_or_later(&self, address: Address, now_ns: i64) -> Vec<Address> {
        let is_roster = self.people.rosters.contains_key(&address.channel);
        if is_roster && address.not_before_ns <= now_ns { self.on_duty(&address, now_ns) } else { vec![address] }
    }

    /// The addresses of whoever is on duty at an instant, in place of that of a roster; one of them is told again if nobody answers.
    pub fn on_duty(&self, address: &Address, at_ns: i64) -> Vec<Address> {
        let addresses = self.people.on_duty(&address.channel, at_ns).map(|person| person.addresses.as_slice()).unwrap_or_default();
        let told = addresses.iter().filter(|channel| self.wants(channel, Step::Raised));
        told.zip(0..)
            .map(|(channel, number)| Address {
                channel: channel.clone(),
                via: Some(address.channel.clone()),
                repeat_s: address.repeat_s.filter(|_| number == 0),
                ..address.clone()
            })
            .collect()
    }
}

/// What an alarm answers to a label of a route.
pub(super) fn label_of<'n>(notice: &'n Notice, label: &str) -> Option<&'n str> {
    match label {
        NAME_LABEL => Some(notice.series.split('{').next().unwrap_or_default()),
        "agent" => Some(&notice.agent),
        "job" => Some(&notice.job),
        "target" => Some(&notice.target),
        "rule" => Some(&notice.rule),
        "severity" => Some(severity_name(notice.severity)),
        _ => notice.labels.iter().find(|(key, _)| key == label).map(|(_, value)| value.as_str()),
    }
}

fn later(at_ns: i64, by: Duration) -> i64 {
    at_ns.saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX))
}
