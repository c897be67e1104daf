//! The agent against servers of pages that follow a script: what they say well, and what goes wrong.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod faults;
mod pages;
mod secrets;

use std::time::Duration;

use serde_json::{Value, json};
use watchpost_serverstats::ServerStats;
use watchpost_testkit::{HttpServer, Kit, Page, Pages, Ran};

async fn run(config: &Value) -> Ran {
    run_within(Duration::from_secs(20), config).await
}

async fn run_within(timeout: Duration, config: &Value) -> Ran {
    Kit::<ServerStats>::new(config).unwrap().timeout(timeout).explain().run().await
}

/// A server that answers a scrape so.
async fn server(page: Page) -> HttpServer {
    HttpServer::start(Pages::new().on("GET /metrics", page)).await.unwrap()
}

/// A job that takes `mails_total` as messages received.
fn prometheus(server: &HttpServer) -> Value {
    json!({ "source": "prometheus", "url": server.url("/metrics"), "map": [{ "from": "mails_total", "to": "messages_received" }] })
}

/// The value of a metric with these labels.
fn value(ran: &Ran, metric: &str, labels: &[&str]) -> Option<f64> {
    let sample = ran.outcome.samples.iter().find(|sample| sample.metric == metric && sample.labels == labels);
    sample.map(|sample| sample.value)
}

/// What was recorded beside times.
fn figures(ran: &Ran) -> Vec<&str> {
    ran.recorded().into_iter().filter(|name| !name.ends_with("_time")).collect()
}

/// The run failed so, and claims no figure.
#[track_caller]
fn assert_unknown(ran: &Ran, kind: &str, message: &str) {
    assert_eq!(ran.failure().map(|(kind, _)| kind), Some(kind), "{ran:#?}");
    assert!(ran.failure().unwrap().1.contains(message), "{message:?} is not in {ran:#?}");
    assert!(figures(ran).is_empty() && !ran.recorded().contains(&"total_time"), "{ran:#?}");
}
