//! What a job of this agent says of itself.

use std::num::{NonZeroU16, NonZeroU32};

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_directory::{Auth, Keys, Scope, Search, filter};
use watchpost_plugin_api::{AgentError, PathBuf, Secret, TlsMode};

use crate::expect::Expected;

/// Asks for all attributes that people have put in (RFC 4511 4.5.1.8).
const ALL: &str = "*";

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

fn everything() -> String {
    "(objectClass=*)".into()
}

fn thousand() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(999)
}

impl Config {
    /// The part of it that says where the directory is, and as whom to bind.
    pub(crate) fn keys(&self) -> Keys {
        Keys {
            host: self.host.clone(),
            socket: self.socket.clone(),
            port: self.port,
            tls: self.tls,
            server_name: self.server_name.clone(),
            ca_file: self.ca_file.clone(),
            user: self.user.clone(),
            password: self.password.clone(),
            auth: self.auth,
        }
    }

    /// The search; attributes that the job expects something of are asked for, too.
    ///
    /// Errors: kind `config`, at the key.
    pub(crate) fn search<'a>(&self, expected: impl Iterator<Item = &'a str>) -> Result<Search, AgentError> {
        for (at, name) in self.attributes.iter().enumerate() {
            let is_special = name == ALL || name == "+";
            if let (false, Err(why)) = (is_special, filter::attribute(name)) {
                return Err(AgentError::config(format!("attributes[{at}]"), why));
            }
        }
        let mut attributes = self.attributes.clone();
        for name in expected {
            if attributes.is_empty() {
                attributes.push(ALL.into());
            }
            if !attributes.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                attributes.push(name.to_owned());
            }
        }
        let search = Search::new(&self.base, self.scope, &self.filter, attributes, self.entries_max.get());
        search.map_err(|why| AgentError::config("filter", why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expect::Expectation;

    fn parse(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    fn check(text: &str, expected: Result<&str, (&str, &str)>) {
        let config = parse(text);
        let found = config.keys().directory().map(|directory| directory.target());
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
    fn what_is_expected_is_asked_for_besides() {
        let asked = |more: &str| {
            let config = parse(&format!("host = 'ldap'\n{more}"));
            config.search(Expectation::of(&config).unwrap().attributes()).unwrap().attributes
        };
        assert_eq!(asked("expect = 'mail=a@b'"), ["*", "mail"]);
        assert_eq!(asked("expect = ['cn=a', 'cn=b']\nattributes = ['CN', 'sn']"), ["CN", "sn"]);
        assert_eq!(asked("expect = 'namingContexts=dc=x'\nattributes = ['1.1']"), ["1.1", "namingContexts"]);
        assert!(asked("").is_empty());
    }

    #[test]
    fn without_a_search_the_directory_tells_of_itself() {
        let config = parse("host = 'ldap'");
        assert_eq!((config.base.as_str(), config.scope, config.filter.as_str()), ("", Scope::Base, "(objectClass=*)"));
        assert_eq!((config.entries_max.get(), config.entries_min, config.attributes.len()), (1000, 0, 0));
    }
}
