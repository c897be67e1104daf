//! What a job of this agent says of itself.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_plugin_api::AgentError;

use crate::{
    end::{End, Several},
    state,
};

/// Connections of this machine, to be counted. One of `local`, `remote` and `socket` is required.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What a server of this machine listens on: a port, e.g. 25, an address with a port, e.g. "192.0.2.1:25" or "[::1]:25", or a list of
    /// these, e.g. [25, 465, 587]. Counted are the connections that came in there; the run fails while nobody listens on any of them.
    #[serde(default)]
    pub local: Several<End>,
    /// What programs of this machine are connected to: a port, an address with a port, or a list of these. Counted are the connections
    /// that go there, e.g. with "127.0.0.1:24" the deliveries of a mail server to LMTP, with 25 those to other mail servers. Beside
    /// `local` it counts only the connections of which both are true.
    #[serde(default)]
    pub remote: Several<End>,
    /// Path of a Unix socket that a server of this machine listens on, or a list of paths, e.g. "/run/dovecot/auth-client"; in place of
    /// the others. Of one that its server has bound relative to a folder of its own, as `ss -xl` shows, the whole path as well:
    /// "/var/spool/postfix/private/lmtp". Counted are the connections that came in there.
    #[serde(default)]
    pub socket: Several<String>,
}

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// Connections of the network, by their ends; an empty list is any end.
    Inet { local: Vec<End>, remote: Vec<End> },
    /// Connections of Unix sockets.
    Unix(Vec<String>),
}

impl Config {
    /// Checks what the types cannot hold.
    ///
    /// Errors: kind `config`, at the key.
    pub(crate) fn counted(&self) -> Result<Counted, AgentError> {
        let (local, remote, socket) = (&self.local.0, &self.remote.0, &self.socket.0);
        if let Some(at) = socket.iter().position(String::is_empty) {
            return Err(AgentError::config(format!("socket[{at}]"), "is empty; a path is wanted, e.g. \"/run/dovecot/auth-client\""));
        }
        match (local.is_empty() && remote.is_empty(), socket.is_empty()) {
            (true, true) => Err(AgentError::config("", "neither `local`, `remote` nor `socket` is there")),
            (false, false) => Err(AgentError::config("socket", "stands in place of `local` and `remote`, not beside them")),
            (true, false) => Ok(Counted::Unix(socket.clone())),
            (false, true) => Ok(Counted::Inet { local: local.clone(), remote: remote.clone() }),
        }
    }
}

impl Counted {
    /// Says whether something listens there as long as there is a server.
    pub(crate) fn has_a_listener(&self) -> bool {
        match self {
            Self::Inet { remote, .. } => remote.is_empty(),
            Self::Unix(_) => true,
        }
    }

    /// Every state that its sockets may have.
    pub(crate) fn states(&self) -> &'static [&'static str] {
        match self {
            Self::Inet { .. } => state::TCP,
            Self::Unix(_) => state::UNIX,
        }
    }
}

/// The label `target`.
impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |ends: &[End]| ends.iter().map(End::to_string).collect::<Vec<_>>().join(" ");
        match self {
            Self::Unix(paths) => f.write_str(&paths.join(" ")),
            Self::Inet { local, remote } if remote.is_empty() => f.write_str(&list(local)),
            Self::Inet { local, remote } if local.is_empty() => write!(f, "to {}", list(remote)),
            Self::Inet { local, remote } => write!(f, "{} to {}", list(local), list(remote)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, (&str, &str)>) {
        let config: Config = toml::from_str(text).unwrap();
        let found = config.counted().map(|counted| counted.to_string());
        let found = found.map_err(|error| (error.path().to_owned(), error.message().to_owned()));
        assert_eq!(found, expected.map(str::to_owned).map_err(|(path, why)| (path.to_owned(), why.to_owned())), "{text}");
    }

    #[test]
    fn one_end_or_several_are_named_as_the_target() {
        check("local = 25", Ok("*:25"));
        check("local = [25, '192.0.2.1:465', '[::1]:587']", Ok("*:25 192.0.2.1:465 [::1]:587"));
        check("remote = '127.0.0.1:2424'", Ok("to 127.0.0.1:2424"));
        check("local = 25\nremote = '192.0.2.7:25'", Ok("*:25 to 192.0.2.7:25"));
        check("socket = '/run/a'", Ok("/run/a"));
        check("socket = ['/run/a', 'private/b']", Ok("/run/a private/b"));
    }

    #[test]
    fn what_cannot_be_run_is_refused_at_its_key() {
        check("", Err(("", "neither `local`, `remote` nor `socket` is there")));
        check("local = []", Err(("", "neither `local`, `remote` nor `socket` is there")));
        check("local = 25\nsocket = 's'", Err(("socket", "stands in place of `local` and `remote`, not beside them")));
        check("socket = ['s', '']", Err(("socket[1]", "is empty; a path is wanted, e.g. \"/run/dovecot/auth-client\"")));
    }

    #[test]
    fn what_is_no_end_says_what_would_be_one() {
        let check = |text: &str, message: &str| {
            let error = toml::from_str::<Config>(text).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        };
        let wanted = "a port from 1 to 65535, an address with a port as \"192.0.2.1:25\", or a list of these";
        for text in
            ["local = 0", "local = 65536", "local = -1", "local = 'mx:25'", "local = '::1'", "local = '127.0.0.1:0'", "local = true"]
        {
            check(text, wanted);
        }
        check("local = [25, 'x']", "a port from 1 to 65535, or an address with a port as \"192.0.2.1:25\"");
    }
}
