//! How a run fails: a kind the host counts by, and a sentence a person reads.

use std::{fmt, io};

use serde::{Deserialize, Serialize};

/// What sort of thing went wrong; becomes the label `kind`, so there are few and each has a name.
///
/// An open set: a newer library may send a number this host has no name for, shown as `other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ErrorKind(pub u16);

/// Numbers are for ever: they cross between builds and stand in journals.
const KINDS: [(ErrorKind, &str); 13] = [
    (ErrorKind::RESOLVE, "resolve"),
    (ErrorKind::CONNECT, "connect"),
    (ErrorKind::TLS, "tls"),
    (ErrorKind::AUTH, "auth"),
    (ErrorKind::PROTOCOL, "protocol"),
    (ErrorKind::TIMEOUT, "timeout"),
    (ErrorKind::CONFIG, "config"),
    (ErrorKind::LIMIT, "limit"),
    (ErrorKind::PANIC, "panic"),
    (ErrorKind::CRASH, "crash"),
    (ErrorKind::INTERRUPTED, "interrupted"),
    (ErrorKind::SKIPPED, "skipped"),
    (ErrorKind::LOCAL, "local"),
];

impl ErrorKind {
    /// The target's name has no address.
    pub const RESOLVE: Self = Self(1);
    /// No connection to the target.
    pub const CONNECT: Self = Self(2);
    /// The handshake failed, or the certificate did not pass.
    pub const TLS: Self = Self(3);
    /// The target refused the login.
    pub const AUTH: Self = Self(4);
    /// The target answered something else than the protocol or the configuration expects.
    pub const PROTOCOL: Self = Self(5);
    /// The deadline passed.
    pub const TIMEOUT: Self = Self(6);
    /// The configuration cannot be run.
    pub const CONFIG: Self = Self(7);
    /// A bound of the agent or of the host was reached; a capped figure would be wrong.
    pub const LIMIT: Self = Self(8);
    /// The agent panicked.
    pub const PANIC: Self = Self(9);
    /// The agent's process died while this run was being polled.
    pub const CRASH: Self = Self(10);
    /// The run was lost to the fault of another one.
    pub const INTERRUPTED: Self = Self(11);
    /// The run was due and not started.
    pub const SKIPPED: Self = Self(12);
    /// A file or program of the measuring machine could not be used.
    pub const LOCAL: Self = Self(13);

    /// Names the kind as metrics and messages do.
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("other", |(_, name)| name)
    }

    /// Finds the kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        KINDS.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }

    /// Lists every kind that has a name.
    pub fn all() -> impl Iterator<Item = Self> {
        KINDS.iter().map(|(kind, _)| *kind)
    }

    /// Says whether this failure speaks of the target (it is down) rather than of ourselves (it is unknown).
    pub fn blames_target(self) -> bool {
        matches!(self, Self::RESOLVE | Self::CONNECT | Self::TLS | Self::AUTH | Self::PROTOCOL | Self::TIMEOUT)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a run, or a configuration, failed.
///
/// Shape of the text: lower case, no full stop, fits after "failed: ". The kind is printed by whoever shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct AgentError {
    kind: ErrorKind,
    message: String,
    /// Where in the agent's configuration, as a JSON path (`servers[1].port`); empty elsewhere.
    path: String,
    /// What else is wrong with the configuration.
    others: Vec<ConfigFault>,
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigFault {
    /// Where, as a JSON path (`servers[1].port`); empty for the whole.
    pub path: String,
    /// What.
    pub message: String,
}

impl AgentError {
    /// Makes an error of any kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), path: String::new(), others: Vec::new() }
    }

    /// An error as it has crossed.
    pub(crate) fn crossed(kind: ErrorKind, message: String, path: String, others: Vec<ConfigFault>) -> Self {
        Self { kind, message, path, others }
    }

    /// Puts several checks of a configuration together: whatever is wrong is told at once, in this order.
    ///
    /// Errors: all faults of kind `config` in one; one of another kind alone.
    ///
    /// ```
    /// # use watchpost_plugin_api::prelude::*;
    /// # struct Config { door: Door, user: Option<String>, password: Option<Secret> }
    /// # impl Config {
    /// fn check(&self) -> Result<(), AgentError> {
    ///     AgentError::all([self.door.check("mx1.example.org"), Login::of(self.user.as_ref(), self.password.as_ref()).map(drop)])
    /// }
    /// # }
    /// ```
    pub fn all(checks: impl IntoIterator<Item = Result<(), Self>>) -> Result<(), Self> {
        let mut found: Option<Self> = None;
        for error in checks.into_iter().filter_map(Result::err) {
            match &mut found {
                _ if error.kind != ErrorKind::CONFIG => return Err(error),
                Some(first) => first.others.extend(error.into_faults()),
                None => found = Some(error),
            }
        }
        found.map_or(Ok(()), Err)
    }

    /// The target's name has no address.
    pub fn resolve(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::RESOLVE, message)
    }

    /// No connection to the target.
    pub fn connect(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::CONNECT, message)
    }

    /// The TLS handshake or the certificate failed.
    pub fn tls(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::TLS, message)
    }

    /// The target refused the login.
    pub fn auth(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::AUTH, message)
    }

    /// The target answered something unexpected.
    pub fn protocol(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::PROTOCOL, message)
    }

    /// The deadline passed.
    pub fn timeout() -> Self {
        Self::new(ErrorKind::TIMEOUT, "no answer in time")
    }

    /// A bound was reached; `what` names it.
    pub fn limit(what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::LIMIT, format!("more than {what} allows"))
    }

    /// The configuration cannot be run; `path` says where in it (`servers[1].port`).
    pub fn config(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), ..Self::new(ErrorKind::CONFIG, message) }
    }

    /// Refuses a configuration if this is so; one of the checks that [`all`](AgentError::all) puts together.
    ///
    /// Errors: kind `config`, at the path.
    pub fn refuse_if(so: bool, path: impl Into<String>, message: impl Into<String>) -> Result<(), Self> {
        match so {
            true => Err(Self::config(path, message)),
            false => Ok(()),
        }
    }

    /// A file or program of this machine could not be used.
    pub fn local(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::LOCAL, message)
    }

    /// The sort of failure.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What happened, without the kind.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where in the agent's configuration; empty when it is not a configuration's fault.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What else is wrong with the configuration, beside [`path`](AgentError::path) and [`message`](AgentError::message).
    pub fn others(&self) -> &[ConfigFault] {
        &self.others
    }

    /// Everything that it says, as a list: at least one.
    pub fn into_faults(self) -> impl Iterator<Item = ConfigFault> {
        std::iter::once(ConfigFault { path: self.path, message: self.message }).chain(self.others)
    }

    /// Puts a key of the configuration before the path, and before that of each other fault: for the check of a part.
    pub fn below(mut self, key: &str) -> Self {
        let below = |path: &mut String| {
            let point = if path.is_empty() || path.starts_with('[') { "" } else { "." };
            path.insert_str(0, &format!("{key}{point}"));
        };
        below(&mut self.path);
        self.others.iter_mut().for_each(|fault| below(&mut fault.path));
        self
    }

    /// Puts what was being done before the message: "while waiting for the banner: …".
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }
}

