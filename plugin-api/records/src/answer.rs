//! What a server answered, in words.

use std::fmt::{self, Write};

use domain::{
    base::{
        Message, ParsedName, ParsedRecord, Rtype, ToName,
        iana::OptRcode,
        wire::ParseError,
        zonefile_fmt::{DisplayKind, ZonefileFmt},
    },
    rdata::AllRecordData,
};
use watchpost_plugin_api::AgentError;

use crate::query::Query;

/// What a message is to a query.
pub(crate) enum Read {
    /// Its answer.
    Ours(Answer),
    /// Another's, or none; and why.
    NotOurs(String),
}

/// An answer. Of a truncated one the records are not looked at: some are missing.
#[derive(Debug)]
pub struct Answer {
    /// The response code.
    pub code: OptRcode,
    /// Whether some records are missing.
    pub truncated: bool,
    authoritative: bool,
    asked: Rtype,
    /// The name that was asked for, with its final dot.
    name: String,
    /// The records of the answer section, whatever their type.
    pub records: Vec<Record>,
}

/// A record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose it is, with its final dot.
    pub owner: String,
    /// How many seconds it may be kept.
    pub ttl: u32,
    /// Its type.
    pub rtype: Rtype,
    /// As a zone file writes it.
    pub data: String,
    /// The strings of a text in one.
    pub text: Option<String>,
    /// The serial number of a zone (SOA).
    pub serial: Option<u32>,
}

impl Answer {
    /// Reads a message that came after a query.
    ///
    /// Errors: kind `protocol` when it bears the query's id and breaks off, or is none of a DNS server's.
    pub(crate) fn read(query: &Query<'_>, bytes: &[u8]) -> Result<Read, AgentError> {
        let Ok(message) = Message::from_slice(bytes) else {
            return Ok(Read::NotOurs(format!("{} bytes are no DNS message", bytes.len())));
        };
        let (header, asked) = (message.header(), query.message.header());
        if header.id() != asked.id() {
            return Ok(Read::NotOurs(format!("its id is {}", header.id())));
        }
        if !header.qr() {
            return Ok(Read::NotOurs("it is a question itself".into()));
        }
        if !message.is_answer(&query.message) && !refuses_unread(message) {
            return Ok(Read::NotOurs("it answers another question".into()));
        }
        let truncated = header.tc();
        let records = if truncated { Vec::new() } else { records(message).map_err(malformed)? };
        let (code, authoritative) = (message.opt_rcode(), header.aa());
        Ok(Read::Ours(Self { code, truncated, authoritative, asked: query.question.rtype, name: with_dot(&query.question.name), records }))
    }

    /// Lists the records of the type that was asked for, and of the name, or of what that is an alias for; no server's word on another
    /// name is taken.
    pub fn wanted(&self) -> impl Iterator<Item = &Record> {
        let names = self.names();
        let is_of = move |owner: &str| names.iter().any(|name| name.eq_ignore_ascii_case(owner));
        self.records.iter().filter(move |record| (record.rtype == self.asked || self.asked == Rtype::ANY) && is_of(&record.owner))
    }

    /// The name that was asked for, and those that its aliases lead to, in whatever order the records stand.
    fn names(&self) -> Vec<&str> {
        let mut names = vec![self.name.as_str()];
        let aliases = || self.records.iter().filter(|record| record.rtype == Rtype::CNAME && self.asked != Rtype::CNAME);
        while let Some(next) = names.last().and_then(|last| aliases().find(|alias| alias.owner.eq_ignore_ascii_case(last))) {
            if names.iter().any(|name| name.eq_ignore_ascii_case(&next.data)) {
                break;
            }
            names.push(&next.data);
        }
        names
    }

    /// Says whether the server told what there is: records, or that there are none.
    pub fn tells_what_there_is(&self) -> bool {
        matches!(self.code, OptRcode::NOERROR | OptRcode::NXDOMAIN)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        match self.truncated {
            true => f.write_str(", truncated")?,
            false => write!(f, ", records: {}", self.records.len())?,
        }
        if self.authoritative {
            f.write_str(", authoritative")?;
        }
        Ok(())
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.owner, self.ttl, self.rtype, self.data)
    }
}

