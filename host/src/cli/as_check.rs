//! A run as a Nagios check: one line, and an exit code of its own.
//!
//! Source: Monitoring Plugins Development Guidelines, "Plugin Output for Nagios", "Performance data".

use watchpost_plugin_api::{Kind, MetricSpec, Unit};
use watchpost_services::outcome::{Outcome as Measured, Sample, Status};

use super::{failure::Failure, table::plain, time};
use crate::config::Weight;

/// The exit codes of a check.
const OK: u8 = 0;
const CRITICAL: u8 = 2;
const UNKNOWN: u8 = 3;

/// The exit code of a run.
pub(super) fn code(status: &Status) -> u8 {
    match status.up() {
        Some(up) if up > 0.0 => OK,
        Some(_) => CRITICAL,
        None => UNKNOWN,
    }
}

/// The line of a run.
pub(super) fn line(target: &str, outcome: &Measured, metrics: &[MetricSpec]) -> String {
    let word = match code(&outcome.status) {
        OK => "OK",
        CRITICAL => "CRITICAL",
        _ => "UNKNOWN",
    };
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
    Failure::Told(UNKNOWN)
}

/// The line of a check that was asked wrongly.
pub(super) fn unknown_line(why: &str) -> String {
    format!("WATCHPOST UNKNOWN - {}", safe(why))
}

/// A figure, the values of its labels behind its name: `queue_size.deferred=3`.
fn figure(sample: &Sample, metrics: &[MetricSpec]) -> String {
    // What stands in a name without quotes.
    let safe = |label: &String| label.replace(|c: char| !c.is_alphanumeric() && !"-_.".contains(c), "_");
    let labels: String = sample.labels.iter().map(|label| format!(".{}", safe(label))).collect();
    format!("{}{labels}={}{}", sample.metric, sample.value, unit(sample, metrics))
}

/// The guidelines' unit of a figure: seconds, bytes, a counter, or none.
fn unit(sample: &Sample, metrics: &[MetricSpec]) -> &'static str {
    match metrics.iter().find(|metric| metric.name == sample.metric) {
        Some(metric) if metric.kind == Kind::Counter => "c",
        Some(metric) if metric.unit == Unit::Seconds => "s",
        Some(metric) if metric.unit == Unit::Bytes => "B",
        _ => "",
    }
}

/// A bar would begin the figures, and a line break the next line.
fn safe(text: &str) -> String {
    plain(text).replace('|', "/")
}

#[cfg(test)]
mod tests {
    use watchpost_plugin_api::ErrorKind;

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
