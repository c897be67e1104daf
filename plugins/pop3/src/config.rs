//! What a job of this agent says of itself.

use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_mail::pop3::{self, Auth};
use watchpost_plugin_api::{AgentError, Door, Login, PathBuf, Secret, TlsMode};

/// A POP3 session to be timed. Only `host` is required; without a login it goes from the banner to the end.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name or address of the mail server, e.g. "pop.example.org", "192.0.2.110" or "2001:db8::110".
    /// A name is looked up anew in each run; its addresses are tried in the order this machine prefers.
    pub host: String,
    /// TCP port. Default: 110 with `tls = "none"` or "starttls", 995 with "implicit".
    pub port: Option<NonZeroU16>,
    /// Whether and how the session is encrypted: "none" (the default), "starttls" (by the command STLS after the banner, RFC 2595)
    /// or "implicit" (from the first byte, RFC 8314). A server that does not offer what is asked for fails the run.
    #[serde(default)]
    pub tls: TlsMode,
    /// Name that the server's certificate must carry, also sent as SNI. Default: `host`. Unused with `tls = "none"`.
    pub server_name: Option<String>,
    /// PEM file of the authorities to trust instead of the system's, e.g. "ca.pem". Unused with `tls = "none"`.
    pub ca_file: Option<PathBuf>,
    /// Logs in under this name, with `password`, and asks what the mailbox holds. A mailbox opens for one session at a time,
    /// so a mailbox that people read is no good one to measure with.
    pub user: Option<String>,
    /// Password of `user`: `{ file = "…" }`, `{ env = "…" }` or `{ credential = "…" }`.
    pub password: Option<Secret>,
    /// How to log in: "plain" (AUTH PLAIN), "user" (USER and PASS), "apop" (a digest instead of the password) or "auto" (the default).
    /// "auto" takes APOP where `tls = "none"` and the banner has a timestamp, so that no password crosses a network in the clear
    /// that need not; else AUTH PLAIN if CAPA lists it, else USER. What was chosen and refused is not tried in another way.
    /// APOP needs a server that keeps the password itself: where it has only a hash, say "user" or "plain".
    /// A password that does cross a network in the clear is told in the log once.
    #[serde(default)]
    pub auth: Auth,
    /// Downloads the newest message, if there is one, at most 64 MiB, and deletes nothing. Default: true; needs a login.
    /// Some servers mark it as read, or delete what was read by their own policy (EXPIRE 0): say false there.
    #[serde(default = "yes")]
    pub download: bool,
}

fn yes() -> bool {
    true
}

impl Config {
    /// The port, given or usual.
    pub fn port(&self) -> u16 {
        self.port.map_or(pop3::usual_port(self.tls), NonZeroU16::get)
    }

    /// Where the service is entered.
    pub(crate) fn door(&self) -> Door {
        Door::new(&self.host, self.port()).tls(self.tls).server_name(self.server_name.as_ref()).ca_file(self.ca_file.clone())
    }

    /// Checks what the types cannot hold.
    pub(crate) fn check(&self) -> Result<(), AgentError> {
        let login = self.login().and_then(|login| {
            let why = "needs `user` and `password`: without them there is no login";
            AgentError::refuse_if(login.is_none() && self.auth != Auth::Auto, "auth", why)
        });
        AgentError::all([self.door().check("pop.example.org"), login])
    }

    /// The login, if there is to be one.
    pub(crate) fn login(&self) -> Result<Option<Login>, AgentError> {
        pop3::login(self.user.as_ref(), self.password.as_ref())
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
        check("host = 'pop'", Ok("pop:110"));
        check("host = 'pop'\ntls = 'none'", Ok("pop:110"));
        check("host = 'pop'\ntls = 'starttls'", Ok("pop:110"));
        check("host = 'pop'\ntls = 'implicit'", Ok("pop:995"));
        check("host = 'pop'\ntls = 'implicit'\nport = 1995", Ok("pop:1995"));
        check("host = '2001:db8::110'", Ok("[2001:db8::110]:110"));
        check("host = '[2001:db8::110]'", Ok("[2001:db8::110]:110"));
    }

    #[test]
    fn what_cannot_be_run_is_refused_at_its_key() {
        check("host = ''", Err(("host", "is empty; a name or an address is wanted, e.g. \"pop.example.org\"")));
        check("host = 'a b'", Err(("host", "a host name has neither spaces nor characters beyond ASCII")));
        for host in ["pop:110", "[::1]:110", "pop3://pop"] {
            check(&format!("host = '{host}'"), Err(("host", "holds more than a name or an address; a port goes into `port`")));
        }
        check("host = 'pop'\nuser = 'u'", Err(("user", "needs `password` beside it")));
        check("host = 'pop'\npassword = 'p'", Err(("password", "needs `user` beside it")));
        check("host = 'pop'\nuser = ''\npassword = 'p'", Err(("user", "is empty")));
        check("host = 'pop'\nuser = 'u'\npassword = ''", Err(("password", "is empty")));
        for crafted in ["a\\u0000b", "a\\r\\nDELE 1", "a\\n"] {
            let message = "cannot contain a line end or a NUL character";
            check(&format!("host = 'pop'\nuser = 'u'\npassword = \"{crafted}\""), Err(("password", message)));
            check(&format!("host = 'pop'\nuser = \"{crafted}\"\npassword = 'p'"), Err(("user", message)));
        }
        for auth in ["user", "plain", "apop"] {
            let message = "needs `user` and `password`: without them there is no login";
            check(&format!("host = 'pop'\nauth = '{auth}'"), Err(("auth", message)));
            check(&format!("host = 'pop'\nauth = '{auth}'\nuser = 'u'\npassword = 'p'"), Ok("pop:110"));
        }
    }

    #[test]
    fn a_message_is_downloaded_unless_that_is_forbidden() {
        assert!(parse("host = 'pop'").download);
        assert!(!parse("host = 'pop'\ndownload = false").download);
    }

    #[test]
    fn the_certificate_is_checked_for_the_host_unless_another_name_is_given() {
        assert_eq!(parse("host = '[::1]'").door().handshake().server_name, "::1");
        assert_eq!(parse("host = '10.0.0.1'\nserver_name = 'pop.example.org'").door().handshake().server_name, "pop.example.org");
    }
}
