//! The sample beside this crate is a schedule whose jobs this agent takes, one for each use.

use watchpost_testkit::Kit;
use watchpost_tls::TlsAgent;

#[test]
fn every_job_of_the_sample_is_taken() {
    let sample: toml::Table = toml::from_str(include_str!("../sample.toml")).unwrap();
    let mut seen = Vec::new();
    for job in sample["job"].as_array().unwrap() {
        assert_eq!(job["agent"].as_str(), Some("tls"));
        let config = serde_json::to_value(&job["config"]).unwrap();
        let examined = Kit::<TlsAgent>::examine(&config).unwrap();
        assert!(examined.repeatable);
        seen.push((job["name"].as_str().unwrap(), examined.target));
    }
    let expected = [
        ("webmail", "mail.example.org:443"),
        ("mx", "mx1.example.org:25"),
        ("imaps", "imap.example.org:993"),
        ("imap", "imap.example.org:143"),
        ("pop3", "pop.example.org:110"),
        ("directory", "192.0.2.89:389"),
    ];
    assert_eq!(seen, expected.map(|(name, target)| (name, target.to_owned())));
}
