//! What stands behind one port: who speaks there, how it may be encrypted, and what its certificate is worth.
//!
//! Whoever speaks first is listened to; where nobody speaks, TLS is tried, then the hello of each service that waits to be asked.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use serde::Serialize;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use watchpost_plugin_api::{CertificateFault, Tls, TlsFacts, TlsVerdict};
use watchpost_services::Shared;

use super::book::{Book, Service};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long whoever speaks first by custom may take: some let a stranger wait before they greet.
const GREETING_TIMEOUT: Duration = Duration::from_secs(8);
/// How long a port of no custom is listened to.
const SILENCE: Duration = Duration::from_millis(1500);
/// How long an answer or a handshake may take.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(1500);
/// Bytes that are read of a server, at most.
const BYTES_MAX: usize = 8192;
/// Characters of a greeting that are kept.
const GREETING_CHARS_MAX: usize = 100;

/// A server that is looked at.
#[derive(Clone, Debug)]
pub struct Target {
    /// How a job names it.
    pub host: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// The name it was found by, which its certificate should carry.
    pub name: String,
}

/// How a session is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// Not at all.
    None,
    /// When it is asked for.
    Starttls,
    /// From the first byte.
    Implicit,
}

/// What a certificate is worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Worth {
    /// The name to ask for, where it is not the server's.
    pub server_name: Option<String>,
    /// Why it is not trusted, if it is not.
    pub fault: Option<String>,
}

/// What was found behind a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The service, if it is known, by name.
    pub service: Option<String>,
    /// How a session can be encrypted.
    pub encryption: Encryption,
    /// What its certificate is worth, where it showed one.
    pub worth: Option<Worth>,
    /// The first line of what it said; nothing that a terminal would obey.
    pub greeting: String,
}

/// A stream that may be encrypted.
trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}
type Line = Box<dyn Duplex>;

/// Looks behind one port.
pub struct Look {
    /// What is known of services.
    pub book: Arc<Book>,
    /// Who shakes hands.
    pub tls: Shared,
    /// The authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The server.
    pub target: Target,
    /// The port.
    pub port: u16,
}

impl Look {
    /// Looks; nothing if nobody is there.
    pub async fn look(&self) -> Option<Seen> {
        if self.book.encrypted.contains(&self.port) {
            if let Some(seen) = self.encrypted().await {
                return Some(seen);
            }
            return self.listened(SILENCE).await?;
        }
        let usual = self.book.at(self.port).next().filter(|service| service.greeting.is_none() && service.ports.contains(&self.port));
        if let Some(service) = usual
            && let Some(seen) = self.asked(service).await
        {
            return Some(seen);
        }
        let speaks = self.book.speaks_at(self.port);
        match self.listened(if speaks { GREETING_TIMEOUT } else { SILENCE }).await? {
            Some(seen) => Some(seen),
            None if speaks => None,
            None => self.waits_to_be_asked().await,
        }
    }

    /// Listens to whoever speaks first; nothing in it if nobody does, nothing at all if nobody is there.
    async fn listened(&self, patience: Duration) -> Option<Option<Seen>> {
        let mut line = self.connected().await?;
        let said = self.greeting(&mut line, patience).await;
        if said.is_empty() {
            return Some(None);
        }
        Some(Some(self.told(said, line, None).await))
    }

    async fn waits_to_be_asked(&self) -> Option<Seen> {
        if let Some(seen) = self.encrypted().await {
            return Some(seen);
        }
        for service in self.book.at(self.port).filter(|service| service.greeting.is_none()) {
            if let Some(seen) = self.asked(service).await {
                return Some(seen);
            }
        }
        let unknown = Seen { service: None, encryption: Encryption::None, worth: None, greeting: String::new() };
        Some(unknown)
    }

    /// Tries TLS from the first byte, and looks at who speaks inside of it.
    async fn encrypted(&self) -> Option<Seen> {
        let (mut line, worth) = self.encrypted_line().await?;
        let silent = self.book.at(self.port).next().filter(|service| service.ports.contains(&self.port) && service.greeting.is_none());
        if silent.is_none() {
            let said = self.greeting(&mut line, SILENCE).await;
            if !said.is_empty() {
                return Some(self.told(said, line, Some(worth)).await);
            }
        }
        for service in self.book.at(self.port).filter(|service| service.greeting.is_none()) {
            let Some((mut line, worth)) = self.encrypted_line().await else { break };
            if let Some(answer) = hello(&mut line, service).await {
                let (service, greeting) = (Some(service.name.clone()), shown(&answer));
                return Some(Seen { service, encryption: Encryption::Implicit, worth: Some(worth), greeting });
            }
        }
        Some(Seen { service: None, encryption: Encryption::Implicit, worth: Some(worth), greeting: String::new() })
    }

    /// Asks a service that waits for it.
    async fn asked(&self, service: &Service) -> Option<Seen> {
        let mut line = self.connected().await?;
        let answer = hello(&mut line, service).await?;
        let (encryption, worth) = self.offered(service, &answer, line).await;
        Some(Seen { service: Some(service.name.clone()), encryption, worth, greeting: shown(&answer) })
    }

