//! A job's config against its agent's schema: what is said of it, what crosses, and that secrets stay unseen.

use std::{collections::BTreeMap, fs, num::NonZeroU32, os::unix::fs::PermissionsExt, path::PathBuf};

use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};
use watchpost_plugin_api::{
    AgentDescriptor, Metric, Secret, Unit,
    prelude::{JsonSchema, schemars},
};

use super::{House, golden};
use crate::config::{Bound, Fault, Faults, Job, bind, unknown_agent};

/// How the connection is protected.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is read")]
enum Tls {
    None,
    /// With a comment, a variant becomes a `const` of its own.
    Starttls,
    Implicit,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is read")]
struct Server {
    host: String,
    port: Option<u16>,
    password: Option<Secret>,
}

/// Every shape that a config has.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is read")]
struct Config {
    #[schemars(length(min = 1, max = 20))]
    host: String,
    port: Option<u16>,
    tls: Option<Tls>,
    user: Option<String>,
    password: Option<Secret>,
    #[schemars(extend("x-watchpost-path" = true))]
    ca_file: Option<PathBuf>,
    entries_max: Option<NonZeroU32>,
    #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0.0))]
    share: Option<f64>,
    submit: Option<bool>,
    servers: Option<Vec<Server>>,
    headers: Option<BTreeMap<String, Secret>>,
    main: Option<Server>,
    expect: Option<Expect>,
}

#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is read")]
enum Expect {
    One(String),
    Many(Vec<String>),
}

fn probe() -> AgentDescriptor {
    let queue = Metric::gauge("size", Unit::Messages, "A.").by(&["queue"]);
    AgentDescriptor { name: "probe".into(), metrics: vec![queue.spec()], schema: schemars::schema_for!(Config).into() }
}

fn environment(name: &str) -> Option<String> {
    (name == "WATCHPOST_TEST_SECRET").then(|| "from the environment".into())
}

/// A house with secrets: one as it should be, one open to others, and a few that are none.
fn house() -> House {
    let house = House::new()
        .with("schedules/secrets/good", "geheim\n")
        .with("schedules/secrets/open", "geheim\n")
        .with("schedules/secrets/group", "geheim\n")
        .with("schedules/secrets/empty", "\n")
        .with("schedules/secrets/bytes", b"\xff\xfe")
        .with("schedules/secrets/large", "x".repeat(70_000));
    for (name, mode) in [("good", 0o600), ("open", 0o644), ("group", 0o640), ("empty", 0o600), ("bytes", 0o600), ("large", 0o600)] {
        fs::set_permissions(house.path().join("schedules/secrets").join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    house
}

fn only_job(house: &House) -> Job {
    match house.load() {
        Ok(mut loaded) => loaded.config.jobs.remove(0),
        Err(faults) => panic!("{faults}"),
    }
}

fn bound(config: &str) -> Result<Bound, Vec<Fault>> {
    let text = format!("[[job]]\nname = \"a\"\nagent = \"probe\"\nevery = \"30s\"\n[job.config]\n{config}\n");
    bind(&only_job(&house().with("schedules/a.toml", text)), &probe(), &environment)
}

#[test]
fn every_rule_of_a_config_has_its_message() {
    golden::check("bind", |case| {
        let house = house().with("schedules/broken.toml", fs::read(case).unwrap());
        let job = only_job(&house);
        let agent = probe();
        let said = if job.agent.value == agent.name {
            bind(&job, &agent, &environment)
        } else {
            Err(vec![unknown_agent(&job, [agent.name.as_str()])])
        };
        match said {
            Ok(bound) => format!("accepted\n{}", house.shown(&bound.warnings().to_vec().into())).trim_end().into(),
            Err(faults) => house.shown(&Faults::from(faults).sorted()),
        }
    });
}

#[test]
fn a_sound_config_crosses_as_json_with_its_secrets_fetched() {
    let bound = bound(
        r#"
        host = "mx1"
        port = 25
        tls = "starttls"
        password = { file = "secrets/good" }
        entries_max = 3
        share = 1
        expect = ["a", "b"]
        servers = [{ host = "b", password = { env = "WATCHPOST_TEST_SECRET" } }]
        headers = { cookie = { file = "secrets/good" } }
        "#,
    )
    .unwrap();
    let expected = json!({
        "host": "mx1", "port": 25, "tls": "starttls", "password": "geheim", "entries_max": 3, "share": 1, "expect": ["a", "b"],
        "servers": [{ "host": "b", "password": "from the environment" }], "headers": { "cookie": "geheim" },
    });
    assert_eq!(bound.config(), &expected);
    assert_eq!(bound.secrets(), ["geheim", "geheim", "from the environment"]);
    assert_eq!(bound.warnings(), []);
}

#[test]
fn a_secret_is_shown_by_nothing() {
    let bound = bound("host = \"mx1\"\npassword = \"geheim\"").unwrap();
    assert_eq!(bound.secrets(), ["geheim"]);
    let shown = format!("{bound:?}");
    assert!(shown.contains("plain sight") && !shown.contains("geheim"), "{shown}");
}

#[test]
fn a_job_shows_no_secret_either() {
    let text = "[[job]]\nname = \"a\"\nagent = \"probe\"\nevery = \"30s\"\nconfig = { host = \"mx1\", password = \"geheim\" }\n";
    let shown = format!("{:?}", only_job(&house().with("schedules/a.toml", text)));
    assert!(shown.contains("probe") && !shown.contains("geheim"), "{shown}");
}

#[test]
fn a_credential_lies_where_the_service_manager_says() {
    let house = house();
    let folder = house.path().join("schedules/secrets").display().to_string();
    let text =
        "[[job]]\nname = \"a\"\nagent = \"probe\"\nevery = \"30s\"\nconfig = { host = \"mx1\", password = { credential = \"open\" } }\n";
    let house = house.with("schedules/a.toml", text);
    let bound = bind(&only_job(&house), &probe(), &|name| (name == "CREDENTIALS_DIRECTORY").then(|| folder.clone())).unwrap();
    assert_eq!(bound.config()["password"], "geheim");
}

#[test]
fn a_path_is_relative_to_the_file_that_names_it() {
    let house = house();
    let text = "[[job]]\nname = \"a\"\nagent = \"probe\"\nevery = \"30s\"\nconfig = { host = \"mx1\", ca_file = \"ca.pem\" }\n";
    let expected = house.path().join("schedules/ca.pem");
    let bound = bind(&only_job(&house.with("schedules/a.toml", text)), &probe(), &environment).unwrap();
    assert_eq!(bound.config()["ca_file"], Value::from(expected.to_str().unwrap()));
}

#[test]
fn a_secret_file_of_somebody_else_is_refused() {
    let house = house();
    let somebody = 64_321;
    if std::os::unix::fs::chown(house.path().join("schedules/secrets/good"), Some(somebody), None).is_err() {
        return; // only root may give a file away
    }
    let text =
        "[[job]]\nname = \"a\"\nagent = \"probe\"\nevery = \"30s\"\nconfig = { host = \"a\", password = { file = \"secrets/good\" } }\n";
    let house = house.with("schedules/a.toml", text);
    let faults = bind(&only_job(&house), &probe(), &environment).unwrap_err();
    assert!(faults[0].message.contains("belongs to user 64321"), "{faults:?}");
}

#[test]
fn a_job_whose_secret_changed_is_bound_to_something_else() {
    let text =
        "[[job]]\nname = \"a\"\nagent = \"probe\"\nevery = \"30s\"\nconfig = { host = \"a\", password = { file = \"secrets/good\" } }\n";
    let house = house().with("schedules/a.toml", text);
    let job = only_job(&house);
    let [before, unchanged] = [(); 2].map(|()| bind(&job, &probe(), &environment).unwrap());
    let house = house.with("schedules/secrets/good", "neu\n");
    assert_eq!(only_job(&house), job);
    let after = bind(&job, &probe(), &environment).unwrap();
    assert!(before == unchanged && before != after);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_config_panics_and_each_is_bound_or_told_of(lines in proptest::collection::vec((select(KEYS.as_slice()), select(VALUES.as_slice())), 0..8)) {
        let config: BTreeMap<_, _> = lines.into_iter().collect();
        let config: String = config.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        if let Err(faults) = bound(&config) {
            prop_assert!(!faults.is_empty() && faults.iter().all(|fault| fault.place.line >= 5), "{faults:?}");
        }
    }
}

const KEYS: [&str; 12] =
    ["host", "port", "tls", "user", "password", "ca_file", "entries_max", "share", "submit", "servers", "expect", "other"];

const VALUES: [&str; 14] = [
    "\"a\"",
    "\"\"",
    "1",
    "-1",
    "0.5",
    "inf",
    "true",
    "[]",
    "[\"a\", 1]",
    "{}",
    "{ file = \"secrets/good\" }",
    "{ host = \"a\" }",
    "[{ host = \"a\" }, {}]",
    "2026-10-25",
];

#[test]
fn the_schema_is_asked_for_all_faults_at_once() {
    let faults = bound("hots = 1\nport = 70000\ntls = \"x\"\nsubmit = \"yes\"\npassword = { file = \"nowhere\" }").unwrap_err();
    let mut lines: Vec<_> = faults.iter().map(|fault| fault.place.line).collect();
    lines.sort_unstable();
    assert_eq!(lines, [5, 6, 7, 8, 9, 10], "{faults:?}");
}
