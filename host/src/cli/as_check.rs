//! A run as a Nagios check: one line, and an exit code of its own.

use watchpost_plugin_api::MetricSpec;
use watchpost_services::outcome::{Outcome as Measured, Status};

use super::{failure::Failure, time};
use crate::{
    config::Weight,
    nagios::{Verdict, figure, line as safe},
};

/// The exit code of a run.
pub(super) fn code(status: &Status) -> u8 {
    Verdict::of(status) as u8
}

/// The line of a run.
pub(super) fn line(target: &str, outcome: &Measured, metrics: &[MetricSpec]) -> String {
    let word = Verdict::of(&outcome.status).word();
    let text = match &outcome.status {
        Status::Ok => format!("answered in {}", time::short(outcome.duration_ns as f64 / 1e9)),
        Status::Failed { kind, message } => format!("{kind}: {message}"),
    };
    let figures: Vec<String> = outcome.samples.iter().map(|sample| figure(sample, metrics)).collect();
    let said = format!("WATCHPOST {word} - {}", safe(&format!("{target}: {text}")));
    if figures.is_empty() { said } else { format!("{said} | {}", figures.join(" ")) }
}

/// What could not be measured is no verdict on the target: the line says why, and the exit code is that of unknown.
pub(super) fn unknown(failure: Failure) -> Failure {
    let why = match &failure {
        Failure::Failed(trouble) | Failure::Wrong(trouble) => trouble.to_string(),
        Failure::Faults(faults) => {
            eprintln!("{faults}");
            let first = faults.iter().find(|fault| fault.weight == Weight::Error);
            first.map_or("the configuration has faults".into(), |fault| fault.message.clone())
        }
        Failure::Told(_) => return failure,
    };
    println!("{}", unknown_line(&why));
    Failure::Told(Verdict::Unknown as u8)
}

/// The line of a check that was asked wrongly.
pub(super) fn unknown_line(why: &str) -> String {
    format!("WATCHPOST UNKNOWN - {}", safe(why))
}

#[cfg(test)]
mod tests {
    use watchpost_plugin_api::{ErrorKind, Kind, Unit};
    use watchpost_services::outcome::Sample;

    use super::*;

    fn outcome(status: Status) -> Measured {
        let sample = |metric: &str, value, label: Option<&str>| Sample {
            metric: metric.into(),
            labels: label.map(str::to_owned).into_iter().collect(),
            value,
        };
        let samples = vec![
            sample("connect_time", 0.5, None),
            sample("messages", 3.0, None),
            sample("mailbox_bytes", 1024.0, None),
            sample("sent", 7.0, None),
            sample("queue_size", 1.0, Some("a=b 'c'")),
        ];
        Measured { status, samples, duration_ns: 2_000_000_000, ..Measured::failed(ErrorKind::LOCAL, "", 0) }
    }

    fn metrics() -> Vec<MetricSpec> {
        let spec = |name: &str, kind, unit| MetricSpec { name: name.into(), kind, unit, help: String::new(), keys: Vec::new() };
        vec![
            spec("connect_time", Kind::Gauge, Unit::Seconds),
            spec("messages", Kind::Gauge, Unit::Messages),
            spec("mailbox_bytes", Kind::Gauge, Unit::Bytes),
            spec("sent", Kind::Counter, Unit::Messages),
        ]
    }

    #[test]
    fn a_run_is_a_verdict_a_sentence_and_figures_with_the_units_of_the_guidelines() {
        let figures = "connect_time=0.5s messages=3 mailbox_bytes=1024B sent=7c queue_size.a_b__c_=1";
        let failed = |kind, message: &str| Status::Failed { kind, message: message.into() };
        let table = [
            (Status::Ok, 0, "WATCHPOST OK - mx:25: answered in 2.00 s"),
            (failed(ErrorKind::TLS, "a|b\nc"), 2, "WATCHPOST CRITICAL - mx:25: tls: a/b\u{fffd}c"),
            (failed(ErrorKind::LIMIT, "too much"), 3, "WATCHPOST UNKNOWN - mx:25: limit: too much"),
        ];
        for (status, expected_code, expected) in table {
            assert_eq!(code(&status), expected_code, "{expected}");
            assert_eq!(line("mx:25", &outcome(status), &metrics()), format!("{expected} | {figures}"));
        }
    }
}
