//! What a job is called.

use std::fmt;

use super::{At, Fault, Faults, Rule};

/// Characters of a job's name, at most.
const NAME_CHARS_MAX: usize = 80;

/// The name of a job: `[a-z0-9][a-z0-9._@-]{0,79}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobName(String);

impl JobName {
    /// Takes a name that keeps the rule.
    pub fn new(name: &str) -> Option<Self> {
        (name.len() <= NAME_CHARS_MAX && begins_well(name) && fits(name)).then(|| Self(name.into()))
    }

    /// Lends the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Says whether every character may stand in a name.
pub(super) fn fits(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._@-".contains(&byte))
}

fn begins_well(name: &str) -> bool {
    name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// Checks a name, whether written or made for a target.
pub(super) fn check(name: &At<String>, faults: &mut Faults) -> Option<At<JobName>> {
    if let Some(checked) = JobName::new(name) {
        return Some(At { value: checked, place: name.place.clone() });
    }
    let shown = format!("`name`: \"{}\"", name.escape_debug());
    let length = name.chars().count();
    faults.push(if begins_well(name) && fits(name) {
        let fault = Fault::new(Rule::NameTooLong, &name.place, format!("{shown} is too long for the name of a job"));
        fault.hint(format!("it has {length} characters, {NAME_CHARS_MAX} are allowed"))
    } else {
        let fault = Fault::new(Rule::NameIllegal, &name.place, format!("{shown} is no name of a job"));
        fault.hint("lower case letters, digits, `.`, `_`, `@` and `-`, the first a letter or a digit")
    });
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_name_is_a_word_of_at_most_80_characters() {
        for name in ["a", "0", "pop-paris", "mx@mx1.lab.test-25", &"a".repeat(80)] {
            assert!(JobName::new(name).is_some(), "{name}");
        }
        for name in ["", "-a", "@a", "Pop", "pop paris", "ä", "a/b", &"a".repeat(81)] {
            assert!(JobName::new(name).is_none(), "{name:?} passed");
        }
    }
}
