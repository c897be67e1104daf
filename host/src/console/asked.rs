//! What a reader of the start page asks for: some of the jobs, and which part of them.

use std::fmt::{self, Display};

use super::html::Encoded;
use crate::{
    latest::{Health, JobState},
    reading::Shape,
};

/// Characters of a filter that count.
const FILTER_CHARS_MAX: usize = 100;

/// Which jobs are shown; said in the address, so that it can be kept and passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Only those that stand so.
    pub(super) health: Option<Health>,
    /// Only those whose name, target, agent or labels have this in them; small letters.
    pub(super) filter: String,
    /// Which part of them, from 0 on.
    pub(super) part: usize,
}

impl Asked {
    /// Reads the parameters of the page's address; one that makes no sense is passed over.
    pub fn from_pairs(pairs: &[(String, String)]) -> Self {
        let mut asked = Self::default();
        for (key, value) in pairs {
            match key.as_str() {
                "show" => asked.health = [Health::Ok, Health::Failing, Health::Unknown].into_iter().find(|health| health.name() == value),
                "filter" => asked.filter = value.trim().to_lowercase().chars().take(FILTER_CHARS_MAX).collect(),
                "page" => asked.part = value.parse::<usize>().unwrap_or(1).saturating_sub(1),
                _ => {}
            }
        }
        asked
    }

    /// Says whether a job has what the filter asks for.
    pub(super) fn fits(&self, job: &JobState) -> bool {
        let Shape { job: name, agent, target, labels, .. } = &*job.shape;
        let has = |text: &str| text.to_lowercase().contains(&self.filter);
        self.filter.is_empty()
            || [name, agent, target].into_iter().any(|text| has(text))
            || labels.iter().any(|(key, value)| has(&format!("{key}={value}")))
    }

    /// The same jobs, of those only that stand so; from the first on.
    pub(super) fn of_health(&self, health: Option<Health>) -> Self {
        Self { health, part: 0, ..self.clone() }
    }

    /// Another part of the same jobs.
    pub(super) fn of_part(&self, part: usize) -> Self {
        Self { part, ..self.clone() }
    }
}

/// The address of the page, not escaped for HTML.
impl Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("/")?;
        let mut before = '?';
        let page = (self.part > 0).then(|| (self.part + 1).to_string());
        let filter = Some(self.filter.as_str()).filter(|filter| !filter.is_empty());
        for (key, value) in [("show", self.health.map(Health::name)), ("filter", filter), ("page", page.as_deref())] {
            if let Some(value) = value {
                write!(f, "{before}{key}={}", Encoded(value))?;
                before = '&';
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &[(&str, &str)]) -> Asked {
        let pairs: Vec<_> = query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Asked::from_pairs(&pairs)
    }

    #[test]
    fn an_address_says_what_was_asked() {
        assert_eq!(asked(&[]).to_string(), "/");
        let some = asked(&[("show", "failing"), ("filter", " Site=Paris&\"<é "), ("page", "3")]);
        assert_eq!((some.health, some.part), (Some(Health::Failing), 2));
        assert_eq!(some.to_string(), "/?show=failing&filter=site%3Dparis%26%22%3C%C3%A9&page=3");
        assert_eq!(some.of_health(None).to_string(), "/?filter=site%3Dparis%26%22%3C%C3%A9");
    }

    #[test]
    fn what_makes_no_sense_asks_for_nothing() {
        for page in ["0", "-1", "x", ""] {
            assert_eq!(asked(&[("show", "all"), ("page", page), ("other", "x")]), Asked::default(), "{page}");
        }
        assert_eq!(asked(&[("page", "99999999999999999999")]), Asked::default());
        assert_eq!(asked(&[("filter", &"é".repeat(5000))]).filter.chars().count(), FILTER_CHARS_MAX);
    }
}
