//! From a domain to the servers that take its mail, and from names to addresses.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use domain::{
    base::{
        Message, MessageBuilder, Name, ParsedName, Rtype,
        iana::{Class, Rcode},
    },
    rdata::AllRecordData,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket, lookup_host},
    time::timeout,
};

/// How long one question may wait for its answer; it is asked twice.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(1500);
/// Bytes of an answer by UDP, at most.
const DATAGRAM_BYTES_MAX: usize = 4096;
/// Servers of a domain that are looked at, at most.
pub const EXCHANGERS_MAX: usize = 20;
/// Where the system says which name servers it asks.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// It is none.
    #[error("`{0}` is no name")]
    Illegal(String),
    /// Nobody can be asked.
    #[error("{RESOLV_CONF} names no name server; name one with --resolver")]
    NoResolver,
    /// Nobody answered.
    #[error("{0} has not answered")]
    NoAnswer(SocketAddr),
    /// There is no such name.
    #[error("there is no domain {0}")]
    NoDomain(String),
    /// It takes no mail. Source: RFC 7505.
    #[error("{0} says that it takes no mail")]
    TakesNone(String),
    /// The answer is none.
    #[error("the answer of {0} cannot be read")]
    Unreadable(SocketAddr),
    /// The name has no address.
    #[error("{0} has no address")]
    NoAddress(String),
}

/// Who is asked for names.
#[derive(Clone, Debug)]
pub enum Resolver {
    /// Whom this system asks.
    System,
    /// This server, and nobody else.
    Server(SocketAddr),
}

impl Resolver {
    /// Finds the servers that take a domain's mail, the best first; a domain without such servers takes its own. Source: RFC 5321 5.1.
    pub async fn exchangers(&self, domain: &str) -> Result<Vec<String>, NameError> {
        let server = match self {
            Self::Server(server) => *server,
            Self::System => of_this_system().await.ok_or(NameError::NoResolver)?,
        };
        let answer = ask(server, domain, Rtype::MX).await?;
        let exchanger = |told| if let Told::Exchanger(preference, name) = told { Some((preference, name)) } else { None };
        let mut servers: Vec<(u16, String)> = records(&answer, server)?.into_iter().filter_map(exchanger).collect();
        if servers.is_empty() {
            return Ok(vec![domain.to_owned()]);
        }
        servers.sort();
        let mut names: Vec<String> = servers.into_iter().map(|(_, name)| name).filter(|name| !name.is_empty()).collect();
        if names.is_empty() {
            return Err(NameError::TakesNone(domain.to_owned()));
        }
        names.truncate(EXCHANGERS_MAX);
        Ok(names)
    }

    /// Finds the addresses of a name; an address is its own.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NameError> {
        if let Ok(address) = host.trim_matches(['[', ']']).parse() {
            return Ok(vec![address]);
        }
        let found: Vec<IpAddr> = match self {
            Self::System => of_system(host).await,
            Self::Server(server) => {
                let mut told = records(&ask(*server, host, Rtype::A).await?, *server)?;
                told.extend(records(&ask(*server, host, Rtype::AAAA).await?, *server)?);
                told.into_iter().filter_map(|told| if let Told::Address(address) = told { Some(address) } else { None }).collect()
            }
        };
        if found.is_empty() { Err(NameError::NoAddress(host.to_owned())) } else { Ok(found) }
    }
}

/// The addresses of a name as every program of this machine finds them; none if that takes too long.
pub async fn of_system(host: &str) -> Vec<IpAddr> {
    let found = timeout(2 * ANSWER_TIMEOUT, lookup_host((host, 0))).await;
    found.ok().and_then(Result::ok).map(|found| found.map(|address| address.ip()).collect()).unwrap_or_default()
}

/// The first name server of this system.
async fn of_this_system() -> Option<SocketAddr> {
    let text = tokio::fs::read_to_string(RESOLV_CONF).await.ok()?;
    let mut lines = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    lines.find_map(|rest| rest.trim().parse::<IpAddr>().ok()).map(|address| SocketAddr::new(address, 53))
}

/// Asks by UDP, and by TCP where the answer is cut.
async fn ask(server: SocketAddr, name: &str, rtype: Rtype) -> Result<Message<Vec<u8>>, NameError> {
    let question = question(name, rtype).ok_or_else(|| NameError::Illegal(name.to_owned()))?;
    for _ in 0..2 {
        let Ok(Some(answer)) = timeout(ANSWER_TIMEOUT, by_datagram(server, &question)).await else { continue };
        if !answer.header().tc() {
            return told(name, answer);
        }
        if let Ok(Some(answer)) = timeout(ANSWER_TIMEOUT, by_connection(server, &question)).await {
            return told(name, answer);
        }
    }
    Err(NameError::NoAnswer(server))
}

fn told(name: &str, answer: Message<Vec<u8>>) -> Result<Message<Vec<u8>>, NameError> {
    match answer.header().rcode() {
        Rcode::NXDOMAIN => Err(NameError::NoDomain(name.to_owned())),
        _ => Ok(answer),
    }
}

