//! Counts what a mail server's log tells: messages, volumes, connections, and the lines it does not know.
//!
//! Target: a log, as `postfix /var/log/mail.log`. Reading order: [`Config`] (what a job says) · [`Maillog`] (one run) · `tally` (running
//! totals) · `packs` (what the lines of each server mean).
//!
//! Every line is counted once: over rotation by renaming (the old file is read to its end first) and by copying and cutting (as far as
//! lines were left readable), over compression, restarts and set clocks; see `watchpost-logs`. All figures are running totals that live
//! in the cursor, so a run that is lost is done again and counts nothing twice. What a run cannot read in time waits for the next one:
//! `backlog_bytes` says how much.
//!
//! - `class_lines` has the lines of each class of the server's log, by its name; classes that never came are not there.
//! - The standard metrics are those that this server's log tells; the others are not there. Deliveries count recipients.
//! - `lines_unmatched` counts lines of no known form. Samples of them are events, cut, and without what follows a word like `password`.

mod config;
mod packs;
mod recent;
mod tally;

use serde::{Deserialize, Serialize};
use watchpost_logs::{Position, Source, Told, given_up, keep, kept, text::shown};
use watchpost_plugin_api::{Agent, AgentError, Cx, Metric, Needs, Severity, Unit, export_agents, standard};

pub use config::{Config, Format};
use packs::AnyPack;
pub use tally::Total;
use tally::{Kept, Seen, Tally};

/// Unmatched lines of a run that are shown.
const SAMPLES_MAX: usize = 5;

/// Lines that were read.
pub const LINES: Metric = Metric::counter("lines", Unit::Number, "Lines that were read.");
/// Lines of other programs.
pub const LINES_FOREIGN: Metric =
    Metric::counter("lines_foreign", Unit::Number, "Lines of other programs, or of processes that are not counted.");
/// Lines of no known form.
pub const LINES_UNMATCHED: Metric = Metric::counter("lines_unmatched", Unit::Number, "Lines of no known form.");
/// Lines that were too long.
pub const LINES_CUT: Metric = Metric::counter("lines_cut", Unit::Number, "Lines that were longer than line_bytes_max, and cut.");
/// Lines by class.
pub const CLASS_LINES: Metric = Metric::counter("class_lines", Unit::Number, "Lines of each class.").by(&["class"]);
/// Connections of delivering clients.
pub const RELAY_CONNECTIONS: Metric = Metric::counter(
    "relay_connections",
    Unit::Number,
    "Connections to other servers in order to deliver, those that failed included; a message in a connection used again is none.",
);
/// Those of them that came to nothing.
pub const RELAY_ERRORS: Metric = Metric::counter(
    "relay_errors",
    Unit::Number,
    "Connections to other servers that were refused, timed out, or broke before the delivery was answered.",
);
/// Messages without a size.
pub const MESSAGES_UNSIZED: Metric = Metric::counter(
    "messages_unsized",
    Unit::Messages,
    "Stored messages whose size the log does not tell: they are missing in the volumes.",
);
/// Bytes that wait.
pub const BACKLOG_BYTES: Metric = Metric::gauge("backlog_bytes", Unit::Bytes, "Bytes of the log that were not read yet.");

/// The agent `maillog`, made for one job.
pub struct Maillog {
    config: Config,
    source: Source,
}

/// What a run leaves to the next one.
#[derive(Serialize, Deserialize)]
struct Left {
    /// What it belongs to: a job whose log or format was changed begins anew.
    of: String,
    place: Position,
    tally: Kept,
    pack: Vec<u64>,
}

