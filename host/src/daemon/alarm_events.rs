//! Steps of alarms become events, each once and over kills.
//!
//! A step is durable before its event is. Until the journal has said that the event is durable too, the ledger remembers the step as
//! not announced, and the next life of the daemon announces it; the event store keeps one of two that are alike to the nanosecond.

use std::collections::VecDeque;

use tokio::sync::oneshot::{Receiver, error::TryRecvError};
use watchpost_journal::Position;
use watchpost_plugin_api::Severity;

use super::appender::Appender;
use crate::{
    alarm::{
        ledger::Announcer,
        notice::{Notice, Step},
    },
    reading::{HostEvent, Record},
};

/// Steps of one commit that are events one by one; the others are counted.
const EVENTS_MAX: usize = 100;

/// Puts events of steps into the journal.
#[derive(Debug)]
pub(super) struct AlarmEvents {
    appender: Appender,
    /// Last steps of commits, with the journal's answer to their last event; the journal answers in order.
    unanswered: VecDeque<(u64, Receiver<Option<Position>>)>,
}

impl AlarmEvents {
    pub(super) fn new(appender: Appender) -> Self {
        Self { appender, unanswered: VecDeque::new() }
    }
}

impl Announcer for AlarmEvents {
    fn announce(&mut self, steps: &[Notice]) {
        let Some(last) = steps.last() else { return };
        let counted = steps.len().checked_sub(EVENTS_MAX).filter(|more| *more > 0).map(|more| HostEvent {
            time_ns: last.time_ns,
            job: None,
            severity: Severity::Warning,
            code: "alarm_steps".into(),
            text: format!("{more} further steps of alarms, see `watchpost alarms`"),
        });
        let mut answer = None;
        for event in steps.iter().take(EVENTS_MAX).map(event).chain(counted) {
            answer = Some(self.appender.append(&Record::Event(event)));
        }
        self.unanswered.extend(answer.map(|answer| (last.seq, answer)));
    }

    fn announced(&mut self) -> Option<u64> {
        let mut announced = None;
        while let Some((seq, answer)) = self.unanswered.front_mut() {
            // What the journal does not take is lost to everybody, and the host says so.
            if let Err(TryRecvError::Empty) = answer.try_recv() {
                break;
            }
            announced = Some(*seq);
            self.unanswered.pop_front();
        }
        announced
    }
}

/// The event of a step.
fn event(notice: &Notice) -> HostEvent {
    let severity = match notice.step {
        Step::Raised | Step::Changed | Step::Flapping => notice.severity,
        _ => Severity::Indeterminate,
    };
    let by = notice.by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
    HostEvent {
        time_ns: notice.time_ns,
        job: Some(notice.job.clone()).filter(|job| !job.is_empty()),
        severity,
        code: format!("alarm_{}", notice.step.name()),
        text: format!("alarm {} {}{by}: {}", notice.alarm, notice.step.name(), notice.text),
    }
}
