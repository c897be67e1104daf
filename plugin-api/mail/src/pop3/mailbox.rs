//! What a mailbox holds, as STAT and LIST tell (RFC 1939 5).

use watchpost_plugin_api::{AgentError, quoted};

/// Messages and bytes of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// How many there are.
    pub messages: u64,
    /// Their volume.
    pub bytes: u64,
}

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number in this session.
    pub number: u64,
    /// Its size.
    pub bytes: u64,
}

impl Size {
    /// Reads the answer to STAT.
    pub(crate) fn parse(text: &str) -> Result<Self, AgentError> {
        let (messages, bytes) = numbers(text).ok_or_else(|| nonsense("count and size", text))?;
        Ok(Self { messages, bytes })
    }
}

/// The listing of a mailbox, line by line; only the newest message is remembered.
#[derive(Debug)]
pub(crate) struct Listing {
    /// What STAT said there are.
    expected: u64,
    seen: u64,
    newest: Option<Message>,
}

impl Listing {
    /// Begins the listing of a mailbox of that many messages.
    pub(crate) fn of(expected: u64) -> Self {
        Self { expected, seen: 0, newest: None }
    }

    /// Takes a line. The count of STAT bounds a listing.
    pub(crate) fn take(&mut self, line: &str) -> Result<(), AgentError> {
        let (number, bytes) = numbers(line).ok_or_else(|| nonsense("number and size", line))?;
        self.seen += 1;
        if self.seen > self.expected {
            return Err(self.differs("more"));
        }
        // RFC 1939 4: messages are numbered from 1 in the mailbox's order, in which new mail comes last.
        if self.newest.is_none_or(|newest| newest.number < number) {
            self.newest = Some(Message { number, bytes });
        }
        Ok(())
    }

    /// Gives the newest message of a listing that is complete; `None` if the mailbox is empty.
    pub(crate) fn end(self) -> Result<Option<Message>, AgentError> {
        match self.seen == self.expected {
            true => Ok(self.newest),
            false => Err(self.differs("fewer")),
        }
    }

    /// A session sees one state of the mailbox, so both commands have to agree.
    fn differs(&self, how: &str) -> AgentError {
        AgentError::protocol(format!("{how} messages than the {} that STAT counted", self.expected))
    }
}

/// Two numbers; what follows them is the server's own affair.
fn numbers(text: &str) -> Option<(u64, u64)> {
    let mut words = text.split_ascii_whitespace();
    Some((number(words.next()?)?, number(words.next()?)?))
}

/// A number of the protocol's: digits.
pub(crate) fn number(word: &str) -> Option<u64> {
    word.bytes().all(|digit| digit.is_ascii_digit()).then(|| word.parse().ok())?
}

fn nonsense(wanted: &str, text: &str) -> AgentError {
    AgentError::protocol(format!("no {wanted}: \"{}\"", quoted(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(expected: u64, lines: &[&str]) -> Result<Option<Message>, String> {
        let mut listing = Listing::of(expected);
        let listed = lines.iter().try_for_each(|line| listing.take(line)).and_then(|()| listing.end());
        listed.map_err(|error| error.message().to_owned())
    }

    fn check(expected: u64, lines: &[&str], newest: Result<Option<(u64, u64)>, &str>) {
        let newest = newest.map(|newest| newest.map(|(number, bytes)| Message { number, bytes })).map_err(str::to_owned);
        assert_eq!(list(expected, lines), newest, "{lines:?}");
    }

    #[test]
    fn the_newest_message_is_the_one_of_the_highest_number() {
        check(0, &[], Ok(None));
        check(1, &["1 120"], Ok(Some((1, 120))));
        check(3, &["1 120", "2 200 extra", "3 90"], Ok(Some((3, 90))));
        check(2, &["2 200", "1 120"], Ok(Some((2, 200))));
    }

    #[test]
    fn a_listing_that_disagrees_with_stat_is_refused() {
        check(2, &["1 120"], Err("fewer messages than the 2 that STAT counted"));
        check(1, &["1 120", "2 200"], Err("more messages than the 1 that STAT counted"));
        check(0, &["1 120"], Err("more messages than the 0 that STAT counted"));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for line in ["", "1", "one 120", "1 -120", "+1 120", "1 99999999999999999999999"] {
            check(1, &[line], Err(&format!("no number and size: \"{line}\"")));
            assert_eq!(Size::parse(line).unwrap_err().message(), format!("no count and size: \"{line}\""));
        }
        assert_eq!(Size::parse("2 320 (0 recent)"), Ok(Size { messages: 2, bytes: 320 }));
    }
}
