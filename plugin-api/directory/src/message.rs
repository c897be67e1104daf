//! What crosses: requests as they are sent and told, answers as they are read (RFC 4511 4).

use std::fmt;

use watchpost_plugin_api::quoted;

use crate::{
    ber::{self, BOOLEAN, ENUMERATED, Elements, FALSE, Fault, INTEGER, OCTET_STRING, SEQUENCE, SET},
    outcome::{Outcome, places, text},
    search::Search,
};

/// The version of the protocol (RFC 4511 4.2).
const VERSION: u32 = 3;
/// The extended operation that begins TLS (RFC 4511 4.14).
const START_TLS: &str = "1.3.6.1.4.1.1466.20037";
/// What a server sends unasked before it closes (RFC 4511 4.4.1).
const DISCONNECTION: &str = "1.3.6.1.4.1.1466.20036";
/// The id of what nobody asked for (RFC 4511 4.4).
pub const UNSOLICITED: u32 = 0;
/// The tag of an extended answer's name.
const RESPONSE_NAME: u8 = 0x8a;
/// Attributes of an entry whose names are shown.
const NAMES_SHOWN_MAX: usize = 20;

/// What is asked.
#[derive(Clone, Copy)]
pub enum Request<'a> {
    /// To go on under TLS.
    StartTls,
    /// To be nobody.
    Anonymous,
    /// To be somebody, by a password.
    Simple(&'a str, &'a str),
    /// To be who the socket says we are (RFC 4422, appendix A).
    External,
    /// To find entries, within so many seconds.
    Search(&'a Search, u32),
    /// To end.
    Unbind,
}

impl Request<'_> {
    /// The message that asks it, under an id.
    pub fn bytes(&self, id: u32) -> Vec<u8> {
        ber::list(SEQUENCE, &[ber::number(INTEGER, id), self.operation()])
    }

    fn operation(&self) -> Vec<u8> {
        let bind = |name: &str, proof| ber::list(0x60, &[ber::number(INTEGER, VERSION), ber::element(OCTET_STRING, name), proof]);
        match *self {
            Self::StartTls => ber::list(0x77, &[ber::element(0x80, START_TLS)]),
            Self::Anonymous => bind("", ber::element(0x80, "")),
            Self::Simple(name, password) => bind(name, ber::element(0x80, password)),
            // No credentials would be a question what the server wants; empty ones say: whom the socket says.
            Self::External => bind("", ber::list(0xa3, &[ber::element(OCTET_STRING, "EXTERNAL"), ber::element(OCTET_STRING, "")])),
            Self::Search(search, seconds) => {
                let attributes: Vec<_> = search.attributes.iter().map(|name| ber::element(OCTET_STRING, name)).collect();
                let parts = [
                    ber::element(OCTET_STRING, &search.base),
                    ber::number(ENUMERATED, search.scope as u32),
                    ber::number(ENUMERATED, 0), // aliases are entries like others
                    ber::number(INTEGER, search.entries_max),
                    ber::number(INTEGER, seconds),
                    ber::element(BOOLEAN, [FALSE]), // values, too
                    search.filter.clone(),
                    ber::list(SEQUENCE, &attributes),
                ];
                ber::list(0x63, &parts)
            }
            Self::Unbind => ber::element(0x42, []),
        }
    }
}

impl fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::StartTls => write!(f, "extendedRequest StartTLS"),
            Self::Anonymous => write!(f, "bindRequest anonymous"),
            Self::Simple(name, _) => write!(f, "bindRequest {name} simple <secret>"),
            Self::External => write!(f, "bindRequest SASL EXTERNAL"),
            Self::Search(search, seconds) => write!(f, "searchRequest {search}, at most {seconds} s"),
            Self::Unbind => write!(f, "unbindRequest"),
        }
    }
}

