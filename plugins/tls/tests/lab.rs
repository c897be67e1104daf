//! The lab's doors, good and bad, beside what openssl says of the same ones.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
    sync::Mutex,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::json;
use watchpost_testkit::{Kit, Lab, Ran};
use watchpost_tls::*;

/// How far our clock may be from the moment of the handshake.
const TOLERANCE_SECONDS: f64 = 60.0;

/// Doors of one kind: the service, and the command that begins TLS there.
const DOORS: [(&str, Option<&str>); 9] = [
    ("smtp", Some("smtp")),
    ("smtps", None),
    ("submission", Some("smtp")),
    ("imap", Some("imap")),
    ("imaps", None),
    ("pop3", Some("pop3")),
    ("pop3s", None),
    ("ldap", Some("ldap")),
    ("ldaps", None),
];
/// Those of them that are served at the faulty addresses, too.
const FAULTY_DOORS: [&str; 5] = ["smtp", "smtps", "imap", "pop3", "pop3s"];

/// What openssl saw of a door.
struct Seen {
    chain: Vec<String>,
    session: String,
    expires: f64,
    sha256: String,
}

fn fed(program: &str, words: &[&str], input: &str) -> String {
    let mut child = Command::new(program).args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned()
}

/// When a certificate ends, in seconds since 1970, as openssl and date tell it; they are asked once about each.
fn end(pem: &str) -> f64 {
    static KNOWN: Mutex<BTreeMap<String, f64>> = Mutex::new(BTreeMap::new());
    *KNOWN.lock().unwrap().entry(pem.to_owned()).or_insert_with(|| told_end(pem))
}

fn told_end(pem: &str) -> f64 {
    let told = fed("openssl", &["x509", "-noout", "-enddate"], pem);
    let date = told.trim().strip_prefix("notAfter=").unwrap();
    fed("date", &["--utc", "--date", date, "+%s"], "").trim().parse().unwrap()
}

fn s_client(address: &str, starttls: Option<&str>, words: &[&str]) -> String {
    let mut all = vec!["s_client", "-connect", address, "-servername", "mail.lab.test", "-showcerts"];
    all.extend(starttls.into_iter().flat_map(|protocol| ["-starttls", protocol]));
    all.extend(words);
    fed("openssl", &all, "")
}

fn seen(address: &str, starttls: Option<&str>) -> Seen {
    let text = s_client(address, starttls, &[]);
    let (begin, last) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    let chain: Vec<String> = text.split(begin).skip(1).map(|part| format!("{begin}{}{last}\n", part.split(last).next().unwrap())).collect();
    let print = fed("openssl", &["x509", "-noout", "-fingerprint", "-sha256"], &chain[0]);
    let sha256 = print.trim().split_once('=').unwrap().1.replace(':', "").to_lowercase();
    // The first of these stands for the session: `New, TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384`.
    let new = text.lines().find_map(|line| line.strip_prefix("New, ")).unwrap();
    let session = new.replace(", Cipher is", "");
    Seen { expires: end(&chain[0]), chain, session, sha256 }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

async fn run(lab: &Lab, host: &str, service: &str, starttls: Option<&str>, keys: serde_json::Value) -> Ran {
    let mut config = json!({ "host": host, "port": lab.port(service), "server_name": "mail.lab.test", "ca_file": lab.ca_file() });
    if let Some(protocol) = starttls {
        config["starttls"] = json!(protocol);
    }
    config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    Kit::<TlsAgent>::new(&config).unwrap().run().await
}

/// What was measured is what openssl saw.
fn compare(ran: &Ran, host: &str, service: &str, lab: &Lab, starttls: Option<&str>) -> Seen {
    let (moment, seen) = (now(), seen(&format!("{host}:{}", lab.port(service)), starttls));
    let near = |found: Option<f64>, expected: f64| found.is_some_and(|found| (found - (expected - moment)).abs() < TOLERANCE_SECONDS);
    assert!(near(ran.value(EXPIRES_IN), seen.expires), "{host} {service}: {ran:#?}");
    let first = seen.chain.iter().map(|pem| end(pem)).fold(f64::INFINITY, f64::min);
    assert!(near(ran.value(CHAIN_EXPIRES_IN), first), "{host} {service}: {ran:#?}");
    assert_eq!(ran.value(CHAIN_LENGTH), Some(seen.chain.len() as f64), "{host} {service}");
    assert_eq!(ran.value(KEY_BITS), Some(256.0));
    seen
}

#[tokio::test]
async fn every_door_is_seen_as_openssl_sees_it() {
    let servers = ["postfix", "dovecot", "slapd"];
    let packages = ["postfix", "dovecot-imapd", "dovecot-pop3d", "slapd", "openssl"];
    let Some(lab) = Lab::up(&servers, &packages).unwrap() else { return };
    good_doors(&lab).await;
    faulty_doors(&lab).await;
}

async fn good_doors(lab: &Lab) {
    for (service, starttls) in DOORS {
        let ran = run(lab, "127.0.0.1", service, starttls, json!({ "require": ["trusted", "name", "time"], "versions": true })).await;
        assert_eq!((ran.failure(), ran.outcome.events.len()), (None, 0), "{service}: {ran:#?}");
        let seen = compare(&ran, "127.0.0.1", service, lab, starttls);
        let sample = |metric: &'static str| ran.outcome.samples.iter().filter(move |sample| sample.metric == metric);
        assert_eq!(sample("session").map(|sample| sample.labels.join(" ")).collect::<Vec<_>>(), [seen.session]);
        let left = String::from_utf8(ran.outcome.cursor.clone().unwrap()).unwrap();
        assert!(left.contains(&seen.sha256), "{left}");
        // One door of each server is enough for what its library takes.
        let asked = if ["smtps", "imaps", "ldap"].contains(&service) { &[("TLSv1.2", "-tls1_2"), ("TLSv1.3", "-tls1_3")][..] } else { &[] };
        for &(version, word) in asked {
            let said = s_client(&format!("127.0.0.1:{}", lab.port(service)), starttls, &[word]);
            let taken = said.contains(&format!("New, {version}, Cipher is"));
            let found: Vec<f64> = sample("accepts").filter(|sample| sample.labels == [version]).map(|sample| sample.value).collect();
            assert_eq!(found, [f64::from(u8::from(taken))], "{service} {version}");
        }
    }
}

async fn faulty_doors(lab: &Lab) {
    for (fault, code, name_matches, requirement) in
        [("expired", "expired", 1.0, "time"), ("wrong_name", "wrong_name", 0.0, "name"), ("unknown_ca", "unknown_issuer", 1.0, "trusted")]
    {
        let host = lab.faulty(fault);
        for (service, starttls) in DOORS.into_iter().filter(|(service, _)| FAULTY_DOORS.contains(service)) {
            let ran = run(lab, host, service, starttls, json!({})).await;
            assert_eq!(ran.failure(), None, "{fault} {service}: {ran:#?}");
            compare(&ran, host, service, lab, starttls);
            assert_eq!((ran.value(TRUSTED), ran.value(NAME_MATCHES)), (Some(0.0), Some(name_matches)), "{fault} {service}");
            assert_eq!(ran.value(EXPIRES_IN) < Some(0.0), fault == "expired");
            let told: Vec<&str> = ran.outcome.events.iter().map(|event| event.code.as_str()).collect();
            assert_eq!(told, [code], "{fault} {service}");
        }
        let ran = run(lab, host, "smtp", Some("smtp"), json!({ "require": [requirement] })).await;
        assert_eq!(ran.failure().map(|(kind, _)| kind), Some("tls"), "{fault}: {ran:#?}");
    }
}
