//! The sample beside this crate is a schedule whose jobs this agent takes, one for each use.

use watchpost_dns::Dns;
use watchpost_testkit::Kit;

#[test]
fn every_job_of_the_sample_is_taken() {
    let sample: toml::Table = toml::from_str(include_str!("../sample.toml")).unwrap();
    let mut seen = Vec::new();
    for job in sample["job"].as_array().unwrap() {
        assert_eq!(job["agent"].as_str(), Some("dns"));
        let config = serde_json::to_value(&job["config"]).unwrap();
        let examined = Kit::<Dns>::examine(&config).unwrap();
        assert!(examined.repeatable);
        seen.push((job["name"].as_str().unwrap(), examined.target));
    }
    let expected = [
        ("resolver", "www.example.org A @192.0.2.53:53"),
        ("exchangers", "example.org MX @ns1.example.org:53"),
        ("dmarc", "_dmarc.example.org TXT @ns1.example.org:53"),
        ("reverse", "192.0.2.25 PTR @192.0.2.53:53"),
        ("no-such-name", "no-such-name.example.org A @192.0.2.53:53"),
        ("secondaries", "example.org SOA @ns1.example.org:53"),
        ("private", "www.example.org A @192.0.2.53:853"),
    ];
    assert_eq!(seen, expected.map(|(name, target)| (name, target.to_owned())));
}
