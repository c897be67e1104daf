//! The sample beside this crate is a schedule whose jobs this agent takes, one for each use.

use watchpost_sysmon::Sysmon;
use watchpost_testkit::Kit;

#[test]
fn every_job_of_the_sample_is_taken() {
    let sample: toml::Table = toml::from_str(include_str!("../sample.toml")).unwrap();
    let mut seen = Vec::new();
    for job in sample["job"].as_array().unwrap() {
        assert_eq!(job["agent"].as_str(), Some("sysmon"));
        let config = serde_json::to_value(&job["config"]).unwrap();
        seen.push((job["name"].as_str().unwrap(), Kit::<Sysmon>::examine(&config).unwrap().target));
    }
    let expected = [
        ("postfix-errors", "postfix /var/log/mail.log"),
        ("dovecot-errors", "dovecot /var/log/mail.log"),
        ("kernel-errors", "words /var/log/syslog"),
    ];
    assert_eq!(seen, expected.map(|(name, target)| (name, target.to_owned())));
}
