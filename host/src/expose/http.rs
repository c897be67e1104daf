//! The listener: the scrape, series and events, health, and the start page. Nothing here changes anything.
//!
//! Reading order: [`Outward`] (what is shown) · [`router`] (where) · `guard` (what is refused) · [`serve()`] (how long anybody may take).

mod alarms;
mod guard;
mod patience;
mod series;
mod serve;

use std::{fmt, sync::Arc};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, broadcast},
    task::{JoinError, spawn_blocking},
    time::timeout,
};

pub(crate) use alarms::{answer_alarm, answer_alarms, stream_of};
pub use guard::Hosts;
pub use series::ValueReader;
pub(crate) use series::{NOTE, answer_fetch, answer_series, noted};
pub use serve::{Limits, serve};

use super::{
    host_metrics::HostMetrics,
    prometheus::{Families, Format, render},
};
use crate::{
    alarm::{
        self,
        notice::Notice,
        request::{AlarmRequest, AlarmRequestError, Whole},
    },
    console::{Asked, House, STYLE, missing, page},
    event::{
        request::{EventRequest, EventRequestError},
        store::Found,
    },
    latest::Latest,
    series::{
        fetch::Kept,
        listing::ListRequest,
        request::{FetchError, FetchRequest, Format as Form},
    },
};

/// Pages and scrapes in the making at one time; others wait for [`RENDER_WAIT`].
const RENDERS_MAX: usize = 2;
/// How long a request waits for its turn; a scraper has given up by then.
const RENDER_WAIT: std::time::Duration = std::time::Duration::from_secs(10);

/// Header of an answer that the limit may have cut: `true` or `false`.
pub(crate) const MORE: &str = "watchpost-more";

const HTML: &str = "text/html; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// Answers a question about events.
pub type EventReader = Box<dyn Fn(&EventRequest) -> Result<Found, EventRequestError> + Send + Sync>;

/// Answers a question about which series there are.
pub type SeriesReader = Box<dyn Fn(&ListRequest) -> Result<Vec<Kept>, FetchError> + Send + Sync>;

/// Answers a question about alarms.
pub type AlarmLister = Box<dyn Fn(&AlarmRequest) -> Result<alarm::request::Found, AlarmRequestError> + Send + Sync>;

/// What is shown of alarms.
pub struct AlarmReader {
    /// Lists them.
    pub list: AlarmLister,
    /// Tells all of one.
    pub whole: Box<dyn Fn(u64) -> Result<Whole, AlarmRequestError> + Send + Sync>,
    /// Follows their steps from now on.
    pub follow: Box<dyn Fn() -> broadcast::Receiver<Arc<Notice>> + Send + Sync>,
}

/// What the listener shows.
pub struct Outward {
    /// The jobs and their last values.
    pub latest: Arc<Latest>,
    /// What the daemon says of itself.
    pub host: Arc<HostMetrics>,
    /// Looks into the event store.
    pub events: EventReader,
    /// Reads values of series.
    pub values: ValueReader,
    /// Lists series.
    pub series: SeriesReader,
    /// Looks at alarms.
    pub alarms: AlarmReader,
    /// How the daemon and its workers are.
    pub house: Box<dyn Fn() -> House + Send + Sync>,
    /// Ready, or why not.
    pub ready: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// The wall clock, nanoseconds since 1970.
    pub now_ns: Box<dyn Fn() -> i64 + Send + Sync>,
}

impl fmt::Debug for Outward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outward").field("latest", &self.latest).finish_non_exhaustive()
    }
}

struct Shown {
    outward: Outward,
    turns: Arc<Semaphore>,
}

/// The routes, behind the guard.
pub fn router(outward: Outward, hosts: Hosts) -> Router {
    let shown = Arc::new(Shown { outward, turns: Arc::new(Semaphore::new(RENDERS_MAX)) });
    let routes = Router::new()
        .route("/", get(start))
        .route("/console.css", get(style))
        .route("/metrics", get(metrics))
        .route("/api/v1/alarms", get(alarms))
        .route("/api/v1/alarms/stream", get(follow))
        .route("/api/v1/alarms/{number}", get(alarm))
        .route("/api/v1/events", get(events))
        .route("/api/v1/fetch", get(fetch))
        .route("/api/v1/series", get(list))
        .route("/-/healthy", get(healthy))
        .route("/-/ready", get(ready))
        .fallback(not_found)
        .with_state(shown);
    guard::behind(routes, hosts)
}

async fn start(State(shown): State<Arc<Shown>>, Query(asked): Query<Vec<(String, String)>>) -> Response {
    let asked = Asked::from_pairs(&asked);
    shown.render(move |outward| (HTML, page(&outward.latest.snapshot((outward.now_ns)()), &(outward.house)(), &asked))).await
}

