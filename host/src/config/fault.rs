//! What is wrong with a configuration, and where: collected, never thrown one by one.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Place, Rule};

/// Whether a fault stops the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Nothing is run with it.
    Error,
    /// It runs, and somebody should look.
    Warning,
}

/// One thing that is wrong; shown as the command line prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Whether it stops the daemon.
    pub weight: Weight,
    /// Which rule is broken.
    pub rule: Rule,
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// What failed, and why.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
}

impl Fault {
    /// Makes a fault of the weight that its rule has.
    pub fn new(rule: Rule, place: &Place, message: impl Into<String>) -> Self {
        Self { weight: rule.weight(), rule, place: place.clone(), message: message.into(), hint: None }
    }

    /// Says what would be right.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says what would be right, if that is known.
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weight = match self.weight {
            Weight::Error => "error",
            Weight::Warning => "warning",
        };
        write!(f, "{weight}: {}", self.message)?;
        // A fault of a file as a whole names it in its message.
        if self.place.spot.is_some() {
            write!(f, "\n  --> {}", self.place)?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  = {hint}"),
            None => Ok(()),
        }
    }
}

/// Everything found wrong in one go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Adds one.
    pub fn push(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Says whether anything stops the daemon.
    pub fn stop(&self) -> bool {
        self.0.iter().any(|fault| fault.weight == Weight::Error)
    }

    /// Counts what hides a part of the configuration: whatever stops the daemon, but for secrets that are out of reach.
    pub fn hiding(&self) -> usize {
        self.0.iter().filter(|fault| fault.weight == Weight::Error && !fault.rule.is_secret_out_of_reach()).count()
    }

    /// Why nothing is run with them, in a line: how many errors there are, and the first. Warnings refuse nothing.
    pub fn refusal(&self) -> String {
        let errors = || self.0.iter().filter(|fault| fault.weight == Weight::Error);
        let first = errors().next().map(|fault| fault.to_string().replace('\n', " ")).unwrap_or_default();
        let first = first.trim_start_matches("error: ");
        match errors().count() {
            1 => format!("1 error: {first}"),
            count => format!("{count} errors, the first: {first}"),
        }
    }

    /// Sorts them by file and place; what several jobs inherit from one place is told once.
    pub fn sorted(self) -> Self {
        let mut faults = self.0;
        faults.sort_by(|a, b| (&a.place, a.weight, &a.message, &a.hint).cmp(&(&b.place, b.weight, &b.message, &b.hint)));
        faults.dedup();
        Self(faults)
    }

    /// Lends them in the order they have.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }
}

impl Extend<Fault> for Faults {
    fn extend<I: IntoIterator<Item = Fault>>(&mut self, more: I) {
        self.0.extend(more);
    }
}

impl IntoIterator for Faults {
    type Item = Fault;
    type IntoIter = std::vec::IntoIter<Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl From<Vec<Fault>> for Faults {
    fn from(faults: Vec<Fault>) -> Self {
        Self(faults)
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().enumerate() {
            write!(f, "{}{fault}", if at == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_printed_with_its_place_and_what_would_be_right() {
        let place = Place::at(std::path::Path::new("schedules/paris.toml"), 3, 7);
        let fault = Fault::new(Rule::KeyUnknown, &place, "`evry`: unknown key").hint("did you mean `every`?");
        assert_eq!(fault.to_string(), "error: `evry`: unknown key\n  --> schedules/paris.toml:3:7\n  = did you mean `every`?");
    }

    #[test]
    fn why_nothing_is_run_is_an_error_and_no_warning_that_stands_before_it() {
        let fault = |rule, line, message: &str| Fault::new(rule, &Place::at(std::path::Path::new("w.toml"), line, 1), message);
        let warning = fault(Rule::SecretPlain, 1, "a secret");
        let error = |line| fault(Rule::KeyUnknown, line, "`bogus`: unknown key");
        let refusal = |faults: Vec<Fault>| Faults::from(faults).refusal();
        assert_eq!(refusal(vec![warning.clone(), error(3)]), "1 error: `bogus`: unknown key   --> w.toml:3:1");
        assert_eq!(refusal(vec![warning, error(3), error(4)]), "2 errors, the first: `bogus`: unknown key   --> w.toml:3:1");
    }

    #[test]
    fn a_fault_crosses_as_json() {
        let place = Place::at(std::path::Path::new("w.toml"), 3, 7);
        let fault = Fault::new(Rule::SecretPlain, &place, "w").hint("h");
        let expected = serde_json::json!({
            "weight": "warning", "rule": "secret-plain", "file": "w.toml", "line": 3, "column": 7, "message": "w", "hint": "h",
        });
        assert_eq!(serde_json::to_value(&fault).unwrap(), expected);
        assert_eq!(serde_json::from_value::<Fault>(expected).unwrap(), fault);
    }

    #[test]
    fn a_fault_of_a_whole_file_has_no_made_up_line() {
        let fault = Fault::new(Rule::FileUnreadable, &Place::whole("w.toml"), "cannot read w.toml");
        assert_eq!(fault.to_string(), "error: cannot read w.toml");
        let crossed = serde_json::to_value(&fault).unwrap();
        assert_eq!((&crossed["file"], &crossed["line"], &crossed["column"]), (&"w.toml".into(), &().into(), &().into()));
        assert_eq!(serde_json::from_value::<Fault>(crossed).unwrap(), fault);
    }
}
