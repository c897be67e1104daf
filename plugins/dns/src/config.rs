//! What a job of this agent says of itself.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU16,
    str::FromStr,
};

use domain::base::{Name, Rtype};
use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_plugin_api::AgentError;

use crate::{
    expect::{Expectation, Expected},
    query::Question,
};

/// Types that are no question a server answers with records: zone transfers, and what belongs to messages.
const NO_QUESTIONS: [Rtype; 6] = [Rtype::AXFR, Rtype::IXFR, Rtype::OPT, Rtype::TSIG, Rtype::TKEY, Rtype::from_int(0)];

/// A question to a DNS server. Only `host` and `name` are required.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name or address of the DNS server that is asked, e.g. "192.0.2.53", "2001:db8::53" or "ns1.example.org".
    /// A name is looked up anew in each run, in the way of this machine.
    pub host: String,
    /// Port of the server, for UDP and TCP. Default: 53.
    pub port: Option<NonZeroU16>,
    /// Name that is asked for, e.g. "example.org"; always a whole one, with or without its final dot. Names beyond ASCII are written in
    /// their "xn--" form. With `type = "PTR"` an address may stand here, e.g. "192.0.2.25": its name under in-addr.arpa is asked for.
    pub name: String,
    /// Type of the records, by its name in any case ("A", "AAAA", "MX", "TXT", "NS", "SOA", "SRV", "CNAME", "PTR", "CAA", "TLSA", "DS",
    /// "DNSKEY", "HTTPS", …) or by its number ("TYPE65280"). Default: "A". Zone transfers are no questions.
    #[serde(rename = "type", default = "a")]
    pub rtype: String,
    /// What must be in the answer; else the run fails. A string, or a list of which each must be there; other records may be there too.
    /// A record is written as in a zone file, whole, without name and type: "10 mail.example.org.", "192.0.2.25",
    /// "v=spf1 mx -all" (a text with or without its quotes). The case of letters and the final dot of names do not matter; in texts they do.
    /// A response code in capitals, e.g. "NXDOMAIN" or "NOERROR", stands alone: the answer must have this code, whatever records it has.
    /// Default: NOERROR, with or without records.
    pub expect: Option<Expected>,
    /// How the question travels: "auto" (the default: UDP, and TCP after a truncated answer), "udp" (a truncated answer fails the run)
    /// or "tcp".
    #[serde(default)]
    pub transport: Transport,
}

/// How a question travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// By UDP; after a truncated answer by TCP.
    #[default]
    Auto,
    /// By UDP only.
    Udp,
    /// By TCP only.
    Tcp,
}

fn a() -> String {
    "A".into()
}

impl Config {
    /// The port, given or usual.
    pub fn port(&self) -> u16 {
        self.port.map_or(53, NonZeroU16::get)
    }

    /// `name type @host:port`, an IPv6 address in brackets.
    pub(crate) fn target(&self) -> String {
        let (name, rtype) = (&self.name, self.rtype.to_ascii_uppercase());
        let (host, port) = (&self.host, self.port());
        match host.parse::<Ipv6Addr>() {
            Ok(address) => format!("{name} {rtype} @[{address}]:{port}"),
            Err(_) => format!("{name} {rtype} @{host}:{port}"),
        }
    }

    /// Checks what the types cannot hold.
    pub(crate) fn check(&self) -> Result<(), AgentError> {
        server("host", &self.host)?;
        self.question()?;
        self.expectation().map(drop)
    }

    /// What is asked.
    pub(crate) fn question(&self) -> Result<Question, AgentError> {
        let rtype = self.rtype()?;
        Ok(Question { name: self.name(rtype)?, rtype })
    }

    /// What the answer has to be.
    pub(crate) fn expectation(&self) -> Result<Expectation, AgentError> {
        match &self.expect {
            Some(expected) => Expectation::of(expected),
            None => Ok(Expectation::default()),
        }
    }

    fn rtype(&self) -> Result<Rtype, AgentError> {
        let wrong =
            |why: &str| AgentError::config("type", format!("{why}; wanted is a type by name or number, e.g. \"MX\" or \"TYPE65280\""));
        let rtype = Rtype::from_str(&self.rtype).map_err(|_| wrong(&format!("`{}` is no record type", self.rtype)))?;
        match NO_QUESTIONS.contains(&rtype) {
            true => Err(wrong(&format!("`{}` cannot be asked for", self.rtype))),
            false => Ok(rtype),
        }
    }

