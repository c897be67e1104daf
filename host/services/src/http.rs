//! HTTP/1.1 for agents: one request, one answer, by connections that are kept and used again as a browser does.
//!
//! hyper speaks the protocol; it is driven by whoever waits, so that no task outlives its run and a connection that nobody asks costs
//! nothing. Reading order: [`ask`] · `link` (a connection) · `wire` (what hyper reads and writes, with its clock and its bounds) ·
//! `answer` (the body, lent) · `pool` (connections that wait).

mod answer;
mod fault;
mod head;
mod link;
mod pool;
mod target;
mod wire;

use std::{net::SocketAddr, sync::Arc};

use hyper::{Response, StatusCode, body::Incoming};
use tokio::time::Instant;
use watchpost_plugin_api::{
    AgentError, Endpoint, HttpHead, HttpRequest, HttpTimes, Keep, Needs, RecordType, Resolver,
    abi::{FfiHttpAnswer, HostStream_TO, TD_Opaque},
    wire::Resolve,
};

use crate::{answers::json, dialogue::Dialogue, need, resolve::resolve, stream::Connection, tls::TlsClients};

pub(crate) use pool::Pool;

use answer::Answer;
use link::Link;
use target::Target;
use wire::Seen;

/// What a request may use.
pub(crate) struct Means {
    pub(crate) dialogue: Arc<Dialogue>,
    pub(crate) tls: Arc<TlsClients>,
    /// What the agent said it would touch.
    pub(crate) needs: Arc<Needs>,
    /// Connections of this run.
    pub(crate) of_run: Arc<Pool>,
    /// Connections of the job.
    pub(crate) of_job: Arc<Pool>,
    /// When the run began: its clock.
    pub(crate) began: Instant,
    /// When it has to have ended.
    pub(crate) until: Instant,
}

/// How a request went before its answer.
struct Course {
    begun: Instant,
    made: Made,
    reused: bool,
}

/// Moments at which a connection was made.
#[derive(Default)]
struct Made {
    resolved: Option<Instant>,
    connected: Option<Instant>,
    secured: Option<Instant>,
}

/// Makes a request, and waits for the head of its answer.
pub(crate) async fn ask(means: &Means, request: HttpRequest, body: Vec<u8>) -> Result<FfiHttpAnswer, AgentError> {
    let begun = Instant::now();
    let target = Target::new(&request)?;
    let asked = target.request(&request, body.into())?;
    let pool = match request.keep {
        Keep::Never => None,
        Keep::Job => Some(means.of_job.clone()),
        _ => Some(means.of_run.clone()),
    };
    let mut kept = match &pool {
        Some(pool) => pool.take(&target.key).await,
        None => None,
    };
    head::note_request(&means.dialogue, &asked);
    loop {
        let reused = kept.is_some();
        let (mut link, made) = match kept.take() {
            Some(link) => (link, Made::default()),
            None => connect(means, &target, request.connect_to).await?,
        };
        match link.ask(asked.clone()).await {
            Ok(answered) => {
                let keeping = pool.map(|pool| (pool, target.key));
                return deliver(means, &Course { begun, made, reused }, link, answered, keeping);
            }
            // A server may close a connection that waited just when it is used again. What it has not acted upon, or may act upon twice,
            // is asked once more, on a new one: RFC 9112 9.3.1.
            Err(failed) if reused && (failed.untouched || failed.silent && asked.method().is_safe()) => {
                means.dialogue.note(&format!("the connection that was kept is no good any more: {}", failed.error.message()));
            }
            Err(failed) => return Err(failed.error),
        }
    }
}

/// Opens a connection, with TLS where the URL says so.
async fn connect(means: &Means, target: &Target, to: Option<SocketAddr>) -> Result<(Link, Made), AgentError> {
    let mut made = Made::default();
    let addresses = match to {
        Some(address) => vec![address],
        None => {
            let wanted = Resolve { name: target.host.clone(), record: RecordType::Any, resolver: Resolver::System };
            let addresses = resolve(&wanted).await?;
            made.resolved = Some(Instant::now());
            addresses.into_iter().map(|address| (address, target.port).into()).collect()
        }
    };
    let endpoint = Endpoint::Tcp(addresses);
    need::endpoint(&means.needs, &endpoint)?;
    let within = means.until.saturating_duration_since(Instant::now());
    let mut connection = Connection::open(endpoint, within, means.dialogue.clone(), means.tls.clone()).await?;
    made.connected = Some(Instant::now());
    let mut facts = None;
    if let Some(tls) = &target.tls {
        facts = Some(connection.start_tls(tls).await?);
        made.secured = Some(Instant::now());
    }
    Ok((Link::new(connection.into_io(), facts).await?, made))
}

/// Tells of an answer, and lends its body.
fn deliver(
    means: &Means,
    course: &Course,
    link: Link,
    answered: Response<Incoming>,
    keeping: Option<(Arc<Pool>, String)>,
) -> Result<FfiHttpAnswer, AgentError> {
    let (parts, body) = answered.into_parts();
    let seen = link.tap.end_of_head();
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(AgentError::protocol("the server goes over to another protocol, which nobody asked for"));
    }
    let head::Read { reason, headers } = head::read(&seen.bytes, &parts);
    let head = HttpHead {
        status: parts.status.as_u16(),
        reason,
        version: format!("{:?}", parts.version),
        headers,
        times: course.times(means.began, &seen),
        reused: course.reused,
        peer: link.ends.peer,
        tls: link.facts.clone(),
    };
    head::note_answer(&means.dialogue, &head);
    let answer = Answer::new(body, link, keeping, means.dialogue.clone());
    Ok(FfiHttpAnswer { head: json(&head)?.into(), body: HostStream_TO::from_value(answer, TD_Opaque) })
}

impl Course {
    /// Its marks on the clock of a run that began then.
    fn times(&self, began: Instant, seen: &Seen) -> HttpTimes {
        let since = |moment: Instant| moment.saturating_duration_since(began);
        let sent = seen.sent.unwrap_or(self.begun);
        HttpTimes {
            begun: since(self.begun),
            resolved: self.made.resolved.map(since),
            connected: self.made.connected.map(since),
            secured: self.made.secured.map(since),
            sent: since(sent),
            answered: since(seen.first.unwrap_or(sent)),
        }
    }
}
