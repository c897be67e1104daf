//! What a server offers, as its capabilities say (RFC 9051 6.1.1).

use watchpost_plugin_api::AgentError;

/// Words of one list of capabilities; large servers have some fifty.
const CAPABILITIES_MAX: usize = 500;

/// A list of capabilities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offers(Vec<String>);

impl Offers {
    /// Reads what follows the word CAPABILITY.
    ///
    /// Errors: kind `protocol` for a list that is too long to be one.
    pub(crate) fn parse(list: &str) -> Result<Self, AgentError> {
        let words: Vec<String> = list.split_ascii_whitespace().take(CAPABILITIES_MAX + 1).map(str::to_owned).collect();
        match words.len() > CAPABILITIES_MAX {
            true => Err(AgentError::protocol(format!("a list without an end: more than {CAPABILITIES_MAX} capabilities"))),
            false => Ok(Self(words)),
        }
    }

    /// Says whether a capability is offered.
    pub(crate) fn have(&self, capability: &str) -> bool {
        self.0.iter().any(|offered| offered.eq_ignore_ascii_case(capability))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_is_found_however_it_is_written() {
        let offers = Offers::parse("IMAP4rev1 STARTTLS auth=plain  Logindisabled").unwrap();
        let check = |capability, expected| assert_eq!(offers.have(capability), expected, "{capability}");
        check("STARTTLS", true);
        check("AUTH=PLAIN", true);
        check("LOGINDISABLED", true);
        check("AUTH", false);
        check("TLS", false);
    }

    #[test]
    fn a_list_has_a_bound() {
        assert!(Offers::parse(&"X ".repeat(500)).is_ok());
        let message = "a list without an end: more than 500 capabilities";
        assert_eq!(Offers::parse(&"X ".repeat(501)), Err(AgentError::protocol(message)));
    }
}
