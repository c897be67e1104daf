//! The text, to the byte.

use watchpost::expose::prometheus::{Families, Format};
use watchpost_plugin_api::{Kind, Unit};
use watchpost_services::outcome::Status;

use crate::fixture::{NOW_NS, latest, metric, mixed, reading, rendered, sample, shape};

const TEXT: &str = r#"# HELP watchpost_connect_time_seconds Time to open the connection.
# TYPE watchpost_connect_time_seconds gauge
watchpost_connect_time_seconds{agent="pop3",job="pop-paris",target="127.0.0.1:1110",site="paris"} 0.0021
watchpost_connect_time_seconds{agent="smtp",job="smtp-a",target="127.0.0.1:1110"} 1
# HELP watchpost_pop3_hit_ratio About hit_ratio.
# TYPE watchpost_pop3_hit_ratio gauge
watchpost_pop3_hit_ratio{agent="pop3",job="pop-paris",target="127.0.0.1:1110",site="paris"} 0.5
# HELP watchpost_queue_size Messages in the queue.
# TYPE watchpost_queue_size gauge
watchpost_queue_size{agent="pop3",job="pop-paris",target="127.0.0.1:1110",site="paris",queue="deferred"} 3
watchpost_queue_size{agent="pop3",job="pop-paris",target="127.0.0.1:1110",site="paris",queue="active"} 0
# HELP watchpost_received_bytes_total Volume received.
# TYPE watchpost_received_bytes_total counter
watchpost_received_bytes_total{agent="pop3",job="pop-paris",target="127.0.0.1:1110",site="paris"} 12
# HELP watchpost_run_duration_seconds Time that the last run took.
# TYPE watchpost_run_duration_seconds gauge
watchpost_run_duration_seconds{agent="pop3",job="pop-paris",target="127.0.0.1:1110",site="paris"} 0.0025
watchpost_run_duration_seconds{agent="smtp",job="smtp-a",target="127.0.0.1:1110"} 0.0025
watchpost_run_duration_seconds{agent="smtp",job="smtp-b",target="127.0.0.1:1110"} 0.0025
# HELP watchpost_smtp_size_limit_bytes About size_limit.
# TYPE watchpost_smtp_size_limit_bytes gauge
watchpost_smtp_size_limit_bytes{agent="smtp",job="smtp-a",target="127.0.0.1:1110"} 10000000
# HELP watchpost_up 1 if the target did what it should, 0 if it did not.
# TYPE watchpost_up gauge
watchpost_up{agent="pop3",job="pop-paris",target="127.0.0.1:1110",site="paris"} 1
watchpost_up{agent="smtp",job="smtp-a",target="127.0.0.1:1110"} 0
"#;

#[test]
fn families_are_named_grouped_and_ordered_as_the_contract_says() {
    assert_eq!(rendered(&mixed(), Format::Text), TEXT);
}

#[test]
fn open_metrics_differs_in_heads_of_counters_units_and_the_end() {
    let text = rendered(&mixed(), Format::OpenMetrics);
    let counter = "# HELP watchpost_received_bytes Volume received.\n# TYPE watchpost_received_bytes counter\n\
                   # UNIT watchpost_received_bytes bytes\nwatchpost_received_bytes_total{agent=";
    assert!(text.contains(counter), "{text}");
    assert!(text.contains("# UNIT watchpost_pop3_hit_ratio ratio\n"), "{text}");
    assert!(!text.contains("# UNIT watchpost_queue_size"), "{text}");
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    let lines = |text: &str| text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&text), lines(TEXT));
}

#[test]
fn stale_jobs_have_no_line() {
    let snapshot = mixed().snapshot(NOW_NS + 1);
    assert_eq!(snapshot.jobs.len(), 3);
    assert!(Families::of(&snapshot).is_empty());
}

/// Every series of `jobs` but `left_out` is written, and each name has one type.
fn check_clash(jobs: Vec<(&str, &str, Vec<watchpost_plugin_api::MetricSpec>)>, left_out: u64) {
    let readings = jobs.into_iter().map(|(job, agent, metrics)| {
        let samples = metrics.iter().map(|metric| sample(&metric.name, &[], 1.0)).collect();
        (shape(job, agent, &[], metrics), reading(job, Status::Ok, samples))
    });
    let latest = latest(readings.collect());
    assert_eq!(Families::of(&latest.snapshot(NOW_NS)).left_out(), left_out);
    crate::parser::parse(&rendered(&latest, Format::OpenMetrics)).unwrap();
}

#[test]
fn a_family_of_two_meanings_keeps_the_first() {
    let seconds = |name| metric(name, Kind::Gauge, Unit::Seconds, &[]);
    check_clash(vec![("a", "connect", vec![seconds("time")]), ("b", "pop3", vec![seconds("connect_time")])], 1);
    check_clash(vec![("a", "pop3", vec![seconds("wait"), seconds("wait_seconds")])], 1);
    check_clash(vec![("a", "run", vec![seconds("duration")])], 1);
    let counter = metric("wait", Kind::Counter, Unit::Seconds, &[]);
    check_clash(vec![("a", "pop3", vec![seconds("wait")]), ("b", "pop3", vec![counter.clone()]), ("c", "imap", vec![counter])], 1);
    check_clash(vec![("a", "pop3", vec![metric("connect_time", Kind::Counter, Unit::Seconds, &[])])], 1);
}

#[test]
fn samples_that_do_not_fit_their_declaration_are_left_out_and_counted() {
    let metrics = vec![metric("size", Kind::Gauge, Unit::Number, &["queue"]), metric("up", Kind::Gauge, Unit::Number, &[])];
    let samples = vec![
        sample("size", &[], 1.0),
        sample("size", &["a"], f64::NAN),
        sample("stranger", &[], 1.0),
        sample("up", &[], 1.0),
        sample("size", &["a"], 1.0),
    ];
    let latest = latest(vec![(shape("a", "pop3", &[], metrics), reading("a", Status::Ok, samples))]);
    let snapshot = latest.snapshot(NOW_NS);
    let families = Families::of(&snapshot);
    assert_eq!((families.left_out(), families.len()), (4, 3));
}

#[test]
fn a_label_of_the_metric_takes_the_place_of_the_jobs() {
    let metrics = vec![metric("size", Kind::Gauge, Unit::Number, &["queue"])];
    let labels = [("queue", "of the job"), ("site", "paris")];
    let samples = vec![sample("size", &["active"], 1.0)];
    let latest = latest(vec![(shape("a", "pop3", &labels, metrics), reading("a", Status::Ok, samples))]);
    let line = "watchpost_pop3_size{agent=\"pop3\",job=\"a\",target=\"127.0.0.1:1110\",site=\"paris\",queue=\"active\"} 1\n";
    assert!(rendered(&latest, Format::Text).contains(line));
}
