//! Logins: AUTH PLAIN (RFC 5034, RFC 4616), USER and PASS, APOP (RFC 1939 7).

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use md5::{Digest, Md5};
use watchpost_plugin_api::{AgentError, Login};

use super::{
    Auth,
    reply::{Reply, Status},
    session::Offers,
};

/// Longest command, its end not counted (RFC 2449 4). RFC 5034 4: a longer one has to leave the login for its second line.
const COMMAND_BYTES_MAX: usize = 253;

/// How to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mechanism {
    /// Name and password in one command.
    Plain,
    /// Name and password in a command each.
    User,
    /// A digest of the password and of this timestamp.
    Apop(Timestamp),
}

impl Mechanism {
    /// Whether somebody who listens to a session in the clear can read the password.
    pub(crate) fn shows_password(&self) -> bool {
        !matches!(self, Self::Apop(_))
    }
}

/// What a banner offers to be digested, angle brackets included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Timestamp(String);

impl Timestamp {
    /// Finds it in a banner.
    ///
    /// Only what can be a Message-ID is one: somebody in between could draw a password out of digests of chosen bytes (CVE-2007-1558).
    pub(crate) fn find(banner: &str) -> Option<Self> {
        let begun = banner.rmatch_indices('<');
        begun.filter_map(|(from, _)| banner[from + 1..].split_once('>')).find_map(|(inner, _)| Self::of(inner))
    }

    fn of(inner: &str) -> Option<Self> {
        let (left, right) = inner.split_once('@')?;
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@');
        (is_word(left) && is_word(right)).then(|| Self(format!("<{inner}>")))
    }

