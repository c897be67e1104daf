//! Where a service is entered: the name and port it is found under, and how the way in is encrypted.

use std::net::Ipv6Addr;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{AgentError, Cx, Endpoint, Ends, Laps, Level, Needs, PathBuf, RecordType, Resolver, Stream, Tls, standard};

/// How a session is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    /// Not at all.
    #[default]
    None,
    /// By a command of the protocol's own (STARTTLS, STLS).
    Starttls,
    /// From the first byte.
    Implicit,
}

/// The door of one service. An agent makes it of the keys `host`, `port`, `tls`, `server_name` and `ca_file` of its configuration,
/// whose manuals are its own: ports and commands differ.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Door {
    /// Name or address; an IPv6 address with or without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How a session is encrypted.
    pub tls: TlsMode,
    /// Name that the certificate must carry, where it is not `host`.
    pub server_name: Option<String>,
    /// Authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
}

impl Door {
    /// Names the door of a service without TLS.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, tls: TlsMode::None, server_name: None, ca_file: None }
    }

    /// Encrypts the way in so.
    pub fn tls(mut self, tls: TlsMode) -> Self {
        self.tls = tls;
        self
    }

    /// Wants that name in the certificate.
    pub fn server_name(mut self, name: Option<impl Into<String>>) -> Self {
        self.server_name = name.map(Into::into);
        self
    }

    /// Trusts the authorities of that PEM file instead of the system's.
    pub fn ca_file(mut self, path: Option<impl Into<PathBuf>>) -> Self {
        self.ca_file = path.map(Into::into);
        self
    }

    /// Checks `host` and `server_name`; `example` is a host as one might stand there.
    ///
    /// Errors: kind `config`, at the key.
    pub fn check(&self, example: &str) -> Result<(), AgentError> {
        let server_name = self.server_name.as_deref().map_or(Ok(()), |name| check_name("server_name", name, example));
        AgentError::all([self.check_host(example), server_name])
    }

    fn check_host(&self, example: &str) -> Result<(), AgentError> {
        check_name("host", &self.host, example)?;
        let host = self.bare_host();
        match host.contains(':') && host.parse::<Ipv6Addr>().is_err() {
            true => Err(AgentError::config("host", "holds more than a name or an address; a port goes into `port`")),
            false => Ok(()),
        }
    }

    /// Names the door: `host:port`, an IPv6 address in brackets.
    pub fn target(&self) -> String {
        let (host, port) = (&self.host, self.port);
        match host.parse::<Ipv6Addr>() {
            Ok(address) => format!("[{address}]:{port}"),
            Err(_) => format!("{host}:{port}"),
        }
    }

    /// Tells what entering touches.
    pub fn needs(&self) -> Needs {
        Needs::none().tcp(self.port).read_all(&self.ca_file)
    }

    /// Tells what a handshake has to verify.
    pub fn handshake(&self) -> Tls {
        Tls::verify(self.server_name.as_deref().unwrap_or(self.bare_host())).ca_file(self.ca_file.clone())
    }

    /// Goes from the name to an open connection, encrypted if it is to be from the first byte. Its phases are `resolve_time`,
    /// `connect_time`, and then `tls_time`.
    ///
    /// Errors: kinds `resolve`, `connect`, `tls`.
    pub async fn enter(&self, cx: &Cx, laps: &mut Laps<'_>) -> Result<Stream, AgentError> {
        let addresses = cx.resolve(&self.host, RecordType::Any, Resolver::System).await?;
        laps.lap(standard::RESOLVE_TIME);
        let mut stream = cx.connect(Endpoint::tcp(&addresses, self.port)).await?;
        laps.lap(standard::CONNECT_TIME);
        if self.tls == TlsMode::Implicit {
            stream.start_tls(&self.handshake()).await?;
            laps.lap(standard::TLS_TIME);
        }
        Ok(stream)
    }

    /// Says whether somebody on a network can read what passes between these ends.
    pub fn is_overheard(&self, ends: Ends) -> bool {
        self.tls == TlsMode::None && ends.leave_this_machine()
    }

    /// Tells the log that a password can be read on its way. A login in the clear is what the job asks for, so it is done;
    /// its operator should know, once.
    pub fn warn_of_clear_text(&self, cx: &Cx) {
        let target = self.target();
        let text = format!("the password crosses the network to {target} in the clear; set tls to \"starttls\" or \"implicit\"");
        cx.log(Level::Warn, &text);
    }

    fn bare_host(&self) -> &str {
        self.host.trim_matches(['[', ']'])
    }
}

fn check_name(key: &str, name: &str, example: &str) -> Result<(), AgentError> {
    if name.is_empty() {
        return Err(AgentError::config(key, format!("is empty; a name or an address is wanted, e.g. \"{example}\"")));
    }
    if !name.chars().all(|c| c.is_ascii_graphic()) {
        return Err(AgentError::config(key, "a host name has neither spaces nor characters beyond ASCII"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(host: &str) -> Door {
        Door::new(host, 143)
    }

    #[test]
    fn a_target_is_host_and_port_with_brackets_where_they_are_needed() {
        let check = |host: &str, expected: &str| {
            assert_eq!(door(host).check("mx"), Ok(()), "{host}");
            assert_eq!(door(host).target(), expected);
        };
        check("mx.example.org", "mx.example.org:143");
        check("192.0.2.1", "192.0.2.1:143");
        check("2001:db8::1", "[2001:db8::1]:143");
        check("[2001:db8::1]", "[2001:db8::1]:143");
    }

    #[test]
    fn what_is_no_name_is_refused_at_its_key() {
        let check = |door: Door, key: &str, message: &str| {
            let error = door.check("mx1.example.org").unwrap_err();
            assert_eq!((error.path(), error.message()), (key, message));
        };
        let empty = "is empty; a name or an address is wanted, e.g. \"mx1.example.org\"";
        check(door(""), "host", empty);
        check(door("mx").server_name(Some("")), "server_name", empty);
        check(door("mx").server_name(Some("ä")), "server_name", "a host name has neither spaces nor characters beyond ASCII");
        let both = door("").server_name(Some("")).check("mx1.example.org").unwrap_err();
        assert_eq!(both.into_faults().map(|fault| fault.path).collect::<Vec<_>>(), ["host", "server_name"]);
        for host in ["mx:25", "[::1]:25", "smtp://mx"] {
            check(door(host), "host", "holds more than a name or an address; a port goes into `port`");
        }
    }

    #[test]
    fn the_certificate_is_checked_for_the_host_unless_another_name_is_given() {
        assert_eq!(door("[::1]").handshake().server_name, "::1");
        let named = door("192.0.2.1").server_name(Some("mx.example.org")).ca_file(Some("ca.pem"));
        assert_eq!(named.handshake(), Tls::verify("mx.example.org").ca_file(Some("ca.pem")));
        assert_eq!(named.needs(), Needs::none().tcp(143).read("ca.pem"));
    }

    #[test]
    fn only_what_is_encrypted_or_stays_on_this_machine_is_heard_by_nobody() {
        let check = |tls, peer: &str, expected| {
            let ends = Ends { local: "192.0.2.1:40000".parse().ok(), peer: peer.parse().ok() };
            assert_eq!(door("mx").tls(tls).is_overheard(ends), expected, "{tls:?} to {peer}");
        };
        check(TlsMode::None, "192.0.2.25:25", true);
        check(TlsMode::None, "127.0.0.1:25", false);
        check(TlsMode::Starttls, "192.0.2.25:25", false);
        check(TlsMode::Implicit, "192.0.2.25:25", false);
    }
}
