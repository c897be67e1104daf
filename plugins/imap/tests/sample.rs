//! The sample beside this crate is a schedule whose jobs this agent takes, one for each use.

#![expect(clippy::expect_used, reason = "helpers of tests are tests")]

use serde_json::{Value, json};
use watchpost_imap::Imap;
use watchpost_testkit::Kit;

/// What the host does with a secret's place: it puts the value there.
fn with_secrets(mut config: Value) -> Value {
    if let Some(password) = config.get_mut("password") {
        let place = password.as_object().expect("a sample shows no plain password");
        assert!(["file", "env", "credential"].iter().any(|kind| place.contains_key(*kind)), "{place:?}");
        *password = json!("geheim");
    }
    config
}

#[test]
fn every_job_of_the_sample_is_taken() {
    let sample: toml::Table = toml::from_str(include_str!("../sample.toml")).unwrap();
    let mut seen = Vec::new();
    for job in sample["job"].as_array().unwrap() {
        assert_eq!(job["agent"].as_str(), Some("imap"));
        let config = serde_json::to_value(&job["config"]).unwrap();
        let examined = Kit::<Imap>::examine(&with_secrets(config)).unwrap();
        assert!(examined.repeatable, "a session changes nothing");
        seen.push((job["name"].as_str().unwrap(), examined.target));
    }
    let expected = [
        ("greeting", "imap.example.org:143"),
        ("mailbox", "imap.example.org:143"),
        ("imaps", "192.0.2.143:993"),
        ("download", "imap.example.org:993"),
        ("spam", "imap.example.org:993"),
        ("cloud", "outlook.office365.com:993"),
    ];
    assert_eq!(seen, expected.map(|(name, target)| (name, target.to_owned())));
}
