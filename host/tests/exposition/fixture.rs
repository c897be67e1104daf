//! Jobs and readings to expose.

use std::{sync::Arc, time::SystemTime};

use watchpost::{
    console::House,
    expose::{
        host_metrics::HostMetrics,
        http::{AlarmReader, Outward},
        prometheus::{Families, Format, render},
    },
    latest::{JobView, Latest},
    reading::{Cause, Reading, Shape},
    series::request::FetchError,
};
use watchpost_plugin_api::{ErrorKind, Kind, MetricSpec, Unit, standard};
use watchpost_services::outcome::{Outcome, Sample, Status};

pub(crate) const NOW_NS: i64 = 1_000_000_000_000;

pub(crate) fn metric(name: &str, kind: Kind, unit: Unit, keys: &[&str]) -> MetricSpec {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    MetricSpec { name: name.into(), kind, unit, help: format!("About {name}."), keys }
}

pub(crate) fn shape(job: &str, agent: &str, labels: &[(&str, &str)], metrics: Vec<MetricSpec>) -> Shape {
    let labels = labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    Shape { job: job.into(), agent: agent.into(), target: "127.0.0.1:1110".into(), labels, step_s: 30, metrics }
}

pub(crate) fn sample(metric: &str, labels: &[&str], value: f64) -> Sample {
    Sample { metric: metric.into(), labels: labels.iter().map(|label| (*label).to_owned()).collect(), value }
}

pub(crate) fn reading(job: &str, status: Status, samples: Vec<Sample>) -> Reading {
    let outcome = Outcome { status, samples, duration_ns: 2_500_000, ..Outcome::failed(ErrorKind::LOCAL, "", NOW_NS - 1) };
    Reading { job: job.into(), cause: Cause::Schedule, slot: 0, due_ns: NOW_NS - 1, stale_ns: NOW_NS + 1, outcome }
}

/// The last readings of jobs, each with its shape.
pub(crate) fn latest(jobs: Vec<(Shape, Reading)>) -> Latest {
    let latest = Latest::default();
    latest.set_jobs(jobs.iter().map(|(shape, _)| JobView { shape: shape.clone(), next_due_ns: None }));
    jobs.iter().for_each(|(_, reading)| latest.apply(reading));
    latest
}

/// Two agents that share a standard metric, labels of all three sorts, a counter, a job that fails and one of which nothing is known.
pub(crate) fn mixed() -> Latest {
    let smtp = vec![standard::CONNECT_TIME.spec(), metric("size_limit", Kind::Gauge, Unit::Bytes, &[])];
    let mut pop3 = vec![standard::CONNECT_TIME.spec(), standard::RECEIVED_BYTES.spec(), standard::QUEUE_SIZE.spec()];
    pop3.push(metric("hit_ratio", Kind::Gauge, Unit::Ratio, &[]));
    let of_pop3 = vec![
        sample("connect_time", &[], 0.0021),
        sample("received_bytes", &[], 12.0),
        sample("queue_size", &["deferred"], 3.0),
        sample("queue_size", &["active"], 0.0),
        sample("hit_ratio", &[], 0.5),
    ];
    let refused = Status::Failed { kind: ErrorKind::CONNECT, message: "refused".into() };
    let crashed = Status::Failed { kind: ErrorKind::CRASH, message: "gone".into() };
    let of_smtp = vec![sample("connect_time", &[], 1.0), sample("size_limit", &[], 1e7)];
    latest(vec![
        (shape("pop-paris", "pop3", &[("site", "paris")], pop3.clone()), reading("pop-paris", Status::Ok, of_pop3)),
        (shape("smtp-a", "smtp", &[], smtp.clone()), reading("smtp-a", refused, of_smtp)),
        (shape("smtp-b", "smtp", &[], smtp), reading("smtp-b", crashed, vec![])),
    ])
}

pub(crate) fn rendered(latest: &Latest, format: Format) -> String {
    render(&Families::of(&latest.snapshot(NOW_NS)), &[], format)
}

pub(crate) fn host() -> Arc<HostMetrics> {
    Arc::new(HostMetrics::new("0.1.0", SystemTime::now()).unwrap())
}

/// A daemon that is well, without workers.
fn house() -> House {
    let text = r#"{ "version": "0.1.0", "pid": 1, "started": 0, "config": "w.toml", "data": "data", "listen": "127.0.0.1:1",
        "memory_bytes": null, "not_ready": null, "journal": "ok", "series": "ok", "behind": {}, "refused_libraries": [] }"#;
    House { host: serde_json::from_str(text).unwrap(), workers: Vec::new() }
}

pub(crate) fn outward(latest: Latest, host: Arc<HostMetrics>) -> Outward {
    let events = Box::new(|_: &_| Ok(watchpost::event::store::Found::default()));
    let house = Box::new(house);
    let values = Box::new(|_: &_| Err(FetchError::NoSeries(vec!["no series matches that".into()])));
    let series = Box::new(|_: &_| Ok(Vec::new()));
    let alarms = AlarmReader {
        list: Box::new(|_| Ok(watchpost::alarm::request::Found { alarms: Vec::new(), more: false })),
        whole: Box::new(|number| Err(watchpost::alarm::request::AlarmRequestError::Unknown(number))),
        follow: Box::new(|| tokio::sync::broadcast::Sender::new(1).subscribe()),
    };
    Outward {
        latest: Arc::new(latest),
        host,
        events,
        values,
        series,
        alarms,
        house,
        ready: Box::new(|| Ok(())),
        now_ns: Box::new(|| NOW_NS),
    }
}
