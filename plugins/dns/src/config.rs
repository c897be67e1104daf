//! What a job of this agent says of itself.

use std::{net::IpAddr, num::NonZeroU16, str::FromStr};

use domain::base::{Name, Rtype};
use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_plugin_api::{AgentError, Door, Needs, PathBuf, Tls};
use watchpost_records::{Question, Server};

use crate::expect::{Expectation, Expected};

/// Types that are no question a server answers with records: zone transfers, and what belongs to messages.
const NO_QUESTIONS: [Rtype; 6] = [Rtype::AXFR, Rtype::IXFR, Rtype::OPT, Rtype::TSIG, Rtype::TKEY, Rtype::from_int(0)];

/// Servers that are compared in one run, `host` not counted.
const AGREE_MAX: usize = 30;

/// A question to a DNS server. Only `host` and `name` are required.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name or address of the DNS server that is asked, e.g. "192.0.2.53", "2001:db8::53" or "ns1.example.org".
    /// A name is looked up anew in each run, in the way of this machine.
    pub host: String,
    /// Port of the server, for UDP and TCP. Default: 53; 853 with `transport = "tls"`.
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
    /// How the question travels: "auto" (the default: UDP, and TCP after a truncated answer), "udp" (a truncated answer fails the run),
    /// "tcp", or "tls" (DNS over TLS, RFC 7858, with a certificate that is verified).
    #[serde(default)]
    pub transport: Transport,
    /// Name that the certificate of `host` must carry, also sent as SNI. Default: `host`. Unused unless `transport = "tls"`.
    pub server_name: Option<String>,
    /// PEM file of the authorities to trust instead of the system's, e.g. "ca.pem". Unused unless `transport = "tls"`.
    pub ca_file: Option<PathBuf>,
    /// Further servers of the same zone, with `type = "SOA"` only: a list of names or addresses, each with its port where that is not
    /// `port`, e.g. ["ns2.example.org", "192.0.2.54:5300"]. All are asked the same, and `soa_serial`, `serial_lag` and `serials_distinct`
    /// tell how far they are apart. One that does not answer fails the run. Over TLS each has to show a certificate for its own name.
    #[serde(default)]
    pub agree: Vec<String>,
    /// Whether different serial numbers fail the run at once. Default: false: for the seconds or minutes of a zone transfer they are
    /// as they should be, so a threshold on `serials_distinct` or `serial_lag` that has to hold for a while is the better judge.
    #[serde(default)]
    pub must_agree: bool,
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
    /// By TLS only.
    Tls,
}

fn a() -> String {
    "A".into()
}

impl Config {
    /// The port, given or usual.
    pub fn port(&self) -> u16 {
        let usual = if self.transport == Transport::Tls { 853 } else { 53 };
        self.port.map_or(usual, NonZeroU16::get)
    }

    /// Who is asked first.
    pub(crate) fn server(&self) -> Server {
        Server { host: self.host.trim_matches(['[', ']']).to_owned(), port: NonZeroU16::new(self.port()) }
    }

    /// Who else is asked for the serial number.
    pub(crate) fn others(&self) -> Result<Vec<Server>, AgentError> {
        let read = |(at, text): (usize, &String)| {
            let wrong = |why: &str| AgentError::config(format!("agree[{at}]"), format!("{why}, e.g. \"ns2.example.org\""));
            let server: Server = text.parse().map_err(wrong)?;
            Ok(Server { port: server.port.or(NonZeroU16::new(self.port())), ..server })
        };
        self.agree.iter().enumerate().map(read).collect()
    }

    /// What the handshake with a server has to verify; none where there is none.
    pub(crate) fn handshake(&self, with: &Server) -> Option<Tls> {
        let named = self.server_name.as_deref().filter(|_| *with == self.server());
        (self.transport == Transport::Tls).then(|| Tls::verify(named.unwrap_or(&with.host)).ca_file(self.ca_file.clone()))
    }

    /// What asking touches. Servers that are no such thing are told by `check`.
    pub(crate) fn needs(&self) -> Needs {
        let mut ports = vec![self.port()];
        ports.extend(self.others().unwrap_or_default().iter().map(|server| server.port(self.port())));
        ports.sort_unstable();
        ports.dedup();
        let reach = |needs: Needs, port: u16| match self.transport {
            Transport::Auto => needs.udp(port).tcp(port),
            Transport::Udp => needs.udp(port),
            Transport::Tcp | Transport::Tls => needs.tcp(port),
        };
        ports.into_iter().fold(Needs::none(), reach).read_all(&self.ca_file)
    }