/// A stream that broke after it was open: the target's doing, unless it timed out or the host says otherwise.
///
/// `connect` errors come from [`Cx::connect`](crate::Cx::connect) as such and never through here.
impl From<io::Error> for AgentError {
    fn from(error: io::Error) -> Self {
        if let Some(told) = error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
            return told.clone();
        }
        match error.kind() {
            io::ErrorKind::TimedOut => Self::timeout(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => Self::protocol("connection closed by the other side"),
            io::ErrorKind::ConnectionReset => Self::protocol("connection reset by the other side"),
            _ => Self::protocol(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_own_name() {
        for kind in ErrorKind::all() {
            assert_eq!(ErrorKind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(ErrorKind(999).name(), "other");
    }

    #[test]
    fn an_error_of_the_hosts_keeps_its_kind_through_a_stream() {
        let told = AgentError::tls("the server ended TLS: CertificateRequired");
        assert_eq!(AgentError::from(io::Error::other(told.clone())), told);
        assert_eq!(AgentError::from(io::Error::other("lost")), AgentError::protocol("lost"));
        assert_eq!(AgentError::from(io::Error::from(io::ErrorKind::TimedOut)).kind(), ErrorKind::TIMEOUT);
    }

    #[test]
    fn all_that_is_wrong_with_a_configuration_is_told_at_once_and_crosses() {
        let faults = |error: AgentError| error.into_faults().map(|fault| format!("{}: {}", fault.path, fault.message)).collect::<Vec<_>>();
        let (host, port) = (|| Err(AgentError::config("host", "is empty")), || Err(AgentError::config("[1]", "is 0")));
        assert_eq!(AgentError::all([Ok(()), Ok(())]), Ok(()));
        let two = AgentError::all([host(), Ok(()), port()]).unwrap_err();
        assert_eq!((two.path(), two.message(), two.others().len()), ("host", "is empty", 1));
        let crossed = AgentError::from(crate::abi::FfiError::from(two.clone()));
        assert_eq!(crossed, two);
        let nested = AgentError::all([Err(crossed.below("door")), host()]).unwrap_err();
        assert_eq!(faults(nested), ["door.host: is empty", "door[1]: is 0", "host: is empty"]);
        let ours = AgentError::all([host(), Err(AgentError::local("no file"))]).unwrap_err();
        assert_eq!((ours.kind(), ours.others().len()), (ErrorKind::LOCAL, 0));
    }

    #[test]
    fn what_a_newer_side_says_of_an_error_is_no_reason_to_lose_it() {
        let mut error = crate::abi::FfiError::from(AgentError::config("a", "b"));
        for more in ["{\"others\":[{\"path\":\"c\",\"message\":\"d\",\"line\":1}],\"x\":2}", "no JSON"] {
            error.more = more.into();
            let read = AgentError::from(error.clone());
            assert_eq!((read.path(), read.message(), read.others().len()), ("a", "b", usize::from(more != "no JSON")));
        }
    }

    #[test]
    fn only_failures_of_the_target_turn_up_to_zero() {
        let blaming: Vec<_> = ErrorKind::all().filter(|k| k.blames_target()).map(ErrorKind::name).collect();
        assert_eq!(blaming, ["resolve", "connect", "tls", "auth", "protocol", "timeout"]);
    }
}
