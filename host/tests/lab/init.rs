//! What `init` writes of real servers: a schedule that is fine, whose every job is up.

use std::fs;

use serde_json::Value;

use crate::{harness::House, servers::Lab};

/// Doors of the lab, and what stands behind each: the service, and how it may be encrypted.
const DOORS: [(&str, &str, &str); 8] = [
    ("smtp", "smtp", "starttls"),
    ("submission", "smtp", "starttls"),
    ("smtps", "smtp", "implicit"),
    ("imap", "imap", "starttls"),
    ("imaps", "imap", "implicit"),
    ("pop3", "pop3", "starttls"),
    ("pop3s", "pop3", "implicit"),
    ("dns", "dns", "none"),
];

#[test]
fn a_first_schedule_of_real_servers_is_fine_and_every_job_of_it_is_up() {
    let Some(lab) = Lab::up() else { return };
    let house = House::new("");
    let ports: Vec<String> = DOORS.iter().map(|(door, ..)| lab.port(door).to_string()).collect();
    let (file, dns) = (house.folder().join("jobs.toml").display().to_string(), format!("127.0.0.1:{}", lab.port("dns")));
    let words = ["init", "--domain", "lab.test", "--resolver", &dns, "--ca-file", lab.ca_file(), "--port", &ports.join(",")];
    let said = house.run(&[&words[..], &["-o", &file, "--force", "--json"]].concat()).ok();
    let said: Value = serde_json::from_str(&said).unwrap();
    let doors = said["doors"].as_array().unwrap();
    for ((door, service, tls), port) in DOORS.iter().zip(&ports) {
        let number: u16 = port.parse().unwrap();
        let at = |found: &&Value| found["port"] == number;
        let found = doors.iter().find(at).unwrap_or_else(|| panic!("{door} at {port} is not found: {said}"));
        let told = (found["service"].as_str(), found["agent"].as_str(), found["tls"].as_str(), &found["certificate"]);
        assert_eq!(told, (Some(*service), Some(*service), Some(*tls), &Value::Null), "{door}: {found}");
        assert_eq!(found["certificate_job"].is_string(), *tls != "none", "{door}: {found}");
    }
    let checked = house.run(&["check"]);
    assert_eq!((checked.code, checked.err.as_str()), (Some(0), ""), "{checked:?}\n{}", fs::read_to_string(&file).unwrap());
    let daemon = house.start();
    for job in doors.iter().flat_map(|door| [&door["job"], &door["certificate_job"]]).filter_map(Value::as_str) {
        let ran = house.run(&["jobs", "run", job]);
        // It may be due just now: then it runs without us.
        assert!(ran.code == Some(0) || ran.err.contains("is running just now"), "{job}: {ran:?}");
    }
    assert!(daemon.stop().status.success());

    // A certificate that has expired is told, and stands beside its job.
    let other = house.folder().join("expired.toml").display().to_string();
    let host = format!("{}:{}", lab.faulty("expired"), lab.port("smtp"));
    let said = house.run(&["init", "--host", &host, "--ca-file", lab.ca_file(), "-o", &other]).ok();
    assert!(said.contains(&format!("certificate: {host}: ")) && said.contains("does not name it"), "{said}");
    let text = fs::read_to_string(&other).unwrap();
    assert!(text.contains("expired") && text.contains("# It fails until that is mended"), "{text}");
}
