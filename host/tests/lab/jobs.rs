//! What the jobs of `schedules/demo.toml` promise.

use std::{ops::RangeInclusive, time::Duration};

use crate::servers::Lab;

/// One job of the demo.
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) agent: &'static str,
    pub(crate) target: String,
    /// Its label `server`, if it has one.
    pub(crate) server: Option<&'static str>,
    /// Its phases beside those that every session of its agent has ([`Job::phases`]).
    more: &'static [&'static str],
    /// What it measures beside times: the family, and where its value lies.
    pub(crate) figures: Vec<(&'static str, RangeInclusive<u64>)>,
    /// The servers of the lab without which it fails.
    pub(crate) needs: &'static [&'static str],
    /// The longest time between two runs.
    pub(crate) interval: Duration,
}

impl Job {
    /// All its phases, which are laps of one clock, and what spans several of them.
    pub(crate) fn phases(&self) -> Vec<&'static str> {
        let always: &[&str] = match self.agent {
            "smtp" => &["resolve", "connect", "banner", "ehlo", "quit"],
            "pop3" => &["resolve", "connect", "banner", "authenticate", "query", "quit"],
            "dns" => &["resolve", "query"],
            "roundtrip" => &["resolve", "connect", "banner", "ehlo", "mail", "rcpt", "data", "transmission", "quit"],
            other => panic!("what are the phases of {other}?"),
        };
        [always, self.more].concat()
    }

    /// Whether it tells this family besides, of which the stories of `roundtrip` speak.
    pub(crate) fn tells_besides(&self, family: &str) -> bool {
        let more = ["watchpost_search_time_seconds", "watchpost_messages_sent_total"];
        self.agent == "roundtrip" && (family.starts_with("watchpost_roundtrip_") || more.contains(&family))
    }

    /// The families of all its times, the total and the run's duration among them.
    pub(crate) fn times(&self) -> Vec<String> {
        let phases = self.phases().into_iter().chain(["total"]);
        phases.map(|phase| format!("watchpost_{phase}_time_seconds")).chain(["watchpost_run_duration_seconds".into()]).collect()
    }
}

/// A mailbox that `delivery` fills, and one that nobody does.
const FILLED: RangeInclusive<u64> = 1..=10_000;
const EMPTY: RangeInclusive<u64> = 0..=0;

/// The jobs of `schedules/demo.toml`, by what the file promises.
pub(crate) fn of(lab: &Lab) -> Vec<Job> {
    let at = |service: &str| format!("127.0.0.1:{}", lab.port(service));
    let job = |agent, name: &str, target, server, seconds, more, needs| Job {
        name: name.into(),
        agent,
        target,
        server,
        more,
        figures: Vec::new(),
        needs,
        interval: Duration::from_secs(seconds),
    };
    let smtp = |name: &str, service: &str, server, seconds, more, needs| job("smtp", name, at(service), server, seconds, more, needs);
    let greeting = |service: &str, needs| smtp(&format!("greeting@127.0.0.1-{}", lab.port(service)), service, None, 10, &[], needs);
    let pop3 = |name: &str, service: &str, seconds, more, messages: RangeInclusive<u64>| {
        let bytes = if messages == EMPTY { EMPTY } else { 200..=*messages.end() * 2000 };
        let figures = vec![("watchpost_pop3_mailbox_size", messages), ("watchpost_pop3_mailbox_bytes", bytes)];
        Job { figures, ..job("pop3", name, at(service), Some("dovecot"), seconds, more, &["dovecot"]) }
    };
    let dns = |name: &str, question: &str, seconds, more, answers: u64| {
        let target = format!("{question} @{}", at("dns"));
        let figures = vec![("watchpost_dns_answers", answers..=answers), ("watchpost_dns_answer_ttl_seconds", 60..=60)];
        Job { figures, ..job("dns", name, target, Some("bind"), seconds, more, &["named"]) }
    };
    let (postfix, both): (&[_], &[_]) = (&["postfix"], &["postfix", "dovecot"]);
    vec![
        smtp("relay", "smtp", Some("postfix"), 5, &["mail", "rcpt"], postfix),
        smtp("relay-tls", "smtp", Some("postfix"), 5, &["tls"], postfix),
        smtp("submission", "submission", Some("postfix"), 5, &["tls", "authenticate", "mail", "rcpt"], both),
        smtp("smtps", "smtps", Some("postfix"), 10, &["tls", "authenticate"], both),
        smtp("dovecot-submission", "dovecot_submission", Some("dovecot"), 10, &["tls", "authenticate", "mail", "rcpt"], both),
        smtp("delivery", "smtp", Some("postfix"), 15, &["mail", "rcpt", "data", "transmission"], postfix),
        job("roundtrip", "roundtrip", format!("{} to echo@lab.test", at("smtp")), Some("postfix"), 10, &[], both),
        greeting("smtp", postfix),
        greeting("dovecot_submission", &["dovecot"]),
        pop3("mailbox", "pop3", 5, &["tls", "download"], FILLED),
        pop3("pop3s", "pop3s", 10, &["tls"], EMPTY),
        pop3("mailbox-apop", "pop3", 10, &["download"], FILLED),
        dns("address", "mail.lab.test A", 5, &[], 1),
        dns("exchangers", "lab.test MX", 5, &[], 2),
        dns("dmarc", "_dmarc.lab.test TXT", 10, &["connect"], 1),
    ]
}
