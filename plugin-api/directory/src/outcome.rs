//! How an operation ended, as the directory says it (RFC 4511 4.1.9, appendix A).

use std::fmt;

use watchpost_plugin_api::{AgentError, ErrorKind, quoted};

use crate::ber::{ENUMERATED, Elements, Fault, OCTET_STRING};

/// Places of a referral that are kept.
const PLACES_MAX: usize = 5;
/// The tag of a referral's places.
const REFERRAL: u8 = 0xa3;

/// Names of result codes.
const NAMES: [(u32, &str); 34] = [
    (0, "success"),
    (1, "operationsError"),
    (2, "protocolError"),
    (3, "timeLimitExceeded"),
    (4, "sizeLimitExceeded"),
    (7, "authMethodNotSupported"),
    (8, "strongerAuthRequired"),
    (10, "referral"),
    (11, "adminLimitExceeded"),
    (12, "unavailableCriticalExtension"),
    (13, "confidentialityRequired"),
    (14, "saslBindInProgress"),
    (16, "noSuchAttribute"),
    (17, "undefinedAttributeType"),
    (18, "inappropriateMatching"),
    (19, "constraintViolation"),
    (20, "attributeOrValueExists"),
    (21, "invalidAttributeSyntax"),
    (32, "noSuchObject"),
    (33, "aliasProblem"),
    (34, "invalidDNSyntax"),
    (36, "aliasDereferencingProblem"),
    (48, "inappropriateAuthentication"),
    (49, "invalidCredentials"),
    (50, "insufficientAccessRights"),
    (51, "busy"),
    (52, "unavailable"),
    (53, "unwillingToPerform"),
    (54, "loopDetect"),
    (64, "namingViolation"),
    (65, "objectClassViolation"),
    (68, "entryAlreadyExists"),
    (71, "affectsMultipleDSAs"),
    (80, "other"),
];

/// It is done.
pub const SUCCESS: u32 = 0;
/// The search took longer than it was given.
const TIME_LIMIT: u32 = 3;
/// More is there than was asked for, or than the directory gives.
const LIMITS: [u32; 2] = [4, 11];
/// Another directory has it.
const ELSEWHERE: u32 = 10;
/// Who we are is not enough, or is not believed.
const WHO: [u32; 6] = [7, 8, 13, 48, 49, 50];
/// What directories say to a bind beside these: no such entry, no name of one, no password with a name.
const WHO_IN_BIND: [u32; 3] = [32, 34, 53];

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The result code.
    pub code: u32,
    /// How far the directory knows the name it was asked for.
    matched: String,
    text: String,
    /// Where to ask instead.
    places: Vec<String>,
}

impl Outcome {
    /// Reads the components that every result begins with; gives what follows them.
    pub fn read(body: &[u8]) -> Result<(Self, Elements<'_>), Fault> {
        let mut elements = Elements::of(body);
        let code = elements.number_of(ENUMERATED)?;
        let (matched, said) = (text(elements.contents_of(OCTET_STRING)?), text(elements.contents_of(OCTET_STRING)?));
        let mut outcome = Self { code, matched, text: said, places: Vec::new() };
        let mut rest = elements;
        if let Some(Ok(next)) = rest.next()
            && next.tag == REFERRAL
        {
            outcome.places = places(next.contents)?;
            elements = rest;
        }
        Ok((outcome, elements))
    }

    /// Whether the operation was not done here because another directory has what it was asked of.
    pub fn is_elsewhere(&self) -> bool {
        self.code == ELSEWHERE
    }

    /// The error of a bind that ended so.
    pub fn of_bind(&self) -> AgentError {
        let kind = if WHO_IN_BIND.contains(&self.code) { ErrorKind::AUTH } else { self.kind() };
        self.error(kind)
    }

    /// The error of a search that ended so.
    pub fn of_search(&self) -> AgentError {
        self.error(self.kind())
    }

    /// The error of a StartTLS that ended so.
    pub fn of_start_tls(&self) -> AgentError {
        self.error(ErrorKind::TLS)
    }

