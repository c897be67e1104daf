//! A mailbox's name as it is said, and what it holds as SELECT and EXAMINE tell.

use base64::{
    Engine,
    alphabet::IMAP_MUTF7,
    engine::{GeneralPurpose, general_purpose::NO_PAD},
};
use watchpost_plugin_api::{AgentError, quoted};

const UTF7: GeneralPurpose = GeneralPurpose::new(&IMAP_MUTF7, NO_PAD);

/// A text as a quoted string (RFC 9051 9); `None` if it cannot be one, which is seven bits and one line.
pub(crate) fn quoted_string(text: &str) -> Option<String> {
    let fits = text.bytes().all(|byte| byte.is_ascii() && !matches!(byte, b'\0' | b'\r' | b'\n'));
    fits.then(|| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// A mailbox's name in modified UTF-7 (RFC 3501 5.1.3), which every server knows.
pub(crate) fn utf7(name: &str) -> String {
    let mut said = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let length = rest.find(|c| is_plain(c) != is_plain(first)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(length);
        match is_plain(first) {
            true => said.push_str(&run.replace('&', "&-")),
            false => {
                let units: Vec<u8> = run.encode_utf16().flat_map(u16::to_be_bytes).collect();
                said.push_str(&format!("&{}-", UTF7.encode(units)));
            }
        }
        rest = after;
    }
    said
}

fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~')
}

/// How many messages an open mailbox holds, kept up to date from whatever the server says of it.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    messages: Option<u32>,
    uid_validity: Option<u32>,
    uid_next: Option<u32>,
}

impl Mailbox {
    /// Takes data of any sort.
    ///
    /// Errors: kind `protocol` for a count that is none, or that does not agree with what was said before.
    pub(crate) fn take(&mut self, data: &str) -> Result<(), AgentError> {
        let Some((number, word)) = data.split_once(' ') else { return Ok(()) };
        let nonsense = || AgentError::protocol(format!("no count of messages: \"{}\"", quoted(data)));
        match word {
            _ if word.eq_ignore_ascii_case("EXISTS") => self.messages = Some(number_of(number).ok_or_else(nonsense)?),
            // RFC 9051 7.5.1: one message less, and the numbers of those after it too.
            _ if word.eq_ignore_ascii_case("EXPUNGE") => {
                let held = self.messages.unwrap_or_default();
                let gone = number_of(number).filter(|gone| (1..=held).contains(gone));
                self.messages = Some(held - gone.map(|_| 1).ok_or_else(nonsense)?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes a response code; of those that speak of a mailbox two matter here.
    pub(crate) fn hear(&mut self, code: &str) {
        match code.split_once(' ') {
            Some((word, number)) if word.eq_ignore_ascii_case("UIDVALIDITY") => self.uid_validity = number_of(number),
            Some((word, number)) if word.eq_ignore_ascii_case("UIDNEXT") => self.uid_next = number_of(number),
            _ => {}
        }
    }

    /// Below which all UIDs are that were given when it was opened; `None` if the server has not said it.
    pub(crate) fn uid_next(&self) -> Option<u32> {
        self.uid_next
    }

    /// What UIDs belong to (RFC 9051 2.3.1.1): with another number the same UID is another message. `None` if the server has not said it.
    pub(crate) fn uid_validity(&self) -> Option<u32> {
        self.uid_validity
    }

    /// The messages it holds, and so the number of the newest one; `None` as long as the server has not said it.
    pub(crate) fn messages(&self) -> Option<u32> {
        self.messages
    }
}

/// A number of the protocol's (RFC 9051 9): digits, 32 bits.
pub(crate) fn number_of(word: &str) -> Option<u32> {
    (!word.is_empty() && word.bytes().all(|digit| digit.is_ascii_digit())).then(|| word.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fetch::Fetched;
    use super::*;

    #[test]
    fn a_name_beyond_ascii_is_said_in_modified_utf_7() {
        let check = |name: &str, expected: &str| assert_eq!(utf7(name), expected, "{name}");
        check("INBOX", "INBOX");
        check("Sent Items/2026", "Sent Items/2026");
        check("Ben & Jerry", "Ben &- Jerry");
        check("Entwürfe", "Entw&APw-rfe");
        // RFC 3501 5.1.3.
        check("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        check("&ä&", "&-&AOQ-&-");
        check("📫", "&2D3c6w-");
        check("", "");
    }

    #[test]
    fn a_quoted_string_is_one_line_of_seven_bits() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(quoted_string(text).as_deref(), expected, "{text:?}");
        check("INBOX", Some("\"INBOX\""));
        check("a\"b\\c", Some("\"a\\\"b\\\\c\""));
        check("", Some("\"\""));
        for text in ["ä", "a\r\nb", "a\0b"] {
            check(text, None);
        }
    }

    fn taken(data: &[&str]) -> Result<Option<u32>, String> {
        let mut mailbox = Mailbox::default();
        data.iter().try_for_each(|data| mailbox.take(data)).map_err(|error| error.message().to_owned())?;
        Ok(mailbox.messages())
    }

    fn check(data: &[&str], expected: Result<Option<u32>, &str>) {
        assert_eq!(taken(data), expected.map_err(str::to_owned), "{data:?}");
    }

    #[test]
    fn the_newest_message_has_the_number_of_all_that_are_left() {
        check(&["FLAGS (\\Seen)", "3 RECENT", "OK", "LIST () \"/\" x"], Ok(None));
        check(&["3 EXISTS"], Ok(Some(3)));
        check(&["3 EXISTS", "4 exists"], Ok(Some(4)));
        check(&["3 EXISTS", "1 EXPUNGE", "2 EXPUNGE"], Ok(Some(1)));
        check(&["0 EXISTS"], Ok(Some(0)));
    }

    #[test]
    fn a_count_that_is_none_is_refused() {
        for data in [
            &["-1 EXISTS"][..],
            &["4294967296 EXISTS"],
            &["x EXISTS"],
            &["+1 EXISTS"],
            &["1 EXPUNGE"],
            &["0 EXISTS", "1 EXPUNGE"],
            &["3 EXISTS", "0 EXPUNGE"],
        ] {
            check(data, Err(&format!("no count of messages: \"{}\"", data.last().unwrap())));
        }
    }

    /// Reads modified UTF-7 back, as its standard says.
    fn back(said: &str) -> String {
        let mut pieces = said.split('&');
        let mut name = pieces.next().unwrap().to_owned();
        for piece in pieces {
            let (shifted, plain) = piece.split_once('-').unwrap();
            let bytes = UTF7.decode(shifted).unwrap();
            let units: Vec<u16> = bytes.chunks(2).map(|unit| u16::from_be_bytes([unit[0], unit[1]])).collect();
            name += if shifted.is_empty() { "&" } else { "" };
            name += &String::from_utf16(&units).unwrap();
            name += plain;
        }
        name
    }

    proptest! {
        #[test]
        fn every_name_is_seven_bits_and_the_same_again(name in "[a&\"ä台📫 -]{0,20}|.{0,20}") {
            let said = utf7(&name);
            prop_assert!(said.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert_eq!(back(&said), name);
            prop_assert!(quoted_string(&said).is_some());
        }

        #[test]
        fn a_quoted_string_has_the_size_of_its_text(text in "[a\"\\\\ )(]{0,20}") {
            let fetched = Fetched::parse(&format!("2 FETCH (BODY[] {})", quoted_string(&text).unwrap()));
            prop_assert_eq!(fetched.and_then(|fetched| fetched.body_bytes), Some(text.len() as u64));
        }
    }
}
