//! What a job of this agent says of itself.

use std::{net::IpAddr, num::NonZeroU16};

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_plugin_api::{AgentError, Needs, PathBuf};
use watchpost_records::Server;

use crate::ask::{parsed, reversed};

/// Selectors of one job.
const SELECTORS_MAX: usize = 30;
/// Lists of one job.
const LISTS_MAX: usize = 20;
/// Longest name that something stands before: `_smtp._tls.`, `mta-sts.`, a selector.
const DOMAIN_CHARS_MAX: usize = 180;

/// A domain whose mail is to be believed. Only `domain` and `resolver` are required.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The domain behind the `@`, e.g. "example.org"; names beyond ASCII in their "xn--" form.
    pub domain: String,
    /// Who is asked: name or address of a DNS server that answers for every domain, with its port where that is not 53,
    /// e.g. "127.0.0.1", "192.0.2.53:5300" or "[2001:db8::53]:53". What it has cached counts: the job sees what receivers see.
    pub resolver: String,
    /// DKIM selectors whose keys have to be there, e.g. ["s1", "mail2026"]. DNS tells nobody which there are. Default: none.
    #[serde(default)]
    pub selectors: Vec<String>,
    /// Block lists, by their zones, e.g. ["zen.spamhaus.org"]. Many answer only to those who registered, or to resolvers of one's own.
    /// An answer that is none of a list's (RFC 5782), or that says one may not ask, leaves `dnsbl_listed` unknown; so does a list that
    /// fails the test each run makes: it lists 127.0.0.2, and not 127.0.0.1. Default: none.
    #[serde(default)]
    pub lists: Vec<String>,
    /// Addresses that are looked up in `lists`, e.g. ["192.0.2.25", "2001:db8::25"]: those that send mail.
    /// Default: those of the domain's mail exchangers.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// What fails the run when it is wrong or not published: any of "mx", "spf", "dkim", "dmarc", "mta_sts", "tls_rpt", "dnsbl".
    /// Default: nothing; the numbers and events tell. What cannot be found out fails the run in any case, but for block lists.
    #[serde(default)]
    pub require: Vec<Check>,
    /// Port at which MTA-STS policies are fetched. Default: 443, where every sender looks; another one is for tests.
    pub sts_port: Option<NonZeroU16>,
    /// PEM file of the authorities to trust instead of the system's when the MTA-STS policy is fetched, e.g. "ca.pem".
    pub ca_file: Option<PathBuf>,
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Mail exchangers.
    Mx,
    /// Who may send.
    Spf,
    /// Keys of signatures.
    Dkim,
    /// What to do with mail that does not pass.
    Dmarc,
    /// How mail is to come in.
    MtaSts,
    /// Where reports about TLS go.
    TlsRpt,
    /// Block lists.
    Dnsbl,
}

impl Check {
    /// The word for it, as configurations and events write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mx => "mx",
            Self::Spf => "spf",
            Self::Dkim => "dkim",
            Self::Dmarc => "dmarc",
            Self::MtaSts => "mta_sts",
            Self::TlsRpt => "tls_rpt",
            Self::Dnsbl => "dnsbl",
        }
    }
}

impl Config {
    /// Checks what the types cannot hold.
    pub(crate) fn check(&self) -> Result<(), AgentError> {
        let whole = |key: &str, name: &str| match parsed(name) {
            Some(_)
                if name.len() <= DOMAIN_CHARS_MAX
                    && !name.ends_with('.')
                    && !name.contains(|c: char| c.is_ascii_whitespace() || c == '@') =>
            {
                Ok(())
            }
            _ => Err(AgentError::config(
                key,
                format!("`{name}` is no name; wanted is a whole one without a final dot, e.g. \"example.org\""),
            )),
        };
        whole("domain", &self.domain)?;
        self.resolver()?;
        self.selectors.iter().enumerate().try_for_each(|(at, name)| whole(&format!("selectors[{at}]"), name))?;
        self.lists.iter().enumerate().try_for_each(|(at, name)| whole(&format!("lists[{at}]"), name))?;
        each_once("selectors", &self.selectors, SELECTORS_MAX)?;
        each_once("lists", &self.lists, LISTS_MAX)?;
        if self.lists.is_empty() && !self.addresses.is_empty() {
            return Err(AgentError::config("addresses", "needs `lists` beside it: nothing else is asked about them"));
        }
        if let Some(at) =
            self.addresses.iter().position(|&address| self.lists.iter().any(|list| parsed(&reversed(address, list)).is_none()))
        {
            return Err(AgentError::config(format!("addresses[{at}]"), "makes a name that is too long in one of `lists`"));
        }
        let needs = [(Check::Dkim, "selectors", self.selectors.is_empty()), (Check::Dnsbl, "lists", self.lists.is_empty())];
        match needs.into_iter().find(|(check, _, missing)| *missing && self.require.contains(check)) {
            Some((check, key, _)) => {
                Err(AgentError::config("require", format!("\"{}\" needs `{key}`: without them nothing is looked at", check.name())))
            }
            None => Ok(()),
        }
    }

