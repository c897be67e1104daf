//! InterMail, also Email Mx: `… Severity;Event(n/m) text`.
//!
//! Severities, event names and the form of statistics lines are known from public sources; where the fields before them stand is
//! inferred. So nothing is asked of those: the severity and the event are looked for wherever they are. What events mean for the
//! totals can be said in the configuration.

use std::collections::BTreeMap;

use watchpost_logs::{
    memchr::{memchr, memchr_iter},
    text::{after, number},
};

use super::{Pack, classes};
use crate::{
    config::Config,
    tally::{Seen, Tally, Total},
};

/// What is known of events without being told.
const KNOWN: [(&str, Total); 2] = [("MsgDelivered", Total::MessagesStored), ("NioConnRefused", Total::ConnectionsFailed)];

classes! {
    Note = "note",
    Warning = "warn",
    Error = "erro",
    Urgent = "urgt",
    Fatal = "fatl",
    Statistics = "stat",
}

/// The pack `intermail`.
pub(crate) struct Intermail {
    only: Vec<String>,
    events: BTreeMap<Vec<u8>, Vec<Total>>,
}

impl Pack for Intermail {
    const CLASSES: &[&str] = Class::NAMES;
    const TOTALS: &[Total] = Total::ALL;

    fn line(&mut self, line: &[u8], tally: &mut Tally) -> Seen {
        let Some(Event { class, before, event, text }) = severity(line) else { return Seen::Unknown };
        let process = |name: &String| before.split(|byte| *byte == b' ').any(|word| word.starts_with(name.as_bytes()));
        if !self.only.is_empty() && !self.only.iter().any(process) {
            return Seen::Foreign;
        }
        if class != Class::Statistics
            && let Some(totals) = self.events.get(event)
        {
            for &total in totals {
                tally.add(total, 1);
                let bytes = match total {
                    Total::MessagesStored => Total::StoredBytes,
                    Total::MessagesReceived => Total::ReceivedBytes,
                    _ => continue,
                };
                if let Some(size) = after(text, b" size=").and_then(number) {
                    tally.add(bytes, size);
                }
            }
        }
        class.into()
    }
}

impl Intermail {
    pub(crate) fn new(config: &Config) -> Self {
        let mut events: BTreeMap<Vec<u8>, Vec<Total>> =
            KNOWN.iter().map(|(event, total)| (event.as_bytes().to_vec(), vec![*total])).collect();
        events.extend(config.events.iter().map(|(event, totals)| (event.clone().into_bytes(), totals.clone())));
        Self { only: config.only.clone(), events }
    }

    /// The totals that this job's events add to.
    pub(crate) fn tells(&self, total: Total) -> bool {
        let of_events = |total| self.events.values().flatten().any(|told| *told == total);
        match total {
            Total::StoredBytes => of_events(Total::MessagesStored) || of_events(total),
            Total::ReceivedBytes => of_events(Total::MessagesReceived) || of_events(total),
            _ => of_events(total),
        }
    }
}

/// What a line says, and what stands before that.
struct Event<'a> {
    class: Class,
    before: &'a [u8],
    event: &'a [u8],
    text: &'a [u8],
}

/// Finds the first `Severity;Event(`.
fn severity(line: &[u8]) -> Option<Event<'_>> {
    for at in memchr_iter(b';', line) {
        let (before, rest) = (&line[..at], &line[at + 1..]);
        let end = memchr(b'(', rest)?;
        let event = &rest[..end];
        if event.is_empty() || !event.iter().all(u8::is_ascii_alphanumeric) {
            continue;
        }
        let word = before.rsplit(|byte| matches!(byte, b' ' | b'\t' | b'|' | b':')).next().unwrap_or(b"");
        let class = match word {
            b"Note" => Class::Note,
            b"Warn" => Class::Warning,
            b"Erro" => Class::Error,
            b"Urgt" => Class::Urgent,
            b"Fatl" => Class::Fatal,
            _ if event.starts_with(b"Stat") && !word.is_empty() && word.iter().all(u8::is_ascii_digit) => Class::Statistics,
            _ => continue,
        };
        return Some(Event { class, before, event, text: &rest[end..] });
    }
    None
}
