//! What a job of this agent says of itself.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_logs::{Choice, From, JournalConfig};
use watchpost_plugin_api::{AgentError, PathBuf};

/// A log that is looked through for errors. Only `format` and one of `log` and `journal` are required.
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
    /// How severities are written: "postfix" ("warning: …", "fatal: …"), "dovecot" ("Error: …"), "intermail" ("Erro;Event(…)", wherever
    /// in the line) or "words" (those of `words`, in lines of any program of a syslog).
    pub format: Format,
    /// With the format "words": what makes a line one of a severity, e.g. { critical = ["panic", "out of memory"], minor = ["error"] }.
    /// The case of letters does not matter; the worst severity counts.
    #[serde(default)]
    pub words: Words,
    /// Where the first run begins: "end" (the default: what is written from then on counts) or "start" (the first line of the file).
    #[serde(default)]
    pub from: From,
    /// Processes that are counted by name, the first that are seen; those beyond are "other". From 1 to 18. Default: 16.
    #[serde(default = "processes_max")]
    pub processes_max: NonZeroU32,
    /// With the format "intermail": events of processes that are counted by name (`NioConnRefused` of `mta`), the first that are seen; those
    /// beyond are "other". All series of a job together are at most 100. Default: 14.
    #[serde(default = "codes_max")]
    pub codes_max: u32,
}

/// How severities are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// As Postfix does.
    Postfix,
    /// As Dovecot does.
    Dovecot,
    /// As InterMail does.
    Intermail,
    /// By words.
    Words,
}

/// What makes a line one of a severity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Words {
    /// The service is out.
    pub critical: Vec<String>,
    /// The service suffers.
    pub major: Vec<String>,
    /// Something is wrong that does not stop the service.
    pub minor: Vec<String>,
    /// A potential fault.
    pub warning: Vec<String>,
}

fn processes_max() -> NonZeroU32 {
    const { NonZeroU32::new(16).unwrap() }
}

fn codes_max() -> u32 {
    14
}

impl Config {
    /// Where its lines come from.
    pub(crate) fn source(&self) -> Choice<'_> {
        Choice { log: self.log.as_ref(), journal: self.journal.as_ref() }
    }

    /// Checks what the types cannot hold.
    pub(crate) fn check(&self) -> Result<(), AgentError> {
        AgentError::all([self.source().check(), self.check_journal(), self.check_series(), self.check_words()])
    }

    fn check_journal(&self) -> Result<(), AgentError> {
        let stray = self.journal.is_some() && self.format == Format::Intermail;
        AgentError::refuse_if(stray, "journal", "is for the formats \"postfix\", \"dovecot\" and \"words\"")
    }

    /// Refuses more series than the host takes.
    fn check_series(&self) -> Result<(), AgentError> {
        let (processes, codes) = (self.processes_max.get(), self.codes_max);
        let why = "is from 1 to 18: five severities of each make up to 95 series";
        AgentError::refuse_if(processes > 18, "processes_max", why)?;
        let too_many = self.format == Format::Intermail && 5 * (processes + 1) + codes.saturating_add(1) > 100;
        AgentError::refuse_if(too_many, "codes_max", "is too many: five severities of each process and the codes make up to 100 series")
    }

    fn check_words(&self) -> Result<(), AgentError> {
        let words = &self.words;
        let lists = [("critical", &words.critical), ("major", &words.major), ("minor", &words.minor), ("warning", &words.warning)];
        for (key, list) in lists {
            if let Some(at) = list.iter().position(String::is_empty) {
                return Err(AgentError::config(format!("words.{key}[{at}]"), "is empty"));
            }
        }
        match (self.format == Format::Words, lists.iter().all(|(_, list)| list.is_empty())) {
            (true, true) => Err(AgentError::config("words", "is empty; with the format \"words\" it says what makes a line an error")),
            (false, false) => Err(AgentError::config("words", "is for the format \"words\"")),
            _ => Ok(()),
        }
    }
}
