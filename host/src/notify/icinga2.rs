//! Icinga 2: each run of a job is a passive check result of a service, with the alarms of the job in it.
//!
//! A result is worth until its job has been due twice (`ttl`): what is heard no more, of a job or of the whole daemon, is unknown there.
//! Only the present counts: a result that could not be told is followed by the next, never by itself.
//! Source: Icinga 2 documentation, "Icinga 2 API", "process-check-result".

mod telling;

use std::{collections::BTreeMap, time::Duration};

use minijinja::Value;
use serde_json::json;
use watchpost_plugin_api::{MetricSpec, Severity};
use watchpost_services::outcome::Status;

use super::{channel::Hidden, http::Receiver, text::plain_line};
use crate::{
    latest::{JobState, Last},
    nagios::{Verdict, figure, line},
    reading::Shape,
    series::{meant::may_be_of, selector::Selector},
    ticket::pattern::{Escape, Pattern},
};

/// Shortest time that a result is worth: whoever measures each second need not tell each second.
const TTL_MIN: Duration = Duration::from_secs(60);
/// Longest time: a job that is due once in leap years is not waited for so long.
const TTL_MAX: Duration = Duration::from_hours(24 * 366);
/// Alarms of a job that are told, at most.
const ALARMS_MAX: usize = 20;

/// Where results go, and which objects they are of.
#[derive(Clone, Debug, PartialEq)]
pub struct Icinga2 {
    /// Endpoints of one zone; the first one that takes a result has it.
    pub receivers: Vec<Receiver>,
    /// An API user with the permission `actions/process-check-result`.
    pub user: String,
    /// Its password.
    pub password: Hidden,
    /// Which jobs; all of them if nothing is said.
    pub jobs: Option<Selector>,
    /// The host object of a job.
    pub host: ObjectName,
    /// The service object of a job.
    pub service: ObjectName,
}

/// What an object of Icinga is called, said with `{{ job }}`, `{{ agent }}`, `{{ target }}`, `{{ target_host }}` and labels of the job.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectName(Pattern);

impl ObjectName {
    /// Reads the template; which labels there are is seen with the jobs.
    ///
    /// Errors: what is wrong with it.
    pub fn parse(source: &str) -> Result<Self, String> {
        Pattern::parse(source, Escape::Plain).map(Self)
    }

    /// The name for a job.
    ///
    /// Errors: a label that it does not have, an empty name.
    pub fn of(&self, shape: &Shape) -> Result<String, String> {
        let target_host = shape.target.rsplit_once(':').map_or(shape.target.as_str(), |(host, _)| host);
        let own = shape.labels.iter().map(|(key, value)| (key.clone(), value.clone()));
        let all = [("job", shape.job.as_str()), ("agent", &shape.agent), ("target", &shape.target), ("target_host", target_host)];
        let names: BTreeMap<String, String> = own.chain(all.map(|(key, value)| (key.to_owned(), value.to_owned()))).collect();
        let (source, failed) = (self.0.source(), |why: String| format!("job {}: `{}`: {why}", shape.job, self.0.source()));
        let name = plain_line(self.0.render(&Value::from(names)).map_err(failed)?.trim());
        if name.is_empty() { Err(format!("job {}: `{source}` gives no name", shape.job)) } else { Ok(name) }
    }
}

/// An alarm of a job, as much as is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How bad.
    pub severity: Severity,
    /// What is wrong.
    pub text: String,
}

/// What is told of a job at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckResult {
    /// The verdict.
    pub verdict: Verdict,
    /// The request's body.
    pub body: serde_json::Value,
    /// How long it is worth.
    pub ttl: Duration,
}

impl Icinga2 {
    /// Whether a job's runs are told.
    pub fn is_meant(&self, shape: &Shape) -> bool {
        self.jobs.as_ref().is_none_or(|jobs| may_be_of(jobs, shape))
    }

