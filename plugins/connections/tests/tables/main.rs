//! The agent on the tables of this machine, filled by sockets of the tests' own, beside what `ss` counts of the same.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod against_ss;
mod inet;
mod unix;

use serde_json::Value;
use watchpost_connections::Connections;
use watchpost_testkit::{Kit, Ran};

async fn run(config: &Value) -> Ran {
    Kit::<Connections>::new(config).unwrap().explain().run().await
}

/// Connections that are active; the run ended well.
#[track_caller]
fn active(ran: &Ran) -> f64 {
    assert_eq!(ran.failure(), None, "{ran:#?}");
    ran.value(watchpost_plugin_api::standard::CONNECTIONS_ACTIVE).unwrap()
}

/// Sockets of a state.
#[track_caller]
fn sockets(ran: &Ran, state: &str) -> f64 {
    let sample = ran.outcome.samples.iter().find(|sample| sample.metric == "sockets" && sample.labels == [state]);
    sample.unwrap_or_else(|| panic!("no {state} in {ran:#?}")).value
}

/// What was asked for listens nowhere, and no number is claimed.
#[track_caller]
fn assert_nobody(ran: &Ran, what: &str) {
    let message = format!("nothing listens on {what} here; a server in another network namespace is not seen");
    assert_eq!((ran.failure(), ran.recorded()), (Some(("connect", message.as_str())), vec![]), "{ran:#?}");
}
