//! Webhook: a POST for each step, in our own form, in Alertmanager's, or as a template has it.

use hmac::{Hmac, KeyInit, Mac};
use hyper::{
    Method,
    header::{HeaderName, HeaderValue},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    channel::{Hidden, Parcel, Sender, Undelivered, heartbeat},
    http::{Receiver, json as as_json},
    text::{Template, Words, hex},
};
use crate::alarm::{notice::Notice, x733::severity_name};

/// The header by which a receiver tells repetitions.
const ID: HeaderName = HeaderName::from_static("idempotency-key");
/// The header that says that the body is from us: `sha256=` and the HMAC of the body in hex.
const SIGNATURE: HeaderName = HeaderName::from_static("x-watchpost-signature");

/// Where and how to post.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// Who gets it.
    pub receiver: Receiver,
    /// With which further headers; their values may be secrets.
    pub headers: Vec<(HeaderName, Hidden)>,
    /// What bodies are signed with.
    pub secret: Option<Hidden>,
    /// In which form.
    pub body: Body,
}

/// The form of a body.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Our own: everything.
    Own,
    /// That of Alertmanager's webhooks, version 4: each alarm is a group of its own there, whose key stays the same from firing to resolved. Of a
    /// body with several, whose members come and go, no receiver could tell which it has to resolve.
    Alertmanager,
    /// A template that gives JSON.
    Template(Template),
}

impl Webhook {
    pub(super) async fn deliver(&self, sender: &Sender, parcel: Parcel<'_>) -> Result<(), Undelivered> {
        let (id, body) = match parcel {
            Parcel::Notices(notices) => (id_of(sender, notices), self.said(sender, notices)?),
            Parcel::Test(notice) => (id_of(sender, &[notice]), self.said(sender, &[notice])?),
            Parcel::Standing(_) => return Ok(()),
            Parcel::Heartbeat { at_ns } => {
                let said = json!({ "heartbeat": true, "time": Words::time(at_ns), "instance": &*sender.instance, "text": heartbeat(sender, at_ns) });
                (format!("{}-heartbeat-{at_ns}", sender.instance), said.to_string())
            }
        };
        let mut headers = vec![as_json()];
        headers.extend(HeaderValue::from_str(&id).ok().map(|id| (ID, id)));
        headers.extend(self.secret.as_ref().and_then(|secret| signature(secret, &body)).map(|signature| (SIGNATURE, signature)));
        for (name, value) in &self.headers {
            let mut value = HeaderValue::from_str(value.reveal()).map_err(|_| Undelivered::never(format!("header {name}: not a value")))?;
            value.set_sensitive(true);
            headers.push((name.clone(), value));
        }
        let answer = self.receiver.send(sender, Method::POST, headers, body).await?;
        says_no_error(&answer.delivered()?.text)
    }

    fn said(&self, sender: &Sender, notices: &[&Notice]) -> Result<String, Undelivered> {
        match &self.body {
            Body::Own => {
                let said = |notice: &&Notice| {
                    let mut said = serde_json::to_value(Words::of(notice)).unwrap_or_default();
                    said["id"] = json!(notice.id(&sender.instance));
                    said
                };
                Ok(match notices {
                    [one] => said(one).to_string(),
                    // A group is a list: a program that reads one knows the other.
                    _ => json!({ "notices": notices.iter().map(said).collect::<Vec<_>>() }).to_string(),
                })
            }
            Body::Alertmanager => Ok(alerts(notices).to_string()),
            Body::Template(template) => template.render(notices).map_err(Undelivered::never),
        }
    }
}

/// The same for each attempt to tell of these steps.
fn id_of(sender: &Sender, notices: &[&Notice]) -> String {
    match notices {
        [one] => one.id(&sender.instance),
        _ => {
            let ids: Vec<String> = notices.iter().map(|notice| notice.id(&sender.instance)).collect();
            let digest = Sha256::digest(ids.join(" "));
            format!("{}-{}", sender.instance, hex(&digest[..16]))
        }
    }
}

fn signature(secret: &Hidden, body: &str) -> Option<HeaderValue> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()).ok()?;
    mac.update(body.as_bytes());
    HeaderValue::from_str(&format!("sha256={}", hex(&mac.finalize().into_bytes()))).ok()
}

/// Finds a failure in an answer that calls itself a success: a JSON object whose `status`, `ok`, `success` or `error` says so.
pub(crate) fn says_no_error(text: &str) -> Result<(), Undelivered> {
    let Ok(Value::Object(said)) = serde_json::from_str::<Value>(text) else { return Ok(()) };
    let is_no = |key: &str| said.get(key) == Some(&Value::Bool(false));
    let status = said.get("status").and_then(Value::as_str).map(str::to_lowercase);
    let fails = is_no("ok")
        || is_no("success")
        || matches!(status.as_deref(), Some("error" | "fail" | "failed" | "failure"))
        || said.get("error").is_some_and(|error| !matches!(error, Value::Null | Value::Bool(false)) && error != "");
    if !fails {
        return Ok(());
    }
    let told: String = super::text::plain_line(text.trim()).chars().take(200).collect();
    Err(Undelivered::later(format!("answered 200, and that it failed: {told}")))
}