/// Tells a response code in words.
pub fn in_words(code: OptRcode) -> String {
    let words = match code {
        OptRcode::FORMERR => "it does not understand the question",
        OptRcode::SERVFAIL => "it has failed to find out",
        OptRcode::NXDOMAIN => "there is no such name",
        OptRcode::NOTIMP => "it does not know how to",
        OptRcode::REFUSED => "it does not want to",
        _ => return code.to_string(),
    };
    format!("{code}: {words}")
}

/// A server that cannot read a question may answer with nothing but a header.
fn refuses_unread(message: &Message<[u8]>) -> bool {
    message.header_counts().qdcount() == 0 && message.is_error()
}

fn malformed(error: ParseError) -> AgentError {
    AgentError::protocol(format!("the answer is malformed: {error}"))
}

fn records(message: &Message<[u8]>) -> Result<Vec<Record>, ParseError> {
    message.answer()?.map(|record| read(&record?)).collect()
}

fn read(record: &ParsedRecord<'_, [u8]>) -> Result<Record, ParseError> {
    let parsed = record.to_any_record::<AllRecordData<_, ParsedName<_>>>()?;
    let (data, text) = match parsed.data() {
        AllRecordData::Unknown(unknown) => (generic(unknown.data()), None),
        AllRecordData::Txt(txt) => (presented(txt)?, Some(String::from_utf8_lossy(&txt.text::<Vec<u8>>()).into_owned())),
        data => (presented(data)?, None),
    };
    let owner = with_dot(&record.owner());
    let serial = match parsed.data() {
        AllRecordData::Soa(soa) => Some(soa.serial().into_int()),
        _ => None,
    };
    Ok(Record { owner, ttl: record.ttl().as_secs(), rtype: record.rtype(), data, text, serial })
}

fn with_dot(name: &impl ToName) -> String {
    name.fmt_with_dot().to_string()
}

/// The form of a zone file; data that has none is malformed.
fn presented(data: &impl ZonefileFmt) -> Result<String, ParseError> {
    let mut text = String::new();
    match write!(text, "{}", data.display_zonefile(DisplayKind::Simple)) {
        Ok(()) => Ok(text),
        Err(_) => Err(ParseError::form_error("a record has no written form")),
    }
}

