//! What a job of this agent says of itself.

use std::{
    fmt,
    num::{NonZeroU16, NonZeroU32},
};

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_plugin_api::{AgentError, Door, Login, Needs, PathBuf, Secret, TlsMode};

use crate::expect::Expected;

/// A search in an LDAP directory, to be timed. Only `host` (or `socket`) is required: the directory then tells of itself (its root DSE).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name or address of the directory server, e.g. "ldap.example.org", "192.0.2.89" or "2001:db8::389".
    /// A name is looked up anew in each run; its addresses are tried in the order this machine prefers.
    pub host: Option<String>,
    /// Unix socket of a directory on this machine (ldapi), e.g. "/run/slapd/ldapi"; in place of `host`.
    pub socket: Option<PathBuf>,
    /// TCP port. Default: 389 with `tls = "none"` or "starttls", 636 with "implicit".
    pub port: Option<NonZeroU16>,
    /// Whether and how the session is encrypted: "none" (the default), "starttls" (by the extended operation, RFC 4511 4.14) or
    /// "implicit" (from the first byte, ldaps). A server that does not offer what is asked for fails the run.
    #[serde(default)]
    pub tls: TlsMode,
    /// Name that the server's certificate must carry, also sent as SNI. Default: `host`. Unused with `tls = "none"`.
    pub server_name: Option<String>,
    /// PEM file of the authorities to trust instead of the system's, e.g. "ca.pem". Unused with `tls = "none"`.
    pub ca_file: Option<PathBuf>,
    /// Binds as this entry, with `password`: a distinguished name, e.g. "cn=probe,dc=example,dc=org".
    pub user: Option<String>,
    /// Password of `user`: `{ file = "…" }`, `{ env = "…" }` or `{ credential = "…" }`.
    pub password: Option<Secret>,
    /// How to bind: "simple" (the default: as `user` with `password`, or as nobody without them) or "external" (SASL EXTERNAL: as
    /// whom the server takes this process, by its `socket`; slapd's cn=Monitor and cn=config are often read so).
    /// A password that crosses a network in the clear is told in the log once.
    #[serde(default)]
    pub auth: Auth,
    /// Where the search begins, a distinguished name, e.g. "ou=people,dc=example,dc=org" or "cn=Operations,cn=Monitor".
    /// Default: "", the root DSE, in which a directory tells of itself and which every directory has.
    #[serde(default)]
    pub base: String,
    /// How far the search goes: "base" (the default: just the entry `base`), "one" (those right below it) or "sub" (it and all below it).
    #[serde(default)]
    pub scope: Scope,
    /// Which entries are found, as RFC 4515 writes it, e.g. "(uid=alice)" or "(&(objectClass=person)(!(mail=*)))".
    /// Default: "(objectClass=*)", all of them.
    #[serde(default = "everything")]
    pub filter: String,
    /// Attributes that the directory sends of each entry, e.g. ["cn", "mail"]; ["1.1"] is none, "+" all that the directory keeps itself.
    /// Default: all that people have put in. What `expect` names is asked for besides.
    #[serde(default)]
    pub attributes: Vec<String>,
    /// Entries that the search may find, also told to the directory as its size limit; more fail the run with kind `limit`, for a capped
    /// count would be a false one. So do more referrals. Default: 1000.
    #[serde(default = "thousand")]
    pub entries_max: NonZeroU32,
    /// Entries that the search must find; else the run fails. Default: 0: an empty result is a good one.
    #[serde(default)]
    pub entries_min: u32,
    /// What must be among the values that are found; else the run fails. An attribute and its value, e.g. "mail=alice@example.org", or a
    /// list of which each must be there, in one entry or in several. Values are compared byte by byte, as the directory has them.
    #[serde(default)]
    pub expect: Expected,
}

/// How to bind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// By name and password, or without both.
    #[default]
    Simple,
    /// By SASL EXTERNAL.
    External,
}

/// How far a search goes (RFC 4511 4.5.1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The entry itself.
    #[default]
    Base = 0,
    /// Those right below it.
    One = 1,
    /// It and all below it.
    Sub = 2,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Base => "base",
            Self::One => "one",
            Self::Sub => "sub",
        })
    }
}

/// Where the directory is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// Over the network.
    Door(Door),
    /// On this machine.
    Socket(PathBuf),
}

/// As whom to bind.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    /// Nobody.
    Nobody,
    /// An entry, by its password.
    Entry(Login),
    /// Whom the socket says.
    OfSocket,
}

impl Place {
    /// `host:port`, or the path of the socket.
    pub(crate) fn target(&self) -> String {
        match self {
            Self::Door(door) => door.target(),
            Self::Socket(path) => path.display().to_string(),
        }
    }

    /// What a connection touches.
    pub(crate) fn needs(&self) -> Needs {
        match self {
            Self::Door(door) => door.needs(),
            Self::Socket(path) => Needs::none().socket(path),
        }
    }
}

fn everything() -> String {
    "(objectClass=*)".into()
}

fn thousand() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(999)
}

impl Config {
    /// The port, given or usual.
    pub fn port(&self) -> u16 {
        let usual = match self.tls {
            TlsMode::None | TlsMode::Starttls => 389,
            TlsMode::Implicit => 636,
        };
        self.port.map_or(usual, NonZeroU16::get)
    }

    /// Where the directory is, whether or not the keys fit together.
    pub(crate) fn place(&self) -> Place {
        if let Some(path) = &self.socket {
            return Place::Socket(path.clone());
        }
        let (host, server_name, ca_file) = (self.host.clone().unwrap_or_default(), self.server_name.clone(), self.ca_file.clone());
        Place::Door(Door { host, port: self.port(), tls: self.tls, server_name, ca_file })
    }

