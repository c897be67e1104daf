//! Debian's Prometheus, scraping.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    demo::{ALL_RAN_TIMEOUT, BEAT, Demo},
    harness::until,
    programs,
};

/// How long Prometheus may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is asked again.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Families of one job, each with its value.
type Values = BTreeMap<String, f64>;

#[test]
fn prometheus_has_the_state_of_every_job_under_its_own_labels() {
    if !programs::there("prometheus") {
        return;
    }
    let Some(demo) = Demo::shared() else { return };
    let prometheus = Prometheus::scraping(demo.daemon.listen());
    let expected: BTreeSet<(String, String, String)> = demo
        .jobs()
        .into_iter()
        .map(|job| (job.name, job.target, "1".to_owned()))
        .chain([(BEAT.into(), format!("127.0.0.1:{}", demo.lab.port("smtp")), "1".into())])
        .collect();
    let mut seen = BTreeSet::new();
    let all = until(ALL_RAN_TIMEOUT, || {
        seen = prometheus.query("watchpost_up").iter().map(|found| (found.label("job"), found.label("target"), found.value())).collect();
        sleep(LOOK_EVERY);
        (seen == expected).then_some(())
    });
    assert!(all.is_some(), "{seen:?}\n{}", prometheus.log());
    let scraped = prometheus.query("up{job=\"watchpost\"}");
    assert_eq!(scraped.iter().map(Found::value).collect::<Vec<_>>(), ["1"]);
}

#[test]
fn prometheus_has_every_value_of_every_job_as_the_daemon_serves_it() {
    if !programs::there("prometheus") {
        return;
    }
    let Some(demo) = Demo::shared() else { return };
    let jobs = demo.jobs();
    let prometheus = Prometheus::scraping(demo.daemon.listen());
    demo.wait_for_whole(&jobs);
    for job in &jobs {
        let (mut ours, mut theirs) = (Values::new(), Values::new());
        // A run between two looks changes all: at some moment both have the same one.
        let same = until(ALL_RAN_TIMEOUT, || {
            ours = demo
                .scrape()
                .of_job(&job.name)
                .filter(|line| !job.tells_besides(&line.family))
                .map(|line| (line.family.clone(), line.value.parse().unwrap()))
                .collect();
            let found = prometheus.query(&format!("{{job=\"{}\",__name__=~\"watchpost_.*\"}}", job.name));
            theirs = found
                .iter()
                .filter(|found| !job.tells_besides(&found.label("__name__")))
                .map(|found| (found.label("__name__"), found.value().parse().unwrap()))
                .collect();
            let is_whole = ours.len() == job.times().len() + job.figures.len() + 1; // and `up`
            sleep(LOOK_EVERY);
            (is_whole && ours == theirs).then_some(())
        });
        assert!(same.is_some(), "{}: {ours:?} and in Prometheus {theirs:?}\n{}", job.name, prometheus.log());
    }
}

/// One series that a query found.
struct Found(Value);

impl Found {
    fn label(&self, key: &str) -> String {
        self.0["metric"][key].as_str().unwrap_or_default().to_owned()
    }

    fn value(&self) -> String {
        self.0["value"][1].as_str().unwrap_or_default().to_owned()
    }
}

/// A Prometheus with a folder of its own; ends when dropped.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Prometheus {
    fn scraping(target: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The configuration we tell people to use: without `honor_labels` our `job` would become `exported_job`.
        let config = format!(
            "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: watchpost\n    honor_labels: true\n    \
             static_configs:\n      - targets: [\"{target}\"]\n"
        );
        fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new("prometheus");
        command.current_dir(folder.path()).args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=warn"]);
        command.arg(format!("--web.listen-address={address}")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self { child: command.spawn().unwrap(), address, folder }
    }

    /// What an instant query finds; nothing while Prometheus is not ready.
    fn query(&self, query: &str) -> Vec<Found> {
        let escaped: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = self.ask(&format!("/api/v1/query?query={escaped}")).ok();
        let answer = answer.and_then(|answer| serde_json::from_str::<Value>(answer.split_once("\r\n\r\n")?.1).ok());
        let results = answer.and_then(|answer| answer["data"]["result"].as_array().cloned()).unwrap_or_default();
        results.into_iter().map(Found).collect()
    }

    /// Asks in HTTP/1.0: a long answer comes in one piece and ends with the connection. Half of one is no JSON.
    fn ask(&self, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")?;
        io::read_to_string(stream)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}
