//! Debian's Prometheus, scraping.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    demo::{ALL_RAN_TIMEOUT, BEAT, Demo},
    harness::{http, until},
    programs,
};

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
        seen = prometheus.query("watchpost_up");
        sleep(Duration::from_millis(200));
        (seen == expected).then_some(())
    });
    assert!(all.is_some(), "{seen:?}\n{}", prometheus.log());
    let scraped = prometheus.query("up{job=\"watchpost\"}");
    assert_eq!(scraped.into_iter().map(|(_, _, up)| up).collect::<Vec<_>>(), ["1"]);
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

    /// Job, target and value of each series that an instant query finds; nothing while Prometheus is not ready.
    fn query(&self, query: &str) -> BTreeSet<(String, String, String)> {
        let path = format!("/api/v1/query?query={}", query.replace('{', "%7B").replace('}', "%7D").replace('"', "%22"));
        let answer = http::get(self.address, &path).ok().and_then(|answer| serde_json::from_str::<Value>(&answer.body).ok());
        let results = answer.and_then(|answer| answer["data"]["result"].as_array().cloned()).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let row = |found: &Value| (text(&found["metric"]["job"]), text(&found["metric"]["target"]), text(&found["value"][1]));
        results.iter().map(row).collect()
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
