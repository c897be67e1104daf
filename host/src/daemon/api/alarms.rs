//! What the command line asks of alarms, and does to them.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{ConnectInfo, Path as UrlPath, Query, State, connect_info::Connected},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::IncomingStream,
};
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::{COMMENT_CHARS_MAX, OfPeople, Shared, refused, too_long};
use crate::{
    alarm::{
        ledger::ActError,
        life::Act,
        request::{AlarmRequest, LIMIT_MAX, whole},
        situation::situations,
    },
    daemon::{Daemon, now_ns},
    expose::http::{answer_alarm, answer_alarms, stream_of},
    notify::why_not::{Asked, why_not},
    schedule::Zone,
    series::time::parse_duration,
};

/// Seconds that something may be shelved or acknowledged for: a year.
const FOR_MAX_S: u32 = 366 * 86_400;
pub(super) fn routes() -> Router<Arc<Daemon>> {
    Router::new()
        .route("/api/v1/alarms", get(list))
        .route("/api/v1/alarms/stream", get(stream))
        .route("/api/v1/alarms/{number}", get(show))
        .route("/api/v1/alarms/{number}/why-not", get(why))
        .route("/api/v1/alarms/{number}/{act}", post(act))
        .route("/api/v1/situations", get(together))
}

/// Who asks at the socket.
#[derive(Clone, Debug)]
pub(super) struct Peer(Option<u32>);

impl Connected<IncomingStream<'_, OfPeople>> for Peer {
    fn connect_info(stream: IncomingStream<'_, OfPeople>) -> Self {
        Self(stream.io().peer_cred().ok().map(|peer| peer.uid()))
    }
}

impl Peer {
    /// The user's name; without one his number.
    pub(super) fn name(&self) -> String {
        let Some(uid) = self.0 else { return "unknown".into() };
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let named = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(uid)).then(|| crate::plain(name))
        });
        named.unwrap_or_else(|| format!("uid {uid}"))
    }
}

async fn list(State(daemon): Shared, Query(asked): Query<Vec<(String, String)>>) -> Response {
    let found = spawn_blocking(move || AlarmRequest::from_pairs(&asked).and_then(|request| daemon.alarms(&request)));
    answer_alarms(found.await)
}

async fn together(State(daemon): Shared) -> Response {
    let request = AlarmRequest { limit: LIMIT_MAX, ..AlarmRequest::default() };
    let found = spawn_blocking(move || daemon.alarms(&request).map(|found| situations(found.alarms, &daemon.config().jobs)));
    match found.await {
        Ok(Ok(found)) => Json(found).into_response(),
        Ok(Err(error)) => refused(StatusCode::INTERNAL_SERVER_ERROR, crate::chain(&error)),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn show(State(daemon): Shared, UrlPath(number): UrlPath<u64>) -> Response {
    answer_alarm(spawn_blocking(move || whole(&daemon.config().data.value, number)).await)
}

/// About whom it is asked, and whose clocks tell the times.
#[derive(Deserialize)]
struct About {
    who: String,
    timezone: Option<String>,
}

async fn why(State(daemon): Shared, UrlPath(number): UrlPath<u64>, Query(About { who, timezone }): Query<About>) -> Response {
    let found = spawn_blocking(move || {
        let zone = timezone.as_deref().map(Zone::parse).transpose()?.unwrap_or_default();
        let config = daemon.config();
        why_not(&config.data.value, number, &Asked { who: &who, zone, now_ns: now_ns() }, &config.known())
    });
    answer_alarm(found.await)
}

async fn stream(State(daemon): Shared) -> Response {
    stream_of(daemon.ledger.lend().follow())
}

/// What is said with what somebody does.
#[derive(Deserialize)]
struct Said {
    /// For how long.
    r#for: Option<String>,
    text: Option<String>,
}

async fn act(
    State(daemon): Shared,
    ConnectInfo(peer): ConnectInfo<Peer>,
    UrlPath((number, what)): UrlPath<(u64, String)>,
    Query(asked): Query<Said>,
    body: Bytes,
) -> Response {
    let now_ns = now_ns();
    // What is long stands in the body; a URL has little room.
    let said = match body.is_empty() {
        true => asked,
        false => match serde_json::from_slice::<Said>(&body) {
            Ok(said) => said,
            Err(error) => return refused(StatusCode::BAD_REQUEST, format!("the body is not understood: {error}")),
        },
    };
    let until_ns = match said.r#for.as_deref().map(|span| parse_duration(span).filter(|seconds| *seconds <= FOR_MAX_S).ok_or(span)) {
        None => None,
        Some(Ok(seconds)) => Some(now_ns.saturating_add(i64::from(seconds).saturating_mul(1_000_000_000))),
        Some(Err(span)) => {
            return refused(StatusCode::BAD_REQUEST, format!("`{span}` is no length of time; write 30m, 2h or 1d, up to a year"));
        }
    };
    let text = said.text.map(|text| crate::plain(&text)).filter(|text| !text.is_empty());
    if text.as_ref().is_some_and(|text| text.chars().count() > COMMENT_CHARS_MAX) {
        return refused(StatusCode::BAD_REQUEST, too_long(text.as_deref().unwrap_or_default()));
    }
    let act = match (what.as_str(), until_ns, text) {
        ("own", ..) => Act::Own,
        ("acknowledge", until_ns, _) => Act::Acknowledge(until_ns),
        ("unacknowledge", ..) => Act::Unacknowledge,
        ("annotate", _, Some(text)) => Act::Annotate(text),
        ("annotate", ..) => return refused(StatusCode::BAD_REQUEST, "`text`: something has to be said".into()),
        ("shelve", Some(until_ns), _) => Act::Shelve(until_ns),
        ("shelve", ..) => return refused(StatusCode::BAD_REQUEST, "`for`: say for how long, 2h".into()),
        ("unshelve", ..) => Act::Unshelve,
        ("close", ..) => Act::Close { endless: false },
        _ => return refused(StatusCode::NOT_FOUND, format!("nothing is called `{what}`")),
    };
    let done = spawn_blocking(move || daemon.act_on_alarm(number, &peer.name(), act, now_ns));
    match done.await {
        Ok(Ok(alarm)) => Json(alarm).into_response(),
        Ok(Err(error)) => {
            let status = match &error {
                ActError::Unknown(_) => StatusCode::NOT_FOUND,
                ActError::Refused(_) => StatusCode::CONFLICT,
                ActError::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            refused(status, crate::chain(&error))
        }
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
