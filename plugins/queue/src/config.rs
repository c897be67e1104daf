//! What a job of this agent says of itself.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_plugin_api::{AgentError, PathBuf};

/// Names that an event lists, at most.
const TOP_MAX: u8 = 20;

/// A mail queue whose messages are counted.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whose queue it is: "postfix" (asked by its socket), "exim", "sendmail", "opensmtpd" (their files are read), "directory" (each
    /// file is a message, but for those whose name begins with a dot) or "maildir" (the messages in `new` and `cur`).
    pub kind: Kind,
    /// Where it is. Of "postfix" the queue directory (`postconf queue_directory`, e.g. "/var/spool/postfix"): its socket `public/showq`
    /// is open to the group postdrop, which whoever measures must be in; root is not needed. Messages set aside as corrupt are counted
    /// where the folder `corrupt` can be listed, else they and `error` are unknown. Of "exim" the spool directory (e.g.
    /// "/var/spool/exim4"; of a named queue the folder of that name in it), of "sendmail" the queue directory (e.g. "/var/spool/mqueue"),
    /// of "opensmtpd" "/var/spool/smtpd", of the others the directory itself. The files must be readable for whoever measures.
    pub path: PathBuf,
    /// Messages that may wait; more fail the run with kind `limit`, for a capped count would be a false one. Default: 100,000.
    #[serde(default = "hundred_thousand")]
    pub entries_max: NonZeroU32,
    /// How many destinations, and how many reasons, an event lists when those that the most recipients wait for have changed; 0 is no such
    /// events, 20 the most. Reasons are known of "postfix", "sendmail" and "opensmtpd". Default: 5.
    #[serde(default = "five")]
    pub top: u8,
}

/// Whose queue it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Postfix, by the socket of its `showq`.
    Postfix,
    /// Exim's spool.
    Exim,
    /// Sendmail's queue directory.
    Sendmail,
    /// OpenSMTPD's spool.
    Opensmtpd,
    /// A directory whose files are messages.
    Directory,
    /// A Maildir.
    Maildir,
}

impl Config {
    /// Refuses what types cannot.
    pub(crate) fn check(&self) -> Result<(), AgentError> {
        let path = "is empty; a folder is wanted, e.g. \"/var/spool/postfix\"";
        AgentError::all([
            AgentError::refuse_if(self.path.as_os_str().is_empty(), "path", path),
            AgentError::refuse_if(self.top > TOP_MAX, "top", format!("{} is more than an event can list; at most {TOP_MAX}", self.top)),
        ])
    }
}

fn hundred_thousand() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(99_999)
}

fn five() -> u8 {
    5
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(config: &str, expected: Result<(), (&str, &str)>) {
        let parsed: Config = toml::from_str(config).unwrap();
        let checked = parsed.check();
        assert_eq!(checked.as_ref().map(|_| ()).map_err(|error| (error.path(), error.message())), expected, "{config}");
    }

    #[test]
    fn a_kind_and_a_path_are_enough() {
        for kind in ["postfix", "exim", "sendmail", "opensmtpd", "directory", "maildir"] {
            check(&format!("kind = '{kind}'\npath = 'q'"), Ok(()));
        }
        let config: Config = toml::from_str("kind = 'exim'\npath = 'q'").unwrap();
        assert_eq!((config.entries_max.get(), config.top), (100_000, 5));
    }

    #[test]
    fn what_cannot_be_run_is_refused_at_its_key() {
        check("kind = 'exim'\npath = ''", Err(("path", "is empty; a folder is wanted, e.g. \"/var/spool/postfix\"")));
        check("kind = 'exim'\npath = 'q'\ntop = 20", Ok(()));
        check("kind = 'exim'\npath = 'q'\ntop = 21", Err(("top", "21 is more than an event can list; at most 20")));
    }
}
