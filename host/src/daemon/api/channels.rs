//! What the command line asks of the channels.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::json;
use tokio::task::spawn_blocking;

use super::{Shared, refused};
use crate::{
    config::nearest,
    daemon::{
        Daemon,
        delivery::{TestError, Tested},
    },
};

pub(super) fn routes() -> Router<Arc<Daemon>> {
    Router::new().route("/api/v1/channels", get(list)).route("/api/v1/channels/test", post(test))
}

async fn list(State(daemon): Shared) -> Response {
    match spawn_blocking(move || daemon.delivery.listed()).await {
        Ok(Ok(states)) => Json(states).into_response(),
        Ok(Err(error)) => refused(StatusCode::INTERNAL_SERVER_ERROR, crate::chain(&error)),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

#[derive(Deserialize)]
struct Which {
    channel: String,
}

async fn test(State(daemon): Shared, Query(which): Query<Which>) -> Response {
    let channel = &which.channel;
    match daemon.delivery.test(channel).await {
        Ok(Tested::Delivered) => Json(json!({ "channel": channel, "delivered": true })).into_response(),
        Ok(Tested::Sent(how)) => {
            let tried = format!("a test was sent, and nobody confirms {how}: look whether it arrived");
            Json(json!({ "channel": channel, "delivered": null, "tried": tried })).into_response()
        }
        Ok(Tested::Tried(tried)) => Json(json!({ "channel": channel, "delivered": false, "tried": tried })).into_response(),
        Err(TestError::Undelivered { why }) => refused(StatusCode::BAD_GATEWAY, why),
        Err(TestError::Unknown { known }) => {
            let near = nearest(&which.channel, known.iter().map(String::as_str)).map(|near| format!("; did you mean `{near}`?"));
            refused(StatusCode::NOT_FOUND, format!("no channel is called so{}", near.unwrap_or_default()))
        }
    }
}
