//! Debian's rsyslog parses what it is sent.

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

struct Rsyslog {
    child: Child,
    folder: tempfile::TempDir,
}

impl Rsyslog {
    fn start(input: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let template = "template(name=\"told\" type=\"list\" option.jsonf=\"on\") {\n\
                        property(outname=\"severity\" name=\"syslogseverity\" format=\"jsonf\")\n\
                        property(outname=\"app\" name=\"app-name\" format=\"jsonf\")\n\
                        property(outname=\"id\" name=\"msgid\" format=\"jsonf\")\n\
                        property(outname=\"data\" name=\"structured-data\" format=\"jsonf\")\n\
                        property(outname=\"text\" name=\"msg\" format=\"jsonf\")\n}\n";
        let conf = format!(
            "$WorkDirectory {}\n{input}\n{template}\naction(type=\"omfile\" file=\"{}\" template=\"told\")\n",
            path(""),
            path("got")
        );
        fs::write(folder.path().join("rsyslog.conf"), conf).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let child = Command::new("rsyslogd")
            .args(["-n", "-f", &path("rsyslog.conf"), "-i", &path("pid")])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    fn got(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("got")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn is_parsed(scheme: &str, module: &str) {
    if !there("rsyslogd") {
        return;
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let input = format!("module(load=\"{module}\")\ninput(type=\"{module}\" address=\"127.0.0.1\" port=\"{port}\")");
    let rsyslog = Rsyslog::start(&input);
    let mut server = Server::down();
    let channels = format!(
        "[[channel]]\nname = \"log\"\ntype = \"syslog\"\nserver = \"{scheme}://127.0.0.1:{port}\"\nfacility = \"local4\"\n[[route]]\nchannels = [\"log\"]\nmatch = '{{job=\"mx\"}}'\n"
    );
    let house = house(&server, &channels);
    let daemon = house.start();
    until(SOON, || (!rsyslog.got().is_empty()).then_some(())).expect("it arrives");
    server.comes_up();
    let step = |step: &str| rsyslog.got().into_iter().find(|got| got["id"] == step);
    let cleared = until(SOON, || step("cleared")).expect("its end arrives");
    let raised = step("raised").expect("it was told before");
    assert_eq!((raised["app"].as_str(), raised["severity"].as_str()), (Some("watchpost"), Some("1")), "{raised}");
    let data = raised["data"].as_str().unwrap();
    assert!(data.starts_with("[alarm resource=\"127.0.0.1:") && data.contains("perceivedSeverity=\"critical\""), "{data}");
    assert!(data.contains("[watchpost@32473 id=") && data.contains("job=\"mx\""), "{data}");
    assert!(raised["text"].as_str().unwrap().contains("[CRITICAL] mx "), "{raised}");
    assert_eq!(cleared["severity"], "5");
    assert!(daemon.stop().status.success());
}

#[test]
fn rsyslog_parses_what_comes_by_udp() {
    is_parsed("udp", "imudp");
}

#[test]
fn rsyslog_parses_what_comes_by_tcp() {
    is_parsed("tcp", "imtcp");
}