    /// The result of a job's last run and its alarms, at an instant (nanoseconds since 1970).
    ///
    /// Errors: the job has no object, and why.
    pub fn result(&self, source: &str, (job, now_ns): (&JobState, i64), last: &Last, alarms: &[Standing]) -> Result<CheckResult, String> {
        let shape = &job.shape;
        let (host, service) = (self.host.of(shape)?, self.service.of(shape)?);
        let verdict = verdict(last, alarms);
        let ttl = worth(job, last, now_ns);
        let started = last.started_ns as f64 / 1e9;
        let metrics: Vec<MetricSpec> = shape.metrics.iter().chain(&last.declared).cloned().collect();
        let figures: Vec<String> = last.samples.iter().filter(|sample| sample.value.is_finite()).map(|it| figure(it, &metrics)).collect();
        let body = json!({
            "type": "Service",
            "filter": "host.name==watchpost_host && service.name==watchpost_service",
            "filter_vars": { "watchpost_host": host, "watchpost_service": service },
            "exit_status": verdict as u8,
            "plugin_output": output(shape, last, verdict, alarms),
            "performance_data": figures,
            "check_source": source,
            "execution_start": started,
            "execution_end": started + last.duration.unwrap_or_default().as_secs_f64(),
            "ttl": ttl.as_secs(),
        });
        Ok(CheckResult { verdict, body, ttl })
    }
}

/// The worst of a run and the alarms of its job.
pub fn verdict(last: &Last, alarms: &[Standing]) -> Verdict {
    alarms.iter().map(|alarm| Verdict::of_alarm(alarm.severity)).fold(Verdict::of(&last.status), Verdict::or_worse)
}

/// How long a result is worth: until the second time from its run on at which the job is due, whatever its windows, with what a run takes.
fn worth(job: &JobState, last: &Last, now_ns: i64) -> Duration {
    // What an earlier daemon measured is worth twice what is known of it.
    let until_ns = job.worth_until_ns.unwrap_or_else(|| last.stale_ns.saturating_add(last.stale_ns.saturating_sub(last.started_ns)));
    let left = Duration::from_nanos(until_ns.saturating_sub(now_ns).max(0).unsigned_abs());
    Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0)).clamp(TTL_MIN, TTL_MAX)
}

