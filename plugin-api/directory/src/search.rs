//! What is searched for.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::filter;

/// The largest number that LDAP has (RFC 4511 4.1.1).
pub const NUMBER_MAX: u32 = i32::MAX as u32;

/// How far a search goes (RFC 4511 4.5.1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The entry itself.
    #[default]
    Base = 0,
    /// Those right below it.
    One = 1,
    /// It and all below it.
    Sub = 2,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Base => "base",
            Self::One => "one",
            Self::Sub => "sub",
        })
    }
}

/// A search, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Where it begins, a distinguished name.
    pub base: String,
    /// How far it goes.
    pub scope: Scope,
    /// As it is sent.
    pub(crate) filter: Vec<u8>,
    /// As it was written.
    filter_text: String,
    /// None at all asks for all that people have put in.
    pub attributes: Vec<String>,
    /// Told to the directory as its size limit.
    pub entries_max: u32,
}

impl Search {
    /// Makes a search of its parts; the filter as RFC 4515 writes it.
    ///
    /// Errors: what is wrong with the filter, and where.
    pub fn new(base: &str, scope: Scope, filter: &str, attributes: Vec<String>, entries_max: u32) -> Result<Self, String> {
        let (base, filter_text, entries_max) = (base.to_owned(), filter.to_owned(), entries_max.min(NUMBER_MAX));
        Ok(Self { base, scope, filter: filter::parse(filter)?, filter_text, attributes, entries_max })
    }
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" {} {}", self.base, self.scope, self.filter_text)?;
        for (at, name) in self.attributes.iter().enumerate() {
            write!(f, "{} {name}", if at == 0 { " for" } else { "," })?;
        }
        write!(f, ", at most {} entries", self.entries_max)
    }
}