    /// Says who it is that greeted so.
    async fn told(&self, said: Vec<u8>, mut line: Line, inside: Option<Worth>) -> Seen {
        let greeting = shown(&said);
        let outer = if inside.is_some() { Encryption::Implicit } else { Encryption::None };
        let known = self.book.at(self.port).find(|service| service.greeting.as_ref().is_some_and(|known| known.is_match(&said)));
        let Some(service) = known else { return Seen { service: None, encryption: outer, worth: inside, greeting } };
        let Some(answer) = hello(&mut line, service).await else {
            return Seen { service: None, encryption: outer, worth: inside, greeting };
        };
        let (encryption, worth) = match inside {
            Some(worth) => (outer, Some(worth)),
            None => self.offered(service, &answer, line).await,
        };
        Seen { service: Some(service.name.clone()), encryption, worth, greeting }
    }

    /// Takes up TLS where it is offered, to see the certificate. What is offered and does not work is no reason to go without.
    async fn offered(&self, service: &Service, answer: &[u8], mut line: Line) -> (Encryption, Option<Worth>) {
        let broken = |why: &str| (Encryption::Starttls, Some(Worth { server_name: None, fault: Some(why.to_owned()) }));
        if !service.offers_tls.as_ref().is_some_and(|offer| offer.is_match(answer)) {
            return (Encryption::None, None);
        }
        if !service.start_tls.is_empty() {
            let go_on = async {
                line.write_all(&service.start_tls).await.ok()?;
                let said = read_until(&mut line, ANSWER_TIMEOUT, |said| said.ends_with(b"\n")).await;
                service.go_on.as_ref()?.is_match(&said).then_some(())
            };
            if timeout(ANSWER_TIMEOUT, go_on).await.ok().flatten().is_none() {
                return broken("TLS is offered, and its beginning is refused or not answered");
            }
        }
        match self.handshake(line).await {
            Some((_, worth)) => (Encryption::Starttls, Some(worth)),
            None => broken("TLS is offered, and its handshake fails"),
        }
    }

    async fn connected(&self) -> Option<Line> {
        let addresses: Vec<SocketAddr> = self.target.addresses.iter().map(|address| SocketAddr::new(*address, self.port)).collect();
        let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(addresses.as_slice())).await.ok()?.ok()?;
        Some(Box::new(stream))
    }

    async fn encrypted_line(&self) -> Option<(Line, Worth)> {
        self.handshake(self.connected().await?).await
    }

    async fn handshake(&self, line: Line) -> Option<(Line, Worth)> {
        let wanted = Tls::inspect(self.target.name.clone()).ca_file(self.ca_file.as_ref());
        let (line, facts) = timeout(ANSWER_TIMEOUT, self.tls.handshake(&wanted, line)).await.ok()?.ok()?;
        Some((Box::new(line), worth(&facts)))
    }

    /// Reads until a greeting that is known is over.
    async fn greeting(&self, line: &mut Line, patience: Duration) -> Vec<u8> {
        let is_known =
            |said: &[u8]| self.book.services.iter().any(|service| service.greeting.as_ref().is_some_and(|known| known.is_match(said)));
        read_until(line, patience, is_known).await
    }
}

/// What a certificate is worth; where only its name is another, that name.
fn worth(facts: &TlsFacts) -> Worth {
    match &facts.verdict {
        TlsVerdict::Valid => Worth { server_name: None, fault: None },
        TlsVerdict::Invalid { fault: CertificateFault::WrongName, reason } => {
            let names = facts.chain.first().and_then(|own| own.details.as_ref()).map(|details| details.dns_names.as_slice());
            let is_plain = |name: &&String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
            let server_name = names.unwrap_or_default().iter().find(is_plain).cloned();
            let fault = if server_name.is_some() { None } else { Some(reason.clone()) };
            Worth { server_name, fault }
        }
        TlsVerdict::Invalid { reason, .. } => Worth { server_name: None, fault: Some(reason.clone()) },
    }
}

/// Greets a service; gives its answer, if it is one of its own.
async fn hello(line: &mut Line, service: &Service) -> Option<Vec<u8>> {
    timeout(ANSWER_TIMEOUT, line.write_all(&service.hello)).await.ok()?.ok()?;
    let said = read_until(line, ANSWER_TIMEOUT, |said| service.answer.is_match(said)).await;
    service.answer.is_match(&said).then_some(said)
}

/// Reads until it is enough, the other ends, time is over or there is too much.
async fn read_until(line: &mut Line, patience: Duration, is_enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let until = Instant::now() + patience;
    let (mut said, mut some) = (Vec::new(), [0; 1024]);
    while said.len() < BYTES_MAX && !is_enough(&said) {
        match timeout_at(until, line.read(&mut some)).await {
            Ok(Ok(read)) if read > 0 => said.extend_from_slice(some.get(..read).unwrap_or_default()),
            _ => break,
        }
    }
    said
}

/// The first line of what a server said, if it is text: bounded, and without anything that a terminal would obey.
fn shown(said: &[u8]) -> String {
    let line = said.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let text = String::from_utf8_lossy(line);
    let text: String = crate::plain(text.trim_end()).chars().take(GREETING_CHARS_MAX).collect();
    if text.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER).count() * 4 > text.chars().count() { String::new() } else { text }
}
