//! What a search has to find, and what it has found.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use watchpost_directory::{
    filter,
    message::{Answer, Entry},
    outcome::Outcome,
};
use watchpost_plugin_api::AgentError;

use crate::config::Config;

/// What a job expects, as it is written: one string, or several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

/// What a search has to find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expectation {
    entries_min: u32,
    values: Vec<(String, String)>,
}

impl Expectation {
    /// Understands what a job expects.
    ///
    /// Errors: kind `config` at the string that cannot come true.
    pub(crate) fn of(config: &Config) -> Result<Self, AgentError> {
        let all = &config.expect.0;
        let mut values = Vec::new();
        for (at, one) in all.iter().enumerate() {
            let path = || if all.len() == 1 { "expect".to_owned() } else { format!("expect[{at}]") };
            let wrong = |why: String| AgentError::config(path(), format!("{why}; wanted is e.g. \"mail=alice@example.org\""));
            let (name, value) = one.split_once('=').ok_or_else(|| wrong("has no `=`".into()))?;
            values.push((filter::attribute(name).map_err(wrong)?.to_owned(), value.to_owned()));
        }
        Ok(Self { entries_min: config.entries_min, values })
    }

    /// The attributes that something is expected of.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|(name, _)| name.as_str())
    }
}

/// What a search has found so far.
pub(crate) struct Found<'a> {
    expectation: &'a Expectation,
    entries_max: u32,
    pub(crate) entries: u32,
    /// Places that it was sent to.
    pub(crate) referrals: u32,
    /// For each value that is expected: whether it was there, and how many values that attribute had.
    seen: Vec<(bool, u64)>,
}

impl<'a> Found<'a> {
    /// Nothing yet.
    pub(crate) fn nothing(expectation: &'a Expectation, entries_max: u32) -> Self {
        Self { expectation, entries_max, entries: 0, referrals: 0, seen: vec![(false, 0); expectation.values.len()] }
    }

    /// Takes an answer of the search; gives how it ended, if it has.
    ///
    /// Errors: kind `limit` for an entry or a referral beyond the bound.
    pub(crate) fn take(&mut self, answer: Answer<'_>) -> Result<Option<Outcome>, AgentError> {
        match answer {
            Answer::Entry(entry) => {
                self.entries += 1;
                self.look_at(&entry);
            }
            Answer::Done(outcome) if !outcome.is_elsewhere() => return Ok(Some(outcome)),
            Answer::Done(outcome) => {
                self.referrals += 1;
                return Ok(Some(outcome));
            }
            _ => self.referrals += 1,
        }
        match self.entries.max(self.referrals) > self.entries_max {
            true => Err(AgentError::limit(format_args!("`entries_max = {}`", self.entries_max))),
            false => Ok(None),
        }
    }

    fn look_at(&mut self, entry: &Entry<'_>) {
        if self.seen.is_empty() {
            return;
        }
        for (name, values) in entry.attributes() {
            let expected = self.expectation.values.iter().zip(&mut self.seen);
            let mut of_name: Vec<_> = expected.filter(|((wanted, _), _)| is_of(name, wanted)).collect();
            for value in values {
                for ((_, wanted), (there, others)) in &mut of_name {
                    match wanted.as_bytes() == value {
                        true => *there = true,
                        false => *others += 1,
                    }
                }
            }
        }
    }

    /// Fails unless everything was found that is expected.
    pub(crate) fn judge(&self) -> Result<(), AgentError> {
        let (found, wanted) = (self.entries, self.expectation.entries_min);
        if found < wanted {
            return Err(AgentError::protocol(format!("entries found: {found}, expected were {wanted} at least")));
        }
        let mut missing = self.expectation.values.iter().zip(&self.seen).filter(|(_, (there, _))| !there);
        match missing.next() {
            None => Ok(()),
            // The values that were found are told nobody: they may be a person's.
            Some(((name, value), (_, others))) => {
                Err(AgentError::protocol(format!("no entry has {name}=\"{value}\"; other values of {name}: {others}")))
            }
        }
    }
}

/// Whether that is the attribute, whatever options it comes with (RFC 4512 2.5).
fn is_of(name: &[u8], wanted: &str) -> bool {
    let name = name.split(|&byte| byte == b';').next().unwrap_or_default();
    name.eq_ignore_ascii_case(wanted.as_bytes())
}

