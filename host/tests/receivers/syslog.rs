//! Debian's rsyslog parses what it is sent, and within TLS gets nothing while its certificate is none to trust.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::{
    harness::until,
    programs::{output_of, there},
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
    let tested = house.run(&["notify", "test", "log"]).ok();
    let confirmed = if scheme == "udp" {
        "a test was sent, and nobody confirms syslog by UDP: look whether it arrived"
    } else {
        "a test was delivered"
    };
    assert_eq!(tested, format!("log: {confirmed}\n"));
    let number = serde_json::from_str::<Value>(&house.run(&["alarms", "--json"]).ok()).unwrap()[0]["number"].to_string();
    house.run(&["alarms", "annotate", &number, "the provider knows"]).ok();
    server.comes_up();
    let step = |step: &str| rsyslog.got().into_iter().find(|got| got["id"] == step);
    let cleared = until(SOON, || step("cleared")).expect("its end arrives");
    let noted = step("annotated").expect("what was written beside it is told");
    assert!(noted["text"].as_str().unwrap().ends_with(": the provider knows"), "{noted}");
    let raised = rsyslog.got().into_iter().find(|got| got["id"] == "raised" && got["severity"] == "1").expect("it was told before");
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

#[test]
fn a_machine_where_nobody_listens_takes_no_datagram() {
    let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let channel = format!("[[channel]]\nname = \"log\"\ntype = \"syslog\"\nserver = \"udp://127.0.0.1:{closed}\"\n");
    let house = house(&Server::down(), &channel);
    let daemon = house.start();
    let said = house.run(&["notify", "test", "log"]);
    assert!(
        said.code == Some(1) && said.err.contains(&format!("127.0.0.1:{closed}: ")) && said.err.contains("Connection refused"),
        "{said:?}"
    );
    assert!(daemon.stop().status.success());
}

