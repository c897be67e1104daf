//! The sample beside this crate is a schedule whose jobs this agent takes, one for each sort of mailbox.

#![expect(clippy::expect_used, reason = "helpers of tests are tests")]

use serde_json::{Value, json};
use watchpost_roundtrip::Roundtrip;
use watchpost_testkit::Kit;

/// What the host does with a secret's place: it puts the value there.
fn with_secrets(value: &mut Value) {
    for (key, value) in value.as_object_mut().into_iter().flatten() {
        match key.as_str() {
            "password" => {
                let place = value.as_object().expect("a sample shows no plain password");
                assert!(["file", "env", "credential"].iter().any(|kind| place.contains_key(*kind)), "{place:?}");
                *value = json!("geheim");
            }
            _ => with_secrets(value),
        }
    }
}

#[test]
fn every_job_of_the_sample_is_taken() {
    let sample: toml::Table = toml::from_str(include_str!("../sample.toml")).unwrap();
    let mut seen = Vec::new();
    for job in sample["job"].as_array().unwrap() {
        assert_eq!(job["agent"].as_str(), Some("roundtrip"));
        let mut config = serde_json::to_value(&job["config"]).unwrap();
        with_secrets(&mut config);
        let targets = job.get("targets").and_then(|targets| targets.as_array()).cloned().unwrap_or_else(|| vec!["".into()]);
        for target in targets {
            let mut config = config.clone();
            if let Some(host) = target.as_str().filter(|host| !host.is_empty()) {
                config["host"] = json!(host);
            }
            let examined = Kit::<Roundtrip>::examine(&config).unwrap();
            assert!(!examined.repeatable);
            let ports: Vec<u16> = examined.needs.ports.iter().map(|port| port.number).collect();
            seen.push((job["name"].as_str().unwrap().to_owned(), examined.target, ports));
        }
    }
    let expected = [
        ("mx-to-imap", "mx1.example.org:25 to probe@example.net", &[25, 993][..]),
        ("people", "mail.example.org:587 to probe@example.org", &[587, 143]),
        ("pop3", "mx1.example.org:25 to probe-pop@example.net", &[25, 995]),
        ("to-paris", "mx1.example.org:25 to probe@paris.example.org", &[25, 993]),
        ("to-paris", "mx2.example.org:25 to probe@paris.example.org", &[25, 993]),
        ("to-berlin", "mx1.example.org:25 to probe@berlin.example.org", &[25]),
        ("to-berlin", "mx2.example.org:25 to probe@berlin.example.org", &[25]),
    ];
    assert_eq!(seen, expected.map(|(name, target, ports)| (name.to_owned(), target.to_owned(), ports.to_vec())));
}
