//! What a job of this agent says of itself.

use std::{collections::BTreeMap, num::NonZeroU32};

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_logs::{Choice, From, JournalConfig};
use watchpost_plugin_api::{AgentError, PathBuf};

use crate::tally::Total;

/// Longest line that can be asked for: a run's buffer holds one.
const LINE_BYTES_MAX: u32 = 1024 * 1024;

/// A mail server's log. Only `format` and one of `log` and `journal` are required.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The log's path, e.g. "/var/log/mail.log". Its rotated files are looked for beside it, named as it is with a number or a date behind
    /// (".1", "-20261124", ".2.gz"); compressed ones are read if gzip made them.
    #[serde(default)]
    pub log: Option<PathBuf>,
    /// In place of `log`: the journal of systemd, read by `journalctl -o json --after-cursor`, e.g. { matches = ["SYSLOG_FACILITY=2"] }. The
    /// daemon's user must be in the group "systemd-journal".
    #[serde(default)]
    pub journal: Option<JournalConfig>,
    /// Who writes it: "postfix", "dovecot", "exim", "sendmail", "opensmtpd", "exchange" (message tracking), "domino" (console) or
    /// "intermail" (the order of its fields is inferred, so only its severity and event name are looked for, wherever they stand).
    pub format: Format,
    /// Where the first run begins: "end" (the default: what is written from then on counts) or "start" (the first line of the file).
    #[serde(default)]
    pub from: From,
    /// Only lines of these processes are counted, and of their parts: ["pop3"] is Dovecot's POP3 alone, its logins included; ["postfix-in"] one
    /// of several Postfix instances with all its services; ["postfix/smtp"] what that service says, and not "postfix/smtpd". Others are
    /// foreign. Default: all.
    #[serde(default)]
    pub only: Vec<String>,
    /// Postfix services by which a content filter gives messages back, as they are named in the log between "postfix/" and "/smtpd", e.g.
    /// ["reinject"]: what comes in there was received before, and is not counted as received again. Default: none.
    #[serde(default)]
    pub reinjected: Vec<String>,
    /// What InterMail's events add to, by name, beside what is known of them: { MsgReceived = ["messages_received"] }. Default: none.
    #[serde(default)]
    pub events: BTreeMap<String, Vec<Total>>,
    /// Bytes after which a line is cut; it is counted all the same, as cut too. From 256 to 1048576. Default: 16384.
    #[serde(default = "line_bytes_max")]
    pub line_bytes_max: NonZeroU32,
}

/// Who writes a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Postfix.
    Postfix,
    /// Dovecot.
    Dovecot,
    /// Exim's mainlog.
    Exim,
    /// Sendmail, and what logs as it does.
    Sendmail,
    /// OpenSMTPD.
    Opensmtpd,
    /// Exchange's message tracking log.
    Exchange,
    /// Domino's console.
    Domino,
    /// InterMail, also Email Mx.
    Intermail,
}

impl Format {
    /// Says whether its lines have the heads of a syslog.
    fn is_syslog(self) -> bool {
        matches!(self, Self::Postfix | Self::Dovecot | Self::Sendmail | Self::Opensmtpd)
    }
}

fn line_bytes_max() -> NonZeroU32 {
    const { NonZeroU32::new(16 * 1024).unwrap() }
}

impl Config {
    /// Where its lines come from.
    pub(crate) fn source(&self) -> Choice<'_> {
        Choice { log: self.log.as_ref(), journal: self.journal.as_ref() }
    }

    /// Checks what the types cannot hold.
    pub(crate) fn check(&self) -> Result<(), AgentError> {
        let line_max = !(256..=LINE_BYTES_MAX).contains(&self.line_bytes_max.get());
        let empty = [("only", &self.only), ("reinjected", &self.reinjected)].map(|(key, words)| {
            let at = words.iter().position(String::is_empty);
            at.map_or(Ok(()), |at| Err(AgentError::config(format!("{key}[{at}]"), "is empty")))
        });
        let sources =
            [AgentError::refuse_if(line_max, "line_bytes_max", format!("is from 256 to {LINE_BYTES_MAX}")), self.source().check()];
        AgentError::all(sources.into_iter().chain(empty).chain(self.check_format()))
    }

    /// Keys that are of no use with the format.
    fn check_format(&self) -> [Result<(), AgentError>; 4] {
        let stray = |key: &str, is_there: bool, goes: bool, formats: &str| {
            AgentError::refuse_if(is_there && !goes, key, format!("is for the {formats}"))
        };
        let counts_only = matches!(self.format, Format::Postfix | Format::Dovecot | Format::Intermail);
        let syslog = "formats \"postfix\", \"dovecot\", \"sendmail\" and \"opensmtpd\"";
        [
            stray("journal", self.journal.is_some(), self.format.is_syslog(), syslog),
            stray("reinjected", !self.reinjected.is_empty(), self.format == Format::Postfix, "format \"postfix\""),
            stray("events", !self.events.is_empty(), self.format == Format::Intermail, "format \"intermail\""),
            stray("only", !self.only.is_empty(), counts_only, "formats \"postfix\", \"dovecot\" and \"intermail\""),
        ]
    }
}
