//! Logins: LOGIN, AUTHENTICATE PLAIN (RFC 4616), AUTHENTICATE XOAUTH2 (Google's, which many know).

use base64::{Engine, prelude::BASE64_STANDARD};
use watchpost_plugin_api::{AgentError, Login, quoted};

use super::{Auth, mailbox::quoted_string, offers::Offers, response::Status};

/// Longest command that every server takes (RFC 9051 4); what is longer leaves the login for its second line.
const COMMAND_BYTES_MAX: usize = 8000;

/// How to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mechanism {
    /// Name and password as two words of one command.
    Login,
    /// Name and password in one piece.
    Plain,
    /// Name and token in one piece.
    Xoauth2,
}

/// What is said for a login: a command, and then a line after each of the server's go-aheads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lines {
    pub(crate) command: String,
    pub(crate) further: Vec<String>,
}

impl Mechanism {
    /// Chooses among what the server offers.
    ///
    /// Errors: kind `auth`. A password is never sent on the chance that it may be taken.
    pub(crate) fn choose(wanted: Auth, offers: &Offers) -> Result<Self, AgentError> {
        let (plain, login) = (offers.have("AUTH=PLAIN"), !offers.have("LOGINDISABLED"));
        let refused = |why: &str| Err(AgentError::auth(format!("{why} (some servers offer more under TLS)")));
        match wanted {
            Auth::Auto | Auth::Plain if plain => Ok(Self::Plain),
            Auth::Auto | Auth::Login if login => Ok(Self::Login),
            Auth::Xoauth2 if offers.have("AUTH=XOAUTH2") => Ok(Self::Xoauth2),
            Auth::Auto => refused("the server offers no AUTHENTICATE PLAIN and forbids LOGIN"),
            Auth::Plain => refused("the server offers no AUTHENTICATE PLAIN"),
            Auth::Login => refused("the server forbids LOGIN"),
            Auth::Xoauth2 => refused("the server offers no AUTHENTICATE XOAUTH2"),
        }
    }

    /// The command as messages name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Login => "LOGIN",
            Self::Plain => "AUTHENTICATE PLAIN",
            Self::Xoauth2 => "AUTHENTICATE XOAUTH2",
        }
    }

    /// What is made of name and password and crosses in their place, if that is not they themselves.
    pub(crate) fn response(self, login: &Login) -> Option<String> {
        let (user, password) = (&login.user, login.password.expose());
        match self {
            Self::Login => None,
            Self::Plain => Some(BASE64_STANDARD.encode(format!("\0{user}\0{password}"))),
            Self::Xoauth2 => Some(BASE64_STANDARD.encode(format!("user={user}\u{1}auth=Bearer {password}\u{1}\u{1}"))),
        }
    }

    /// What is said; `at_once` if the server takes a response in the command itself (SASL-IR, RFC 4959).
    pub(crate) fn lines(self, login: &Login, at_once: bool) -> Lines {
        let name = self.name();
        let Some(response) = self.response(login) else { return login_lines(login) };
        match at_once && name.len() + response.len() < COMMAND_BYTES_MAX {
            true => Lines { command: format!("{name} {response}"), further: Vec::new() },
            false => Lines { command: name.into(), further: vec![response] },
        }
    }
}

/// LOGIN with name and password in quotes, or where they have other characters than ASCII's as literals (RFC 9051 4.3): then the line
/// ends with the announcement of one, and goes on with it after the server's go-ahead.
fn login_lines(login: &Login) -> Lines {
    let mut lines = vec!["LOGIN".to_owned()];
    for word in [login.user.as_str(), login.password.expose()] {
        let (said, literal) = match quoted_string(word) {
            Some(quoted) => (quoted, None),
            None => (format!("{{{}}}", word.len()), Some(word.to_owned())),
        };
        if let Some(last) = lines.last_mut() {
            last.push(' ');
            last.push_str(&said);
        }
        lines.extend(literal);
    }
    Lines { command: lines.remove(0), further: lines }
}

/// Judges the end of a login; `reason` is what the server said before it.
///
/// Errors: kind `auth` for a refusal of name or password, `protocol` for an ill server, a mailbox in use or nonsense.
pub(crate) fn verdict(status: &Status, name: &str, reason: Option<&str>) -> Result<(), AgentError> {
    let Err(error) = status.positive(name) else { return Ok(()) };
    if status.blames_the_server() {
        return Err(error);
    }
    let answered = status.answered(name);
    Err(AgentError::auth(reason.map_or(answered.clone(), |reason| format!("{answered}, because {reason}"))))
}

/// The error that a server sends as a question (XOAUTH2's is JSON in base64), as a message shows it.
pub(crate) fn reason(challenge: &str) -> String {
    let decoded = BASE64_STANDARD.decode(challenge).ok().and_then(|decoded| String::from_utf8(decoded).ok());
    quoted(decoded.as_deref().unwrap_or(challenge))
}

