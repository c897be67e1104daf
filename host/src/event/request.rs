//! What `events` asks: of which job, since when, how bad at least.

use std::path::Path;

use watchpost_plugin_api::Severity;

use super::store::{EventError, Found, Query, find};
use crate::{
    alarm::x733::severity_named,
    schedule::{ScheduleError, Zone},
    series::time::{self, Clock, TimeError},
};

/// Events that are listed unless more are asked for.
pub const LIMIT: usize = 1_000;
/// Events that one answer holds at most.
pub const LIMIT_MAX: usize = 100_000;

/// What is asked, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRequest {
    /// Of this job only.
    pub job: Option<String>,
    /// Since when.
    pub since: String,
    /// Until when.
    pub until: String,
    /// At least this bad.
    pub severity: Option<String>,
    /// With this code only.
    pub code: Option<String>,
    /// So many at most: the latest.
    pub limit: usize,
    /// Whose clocks are meant by times without a zone.
    pub zone: Zone,
}

impl Default for EventRequest {
    fn default() -> Self {
        Self { job: None, since: "now-1d".into(), until: "now".into(), severity: None, code: None, limit: LIMIT, zone: Zone::default() }
    }
}

/// Why nothing was found out.
#[derive(Debug, thiserror::Error)]
pub enum EventRequestError {
    /// An end of the range that is no time.
    #[error(transparent)]
    Time(#[from] TimeError),
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
    #[error("`{0}` is no parameter of events; there are job, since, until, severity, code, limit and timezone")]
    Parameter(String),
    /// The store fails.
    #[error("the events cannot be read")]
    Store(#[from] EventError),
}

impl EventRequestError {
    /// Whether the question is wrong, not the store.
    pub fn is_asked_wrong(&self) -> bool {
        !matches!(self, Self::Store(_))
    }
}

impl EventRequest {
    /// Reads a request from the parameters of a URL.
    pub fn from_pairs(pairs: &[(String, String)]) -> Result<Self, EventRequestError> {
        let mut request = Self::default();
        for (key, value) in pairs {
            match key.as_str() {
                "job" => request.job = Some(value.clone()),
                "since" | "from" => request.since.clone_from(value),
                "until" | "to" => request.until.clone_from(value),
                "severity" => request.severity = Some(value.clone()),
                "code" => request.code = Some(value.clone()),
                "limit" => request.limit = value.parse().map_err(|_| EventRequestError::Limit(value.clone()))?,
                "timezone" => request.zone = Zone::parse(value)?,
                other => return Err(EventRequestError::Parameter(other.into())),
            }
        }
        Ok(request)
    }

    /// Writes the request as the parameters of a URL.
    pub fn to_pairs(&self) -> Vec<(&'static str, String)> {
        let given = [("job", &self.job), ("severity", &self.severity), ("code", &self.code)];
        let given = given.into_iter().filter_map(|(key, value)| Some((key, value.clone()?)));
        given
            .chain([("since", self.since.clone()), ("until", self.until.clone()), ("limit", self.limit.to_string())])
            .chain([("timezone", self.zone.name().to_owned())])
            .collect()
    }

    /// Answers from the store of a data folder.
    pub fn answer(&self, data: &Path, now_ns: i64) -> Result<Found, EventRequestError> {
        Ok(find(data, &self.query(now_ns)?)?)
    }

    fn query(&self, now_ns: i64) -> Result<Query, EventRequestError> {
        if !(1..=LIMIT_MAX).contains(&self.limit) {
            return Err(EventRequestError::Limit(self.limit.to_string()));
        }
        let now = now_ns / 1_000_000_000;
        let (from, to) = time::parse_range(&self.since, &self.until, Clock { now, zone: self.zone })?;
        // To the end of the second that is named.
        let (from_ns, to_ns) = (from.saturating_mul(1_000_000_000), to.saturating_mul(1_000_000_000).saturating_add(999_999_999));
        let severity = self.severity.as_deref().map(severity_of).transpose()?;
        Ok(Query { from_ns, to_ns, job: self.job.clone(), severity, code: self.code.clone(), limit: self.limit })
    }
}

fn severity_of(word: &str) -> Result<Severity, EventRequestError> {
    severity_named(word).ok_or_else(|| EventRequestError::Severity(word.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&str, &str)], expected: Result<Query, &str>) {
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let query = EventRequest::from_pairs(&pairs).and_then(|request| {
            // What goes over the socket is what was asked.
            let again: Vec<_> = request.to_pairs().into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            assert_eq!(EventRequest::from_pairs(&again).unwrap(), request);
            request.query(100_000 * 1_000_000_000)
        });
        match (query, expected) {
            (Ok(query), Ok(expected)) => assert_eq!(query, expected),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (query, expected) => panic!("{query:?}, not {expected:?}"),
        }
    }

    #[test]
    fn a_request_says_what_it_asks_or_what_is_wrong_with_it() {
        let day = Query { from_ns: 13_600_000_000_000, to_ns: 100_000_999_999_999, limit: 1000, ..Query::default() };
        check(&[], Ok(day.clone()));
        let (job, code) = (Some("a".into()), Some("x".into()));
        let query = Query { job, code, severity: Some(Severity::Minor), limit: 5, ..day };
        check(&[("job", "a"), ("severity", "minor"), ("code", "x"), ("limit", "5")], Ok(query));
        check(&[("severity", "bad")], Err("indeterminate, warning, minor, major and critical"));
        check(&[("limit", "0")], Err("from 1 to 100000"));
        check(&[("limit", "-1")], Err("from 1 to 100000"));
        check(&[("since", "yesterday")], Err("now-1h"));
        check(&[("jobs", "a")], Err("`jobs` is no parameter"));
    }
}
