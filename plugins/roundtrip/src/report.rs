//! What a run tells of the messages that came, or did not.

use std::time::Duration;

use watchpost_plugin_api::{Cx, Metric, Severity, Unit, standard};

use crate::{
    arrival::{self, Known, Took},
    head::Hop,
    ledger::{Finding, Ledger, Overdue, millis},
    mailbox::Found,
};

/// How exactly `roundtrip_time` is known.
pub const RESOLUTION: Metric =
    Metric::gauge("resolution", Unit::Seconds, "How exactly roundtrip_time is known: it may be less by as much as this.");
/// The slowest of those that came with this run.
pub const WORST_TIME: Metric =
    Metric::gauge("worst_time", Unit::Seconds, "Time from the sending of a message to its arrival, of the slowest that this run found.");
/// Time of each server on the way.
pub const HOP_TIME: Metric =
    Metric::gauge("hop_time", Unit::Seconds, "Time from one server on the way to the next, in whole seconds.").by(&["hop", "by"]);
/// Messages under way.
pub const IN_FLIGHT: Metric = Metric::gauge("in_flight", Unit::Messages, "Messages that were sent and have not come yet.");
/// Age of the oldest of them.
pub const OLDEST_AGE: Metric = Metric::gauge("oldest_age", Unit::Seconds, "Age of the oldest message in flight; 0 if there is none.");
/// Messages that came.
pub const MESSAGES_ARRIVED: Metric = Metric::counter("messages_arrived", Unit::Messages, "Messages that came.");
/// Messages that were not there in time.
pub const MESSAGES_LATE: Metric =
    Metric::counter("messages_late", Unit::Messages, "Messages that were not there late_after after they were sent.");
/// Messages that were given up.
pub const MESSAGES_LOST: Metric = Metric::counter("messages_lost", Unit::Messages, "Messages that nobody saw within lost_after.");
/// Copies of messages.
pub const MESSAGES_DUPLICATE: Metric = Metric::counter("messages_duplicate", Unit::Messages, "Copies of messages that had come already.");
/// Stamps that cannot be right.
pub const STAMPS_SKEWED: Metric = Metric::counter(
    "stamps_skewed",
    Unit::Number,
    "Stamps of deliveries and hops that contradict others, because clocks differ; their times are left out.",
);

pub(crate) const METRICS: &[Metric] = &[
    standard::RESOLVE_TIME,
    standard::CONNECT_TIME,
    standard::BANNER_TIME,
    standard::TLS_TIME,
    standard::EHLO_TIME,
    standard::AUTHENTICATE_TIME,
    standard::MAIL_TIME,
    standard::RCPT_TIME,
    standard::DATA_TIME,
    standard::QUIT_TIME,
    standard::TRANSMISSION_TIME,
    standard::TOTAL_TIME,
    standard::SEARCH_TIME,
    standard::ROUNDTRIP_TIME,
    RESOLUTION,
    WORST_TIME,
    HOP_TIME,
    IN_FLIGHT,
    OLDEST_AGE,
    standard::MESSAGES_SENT,
    MESSAGES_ARRIVED,
    MESSAGES_LATE,
    MESSAGES_LOST,
    MESSAGES_DUPLICATE,
    STAMPS_SKEWED,
];

/// What a look tells of the time of all that it found.
pub(crate) struct Seen {
    /// When the mailbox was last seen without them.
    pub(crate) absent_ns: u64,
    pub(crate) found_ns: u64,
    /// The longest time between two looks of a run that waits.
    pub(crate) watched: Duration,
    pub(crate) late_after: Duration,
}

/// What came with a run.
#[derive(Default)]
pub(crate) struct News {
    /// The message sent last of those whose time is known: when it was sent, how long it took, and its way.
    newest: Option<(u64, Took, Vec<Hop>)>,
    worst: Option<Duration>,
    skewed: u64,
}

impl News {
    /// Counts a message; says whether an earlier run did, so that it can go.
    pub(crate) fn take(&mut self, cx: &Cx, ledger: &mut Ledger, found: Found, seen: &Seen) -> bool {
        let was_late = ledger.was_late(found.mark.id);
        match ledger.find(found.mark, found.place) {
            Finding::Counted => return true,
            Finding::Arrived => {
                let known = arrival::known(found.mark.sent_ns, seen.absent_ns, seen.found_ns, found.stamp, seen.watched);
                let least = known.took.map_or(known.at_least, |took| took.time);
                if least > seen.late_after {
                    ledger.late(was_late);
                    cx.event(Severity::Warning, "message_late", &format!("a message came after {}", shown(least)));
                }
                self.arrived(found, known);
            }
            Finding::Copy => cx.event(Severity::Warning, "message_duplicate", "a message came once more"),
            Finding::Belated => {
                let least = Duration::from_nanos(seen.found_ns.saturating_sub(found.mark.sent_ns));
                cx.event(Severity::Warning, "message_belated", &format!("a message given up as lost came within {}", shown(least)));
            }
        }
        false
    }

    fn arrived(&mut self, found: Found, known: Known) {
        self.skewed += u64::from(known.skewed);
        let Some(took) = known.took else { return };
        self.worst = self.worst.max(Some(took.time));
        if self.newest.as_ref().is_none_or(|newest| newest.0 <= found.mark.sent_ns) {
            self.newest = Some((found.mark.sent_ns, took, found.hops));
        }
    }

    /// Tells of messages that were looked for in vain.
    pub(crate) fn overdue(&mut self, cx: &Cx, overdue: Overdue) {
        if overdue.lost > 0 {
            cx.event(Severity::Major, "message_lost", &format!("{} given up as lost", counted(overdue.lost)));
        }
        if overdue.late > 0 {
            cx.event(Severity::Warning, "message_overdue", &format!("{} not there in time", counted(overdue.late)));
        }
    }

    /// Records the times; gives how many stamps were wrong.
    pub(crate) fn record(&self, cx: &Cx) -> u64 {
        let mut skewed = self.skewed;
        if let Some((sent_ns, took, way)) = &self.newest {
            cx.record(standard::ROUNDTRIP_TIME, took.time);
            cx.record(RESOLUTION, took.resolution);
            let (times, left_out) = arrival::hops(*sent_ns, way);
            for (number, by, seconds) in times {
                cx.record_with(HOP_TIME, &[("hop", &number.to_string()), ("by", by)], seconds);
            }
            skewed += left_out;
        }
        if let Some(worst) = self.worst {
            cx.record(WORST_TIME, worst);
        }
        skewed
    }
}

/// Records what is under way, and the running totals.
pub(crate) fn record(cx: &Cx, ledger: &Ledger, now_ns: u64) {
    let age = ledger.oldest_ms().map(|sent| millis(now_ns).saturating_sub(sent)).unwrap_or_default();
    cx.record(IN_FLIGHT, ledger.in_flight());
    cx.record(OLDEST_AGE, Duration::from_millis(age));
    let totals = ledger.totals;
    let counters = [
        (standard::MESSAGES_SENT, totals.sent),
        (MESSAGES_ARRIVED, totals.arrived),
        (MESSAGES_LATE, totals.late),
        (MESSAGES_LOST, totals.lost),
        (MESSAGES_DUPLICATE, totals.duplicate),
        (STAMPS_SKEWED, totals.skewed),
    ];
    counters.into_iter().for_each(|(metric, total)| cx.record(metric, total));
}

fn counted(messages: u64) -> String {
    match messages {
        1 => "a message is".into(),
        more => format!("{more} messages are"),
    }
}

/// A time as people say it: to the second, or to the minute.
fn shown(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}