fn question(name: &str, rtype: Rtype) -> Option<Message<Vec<u8>>> {
    let name: Name<Vec<u8>> = name.parse().ok()?;
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_random_id();
    builder.header_mut().set_rd(true);
    let mut questions = builder.question();
    questions.push((&name, rtype, Class::IN)).ok()?;
    Some(questions.into_message())
}

async fn by_datagram(server: SocketAddr, question: &Message<Vec<u8>>) -> Option<Message<Vec<u8>>> {
    let any = if server.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED) };
    let socket = UdpSocket::bind((any, 0)).await.ok()?;
    socket.connect(server).await.ok()?;
    socket.send(question.as_slice()).await.ok()?;
    let mut bytes = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let read = socket.recv(&mut bytes).await.ok()?;
        if let Some(answer) = bytes.get(..read).and_then(|bytes| answer_to(question, bytes)) {
            return Some(answer);
        }
    }
}

async fn by_connection(server: SocketAddr, question: &Message<Vec<u8>>) -> Option<Message<Vec<u8>>> {
    let mut stream = TcpStream::connect(server).await.ok()?;
    let length = u16::try_from(question.as_slice().len()).ok()?;
    stream.write_all(&[&length.to_be_bytes(), question.as_slice()].concat()).await.ok()?;
    let length = stream.read_u16().await.ok()?;
    let mut bytes = vec![0; length.into()];
    stream.read_exact(&mut bytes).await.ok()?;
    answer_to(question, &bytes)
}

/// A message, if it answers this question.
fn answer_to(question: &Message<Vec<u8>>, bytes: &[u8]) -> Option<Message<Vec<u8>>> {
    let answer = Message::from_octets(bytes.to_vec()).ok()?;
    answer.is_answer(question).then_some(answer)
}

/// What one record says.
enum Told {
    Exchanger(u16, String),
    Address(IpAddr),
}

/// What the records of an answer say, whoever's they are: names that stand for others are followed by the server.
fn records(answer: &Message<Vec<u8>>, server: SocketAddr) -> Result<Vec<Told>, NameError> {
    let unreadable = |_| NameError::Unreadable(server);
    let mut told = Vec::new();
    for record in answer.answer().map_err(unreadable)?.limit_to_in::<AllRecordData<_, ParsedName<_>>>() {
        match record.map_err(unreadable)?.data() {
            AllRecordData::Mx(mx) => {
                told.push(Told::Exchanger(mx.preference(), mx.exchange().to_string().trim_end_matches('.').to_lowercase()));
            }
            AllRecordData::A(a) => told.push(Told::Address(IpAddr::V4(a.addr()))),
            AllRecordData::Aaaa(aaaa) => told.push(Told::Address(IpAddr::V6(aaaa.addr()))),
            _ => {}
        }
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name server that gives every question this answer section: so many records, and their bytes.
    async fn server(count: u16, records: &'static [u8]) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut bytes = [0; 512];
            while let Ok((read, peer)) = socket.recv_from(&mut bytes).await {
                let mut answer = bytes[..read].to_vec();
                answer[2] |= 0x80;
                answer[6..8].copy_from_slice(&count.to_be_bytes());
                answer.extend_from_slice(records);
                socket.send_to(&answer, peer).await.unwrap();
            }
        });
        address
    }

    async fn exchangers(count: u16, records: &'static [u8]) -> Result<Vec<String>, String> {
        let resolver = Resolver::Server(server(count, records).await);
        resolver.exchangers("lab.test").await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn mail_goes_to_the_exchangers_by_preference_else_to_the_domain_else_nowhere() {
        let two = b"\xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x07\x00\x14\x02b2\xc0\x0c\
                    \xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x07\x00\x0a\x02B1\xc0\x0c";
        assert_eq!(exchangers(2, two).await, Ok(vec!["b1.lab.test".into(), "b2.lab.test".into()]));
        assert_eq!(exchangers(0, b"").await, Ok(vec!["lab.test".into()]));
        let none = b"\xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x03\x00\x00\x00";
        assert_eq!(exchangers(1, none).await, Err("lab.test says that it takes no mail".into()));
        let cut = exchangers(3, two).await.unwrap_err();
        assert!(cut.starts_with("the answer of 127.0.0.1:") && cut.ends_with(" cannot be read"), "{cut}");
        let endless = b"\xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x04\x00\x14\xc0\x28";
        assert!(exchangers(1, endless).await.is_err(), "a name that points at itself");
    }

    #[tokio::test]
    async fn an_address_is_its_own_and_a_silent_server_is_not_waited_for() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let resolver = Resolver::Server(silent.local_addr().unwrap());
        assert_eq!(resolver.addresses("[::1]").await.unwrap(), ["::1".parse::<IpAddr>().unwrap()]);
        let error = timeout(5 * ANSWER_TIMEOUT, resolver.addresses("mx")).await.unwrap().unwrap_err();
        assert!(error.to_string().ends_with("has not answered"), "{error}");
        assert!(matches!(resolver.exchangers("..").await, Err(NameError::Illegal(_))));
    }
}
