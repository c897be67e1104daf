//! Times every phase of a web mail session: connect, login, list of a mailbox, a message opened, one composed and sent, logout.
//!
//! Target: the address at which a web mail is entered. Reading order: [`Config`] (what a job says) · [`script`] (the language of steps) ·
//! [`Webmail`] (the order of the phases) · `session` (requests, redirects, and who may see what) · `step`, `expect`, `take`, `template`,
//! `page` (what a step is made of) · `place`, `cookies` (who is who).
//!
//! The phases are laps of one clock, so they add up to `total_time` exactly:
//! - `resolve_time`, `connect_time` and `tls_time` are those of the session's first connection. One that is opened later, because the server
//!   closed the one before, is part of the phase that needs it: so people feel it.
//! - every other phase is the time of all its steps, answers read to their end and redirects followed; it is recorded with the last of them,
//!   so a login that fails half-way has no time.
//! - a step without a phase is in no metric and not in the sum: waiting for one's own message to arrive, and removing it.
//!
//! HTTP tells its times with an answer: of a server that does not give a first one nothing is known, not even how long its name took.
//! A phase that was not reached is unknown, and so is the total of a run that failed; a download from an empty mailbox is unknown, and no
//! fault. What a script does not find is told with the step and with what was expected; nothing of a page is shown but what `says` names.
//!
//! Pages are hostile: redirects, cookies, heads and bodies are bounded, and no secret follows a redirect to another host.

mod config;
mod cookies;
mod expect;
mod page;
mod place;
pub mod script;
mod session;
mod step;
mod take;
mod template;

use std::hash::{BuildHasher, RandomState};

use watchpost_plugin_api::{Agent, AgentError, Cx, Laps, Metric, Needs, Tls, Unit, export_agents, standard};

pub use config::Config;
use config::Plan;
use session::Session;
use step::{Phase, Step};

/// Size of what was downloaded: the answers of the phase `download`.
pub const DOWNLOAD_BYTES: Metric = Metric::gauge("download_bytes", Unit::Bytes, "Volume of the pages with the message downloaded.");

/// How a mark begins, by which a message is known as this agent's.
const MARK: &str = "watchpost";

/// The agent `webmail`, made for one job.
pub struct Webmail {
    plan: Plan,
    tls: Tls,
    body_bytes_max: usize,
    /// What marks the messages of this run, and of those before it that failed; it is left as the cursor, too.
    mark: Option<String>,
    /// Whether the log was told that the password crosses the network in the clear.
    warned: bool,
}

impl Agent for Webmail {
    type Config = Config;
    const NAME: &'static str = "webmail";
    const METRICS: &'static [Metric] = &[
        standard::RESOLVE_TIME,
        standard::CONNECT_TIME,
        standard::TLS_TIME,
        standard::AUTHENTICATE_TIME,
        standard::SELECT_TIME,
        standard::SEARCH_TIME,
        standard::DOWNLOAD_TIME,
        standard::COMPOSE_SEND_TIME,
        standard::LOGOUT_TIME,
        standard::TOTAL_TIME,
        DOWNLOAD_BYTES,
    ];

    fn new(config: Config) -> Result<Self, AgentError> {
        let plan = config.plan()?;
        let tls = config.handshake(&plan.url);
        let body_bytes_max = usize::try_from(config.body_max.get()).unwrap_or(usize::MAX);
        Ok(Self { plan, tls, body_bytes_max, mark: None, warned: false })
    }

    fn target(config: &Config) -> String {
        config.place().map_or_else(|_| config.url.clone(), |place| place.to_string())
    }

    fn needs(config: &Config) -> Needs {
        config.needs()
    }

    fn repeatable(config: &Config) -> bool {
        !config.sends()
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let mut laps = cx.laps();
        let mut session = Session::new(cx, &self.plan, &self.tls, self.body_bytes_max);
        let done = converse(cx, &self.plan.steps, &mut session, &mut self.mark, &mut laps).await;
        if session.was_overheard() && !self.warned {
            self.warned = true;
            session::warn_of_clear_text(cx, &self.plan.url);
        }
        done?;
        laps.total(standard::TOTAL_TIME);
        if self.mark.is_some() {
            // What carried this mark is gone; a run that fails leaves its own to the next one.
            let next = new_mark();
            cx.set_cursor(next.as_bytes())?;
            self.mark = Some(next);
        }
        Ok(())
    }
}

/// Every step in its order. A phase ends with the last of its steps that run.
async fn converse(
    cx: &Cx,
    steps: &[Step],
    session: &mut Session<'_>,
    mark: &mut Option<String>,
    laps: &mut Laps<'_>,
) -> Result<(), AgentError> {
    let mut before = 0;
    for (at, step) in steps.iter().enumerate() {
        if !step.is_wanted(session.words()) {
            continue;
        }
        if step.is_marked {
            // Not before it is needed, and once in a worker's life: a run that has asked for the cursor and fails keeps no phase.
            session.mark(mark.get_or_insert_with(|| left_mark(cx).unwrap_or_else(new_mark)));
        }
        session.step(step, laps).await?;
        if steps[at + 1..].iter().take_while(|next| next.phase == step.phase).any(|next| next.is_wanted(session.words())) {
            continue;
        }
        match &step.phase {
            None => laps.skip(),
            Some(Phase::Standard(_, metric)) => drop(laps.lap(*metric)),
            Some(Phase::Own(spec)) => drop(laps.lap(&cx.declare(spec.clone())?)),
        }
        if matches!(step.phase, Some(Phase::Standard("download", _))) {
            cx.record(DOWNLOAD_BYTES, session.bytes() - before);
        }
        before = session.bytes();
    }
    Ok(())
}

/// The mark that the last run left, perhaps in another worker.
fn left_mark(cx: &Cx) -> Option<String> {
    String::from_utf8(cx.cursor()?).ok().filter(|left| is_mark(left))
}

fn new_mark() -> String {
    format!("{MARK}{:016x}", random())
}

fn is_mark(text: &str) -> bool {
    text.strip_prefix(MARK).is_some_and(|rest| rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// What no other run has, beginning with a mark.
fn unique(mark: &str) -> String {
    format!("{mark} {:08x}", random() >> 32)
}

/// A number that nobody guesses and no other run has: the standard library seeds its tables from the system's random numbers.
fn random() -> u64 {
    RandomState::new().hash_one(std::time::Instant::now())
}

export_agents!(Webmail);
