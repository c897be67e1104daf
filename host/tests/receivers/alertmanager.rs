//! Debian's Alertmanager shows what fires, and what is resolved.

use std::{
    fs::{self, File},
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::{
    harness::until,
    programs::there,
    server::{Server, house},
    stories::SOON,
};

struct Alertmanager {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Alertmanager {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("am.yml");
        fs::write(&config, "route:\n  receiver: none\nreceivers:\n  - name: none\n").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = File::create(folder.path().join("log")).unwrap();
        let child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, port, _folder: folder }
    }

    /// All that it knows, resolved ones too where it still tells of them.
    fn alerts(&self) -> Option<Value> {
        let url = format!("http://127.0.0.1:{}/api/v2/alerts", self.port);
        let output = Command::new("curl").args(["--silent", "--fail", "--max-time", "5", &url]).output().unwrap();
        serde_json::from_slice(&output.stdout).ok()
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn alertmanager_shows_an_alarm_while_it_lasts() {
    if !there("prometheus-alertmanager") || !there("curl") {
        return;
    }
    let alertmanager = Alertmanager::start();
    until(SOON, || alertmanager.alerts()).expect("it answers");
    let mut server = Server::down();
    let channels = format!(
        "[[channel]]\nname = \"am\"\ntype = \"alertmanager\"\nurls = [\"http://127.0.0.1:{}\"]\n[[route]]\nchannels = [\"am\"]\nmatch = '{{job=\"mx\"}}'\n",
        alertmanager.port
    );
    let house = house(&server, &channels);
    let daemon = house.start();
    let firing = || alertmanager.alerts().filter(|alerts| alerts.as_array().is_some_and(|alerts| !alerts.is_empty()));
    let alerts = until(SOON, firing).expect("it fires");
    let alert = &alerts[0];
    assert_eq!((alert["labels"]["alertname"].as_str(), alert["labels"]["job"].as_str()), (Some("down"), Some("mx")), "{alert}");
    assert_eq!((alert["labels"]["site"].as_str(), alert["annotations"]["severity"].as_str()), (Some("paris"), Some("critical")), "{alert}");
    assert_eq!(alert["status"]["state"], "active");
    server.comes_up();
    // It lists none that is resolved.
    until(SOON, || alertmanager.alerts().filter(|alerts| alerts.as_array().is_some_and(Vec::is_empty))).expect("it is resolved");
    assert!(daemon.stop().status.success());
}
