//! A server's response, taken apart as far as a session needs it (RFC 9051 2.2.2, 7).
//!
//! By hand, because what matters here is done before a parser could begin: where a response ends, how large it may be, and that a
//! message's text is counted as it passes and kept nowhere. Of some fifty forms a session reads five; the others are passed over.

use watchpost_plugin_api::{AgentError, quoted};

/// Codes that say why a login cannot be now, whoever asks for it (RFC 5530 3): a part of the server is away, the mailbox is in use,
/// there are too many sessions, or one of us both is at fault. Others speak of name and password, or say nothing.
const CODES_OF_THE_SERVER: [&str; 5] = ["UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG", "CLIENTBUG"];

/// One response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Response {
    /// `+`: the server waits for more of the command.
    More(String),
    /// The end of the command with that tag.
    Tagged(String, Status),
    /// What a server says of itself, unasked or on the way.
    Untagged(Status),
    /// Data. Of a literal only the announcement stands here.
    Data(String),
}

/// How a command ended, or how the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Ok,
    No,
    Bad,
    Bye,
    Preauth,
}

/// A condition and its text, at whose beginning a code may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) condition: Condition,
    pub(crate) text: String,
}

impl Response {
    /// Takes a line apart; `None` if it is no response.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        if let Some(text) = line.strip_prefix('+') {
            return (text.is_empty() || text.starts_with(' ')).then(|| Self::More(text.trim().to_owned()));
        }
        let (tag, rest) = line.split_once(' ')?;
        let status = Status::parse(rest);
        match tag {
            "*" if rest.starts_with(|c: char| c.is_ascii_alphanumeric()) => {
                Some(status.map_or_else(|| Self::Data(rest.to_owned()), Self::Untagged))
            }
            "*" => None,
            _ => {
                let answers = |status: &Status| matches!(status.condition, Condition::Ok | Condition::No | Condition::Bad);
                let is_tag = !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_graphic());
                status.filter(|status| is_tag && answers(status)).map(|status| Self::Tagged(tag.to_owned(), status))
            }
        }
    }
}

impl Condition {
    /// The word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::No => "NO",
            Self::Bad => "BAD",
            Self::Bye => "BYE",
            Self::Preauth => "PREAUTH",
        }
    }
}

impl Status {
    fn parse(text: &str) -> Option<Self> {
        let (word, text) = text.split_once(' ').unwrap_or((text, ""));
        let all = [Condition::Ok, Condition::No, Condition::Bad, Condition::Bye, Condition::Preauth];
        let condition = all.into_iter().find(|condition| condition.name().eq_ignore_ascii_case(word))?;
        Some(Self { condition, text: text.trim().to_owned() })
    }

    /// The response code with its arguments, without its brackets.
    pub(crate) fn code(&self) -> Option<&str> {
        self.text.strip_prefix('[')?.split_once(']').map(|(code, _)| code)
    }

    /// Fails unless it is OK; `to` names what it answers.
    pub(crate) fn positive(&self, to: &str) -> Result<(), AgentError> {
        match self.condition {
            Condition::Ok => Ok(()),
            _ => Err(self.unwelcome(to)),
        }
    }

    /// The error for a status that ends the session.
    pub(crate) fn unwelcome(&self, to: &str) -> AgentError {
        AgentError::protocol(self.answered(to))
    }

    /// Condition and text as a message shows them, after what they answer.
    pub(crate) fn answered(&self, to: &str) -> String {
        format!("{to}: the server answered {} {}", self.condition.name(), quoted(&self.text)).trim_end().to_owned()
    }

    /// Says whether a refused login speaks of the server or the mailbox, not of name and password.
    pub(crate) fn blames_the_server(&self) -> bool {
        let word = self.code().and_then(|code| code.split(' ').next());
        self.condition == Condition::Bad
            || word.is_some_and(|word| CODES_OF_THE_SERVER.iter().any(|known| word.eq_ignore_ascii_case(known)))
    }
}

