//! What an answer has to be.

use std::{fmt, net::IpAddr, str::FromStr};

use domain::base::{Rtype, iana::OptRcode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use watchpost_plugin_api::AgentError;
use watchpost_records::{Answer, Record, in_words};

/// Records of an answer that a message shows.
const SHOWN_MAX: usize = 5;

/// Types whose data are names, numbers, addresses and hexadecimal digits: the case of their letters means nothing.
const CASELESS: [Rtype; 13] = [
    Rtype::A,
    Rtype::AAAA,
    Rtype::NS,
    Rtype::CNAME,
    Rtype::DNAME,
    Rtype::PTR,
    Rtype::MX,
    Rtype::SRV,
    Rtype::SOA,
    Rtype::DS,
    Rtype::CDS,
    Rtype::TLSA,
    Rtype::SSHFP,
];

/// What a job expects, as it is written: one string, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected(Vec<String>);

impl<'de> Deserialize<'de> for Expected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Vec<String>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E>(self, one: &str) -> Result<Self::Value, E> {
                Ok(vec![one.to_owned()])
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut more: S) -> Result<Self::Value, S::Error> {
                let mut all = Vec::new();
                while let Some(one) = more.next_element()? {
                    all.push(one);
                }
                Ok(all)
            }
        }

        deserializer.deserialize_any(OneOrMore).map(Self)
    }
}

impl JsonSchema for Expected {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Expected".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
    }
}

/// What an answer has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expectation {
    /// It has this response code.
    Code(OptRcode),
    /// It has these records, and is a good one.
    Records(Vec<String>),
}

impl Default for Expectation {
    fn default() -> Self {
        Self::Code(OptRcode::NOERROR)
    }
}

impl Expectation {
    /// Understands what a job expects.
    ///
    /// Errors: kind `config` at the string that cannot come true.
    pub(crate) fn of(expected: &Expected) -> Result<Self, AgentError> {
        let all = &expected.0;
        if all.is_empty() {
            return Err(AgentError::config("expect", "is empty; leave it away where every answer is welcome"));
        }
        if let [one] = all.as_slice()
            && let Some(code) = code(one)
        {
            return Ok(Self::Code(code));
        }
        for (at, one) in all.iter().enumerate() {
            let path = || if all.len() == 1 { "expect".to_owned() } else { format!("expect[{at}]") };
            if one.trim().is_empty() {
                return Err(AgentError::config(path(), "is empty; a record is written as in a zone file"));
            }
            if code(one).is_some() {
                return Err(AgentError::config(
                    path(),
                    format!("the response code {one} stands alone; with records beside it the answer is NOERROR"),
                ));
            }
        }
        Ok(Self::Records(all.clone()))
    }

    /// Says what is wrong with an answer.
    ///
    /// Errors: kind `protocol`, with what was expected and what came.
    pub(crate) fn judge(&self, answer: &Answer) -> Result<(), AgentError> {
        let (code, records) = match self {
            Self::Code(code) => (*code, [].as_slice()),
            Self::Records(records) => (OptRcode::NOERROR, records.as_slice()),
        };
        if answer.code != code {
            let expected = if code == OptRcode::NOERROR { String::new() } else { format!(", expected was {code}") };
            return Err(AgentError::protocol(format!("the server answered {}{expected}", in_words(answer.code))));
        }
        match records.iter().find(|expected| !answer.wanted().any(|record| fits(expected, record))) {
            Some(missing) => {
                Err(AgentError::protocol(format!("the server answered {}, expected was \"{}\"", shown(answer), escaped(missing))))
            }
            None => Ok(()),
        }
    }
}

/// A response code by its name. In capitals only: small letters are a record's.
fn code(text: &str) -> Option<OptRcode> {
    let known = OptRcode::from_str(text).ok()?;
    (known.to_string() == text && text.chars().all(|c| c.is_ascii_uppercase())).then_some(known)
}

fn shown(answer: &Answer) -> String {
    let mut all = answer.wanted();
    let first: Vec<String> =
        all.by_ref().take(SHOWN_MAX).map(|record| format!("\"{}\"", escaped(record.text.as_ref().unwrap_or(&record.data)))).collect();
    match (first.is_empty(), all.count()) {
        (true, _) => "without such records".into(),
        (_, 0) => first.join(", "),
        (_, more) => format!("{} and {more} more", first.join(", ")),
    }
}

fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

fn fits(expected: &str, record: &Record) -> bool {
    match &record.text {
        Some(text) => expected == text || expected == record.data,
        None => {
            let caseless = CASELESS.contains(&record.rtype);
            words(expected, caseless).eq(words(&record.data, caseless))
        }
    }
}

/// The words of a record's data in one of the ways in which they can be written.
fn words(data: &str, caseless: bool) -> impl Iterator<Item = String> {
    data.split_whitespace().map(move |word| match (word.parse::<IpAddr>(), caseless) {
        (Ok(address), true) => address.to_string(),
        (_, true) => undotted(word).to_ascii_lowercase(),
        _ => undotted(word).to_owned(),
    })
}

/// A name without its final dot; the root stays itself.
fn undotted(word: &str) -> &str {
    match word.strip_suffix('.') {
        Some(name) if !name.is_empty() => name,
        _ => word,
    }
}