    /// What proves the password; whoever has both it and the timestamp can try passwords on it.
    pub(crate) fn digest(&self, login: &Login) -> String {
        let digest = Md5::new().chain_update(&self.0).chain_update(login.password.expose()).finalize();
        digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Chooses where no list of the server's is needed for it; `None` where it is.
///
/// Errors: kind `auth` if APOP is wanted of a server that has none.
pub(crate) fn choose_unasked(wanted: Auth, encrypted: bool, timestamp: Option<&Timestamp>) -> Result<Option<Mechanism>, AgentError> {
    match (wanted, timestamp) {
        (Auth::User, _) => Ok(Some(Mechanism::User)),
        (Auth::Apop, Some(timestamp)) => Ok(Some(Mechanism::Apop(timestamp.clone()))),
        (Auth::Apop, None) => Err(AgentError::auth("the server offers no APOP: its banner has no timestamp")),
        (Auth::Auto, Some(timestamp)) if !encrypted => Ok(Some(Mechanism::Apop(timestamp.clone()))),
        (Auth::Auto | Auth::Plain, _) => Ok(None),
    }
}

/// Chooses among what the server offers; `offers` is `None` if it knows no CAPA.
///
/// Errors: kind `auth`. A password is never sent on the chance that it may be taken.
pub(crate) fn choose(wanted: Auth, offers: Option<&Offers>, timestamp: Option<&Timestamp>) -> Result<Mechanism, AgentError> {
    let sasl = offers.and_then(|offers| offers.find("SASL")).unwrap_or_default();
    if sasl.iter().any(|mechanism| mechanism.eq_ignore_ascii_case("PLAIN")) {
        return Ok(Mechanism::Plain);
    }
    if wanted == Auth::Plain {
        return Err(AgentError::auth("the server offers no AUTH PLAIN here (some offer it only under TLS)"));
    }
    // A server that lists nothing is older than CAPA, and has what everybody had then.
    if offers.is_none_or(|offers| offers.find("USER").is_some()) {
        return Ok(Mechanism::User);
    }
    let apop = timestamp.map(|timestamp| Mechanism::Apop(timestamp.clone()));
    apop.ok_or_else(|| AgentError::auth("the server offers neither AUTH PLAIN nor USER nor APOP here (some offer them only under TLS)"))
}

/// The lines of AUTH PLAIN: all in one, or where that is too long, the second after the server's go-ahead.
pub(crate) fn plain(login: &Login) -> (String, Option<String>) {
    let response = BASE64_STANDARD.encode(format!("\0{}\0{}", login.user, login.password.expose()));
    let whole = format!("AUTH PLAIN {response}");
    match whole.len() <= COMMAND_BYTES_MAX {
        true => (whole, None),
        false => ("AUTH PLAIN".into(), Some(response)),
    }
}

/// Judges the answer to a login.
///
/// Errors: kind `auth` for a refusal of name or password, `protocol` for a mailbox in use, an ill server or nonsense.
pub(crate) fn verdict(reply: &Reply, command: &str) -> Result<(), AgentError> {
    match reply.status {
        Status::Ok => Ok(()),
        Status::Err if !reply.blames_the_server() => Err(AgentError::auth(reply.answered(command))),
        Status::Err => Err(reply.unwelcome(command)),
        Status::More => Err(AgentError::protocol(format!("{command}: the server asks for more than there is"))),
    }
}

#[cfg(test)]
mod tests {
    use watchpost_plugin_api::Secret;

    use super::*;

    fn login(user: &str, password: &str) -> Login {
        Login { user: user.into(), password: Secret::new(password) }
    }

    #[test]
    fn a_timestamp_is_what_could_be_a_message_id() {
        let check = |banner: &str, expected: Option<&str>| {
            assert_eq!(Timestamp::find(banner).map(|timestamp| timestamp.to_string()).as_deref(), expected, "{banner}");
        };
        check("POP3 ready <1896.697170952@dbc.mtview.ca.us>", Some("<1896.697170952@dbc.mtview.ca.us>"));
        check("<a@b> ready", Some("<a@b>"));
        check("<Dovecot> ready <a@b>", Some("<a@b>"));
        check("<a@b> ready <Dovecot>", Some("<a@b>"));
        for banner in
            ["ready", "ready <a@b", "ready a@b>", "<a>", "<@b>", "<a@>", "<a@b@c>", "<a @b>", "<a\u{1}@b>", "<é@b>", "<\u{fffd}@b>"]
        {
            check(banner, None);
        }
    }

    #[test]
    fn the_digest_is_that_of_the_standards_example() {
        // RFC 1939 7, APOP.
        let timestamp = Timestamp::find("<1896.697170952@dbc.mtview.ca.us>").unwrap();
        assert_eq!(timestamp.digest(&login("mrose", "tanstaaf")), "c4c9334bac560ecc979e58001b3e22fb");
    }

    fn check(wanted: Auth, encrypted: bool, offers: Option<&[&str]>, banner: &str, expected: Result<&str, &str>) {
        let timestamp = Timestamp::find(banner);
        let offers = offers.map(|lines| lines.iter().copied().collect::<Offers>());
        let chosen = choose_unasked(wanted, encrypted, timestamp.as_ref())
            .and_then(|chosen| chosen.map_or_else(|| choose(wanted, offers.as_ref(), timestamp.as_ref()), Ok));
        let found = chosen.map(|mechanism| match mechanism {
            Mechanism::Plain => "plain",
            Mechanism::User => "user",
            Mechanism::Apop(_) => "apop",
        });
        assert_eq!(found, expected.map_err(AgentError::auth), "{wanted:?}, encrypted: {encrypted}, {offers:?}, {banner:?}");
    }

    #[test]
    fn in_the_clear_a_digest_is_preferred_and_under_tls_one_command() {
        let all: &[&str] = &["USER", "SASL LOGIN plain"];
        check(Auth::Auto, false, Some(all), "<a@b>", Ok("apop"));
        check(Auth::Auto, true, Some(all), "<a@b>", Ok("plain"));
        check(Auth::Auto, false, Some(all), "", Ok("plain"));
        check(Auth::Auto, true, Some(&["USER", "SASL CRAM-MD5"]), "<a@b>", Ok("user"));
        check(Auth::Auto, true, Some(&["TOP"]), "<a@b>", Ok("apop"));
        check(Auth::Auto, true, None, "<a@b>", Ok("user"));
        check(Auth::Auto, false, None, "", Ok("user"));
    }

    #[test]
    fn what_is_asked_for_is_done_or_refused_and_nothing_else_tried() {
        let none = "the server offers neither AUTH PLAIN nor USER nor APOP here (some offer them only under TLS)";
        let no_plain = "the server offers no AUTH PLAIN here (some offer it only under TLS)";
        check(Auth::Auto, false, Some(&["STLS", "SASL"]), "", Err(none));
        check(Auth::Plain, false, Some(&["USER"]), "<a@b>", Err(no_plain));
        check(Auth::Plain, true, None, "", Err(no_plain));
        check(Auth::User, true, Some(&["SASL PLAIN"]), "<a@b>", Ok("user"));
        check(Auth::Apop, true, None, "<a@b>", Ok("apop"));
        check(Auth::Apop, false, None, "", Err("the server offers no APOP: its banner has no timestamp"));
    }

    #[test]
    fn a_login_too_long_for_one_command_is_said_in_two() {
        assert_eq!(plain(&login("u", "p")), ("AUTH PLAIN AHUAcA==".into(), None));
        for length in 150..200 {
            let (command, rest) = plain(&login("u", &"p".repeat(length)));
            assert!(command.len() <= COMMAND_BYTES_MAX);
            assert_eq!(rest.is_some(), "AUTH PLAIN ".len() + (length + 3).div_ceil(3) * 4 > COMMAND_BYTES_MAX, "{length}");
        }
    }
}
