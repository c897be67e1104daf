//! What must be so of an answer.

use serde_json::Value;
use watchpost_plugin_api::{AgentError, ErrorKind, quoted};

use crate::{
    page::{Page, Source},
    script::Otherwise,
    template::{Template, Words},
};

/// An expectation that was checked.
#[derive(Clone, Debug)]
pub(crate) struct Expectation {
    pub(crate) status: Option<Vec<u16>>,
    pub(crate) content: Option<(Source, Test)>,
    pub(crate) otherwise: Otherwise,
}

/// How something is looked at.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    Exists,
    Contains(Template),
    Lacks(Template),
    Equals(Value),
    /// Equals a text with words in it.
    Is(Template),
}

impl Expectation {
    /// Says what is not so.
    ///
    /// Errors: of the kind that the expectation names.
    pub(crate) fn check(&self, page: &Page<'_>, words: &Words) -> Result<(), AgentError> {
        let status = page.head.status;
        if let Some(expected) = self.status.as_ref().filter(|expected| !expected.contains(&status)) {
            return Err(self.error(format!("status {status} instead of {}", listed(expected))));
        }
        match &self.content {
            Some((source, test)) if !test.holds(page, source, words) => {
                let missed = test.missed(source, page.text(source).is_some(), words);
                Err(self.error(format!("{missed}; the status is {status}")))
            }
            _ => Ok(()),
        }
    }

    fn error(&self, message: String) -> AgentError {
        match self.otherwise {
            Otherwise::Protocol => AgentError::new(ErrorKind::PROTOCOL, message),
            Otherwise::Auth => AgentError::new(ErrorKind::AUTH, message),
        }
    }
}

impl Test {
    fn holds(&self, page: &Page<'_>, source: &Source, words: &Words) -> bool {
        let text = || page.text(source);
        match (self, source) {
            (Self::Exists, Source::Json(pointer)) => page.json(pointer).is_some(),
            (Self::Exists, _) => text().is_some(),
            (Self::Contains(wanted), _) => text().is_some_and(|text| text.contains(&wanted.fill(words))),
            (Self::Lacks(unwanted), _) => text().is_some_and(|text| !text.contains(&unwanted.fill(words))),
            (Self::Equals(wanted), Source::Json(pointer)) => page.json(pointer) == Some(wanted),
            (Self::Equals(wanted), _) => text().is_some_and(|text| text == wanted.to_string()),
            (Self::Is(wanted), _) => text().is_some_and(|text| text == wanted.fill(words)),
        }
    }

    /// What is wrong, by what was expected: what was found, if anything was, may be somebody's mail.
    fn missed(&self, source: &Source, found: bool, words: &Words) -> String {
        let place = source.name();
        match self {
            Self::Exists => format!("no {}", place.trim_start_matches("the ")),
            Self::Lacks(_) if !found => format!("no {}", place.trim_start_matches("the ")),
            Self::Contains(wanted) => format!("no \"{}\" in {place}", quoted(&wanted.fill(words))),
            Self::Lacks(unwanted) => format!("\"{}\" in {place}", quoted(&unwanted.fill(words))),
            Self::Equals(wanted) => format!("something else than {} in {place}", quoted(&wanted.to_string())),
            Self::Is(wanted) => format!("something else than \"{}\" in {place}", quoted(&wanted.fill(words))),
        }
    }
}

fn listed(statuses: &[u16]) -> String {
    statuses.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ")
}
