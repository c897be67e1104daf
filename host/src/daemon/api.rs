//! The API behind the unix socket: what the command line asks of a running daemon.
//!
//! The socket belongs to its user (mode 0600); what changes something exists here only. Agents, which that user runs as well, are turned
//! away.

mod alarms;
mod channels;
mod maintenance;
mod messages;
mod plugins;
mod rules;

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use axum::{
    Json, Router,
    extract::{Path as UrlPath, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::Listener,
};
use serde::{Deserialize, Serialize};
use tokio::{
    net::{UnixListener, UnixStream, unix::SocketAddr},
    sync::oneshot,
    task::spawn_blocking,
};
use tracing::warn;

use super::{Daemon, runner::Command, status};
use crate::{
    config::nearest,
    event::request::EventRequest,
    expose::http::{answer_events, answer_fetch, answer_series, noted},
    latest::Found,
    log::quota::Quota,
    plugin::is_confined,
    series::{
        drop::DropRequest,
        fetch::LabelSetOf,
        import::{ImportRequest, UnimportedError},
        listing::ListRequest,
        rename::RenameRequest,
        request::{FetchRequest, Format},
        selector::Selector,
    },
};

/// Longest path of a unix socket that the kernel takes (unix(7)).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Lines about agents that were turned away.
const TURNED_AWAY_A_MINUTE: u32 = 5;
/// Characters of a comment, at most.
pub(crate) const COMMENT_CHARS_MAX: usize = 2_000;

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

/// Says that a comment is too long.
pub(crate) fn too_long(text: &str) -> String {
    format!("a comment has up to {COMMENT_CHARS_MAX} characters, and this one has {}", text.chars().count())
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
        .route("/api/v1/jobs/{job}/metrics", get(metrics))
        .route("/api/v1/jobs/{job}/run", post(run_job))
        .route("/api/v1/jobs/{job}/pause", post(pause_job))
        .route("/api/v1/jobs/{job}/resume", post(resume_job))
        .route("/api/v1/jobs/{job}/release", post(release_job))
        .route("/api/v1/reload", post(reload))
        .route("/api/v1/backup", post(backup))
        .merge(plugins::routes())
        .merge(alarms::routes())
        .merge(maintenance::routes())
        .merge(messages::routes())
        .merge(channels::routes())
        .merge(rules::routes())
        .route("/api/v1/fetch", get(fetch))
        .route("/api/v1/series", get(series))
        .route("/api/v1/series/drop", post(drop_series))
        .route("/api/v1/series/import", post(import_series))
        .route("/api/v1/series/rename", post(rename_series))
        .route("/api/v1/latest", get(latest))
        .route("/api/v1/events", get(events))
        .with_state(daemon);
    let people = OfPeople { socket: listener, told: Quota::a_minute(TURNED_AWAY_A_MINUTE) };
    axum::serve(people, routes.into_make_service_with_connect_info::<alarms::Peer>()).with_graceful_shutdown(stop).await
}

/// The socket, for everybody but confined workers and what they start.
struct OfPeople {
    socket: UnixListener,
    told: Quota,
}

impl Listener for OfPeople {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.socket).await;
            let peer = stream.peer_cred().ok().and_then(|peer| peer.pid());
            if !is_confined(peer) {
                return (stream, address);
            }
            if self.told.admits(Instant::now()) {
                warn!(peer, "an agent, or a program of one, asked at the socket that is the operator's, and was turned away");
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Listener::local_addr(&self.socket)
    }
}

type Shared = State<Arc<Daemon>>;

async fn status_of(State(daemon): Shared) -> Response {
    Json(daemon.status()).into_response()
}

async fn jobs(State(daemon): Shared) -> Response {
    Json(status::jobs(&daemon.snapshot(), &daemon.plugins())).into_response()
}

/// What a job's agent declares: a reading has the values of labels, here are their keys.
async fn metrics(State(daemon): Shared, UrlPath(job): UrlPath<String>) -> Response {
    match daemon.snapshot().jobs.iter().find(|known| known.shape.job == job) {
        Some(known) => Json(&known.shape.metrics).into_response(),
        None => unknown(&daemon, &job),
    }
}

async fn run_job(State(daemon): Shared, UrlPath(job): UrlPath<String>) -> Response {
    if !daemon.knows(&job) {
        return unknown(&daemon, &job);
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
        return unknown(&daemon, &job);
    }
    match daemon.command(|done| Command::Pause { job, paused, done }).await {
        Some(Ok(changed)) => Json(serde_json::json!({ "paused": paused, "changed": changed })).into_response(),
        Some(Err(why)) => refused(StatusCode::CONFLICT, why),
        None => stopping(),
    }
}

/// Sets a job free that its plugin holds back or has quarantined.
async fn release_job(State(daemon): Shared, UrlPath(job): UrlPath<String>) -> Response {
    if !daemon.knows(&job) {
        return unknown(&daemon, &job);
    }
    match daemon.command(|done| Command::Tell { job, done }).await {
        Some(Some(job)) => Json(serde_json::json!({ "released": job.plugin.release(job.number).await })).into_response(),
        Some(None) => refused(StatusCode::CONFLICT, "it was removed just now".into()),
        None => stopping(),
    }
}

/// Who asks may say which file he means; the daemon reads the one that it was started with.
#[derive(Deserialize)]
struct Meant {
    file: Option<PathBuf>,
}

