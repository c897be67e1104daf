//! The sample beside this crate is a schedule whose jobs this agent takes, one for each sort of queue.

use watchpost_queue::Queue;
use watchpost_testkit::Kit;

#[test]
fn every_job_of_the_sample_is_taken() {
    let sample: toml::Table = toml::from_str(include_str!("../sample.toml")).unwrap();
    let mut seen = Vec::new();
    for job in sample["job"].as_array().unwrap() {
        assert_eq!(job["agent"].as_str(), Some("queue"));
        let examined = Kit::<Queue>::examine(&serde_json::to_value(&job["config"]).unwrap()).unwrap();
        assert!(examined.repeatable, "to count changes nothing");
        seen.push((job["name"].as_str().unwrap(), examined.target));
    }
    let expected = [
        ("postfix", "/var/spool/postfix"),
        ("exim", "/var/spool/exim4"),
        ("sendmail", "/var/spool/mqueue"),
        ("sendmail-clients", "/var/spool/mqueue-client"),
        ("opensmtpd", "/var/spool/smtpd"),
        ("gateway", "/var/spool/gateway/outgoing"),
        ("abuse-mailbox", "/var/vmail/example.org/abuse"),
    ];
    assert_eq!(seen, expected.map(|(name, target)| (name, target.to_owned())));
}
