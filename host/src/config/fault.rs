//! What is wrong with a configuration, and where: collected, never thrown one by one.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

/// A character of a file; line and column count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The file, as it was named.
    #[serde(with = "shared_path")]
    pub file: Arc<Path>,
    /// Its line.
    pub line: u32,
    /// The character of that line.
    pub column: u32,
}

impl Place {
    /// Points at a file as a whole: its first character.
    pub fn start_of(file: impl AsRef<Path>) -> Self {
        Self { file: file.as_ref().into(), line: 1, column: 1 }
    }

    /// Completes a path that this file names: a relative one is relative to the file, never to the working directory.
    pub fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    /// Completes a path so that it also holds in a process with another working directory.
    pub fn absolute(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = self.resolve(path);
        std::path::absolute(&path).unwrap_or(path)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// A value and where it was written; two are equal when their values are.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// What was written.
    pub value: T,
    /// Where.
    pub place: Place,
}

impl<T: PartialEq> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T> std::ops::Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

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
    /// Where.
    pub place: Place,
    /// What failed, and why.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
}

impl Fault {
    /// Makes a fault that stops the daemon.
    pub fn new(place: &Place, message: impl Into<String>) -> Self {
        Self { weight: Weight::Error, place: place.clone(), message: message.into(), hint: None }
    }

    /// Makes a fault that does not.
    pub fn warning(place: &Place, message: impl Into<String>) -> Self {
        Self { weight: Weight::Warning, ..Self::new(place, message) }
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
        write!(f, "{weight}: {}\n  --> {}", self.message, self.place)?;
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

    /// Lists them by file and place; what several jobs inherit from one place appears once.
    pub fn into_sorted(self) -> Vec<Fault> {
        let mut faults = self.0;
        faults.sort_by(|a, b| (&a.place, a.weight, &a.message).cmp(&(&b.place, b.weight, &b.message)));
        faults.dedup();
        faults
    }

    /// Sorts them in place, as [`into_sorted`](Self::into_sorted) lists them.
    pub fn sorted(self) -> Self {
        Self(self.into_sorted())
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

/// Finds the name that was probably meant.
pub(crate) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&written.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1.max(written.chars().count().max(name.chars().count()) / 3))
        .min()
        .map(|(_, name)| name)
}

/// Says which name was probably meant, else lists those there are.
pub(super) fn did_you_mean<'a>(written: &str, all: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(written, known.clone()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("{all}: {}", listed(known)),
    }
}

/// Lists names as messages do.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

mod shared_path {
    use std::{
        path::{Path, PathBuf},
        sync::Arc,
    };

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(path: &Arc<Path>, into: S) -> Result<S::Ok, S::Error> {
        path.to_string_lossy().serialize(into)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Path>, D::Error> {
        Ok(PathBuf::deserialize(from)?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_printed_with_its_place_and_what_would_be_right() {
        let place = Place { line: 3, column: 7, ..Place::start_of("schedules/paris.toml") };
        let fault = Fault::new(&place, "`evry`: unknown key").hint("did you mean `every`?");
        assert_eq!(fault.to_string(), "error: `evry`: unknown key\n  --> schedules/paris.toml:3:7\n  = did you mean `every`?");
    }

    #[test]
    fn a_fault_crosses_as_json() {
        let fault = Fault::warning(&Place::start_of("w.toml"), "w");
        let text = serde_json::to_string(&fault).unwrap();
        assert_eq!(serde_json::from_str::<Fault>(&text).unwrap(), fault);
    }

    #[test]
    fn only_a_near_name_is_taken_for_what_was_meant() {
        assert_eq!(nearest("evry", ["name", "every", "cron"]), Some("every"));
        assert_eq!(nearest("TimeOut", ["timezone", "timeout"]), Some("timeout"));
        assert_eq!(nearest("colour", ["name", "every", "cron"]), None);
    }
}
