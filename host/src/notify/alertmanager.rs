//! Prometheus' Alertmanager, API v2: every one of a cluster is told, and told again while an alarm lasts.

use hyper::Method;
use serde_json::{Value, json};

use super::{
    channel::{Parcel, Sender, Undelivered},
    http::{Receiver, json as as_json},
    text::Words,
    webhook::{annotations, labels},
};
use crate::alarm::notice::Notice;

/// The Alertmanagers of a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Alertmanager {
    /// All of them: they agree among themselves who tells, and no proxy may stand in between.
    pub receivers: Vec<Receiver>,
}

impl Alertmanager {
    pub(super) async fn deliver(&self, sender: &Sender, parcel: Parcel<'_>) -> Result<(), Undelivered> {
        let alerts: Vec<Value> = match parcel {
            Parcel::Notices(notices) => notices.iter().map(|notice| alert(notice)).collect(),
            Parcel::Standing(notices) => notices.iter().map(alert).collect(),
            Parcel::Test(notice) => vec![alert(notice)],
            Parcel::Heartbeat { at_ns } => vec![json!({
                "labels": { "alertname": "WatchpostHeartbeat", "instance": &*sender.instance, "severity": "none" },
                "annotations": { "summary": super::channel::heartbeat(sender, at_ns) },
            })],
        };
        if alerts.is_empty() {
            return Ok(());
        }
        let body = Value::Array(alerts).to_string();
        // One that has it is enough: they tell each other. That another is away is its own alarm to raise.
        let mut last = Undelivered::never("no Alertmanager is named");
        let mut taken = false;
        for receiver in &self.receivers {
            let sent = receiver.send(sender, Method::POST, vec![as_json()], body.clone()).await;
            match sent.and_then(super::http::Answer::delivered) {
                Ok(_) => taken = true,
                Err(why) => last = why,
            }
        }
        if taken { Ok(()) } else { Err(last) }
    }
}

/// An alarm in Alertmanager's terms; one that is there has no end, and is forgotten unless it is told again.
fn alert(notice: &Notice) -> Value {
    let mut alert = json!({
        "labels": labels(notice), "annotations": annotations(notice), "startsAt": Words::time(notice.raised_ns),
        "generatorURL": notice.link.as_deref().filter(|link| link.starts_with("http")).unwrap_or_default(),
    });
    if !notice.active {
        alert["endsAt"] = json!(Words::time(notice.time_ns));
    }
    alert
}
