//! Messages of others: each is an alarm, or ends one.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{ConnectInfo, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use tokio::task::spawn_blocking;
use watchpost_plugin_api::Severity;

use super::{Shared, alarms::Peer, refused};
use crate::{
    alarm::{
        record::{Origin, Subject},
        x733::{EventType, ProbableCause},
    },
    daemon::{Daemon, now_ns},
};

/// Severities as OpenView names them; none: all is well.
const SEVERITIES: [(&str, Option<Severity>); 7] = [
    ("unknown", Some(Severity::Indeterminate)),
    ("normal", None),
    ("cleared", None),
    ("warning", Some(Severity::Warning)),
    ("minor", Some(Severity::Minor)),
    ("major", Some(Severity::Major)),
    ("critical", Some(Severity::Critical)),
];
/// Bytes of application, object and group (opcmsg).
const NAME_BYTES_MAX: usize = 32;
/// Characters of a text, at most.
const TEXT_CHARS_MAX: usize = 2_048;
/// Options of one message, at most.
const OPTIONS_MAX: usize = 32;

pub(super) fn routes() -> Router<Arc<Daemon>> {
    Router::new().route("/api/v1/messages", post(message))
}

async fn message(State(daemon): Shared, ConnectInfo(peer): ConnectInfo<Peer>, Query(said): Query<Vec<(String, String)>>) -> Response {
    let (subject, severity) = match read(&said) {
        Ok(message) => message,
        Err(why) => return refused(StatusCode::BAD_REQUEST, why),
    };
    let done = spawn_blocking(move || daemon.take_message(subject, severity, &peer.name(), now_ns()));
    match done.await {
        Ok(Ok(alarm)) => Json(serde_json::json!({ "alarm": alarm })).into_response(),
        Ok(Err(error)) => refused(StatusCode::INTERNAL_SERVER_ERROR, crate::chain(&error)),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn read(said: &[(String, String)]) -> Result<(Subject, Option<Severity>), String> {
    let find = |key: &str| {
        said.iter().rev().find(|(known, _)| known == key).map(|(_, value)| crate::plain(value)).filter(|value| !value.is_empty())
    };
    let named = |key: &str| match find(key) {
        Some(value) if value.len() > NAME_BYTES_MAX => Err(format!("`{key}` has {} bytes, {NAME_BYTES_MAX} are allowed", value.len())),
        value => Ok(value),
    };
    let needed = |key: &str, value: Option<String>| value.ok_or_else(|| format!("`{key}` is missing"));
    let (application, object) = (needed("application", named("application")?)?, needed("object", named("object")?)?);
    let group = named("msg_grp")?;
    let text = needed("msg_text", find("msg_text"))?;
    let text: String = text.chars().take(TEXT_CHARS_MAX).collect();
    let word = find("severity").unwrap_or_else(|| "unknown".into());
    let severity = SEVERITIES.iter().find(|(known, _)| *known == word.to_lowercase());
    let (_, severity) =
        severity.ok_or_else(|| format!("`{word}` is no severity; there are unknown, normal, warning, minor, major and critical"))?;
    let node = find("node").unwrap_or_default();
    let mut labels = vec![("application".to_owned(), application.clone()), ("object".to_owned(), object.clone())];
    labels.extend(group.clone().map(|group| ("msg_grp".to_owned(), group)));
    labels.extend(find("node").map(|node| ("node".to_owned(), node)));
    labels.extend(find("service_id").map(|service| ("service_id".to_owned(), service)));
    let options = said.iter().filter(|(key, _)| key == "option").filter_map(|(_, option)| option.split_once('='));
    labels.extend(options.take(OPTIONS_MAX).map(|(key, value)| (crate::plain(key), crate::plain(value))));
    let subject = Subject {
        key: ["opcmsg", &node, &group.unwrap_or_default(), &application, &object].join("/"),
        origin: Origin::Message,
        rule: "opcmsg".into(),
        agent: String::new(),
        job: String::new(),
        target: node,
        series: String::new(),
        labels,
        event_type: EventType::ProcessingError,
        cause: ProbableCause::ApplicationSubsystem,
        value: None,
        bound: None,
        text: format!("{application}: {object}: {text}"),
        instruction: None,
        link: None,
    };
    Ok((subject, *severity))
}