/// The bytes of a literal that a line announces at its end, `{n}` or `{n+}` (RFC 9051 4.3); what no number holds is taken as endless.
pub(crate) fn literal(line: &str) -> Option<u64> {
    let (_, number) = line.strip_suffix('}')?.rsplit_once('{')?;
    let number = number.strip_suffix('+').unwrap_or(number);
    let is_number = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| number.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::super::{fetch::Fetched, mailbox::Mailbox, search};
    use super::*;

    /// What responses are made of.
    const PIECES: [&str; 40] = [
        "* ",
        "w5 ",
        "+ ",
        " ",
        "OK ",
        "NO ",
        "BYE",
        "[",
        "]",
        "(",
        ")",
        "2",
        "7 ",
        "4294967295",
        "4294967296",
        "FETCH ",
        "BODY[]",
        "BODY[",
        "<0>",
        "{3}",
        "{3+}",
        "{",
        "}",
        "~",
        "\"",
        "\\",
        "NIL",
        "UID ",
        "SEARCH ",
        "ESEARCH ",
        "(TAG \"w5\")",
        "COUNT ",
        "ALL ",
        ":",
        ",",
        "EXISTS",
        "EXPUNGE",
        "CAPABILITY ",
        "é",
        "\u{0}",
    ];

    fn status(condition: Condition, text: &str) -> Status {
        Status { condition, text: text.into() }
    }

    fn check(line: &str, expected: Option<Response>) {
        assert_eq!(Response::parse(line), expected, "{line:?}");
    }

    #[test]
    fn a_response_is_a_go_ahead_an_end_a_state_or_data() {
        check("+ ", Some(Response::More("".into())));
        check("+", Some(Response::More("".into())));
        check("+ VXNlcg==", Some(Response::More("VXNlcg==".into())));
        check("w1 OK done", Some(Response::Tagged("w1".into(), status(Condition::Ok, "done"))));
        check("w1 no [AUTHENTICATIONFAILED] no", Some(Response::Tagged("w1".into(), status(Condition::No, "[AUTHENTICATIONFAILED] no"))));
        check("w1 BAD", Some(Response::Tagged("w1".into(), status(Condition::Bad, ""))));
        check("* OK hello {5}", Some(Response::Untagged(status(Condition::Ok, "hello {5}"))));
        check("* PREAUTH hello", Some(Response::Untagged(status(Condition::Preauth, "hello"))));
        check("* BYE", Some(Response::Untagged(status(Condition::Bye, ""))));
        check("* 3 EXISTS", Some(Response::Data("3 EXISTS".into())));
        check("* OKAY", Some(Response::Data("OKAY".into())));
        check("* XUNHEARD of (\"it\")", Some(Response::Data("XUNHEARD of (\"it\")".into())));
    }

    #[test]
    fn what_is_no_response_is_refused() {
        for line in [
            "",
            "*",
            "* ",
            "*  OK",
            "* (3)",
            "w1",
            "w1 ",
            "w1 MAYBE",
            "w1 BYE",
            "w1 PREAUTH x",
            "+OK ready",
            " OK x",
            "\u{1} OK x",
            "é OK",
            "220 mx",
        ] {
            check(line, None);
        }
    }

    #[test]
    fn codes_tell_an_ill_server_from_a_wrong_password() {
        let check = |condition, text: &str, expected| assert_eq!(status(condition, text).blames_the_server(), expected, "{text}");
        check(Condition::No, "[UNAVAILABLE] later", true);
        check(Condition::No, "[limit] too many sessions", true);
        check(Condition::No, "[SERVERBUG x] oh", true);
        check(Condition::No, "[AUTHENTICATIONFAILED] wrong", false);
        check(Condition::No, "[PRIVACYREQUIRED] TLS first", false);
        check(Condition::No, "wrong [LIMIT]", false);
        check(Condition::No, "[LIMIT", false);
        check(Condition::Bad, "wrong", true);
    }

    #[test]
    fn a_literal_is_announced_at_the_end_of_a_line() {
        let check = |line: &str, expected| assert_eq!(literal(line), expected, "{line}");
        check("1 FETCH (BODY[] {310}", Some(310));
        check("1 FETCH (BODY[] {0}", Some(0));
        check("1 FETCH (BINARY[] ~{310}", Some(310));
        check("1 FETCH (BODY[] {310+}", Some(310));
        check("1 FETCH (BODY[] {99999999999999999999999}", Some(u64::MAX));
        for line in ["1 EXISTS", "{5} ", "{}", "{+}", "{-5}", "{5x}", "5}", "{5"] {
            check(line, None);
        }
    }

    /// Reads it in every way there is.
    fn read(text: &str) {
        let _ = (Response::parse(text).map(|response| format!("{response:?}")), literal(text), Fetched::parse(text));
        let _ = (search::count(text, "w5", true), Mailbox::default().take(text));
        if let Some(Response::Tagged(_, status) | Response::Untagged(status)) = Response::parse(text) {
            let _ = (status.code(), status.blames_the_server(), status.answered("it"));
        }
    }

    proptest! {
        #[test]
        fn no_response_whatsoever_is_more_than_an_error(
            text in ".{0,60}",
            pieces in proptest::collection::vec(select(&PIECES[..]), 0..30),
        ) {
            read(&text);
            let made = pieces.concat();
            for begun in ["", "* ", "2 FETCH (", "2 FETCH (BODY[] ", "ESEARCH (TAG \"w5\") "] {
                read(&format!("{begun}{made}"));
                read(&format!("{begun}{made})"));
            }
        }
    }
}
