//! The sample beside this crate is a schedule whose jobs this agent takes, one for each use.

use watchpost_mailauth::MailAuth;
use watchpost_testkit::Kit;

#[test]
fn every_job_of_the_sample_is_taken() {
    let sample: toml::Table = toml::from_str(include_str!("../sample.toml")).unwrap();
    let mut seen = Vec::new();
    for job in sample["job"].as_array().unwrap() {
        assert_eq!(job["agent"].as_str(), Some("mailauth"));
        let config = serde_json::to_value(&job["config"]).unwrap();
        let examined = Kit::<MailAuth>::examine(&config).unwrap();
        assert!(examined.repeatable);
        seen.push((job["name"].as_str().unwrap(), examined.target));
    }
    let expected = [
        ("domain", "example.org @192.0.2.53:53"),
        ("domain-strict", "example.org @[2001:db8::53]:53"),
        ("listings", "example.org @127.0.0.1:53"),
    ];
    assert_eq!(seen, expected.map(|(name, target)| (name, target.to_owned())));
}
