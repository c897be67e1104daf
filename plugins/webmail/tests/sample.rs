//! The sample beside this crate is a schedule whose jobs this agent takes, one for each use.

#![expect(clippy::expect_used, reason = "helpers of tests are tests")]

use serde_json::{Value, json};
use watchpost_testkit::Kit;
use watchpost_webmail::Webmail;

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
        assert_eq!(job["agent"].as_str(), Some("webmail"));
        let config = serde_json::to_value(&job["config"]).unwrap();
        let examined = Kit::<Webmail>::examine(&with_secrets(config)).unwrap_or_else(|error| panic!("{}: {error}", error.path()));
        seen.push((job["name"].as_str().unwrap(), examined.target, examined.repeatable));
    }
    let expected = [
        ("roundcube", "https://webmail.example.org/", false),
        ("reading", "https://webmail.example.org/", true),
        ("door", "https://webmail.example.org/", true),
        ("own", "https://mail.example.org/app/", true),
    ];
    assert_eq!(seen, expected.map(|(name, target, repeatable)| (name, target.to_owned(), repeatable)));
}
