//! Sends a message and waits for it: how long mail takes from one door to one mailbox, and what is late, lost or doubled on the way.
//!
//! Target: `host:port to recipient`. Reading order: [`Config`] (what a job says) · [`Roundtrip`] (one run) · `ledger` (what is under way,
//! over runs and restarts) · `mark` (how a message is known again) · `mailbox` (where it is looked for) · `arrival` (when it came) ·
//! `head` (what its header tells) · `report` (what a run records).
//!
//! A run looks for what earlier runs sent, sends a message, and waits for it, at most `wait`. What has not come by then is under way: the
//! run ends well all the same, with one more `in_flight`, and a later run finds it.
//!
//! - `connect_time` and its like, up to `total_time`, are the phases of the sending session, as the agent `smtp` has them.
//! - `roundtrip_time` is the time from DATA until the message is in the mailbox, of the message sent last among those that came with
//!   this run: as a rule the run's own, and else the one that tells most of how the service is now. It stands at the time of the run that
//!   found the message. `worst_time` is that of the slowest of them, so that one that came late hides behind no other.
//! - `resolution` says how exactly the time is known: it is at most `roundtrip_time`, and at least that less `resolution`. While a run
//!   waits, it is the time between two looks; of a message that a later run finds it is that of the stamp of its delivery: a second
//!   (INTERNALDATE, `Received`), or a tenth of one (a Maildir's files). Where the stamp contradicts what was seen, because clocks differ,
//!   there is no time, and `stamps_skewed` counts one more.
//! - `hop_time` has each server on the way by its number and name, in whole seconds as `Received` has them, of the same message.
//! - `messages_late` counts a message once it is not there `late_after` after it was sent, whether it comes or not; `messages_lost` once
//!   nobody has seen it for `lost_after`. Sent are those that arrived, those that were lost, and those in flight, always.
//!
//! A message is ours if its header bears this job's mark, proved by a key that only the cursor holds; no subject, sender or number makes one
//! so. Nothing else in the mailbox is touched, not even a flag. Messages are deleted when their count is safe: those of this run at once,
//! others by the run after the one that counted them. A run that was lost leaves no message behind unless it was the job's first.

mod arrival;
mod config;
mod head;
mod ledger;
mod mailbox;
mod mark;
mod report;
mod span;

use std::time::{Duration, SystemTime};

use watchpost_mail::smtp::{Client, Envelope, Message, Session};
use watchpost_plugin_api::{Agent, AgentError, Cx, ErrorKind, Laps, Level, Metric, Needs, export_agents, standard};

pub use config::{Config, ImapReceive, MaildirReceive, Pop3Receive, Receive, Watch};
use ledger::{IN_FLIGHT_MAX, Ledger};
use mailbox::{Receiver, Visit};
use mark::Mark;
use report::News;
pub use report::{
    HOP_TIME, IN_FLIGHT, MESSAGES_ARRIVED, MESSAGES_DUPLICATE, MESSAGES_LATE, MESSAGES_LOST, OLDEST_AGE, RESOLUTION, STAMPS_SKEWED,
    WORST_TIME,
};
pub use span::Span;

/// What is left of a run's time when it stops waiting, so that what it knows is kept.
const MARGIN: Duration = Duration::from_secs(1);
/// How long the end of the sending session may take: the message stands, and is on its way.
const QUIT_TIMEOUT: Duration = Duration::from_millis(500);

/// The agent `roundtrip`, made for one job.
pub struct Roundtrip {
    config: Config,
    client: Client,
    envelope: Envelope,
    receiver: Receiver,
}

/// The wall clock of one run: it starts right, and then never jumps.
#[derive(Clone, Copy)]
pub(crate) struct Clock<'a> {
    cx: &'a Cx,
    began_ns: u64,
}

impl<'a> Clock<'a> {
    fn new(cx: &'a Cx) -> Self {
        let since = cx.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { cx, began_ns: nanos(since.saturating_sub(cx.elapsed())) }
    }