    fn name(&self, rtype: Rtype) -> Result<Name<Vec<u8>>, AgentError> {
        let wrong = |why: &str| AgentError::config("name", format!("{why}; wanted is a whole name, e.g. \"example.org\""));
        if rtype == Rtype::PTR
            && let Ok(address) = self.name.parse::<IpAddr>()
        {
            let mut name: Name<Vec<u8>> = Name::reverse_from_addr(address).map_err(|error| wrong(&error.to_string()))?;
            name.make_canonical();
            return Ok(name);
        }
        match self.name.as_str() {
            "" => Err(wrong("is empty")),
            "." => Ok(Name::root_vec()),
            name if !name.is_ascii() => Err(wrong("has characters beyond ASCII, which are written in their \"xn--\" form")),
            name if name.contains(|c: char| !c.is_ascii_graphic()) => Err(wrong("has a space or a control character")),
            name => Name::from_str(name).map_err(|error| wrong(&error.to_string())),
        }
    }
}

fn server(key: &str, host: &str) -> Result<(), AgentError> {
    if host.is_empty() {
        return Err(AgentError::config(key, "is empty; a name or an address is wanted, e.g. \"192.0.2.53\""));
    }
    if !host.chars().all(|c| c.is_ascii_graphic()) {
        return Err(AgentError::config(key, "a host name has neither spaces nor characters beyond ASCII"));
    }
    let host = host.trim_matches(['[', ']']);
    if host.contains(':') && host.parse::<Ipv6Addr>().is_err() {
        return Err(AgentError::config(key, "holds more than a name or an address; a port goes into `port`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, (&str, &str)>) {
        let config: Config = toml::from_str(text).unwrap();
        let found = config.check().map(|()| config.target()).map_err(|error| (error.path().to_owned(), error.message().to_owned()));
        let expected = expected.map(str::to_owned).map_err(|(path, message)| (path.to_owned(), message.to_owned()));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_question_is_named_by_what_is_asked_and_whom() {
        check("host = 'ns1'\nname = 'lab.test'", Ok("lab.test A @ns1:53"));
        check("host = '::1'\nname = 'lab.test.'\ntype = 'mx'\nport = 5300", Ok("lab.test. MX @[::1]:5300"));
        check("host = 'ns1'\nname = '_dmarc.lab.test'\ntype = 'type65280'", Ok("_dmarc.lab.test TYPE65280 @ns1:53"));
        check("host = 'ns1'\nname = '.'\ntype = 'NS'", Ok(". NS @ns1:53"));
    }

    #[test]
    fn what_cannot_be_asked_is_refused_at_its_key() {
        let name = |why| format!("{why}; wanted is a whole name, e.g. \"example.org\"");
        let rtype = |why| format!("{why}; wanted is a type by name or number, e.g. \"MX\" or \"TYPE65280\"");
        check("host = ''\nname = 'a'", Err(("host", "is empty; a name or an address is wanted, e.g. \"192.0.2.53\"")));
        check("host = 'ns 1'\nname = 'a'", Err(("host", "a host name has neither spaces nor characters beyond ASCII")));
        check("host = 'ns1:53'\nname = 'a'", Err(("host", "holds more than a name or an address; a port goes into `port`")));
        check("host = 'ns1'\nname = ''", Err(("name", &name("is empty"))));
        check("host = 'ns1'\nname = 'a b'", Err(("name", &name("has a space or a control character"))));
        let beyond = name("has characters beyond ASCII, which are written in their \"xn--\" form");
        check("host = 'ns1'\nname = 'bücher.example'", Err(("name", &beyond)));
        check("host = 'ns1'\nname = 'a..b'", Err(("name", &name("empty label"))));
        let long = format!("host = 'ns1'\nname = '{}.test'", "a".repeat(64));
        check(&long, Err(("name", &name("label length limit exceeded"))));
        check("host = 'ns1'\nname = 'a'\ntype = 'MXX'", Err(("type", &rtype("`MXX` is no record type"))));
        check("host = 'ns1'\nname = 'a'\ntype = 'TYPE70000'", Err(("type", &rtype("`TYPE70000` is no record type"))));
        check("host = 'ns1'\nname = 'a'\ntype = 'axfr'", Err(("type", &rtype("`axfr` cannot be asked for"))));
    }

    #[test]
    fn an_address_is_asked_for_by_its_reverse_name() {
        let check = |name: &str, expected: &str| {
            let config: Config = toml::from_str(&format!("host = 'ns1'\nname = '{name}'\ntype = 'PTR'")).unwrap();
            assert_eq!(config.question().unwrap().name.to_string(), expected);
        };
        check("192.0.2.25", "25.2.0.192.in-addr.arpa");
        check("2001:db8::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
        check("25.2.0.192.in-addr.arpa.", "25.2.0.192.in-addr.arpa");
    }
}
