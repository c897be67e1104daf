//! What `alarms` asks: in which state, how bad at least, of which job or rule.

use std::path::Path;

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::Severity;

use super::{
    life::Stage,
    notice::Notice,
    record::Alarm,
    store::{Query, find, messages, steps, tickets_of},
    x733::severity_named,
};
use crate::{
    database::DatabaseError,
    notify::{outbox::Message, why_not::NobodyError},
    schedule::{ScheduleError, Zone},
    series::time::{self, Clock, TimeError},
    ticket::store::Shown,
};

/// Alarms that are listed unless more are asked for.
pub const LIMIT: usize = 1_000;
/// Alarms that one answer holds at most.
pub const LIMIT_MAX: usize = 100_000;
/// The states that can be asked for.
const STATES: [&str; 5] = ["open", "active", "cleared", "closed", "all"];

/// What is asked, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmRequest {
    /// Open (active and cleared), active, cleared, closed, or all.
    pub state: String,
    /// At least this bad.
    pub severity: Option<String>,
    /// Of this job only.
    pub job: Option<String>,
    /// Of this rule only.
    pub rule: Option<String>,
    /// Closed ones: those that were closed since then.
    pub since: String,
    /// So many at most: the latest.
    pub limit: usize,
    /// Whose clocks are meant by times without a zone.
    pub zone: Zone,
}

impl Default for AlarmRequest {
    fn default() -> Self {
        let (state, since) = ("open".into(), "now-7d".into());
        Self { state, severity: None, job: None, rule: None, since, limit: LIMIT, zone: Zone::default() }
    }
}

/// Why nothing was found out.
#[derive(Debug, thiserror::Error)]
pub enum AlarmRequestError {
    /// A beginning that is no time.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// A state that is none.
    #[error("`{0}` is no state; there are open, active, cleared, closed and all")]
    State(String),
    /// A severity that is none.
    #[error("`{0}` is no severity; there are indeterminate, warning, minor, major and critical")]
    Severity(String),
    /// A limit that is none.
    #[error("`{0}` is no limit; write a whole number from 1 to {LIMIT_MAX}")]
    Limit(String),
    /// A zone that is none.
    #[error("{0}")]
    Zone(#[from] ScheduleError),
    /// A parameter that is none.
    #[error("`{0}` is no parameter of alarms; there are state, severity, job, rule, since, limit and timezone")]
    Parameter(String),
    /// There is no such alarm.
    #[error("no alarm has the number {0}; `watchpost alarms list --state all` lists those that are kept")]
    Unknown(u64),
    /// There is nobody of that name to be told.
    #[error(transparent)]
    Nobody(#[from] NobodyError),
    /// The store fails.
    #[error("the alarms cannot be read")]
    Store(#[from] DatabaseError),
}

impl AlarmRequestError {
    /// Whether the question is wrong, not the store.
    pub fn is_asked_wrong(&self) -> bool {
        !matches!(self, Self::Store(_))
    }
}

/// Alarms that were found, the worst first; of the same severity the latest.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The alarms.
    pub alarms: Vec<Alarm>,
    /// Whether there are more than were asked for.
    pub more: bool,
}

/// All that is kept of one alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Whole {
    /// The alarm.
    pub alarm: Alarm,
    /// Its steps in order.
    pub steps: Vec<Notice>,
    /// What channels were told of it, or are to be, in order.
    #[serde(default)]
    pub messages: Vec<Message>,
    /// Its tickets in other systems.
    #[serde(default)]
    pub tickets: Vec<Shown>,
}

impl AlarmRequest {
    /// Reads a request from the parameters of a URL.
    pub fn from_pairs(pairs: &[(String, String)]) -> Result<Self, AlarmRequestError> {
        let mut request = Self::default();
        for (key, value) in pairs {
            match key.as_str() {
                "state" => request.state.clone_from(value),
                "severity" => request.severity = Some(value.clone()),
                "job" => request.job = Some(value.clone()),
                "rule" => request.rule = Some(value.clone()),
                "since" | "from" => request.since.clone_from(value),
                "limit" => request.limit = value.parse().map_err(|_| AlarmRequestError::Limit(value.clone()))?,
                "timezone" => request.zone = Zone::parse(value)?,
                other => return Err(AlarmRequestError::Parameter(other.into())),
            }
        }
        Ok(request)
    }

    /// Writes the request as the parameters of a URL.
    pub fn to_pairs(&self) -> Vec<(&'static str, String)> {
        let given = [("severity", &self.severity), ("job", &self.job), ("rule", &self.rule)];
        let given = given.into_iter().filter_map(|(key, value)| Some((key, value.clone()?)));
        given
            .chain([("state", self.state.clone()), ("since", self.since.clone()), ("limit", self.limit.to_string())])
            .chain([("timezone", self.zone.name().to_owned())])
            .collect()
    }

    /// Answers from the alarms of a data folder.
    pub fn answer(&self, data: &Path, now_ns: i64) -> Result<Found, AlarmRequestError> {
        if !(1..=LIMIT_MAX).contains(&self.limit) {
            return Err(AlarmRequestError::Limit(self.limit.to_string()));
        }
        if !STATES.contains(&self.state.as_str()) {
            return Err(AlarmRequestError::State(self.state.clone()));
        }
        let least = self.severity.as_deref().map(severity_of).transpose()?;
        let since = time::parse(&self.since, Clock { now: now_ns / 1_000_000_000, zone: self.zone })?;
        let has_closed = ["closed", "all"].contains(&self.state.as_str());
        let query = Query { closed_since_ns: has_closed.then(|| since.saturating_mul(1_000_000_000)), ..Query::default() };
        let is_meant = |alarm: &Alarm| {
            let stage = match self.state.as_str() {
                "open" => alarm.life.stage != Stage::Closed,
                "active" => alarm.life.stage == Stage::Active,
                "cleared" => alarm.life.stage == Stage::Cleared,
                "closed" => alarm.life.stage == Stage::Closed,
                _ => true,
            };
            let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
            stage
                && least.is_none_or(|least| alarm.life.severity >= least)
                && is(&self.job, &alarm.subject.job)
                && is(&self.rule, &alarm.subject.rule)
        };
        let (mut alarms, more) = find(data, &query, self.limit, is_meant)?;
        let rank = |alarm: &Alarm| (alarm.life.stage != Stage::Active, std::cmp::Reverse((alarm.life.severity, alarm.life.number)));
        alarms.sort_by_key(rank);
        Ok(Found { alarms, more })
    }
}

/// Reads all that is kept of one alarm.
pub fn whole(data: &Path, number: u64) -> Result<Whole, AlarmRequestError> {
    let query = Query { number: Some(number), ..Query::default() };
    let (alarms, _) = find(data, &query, 1, |_| true)?;
    let alarm = alarms.into_iter().next().ok_or(AlarmRequestError::Unknown(number))?;
    let tickets = tickets_of(data, &alarm.subject.key, number)?;
    Ok(Whole { alarm, steps: steps(data, number)?, messages: messages(data, number)?, tickets })
}

fn severity_of(word: &str) -> Result<Severity, AlarmRequestError> {
    severity_named(word).ok_or_else(|| AlarmRequestError::Severity(word.into()))
}
