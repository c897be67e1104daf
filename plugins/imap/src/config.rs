//! What a job of this agent says of itself.

use std::num::{NonZeroU16, NonZeroU32};

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_mail::imap::{self, Auth};
use watchpost_plugin_api::{AgentError, Door, Login, PathBuf, Secret, TlsMode};

/// The mailbox that every user has.
const INBOX: &str = "INBOX";
/// What is looked for unless a job says otherwise: servers know it without opening a message.
const UNSEEN: &str = "UNSEEN";
/// Bytes of a message that are downloaded unless a job says otherwise.
const DOWNLOAD_BYTES_MAX: NonZeroU32 = NonZeroU32::new(1024 * 1024).unwrap();
/// Bytes of a criterion: a command of more than 8,192 need not be taken (RFC 9051 4), and one of more than 1,000 hardly is a question.
const SEARCH_BYTES_MAX: usize = 1000;

/// An IMAP session to be timed. Only `host` is required; without a login it goes from the banner to the end.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name or address of the mail server, e.g. "imap.example.org", "192.0.2.143" or "2001:db8::143".
    /// A name is looked up anew in each run; its addresses are tried in the order this machine prefers.
    pub host: String,
    /// TCP port. Default: 143 with `tls = "none"` or "starttls", 993 with "implicit".
    pub port: Option<NonZeroU16>,
    /// Whether and how the session is encrypted: "none" (the default), "starttls" (by the command STARTTLS after the banner)
    /// or "implicit" (from the first byte, RFC 8314). A server that does not offer what is asked for fails the run.
    #[serde(default)]
    pub tls: TlsMode,
    /// Name that the server's certificate must carry, also sent as SNI. Default: `host`. Unused with `tls = "none"`.
    pub server_name: Option<String>,
    /// PEM file of the authorities to trust instead of the system's, e.g. "ca.pem". Unused with `tls = "none"`.
    pub ca_file: Option<PathBuf>,
    /// Logs in under this name, with `password`, opens a mailbox, searches it and downloads a message of it.
    /// Nothing is changed, so this may be a mailbox that people read.
    pub user: Option<String>,
    /// Password of `user`: `{ file = "…" }`, `{ env = "…" }` or `{ credential = "…" }`. With `auth = "xoauth2"` it is an access token.
    pub password: Option<Secret>,
    /// How to log in: "plain" (AUTHENTICATE PLAIN), "login" (LOGIN), "xoauth2" (AUTHENTICATE XOAUTH2, a token instead of the password)
    /// or "auto" (the default): AUTHENTICATE PLAIN if the server offers it, else LOGIN unless the server forbids that (LOGINDISABLED).
    /// What was chosen and refused is not tried in another way.
    /// A password that crosses a network in the clear is told in the log once.
    #[serde(default)]
    pub auth: Auth,
    /// Mailbox that is opened, e.g. "INBOX" (the default) or "Archiv/Geschäft", with the server's own sign between its levels.
    #[serde(default = "inbox")]
    pub mailbox: String,
    /// Opens the mailbox by SELECT, as mail programs do, instead of EXAMINE. Default: false.
    /// No message is marked as read either way, but after a SELECT the new ones are no longer flagged as recent.
    #[serde(default)]
    pub select: bool,
    /// What is searched for, in IMAP's words (RFC 9051 6.4.4), in ASCII: "UNSEEN" (the default), "ALL", "SINCE 1-Jan-2026",
    /// "SUBJECT \"probe\" UNDELETED". Criteria of flags and numbers are cheap; of texts and headers the server may have to read every message.
    /// An empty text leaves the search out.
    #[serde(default = "unseen")]
    pub search: String,
    /// Downloads a message, if there is one, and leaves its flags as they are. Default: true; needs a login.
    #[serde(default = "yes")]
    pub download: bool,
    /// Downloads the message of this UID instead of the newest; the run fails when there is none. A UID is a message's for ever,
    /// so every run downloads the same.
    pub uid: Option<NonZeroU32>,
    /// Bytes of a message that are downloaded at most; of a larger one its beginning. Default: 1048576 (1 MiB).
    #[serde(default = "a_mebibyte")]
    pub download_max: NonZeroU32,
}

fn inbox() -> String {
    INBOX.into()
}

fn unseen() -> String {
    UNSEEN.into()
}

fn yes() -> bool {
    true
}

fn a_mebibyte() -> NonZeroU32 {
    DOWNLOAD_BYTES_MAX
}

impl Config {
    /// The port, given or usual.
    pub fn port(&self) -> u16 {
        self.port.map_or(imap::usual_port(self.tls), NonZeroU16::get)
    }

    /// Where the service is entered.
    pub(crate) fn door(&self) -> Door {
        Door::new(&self.host, self.port()).tls(self.tls).server_name(self.server_name.as_ref()).ca_file(self.ca_file.clone())
    }