/// A body as Alertmanager's webhooks have it, version 4.
fn alerts(notices: &[&Notice]) -> Value {
    let alert = |notice: &&Notice| {
        let status = if notice.active { "firing" } else { "resolved" };
        let ends = if notice.active { "0001-01-01T00:00:00Z".to_owned() } else { Words::time(notice.time_ns) };
        json!({
            "status": status, "labels": labels(notice), "annotations": annotations(notice),
            "startsAt": Words::time(notice.raised_ns), "endsAt": ends,
            "generatorURL": notice.link.as_deref().unwrap_or_default(), "fingerprint": fingerprint(notice),
        })
    };
    let status = if notices.iter().any(|notice| notice.active) { "firing" } else { "resolved" };
    let common_labels = common(notices.iter().map(|notice| labels(notice)));
    json!({
        "version": "4", "groupKey": notices.first().map(|notice| &notice.key), "truncatedAlerts": 0, "status": status, "receiver": "watchpost",
        "groupLabels": common_labels, "commonLabels": common_labels,
        "commonAnnotations": common(notices.iter().map(|notice| annotations(notice))), "externalURL": "",
        "alerts": notices.iter().map(alert).collect::<Vec<_>>(),
    })
}

/// What an alarm is known by, in Prometheus' terms: the same over its whole life, whatever its severity becomes.
pub(super) fn labels(notice: &Notice) -> serde_json::Map<String, Value> {
    let own = [
        ("alertname", notice.rule.as_str()),
        ("agent", &notice.agent),
        ("job", &notice.job),
        ("target", &notice.target),
        ("series", &notice.series),
        ("watchpost_key", &notice.key),
    ];
    let all = notice.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).chain(own);
    // An empty label is none.
    all.filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key.to_owned(), json!(value))).collect()
}

/// What is said beside it.
pub(super) fn annotations(notice: &Notice) -> serde_json::Map<String, Value> {
    let said = [
        ("summary", Some(notice.text.as_str())),
        ("severity", Some(severity_name(notice.severity))),
        ("value", notice.value.as_deref()),
        ("bound", notice.bound.as_deref()),
        ("event_type", Some(notice.event_type.name())),
        ("probable_cause", Some(notice.cause.name())),
        ("instruction", notice.instruction.as_deref()),
        ("runbook_url", notice.link.as_deref()),
        ("owner", notice.owner.as_deref()),
    ];
    said.into_iter().filter_map(|(key, said)| Some((key.to_owned(), json!(said?)))).collect()
}

/// What all have.
fn common(all: impl Iterator<Item = serde_json::Map<String, Value>>) -> serde_json::Map<String, Value> {
    let both = |mut some: serde_json::Map<String, Value>, others: serde_json::Map<String, Value>| {
        some.retain(|key, value| others.get(key) == Some(value));
        some
    };
    all.reduce(both).unwrap_or_default()
}

fn fingerprint(notice: &Notice) -> String {
    hex(&Sha256::digest(&notice.key)[..8])
}

#[cfg(test)]
mod tests {
    use watchpost_plugin_api::Severity;

    use super::*;
    use crate::alarm::notice::Step;

    #[test]
    fn a_failure_inside_a_success_is_seen() {
        for (text, expected) in [
            ("", true),
            ("thanks", true),
            ("{\"status\":\"success\"}", true),
            ("{\"ok\":true,\"error\":null}", true),
            ("{\"ok\":false}", false),
            ("{\"success\":false}", false),
            ("{\"status\":\"Error\"}", false),
            ("{\"error\":\"no such project\"}", false),
            ("[{\"error\":1}]", true),
        ] {
            assert_eq!(says_no_error(text).is_ok(), expected, "{text}");
        }
    }

    #[test]
    fn an_alarm_is_one_group_of_alertmanagers_from_firing_to_resolved() {
        let of = |seq, active, severity, text: &str| Notice {
            seq,
            active,
            severity,
            text: text.into(),
            key: "mx#up#down".into(),
            rule: "down".into(),
            job: "mx".into(),
            labels: vec![("site".into(), "paris".into())],
            ..super::super::text::sample(Step::Raised)
        };
        let (firing, resolved) = (of(1, true, Severity::Major, "it is down"), of(7, false, Severity::Critical, "it is up"));
        let [firing, resolved] = [firing, resolved].map(|notice| alerts(&[&notice]));
        assert_eq!((&firing["status"], &resolved["status"]), (&json!("firing"), &json!("resolved")));
        for same in ["groupKey", "groupLabels", "commonLabels"] {
            assert_eq!(firing[same], resolved[same], "{same}");
        }
        assert_eq!(firing["alerts"][0]["fingerprint"], resolved["alerts"][0]["fingerprint"]);
        assert_eq!(
            (
                &firing["groupKey"],
                &firing["commonLabels"]["alertname"],
                &firing["groupLabels"]["site"],
                &firing["commonAnnotations"]["summary"]
            ),
            (&json!("mx#up#down"), &json!("down"), &json!("paris"), &json!("it is down"))
        );
    }

    #[test]
    fn a_signature_is_the_hmac_of_the_body() {
        // RFC 4231, test case 2.
        let signature = signature(&Hidden::new("Jefe".into()), "what do ya want for nothing?").unwrap();
        assert_eq!(signature, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
