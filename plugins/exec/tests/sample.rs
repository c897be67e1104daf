//! The sample beside this crate is a schedule whose jobs this agent takes, one for each form.

use watchpost_exec::Exec;
use watchpost_testkit::Kit;

#[test]
fn every_job_of_the_sample_is_taken() {
    let sample: toml::Table = toml::from_str(include_str!("../sample.toml")).unwrap();
    let mut seen = Vec::new();
    for job in sample["job"].as_array().unwrap() {
        assert_eq!(job["agent"].as_str(), Some("exec"));
        let mut config = serde_json::to_value(&job["config"]).unwrap();
        // As the host does: relative paths are completed, secrets fetched.
        if config["argv"][0].as_str().is_some_and(|path| !path.starts_with('/')) {
            config["argv"][0] = format!("/etc/watchpost/{}", config["argv"][0].as_str().unwrap()).into();
        }
        if let Some(secrets) = config.get_mut("secret_env").and_then(serde_json::Value::as_object_mut) {
            secrets.values_mut().for_each(|secret| *secret = "fetched".into());
        }
        let examined = Kit::<Exec>::examine(&config).unwrap_or_else(|error| panic!("{config}: {} {error}", error.path()));
        assert_eq!(examined.repeatable, config.get("repeatable").is_some(), "a program may act on the world");
        seen.push((job["name"].as_str().unwrap(), config["format"].as_str().unwrap().to_owned(), examined.target));
    }
    let expected = [
        ("smtp-by-plugin", "nagios", "mx1.example.org:25"),
        ("mail-queue-by-plugin", "nagios", "check_mailq"),
        ("greylist", "json-lines", "greylist"),
        ("quota", "json-lines", "quota.py"),
        ("spam", "influx", "spam-execd"),
        ("ups", "putval", "collectd-ups"),
        ("raid", "prometheus", "raid-metrics"),
    ];
    assert_eq!(seen, expected.map(|(name, format, target)| (name, format.to_owned(), target.to_owned())));
}
