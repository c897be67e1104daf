//! How series stand with the rules that look at them.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::{Shared, refused};
use crate::{
    alarm::ledger::standing::Standing,
    config::{AlarmRule, nearest},
    daemon::Daemon,
    expose::http::MORE,
};

/// Series of one answer, at most: the worst first.
const LIMIT: usize = 100_000;

pub(super) fn routes() -> Router<Arc<Daemon>> {
    Router::new().route("/api/v1/rules/standing", get(standing))
}

/// Of which rules.
#[derive(Deserialize)]
struct Asked {
    /// By this name.
    rule: Option<String>,
    /// The threshold of this job.
    job: Option<String>,
}

impl Asked {
    fn means(&self, rule: &AlarmRule) -> bool {
        self.rule.as_ref().is_none_or(|name| *name == rule.name.value)
            && self.job.as_ref().is_none_or(|job| rule.of_job.as_ref().is_none_or(|of| of == job))
    }
}

async fn standing(State(daemon): Shared, Query(asked): Query<Asked>) -> Response {
    let config = daemon.config();
    if let Some(name) = &asked.rule
        && !config.rules.iter().any(|rule| asked.means(rule))
    {
        let meant = nearest(name, config.rules.iter().map(|rule| rule.name.value.as_str()));
        let hint = meant.map_or("`watchpost rules` lists all".to_owned(), |meant| format!("did you mean `{meant}`?"));
        return refused(StatusCode::NOT_FOUND, format!("the daemon has no rule of that name; {hint}"));
    }
    let found = spawn_blocking(move || {
        let snapshot = daemon.snapshot();
        let given: HashMap<&str, _> =
            snapshot.jobs.iter().map(|job| (&*job.shape.job, daemon.given_of_late(&job.shape.job, snapshot.now_ns))).collect();
        let of_job = |job: &str| given.get(job).cloned().unwrap_or_default();
        let mut found = daemon.ledger.lend().standings(&snapshot, of_job, |rule| asked.means(rule));
        found.retain(|one| asked.job.as_ref().is_none_or(|job| one.job.as_ref().is_none_or(|of| of == job)));
        found
    });
    match found.await {
        Ok(found) => answer(found),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn answer(mut found: Vec<Standing>) -> Response {
    found.sort_by_key(|one| (one.state, std::cmp::Reverse(one.severity)));
    let more = found.len() > LIMIT;
    found.truncate(LIMIT);
    ([(MORE, more.to_string())], Json(found)).into_response()
}
