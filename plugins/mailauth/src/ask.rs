//! Questions to the resolver that the job names.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use domain::base::{Name, Rtype, iana::OptRcode};
use watchpost_plugin_api::{AgentError, Cx, ErrorKind};
use watchpost_records::{Question, Record, exchange, in_words};

/// Questions of one run: what a domain publishes decides how many there are, so they have a bound.
const ASKED_MAX: u32 = 300;
/// How often a question is asked: a datagram may be lost.
const TRIES: u32 = 3;
/// How long a resolver may take for an answer it has to fetch.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// What there is under a name.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The records of the wanted type.
    pub(crate) records: Vec<Record>,
    /// Whether the name is an alias of the one that has them.
    pub(crate) alias: bool,
}

impl Found {
    /// The texts of TXT records.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.records.iter().filter_map(|record| record.text.as_deref())
    }

    /// The addresses of A and AAAA records.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.records.iter().filter_map(|record| record.data.parse().ok())
    }
}

/// The resolver, as one run asks it.
pub(crate) struct Names<'a> {
    cx: &'a Cx,
    servers: Vec<SocketAddr>,
    asked: AtomicU32,
}

impl<'a> Names<'a> {
    pub(crate) fn new(cx: &'a Cx, servers: Vec<SocketAddr>) -> Self {
        Self { cx, servers, asked: AtomicU32::new(0) }
    }

    /// Finds the records of a name; none where there is no such name.
    ///
    /// Errors: kind `protocol` when the resolver cannot find out, or for what is no name; `timeout`, `connect`; `limit` for too many questions.
    pub(crate) async fn find(&self, name: &str, rtype: Rtype) -> Result<Found, AgentError> {
        if self.asked.fetch_add(1, Ordering::Relaxed) >= ASKED_MAX {
            return Err(AgentError::new(ErrorKind::LIMIT, format!("more than {ASKED_MAX} questions in one run")));
        }
        let Some(name) = parsed(name) else {
            return Err(AgentError::protocol(format!("`{}` is no name", watchpost_plugin_api::quoted(name))));
        };
        let question = Question { name, rtype };
        let answer = self.answer(&question).await.map_err(|error| error.context(&question))?;
        match answer.code {
            OptRcode::NOERROR | OptRcode::NXDOMAIN => {
                let alias = answer.records.iter().any(|record| record.rtype == Rtype::CNAME);
                Ok(Found { records: answer.wanted().cloned().collect(), alias })
            }
            code => Err(AgentError::protocol(format!("the resolver answered {}", in_words(code))).context(&question)),
        }
    }

    /// Asks until there is an answer, a few times.
    async fn answer(&self, question: &Question) -> Result<watchpost_records::Answer, AgentError> {
        let mut tries = 1;
        loop {
            match self.cx.within(ANSWER_WITHIN, exchange::ask(self.cx, &self.servers, question)).await {
                Err(error) if error.kind() == ErrorKind::TIMEOUT && tries < TRIES => tries += 1,
                Err(error) if error.kind() == ErrorKind::TIMEOUT => return Err(AgentError::timeout()),
                ended => return ended,
            }
        }
    }

    /// Finds the addresses of a host, of both families.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Found, AgentError> {
        let mut found = self.find(host, Rtype::A).await?;
        found.records.extend(self.find(host, Rtype::AAAA).await?.records);
        Ok(found)
    }
}

/// A name as DNS has it; `None` for what cannot be one.
pub(crate) fn parsed(name: &str) -> Option<Name<Vec<u8>>> {
    Name::from_str(name).ok().filter(|_| name.is_ascii() && !name.is_empty())
}

/// The name of an address in a zone of lists: RFC 5782 2.1, 2.4.
pub(crate) fn reversed(address: IpAddr, zone: &str) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.{zone}")
        }
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + zone
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_looked_up_backwards() {
        let check = |address: &str, expected: &str| assert_eq!(reversed(address.parse().unwrap(), "list.test"), expected);
        check("192.0.2.66", "66.2.0.192.list.test");
        check("2001:db8::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.list.test");
    }

    #[test]
    fn what_cannot_be_a_name_is_none() {
        for name in ["", "a..b", "é.test", &"a".repeat(64), &"a.".repeat(200)] {
            assert_eq!(parsed(name), None, "{name}");
        }
        assert!(parsed("_spf.example.org").is_some() && parsed("example.org.").is_some());
    }
}