/// What an answer is.
#[derive(Debug)]
pub enum Answer<'a> {
    /// The end of a bind.
    Bound(Outcome),
    /// The end of an extended operation, or something nobody asked for; with its name, if it has one.
    Extended(Outcome, Option<String>),
    /// Something that was found.
    Entry(Entry<'a>),
    /// Places where more may be found.
    Reference(Vec<String>),
    /// The end of a search.
    Done(Outcome),
}

/// An entry that was found; nothing of it is copied.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    name: &'a [u8],
    attributes: Elements<'a>,
}

/// Reads a message: the id of what it answers, and the answer.
pub fn read(message: &[u8]) -> Result<(u32, Answer<'_>), Fault> {
    let mut parts = Elements::of(message);
    let id = parts.number_of(INTEGER)?;
    let operation = parts.next().ok_or(Fault("an element is missing"))??;
    let body = operation.contents;
    let answer = match operation.tag {
        0x61 => Answer::Bound(Outcome::read(body)?.0),
        0x64 => Answer::Entry(Entry::read(body)?),
        0x65 => Answer::Done(Outcome::read(body)?.0),
        0x73 => Answer::Reference(places(body)?),
        0x78 => {
            let (outcome, mut rest) = Outcome::read(body)?;
            let name = rest.find_map(|part| part.ok().filter(|part| part.tag == RESPONSE_NAME));
            Answer::Extended(outcome, name.map(|name| text(name.contents)))
        }
        _ => return Err(Fault("its type is unknown")),
    };
    Ok((id, answer))
}

impl Answer<'_> {
    /// What it says to the one who did not ask; `None` if that is nothing that ends the session.
    pub fn disconnection(&self) -> Option<&Outcome> {
        match self {
            Self::Extended(outcome, Some(name)) if name == DISCONNECTION => Some(outcome),
            _ => None,
        }
    }
}

impl<'a> Entry<'a> {
    /// Reads an entry to its end, so that no fault is left in it.
    fn read(body: &'a [u8]) -> Result<Self, Fault> {
        let mut parts = Elements::of(body);
        let name = parts.contents_of(OCTET_STRING)?;
        let attributes = Elements::of(parts.contents_of(SEQUENCE)?);
        for attribute in attributes {
            for value in attribute_of(attribute?)?.1 {
                if value?.tag != OCTET_STRING {
                    return Err(Fault("a value is no string"));
                }
            }
        }
        Ok(Self { name, attributes })
    }

    /// Its distinguished name.
    pub fn name(&self) -> &'a [u8] {
        self.name
    }

    /// Its attributes: name and values.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a [u8], impl Iterator<Item = &'a [u8]> + use<'a>)> + use<'a> {
        let read = self.attributes.filter_map(|attribute| attribute_of(attribute.ok()?).ok());
        read.map(|(name, values)| (name, values.filter_map(|value| Some(value.ok()?.contents))))
    }
}

fn attribute_of(attribute: ber::Element<'_>) -> Result<(&[u8], Elements<'_>), Fault> {
    if attribute.tag != SEQUENCE {
        return Err(Fault("an attribute is of another type"));
    }
    let mut parts = Elements::of(attribute.contents);
    Ok((parts.contents_of(OCTET_STRING)?, Elements::of(parts.contents_of(SET)?)))
}

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bound(outcome) => write!(f, "bindResponse {outcome}"),
            Self::Extended(outcome, None) => write!(f, "extendedResponse {outcome}"),
            Self::Extended(outcome, Some(name)) => write!(f, "extendedResponse {} {outcome}", quoted(name)),
            Self::Entry(entry) => write!(f, "searchResultEntry {entry}"),
            Self::Reference(places) => write!(f, "searchResultReference {}", quoted(&places.join(" "))),
            Self::Done(outcome) => write!(f, "searchResultDone {outcome}"),
        }
    }
}