    /// `name type @host:port`, an IPv6 address in brackets.
    pub(crate) fn target(&self) -> String {
        let (name, rtype) = (&self.name, self.rtype.to_ascii_uppercase());
        format!("{name} {rtype} @{}", self.server())
    }

    /// Checks what the types cannot hold.
    pub(crate) fn check(&self) -> Result<(), AgentError> {
        let door = Door::new(&self.host, self.port()).server_name(self.server_name.as_ref());
        AgentError::all([door.check("192.0.2.53"), self.question().map(drop), self.expectation().map(drop), self.check_agree()])
    }

    fn check_agree(&self) -> Result<(), AgentError> {
        let of_zone = self.rtype().map_or(true, |rtype| rtype == Rtype::SOA);
        if !of_zone && (self.must_agree || !self.agree.is_empty()) {
            let key = if self.agree.is_empty() { "must_agree" } else { "agree" };
            return Err(AgentError::config(key, "compares serial numbers, which only `type = \"SOA\"` has"));
        }
        if self.must_agree && self.agree.is_empty() {
            return Err(AgentError::config("must_agree", "needs `agree`: one server always agrees with itself"));
        }
        if self.agree.len() > AGREE_MAX {
            return Err(AgentError::config("agree", format!("has more than {AGREE_MAX} servers")));
        }
        let mut seen = vec![self.server()];
        for (at, other) in self.others()?.into_iter().enumerate() {
            if seen.contains(&other) {
                return Err(AgentError::config(format!("agree[{at}]"), format!("{other} is asked already")));
            }
            seen.push(other);
        }
        Ok(())
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
    fn servers_are_compared_by_the_serial_number_of_a_zone_and_by_nothing_else() {
        let soa = |keys: &str| format!("host = 'ns1'\nname = 'lab.test'\ntype = 'soa'\n{keys}");
        check(&soa("agree = ['ns2', '192.0.2.54:5300', '::1']\nmust_agree = true"), Ok("lab.test SOA @ns1:53"));
        let only = "compares serial numbers, which only `type = \"SOA\"` has";
        check("host = 'ns1'\nname = 'a'\nagree = ['ns2']", Err(("agree", only)));
        check("host = 'ns1'\nname = 'a'\nmust_agree = true", Err(("must_agree", only)));
        check(&soa("must_agree = true"), Err(("must_agree", "needs `agree`: one server always agrees with itself")));
        let wanted = "a name or an address is wanted, and a port after a colon, e.g. \"ns2.example.org\"";
        check(&soa("agree = ['ns2', 'a/b']"), Err(("agree[1]", wanted)));
        check(&soa("agree = ['ns2:0']"), Err(("agree[0]", "a port is a number from 1 to 65535, e.g. \"ns2.example.org\"")));
        check(&soa("agree = ['ns2', 'ns1:53']"), Err(("agree[1]", "ns1:53 is asked already")));
        check(&soa("agree = ['ns2', 'ns2']"), Err(("agree[1]", "ns2:53 is asked already")));
        let many: Vec<String> = (0..31).map(|at| format!("'ns{}'", at + 2)).collect();
        check(&soa(&format!("agree = [{}]", many.join(", "))), Err(("agree", "has more than 30 servers")));
    }

    #[test]
    fn over_tls_the_port_and_the_names_are_those_of_tls() {
        let text = "host = '[::1]'\nname = 'lab.test'\ntype = 'SOA'\ntransport = 'tls'\nserver_name = 'ns1.lab.test'\nagree = ['ns2:53']";
        check(text, Ok("lab.test SOA @[::1]:853"));
        let config: Config = toml::from_str(text).unwrap();
        let other = &config.others().unwrap()[0];
        let name = |server: &Server| config.handshake(server).unwrap().server_name;
        assert_eq!((name(&config.server()).as_str(), name(other).as_str()), ("ns1.lab.test", "ns2"));
        assert_eq!(config.needs(), Needs::none().tcp(53).tcp(853));
        check(
            "host = 'ns1'\nname = 'a'\nserver_name = 'a b'",
            Err(("server_name", "a host name has neither spaces nor characters beyond ASCII")),
        );
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
