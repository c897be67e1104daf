//! An agent whose config has every shape, and a house with secrets for it.

use std::{
    collections::BTreeMap,
    fs,
    net::IpAddr,
    num::{NonZeroI32, NonZeroU16, NonZeroU32},
    os::unix::fs::{PermissionsExt, chown},
};

use watchpost_plugin_api::{
    AgentDescriptor, Metric, PathBuf, Secret, Unit,
    prelude::{Deserialize, JsonSchema, schemars},
};

use super::House;
use crate::config::{Assignment, Fault, Faults, Job, bind, read, unknown_agent};

/// How the connection is protected.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Tls {
    None,
    /// With a comment, a variant becomes a `const` of its own.
    Starttls,
    Implicit,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read from a config")]
pub(super) struct Server {
    host: String,
    port: Option<u16>,
    password: Option<Secret>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only read from a config")]
pub(super) enum Expect {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[expect(dead_code, reason = "only read from a config")]
pub(super) enum Verdict {
    Text { contains: String },
    Size { bytes: NonZeroU32 },
}

/// Every shape that a config has.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read from a config")]
pub(super) struct Config {
    /// Name or address, e.g. "mx1".
    /// It is looked up anew in each run.
    #[schemars(length(min = 1, max = 20))]
    host: String,
    port: Option<NonZeroU16>,
    tls: Option<Tls>,
    #[schemars(length(min = 2))]
    user: Option<String>,
    password: Option<Secret>,
    ca_file: Option<PathBuf>,
    entries_max: Option<NonZeroU32>,
    #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0.0))]
    share: Option<f64>,
    submit: Option<bool>,
    servers: Option<Vec<Server>>,
    headers: Option<BTreeMap<String, Secret>>,
    main: Option<Server>,
    expect: Option<Expect>,
    verdict: Option<Verdict>,
    source: Option<IpAddr>,
    window: Option<(u8, u16)>,
    rate: Option<u32>,
    shift: Option<NonZeroI32>,
    retries: Option<BTreeMap<u16, u8>>,
}

pub(super) fn probe() -> AgentDescriptor {
    let queue = Metric::gauge("size", Unit::Messages, "A.").by(&["queue"]);
    AgentDescriptor { name: "probe".into(), metrics: vec![queue.spec()], schema: schemars::schema_for!(Config).into() }
}

/// Variables of the environment; the credentials lie among the secrets of no house.
pub(super) fn environment(name: &str) -> Option<String> {
    (name == "WATCHPOST_TEST_SECRET").then(|| "from the environment".into())
}

/// A house with secrets: one as it should be, and some that are refused, each for a reason of its own.
pub(super) fn house() -> House {
    let house = House::new();
    for (name, text, mode) in [
        ("good", b"geheim\n".as_slice(), 0o600),
        ("foreign", b"geheim\n", 0o600),
        ("open", b"geheim\n", 0o644),
        ("group", b"geheim\n", 0o640),
        ("empty", b"\n", 0o600),
        ("lines", b"geheim\nalso\n", 0o600),
        ("blank", b"geheim\r\n\r\n", 0o600),
        ("bytes", b"\xff\xfe", 0o600),
        ("large", "x".repeat(70_000).as_bytes(), 0o600),
    ] {
        house.lay(&format!("schedules/secrets/{name}"), text);
        fs::set_permissions(house.path().join("schedules/secrets").join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let _only_root_gives_away = chown(house.path().join("schedules/secrets/foreign"), Some(64_321), None);
    house
}

pub(super) fn only_job(house: &House) -> Job {
    match house.load() {
        Ok(mut loaded) => loaded.config.jobs.remove(0),
        Err(faults) => panic!("{faults}"),
    }
}

/// Everything that is said of a house whose one agent is the probe.
pub(super) fn all_faults(house: &House) -> Faults {
    let (draft, mut faults) = read(&house.main(), super::now());
    draft.jobs.iter().map(|job| &job.asks).chain(&draft.faulty).for_each(|asks| faults.extend(said_of(asks)));
    faults.sorted()
}

fn said_of(asks: &Assignment) -> Vec<Fault> {
    let agent = probe();
    if asks.agent.value != agent.name {
        return vec![unknown_agent(asks, [agent.name.as_str()])];
    }
    match bind(asks, &agent, &environment) {
        Ok(bound) => bound.warnings().to_vec(),
        Err(unbound) => unbound.faults,
    }
}