    /// Checks what the types cannot hold.
    pub(crate) fn check(&self) -> Result<(), AgentError> {
        match (&self.host, self.place()) {
            (None, Place::Door(_)) => Err(AgentError::config("", "neither `host` nor `socket` is there")),
            (Some(_), Place::Door(door)) => door.check("ldap.example.org"),
            (Some(_), Place::Socket(_)) => Err(AgentError::config("socket", "stands in place of `host`, not beside it")),
            (None, Place::Socket(_)) if self.port.is_some() => Err(AgentError::config("port", "goes with `host`; a socket has none")),
            (None, Place::Socket(_)) if self.tls != TlsMode::None => {
                Err(AgentError::config("tls", "goes with `host`; what crosses a socket stays on this machine"))
            }
            (None, Place::Socket(_)) => Ok(()),
        }
    }

    /// As whom to bind.
    pub(crate) fn who(&self) -> Result<Who, AgentError> {
        match (self.auth, &self.user, &self.password) {
            (Auth::External, Some(_), _) => Err(AgentError::config("user", "goes with `auth = \"simple\"`; the socket says who we are")),
            (Auth::External, _, Some(_)) => Err(AgentError::config("password", "goes with `auth = \"simple\"`")),
            (Auth::External, None, None) if self.socket.is_none() => Err(AgentError::config("auth", "\"external\" needs `socket`")),
            (Auth::External, None, None) => Ok(Who::OfSocket),
            // RFC 4513 5.1.2: a name with an empty password would be a bind as nobody, which succeeds and proves nothing.
            (Auth::Simple, user, password) => Ok(Login::of(user.as_ref(), password.as_ref())?.map_or(Who::Nobody, Who::Entry)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    fn check(text: &str, expected: Result<&str, (&str, &str)>) {
        let config = parse(text);
        let found = config.check().and_then(|()| config.who()).map(|_| config.place().target());
        let found = found.map_err(|error| (error.path().to_owned(), error.message().to_owned()));
        let expected = expected.map(str::to_owned).map_err(|(path, message)| (path.to_owned(), message.to_owned()));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn only_the_host_is_required_and_the_port_follows_tls() {
        check("host = 'ldap'", Ok("ldap:389"));
        check("host = 'ldap'\ntls = 'starttls'", Ok("ldap:389"));
        check("host = 'ldap'\ntls = 'implicit'", Ok("ldap:636"));
        check("host = 'ldap'\ntls = 'implicit'\nport = 1636", Ok("ldap:1636"));
        check("host = '2001:db8::389'", Ok("[2001:db8::389]:389"));
        check("host = '[2001:db8::389]'", Ok("[2001:db8::389]:389"));
        check("socket = '/run/slapd/ldapi'", Ok("/run/slapd/ldapi"));
        check("socket = '/run/slapd/ldapi'\nauth = 'external'", Ok("/run/slapd/ldapi"));
        check("socket = '/run/slapd/ldapi'\nuser = 'cn=u'\npassword = 'p'", Ok("/run/slapd/ldapi"));
    }

    #[test]
    fn what_cannot_be_run_is_refused_at_its_key() {
        check("", Err(("", "neither `host` nor `socket` is there")));
        check("host = 'ldap'\nsocket = 's'", Err(("socket", "stands in place of `host`, not beside it")));
        check("host = ''", Err(("host", "is empty; a name or an address is wanted, e.g. \"ldap.example.org\"")));
        check("host = 'a b'", Err(("host", "a host name has neither spaces nor characters beyond ASCII")));
        check("host = 'a'\nserver_name = ''", Err(("server_name", "is empty; a name or an address is wanted, e.g. \"ldap.example.org\"")));
        for host in ["ldap:389", "[::1]:389", "ldap://ldap"] {
            check(&format!("host = '{host}'"), Err(("host", "holds more than a name or an address; a port goes into `port`")));
        }
        check("socket = 's'\nport = 389", Err(("port", "goes with `host`; a socket has none")));
        check("socket = 's'\ntls = 'starttls'", Err(("tls", "goes with `host`; what crosses a socket stays on this machine")));
    }

    #[test]
    fn half_a_login_is_refused() {
        check("host = 'ldap'\nuser = 'cn=u'", Err(("user", "needs `password` beside it")));
        check("host = 'ldap'\npassword = 'p'", Err(("password", "needs `user` beside it")));
        check("host = 'ldap'\nuser = ''\npassword = 'p'", Err(("user", "is empty")));
        check("host = 'ldap'\nuser = 'cn=u'\npassword = ''", Err(("password", "is empty")));
        check("host = 'ldap'\nauth = 'external'", Err(("auth", "\"external\" needs `socket`")));
        let user = "goes with `auth = \"simple\"`; the socket says who we are";
        check("socket = 's'\nauth = 'external'\nuser = 'cn=u'\npassword = 'p'", Err(("user", user)));
        check("socket = 's'\nauth = 'external'\npassword = 'p'", Err(("password", "goes with `auth = \"simple\"`")));
    }

    #[test]
    fn without_a_search_the_directory_tells_of_itself() {
        let config = parse("host = 'ldap'");
        assert_eq!((config.base.as_str(), config.scope, config.filter.as_str()), ("", Scope::Base, "(objectClass=*)"));
        assert_eq!((config.entries_max.get(), config.entries_min, config.attributes.len()), (1000, 0, 0));
    }
}