impl Agent for Maillog {
    type Config = Config;
    const NAME: &'static str = "maillog";
    const METRICS: &'static [Metric] = &[
        LINES,
        LINES_FOREIGN,
        LINES_UNMATCHED,
        LINES_CUT,
        CLASS_LINES,
        BACKLOG_BYTES,
        RELAY_CONNECTIONS,
        RELAY_ERRORS,
        MESSAGES_UNSIZED,
        standard::MESSAGES_RECEIVED,
        standard::MESSAGES_STORED,
        standard::MESSAGES_SENT,
        standard::MESSAGES_DEFERRED,
        standard::MESSAGES_BOUNCED,
        standard::MESSAGES_PROCESSED,
        standard::MESSAGES_RETRIEVED,
        standard::RECEIVED_BYTES,
        standard::STORED_BYTES,
        standard::CONNECTIONS,
        standard::CONNECTION_ERRORS,
    ];

    fn new(config: Config) -> Result<Self, AgentError> {
        config.check()?;
        let source = config.source().source(config.from, config.line_bytes_max.get() as usize);
        Ok(Self { config, source })
    }

    fn target(config: &Config) -> String {
        format!("{} {}", format!("{:?}", config.format).to_lowercase(), config.source().target())
    }

    fn needs(config: &Config) -> Needs {
        config.source().needs()
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let of = Self::target(&self.config);
        let left: Option<Left> = kept(cx).filter(|left: &Left| left.of == of);
        let mut pack = AnyPack::new(&self.config);
        let (place, mut tally) = match left {
            Some(left) => {
                pack.go_on(&left.pack);
                (Some(left.place), Tally::of(&left.tally, pack.classes()))
            }
            None => (None, Tally::default()),
        };
        let before = tally.unmatched;
        let mut samples = Vec::new();
        let each = |line: watchpost_logs::Line<'_>| {
            let seen = pack.line(line.bytes, &mut tally);
            if seen == Seen::Unknown && samples.len() < SAMPLES_MAX {
                samples.push(shown(line.bytes));
            }
            tally.count(seen, line.cut);
        };
        let (place, told) = self.source.read(cx, place.as_ref(), each).await?;
        record(cx, &pack, &tally);
        report(cx, &told, tally.unmatched - before, &samples);
        keep(cx, &Left { of, place, tally: tally.keep(pack.classes()), pack: pack.keep() })
    }
}

fn record(cx: &Cx, pack: &AnyPack, tally: &Tally) {
    cx.record(LINES, tally.lines);
    cx.record(LINES_FOREIGN, tally.foreign);
    cx.record(LINES_UNMATCHED, tally.unmatched);
    cx.record(LINES_CUT, tally.cut);
    for (at, name) in pack.classes().iter().enumerate() {
        if tally.class(at) > 0 {
            cx.record_with(CLASS_LINES, &[("class", name)], tally.class(at));
        }
    }
    for &total in pack.totals().iter().filter(|total| pack.tells(**total, tally)) {
        let sum = tally.total(total);
        match total {
            Total::ConnectionsFailed => cx.record_with(standard::CONNECTION_ERRORS, &[("reason", "failed")], sum),
            Total::ConnectionsRejected => cx.record_with(standard::CONNECTION_ERRORS, &[("reason", "rejected")], sum),
            Total::ConnectionsTimedOut => cx.record_with(standard::CONNECTION_ERRORS, &[("reason", "timed_out")], sum),
            Total::RelayConnections => cx.record(RELAY_CONNECTIONS, sum),
            Total::RelayErrors => cx.record(RELAY_ERRORS, sum),
            Total::MessagesUnsized => cx.record(MESSAGES_UNSIZED, sum),
            _ => {
                if let Some(metric) = standard::find(total.name()) {
                    cx.record(*metric, sum);
                }
            }
        }
    }
}

fn report(cx: &Cx, told: &Told, unmatched: u64, samples: &[String]) {
    if let Some(bytes) = told.backlog {
        cx.record(BACKLOG_BYTES, bytes);
    }
    if told.lost {
        cx.event(
            Severity::Warning,
            "log_lost",
            "the file that was being read is gone; lines written to it since the last run are not counted",
        );
    }
    if told.cut_back {
        cx.event(Severity::Warning, "log_cut", "the log was cut, and no copy of it was found; lines written just before are not counted");
    }
    if let Some(name) = &told.given_up {
        cx.event(Severity::Warning, "log_given_up", &given_up(name));
    }
    for sample in samples {
        cx.event(Severity::Indeterminate, "line_unmatched", sample);
    }
    if unmatched > samples.len() as u64 {
        let text = format!("{unmatched} lines of this run are of no known form");
        cx.event(Severity::Indeterminate, "lines_unmatched", &text);
    }
}

export_agents!(Maillog);
