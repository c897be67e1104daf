//! A question, and the message that asks it.

use std::fmt;

use domain::base::{Message, MessageBuilder, Name, Rtype, message_builder::PushError};
use watchpost_plugin_api::{AgentError, ErrorKind};

/// What we say we take in one datagram. Larger ones are cut in pieces on common paths, and pieces are lost (DNS flag day 2020).
const PAYLOAD_BYTES_MAX: u16 = 1232;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name, a whole one.
    pub name: Name<Vec<u8>>,
    /// The type of the records.
    pub rtype: Rtype,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name.fmt_with_dot(), self.rtype)
    }
}

impl Question {
    /// Puts the question before what the server got wrong; other failures explain themselves.
    pub fn during(&self, error: AgentError) -> AgentError {
        match error.kind() {
            ErrorKind::PROTOCOL => error.context(self),
            _ => error,
        }
    }
}

/// A question under way, under an id of its own that nobody can guess.
pub struct Query<'a> {
    pub(crate) question: &'a Question,
    pub(crate) message: Message<Vec<u8>>,
}

impl<'a> Query<'a> {
    /// Makes the message that asks it.
    ///
    /// Errors: kind `local` if it cannot be written.
    pub fn new(question: &'a Question) -> Result<Self, AgentError> {
        let built = build(question).map_err(|error| AgentError::local(format!("cannot write the question: {error}")))?;
        Ok(Self { question, message: built })
    }

    /// The message as it goes into a datagram.
    pub fn bytes(&self) -> &[u8] {
        self.message.as_slice()
    }

    /// The message as it goes over a connection: its length first (RFC 1035 4.2.2).
    pub fn framed(&self) -> Vec<u8> {
        // A question has at most 12 + 255 + 4 bytes, and 11 of EDNS.
        let length = self.bytes().len() as u16;
        [&length.to_be_bytes(), self.bytes()].concat()
    }
}

impl fmt::Display for Query<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}? (id {})", self.question, self.message.header().id())
    }
}

fn build(question: &Question) -> Result<Message<Vec<u8>>, PushError> {
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_random_id();
    builder.header_mut().set_rd(true);
    let mut questions = builder.question();
    questions.push((&question.name, question.rtype))?;
    let mut additional = questions.additional();
    additional.opt(|opt| {
        opt.set_udp_payload_size(PAYLOAD_BYTES_MAX);
        Ok(())
    })?;
    Ok(additional.into_message())
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, str::FromStr};

    use super::*;

    fn question() -> Question {
        Question { name: Name::from_str("lab.test").unwrap(), rtype: Rtype::MX }
    }

    #[test]
    fn a_query_is_what_the_standards_say_byte_by_byte() {
        let question = question();
        let query = Query::new(&question).unwrap();
        let expected = [
            b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01".as_slice(), // recursion desired; one question, one additional record
            b"\x03lab\x04test\x00\x00\x0f\x00\x01",                 // MX, IN
            b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00",        // OPT of the root, 1232 bytes, no flags
        ]
        .concat();
        assert_eq!(&query.bytes()[2..], expected);
        assert_eq!(query.framed(), [b"\x00\x25".as_slice(), query.bytes()].concat());
    }

    #[test]
    fn ids_differ_from_query_to_query() {
        let question = question();
        let ids: HashSet<u16> = (0..100).map(|_| Query::new(&question).unwrap().message.header().id()).collect();
        assert!(ids.len() > 90, "{}", ids.len());
    }
}
