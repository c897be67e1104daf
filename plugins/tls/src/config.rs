//! What a job of this agent says of itself.

use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_plugin_api::{AgentError, Door, PathBuf, Tls};

/// A TLS service to be looked at. Only `host` is required.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name or address of the service, e.g. "mx1.example.org", "192.0.2.25" or "2001:db8::25".
    /// A name is looked up anew in each run; its addresses are tried in the order this machine prefers.
    pub host: String,
    /// TCP port. Default: 443; with `starttls` 25 for "smtp", 143 for "imap", 110 for "pop3", 389 for "ldap".
    pub port: Option<NonZeroU16>,
    /// Protocol whose command begins TLS: "smtp" (RFC 3207), "imap" (RFC 9051), "pop3" (RFC 2595) or "ldap" (RFC 4511).
    /// Default: none; TLS begins with the first byte, as at 443, 465, 636, 853, 993 and 995.
    pub starttls: Option<Starttls>,
    /// Name that the certificate must carry, also sent as SNI. Default: `host`.
    pub server_name: Option<String>,
    /// PEM file of the authorities to trust instead of the system's, e.g. "ca.pem".
    pub ca_file: Option<PathBuf>,
    /// Whether each run also asks, by a connection of its own for each, if the server takes TLS 1.2 and TLS 1.3: the metric `accepts`.
    /// Older versions cannot be asked for: the TLS library knows none. Default: false.
    #[serde(default)]
    pub versions: bool,
    /// What fails the run when it is wrong: any of "trusted" (a client that verifies would go on: authority, time, name and use),
    /// "name" (the certificate is for `server_name`), "time" (no certificate of the chain has expired or is not valid yet).
    /// Default: nothing; a bad certificate is measured like a good one, and an event tells of it.
    #[serde(default)]
    pub require: Vec<Requirement>,
}

/// Protocols whose command begins TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Starttls {
    /// STARTTLS, after EHLO.
    Smtp,
    /// STARTTLS.
    Imap,
    /// STLS.
    Pop3,
    /// The extended operation StartTLS.
    Ldap,
}

/// What a certificate has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Requirement {
    /// A client that verifies would go on.
    Trusted,
    /// It is for the name.
    Name,
    /// All of the chain is valid now.
    Time,
}

impl Config {
    /// Where the service is entered.
    pub(crate) fn door(&self) -> Door {
        let usual = match self.starttls {
            None => 443,
            Some(Starttls::Smtp) => 25,
            Some(Starttls::Imap) => 143,
            Some(Starttls::Pop3) => 110,
            Some(Starttls::Ldap) => 389,
        };
        // Without TLS: the handshake is done by this agent itself, a door would end it at the first fault.
        let door = Door::new(&self.host, self.port.map_or(usual, NonZeroU16::get));
        door.server_name(self.server_name.as_ref()).ca_file(self.ca_file.clone())
    }

    /// What the handshake is to do.
    pub(crate) fn handshake(&self) -> Tls {
        let mut handshake = self.door().handshake();
        handshake.inspect = true;
        handshake
    }

    /// Checks what the types cannot hold.
    pub(crate) fn check(&self) -> Result<(), AgentError> {
        self.door().check("mx1.example.org")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_is_required_and_the_port_follows_the_protocol() {
        let check = |text: &str, expected: Result<&str, (&str, &str)>| {
            let config: Config = toml::from_str(text).unwrap();
            let found =
                config.check().map(|()| config.door().target()).map_err(|error| (error.path().to_owned(), error.message().to_owned()));
            let expected = expected.map(str::to_owned).map_err(|(path, message)| (path.to_owned(), message.to_owned()));
            assert_eq!(found, expected, "{text}");
        };
        check("host = 'mx'", Ok("mx:443"));
        for (protocol, port) in [("smtp", 25), ("imap", 143), ("pop3", 110), ("ldap", 389)] {
            check(&format!("host = 'mx'\nstarttls = '{protocol}'"), Ok(&format!("mx:{port}")));
        }
        check("host = '2001:db8::1'\nport = 853", Ok("[2001:db8::1]:853"));
        check("host = ''", Err(("host", "is empty; a name or an address is wanted, e.g. \"mx1.example.org\"")));
        check("host = 'mx:443'", Err(("host", "holds more than a name or an address; a port goes into `port`")));
        check("host = 'mx'\nserver_name = 'a b'", Err(("server_name", "a host name has neither spaces nor characters beyond ASCII")));
    }

    #[test]
    fn the_certificate_is_looked_at_and_not_insisted_on() {
        let config: Config = toml::from_str("host = '192.0.2.1'\nserver_name = 'mx.test'\nca_file = 'ca.pem'").unwrap();
        assert_eq!(config.handshake(), Tls::inspect("mx.test").ca_file(Some("ca.pem")));
    }
}