/// RFC 3597 5: the form of data whose type nobody knows.
fn generic(data: &[u8]) -> String {
    let mut text = format!("\\# {}", data.len());
    if !data.is_empty() {
        text.push(' ');
        text.extend(data.iter().map(|byte| format!("{byte:02x}")));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use domain::base::Name;
    use proptest::prelude::*;

    use super::*;
    use crate::query::Question;

    /// Types whose data have a form of their own, and one that nobody knows.
    const TYPES: [Rtype; 20] = [
        Rtype::A,
        Rtype::AAAA,
        Rtype::MX,
        Rtype::TXT,
        Rtype::NS,
        Rtype::SOA,
        Rtype::SRV,
        Rtype::CNAME,
        Rtype::PTR,
        Rtype::CAA,
        Rtype::TLSA,
        Rtype::DS,
        Rtype::DNSKEY,
        Rtype::RRSIG,
        Rtype::NSEC,
        Rtype::NSEC3,
        Rtype::HTTPS,
        Rtype::SVCB,
        Rtype::NAPTR,
        Rtype::from_int(65280),
    ];

    fn question(rtype: Rtype) -> Question {
        Question { name: Name::from_str("lab.test").unwrap(), rtype }
    }

    /// An answer with one record of these data under the name that was asked for.
    fn answer(query: &Query<'_>, data: &[u8]) -> Vec<u8> {
        let mut message = query.bytes()[..26].to_vec();
        message[2] |= 0x80;
        message[7] = 1;
        message[11] = 0;
        message.extend([0xc0, 12]);
        message.extend(query.question.rtype.to_int().to_be_bytes());
        message.extend([0, 1, 0, 0, 0, 60]);
        message.extend((data.len() as u16).to_be_bytes());
        message.extend(data);
        message
    }

    fn check(rtype: Rtype, data: &[u8], expected: &str) {
        let question = question(rtype);
        let query = Query::new(&question).unwrap();
        let Read::Ours(answer) = Answer::read(&query, &answer(&query, data)).unwrap() else { panic!("{expected}") };
        assert_eq!(answer.records[0].to_string(), format!("lab.test. 60 {rtype} {expected}"));
    }

    #[test]
    fn records_are_shown_as_a_zone_file_writes_them() {
        check(Rtype::A, &[192, 0, 2, 1], "192.0.2.1");
        check(Rtype::MX, b"\x00\x0a\x04mail\xc0\x0c", "10 mail.lab.test.");
        check(Rtype::TXT, b"\x05a \"b\\\x01\xff", "\"a \\\"b\\\\\" \"\\255\"");
        check(Rtype::SRV, b"\x00\x00\x00\x01\x03\xe1\x04mail\x03lab\x04test\x00", "0 1 993 mail.lab.test.");
        check(Rtype::CAA, b"\x00\x05issueca.test", "0 issue \"ca.test\"");
        check(Rtype::TLSA, b"\x03\x01\x01\xde\xad", "3 1 1 DEAD");
        check(Rtype::DS, b"\x12\x34\x0d\x02\xde\xad", "4660 13 2 DEAD");
        check(Rtype::HTTPS, b"\x00\x01\x00\x00\x01\x00\x03\x02h2", "1 . alpn=h2");
        check(Rtype::from_int(65280), b"\xde\xad", "\\# 2 dead");
        check(Rtype::from_int(65280), b"", "\\# 0");
    }

    fn record(owner: &str, rtype: Rtype, data: &str) -> Record {
        Record { owner: owner.into(), ttl: 60, rtype, data: data.into(), text: None, serial: None }
    }

    fn taken(asked: Rtype, records: &[Record]) -> Vec<String> {
        let (code, name) = (OptRcode::NOERROR, "www.lab.test.".to_owned());
        let answer = Answer { code, truncated: false, authoritative: true, asked, name, records: records.to_vec() };
        answer.wanted().map(|record| record.data.clone()).collect()
    }

    #[test]
    fn only_records_of_the_name_and_its_aliases_are_taken() {
        let (a, alias) = (Rtype::A, Rtype::CNAME);
        assert_eq!(taken(a, &[record("WWW.lab.test.", a, "192.0.2.1"), record("evil.test.", a, "192.0.2.66")]), ["192.0.2.1"]);
        let chain = [
            record("b.test.", a, "192.0.2.2"),
            record("a.test.", alias, "B.test."),
            record("www.lab.test.", alias, "a.test."),
            record("c.test.", a, "192.0.2.66"),
        ];
        assert_eq!(taken(a, &chain), ["192.0.2.2"]);
        assert_eq!(taken(alias, &chain), ["a.test."]);
        let circle = [record("www.lab.test.", alias, "a.test."), record("a.test.", alias, "www.lab.test.")];
        assert!(taken(a, &circle).is_empty());
    }

    proptest! {
        #[test]
        fn no_message_whatsoever_is_more_than_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..600), at in 0..TYPES.len()) {
            let question = question(TYPES[at]);
            let query = Query::new(&question).unwrap();
            let _ = Answer::read(&query, &bytes);
            // With the right beginning the rest is looked at as well.
            let _ = Answer::read(&query, &answer(&query, &bytes));
            let mut message = answer(&query, &[]);
            message[7] = 200;
            message.extend(&bytes);
            let _ = Answer::read(&query, &message);
        }

        #[test]
        fn no_damage_to_an_answer_is_more_than_an_error(
            at in 0..TYPES.len(),
            data in proptest::collection::vec(any::<u8>(), 0..80),
            damage in proptest::collection::vec((12usize..150, any::<u8>()), 0..6),
            length in 12usize..150,
        ) {
            let question = question(TYPES[at]);
            let query = Query::new(&question).unwrap();
            let mut message = answer(&query, &data);
            for (place, byte) in damage {
                if let Some(hit) = message.get_mut(place) {
                    *hit = byte;
                }
            }
            message.truncate(length);
            let _ = Answer::read(&query, &message);
        }
    }
}