async fn reload(State(daemon): Shared, Query(meant): Query<Meant>) -> Response {
    let answer = match daemon.reload().await {
        Ok(reloaded) => Json(reloaded).into_response(),
        Err(faults) => (StatusCode::UNPROCESSABLE_ENTITY, Json(faults)).into_response(),
    };
    let canonical = |path: &Path| path.canonicalize().ok();
    let is_another = meant.file.is_some_and(|file| canonical(&file) != canonical(&daemon.file));
    let note = is_another.then(|| format!("the daemon was started with {}, and has read that", daemon.file.display()));
    noted(answer, note.as_slice())
}

/// Where a copy of the data folder is to be.
#[derive(Deserialize)]
struct Place {
    to: PathBuf,
}

async fn backup(State(daemon): Shared, Query(place): Query<Place>) -> Response {
    if !place.to.is_absolute() {
        return refused(StatusCode::BAD_REQUEST, "`to`: an absolute path belongs there".into());
    }
    match spawn_blocking(move || daemon.backup(&place.to)).await {
        Ok(Ok(copied)) => Json(copied).into_response(),
        Ok(Err(error)) if error.is_asked_wrong() => refused(StatusCode::BAD_REQUEST, crate::chain(&error)),
        Ok(Err(error)) => refused(StatusCode::INTERNAL_SERVER_ERROR, crate::chain(&error)),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn fetch(State(daemon): Shared, Query(asked): Query<Vec<(String, String)>>) -> Response {
    let request = FetchRequest::from_pairs(&asked);
    let format = request.as_ref().map_or(Format::Json, |request| request.format);
    answer_fetch(format, spawn_blocking(move || daemon.fetch(&request?)).await)
}

async fn series(State(daemon): Shared, Query(asked): Query<Vec<(String, String)>>) -> Response {
    answer_series(spawn_blocking(move || daemon.series(&ListRequest::from_pairs(&asked)?)).await)
}

/// Drops series for good; the label sets that are gone have room again.
async fn drop_series(State(daemon): Shared, Query(asked): Query<Vec<(String, String)>>) -> Response {
    let asked = match DropRequest::from_pairs(&asked) {
        Ok(asked) => asked,
        Err(error) => return refused(StatusCode::BAD_REQUEST, crate::chain(&error)),
    };
    let owner = daemon.clone();
    match spawn_blocking(move || owner.drop_series(&asked)).await {
        Ok(Ok((dropped, gone))) => {
            for LabelSetOf { job, labels } in gone {
                daemon.command(|done| Command::Forget { job, labels, done }).await;
            }
            Json(dropped).into_response()
        }
        Ok(Err(error)) if error.is_asked_wrong() => refused(StatusCode::BAD_REQUEST, crate::chain(&error)),
        Ok(Err(error)) => refused(StatusCode::INTERNAL_SERVER_ERROR, crate::chain(&error)),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn import_series(State(daemon): Shared, Json(asked): Json<ImportRequest>) -> Response {
    match spawn_blocking(move || daemon.import_series(&asked)).await {
        Ok(Ok(imported)) => Json(imported).into_response(),
        Ok(Err(error)) if error.is_asked_wrong() => refused(StatusCode::BAD_REQUEST, crate::chain(&error)),
        Ok(Err(error @ (UnimportedError::Busy | UnimportedError::Migrating(_)))) => refused(StatusCode::CONFLICT, crate::chain(&error)),
        Ok(Err(error)) => refused(StatusCode::INTERNAL_SERVER_ERROR, crate::chain(&error)),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn rename_series(State(daemon): Shared, Query(asked): Query<Vec<(String, String)>>) -> Response {
    let asked = match RenameRequest::from_pairs(&asked) {
        Ok(asked) => asked,
        Err(error) => return refused(StatusCode::BAD_REQUEST, crate::chain(&error)),
    };
    match spawn_blocking(move || daemon.rename_series(&asked)).await {
        Ok(Ok(renamed)) => Json(renamed).into_response(),
        Ok(Err(error)) if error.is_asked_wrong() => refused(StatusCode::BAD_REQUEST, crate::chain(&error)),
        Ok(Err(error)) => refused(StatusCode::INTERNAL_SERVER_ERROR, crate::chain(&error)),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// The last values of the series that each parameter `series` means, in their order.
async fn latest(State(daemon): Shared, Query(asked): Query<Vec<(String, String)>>) -> Response {
    let mut selectors = Vec::new();
    for (key, series) in &asked {
        match Selector::parse(series) {
            Ok(selector) if key == "series" => selectors.push(selector),
            Ok(_) => return refused(StatusCode::BAD_REQUEST, format!("`{key}` is no parameter of latest")),
            Err(error) => return refused(StatusCode::BAD_REQUEST, format!("`{series}` is no series: {error}")),
        }
    }
    let snapshot = daemon.snapshot();
    let found = spawn_blocking(move || selectors.iter().map(|selector| snapshot.find(selector)).collect::<Vec<Found>>());
    match found.await {
        Ok(found) => Json(found).into_response(),
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

fn unknown(daemon: &Daemon, job: &str) -> Response {
    let jobs = daemon.snapshot().jobs;
    let meant = nearest(job, jobs.iter().map(|known| known.shape.job.as_str()));
    let hint = meant.map_or("`watchpost jobs` lists all".to_owned(), |meant| format!("did you mean `{meant}`?"));
    refused(StatusCode::NOT_FOUND, format!("no job is called so; {hint}"))
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