#[cfg(test)]
mod tests {
    use watchpost_directory::{
        ber::{self, ENUMERATED, INTEGER, OCTET_STRING, SEQUENCE, SET},
        message,
    };

    use super::*;

    fn config(more: &str) -> Config {
        toml::from_str(&format!("host = 'ldap'\n{more}")).unwrap()
    }

    fn message(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
        [ber::number(INTEGER, 2), ber::list(tag, parts)].concat()
    }

    fn entry(name: &str, values: &[&str]) -> Vec<u8> {
        let string = |text: &str| ber::element(OCTET_STRING, text);
        let values: Vec<_> = values.iter().map(|value| string(value)).collect();
        let attribute = ber::list(SEQUENCE, &[string(name), ber::list(SET, &values)]);
        message(0x64, &[string("cn=a"), ber::list(SEQUENCE, &[attribute])])
    }

    fn judged(expected: &str, entries: &[(&str, &[&str])]) -> Result<(), String> {
        let expectation = Expectation::of(&config(expected)).unwrap();
        let mut found = Found::nothing(&expectation, 100);
        for (name, values) in entries {
            assert_eq!(found.take(message::read(&entry(name, values)).unwrap().1), Ok(None));
        }
        found.judge().map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_value_is_found_whatever_the_case_and_the_options_of_its_attribute() {
        for name in ["mail", "MAIL", "mail;lang-fr"] {
            assert_eq!(judged("expect = 'mail=a@b'", &[(name, &["x", "a@b"])]), Ok(()), "{name}");
        }
        assert_eq!(judged("expect = ['mail=a@b', 'cn=a']", &[("cn", &["a"]), ("mail", &["a@b"])]), Ok(()));
        assert_eq!(judged("expect = 'labeledURI=http://a/?b=c'", &[("labeledURI", &["http://a/?b=c"])]), Ok(()));
        assert_eq!(judged("", &[]), Ok(()));
    }

    #[test]
    fn a_value_that_is_missing_is_told_and_those_that_came_are_not() {
        let check = |entries: &[(&str, &[&str])], message: &str| {
            assert_eq!(judged("expect = ['cn=a', 'mail=a@b']", entries), Err(message.to_owned()));
        };
        check(&[], "no entry has cn=\"a\"; other values of cn: 0");
        check(&[("cn", &["a"]), ("mail", &["A@B", "geheim"]), ("mails", &["a@b"])], "no entry has mail=\"a@b\"; other values of mail: 2");
    }

    #[test]
    fn too_few_entries_are_told_with_their_count() {
        assert_eq!(judged("entries_min = 2", &[("cn", &[]), ("cn", &[])]), Ok(()));
        assert_eq!(judged("entries_min = 2", &[("cn", &[])]), Err("entries found: 1, expected were 2 at least".into()));
    }

    #[test]
    fn entries_and_referrals_are_bounded_alike() {
        let expectation = Expectation::default();
        for found_one in [entry("cn", &[]), message(0x73, &[ber::element(OCTET_STRING, "ldap://b")])] {
            let mut found = Found::nothing(&expectation, 2);
            let mut take = || found.take(message::read(&found_one).unwrap().1).map_err(|error| (error.kind().name(), error.to_string()));
            assert_eq!((take(), take()), (Ok(None), Ok(None)));
            assert_eq!(take(), Err(("limit", "more than `entries_max = 2` allows".into())));
        }
    }

    #[test]
    fn a_search_that_is_sent_elsewhere_counts_as_a_referral() {
        let expectation = Expectation::default();
        let mut found = Found::nothing(&expectation, 2);
        let done = message(0x65, &[ber::number(ENUMERATED, 10), ber::element(OCTET_STRING, ""), ber::element(OCTET_STRING, "")]);
        let outcome = found.take(message::read(&done).unwrap().1).unwrap().unwrap();
        assert!(outcome.is_elsewhere() && found.referrals == 1 && found.entries == 0);
    }

    #[test]
    fn what_cannot_be_expected_is_refused_at_its_place() {
        let check = |expected: &str, path: &str, why: &str| {
            let error = Expectation::of(&config(expected)).unwrap_err();
            assert_eq!((error.path(), error.message()), (path, format!("{why}; wanted is e.g. \"mail=alice@example.org\"").as_str()));
        };
        check("expect = 'mail'", "expect", "has no `=`");
        check("expect = ['cn=a', '=b']", "expect[1]", "no attribute is named");
        check("expect = 'ma il=a'", "expect", "`ma il` is no attribute's name");
    }
}