    /// Nanoseconds since 1970.
    pub(crate) fn now_ns(&self) -> u64 {
        self.began_ns.saturating_add(nanos(self.cx.elapsed()))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Agent for Roundtrip {
    type Config = Config;
    const NAME: &'static str = "roundtrip";
    const METRICS: &'static [Metric] = report::METRICS;

    fn new(config: Config) -> Result<Self, AgentError> {
        config.check()?;
        let (client, receiver) = (Client::new(config.door(), config.login()?), Receiver::new(&config.receive)?);
        Ok(Self { envelope: config.envelope()?, client, receiver, config })
    }

    fn target(config: &Config) -> String {
        format!("{} to {}", config.door().target(), config.to)
    }

    fn needs(config: &Config) -> Needs {
        config.needs()
    }

    fn repeatable(_: &Config) -> bool {
        false
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let of = self.config.receive.place();
        let kept = cx.cursor().and_then(|cursor| serde_json::from_slice::<Ledger>(&cursor).ok());
        let mut ledger = kept.filter(|ledger| ledger.of == of).unwrap_or_else(|| Ledger::new(of));
        let Self { config, client, envelope, receiver } = self;
        let entered = cx.elapsed();
        let visit = receiver.enter(cx, &ledger).await?;
        let mut run = Run { cx, clock: Clock::new(cx), config, visit, news: News::default() };
        let ended = run.round(entered, client, envelope, &mut ledger).await;
        run.visit.leave().await;
        ended?;
        ledger.uids = run.visit.looked_through().or(ledger.uids);
        ledger.totals.skewed += run.news.record(cx);
        report::record(cx, &ledger, run.clock.now_ns());
        let left = serde_json::to_vec(&ledger).map_err(|error| AgentError::local(error.to_string()))?;
        cx.set_cursor(&left)
    }
}

/// One run, from the open mailbox on.
struct Run<'a> {
    cx: &'a Cx,
    clock: Clock<'a>,
    config: &'a Config,
    visit: Visit<'a>,
    news: News,
}

impl Run<'_> {
    async fn round(&mut self, entered: Duration, client: &mut Client, envelope: &Envelope, ledger: &mut Ledger) -> Result<(), AgentError> {
        let (absent_ns, now_ns) = (ledger.looked_ns, self.clock.now_ns());
        self.look(ledger, absent_ns, None).await?;
        self.cx.record(standard::SEARCH_TIME, self.cx.elapsed().saturating_sub(entered));
        let (late_after, lost_after) = (millis(self.config.late_after.0), millis(self.config.lost_after.0));
        self.news.overdue(self.cx, ledger.miss(ledger::millis(now_ns), late_after, lost_after));
        if ledger.is_full() {
            return Err(AgentError::new(
                ErrorKind::LIMIT,
                format!("{IN_FLIGHT_MAX} messages are under way, and no more can be remembered"),
            ));
        }
        let mut laps = self.cx.laps();
        let mut session = client.enter(self.cx, &mut laps).await?;
        let sent = match self.send(&mut session, envelope, ledger, &mut laps).await {
            Ok(mark) => mark,
            Err(error) => {
                session.leave().await;
                return Err(error);
            }
        };
        self.quit(session, laps).await;
        ledger.send(sent);
        self.wait(ledger, sent).await;
        Ok(())
    }

    async fn send(&mut self, session: &mut Session, envelope: &Envelope, ledger: &Ledger, laps: &mut Laps<'_>) -> Result<Mark, AgentError> {
        let begun = laps.mark();
        session.mail(&envelope.from).await?;
        laps.lap(standard::MAIL_TIME);
        session.recipient(&envelope.to).await?;
        laps.lap(standard::RCPT_TIME);
        let mark = Mark { id: mark::random(), sent_ns: self.clock.now_ns() };
        let headers = [ledger.identity.header(mark)];
        let text = "This message measures how long mail takes. It is deleted when it has been counted.";
        let message = Message { envelope, subject: "Watchpost round trip", headers: &headers, text };
        session.data(&message.written(self.cx.now())).await?;
        laps.lap(standard::DATA_TIME);
        laps.span(standard::TRANSMISSION_TIME, begun);
        Ok(mark)
    }

    /// The message is on its way: how the server takes its leave costs quit_time, and no more.
    async fn quit(&mut self, mut session: Session, mut laps: Laps<'_>) {
        match self.cx.within(QUIT_TIMEOUT, session.close(false)).await {
            Ok(()) => drop(laps.lap(standard::QUIT_TIME)),
            Err(error) => self.cx.log(Level::Debug, &format!("no proper end: {error}")),
        }
        laps.total(standard::TOTAL_TIME);
    }

    /// Waits for the message that was sent. Whatever goes wrong here is the next run's to find: this one has sent a message, of which
    /// nobody would know if it failed.
    async fn wait(&mut self, ledger: &mut Ledger, sent: Mark) {
        let (cx, left) = (self.cx, self.cx.remaining());
        let most = left.saturating_sub(MARGIN.min(left / 4));
        let until = cx.elapsed() + self.config.wait.0.min(most);
        if let Err(error) = cx.within(most, self.watch(ledger, sent, until)).await {
            cx.log(Level::Info, &format!("stopped waiting: {error}"));
        }
    }

    async fn watch(&mut self, ledger: &mut Ledger, sent: Mark, until: Duration) -> Result<(), AgentError> {
        let mut absent_ns = sent.sent_ns;
        let mut told = None;
        loop {
            let begun_ns = self.clock.now_ns();
            if self.look(ledger, absent_ns, Some((sent, told))).await? {
                return Ok(());
            }
            absent_ns = begun_ns;
            let left = until.saturating_sub(self.cx.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            told = self.visit.pause(left).await?.then(|| self.clock.now_ns());
        }
    }

    /// Looks once, counts what came, and deletes what is counted; says whether the message `own` of this run has come. `told` is when the
    /// server said that there is news.
    async fn look(&mut self, ledger: &mut Ledger, absent_ns: u64, own: Option<(Mark, Option<u64>)>) -> Result<bool, AgentError> {
        let begun_ns = self.clock.now_ns();
        let found = self.visit.look().await?;
        let told = own.and_then(|own| own.1);
        let seen = report::Seen {
            // What is told is told at once: the moment is known as well as a clock can be read on a busy machine.
            absent_ns: told.map_or(absent_ns, |told| told.saturating_sub(1_000_000)),
            found_ns: told.unwrap_or_else(|| self.clock.now_ns()),
            watched: self.visit.watched(),
            late_after: self.config.late_after.0,
        };
        let own = own.map(|own| own.0.id);
        let mut own_came = false;
        let mut counted = Vec::new();
        for found in found {
            let is_own = own == Some(found.mark.id);
            own_came |= is_own;
            let handle = found.handle.clone();
            if self.news.take(self.cx, ledger, found, &seen) || is_own {
                counted.push(handle);
            }
        }
        ledger.looked_ns = begun_ns;
        self.visit.settle(&counted).await?;
        Ok(own_came)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

export_agents!(Roundtrip);
