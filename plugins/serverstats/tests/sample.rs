//! The sample beside this crate is a schedule whose jobs this agent takes, one for each use.

#![expect(clippy::expect_used, reason = "helpers of tests are tests")]

use serde_json::{Value, json};
use watchpost_serverstats::ServerStats;
use watchpost_testkit::Kit;

/// What the host does with a secret's place: it puts the value there.
fn with_secrets(mut config: Value) -> Value {
    for key in ["key", "token", "password"] {
        if let Some(secret) = config.get_mut(key) {
            let place = secret.as_object().expect("a sample shows no plain secret");
            assert!(["file", "env", "credential"].iter().any(|kind| place.contains_key(*kind)), "{place:?}");
            *secret = json!("geheim");
        }
    }
    config
}

#[test]
fn every_job_of_the_sample_is_taken() {
    let sample: toml::Table = toml::from_str(include_str!("../sample.toml")).unwrap();
    let mut seen = Vec::new();
    for job in sample["job"].as_array().unwrap() {
        assert_eq!(job["agent"].as_str(), Some("serverstats"));
        let config = serde_json::to_value(&job["config"]).unwrap();
        let examined = Kit::<ServerStats>::examine(&with_secrets(config)).unwrap();
        assert!(examined.repeatable, "to read changes nothing");
        seen.push((job["name"].as_str().unwrap(), examined.target));
    }
    let expected = [
        ("imap-commands", "127.0.0.1:9900 imap"),
        ("pop3-sessions", "127.0.0.1:8080 pop3"),
        ("mail-store", "127.0.0.1:8080 lmtp"),
        ("directory-cache", "127.0.0.1:9900 auth"),
        ("slapd", "ldap.example.org:389"),
        ("bind", "127.0.0.1:8053"),
        ("rspamd", "rspamd.example.org:443"),
    ];
    assert_eq!(seen, expected.map(|(name, target)| (name, target.to_owned())));
}