/// The verdict in a sentence, and the alarms in lines below it.
fn output(shape: &Shape, last: &Last, verdict: Verdict, alarms: &[Standing]) -> String {
    let said = match &last.status {
        Status::Ok => match last.duration {
            Some(took) => format!("answered in {:.3} s", took.as_secs_f64()),
            None => "answered".into(),
        },
        Status::Failed { kind, message } => format!("{kind}: {message}"),
    };
    let first = line(&plain_line(&format!("{} - {}: {said}", verdict.word(), shape.target)));
    let told = alarms.iter().take(ALARMS_MAX).map(|alarm| {
        let severity = crate::alarm::x733::severity_name(alarm.severity);
        line(&plain_line(&format!("[{severity}] {}", alarm.text)))
    });
    let more = alarms.len().checked_sub(ALARMS_MAX).filter(|more| *more > 0).map(|more| format!("{more} alarms more"));
    [first].into_iter().chain(told).chain(more).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use watchpost_plugin_api::{ErrorKind, Kind, Unit};
    use watchpost_services::outcome::{Outcome, Sample};

    use super::*;
    use crate::{
        latest::{JobView, Latest},
        reading::{Cause, Reading},
    };

    const SECOND: i64 = 1_000_000_000;

    fn icinga(host: &str, service: &str) -> Icinga2 {
        let receivers = Vec::new();
        let name = |source| ObjectName::parse(source).unwrap();
        let password = Hidden::new("secret".into());
        Icinga2 { receivers, user: "watchpost".into(), password, jobs: None, host: name(host), service: name(service) }
    }

    /// A job after its run.
    fn job(status: Status) -> Arc<JobState> {
        let metrics =
            vec![MetricSpec { name: "connect_time".into(), kind: Kind::Gauge, unit: Unit::Seconds, help: String::new(), keys: vec![] }];
        let labels = vec![("site".to_owned(), "paris".to_owned())];
        let shape = Shape { job: "mx".into(), agent: "smtp".into(), target: "mx1:25".into(), labels, step_s: 60, metrics };
        let latest = Latest::default();
        latest.set_jobs([JobView { shape, next_due_ns: None }]);
        let samples = vec![Sample { metric: "connect_time".into(), labels: vec![], value: 0.25 }];
        let outcome = Outcome { status, samples, duration_ns: 500_000_000, ..Outcome::failed(ErrorKind::LOCAL, "", 10 * SECOND) };
        latest.apply(&Reading { job: "mx".into(), cause: Cause::Schedule, slot: 10, due_ns: 10 * SECOND, stale_ns: 80 * SECOND, outcome });
        latest.set_worth("mx", Some(140 * SECOND));
        latest.job("mx").unwrap()
    }

    fn result(icinga: &Icinga2, status: Status, alarms: &[(Severity, &str)]) -> Result<CheckResult, String> {
        let job = job(status);
        let alarms: Vec<Standing> = alarms.iter().map(|(severity, text)| Standing { severity: *severity, text: (*text).into() }).collect();
        icinga.result("here", (&job, SECOND * 11), job.fresh(SECOND * 11).unwrap(), &alarms)
    }

    #[test]
    fn a_run_is_a_result_of_its_service_worth_until_its_job_has_been_due_twice() {
        let told = result(&icinga("{{ site }}-{{ target_host }}", "watchpost {{ job }}"), Status::Ok, &[]).unwrap();
        assert_eq!(
            told.body,
            json!({
                "type": "Service", "filter": "host.name==watchpost_host && service.name==watchpost_service",
                "filter_vars": { "watchpost_host": "paris-mx1", "watchpost_service": "watchpost mx" },
                "exit_status": 0, "plugin_output": "OK - mx1:25: answered in 0.500 s", "performance_data": ["connect_time=0.25s"],
                "check_source": "here", "execution_start": 10.0, "execution_end": 10.5, "ttl": 129,
            })
        );
    }

    #[test]
    fn a_result_is_worth_what_is_left_of_two_due_times_whenever_it_is_told() {
        let (job, icinga) = (job(Status::Ok), icinga("a", "b"));
        let ttl =
            |job: &JobState, at_s: i64| icinga.result("", (job, at_s * SECOND), job.last.as_ref().unwrap(), &[]).unwrap().ttl.as_secs();
        // Due at 10, next at 430 and then at 670, as every seven minutes of an hour are.
        let at = |until_s: Option<i64>| {
            let mut job = JobState::clone(&job);
            job.worth_until_ns = until_s.map(|until_s| until_s * SECOND);
            job
        };
        let many = at(Some(680));
        assert_eq!((ttl(&many, 11), ttl(&many, 400), ttl(&many, 650), ttl(&many, 900)), (669, 280, 60, 60));
        // An earlier daemon's: it stands until 80, and was made at 10.
        assert_eq!(ttl(&at(None), 11), 139);
    }

    #[test]
    fn the_worst_of_run_and_alarms_is_the_verdict_and_nothing_in_them_is_more_than_text() {
        let failed = |kind| Status::Failed { kind, message: "a|b\nc".into() };
        let slow: &[_] = &[(Severity::Minor, "slow | x=1\nOK")];
        for (status, alarms, verdict, output) in [
            (Status::Ok, slow, Verdict::Warning, "WARNING - mx1:25: answered in 0.500 s\n[minor] slow / x=1\u{fffd}OK"),
            (failed(ErrorKind::CONNECT), slow, Verdict::Critical, "CRITICAL - mx1:25: connect: a/b\u{fffd}c\n[minor] slow / x=1\u{fffd}OK"),
            (failed(ErrorKind::CRASH), &[], Verdict::Unknown, "UNKNOWN - mx1:25: crash: a/b\u{fffd}c"),
            (failed(ErrorKind::CRASH), slow, Verdict::Warning, "WARNING - mx1:25: crash: a/b\u{fffd}c\n[minor] slow / x=1\u{fffd}OK"),
        ] {
            let told = result(&icinga("a", "b"), status, alarms).unwrap();
            assert_eq!((told.verdict, told.body["plugin_output"].as_str()), (verdict, Some(output)));
        }
    }

    #[test]
    fn a_job_without_a_label_that_names_its_object_is_told_of() {
        let why = result(&icinga("{{ rack }}", "b"), Status::Ok, &[]).unwrap_err();
        assert!(why.starts_with("job mx: `{{ rack }}`: line 1: `rack` is undefined"), "{why}");
        assert_eq!(result(&icinga(" ", "b"), Status::Ok, &[]).unwrap_err(), "job mx: ` ` gives no name");
        assert!(ObjectName::parse("{{ job").is_err());
    }
}
