//! What a job of this agent says of itself.

use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_mail::smtp::{self, Envelope};
use watchpost_plugin_api::{AgentError, Door, Login, PathBuf, Secret, TlsMode};

/// An SMTP session to be timed. Only `host` is required.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name or address of the mail server, e.g. "mx1.example.org", "192.0.2.25" or "2001:db8::25".
    /// A name is looked up anew in each run; its addresses are tried in the order this machine prefers.
    pub host: String,
    /// TCP port. Default: 25 with `tls = "none"`, 587 with "starttls", 465 with "implicit".
    pub port: Option<NonZeroU16>,
    /// Whether and how the session is encrypted: "none" (the default), "starttls" (after EHLO, RFC 3207)
    /// or "implicit" (from the first byte, RFC 8314). A server that does not offer what is asked for fails the run.
    #[serde(default)]
    pub tls: TlsMode,
    /// Name that the server's certificate must carry, also sent as SNI. Default: `host`. Unused with `tls = "none"`.
    pub server_name: Option<String>,
    /// PEM file of the authorities to trust instead of the system's, e.g. "ca.pem". Unused with `tls = "none"`.
    pub ca_file: Option<PathBuf>,
    /// Logs in under this name, with `password`, by AUTH PLAIN or else LOGIN, whichever the server offers.
    /// With `tls = "none"` the password crosses the network in the clear; the log says so once.
    pub user: Option<String>,
    /// Password of `user`: `{ file = "…" }`, `{ env = "…" }` or `{ credential = "…" }`.
    pub password: Option<Secret>,
    /// Sender of a transaction, e.g. "probe@example.org". Together with `to` the session goes on to MAIL and RCPT,
    /// which the server takes or refuses, and then takes back with RSET: nothing is delivered.
    pub from: Option<String>,
    /// Recipient of the transaction, e.g. "postmaster@example.org".
    pub to: Option<String>,
    /// Delivers a small message from `from` to `to` in each run (DATA instead of RSET). Default: false.
    /// A run then acts on the world, so one that was lost is not repeated.
    #[serde(default)]
    pub submit: bool,
}

impl Config {
    /// The port, given or usual.
    pub fn port(&self) -> u16 {
        self.port.map_or(smtp::usual_port(self.tls), NonZeroU16::get)
    }

    /// Where the service is entered.
    pub(crate) fn door(&self) -> Door {
        Door::new(&self.host, self.port()).tls(self.tls).server_name(self.server_name.as_ref()).ca_file(self.ca_file.clone())
    }

    /// Checks what the types cannot hold.
    pub(crate) fn check(&self) -> Result<(), AgentError> {
        let envelope = self.envelope().and_then(|envelope| {
            let why = "needs `from` and `to`: a message has a sender and a recipient";
            AgentError::refuse_if(self.submit && envelope.is_none(), "submit", why)
        });
        AgentError::all([self.door().check("mx1.example.org"), self.login().map(drop), envelope])
    }

    /// The login, if there is to be one.
    pub(crate) fn login(&self) -> Result<Option<Login>, AgentError> {
        smtp::login(self.user.as_ref(), self.password.as_ref())
    }

    /// Sender and recipient, if there is to be a transaction.
    pub(crate) fn envelope(&self) -> Result<Option<Envelope>, AgentError> {
        let Some((from, to)) = both(("from", &self.from), ("to", &self.to))? else { return Ok(None) };
        Envelope::of(from, to).map(Some)
    }
}

/// Two keys that are given together or not at all.
fn both<'a, A, B>((first, a): (&str, &'a Option<A>), (second, b): (&str, &'a Option<B>)) -> Result<Option<(&'a A, &'a B)>, AgentError> {
    match (a, b) {
        (Some(a), Some(b)) => Ok(Some((a, b))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(AgentError::config(first, format!("needs `{second}` beside it"))),
        (None, Some(_)) => Err(AgentError::config(second, format!("needs `{first}` beside it"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    fn check(text: &str, expected: Result<&str, (&str, &str)>) {
        let config = parse(text);
        let found = config.check().map(|()| config.door().target()).map_err(|error| (error.path().to_owned(), error.message().to_owned()));
        let expected = expected.map(str::to_owned).map_err(|(path, message)| (path.to_owned(), message.to_owned()));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn only_the_host_is_required_and_the_port_follows_tls() {
        check("host = 'mx'", Ok("mx:25"));
        check("host = 'mx'\ntls = 'none'", Ok("mx:25"));
        check("host = 'mx'\ntls = 'starttls'", Ok("mx:587"));
        check("host = 'mx'\ntls = 'implicit'", Ok("mx:465"));
        check("host = 'mx'\ntls = 'implicit'\nport = 10465", Ok("mx:10465"));
        check("host = '2001:db8::25'", Ok("[2001:db8::25]:25"));
        check("host = '[2001:db8::25]'", Ok("[2001:db8::25]:25"));
    }

    #[test]
    fn what_cannot_be_run_is_refused_at_its_key() {
        let address = |why| format!("{why}; an address is wanted, e.g. \"probe@example.org\"");
        check("host = ''", Err(("host", "is empty; a name or an address is wanted, e.g. \"mx1.example.org\"")));
        check("host = 'a b'", Err(("host", "a host name has neither spaces nor characters beyond ASCII")));
        for host in ["mx:25", "[::1]:25", "smtp://mx"] {
            check(&format!("host = '{host}'"), Err(("host", "holds more than a name or an address; a port goes into `port`")));
        }
        check("host = 'mx'\nuser = 'u'", Err(("user", "needs `password` beside it")));
        check("host = 'mx'\npassword = 'p'", Err(("password", "needs `user` beside it")));
        check("host = 'mx'\nuser = ''\npassword = 'p'", Err(("user", "is empty")));
        check("host = 'mx'\nuser = 'u'\npassword = ''", Err(("password", "is empty")));
        check("host = 'mx'\nuser = 'u'\npassword = \"a\\u0000b\"", Err(("password", "cannot contain a NUL character")));
        check("host = 'mx'\nfrom = 'a@b'", Err(("from", "needs `to` beside it")));
        check("host = 'mx'\nto = 'a@b'", Err(("to", "needs `from` beside it")));
        check("host = 'mx'\nsubmit = true", Err(("submit", "needs `from` and `to`: a message has a sender and a recipient")));
        check("host = 'mx'\nfrom = 'probe'\nto = 'a@b'", Err(("from", &address("has no @"))));
        check("host = 'mx'\nfrom = 'a@b'\nto = 'postmaster'", Ok("mx:25"));
        let crafted = address("has a space, an angle bracket, or a character beyond ASCII");
        check("host = 'mx'\nfrom = \"a@b>\\r\\nDATA\"\nto = 'a@b'", Err(("from", &crafted)));
        let long = format!("host = 'mx'\nfrom = 'a@b'\nto = 'a@{}'", "b".repeat(300));
        check(&long, Err(("to", &address("is longer than 254 characters"))));
    }

    #[test]
    fn the_certificate_is_checked_for_the_host_unless_another_name_is_given() {
        assert_eq!(parse("host = '[::1]'").door().handshake().server_name, "::1");
        assert_eq!(parse("host = '10.0.0.1'\nserver_name = 'mx.example.org'").door().handshake().server_name, "mx.example.org");
    }
}