async fn metrics(State(shown): State<Arc<Shown>>, headers: HeaderMap) -> Response {
    let accept: Vec<_> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let format = Format::negotiate(&accept.join(","));
    shown.render(move |outward| (format.content_type(), scrape(outward, format))).await
}

fn scrape(outward: &Outward, format: Format) -> String {
    let snapshot = outward.latest.snapshot((outward.now_ns)());
    let families = Families::of(&snapshot);
    outward.host.set_series_left_out(families.left_out());
    render(&families, &outward.host.gather(), format)
}

async fn events(State(shown): State<Arc<Shown>>, Query(asked): Query<Vec<(String, String)>>) -> Response {
    let Some(turn) = shown.turn().await else { return busy() };
    let found = spawn_blocking(move || {
        let _turn = turn;
        EventRequest::from_pairs(&asked).and_then(|request| (shown.outward.events)(&request))
    });
    answer_events(found.await)
}

/// Events as a list; [`MORE`] says in a header whether the limit cut it.
pub(crate) fn answer_events(found: Result<Result<Found, EventRequestError>, JoinError>) -> Response {
    let refused = |status, error: String| (status, Json(serde_json::json!({ "error": error }))).into_response();
    match found {
        Ok(Ok(found)) => ([(MORE, found.more.to_string())], Json(found.events)).into_response(),
        Ok(Err(error)) if error.is_asked_wrong() => refused(StatusCode::BAD_REQUEST, crate::chain(&error)),
        Ok(Err(error)) => refused(StatusCode::INTERNAL_SERVER_ERROR, crate::chain(&error)),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn alarms(State(shown): State<Arc<Shown>>, Query(asked): Query<Vec<(String, String)>>) -> Response {
    let Some(turn) = shown.turn().await else { return busy() };
    let found = spawn_blocking(move || {
        let _turn = turn;
        AlarmRequest::from_pairs(&asked).and_then(|request| (shown.outward.alarms.list)(&request))
    });
    answer_alarms(found.await)
}

async fn alarm(State(shown): State<Arc<Shown>>, Path(number): Path<u64>) -> Response {
    let Some(turn) = shown.turn().await else { return busy() };
    let found = spawn_blocking(move || {
        let _turn = turn;
        (shown.outward.alarms.whole)(number)
    });
    answer_alarm(found.await)
}

async fn follow(State(shown): State<Arc<Shown>>) -> Response {
    stream_of((shown.outward.alarms.follow)())
}

async fn fetch(State(shown): State<Arc<Shown>>, Query(asked): Query<Vec<(String, String)>>) -> Response {
    let Some(turn) = shown.turn().await else { return busy() };
    let request = FetchRequest::from_pairs(&asked);
    let format = request.as_ref().map_or(Form::Json, |request| request.format);
    let fetched = spawn_blocking(move || {
        let _turn = turn;
        (shown.outward.values)(&request?)
    });
    answer_fetch(format, fetched.await)
}

async fn list(State(shown): State<Arc<Shown>>, Query(asked): Query<Vec<(String, String)>>) -> Response {
    let Some(turn) = shown.turn().await else { return busy() };
    let listed = spawn_blocking(move || {
        let _turn = turn;
        (shown.outward.series)(&ListRequest::from_pairs(&asked)?)
    });
    answer_series(listed.await)
}

async fn healthy() -> Response {
    answer(StatusCode::OK, PLAIN, "healthy\n")
}

async fn ready(State(shown): State<Arc<Shown>>) -> Response {
    match (shown.outward.ready)() {
        Ok(()) => answer(StatusCode::OK, PLAIN, "ready\n"),
        Err(reason) => answer(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("not ready: {reason}\n")),
    }
}

async fn style() -> Response {
    answer(StatusCode::OK, "text/css; charset=utf-8", STYLE)
}

async fn not_found() -> Response {
    answer(StatusCode::NOT_FOUND, HTML, missing())
}

impl Shown {
    /// Waits for a turn, not for ever.
    async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        timeout(RENDER_WAIT, self.turns.clone().acquire_owned()).await.ok()?.ok()
    }

    /// Renders off the runtime's threads, few at a time.
    async fn render(self: Arc<Self>, with: impl FnOnce(&Outward) -> (&'static str, String) + Send + 'static) -> Response {
        let Some(turn) = self.turn().await else { return busy() };
        let rendered = spawn_blocking(move || {
            let _turn = turn;
            with(&self.outward)
        });
        match rendered.await {
            Ok((kind, body)) => answer(StatusCode::OK, kind, body),
            Err(error) => {
                // A panic is in the log already, with its place.
                tracing::debug!("a page could not be rendered: {error}");
                answer(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, "the page could not be rendered; the log says why\n")
            }
        }
    }
}

fn busy() -> Response {
    answer(StatusCode::SERVICE_UNAVAILABLE, PLAIN, "busy: too many ask at once\n")
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, kind)], body.into()).into_response()
}
