//! A server's reply: a status and one line of text (RFC 1939 3), at whose beginning a code may stand (RFC 2449 8).

use watchpost_plugin_api::{AgentError, quoted};

/// Codes that say why a login cannot be now, whoever asks for it: the mailbox is in use or was just used (RFC 2449 8.1.1, 8.1.2),
/// or the server is ill (RFC 3206 4). Beside these stands AUTH, which speaks of name and password.
const CODES_OF_THE_SERVER: [&str; 4] = ["IN-USE", "LOGIN-DELAY", "SYS/TEMP", "SYS/PERM"];

/// How a reply begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// `+OK`: done, or a body follows.
    Ok,
    /// `-ERR`: refused.
    Err,
    /// `+`: more is asked for (RFC 5034 4), in logins only.
    More,
}

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: Status,
    /// What follows the status.
    pub(crate) text: String,
}

impl Reply {
    /// Takes a line apart; `None` if it is no reply. RFC 1939 3: a status is written in capitals.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (status, text) = [("+OK", Status::Ok), ("-ERR", Status::Err), ("+", Status::More)]
            .into_iter()
            .find_map(|(word, status)| Some((status, line.strip_prefix(word)?)))?;
        let ends = text.chars().next().is_none_or(|next| next == ' ' || next == '\t');
        ends.then(|| Self { status, text: text.trim().to_owned() })
    }

    /// Fails unless it is `+OK`; `to` names what it answers.
    pub(crate) fn positive(self, to: &str) -> Result<Self, AgentError> {
        match self.status {
            Status::Ok => Ok(self),
            Status::Err | Status::More => Err(self.unwelcome(to)),
        }
    }

    /// The error for a reply that ends the session.
    pub(crate) fn unwelcome(&self, to: &str) -> AgentError {
        AgentError::protocol(self.answered(to))
    }

    /// Status and text as a message shows them, after what they answer.
    pub(crate) fn answered(&self, to: &str) -> String {
        let status = match self.status {
            Status::Ok => "+OK",
            Status::Err => "-ERR",
            Status::More => "+",
        };
        format!("{to}: the server answered {status} {}", quoted(&self.text)).trim_end().to_owned()
    }

    /// Says whether a refused login speaks of the server or the mailbox, not of name and password.
    pub(crate) fn blames_the_server(&self) -> bool {
        self.code().is_some_and(|code| CODES_OF_THE_SERVER.iter().any(|known| code.eq_ignore_ascii_case(known)))
    }

    /// The response code, without its brackets.
    fn code(&self) -> Option<&str> {
        self.text.strip_prefix('[')?.split_once(']').map(|(code, _)| code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<(Status, &str)>) {
        let expected = expected.map(|(status, text)| Reply { status, text: text.into() });
        assert_eq!(Reply::parse(line), expected, "{line:?}");
    }

    #[test]
    fn a_reply_is_a_status_and_text() {
        check("+OK", Some((Status::Ok, "")));
        check("+OK 2 320", Some((Status::Ok, "2 320")));
        check("+OK\tready ", Some((Status::Ok, "ready")));
        check("-ERR [AUTH] no", Some((Status::Err, "[AUTH] no")));
        check("+", Some((Status::More, "")));
        check("+ VXNlcg==", Some((Status::More, "VXNlcg==")));
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for line in ["", "+ok", "-err no", "+OKAY", "-ERROR", "++", "OK", " +OK", "220 mx ready", "* OK IMAP4 ready", "é"] {
            check(line, None);
        }
    }

    #[test]
    fn codes_tell_an_ill_server_from_a_wrong_password() {
        let check = |text: &str, expected| {
            let reply = Reply { status: Status::Err, text: text.into() };
            assert_eq!(reply.blames_the_server(), expected, "{text}");
        };
        check("[IN-USE] locked", true);
        check("[in-use] locked", true);
        check("[SYS/TEMP] later", true);
        check("[SYS/PERM] call somebody", true);
        check("[LOGIN-DELAY] not again", true);
        check("[AUTH] wrong", false);
        check("wrong", false);
        check("mailbox [IN-USE]", false);
        check("[IN-USE", false);
        check("[UNHEARD] of", false);
    }
}