#[cfg(test)]
mod tests {
    use watchpost_plugin_api::Secret;

    use super::super::response::Condition;
    use super::*;

    fn login(user: &str, password: &str) -> Login {
        Login { user: user.into(), password: Secret::new(password) }
    }

    #[test]
    fn what_is_offered_is_chosen_and_what_is_asked_for_is_done_or_refused() {
        let check = |wanted, offers: &str, expected: Result<Mechanism, &str>| {
            let chosen = Mechanism::choose(wanted, &Offers::parse(offers).unwrap());
            let refused = |why: &str| AgentError::auth(format!("{why} (some servers offer more under TLS)"));
            assert_eq!(chosen, expected.map_err(refused), "{wanted:?} of {offers}");
        };
        check(Auth::Auto, "IMAP4rev1 AUTH=LOGIN AUTH=PLAIN", Ok(Mechanism::Plain));
        check(Auth::Auto, "IMAP4rev1 auth=plain LOGINDISABLED", Ok(Mechanism::Plain));
        check(Auth::Auto, "IMAP4rev1", Ok(Mechanism::Login));
        check(Auth::Auto, "IMAP4rev1 AUTH=XOAUTH2", Ok(Mechanism::Login));
        check(Auth::Auto, "IMAP4rev1 STARTTLS LOGINDISABLED", Err("the server offers no AUTHENTICATE PLAIN and forbids LOGIN"));
        check(Auth::Login, "IMAP4rev1 AUTH=PLAIN", Ok(Mechanism::Login));
        check(Auth::Login, "IMAP4rev1 AUTH=PLAIN LOGINDISABLED", Err("the server forbids LOGIN"));
        check(Auth::Plain, "IMAP4rev1", Err("the server offers no AUTHENTICATE PLAIN"));
        check(Auth::Xoauth2, "IMAP4rev1 AUTH=XOAUTH2 AUTH=PLAIN", Ok(Mechanism::Xoauth2));
        check(Auth::Xoauth2, "IMAP4rev1 AUTH=PLAIN", Err("the server offers no AUTHENTICATE XOAUTH2"));
    }

    fn check(mechanism: Mechanism, login: &Login, at_once: bool, command: &str, further: &[&str]) {
        let expected = Lines { command: command.into(), further: further.iter().map(|&line| line.to_owned()).collect() };
        assert_eq!(mechanism.lines(login, at_once), expected);
    }

    #[test]
    fn a_login_is_said_in_quotes_or_as_literals() {
        check(Mechanism::Login, &login("a", "b c\"\\"), true, "LOGIN \"a\" \"b c\\\"\\\\\"", &[]);
        check(Mechanism::Login, &login("ä", "b"), true, "LOGIN {2}", &["ä \"b\""]);
        check(Mechanism::Login, &login("a", "öö"), true, "LOGIN \"a\" {4}", &["öö"]);
        check(Mechanism::Login, &login("ä", "ö"), false, "LOGIN {2}", &["ä {2}", "ö"]);
    }

    #[test]
    fn a_response_goes_with_the_command_where_the_server_takes_it_and_it_is_short_enough() {
        check(Mechanism::Plain, &login("u", "p"), true, "AUTHENTICATE PLAIN AHUAcA==", &[]);
        check(Mechanism::Plain, &login("u", "p"), false, "AUTHENTICATE PLAIN", &["AHUAcA=="]);
        let long = login("u", &"p".repeat(8000));
        assert_eq!(Mechanism::Xoauth2.lines(&long, true).command, "AUTHENTICATE XOAUTH2");
        // The example of Google's manual.
        let token = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg";
        let expected =
            "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ==";
        assert_eq!(Mechanism::Xoauth2.response(&login("someuser@example.com", token)).as_deref(), Some(expected));
    }

    #[test]
    fn a_refusal_is_told_with_the_reason_that_came_before_it() {
        let check = |condition, text: &str, reason: Option<&str>, expected: AgentError| {
            let status = Status { condition, text: text.into() };
            assert_eq!(verdict(&status, "LOGIN", reason), Err(expected));
        };
        check(Condition::No, "no", None, AgentError::auth("LOGIN: the server answered NO no"));
        check(Condition::No, "no", Some("{}"), AgentError::auth("LOGIN: the server answered NO no, because {}"));
        check(Condition::No, "[UNAVAILABLE] no", Some("{}"), AgentError::protocol("LOGIN: the server answered NO [UNAVAILABLE] no"));
        check(Condition::Bad, "what", None, AgentError::protocol("LOGIN: the server answered BAD what"));
        assert_eq!(reason("eyJzdGF0dXMiOiI0MDAifQ=="), "{\"status\":\"400\"}");
        assert_eq!(reason("no base64\u{1b}"), "no base64\\u{1b}");
    }
}
