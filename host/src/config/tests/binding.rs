//! A job's config against its agent's schema: what is said of it, what crosses, and that secrets stay unseen.

use std::collections::BTreeMap;

use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::probe::{self, environment, house, only_job, probe};
use crate::config::{Bound, Fault, Rule, bind};

fn bound(config: &str) -> Result<Bound, Vec<Fault>> {
    let text = format!("[[job]]\nname = \"a\"\nagent = \"probe\"\nevery = \"30s\"\n[job.config]\n{config}\n");
    bind(&only_job(&house().with("schedules/a.toml", text)).asks, &probe(), &environment).map_err(|unbound| unbound.faults)
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
    let bound = bind(&only_job(&house).asks, &probe(), &|name| (name == "CREDENTIALS_DIRECTORY").then(|| folder.clone())).unwrap();
    assert_eq!(bound.config()["password"], "geheim");
}

#[test]
fn a_path_is_relative_to_the_file_that_names_it() {
    let house = house();
    let text = "[[job]]\nname = \"a\"\nagent = \"probe\"\nevery = \"30s\"\nconfig = { host = \"mx1\", ca_file = \"ca.pem\" }\n";
    let expected = house.path().join("schedules/ca.pem");
    let bound = bind(&only_job(&house.with("schedules/a.toml", text)).asks, &probe(), &environment).unwrap();
    assert_eq!(bound.config()["ca_file"], Value::from(expected.to_str().unwrap()));
}

#[test]
fn a_job_whose_secret_changed_is_bound_to_something_else() {
    let text =
        "[[job]]\nname = \"a\"\nagent = \"probe\"\nevery = \"30s\"\nconfig = { host = \"a\", password = { file = \"secrets/good\" } }\n";
    let house = house().with("schedules/a.toml", text);
    let job = only_job(&house);
    let [before, unchanged] = [(); 2].map(|()| bind(&job.asks, &probe(), &environment).unwrap());
    let house = house.with("schedules/secrets/good", "neu\n");
    assert_eq!(only_job(&house), job);
    let after = bind(&job.asks, &probe(), &environment).unwrap();
    assert!(before == unchanged && before != after);
}

/// Keys of the probe: values that are right, and values that are wrong in as many ways as there are.
const KEYS: [(&str, &[&str], &[&str]); 16] = [
    ("host", &["\"mx1\""], &["3", "true", "[]", "{}"]),
    ("port", &["25"], &["0", "65536", "-1", "\"25\"", "2.5"]),
    ("tls", &["\"none\"", "\"starttls\""], &["\"NONE\"", "\"\"", "1"]),
    ("user", &["\"bob\""], &["{ file = \"secrets/good\" }", "1"]),
    ("password", &["\"plain\""], &["3", "{ file = \"secrets/nowhere\" }", "{}", "[]"]),
    ("ca_file", &["\"ca.pem\""], &["3", "[\"ca.pem\"]"]),
    ("entries_max", &["1", "4294967295"], &["0", "4294967296", "-1", "1.0"]),
    ("submit", &["true"], &["\"true\"", "0"]),
    ("servers", &["[]", "[{ host = \"a\", port = 1 }]"], &["{ host = \"a\" }", "[{ port = 1 }]", "[1]", "[{ host = \"a\", prot = 1 }]"]),
    ("main", &["{ host = \"a\", password = \"b\" }"], &["{}", "{ host = 1 }", "{ file = \"secrets/good\" }"]),
    ("expect", &["\"a\"", "[\"a\", \"b\"]"], &["1", "true"]),
    (
        "verdict",
        &["{ kind = \"text\", contains = \"a\" }", "{ kind = \"size\", bytes = 1 }"],
        &["{}", "{ kind = \"size\" }", "{ kind = \"other\" }"],
    ),
    ("source", &["\"192.0.2.1\"", "\"::1\""], &["\"192.0.2\"", "1"]),
    ("window", &["[1, 65535]"], &["[1]", "[1, 2, 3]", "[256, 1]", "[1, \"2\"]", "{}"]),
    ("shift", &["-2147483648", "1"], &["0", "2147483648", "1.5"]),
    ("retries", &["{}", "{ 25 = 1 }"], &["{ 25 = 256 }", "{ smtp = 1 }"]),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_key_that_is_wrong_is_told_once_and_no_other(
        picks in proptest::collection::vec((0..KEYS.len(), any::<bool>(), any::<prop::sample::Index>()), 0..20),
    ) {
        let mut picked: BTreeMap<&str, (&str, bool)> = BTreeMap::from([("host", ("\"mx1\"", true))]);
        for (at, is_good, index) in picks {
            let (key, good, bad) = KEYS[at];
            let values: &[&str] = if is_good { good } else { bad };
            picked.insert(key, (*index.get(values), is_good));
        }
        let config: String = picked.iter().map(|(key, (value, _))| format!("{key} = {value}\n")).collect();
        let wrong: Vec<u32> = picked.values().zip(6..).filter(|((_, good), _)| !good).map(|(_, line)| line).collect();
        let faults = bound(&config).err().unwrap_or_default();
        let mut told: Vec<u32> = faults.iter().filter(|fault| fault.rule != Rule::SecretPlain).filter_map(line).collect();
        told.sort_unstable();
        prop_assert_eq!(told, wrong, "{}", config);
    }

    #[test]
    fn the_agent_takes_what_its_schema_takes_and_nothing_else(at in 0..KEYS.len(), index in any::<prop::sample::Index>()) {
        let (key, good, bad) = KEYS[at];
        let all: Vec<_> = good.iter().chain(bad).collect();
        let value = index.get(&all);
        let host = if key == "host" { "" } else { "host = \"mx1\"\n" };
        let config = format!("{host}{key} = {value}\n");
        // A reference to a secret never reaches an agent.
        if !value.contains("file =") {
            let crossed = toml::from_str::<Value>(&config).unwrap();
            let taken = serde_json::from_value::<probe::Config>(crossed);
            prop_assert_eq!(bound(&config).is_ok(), taken.is_ok(), "{}: {:?}", config, taken);
        }
    }

    #[test]
    fn no_config_panics_and_each_is_bound_or_told_of(lines in proptest::collection::vec((select(WORDS.as_slice()), select(VALUES.as_slice())), 0..8)) {
        let config: BTreeMap<_, _> = lines.into_iter().collect();
        let config: String = config.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        if let Err(faults) = bound(&config) {
            prop_assert!(!faults.is_empty() && faults.iter().all(|fault| line(fault) >= Some(5)), "{faults:?}");
        }
    }
}

fn line(fault: &Fault) -> Option<u32> {
    fault.place.spot.map(|spot| spot.line)
}

const WORDS: [&str; 14] = [
    "host",
    "port",
    "tls",
    "user",
    "password",
    "ca_file",
    "entries_max",
    "share",
    "submit",
    "servers",
    "expect",
    "verdict",
    "retries",
    "other",
];

const VALUES: [&str; 15] = [
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
    "{ kind = \"size\" }",
    "2026-10-25",
];
