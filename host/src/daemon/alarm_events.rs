//! Steps of alarms become events, each once and over kills.
//!
//! A step is durable before its event is. Until the journal has said that the event is durable too, the ledger remembers the step as
//! not announced, and the next life of the daemon announces it; the event store keeps one of two that are alike to the nanosecond.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

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
/// How long after an event was lost what it told of is told again.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// The journal's answer to an event.
type Answer = Receiver<Option<Position>>;

/// Puts events of steps into the journal.
#[derive(Debug)]
pub(super) struct AlarmEvents {
    appender: Appender,
    /// Last steps that were told of together, with the journal's answers to their events; the journal answers in order.
    unanswered: VecDeque<(u64, VecDeque<Answer>)>,
    /// When the journal did not take an event. Nothing is told until all that followed it is told again, in order.
    lost: Option<Instant>,
}

impl AlarmEvents {
    pub(super) fn new(appender: Appender) -> Self {
        Self { appender, unanswered: VecDeque::new(), lost: None }
    }

    /// Tells of steps up to that number one by one, and how many more there were.
    fn tell(&mut self, steps: &[Notice], more: u64, up_to: u64) {
        let counted = steps.last().filter(|_| more > 0).map(|last| HostEvent {
            time_ns: last.time_ns,
            job: None,
            severity: Severity::Warning,
            code: "alarm_steps".into(),
            text: format!("{more} further steps of alarms, see `watchpost alarms`"),
        });
        let events = steps.iter().map(event).chain(counted);
        let answers = events.map(|event| self.appender.append(&Record::Event(event))).collect();
        self.unanswered.push_back((up_to, answers));
    }
}

impl Announcer for AlarmEvents {
    fn announce(&mut self, steps: &[Notice]) {
        if let (Some(last), None) = (steps.last(), self.lost) {
            let (told, more) = steps.split_at(steps.len().min(EVENTS_MAX));
            self.tell(told, more.len() as u64, last.seq);
        }
    }

    fn announce_again(&mut self, steps: &[Notice], more: u64) {
        self.lost = None;
        let mut groups = steps.chunks(EVENTS_MAX).peekable();
        while let Some(group) = groups.next() {
            let more = if groups.peek().is_none() { more } else { 0 };
            self.tell(group, more, group.last().map_or(0, |last| last.seq + more));
        }
    }

    fn announced(&mut self) -> Option<u64> {
        let mut announced = None;
        while let Some((up_to, answers)) = self.unanswered.front_mut() {
            while let Some(answer) = answers.front_mut() {
                match answer.try_recv() {
                    Ok(Some(_)) => answers.pop_front(),
                    Err(TryRecvError::Empty) => return announced,
                    Ok(None) | Err(TryRecvError::Closed) => {
                        self.unanswered.clear();
                        self.lost = Some(Instant::now());
                        return announced;
                    }
                };
            }
            announced = Some(*up_to);
            self.unanswered.pop_front();
        }
        announced
    }

    fn is_behind(&self) -> bool {
        self.lost.is_some_and(|lost| lost.elapsed() >= AGAIN_AFTER)
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

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread::sleep};

    use watchpost_journal::{Journal, Options};

    use super::*;
    use crate::notify::text::sample;

    fn steps(seqs: std::ops::RangeInclusive<u64>) -> Vec<Notice> {
        seqs.map(|seq| Notice { seq, ..sample(Step::Raised) }).collect()
    }

    fn announced(events: &mut AlarmEvents, wanted: u64) {
        let began = Instant::now();
        let mut last = None;
        while last != Some(wanted) {
            assert!(began.elapsed() < Duration::from_secs(30), "{last:?} of {wanted}");
            last = events.announced().or(last);
            sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn a_step_whose_event_the_journal_did_not_take_is_not_announced() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(&folder.path().join("journal"), Options::default()).unwrap();
        let journal = Arc::new(journal);
        let mut events = AlarmEvents::new(Appender::new(Arc::clone(&journal)));
        events.announce(&steps(1..=2));
        announced(&mut events, 2);
        journal.close(Duration::from_secs(30)).unwrap();
        events.announce(&steps(3..=3));
        assert_eq!((events.announced(), events.is_behind()), (None, false));
        events.announce(&steps(4..=4));
        assert_eq!(events.announced(), None, "what follows waits for what was lost");
        events.lost = Instant::now().checked_sub(AGAIN_AFTER);
        assert!(events.is_behind());
    }

    #[test]
    fn what_is_told_again_is_told_one_by_one_and_the_rest_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(&folder.path().join("journal"), Options::default()).unwrap();
        let journal = Arc::new(journal);
        let mut events = AlarmEvents::new(Appender::new(Arc::clone(&journal)));
        let before = journal.durable_end();
        events.announce_again(&steps(1..=120), 0);
        announced(&mut events, 120);
        assert_eq!(u64::from(journal.durable_end()) - u64::from(before), 120);
        events.announce_again(&steps(121..=121), 9);
        announced(&mut events, 130);
        events.announce(&steps(131..=300));
        announced(&mut events, 300);
        assert_eq!(u64::from(journal.durable_end()) - u64::from(before), 120 + 2 + 101);
    }
}
