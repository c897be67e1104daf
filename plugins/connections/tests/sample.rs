//! The sample beside this crate is a schedule whose jobs this agent takes, one for each use.

use watchpost_connections::Connections;
use watchpost_testkit::Kit;

#[test]
fn every_job_of_the_sample_is_taken() {
    let sample: toml::Table = toml::from_str(include_str!("../sample.toml")).unwrap();
    let mut seen = Vec::new();
    for job in sample["job"].as_array().unwrap() {
        assert_eq!(job["agent"].as_str(), Some("connections"));
        let examined = Kit::<Connections>::examine(&serde_json::to_value(&job["config"]).unwrap()).unwrap();
        assert!(examined.repeatable, "to count changes nothing");
        seen.push((job["name"].as_str().unwrap(), examined.target));
    }
    let sockets = "/run/dovecot/login/login /run/dovecot/auth-client /run/dovecot/auth-userdb /run/dovecot/auth-master /var/spool/postfix/private/auth";
    let expected = [
        ("smtp-clients", "*:25 *:465 *:587"),
        ("mx1-clients", "192.0.2.1:25"),
        ("deliveries-to-store", "to 127.0.0.1:24"),
        ("deliveries-away", "to *:25"),
        ("authentication", sockets),
    ];
    assert_eq!(seen, expected.map(|(name, target)| (name, target.to_owned())));
}
