//! Maintenance that is announced and ended.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{ConnectInfo, Path as UrlPath, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use tokio::task::spawn_blocking;
use watchpost_plugin_api::Severity;

use super::{COMMENT_CHARS_MAX, Shared, alarms::Peer, refused, too_long};
use crate::{
    daemon::{Daemon, now_ns},
    expose::http::noted,
    notify::vocabulary::Vocabulary,
    series::{listing::ListRequest, selector::Selector, time::parse_duration},
};

/// Seconds that maintenance may last: a month.
const FOR_MAX_S: u32 = 31 * 86_400;

pub(super) fn routes() -> Router<Arc<Daemon>> {
    Router::new().route("/api/v1/maintenance", get(list).post(add)).route("/api/v1/maintenance/{number}/end", post(end))
}

async fn list(State(daemon): Shared) -> Response {
    let all: Vec<_> = daemon.ledger.lend().maintenance(now_ns());
    Json(all).into_response()
}

/// What is said of maintenance: in the URL, or in the body, which has more room.
#[derive(Default, Deserialize)]
struct Announced {
    series: Option<String>,
    r#for: Option<String>,
    comment: Option<String>,
}

async fn add(State(daemon): Shared, ConnectInfo(peer): ConnectInfo<Peer>, Query(asked): Query<Announced>, body: Bytes) -> Response {
    let said = if body.is_empty() { Ok(asked) } else { serde_json::from_slice(&body) };
    let Announced { series, r#for: span, comment } = match said {
        Ok(said) => said,
        Err(error) => return refused(StatusCode::BAD_REQUEST, format!("the body is not understood: {error}")),
    };
    let (Some(series), Some(span)) = (series, span) else {
        return refused(StatusCode::BAD_REQUEST, "`series` and `for`: say of what, and for how long".into());
    };
    let selector = match Selector::parse(&series) {
        Ok(selector) => selector,
        Err(error) => return refused(StatusCode::BAD_REQUEST, format!("`{series}` is no series: {error}")),
    };
    let snapshot = daemon.snapshot();
    let unmeant = Vocabulary::of_jobs(snapshot.jobs.iter().map(|job| &*job.shape)).unmeant(&selector);
    if let Some(never) = unmeant.iter().find(|unmeant| unmeant.never) {
        return refused(StatusCode::BAD_REQUEST, never.said());
    }
    let owner = daemon.clone();
    let listed = ListRequest { series: vec![series.clone()], ..ListRequest::default() };
    // Metrics and labels that come with runs are known by their series.
    let is_kept = spawn_blocking(move || owner.series(&listed).is_ok_and(|found| !found.is_empty())).await.unwrap_or(false);
    let unmeant = if is_kept { &[][..] } else { &unmeant };
    let notes: Vec<String> = unmeant.iter().map(|unmeant| format!("{}; no alarm is silenced by it now", unmeant.said())).collect();
    let Some(seconds) = parse_duration(&span).filter(|seconds| *seconds <= FOR_MAX_S) else {
        return refused(StatusCode::BAD_REQUEST, format!("`{span}` is no length of time; write 30m, 2h or 1d, up to a month"));
    };
    let comment = comment.map(|comment| crate::plain(&comment));
    if let Some(comment) = comment.as_ref().filter(|comment| comment.chars().count() > COMMENT_CHARS_MAX) {
        return refused(StatusCode::BAD_REQUEST, too_long(comment));
    }
    let now = now_ns();
    let until = now.saturating_add(i64::from(seconds).saturating_mul(1_000_000_000));
    let owner = daemon.clone();
    let done = spawn_blocking(move || owner.ledger.lend().announce(series, &peer.name(), comment, (now, until)));
    match done.await {
        Ok(Ok(maintenance)) => {
            let text = format!("maintenance {} of {} by {} for {span}", maintenance.number, maintenance.series, maintenance.by);
            daemon.report(Severity::Indeterminate, "maintenance_begins", crate::plain(&text));
            noted(Json(maintenance).into_response(), &notes)
        }
        Ok(Err(error)) => refused(StatusCode::INTERNAL_SERVER_ERROR, crate::chain(&error)),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn end(State(daemon): Shared, ConnectInfo(peer): ConnectInfo<Peer>, UrlPath(number): UrlPath<u64>) -> Response {
    let owner = daemon.clone();
    let done = spawn_blocking(move || owner.ledger.lend().end_maintenance(number, &peer.name(), now_ns()));
    match done.await {
        Ok(Ok(Some(maintenance))) => {
            let by = maintenance.ended.as_ref().map(|(by, _)| by.as_str()).unwrap_or_default();
            daemon.report(Severity::Indeterminate, "maintenance_ends", crate::plain(&format!("maintenance {number} ended by {by}")));
            Json(maintenance).into_response()
        }
        Ok(Ok(None)) => refused(StatusCode::NOT_FOUND, format!("no maintenance {number} goes on; `watchpost maintenance` lists all")),
        Ok(Err(error)) => refused(StatusCode::INTERNAL_SERVER_ERROR, crate::chain(&error)),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
