//! The sample beside this crate is a schedule whose jobs this agent takes, one for each use.

use watchpost_maillog::Maillog;
use watchpost_testkit::Kit;

#[test]
fn every_job_of_the_sample_is_taken() {
    let sample: toml::Table = toml::from_str(include_str!("../sample.toml")).unwrap();
    let mut seen = Vec::new();
    for job in sample["job"].as_array().unwrap() {
        assert_eq!(job["agent"].as_str(), Some("maillog"));
        let config = serde_json::to_value(&job["config"]).unwrap();
        seen.push((job["name"].as_str().unwrap(), Kit::<Maillog>::examine(&config).unwrap().target));
    }
    let expected = [
        ("postfix", "postfix /var/log/mail.log"),
        ("postfix-filtered", "postfix /var/log/mail.log"),
        ("dovecot", "dovecot /var/log/mail.log"),
        ("dovecot-pop3", "dovecot /var/log/mail.log"),
        ("dovecot-store", "dovecot /var/log/mail.log"),
        ("postfix-journal", "postfix journal SYSLOG_FACILITY=2"),
        ("exim", "exim /var/log/exim4/mainlog"),
        ("intermail", "intermail /opt/intermail/log/mta.log"),
    ];
    assert_eq!(seen, expected.map(|(name, target)| (name, target.to_owned())));
}
