//! What a check found, and what of it is news.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::{AgentError, Cx, Severity};

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// As it should be.
    Good,
    /// Not published.
    Absent,
    /// Published, and wrong.
    Faulty,
    /// Whoever was asked did not say.
    Unknown,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finding {
    pub(crate) state: State,
    /// What is published, or what is wrong with it; the target's text in it is quoted.
    pub(crate) text: String,
}

impl State {
    /// The word that ends the code of an event.
    fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Absent => "absent",
            Self::Faulty => "faulty",
            Self::Unknown => "unknown",
        }
    }
}

impl Finding {
    pub(crate) fn good(text: impl Into<String>) -> Self {
        Self { state: State::Good, text: text.into() }
    }

    pub(crate) fn absent(text: impl Into<String>) -> Self {
        Self { state: State::Absent, text: text.into() }
    }

    pub(crate) fn faulty(text: impl Into<String>) -> Self {
        Self { state: State::Faulty, text: text.into() }
    }

    pub(crate) fn unknown(text: impl Into<String>) -> Self {
        Self { state: State::Unknown, text: text.into() }
    }
}

/// What all checks found, by what was looked at: `spf`, `dkim s1`, `dnsbl zen.example`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Findings(pub(crate) BTreeMap<String, Finding>);

impl Findings {
    /// Notes a finding.
    pub(crate) fn add(&mut self, of: impl Into<String>, finding: Finding) {
        self.0.insert(of.into(), finding);
    }

    /// Reports what is new since `before`. What is seen for the first time and as it should be, or merely not there, is no news.
    pub(crate) fn report(&self, cx: &Cx, domain: &str, before: &Self) {
        for (of, finding) in &self.0 {
            let known = before.0.get(of);
            let is_news = match known {
                Some(known) => known != finding,
                None => matches!(finding.state, State::Faulty | State::Unknown),
            };
            if !is_news {
                continue;
            }
            let severity = match (finding.state, known) {
                (State::Faulty, _) => Severity::Major,
                (State::Unknown | State::Absent, _) => Severity::Warning,
                // What changed and is right again, or still, is worth a line.
                (State::Good, Some(Finding { state: State::Good, .. })) => Severity::Warning,
                (State::Good, _) => Severity::Indeterminate,
            };
            let check = of.split(' ').next().unwrap_or_default();
            cx.event(severity, &format!("{check}_{}", finding.state.word()), &format!("{domain}, {of}: {}", finding.text));
        }
    }

    /// What a later run compares with: what was found now, and, of what could not be found out, what was known before.
    pub(crate) fn over(self, mut before: Self) -> Self {
        before.0.extend(self.0);
        before
    }

    /// Fails if one of these checks found something wrong or nothing; what is unknown proves neither.
    pub(crate) fn require(&self, checks: &[&str]) -> Result<(), AgentError> {
        let wanted = |of: &str| checks.contains(&of.split(' ').next().unwrap_or_default());
        let wrong = self.0.iter().find(|(of, finding)| wanted(of) && matches!(finding.state, State::Faulty | State::Absent));
        wrong.map_or(Ok(()), |(of, finding)| Err(AgentError::protocol(format!("{of}: {}", finding.text))))
    }
}
