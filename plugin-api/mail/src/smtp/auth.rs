//! Logins: PLAIN (RFC 4616), else LOGIN, by what the server offers.

use base64::{Engine, prelude::BASE64_STANDARD};
use watchpost_plugin_api::{AgentError, Login, quoted};

use super::reply::Reply;

/// How to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mechanism {
    /// Name and password in the command itself.
    Plain,
    /// Name and password as answers to two questions; never standardised, and some servers offer nothing else.
    Login,
}

impl Mechanism {
    /// The command as messages name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "AUTH PLAIN",
            Self::Login => "AUTH LOGIN",
        }
    }

    /// The whole command line.
    pub(crate) fn command(self, login: &Login) -> String {
        match self {
            Self::Plain => format!("AUTH PLAIN {}", encoded(&format!("\0{}\0{}", login.user, login.password.expose()))),
            Self::Login => "AUTH LOGIN".into(),
        }
    }

    /// What to say to each 334, in order.
    pub(crate) fn answers(self, login: &Login) -> Vec<String> {
        match self {
            Self::Plain => Vec::new(),
            Self::Login => vec![encoded(&login.user), encoded(login.password.expose())],
        }
    }
}

/// Chooses among what the server offers; `None` if it offers no login at all.
///
/// Errors: kind `auth`, naming what it offers. A password is never sent on the chance that it may be taken.
pub(crate) fn choose(offered: Option<Vec<&str>>) -> Result<Mechanism, AgentError> {
    let Some(offered) = offered else {
        return Err(AgentError::auth("the server offers no AUTH here (some offer it only under TLS)"));
    };
    let offers = |name: &str| offered.iter().any(|mechanism| mechanism.eq_ignore_ascii_case(name));
    match (offers("PLAIN"), offers("LOGIN")) {
        (true, _) => Ok(Mechanism::Plain),
        (false, true) => Ok(Mechanism::Login),
        (false, false) => {
            let listed = quoted(&offered.join(" "));
            Err(AgentError::auth(format!("the server offers no AUTH mechanism that we know, PLAIN or LOGIN (offers {listed})")))
        }
    }
}

/// Judges the answer to a login.
///
/// Errors: kind `auth` for a refusal, `protocol` for a server that is about to close (421) or answers nonsense.
pub(crate) fn verdict(reply: &Reply, mechanism: Mechanism) -> Result<(), AgentError> {
    match reply.code {
        235 => Ok(()),
        421 => Err(reply.unwelcome(mechanism.name())),
        400..600 => Err(AgentError::auth(format!("{}: the server answered {}", mechanism.name(), reply.quoted()))),
        _ => Err(reply.unwelcome(mechanism.name())),
    }
}

fn encoded(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(offered: Option<&[&str]>, expected: Result<Mechanism, &str>) {
        let found = choose(offered.map(<[&str]>::to_vec)).map_err(|error| error.message().to_owned());
        assert_eq!(found, expected.map_err(str::to_owned));
    }

    #[test]
    fn plain_is_chosen_before_login_and_nothing_is_tried_that_is_not_offered() {
        check(Some(&["LOGIN", "PLAIN"]), Ok(Mechanism::Plain));
        check(Some(&["login"]), Ok(Mechanism::Login));
        let unknown = "the server offers no AUTH mechanism that we know, PLAIN or LOGIN (offers CRAM-MD5 GSSAPI)";
        check(Some(&["CRAM-MD5", "GSSAPI"]), Err(unknown));
        check(None, Err("the server offers no AUTH here (some offer it only under TLS)"));
    }
}
