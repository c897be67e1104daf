//! What is known of services: how each is told by its greeting, and which agent measures it.

use regex::bytes::Regex;
use serde::Deserialize;

/// The book that is built in.
const DOORS: &str = include_str!("doors.toml");

/// Why the book cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// It is no TOML of this shape.
    #[error("the list of known services is damaged")]
    Toml(#[from] toml::de::Error),
    /// A pattern is none.
    #[error("the list of known services has a pattern that is none")]
    Pattern(#[from] regex::Error),
    /// Bytes are none.
    #[error("the list of known services has bytes that are none: {0}")]
    Bytes(String),
}

/// All services that are known.
#[derive(Debug)]
pub struct Book {
    /// Ports that are looked at where none are named.
    pub ports: Vec<u16>,
    /// Ports where a session is encrypted from the first byte.
    pub encrypted: Vec<u16>,
    /// What measures a door with TLS besides.
    pub beside_tls: Beside,
    /// The services.
    pub services: Vec<Service>,
}

/// A second job of a door.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beside {
    /// How its name begins.
    pub name: String,
    /// What measures it.
    pub agent: String,
    /// How often.
    pub every: String,
    /// The lines of its config.
    pub config: String,
}

/// One service.
#[derive(Debug)]
pub struct Service {
    /// What it is called, and how its jobs' names begin.
    pub name: String,
    /// What measures it, if anything does.
    pub agent: Option<String>,
    /// Its usual ports.
    pub ports: Vec<u16>,
    /// Its greeting, if it speaks first.
    pub greeting: Option<Regex>,
    /// What it is greeted with.
    pub hello: Vec<u8>,
    /// Its whole answer to that.
    pub answer: Regex,
    /// The part of the answer that offers TLS.
    pub offers_tls: Option<Regex>,
    /// What begins TLS; empty if the hello did.
    pub start_tls: Vec<u8>,
    /// The answer after which TLS begins.
    pub go_on: Option<Regex>,
    /// What has to be known for a job: `domain`.
    pub needs: Vec<String>,
    /// The lines of a job's config.
    pub config: String,
    /// More lines of it, for whoever has an account to log in with.
    pub login: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    ports: Vec<u16>,
    encrypted: Vec<u16>,
    beside_tls: Beside,
    service: Vec<WrittenService>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenService {
    name: String,
    agent: Option<String>,
    ports: Vec<u16>,
    greeting: Option<String>,
    hello: Option<String>,
    hello_hex: Option<String>,
    answer: String,
    offers_tls: Option<String>,
    start_tls: Option<String>,
    go_on: Option<String>,
    #[serde(default)]
    needs: Vec<String>,
    #[serde(default)]
    config: String,
    #[serde(default)]
    login: String,
}

impl Book {
    /// Reads the book that is built in.
    pub fn read() -> Result<Self, BookError> {
        let Written { ports, encrypted, beside_tls, service } = toml::from_str(DOORS)?;
        Ok(Self { ports, encrypted, beside_tls, services: service.into_iter().map(Service::read).collect::<Result<_, _>>()? })
    }

    /// The services in the order in which they are thought of at a port: those that are usual there first.
    pub fn at(&self, port: u16) -> impl Iterator<Item = &Service> {
        let is_usual = move |service: &&Service| service.ports.contains(&port);
        self.services.iter().filter(is_usual).chain(self.services.iter().filter(move |service| !is_usual(service)))
    }

    /// Whether a service that speaks first is usual at a port.
    pub fn speaks_at(&self, port: u16) -> bool {
        self.services.iter().any(|service| service.greeting.is_some() && service.ports.contains(&port))
    }
}

impl Service {
    fn read(written: WrittenService) -> Result<Self, BookError> {
        let pattern = |text: Option<String>| text.map(|text| Regex::new(&text)).transpose();
        let hello = match written.hello_hex {
            Some(hex) => bytes(&hex).ok_or(BookError::Bytes(hex))?,
            None => written.hello.unwrap_or_default().into_bytes(),
        };
        Ok(Self {
            name: written.name,
            agent: written.agent,
            ports: written.ports,
            greeting: pattern(written.greeting)?,
            hello,
            answer: Regex::new(&written.answer)?,
            offers_tls: pattern(written.offers_tls)?,
            start_tls: written.start_tls.unwrap_or_default().into_bytes(),
            go_on: pattern(written.go_on)?,
            needs: written.needs,
            config: written.config,
            login: written.login,
        })
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = (0..hex.len()).step_by(2).map(|at| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()));
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_book_can_be_read_and_tells_services_by_what_they_say() {
        let book = Book::read().unwrap();
        let greeted = |greeting: &[u8]| {
            let found = book.services.iter().find(|service| service.greeting.as_ref().is_some_and(|known| known.is_match(greeting)));
            found.map_or("-", |service| service.name.as_str())
        };
        assert_eq!(greeted(b"220 mx ESMTP\r\n"), "smtp");
        assert_eq!(greeted(b"220-wait\r\n"), "-", "a greeting of several lines is not over");
        assert_eq!(greeted(b"220-wait\r\n220 mx\r\n"), "smtp");
        assert_eq!(greeted(b"+OK ready <1@mx>\r\n"), "pop3");
        assert_eq!(greeted(b"* OK [CAPABILITY IMAP4rev1] ready\r\n"), "imap");
        assert_eq!(greeted(b"SSH-2.0-OpenSSH_9.2\r\n"), "-");
        let answers =
            |name: &str, answer: &[u8]| book.services.iter().find(|service| service.name == name).unwrap().answer.is_match(answer);
        assert!(answers("smtp", b"250-mx\r\n250 STARTTLS\r\n") && !answers("smtp", b"250-mx\r\n250-STARTTLS\r\n"));
        assert!(answers("pop3", b"+OK\r\nSTLS\r\n.\r\n") && !answers("pop3", b"+OK\r\nSTLS\r\n") && answers("pop3", b"-ERR what?\r\n"));
        assert!(answers("ldap", b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"));
        assert!(answers("dns", b"\x00\x11\x57\x50\x81\x05\x00\x01\x00") && !answers("dns", b"\x00\x11\x57\x50\x01\x00"));
    }

    #[test]
    fn what_is_usual_at_a_port_is_thought_of_first() {
        let book = Book::read().unwrap();
        assert_eq!(book.at(389).next().map(|service| service.name.as_str()), Some("ldap"));
        assert_eq!(book.at(389).count(), book.services.len());
        assert!(book.speaks_at(25) && !book.speaks_at(389) && !book.speaks_at(2525));
    }
}
