//! The agent against a real directory, the lab's slapd: what it counts is what `ldapsearch` finds, and what slapd's own log says.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod faults;
mod lab;
mod log;
mod searches;
mod ways;

use std::time::Duration;

use lab::Lab;
use serde_json::{Value, json};
use watchpost_ldap::Ldap;
use watchpost_testkit::{Kit, Ran};

const USER: &str = "uid=probe,ou=people,dc=lab,dc=test";

/// Adds keys to a configuration.
fn with(mut config: Value, keys: &Value) -> Value {
    config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    config
}

async fn run(config: &Value) -> Ran {
    run_within(Duration::from_secs(10), config).await
}

async fn run_within(timeout: Duration, config: &Value) -> Ran {
    Kit::<Ldap>::new(config).unwrap().timeout(timeout).explain().run().await
}