    fn kind(&self) -> ErrorKind {
        match self.code {
            TIME_LIMIT => ErrorKind::TIMEOUT,
            code if LIMITS.contains(&code) => ErrorKind::LIMIT,
            code if WHO.contains(&code) => ErrorKind::AUTH,
            _ => ErrorKind::PROTOCOL,
        }
    }

    fn error(&self, kind: ErrorKind) -> AgentError {
        AgentError::new(kind, format!("the server answered {self}"))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(code, _)| *code == self.code) {
            Some((code, name)) => write!(f, "{name} ({code})")?,
            None => write!(f, "{}", self.code)?,
        }
        if !self.text.is_empty() {
            write!(f, ": {}", quoted(&self.text))?;
        }
        if !self.matched.is_empty() {
            write!(f, "; it knows \"{}\"", quoted(&self.matched))?;
        }
        if !self.places.is_empty() {
            write!(f, "; it refers to {}", quoted(&self.places.join(" ")))?;
        }
        Ok(())
    }
}

/// Reads the first few of a list of places.
pub fn places(list: &[u8]) -> Result<Vec<String>, Fault> {
    let read = Elements::of(list).take(PLACES_MAX).map(|place| match place? {
        place if place.tag == OCTET_STRING => Ok(text(place.contents)),
        _ => Err(Fault("a place is no text")),
    });
    read.collect()
}

/// A directory's text; bytes that are no UTF-8 are replaced.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ber;

    fn outcome(code: u32, matched: &str, said: &str, rest: &[u8]) -> Outcome {
        let strings = [matched, said].map(|text| ber::element(OCTET_STRING, text)).concat();
        let body = [&ber::number(ENUMERATED, code), strings.as_slice(), rest].concat();
        Outcome::read(&body).unwrap().0
    }

    #[test]
    fn an_outcome_is_a_name_and_what_the_directory_adds_to_it() {
        let check = |outcome: Outcome, expected: &str| assert_eq!(outcome.to_string(), expected);
        check(outcome(0, "", "", &[]), "success (0)");
        check(outcome(49, "", "no\u{7}", &[]), "invalidCredentials (49): no\\u{7}");
        check(outcome(32, "dc=lab,dc=test", "", &[]), "noSuchObject (32); it knows \"dc=lab,dc=test\"");
        check(outcome(4096, "", "own", &[]), "4096: own");
        let places = ber::list(REFERRAL, &vec![ber::element(OCTET_STRING, "ldap://b"); 9]);
        let five = ["ldap://b"; 5].join(" ");
        check(outcome(10, "", "", &places), &format!("referral (10); it refers to {five}"));
        assert_eq!(outcome(1, "", &"é".repeat(1000), &[]).to_string().chars().count(), "operationsError (1): ".len() + 301);
    }

    #[test]
    fn the_kind_says_whose_fault_it_is() {
        let check = |codes: &[u32], bind, search| {
            for &code in codes {
                let outcome = outcome(code, "", "", &[]);
                assert_eq!((outcome.of_bind().kind().name(), outcome.of_search().kind().name()), (bind, search), "{code}");
                assert_eq!(outcome.of_start_tls().kind(), ErrorKind::TLS);
            }
        };
        check(&[7, 8, 13, 48, 49, 50], "auth", "auth");
        check(&[32, 34, 53], "auth", "protocol");
        check(&[3], "timeout", "timeout");
        check(&[4, 11], "limit", "limit");
        check(&[1, 2, 10, 12, 14, 51, 52, 54, 80, 4096], "protocol", "protocol");
    }

    #[test]
    fn what_is_no_result_is_a_fault() {
        let check = |body: &[u8], expected| assert_eq!(Outcome::read(body).unwrap_err().0, expected);
        check(&[], "an element is missing");
        check(&[2, 1, 0, 4, 0, 4, 0], "an element is of another type");
        check(&[10, 1, 0, 4, 0], "an element is missing");
        check(&[10, 1, 10, 4, 0, 4, 0, REFERRAL, 3, 2, 1, 0], "a place is no text");
    }
}