/// Makes an authority, certificates of two servers that it vouches for, one of them expired, and an authority that vouches for nobody.
fn certificates(folder: &Path) {
    let path = |name: &str| folder.join(name).display().to_string();
    for name in ["ca", "other"] {
        let subject = format!("/CN=Told {name}");
        let words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", &subject];
        output_of("openssl", &[&words[..], &["-keyout", &path(&format!("{name}.key")), "-out", &path(&format!("{name}.pem"))]].concat());
    }
    fs::write(path("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    for (name, at) in [("good", None), ("expired", Some("2020-01-01"))] {
        let (key, request) = (path(&format!("{name}.key")), path(&format!("{name}.csr")));
        output_of("openssl", &["req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=log.test", "-keyout", &key, "-out", &request]);
        let (ca, ca_key, names, made) = (path("ca.pem"), path("ca.key"), path("names"), path(&format!("{name}.pem")));
        let words = [
            "x509",
            "-req",
            "-days",
            "30",
            "-CAcreateserial",
            "-in",
            &request,
            "-CA",
            &ca,
            "-CAkey",
            &ca_key,
            "-extfile",
            &names,
            "-out",
            &made,
        ];
        match at {
            None => output_of("openssl", &words),
            Some(at) => output_of("faketime", &[&[at, "openssl"], &words[..]].concat()),
        };
    }
}

/// A collector within TLS with one of these certificates.
fn within_tls(port: u16, folder: &Path, certificate: &str) -> Rsyslog {
    let path = |name: &str| folder.join(name).display().to_string();
    Rsyslog::start(&format!(
        "global(defaultNetstreamDriverCAFile=\"{}\" defaultNetstreamDriverCertFile=\"{}\" defaultNetstreamDriverKeyFile=\"{}\")\n\
         module(load=\"imtcp\" streamDriver.name=\"gtls\" streamDriver.mode=\"1\" streamDriver.authMode=\"anon\")\n\
         input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\")",
        path("ca.pem"),
        path(&format!("{certificate}.pem")),
        path(&format!("{certificate}.key")),
    ))
}

/// Unreachable at the start, then with an expired certificate, then as it should be: the daemon measures, says what is wrong, and loses nothing.
#[test]
fn within_tls_rsyslog_gets_everything_once_its_certificate_can_be_trusted() {
    if !there("rsyslogd") || !there("lmnsd_gtls") || !there("faketime") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = Server::down();
    let channel = |name: &str, ca: &str| {
        let ca = folder.path().join(ca).display().to_string();
        format!(
            "[[channel]]\nname = {name:?}\ntype = \"syslog\"\nserver = \"tls://127.0.0.1:{port}\"\nca_file = {ca:?}\n\
             [[route]]\nchannels = [{name:?}]\nmatch = '{{{}}}'\n",
            if name == "log" { "job=\"mx\"" } else { "site=\"nowhere\"" }
        )
    };
    let house = house(&server, &(channel("log", "ca.pem") + &channel("stranger", "other.pem")));
    let daemon = house.start();
    // Nobody listens: the daemon starts and measures all the same.
    let failing = |why: &str| {
        let listed = || house.run(&["notify"]).ok();
        until(SOON, || listed().contains(why).then_some(())).unwrap_or_else(|| panic!("{why}: {}", listed()));
        let said = house.run(&["notify", "test", "log"]);
        let begins = format!("error: cannot tell anybody by channel `log`: 127.0.0.1:{port}: ");
        assert!(said.code == Some(1) && said.err.starts_with(&begins) && said.err.contains(why), "{said:?}");
    };
    failing("Connection refused");
    let expired = within_tls(port, folder.path(), "expired");
    failing("the certificate expired on 2020-01-31, ");
    let which = "; the certificate is that of 127.0.0.1 (CN=log.test): it has to be renewed there";
    failing(which);
    let status = house.run(&["status"]).ok();
    assert!(status.contains(&format!("channel log CANNOT BE TOLD: 127.0.0.1:{port}: the certificate expired on 2020-01-31, ")), "{status}");
    assert!(status.replace('\n', " ").contains("(CN=log.test)"), "{status}");
    let told = |code: &str| {
        let events: Value = serde_json::from_str(&house.run(&["events", "--json"]).ok()).unwrap();
        let found = events.as_array().unwrap().iter().find(|event| event["code"] == code);
        found.map(|event| event["text"].as_str().unwrap().to_owned())
    };
    let down = until(SOON, || told("channel_down")).expect("an event tells of it");
    assert!(down.starts_with(&format!("channel log cannot be reached: 127.0.0.1:{port}: ")), "{down}");
    let alarms = || -> Vec<Value> { serde_json::from_str(&house.run(&["alarms", "--json"]).ok()).unwrap() };
    let is_it = |alarm: &Value| alarm["rule"] == "channel_down" && alarm["text"].as_str().is_some_and(|text| text.contains("channel log "));
    until(SOON, || alarms().iter().any(is_it).then_some(())).expect("and an alarm of the host");
    drop(expired);
    let rsyslog = within_tls(port, folder.path(), "good");
    until(Duration::from_secs(60), || (!rsyslog.got().is_empty()).then_some(())).expect("what waited arrives");
    server.comes_up();
    let step = |step: &str| rsyslog.got().into_iter().filter(|got| got["id"] == step).count();
    until(SOON, || (step("cleared") == 1).then_some(())).expect("its end arrives");
    assert_eq!((step("raised"), rsyslog.got()[0]["app"].as_str()), (1, Some("watchpost")));
    until(SOON, || told("channel_up")).expect("that it is back is told");
    assert_eq!(house.run(&["notify", "test", "log"]).ok(), "log: a test was delivered\n");
    let said = house.run(&["notify", "test", "stranger"]);
    assert!(
        said.err.contains(&format!("127.0.0.1:{port}: the certificate's authority is not in "))
            && said.err.contains("other.pem; the certificate is that of 127.0.0.1 (CN=log.test), signed by CN=Told ca: that authority's "),
        "{said:?}"
    );
    assert!(daemon.stop().status.success());
}
