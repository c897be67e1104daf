//! Maintenance that is announced and ended.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{ConnectInfo, Path as UrlPath, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use tokio::task::spawn_blocking;
use watchpost_plugin_api::Severity;

use super::{Shared, alarms::Peer, refused};
use crate::{
    daemon::{Daemon, now_ns},
    series::{selector::Selector, time::parse_duration},
};

/// Seconds that maintenance may last: a month.
const FOR_MAX_S: u32 = 31 * 86_400;
/// Characters of a comment, at most.
const COMMENT_CHARS_MAX: usize = 2_000;

pub(super) fn routes() -> Router<Arc<Daemon>> {
    Router::new().route("/api/v1/maintenance", get(list).post(add)).route("/api/v1/maintenance/{number}/end", post(end))
}

async fn list(State(daemon): Shared) -> Response {
    let all: Vec<_> = daemon.ledger.lend().maintenance(now_ns());
    Json(all).into_response()
}

#[derive(Deserialize)]
struct Announced {
    series: String,
    r#for: String,
    comment: Option<String>,
}

async fn add(State(daemon): Shared, ConnectInfo(peer): ConnectInfo<Peer>, Query(said): Query<Announced>) -> Response {
    let Announced { series, r#for: span, comment } = said;
    if let Err(error) = Selector::parse(&series) {
        return refused(StatusCode::BAD_REQUEST, format!("`{series}` is no series: {error}"));
    }
    let Some(seconds) = parse_duration(&span).filter(|seconds| *seconds <= FOR_MAX_S) else {
        return refused(StatusCode::BAD_REQUEST, format!("`{span}` is no length of time; write 30m, 2h or 1d, up to a month"));
    };
    let comment = comment.map(|comment| crate::plain(&comment).chars().take(COMMENT_CHARS_MAX).collect());
    let now = now_ns();
    let until = now.saturating_add(i64::from(seconds).saturating_mul(1_000_000_000));
    let owner = daemon.clone();
    let done = spawn_blocking(move || owner.ledger.lend().announce(series, &peer.name(), comment, (now, until)));
    match done.await {
        Ok(Ok(maintenance)) => {
            let text = format!("maintenance {} of {} by {} for {span}", maintenance.number, maintenance.series, maintenance.by);
            daemon.report(Severity::Indeterminate, "maintenance_begins", crate::plain(&text));
            Json(maintenance).into_response()
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