/// The names of entry and attributes. Their values are nobody's business who measures: addresses of people, hashes of passwords.
impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", quoted(&text(self.name)))?;
        for (at, (name, values)) in self.attributes().enumerate() {
            if at == NAMES_SHOWN_MAX {
                return f.write_str(" …");
            }
            write!(f, "{} {}", if at == 0 { ":" } else { "," }, quoted(&text(name)))?;
            match values.count() {
                1 => {}
                count => write!(f, " ×{count}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::search::Scope;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn search(scope: Scope, entries_max: u32, attributes: &[&str]) -> Search {
        let attributes = attributes.iter().map(|&name| name.to_owned()).collect();
        Search::new("dc=x", scope, "(uid=a)", attributes, entries_max).unwrap()
    }

    /// What `ldapsearch` and `ldapwhoami` of OpenLDAP 2.5 send for the same.
    #[test]
    fn a_request_is_sent_as_openldap_sends_it() {
        let check = |request: Request<'_>, id, expected: &str| assert_eq!(hex(&request.bytes(id)), expected, "{request}");
        check(Request::StartTls, 1, "301d02010177188016312e332e362e312e342e312e313436362e3230303337");
        check(Request::Anonymous, 1, "300c020101600702010304008000");
        check(Request::Simple("uid=a", "pw"), 1, "3013020101600e02010304057569643d6180027077");
        check(Request::External, 1, "301802010160130201030400a30c040845585445524e414c0400");
        let some = search(Scope::Sub, 7, &["cn", "mail"]);
        let expected = "3030020102632b040464633d780a01020a0100020107020109010100a3080403756964040161300a0402636e04046d61696c";
        check(Request::Search(&some, 9), 2, expected);
        let one = search(Scope::One, 0, &["1.1"]);
        check(Request::Search(&one, 0), 2, "302b0201026326040464633d780a01010a0100020100020100010100a308040375696404016130050403312e31");
        check(Request::Unbind, 3, "30050201034200");
    }

    #[test]
    fn a_request_is_told_in_words_without_its_password() {
        let check = |request: Request<'_>, expected: &str| assert_eq!(request.to_string(), expected);
        check(Request::Simple("uid=a", "geheim"), "bindRequest uid=a simple <secret>");
        check(Request::Anonymous, "bindRequest anonymous");
        check(Request::External, "bindRequest SASL EXTERNAL");
        let all = search(Scope::Base, 1000, &[]);
        check(Request::Search(&all, 10), "searchRequest \"dc=x\" base (uid=a), at most 1000 entries, at most 10 s");
        let some = search(Scope::Sub, 1000, &["cn", "mail"]);
        check(Request::Search(&some, 10), "searchRequest \"dc=x\" sub (uid=a) for cn, mail, at most 1000 entries, at most 10 s");
    }

    fn entry(attributes: &[(&str, &[&str])]) -> Vec<u8> {
        let string = |text: &str| ber::element(OCTET_STRING, text);
        let attributes = attributes.iter().map(|(name, values)| {
            let values: Vec<_> = values.iter().map(|value| string(value)).collect();
            ber::list(SEQUENCE, &[string(name), ber::list(SET, &values)])
        });
        let attributes: Vec<_> = attributes.collect();
        [ber::number(INTEGER, 2), ber::list(0x64, &[string("cn=a"), ber::list(SEQUENCE, &attributes)])].concat()
    }

    fn shown(message: &[u8]) -> Result<(u32, String), &'static str> {
        read(message).map(|(id, answer)| (id, answer.to_string())).map_err(|fault| fault.0)
    }

    #[test]
    fn an_entry_is_told_by_its_names_and_never_by_its_values() {
        let message = entry(&[("cn", &["geheim"]), ("mail;lang-fr", &["a@b", "c@d"]), ("sn\u{1b}", &[])]);
        assert_eq!(shown(&message), Ok((2, "searchResultEntry \"cn=a\": cn, mail;lang-fr ×2, sn\\u{1b} ×0".into())));
        let many = entry(&[("cn", &["x"] as &[&str]); 30]);
        assert!(shown(&many).unwrap().1.ends_with(": cn, cn, cn, cn, cn, cn, cn, cn, cn, cn, cn, cn, cn, cn, cn, cn, cn, cn, cn, cn …"));
    }

    #[test]
    fn an_answer_with_more_in_it_than_we_know_is_understood() {
        // Controls after the operation; components after those of a result (RFC 4511 4, extensibility).
        let more = [2, 1, 2, 0x65, 9, 10, 1, 0, 4, 0, 4, 0, 0x9e, 0, 0xa0, 2, 0x30, 0];
        assert_eq!(shown(&more), Ok((2, "searchResultDone success (0)".into())));
        let named = [2, 1, 0, 0x78, 11, 10, 1, 52, 4, 0, 4, 0, 0x8a, 2, b'1', b'2'];
        assert_eq!(shown(&named), Ok((0, "extendedResponse 12 unavailable (52)".into())));
        let saying = [2, 1, 2, 0x73, 4, 4, 2, b'a', b':'];
        assert_eq!(shown(&saying), Ok((2, "searchResultReference a:".into())));
    }

    #[test]
    fn what_is_no_answer_is_a_fault() {
        let check = |message: &[u8], expected| assert_eq!(shown(message), Err(expected), "{message:02x?}");
        check(&[], "an element is missing");
        check(&[2, 1, 1], "an element is missing");
        check(&[4, 1, 1, 0x61, 0], "an element is of another type");
        check(&[2, 1, 0xff, 0x61, 0], "a number below zero");
        check(&[2, 1, 1, 0x61, 0x80, 0, 0], "a length that is not told");
        check(&[2, 1, 1, 0x63, 0], "its type is unknown");
        check(&[2, 1, 1, 0x64, 4, 4, 0, 0x30, 1], "an element breaks off");
        check(&[2, 1, 1, 0x64, 6, 4, 0, 0x30, 2, 4, 0], "an attribute is of another type");
        check(&[2, 1, 1, 0x64, 12, 4, 0, 0x30, 8, 0x30, 6, 4, 0, 0x31, 2, 2, 0], "a value is no string");
        check(&[2, 1, 1, 0x73, 2, 2, 0], "a place is no text");
    }

    /// Reads it as an agent does, to the end.
    fn read_all(message: &[u8]) {
        if let Ok((_, answer)) = read(message) {
            let _ = (answer.to_string(), answer.disconnection().is_some());
            if let Answer::Entry(entry) = answer {
                let bytes: usize = entry.attributes().map(|(name, values)| name.len() + values.map(<[u8]>::len).sum::<usize>()).sum();
                assert!(bytes <= message.len());
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_whatsoever_are_more_than_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            read_all(&bytes);
            // With the right beginning the rest is looked at as well.
            for tag in [0x61, 0x64, 0x65, 0x73, 0x78] {
                read_all(&[ber::number(INTEGER, 2), ber::element(tag, &bytes)].concat());
                let strings = ber::element(OCTET_STRING, "cn=a");
                read_all(&[ber::number(INTEGER, 2), ber::list(tag, &[strings, ber::element(SEQUENCE, &bytes)])].concat());
            }
        }

        #[test]
        fn no_damage_to_an_answer_is_more_than_an_error(
            damage in proptest::collection::vec((0usize..80, any::<u8>()), 0..6),
            length in 0usize..80,
        ) {
            let places = ber::list(0xa3, &[ber::element(OCTET_STRING, "ldap://b")]);
            let result = [ber::number(ENUMERATED, 10), ber::element(OCTET_STRING, "dc=x"), ber::element(OCTET_STRING, "no"), places];
            for whole in [
                entry(&[("cn", &["a", "b"]), ("mail", &["b"])]),
                [ber::number(INTEGER, 2), ber::list(0x65, &result)].concat(),
                [ber::number(INTEGER, 0), ber::list(0x78, &[result.concat(), ber::element(RESPONSE_NAME, DISCONNECTION)])].concat(),
            ] {
                let mut message = whole;
                for &(place, byte) in &damage {
                    if let Some(hit) = message.get_mut(place) {
                        *hit = byte;
                    }
                }
                message.truncate(length);
                read_all(&message);
            }
        }
    }
}
