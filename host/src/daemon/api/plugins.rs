//! What the command line asks of the plugins.

use std::{path::PathBuf, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path as UrlPath, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;

use super::{Shared, refused};
use crate::daemon::{Daemon, Done};

/// Said of a name that no plugin has.
const NO_SUCH: &str = "no plugin is called so; `watchpost plugins` lists all";

pub(super) fn routes() -> Router<Arc<Daemon>> {
    Router::new()
        .route("/api/v1/plugins", get(list))
        .route("/api/v1/plugins/reload", post(reload))
        .route("/api/v1/plugins/install", post(install))
        .route("/api/v1/plugins/{plugin}/enable", post(enable))
        .route("/api/v1/plugins/{plugin}/disable", post(disable))
        .route("/api/v1/plugins/{plugin}/remove", post(remove))
}

async fn list(State(daemon): Shared) -> Response {
    Json(daemon.listing()).into_response()
}

#[derive(Deserialize)]
struct Which {
    plugin: Option<String>,
}

async fn reload(State(daemon): Shared, Query(which): Query<Which>) -> Response {
    match daemon.reload_libraries(which.plugin.as_deref()).await {
        Ok(done) => Json(done).into_response(),
        Err(why) => refused(StatusCode::NOT_FOUND, why),
    }
}

#[derive(Deserialize)]
struct Brought {
    file: PathBuf,
    folder: Option<PathBuf>,
}

async fn install(State(daemon): Shared, Query(brought): Query<Brought>) -> Response {
    match daemon.install(&brought.file, brought.folder.as_deref()).await {
        Ok((path, said)) => Json(Done::of(&path, Ok(said))).into_response(),
        Err(why) => refused(StatusCode::CONFLICT, why),
    }
}

async fn enable(daemon: Shared, plugin: UrlPath<String>) -> Response {
    set_enabled(daemon, plugin, true)
}

async fn disable(daemon: Shared, plugin: UrlPath<String>) -> Response {
    set_enabled(daemon, plugin, false)
}

fn set_enabled(State(daemon): Shared, UrlPath(name): UrlPath<String>, enabled: bool) -> Response {
    let plugins = daemon.plugins();
    let Some(plugin) = plugins.named(&name) else {
        return refused(StatusCode::NOT_FOUND, NO_SUCH.into());
    };
    match daemon.enable(plugin, enabled) {
        Ok(()) => Json(serde_json::json!({ "plugin": name, "enabled": enabled })).into_response(),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot remember it: {}", crate::chain(&error))),
    }
}

async fn remove(State(daemon): Shared, UrlPath(name): UrlPath<String>) -> Response {
    if daemon.plugins().named(&name).is_none() {
        return refused(StatusCode::NOT_FOUND, NO_SUCH.into());
    }
    match daemon.remove(&name).await {
        Ok(path) => Json(Done::of(&path, Ok("removed".into()))).into_response(),
        Err(why) => refused(StatusCode::CONFLICT, why),
    }
}
