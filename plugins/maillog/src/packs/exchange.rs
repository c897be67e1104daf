//! Exchange's message tracking log: comma-separated, its columns named by a header that changes from version to version.

use watchpost_logs::{
    memchr::memchr,
    text::{has, number},
};

use super::{Pack, classes};
use crate::{
    config::Config,
    tally::{Seen, Tally, Total},
};

/// A line has at most so many columns; versions have 28 to 30.
const COLUMNS_MAX: usize = 64;
/// Columns of Exchange 2013 to 2019, for a file whose header was not read: source, event, bytes, recipients, recipient count, sender.
const USUAL: [usize; 6] = [7, 8, 14, 12, 15, 19];
const NAMES: [&[u8]; 6] = [b"source", b"event-id", b"total-bytes", b"recipient-address", b"recipient-count", b"sender-address"];

classes! {
    Received = "receive_smtp",
    ReceivedFromStore = "receive_storedriver",
    Submitted = "submit",
    Delivered = "deliver",
    DuplicateDelivered = "duplicatedeliver",
    Sent = "send",
    SentExternal = "sendexternal",
    Deferred = "defer",
    Failed = "fail",
    Dsn = "dsn",
    Expanded = "expand",
    Resolved = "resolve",
    Redirected = "redirect",
    ShadowCopy = "haredirect",
    Notified = "notifymapi",
    Other = "other_event",
    Probe = "health_probe",
}

/// The pack `exchange`.
pub(crate) struct Exchange {
    columns: [usize; 6],
}

impl Pack for Exchange {
    const CLASSES: &[&str] = Class::NAMES;
    const TOTALS: &[Total] = &[
        Total::MessagesReceived,
        Total::MessagesStored,
        Total::MessagesSent,
        Total::MessagesDeferred,
        Total::MessagesBounced,
        Total::ReceivedBytes,
        Total::StoredBytes,
    ];

    fn line(&mut self, line: &[u8], tally: &mut Tally) -> Seen {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        if let Some(header) = line.strip_prefix(b"#") {
            if let Some(fields) = header.strip_prefix(b"Fields: ") {
                self.header(fields);
            }
            return Seen::Foreign;
        }
        self.event(line, tally).map_or(Seen::Unknown, Seen::from)
    }

    fn keep(&self) -> Vec<u64> {
        self.columns.iter().map(|&column| column as u64).collect()
    }

    fn go_on(&mut self, kept: &[u64]) {
        if let Ok(kept) = <[u64; 6]>::try_from(kept) {
            self.columns = kept.map(|column| usize::try_from(column).unwrap_or(COLUMNS_MAX).min(COLUMNS_MAX));
        }
    }
}

impl Exchange {
    pub(crate) fn new(_: &Config) -> Self {
        Self { columns: USUAL }
    }

    fn header(&mut self, fields: &[u8]) {
        for (column, name) in self.columns.iter_mut().zip(NAMES) {
            // A column that is not there is empty.
            *column = fields.split(|byte| *byte == b',').position(|field| field == name).unwrap_or(COLUMNS_MAX);
        }
    }

    fn event(&self, line: &[u8], tally: &mut Tally) -> Option<Class> {
        let mut found: [&[u8]; 6] = [b""; 6];
        let mut columns = 0;
        for field in Fields(Some(line)).take(COLUMNS_MAX) {
            if let Some(at) = self.columns.iter().position(|&column| column == columns) {
                found[at] = field;
            }
            columns += 1;
        }
        let [source, event, bytes, recipients, count, sender] = found;
        if columns < 10 || event.is_empty() || !event.iter().all(u8::is_ascii_uppercase) {
            return None;
        }
        if has(sender, b"HealthMailbox") || has(recipients, b"HealthMailbox") {
            return Some(Class::Probe);
        }
        let (bytes, count) = (number(bytes), number(count).unwrap_or(1).min(100_000));
        let mut add = |total, amount| tally.add(total, amount);
        Some(match (source, event) {
            (b"SMTP", b"RECEIVE") => {
                add(Total::MessagesReceived, 1);
                add(Total::ReceivedBytes, bytes?);
                Class::Received
            }
            (b"STOREDRIVER", b"RECEIVE") => Class::ReceivedFromStore,
            (_, b"SUBMIT") => Class::Submitted,
            (_, b"DELIVER") => {
                add(Total::MessagesStored, count);
                add(Total::StoredBytes, bytes?.saturating_mul(count));
                Class::Delivered
            }
            (_, b"DUPLICATEDELIVER") => Class::DuplicateDelivered,
            (_, b"SEND") => Class::Sent,
            (_, b"SENDEXTERNAL") => {
                add(Total::MessagesSent, count);
                Class::SentExternal
            }
            (_, b"DEFER") => {
                add(Total::MessagesDeferred, count);
                Class::Deferred
            }
            (_, b"FAIL") => {
                add(Total::MessagesBounced, count);
                Class::Failed
            }
            (_, b"DSN") => Class::Dsn,
            (_, b"EXPAND") => Class::Expanded,
            (_, b"RESOLVE") => Class::Resolved,
            (_, b"REDIRECT") => Class::Redirected,
            (_, b"HAREDIRECT") => Class::ShadowCopy,
            (_, b"NOTIFYMAPI") => Class::Notified,
            _ => Class::Other,
        })
    }
}

/// The columns of a line, without the quotes around one (RFC 4180 2); doubled quotes inside stay, for nobody asks for such a column.
struct Fields<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.0?;
        let Some(quoted) = line.strip_prefix(b"\"") else {
            let end = memchr(b',', line).unwrap_or(line.len());
            self.0 = line.get(end + 1..);
            return Some(&line[..end]);
        };
        let mut at = 0;
        while let Some(quote) = memchr(b'"', &quoted[at..]) {
            at += quote + 1;
            if quoted.get(at) != Some(&b'"') {
                self.0 = quoted.get(at + 1..);
                return Some(&quoted[..at - 1]);
            }
            at += 1;
        }
        // It goes on in another line, or is broken.
        self.0 = None;
        Some(quoted)
    }
}
