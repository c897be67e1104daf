//! The programs for which the text is written: promtool and Prometheus, as packaged.

use std::{
    collections::HashSet,
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    http::Request,
    middleware::{Next, from_fn},
};
use tokio::net::TcpListener;
use watchpost::{
    expose::{
        http::{Hosts, Limits, router, serve},
        prometheus::{Families, Format, render},
    },
    latest::JobView,
};
use watchpost_plugin_api::{ErrorKind, Kind, Unit, standard};
use watchpost_services::outcome::Status;

use crate::fixture::{NOW_NS, host, latest, metric, mixed, outward, reading, sample, shape};

/// How long Prometheus gets to start and scrape once.
const PROMETHEUS_TIME_MAX: Duration = Duration::from_secs(45);

/// Ends the child with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(command: &mut Command) -> Child {
    command.spawn().unwrap_or_else(|error| panic!("cannot run {:?} ({error}): install the package `prometheus`", command.get_program()))
}

fn check_by_promtool(text: &str) {
    let mut promtool = Command::new("promtool");
    let mut child = spawn(promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "promtool: {}\n{text}", String::from_utf8_lossy(&said));
}

#[test]
fn promtool_finds_nothing_in_any_metric_of_ours() {
    let samples = standard::ALL.iter().map(|metric| sample(metric.name(), &vec!["\"a\\\nb"; metric.spec().keys.len()], 1e300));
    let shape = shape("all", "pop3", &[("site", "é\"\\\n\0\r")], standard::ALL.iter().map(|metric| metric.spec()).collect());
    let latest = latest(vec![(shape, reading("all", Status::Ok, samples.collect()))]);
    let host = host();
    host.run_ended("pop3", &Status::Ok);
    host.run_ended("pop3", &Status::Failed { kind: ErrorKind::TIMEOUT, message: String::new() });
    host.run_skipped(1);
    host.run_lagged(Duration::from_micros(300));
    host.journal_appended(3, 400);
    host.journal_synced(1, Duration::from_millis(2));
    host.worker_crashed("libpop3.so", 1);
    host.worker_restarted("libpop3.so", 1);
    host.set_consumer_behind("series", 4);
    host.rules_stand(&watchpost::alarm::ledger::standing::Census::default());
    host.set_jobs(7);
    host.set_workers(2);
    host.set_journal_queue(0);
    host.set_series_rows_pending(1);
    host.set_series_left_out(0);
    host.reload_passed(std::time::SystemTime::now());
    let snapshot = latest.snapshot(NOW_NS);
    let text = render(&Families::of(&snapshot), &host.gather(), Format::Text);
    check_by_promtool(&text);
    let families = crate::parser::parse(&render(&Families::of(&snapshot), &host.gather(), Format::OpenMetrics)).unwrap();
    assert!(families.len() > standard::ALL.len() + 25, "{} families", families.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_reads_open_metrics() {
    check_by_prometheus(Format::OpenMetrics).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_reads_text() {
    check_by_prometheus(Format::Text).await;
}

/// Hides what the scraper asks for where text is wanted (Prometheus prefers OpenMetrics), and notes what it is given.
fn in_format(format: Format, routes: Router, given: Arc<Mutex<HashSet<String>>>) -> Router {
    routes.layer(from_fn(move |mut request: Request<axum::body::Body>, next: Next| {
        let given = given.clone();
        async move {
            if format == Format::Text {
                request.headers_mut().remove("accept");
            }
            let response = next.run(request).await;
            given.lock().unwrap().insert(response.headers()["content-type"].to_str().unwrap().to_owned());
            response
        }
    }))
}

/// Has Prometheus scrape our listener and asks it for what we exposed.
async fn check_by_prometheus(format: Format) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let host = host();
    let jobs = mixed();
    let hostile = "a\"b\\c\nd\0é";
    let odd = shape("odd", "odd", &[("site", hostile)], vec![metric("big", Kind::Gauge, Unit::Number, &[])]);
    let known = jobs.snapshot(NOW_NS).jobs;
    let shapes = known.iter().map(|job| (*job.shape).clone()).chain([odd]);
    jobs.set_jobs(shapes.map(|shape| JobView { shape, next_due_ns: None }));
    jobs.apply(&reading("odd", Status::Ok, vec![sample("big", &[], 1e300)]));
    let given = Arc::new(Mutex::new(HashSet::new()));
    let routes = in_format(format, router(outward(jobs, host.clone()), Hosts::of(address, "127.0.0.1")), given.clone());
    let serving = tokio::spawn(serve(listener, routes, host, Limits::default(), std::future::pending()));
    tokio::task::spawn_blocking(move || {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        let targets = format!("static_configs: [{{targets: ['{address}']}}]");
        fs::write(&config, format!("scrape_configs: [{{job_name: w, honor_labels: true, scrape_interval: 1s, {targets}}}]")).unwrap();
        let api = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut prometheus = Command::new("prometheus");
        prometheus
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        prometheus.arg(format!("--web.listen-address={api}")).stdout(Stdio::null()).stderr(Stdio::null());
        let _running = Running(spawn(&mut prometheus));
        let line = |query: &str| await_answer(api, query);
        assert!(line("watchpost_connect_time_seconds%7Bjob%3D%22pop-paris%22%7D").contains("\"0.0021\""));
        assert!(line("watchpost_received_bytes_total").contains("\"12\""));
        assert!(line("watchpost_up%7Bjob%3D%22smtp-a%22%7D").contains("\"0\""));
        let odd = line("watchpost_odd_big");
        assert!(odd.contains("\"1e+300\"") || odd.contains("\"1000000"), "{odd}");
        assert!(odd.contains(r#""site":"a\"b\\c\nd"#), "{odd}");
    })
    .await
    .unwrap();
    serving.abort();
    assert_eq!(given.lock().unwrap().iter().collect::<Vec<_>>(), [format.content_type()]);
}

/// The answer to a query once there is one.
fn await_answer(api: std::net::SocketAddr, query: &str) -> String {
    let began = Instant::now();
    let mut answer = String::new();
    while began.elapsed() < PROMETHEUS_TIME_MAX {
        answer = ask(api, query).unwrap_or_else(|error| error.to_string());
        if answer.contains("\"value\"") {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("Prometheus has no {query} after {PROMETHEUS_TIME_MAX:?}: {answer}");
}

fn ask(api: std::net::SocketAddr, query: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&api, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET /api/v1/query?query={query} HTTP/1.0\r\nHost: {api}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