    /// Who is asked.
    pub(crate) fn resolver(&self) -> Result<Server, AgentError> {
        self.resolver.parse().map_err(|why| AgentError::config("resolver", format!("{why}, e.g. \"192.0.2.53\"")))
    }

    /// Where policies are fetched.
    pub(crate) fn sts_port(&self) -> u16 {
        self.sts_port.map_or(443, NonZeroU16::get)
    }

    /// What a run touches.
    pub(crate) fn needs(&self) -> Needs {
        let port = self.resolver().map_or(53, |server| server.port(53));
        let needs = Needs::none().udp(port).tcp(port).tcp(self.sts_port());
        match &self.ca_file {
            Some(path) => needs.read(path),
            None => needs,
        }
    }
}

fn each_once(key: &str, names: &[String], most: usize) -> Result<(), AgentError> {
    if names.len() > most {
        return Err(AgentError::config(key, format!("has more than {most} names")));
    }
    match (1..names.len()).find(|&at| names[..at].contains(&names[at])) {
        Some(at) => Err(AgentError::config(format!("{key}[{at}]"), format!("`{}` is there already", names[at]))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(), (&str, &str)>) {
        let config: Config = toml::from_str(&format!("domain = 'lab.test'\nresolver = '127.0.0.1:5300'\n{text}")).unwrap();
        let found = config.check().map_err(|error| (error.path().to_owned(), error.message().to_owned()));
        assert_eq!(found, expected.map_err(|(path, message)| (path.to_owned(), message.to_owned())), "{text}");
    }

    #[test]
    fn domain_and_resolver_are_enough() {
        check("", Ok(()));
        check(
            "selectors = ['s1', 'a.b']\nlists = ['list.test']\naddresses = ['192.0.2.1', '::1']\nrequire = ['dkim', 'dnsbl', 'mta_sts']",
            Ok(()),
        );
    }

    #[test]
    fn what_cannot_be_asked_is_refused_at_its_key() {
        let name = |name: &str| format!("`{name}` is no name; wanted is a whole one without a final dot, e.g. \"example.org\"");
        check("selectors = ['s 1']", Err(("selectors[0]", &name("s 1"))));
        check("selectors = ['s1', '']", Err(("selectors[1]", &name(""))));
        check("selectors = ['s1', 's1']", Err(("selectors[1]", "`s1` is there already")));
        check("lists = ['list.test.']", Err(("lists[0]", &name("list.test."))));
        check("addresses = ['::1']", Err(("addresses", "needs `lists` beside it: nothing else is asked about them")));
        check("require = ['dkim']", Err(("require", "\"dkim\" needs `selectors`: without them nothing is looked at")));
        check("require = ['dnsbl']", Err(("require", "\"dnsbl\" needs `lists`: without them nothing is looked at")));
        let many = |count: usize| (0..count).map(|at| format!("'s{at}'")).collect::<Vec<_>>().join(", ");
        check(&format!("selectors = [{}]", many(31)), Err(("selectors", "has more than 30 names")));
        let long = vec!["a".repeat(59); 3].join(".");
        check(&format!("lists = ['{long}']\naddresses = ['::1']"), Ok(()));
        let config =
            |domain: &str, resolver: &str| -> Config { toml::from_str(&format!("domain = '{domain}'\nresolver = '{resolver}'")).unwrap() };
        assert_eq!(config("a@lab.test", "::1").check().unwrap_err().path(), "domain");
        let error = config("lab.test", "udp://ns").check().unwrap_err();
        assert_eq!((error.path(), error.message()), ("resolver", "a port is a number from 1 to 65535, e.g. \"192.0.2.53\""));
    }
}