    /// Checks what the types cannot hold.
    pub(crate) fn check(&self) -> Result<(), AgentError> {
        let login = self.login().and_then(|login| login.map_or_else(|| self.check_without_login(), |_| Ok(())));
        let why = "names a message to be downloaded, which `download = false` forbids";
        let uid = AgentError::refuse_if(self.uid.is_some() && !self.download, "uid", why);
        let door = self.door().check("imap.example.org");
        AgentError::all([door, login, imap::check_mailbox(&self.mailbox), check_search(&self.search), uid])
    }

    /// The login, if there is to be one.
    pub(crate) fn login(&self) -> Result<Option<Login>, AgentError> {
        imap::login(self.user.as_ref(), self.password.as_ref())
    }

    /// What speaks of a mailbox is of no use where none is opened.
    fn check_without_login(&self) -> Result<(), AgentError> {
        let given = [
            ("auth", self.auth != Auth::Auto),
            ("mailbox", self.mailbox != INBOX),
            ("select", self.select),
            ("search", self.search != UNSEEN),
            ("uid", self.uid.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((key, _)) => Err(AgentError::config(*key, "needs `user` and `password`: without them there is no login")),
            None => Ok(()),
        }
    }
}

fn check_search(criterion: &str) -> Result<(), AgentError> {
    let wrong = |why: &str| Err(AgentError::config("search", why));
    if !criterion.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        return wrong("holds something else than letters, digits and signs of ASCII");
    }
    // At the end of a line that would announce that another one belongs to it.
    if criterion.ends_with('}') {
        return wrong("ends with a brace; a text goes into quotes, e.g. \"SUBJECT \\\"{probe}\\\"\"");
    }
    if criterion.len() > SEARCH_BYTES_MAX {
        return wrong("is longer than 1000 characters");
    }
    Ok(())
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
        check("host = 'imap'", Ok("imap:143"));
        check("host = 'imap'\ntls = 'none'", Ok("imap:143"));
        check("host = 'imap'\ntls = 'starttls'", Ok("imap:143"));
        check("host = 'imap'\ntls = 'implicit'", Ok("imap:993"));
        check("host = 'imap'\ntls = 'implicit'\nport = 1993", Ok("imap:1993"));
        check("host = '2001:db8::143'", Ok("[2001:db8::143]:143"));
    }

    #[test]
    fn what_cannot_be_run_is_refused_at_its_key() {
        check("host = ''", Err(("host", "is empty; a name or an address is wanted, e.g. \"imap.example.org\"")));
        check("host = 'imap:143'", Err(("host", "holds more than a name or an address; a port goes into `port`")));
        check("host = 'imap'\nuser = 'u'", Err(("user", "needs `password` beside it")));
        for crafted in ["a\\u0000b", "a\\r\\nx DELETE INBOX", "a\\n"] {
            let message = "cannot contain a line end or a NUL character";
            check(&format!("host = 'imap'\nuser = 'u'\npassword = \"{crafted}\""), Err(("password", message)));
            check(&format!("host = 'imap'\nuser = \"{crafted}\"\npassword = 'p'"), Err(("user", message)));
        }
        let with_login = |keys: &str| format!("host = 'imap'\nuser = 'u'\npassword = 'p'\n{keys}");
        let check = |keys: &str, path: &str, message: &str| check(&with_login(keys), Err((path, message)));
        check("mailbox = ''", "mailbox", "is empty; a mailbox is wanted, e.g. \"INBOX\"");
        check("mailbox = \"a\\r\\nb\"", "mailbox", "cannot contain control characters");
        for crafted in ["\"ALL\\r\\nx LOGOUT\"", "'SUBJECT \"ä\"'", "\"ALL\\t\""] {
            check(&format!("search = {crafted}"), "search", "holds something else than letters, digits and signs of ASCII");
        }
        let brace = "ends with a brace; a text goes into quotes, e.g. \"SUBJECT \\\"{probe}\\\"\"";
        check("search = 'SUBJECT {5+}'", "search", brace);
        check(&format!("search = '{}'", "x".repeat(1001)), "search", "is longer than 1000 characters");
        check("uid = 7\ndownload = false", "uid", "names a message to be downloaded, which `download = false` forbids");
    }

    #[test]
    fn what_speaks_of_a_mailbox_needs_a_login() {
        for keys in ["auth = 'plain'", "mailbox = 'Sent'", "select = true", "search = 'ALL'", "uid = 7"] {
            let key = keys.split(' ').next().unwrap();
            check(&format!("host = 'imap'\n{keys}"), Err((key, "needs `user` and `password`: without them there is no login")));
            check(&format!("host = 'imap'\nuser = 'u'\npassword = 'p'\n{keys}"), Ok("imap:143"));
        }
    }

    #[test]
    fn a_mailbox_is_examined_searched_for_unseen_messages_and_its_newest_is_downloaded_unless_said_otherwise() {
        let config = parse("host = 'imap'");
        let kept = (config.mailbox.as_str(), config.select, config.search.as_str(), config.download, config.uid, config.download_max.get());
        assert_eq!(kept, ("INBOX", false, "UNSEEN", true, None, 1_048_576));
        assert_eq!(
            parse("host = 'imap'\nsearch = ''").check(),
            Err(AgentError::config("search", "needs `user` and `password`: without them there is no login"))
        );
    }
}
