//! The lab's name server asked by TLS and compared with its secondary, beside what `dig` says of both.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use watchpost_dns::{Dns, SERIAL_LAG, SERIALS_DISTINCT, SOA_SERIAL};
use watchpost_plugin_api::{Metric, Unit, standard::*};
use watchpost_testkit::{Kit, Lab, Ran};

const ANSWERS: Metric = Metric::gauge("answers", Unit::Answers, "As the agent has it.");

/// What `dig` prints with these words.
fn dig(words: &[&str]) -> Vec<String> {
    let output = Command::new("dig").args(["+short", "+time=5", "+tries=1"]).args(words).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut lines: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

async fn run(keys: Value) -> Ran {
    Kit::<Dns>::new(&keys).unwrap().run().await
}

#[tokio::test]
async fn the_name_server_is_asked_by_tls_and_compared_with_one_that_is_behind() {
    let Some(lab) = Lab::up(&["named"], &["bind9", "bind9-dnsutils", "openssl"]).unwrap() else { return };
    answers_come_by_tls(&lab).await;
    serials_are_compared(&lab).await;
}

fn by_tls(lab: &Lab, host: &str, name: &str, rtype: &str) -> Value {
    let (port, ca) = (lab.port("dot"), lab.ca_file());
    json!({ "host": host, "port": port, "name": name, "type": rtype, "transport": "tls", "server_name": "mail.lab.test", "ca_file": ca })
}

async fn answers_come_by_tls(lab: &Lab) {
    let (port, ca) = (lab.port("dot").to_string(), format!("+tls-ca={}", lab.ca_file().display()));
    for (name, rtype) in [("lab.test", "MX"), ("big.lab.test", "TXT"), ("mail.lab.test", "A"), ("nobody.lab.test", "AAAA")] {
        let expected = dig(&["@127.0.0.1", "-p", &port, "+tls", &ca, "+tls-hostname=mail.lab.test", name, rtype]);
        let mut config = by_tls(lab, "127.0.0.1", name, rtype);
        config["expect"] = if expected.is_empty() { json!("NXDOMAIN") } else { json!(expected) };
        let ran = run(config).await;
        assert_eq!(ran.failure(), None, "{ran:#?}");
        assert_eq!(ran.value(ANSWERS), Some(expected.len() as f64), "{name}");
        let phases: u64 = [RESOLVE_TIME, CONNECT_TIME, TLS_TIME, QUERY_TIME].into_iter().map(|phase| ran.nanos(phase).unwrap()).sum();
        assert_eq!(ran.nanos(TOTAL_TIME), Some(phases), "{ran:#?}");
        assert!(ran.nanos(TLS_TIME) > Some(0));
    }
}

/// A secondary that missed the last change of its zone: a second named, until this is dropped.
struct Behind {
    child: Child,
    port: u16,
}

impl Behind {
    fn start(lab: &Lab) -> Self {
        // The block of a lab's ports has a hundred, and its last but one is nobody's.
        let port = lab.port("dns") - 53 + 98;
        let (folder, named) = (lab.dir().join("behind"), lab.dir().join("named"));
        fs::create_dir(&folder).unwrap();
        let zone = fs::read_to_string(named.join("lab.test.zone")).unwrap().replace("( 2 3600", "( 1 3600");
        fs::write(folder.join("zone"), zone).unwrap();
        let config = format!(
            "options {{ directory \"{}\"; pid-file none; lock-file none; session-keyfile none; listen-on port {port} {{ 127.0.0.1; }};\n\
             listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; }}; controls {{ }};\n\
             zone \"lab.test\" {{ type primary; file \"zone\"; }};\n",
            folder.display()
        );
        fs::write(folder.join("named.conf"), config).unwrap();
        let mut command = Command::new(named.join("named"));
        command.arg("-f").arg("-c").arg(folder.join("named.conf")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let behind = Self { child: command.spawn().unwrap(), port };
        let deadline = Instant::now() + Duration::from_secs(30);
        while soa(port).is_none() {
            assert!(Instant::now() < deadline, "the second named does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        behind
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        // It is ours, and may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The serial number that a server tells `dig`; `None` while it does not answer.
fn soa(port: u16) -> Option<f64> {
    let words = ["@127.0.0.1", "-p", &port.to_string(), "+short", "+time=1", "+tries=1", "lab.test", "SOA"];
    let output = Command::new("dig").args(words).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').nth(2)?.parse().ok()
}

async fn serials_are_compared(lab: &Lab) {
    let behind = Behind::start(lab);
    let (port, other) = (lab.port("dns"), format!("127.0.0.1:{}", behind.port));
    let told = [port, behind.port].map(|port| soa(port).unwrap());
    let keys = json!({ "host": "127.0.0.1", "port": port, "name": "lab.test", "type": "SOA", "agree": [other] });
    let ran = run(keys.clone()).await;
    assert_eq!(ran.failure(), None, "{ran:#?}");
    let of = |metric: Metric| -> Vec<f64> {
        ran.outcome.samples.iter().filter(|sample| sample.metric == metric.name()).map(|sample| sample.value).collect()
    };
    assert_eq!((of(SOA_SERIAL), of(SERIAL_LAG), of(SERIALS_DISTINCT)), (told.to_vec(), vec![0.0, 1.0], vec![2.0]));
    assert_eq!(told, [2.0, 1.0]);
    let mut strict = keys.clone();
    strict["must_agree"] = json!(true);
    let ran = run(strict).await;
    assert!(ran.failure().is_some_and(|(kind, why)| kind == "protocol" && why.contains("the servers differ")), "{ran:#?}");
    drop(behind);
    let ran = run(keys).await;
    assert!(ran.failure().is_some_and(|(kind, why)| kind == "connect" && why.starts_with(&other)), "{ran:#?}");
}
