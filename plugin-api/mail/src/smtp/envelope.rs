//! Sender and recipient.

use watchpost_plugin_api::AgentError;

/// RFC 5321 4.5.3.1.3: a path has 256 octets, its brackets included.
const ADDRESS_BYTES_MAX: usize = 254;

/// Sender and recipient of a transaction.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The key `from`.
    pub from: String,
    /// The key `to`.
    pub to: String,
}

impl Envelope {
    /// Takes both keys.
    ///
    /// Errors: kind `config`, at the key, for what would end a path early or begin another command; the server judges the rest.
    pub fn of(from: &str, to: &str) -> Result<Self, AgentError> {
        check("from", from)?;
        check("to", to)?;
        Ok(Self { from: from.into(), to: to.into() })
    }
}

fn check(key: &str, address: &str) -> Result<(), AgentError> {
    let wrong = |why: &str| Err(AgentError::config(key, format!("{why}; an address is wanted, e.g. \"probe@example.org\"")));
    // RFC 5321 4.5.1: the one recipient that needs no domain.
    if !address.contains('@') && !address.eq_ignore_ascii_case("postmaster") {
        return wrong("has no @");
    }
    if address.len() > ADDRESS_BYTES_MAX {
        return wrong("is longer than 254 characters");
    }
    if !address.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>')) {
        return wrong("has a space, an angle bracket, or a character beyond ASCII");
    }
    Ok(())
}
