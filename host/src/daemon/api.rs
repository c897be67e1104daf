//! The API behind the unix socket: what the command line asks of a running daemon.
//!
//! The socket belongs to its user (mode 0600); what changes something exists here only.

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    Json, Router,
    extract::{Path as UrlPath, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use tokio::{net::UnixListener, sync::oneshot, task::spawn_blocking};

use super::{Daemon, runner::Command, status};
use crate::{
    event::request::EventRequest,
    expose::http::answer_events,
    series::request::{FetchError, FetchRequest},
};

/// Longest path of a unix socket that the kernel takes (unix(7)).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Where a daemon with this data folder is reached.
pub fn socket_path(data: &Path) -> PathBuf {
    data.join("watchpost.sock")
}

/// An answer that is no success.
#[derive(Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// What failed, and why.
    pub error: String,
}

/// Takes the socket; one left by a dead daemon is replaced, for the data folder is locked to us.
pub(super) fn listen(data: &Path) -> io::Result<UnixListener> {
    let path = socket_path(data);
    if path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        let why = format!(
            "the path {} is longer than a unix socket takes ({SOCKET_PATH_BYTES_MAX} bytes); choose a shorter data folder",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    if let Err(error) = std::fs::remove_file(&path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    // Bound under another name and renamed once its mode is right: nobody else connects in between.
    let draft = data.join("sock.tmp");
    drop(std::fs::remove_file(&draft));
    let listener = UnixListener::bind(&draft)?;
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&draft, &path)?;
    Ok(listener)
}

/// Serves until told to stop.
pub(super) async fn serve(listener: UnixListener, daemon: Arc<Daemon>, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let routes = Router::new()
        .route("/api/v1/status", get(status_of))
        .route("/api/v1/jobs", get(jobs))
        .route("/api/v1/jobs/{job}/run", post(run_job))
        .route("/api/v1/jobs/{job}/pause", post(pause_job))
        .route("/api/v1/jobs/{job}/resume", post(resume_job))
        .route("/api/v1/reload", post(reload))
        .route("/api/v1/fetch", get(fetch))
        .route("/api/v1/events", get(events))
        .with_state(daemon);
    axum::serve(listener, routes).with_graceful_shutdown(stop).await
}

type Shared = State<Arc<Daemon>>;

async fn status_of(State(daemon): Shared) -> Response {
    Json(daemon.status()).into_response()
}

async fn jobs(State(daemon): Shared) -> Response {
    Json(status::jobs(&daemon.snapshot())).into_response()
}

async fn run_job(State(daemon): Shared, UrlPath(job): UrlPath<String>) -> Response {
    if !daemon.knows(&job) {
        return unknown(&job);
    }
    match daemon.command(|done| Command::RunNow { job, done }).await {
        Some(Ok(reading)) => Json(reading).into_response(),
        Some(Err(why)) => refused(StatusCode::CONFLICT, why),
        None => stopping(),
    }
}

async fn pause_job(daemon: Shared, job: UrlPath<String>) -> Response {
    pause(daemon, job, true).await
}

async fn resume_job(daemon: Shared, job: UrlPath<String>) -> Response {
    pause(daemon, job, false).await
}

async fn pause(State(daemon): Shared, UrlPath(job): UrlPath<String>, paused: bool) -> Response {
    if !daemon.knows(&job) {
        return unknown(&job);
    }
    match daemon.command(|done| Command::Pause { job, paused, done }).await {
        Some(Ok(())) => Json(serde_json::json!({ "paused": paused })).into_response(),
        Some(Err(why)) => refused(StatusCode::CONFLICT, why),
        None => stopping(),
    }
}

async fn reload(State(daemon): Shared) -> Response {
    match daemon.reload().await {
        Ok(changes) => Json(changes).into_response(),
        Err(faults) => (StatusCode::UNPROCESSABLE_ENTITY, Json(faults)).into_response(),
    }
}

async fn fetch(State(daemon): Shared, Query(asked): Query<Vec<(String, String)>>) -> Response {
    let request = match FetchRequest::from_pairs(&asked) {
        Ok(request) => request,
        Err(error) => return refused(StatusCode::BAD_REQUEST, crate::chain(&error)),
    };
    let kind = request.format.content_type();
    let answered = spawn_blocking(move || daemon.fetch(&request)).await;
    match answered {
        Ok(Ok(body)) => ([(header::CONTENT_TYPE, kind)], body).into_response(),
        Ok(Err(error @ (FetchError::NoSeries(_) | FetchError::Asked(_)))) => refused(StatusCode::BAD_REQUEST, crate::chain(&error)),
        Ok(Err(error)) => refused(StatusCode::INTERNAL_SERVER_ERROR, crate::chain(&error)),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn events(State(daemon): Shared, Query(asked): Query<Vec<(String, String)>>) -> Response {
    let found = spawn_blocking(move || EventRequest::from_pairs(&asked).and_then(|request| daemon.events(&request)));
    answer_events(found.await)
}

fn refused(status: StatusCode, error: String) -> Response {
    (status, Json(Refusal { error })).into_response()
}

fn unknown(job: &str) -> Response {
    refused(StatusCode::NOT_FOUND, format!("there is no job `{job}`; `watchpost jobs` lists all"))
}

fn stopping() -> Response {
    refused(StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping".into())
}

impl Daemon {
    fn knows(&self, job: &str) -> bool {
        self.snapshot().jobs.iter().any(|known| known.shape.job == job)
    }

    /// Asks the runner; `None` when it has ended.
    pub(super) async fn command<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (done, answer) = oneshot::channel();
        self.runner.send(command(done)).ok()?;
        answer.await.ok()
    }
}
