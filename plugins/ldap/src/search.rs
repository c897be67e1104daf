//! What is searched for.

use std::fmt;

use watchpost_plugin_api::AgentError;

use crate::{
    config::{Config, Scope},
    filter,
};

/// Asks for all attributes that people have put in (RFC 4511 4.5.1.8).
const ALL: &str = "*";
/// The largest number that LDAP has (RFC 4511 4.1.1).
pub(crate) const NUMBER_MAX: u32 = i32::MAX as u32;

/// A search, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Search {
    pub(crate) base: String,
    pub(crate) scope: Scope,
    /// As it is sent.
    pub(crate) filter: Vec<u8>,
    /// As it was written.
    filter_text: String,
    /// None at all asks for all that people have put in.
    pub(crate) attributes: Vec<String>,
    pub(crate) entries_max: u32,
}

impl Search {
    /// Understands what a job says; attributes that it expects something of are asked for, too.
    ///
    /// Errors: kind `config`, at the key.
    pub(crate) fn of<'a>(config: &Config, expected: impl Iterator<Item = &'a str>) -> Result<Self, AgentError> {
        let filter = filter::parse(&config.filter).map_err(|why| AgentError::config("filter", why))?;
        for (at, name) in config.attributes.iter().enumerate() {
            let is_special = name == ALL || name == "+";
            if let (false, Err(why)) = (is_special, filter::attribute(name)) {
                return Err(AgentError::config(format!("attributes[{at}]"), why));
            }
        }
        let mut attributes = config.attributes.clone();
        for name in expected {
            if attributes.is_empty() {
                attributes.push(ALL.into());
            }
            if !attributes.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                attributes.push(name.to_owned());
            }
        }
        let entries_max = config.entries_max.get().min(NUMBER_MAX);
        let (base, filter_text) = (config.base.clone(), config.filter.clone());
        Ok(Self { base, scope: config.scope, filter, filter_text, attributes, entries_max })
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
