//! What a reload changes beside jobs: rules, and who is told of alarms.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::Config;

/// How many of a kind are new, otherwise and gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    /// New ones.
    pub added: usize,
    /// Those that say something else.
    pub changed: usize,
    /// Those that are gone.
    pub removed: usize,
}

impl Amounts {
    /// In words: "1 added, 0 changed, 2 removed".
    pub fn said(self) -> String {
        format!("{} added, {} changed, {} removed", self.added, self.changed, self.removed)
    }
}

/// What changed from one configuration to the next, by the word for it; what did not change is left out.
pub(super) fn changes(before: &Config, after: &Config) -> BTreeMap<String, Amounts> {
    let kinds = [
        ("rules", amounts(&before.rules, &after.rules, |rule| (rule.of_job.clone(), rule.name.value.clone()))),
        ("channels", amounts(&before.channels, &after.channels, |channel| channel.name.clone())),
        ("persons", amounts(&before.persons, &after.persons, |person| person.name.clone())),
        ("rosters", amounts(&before.rosters, &after.rosters, |roster| roster.name.clone())),
        ("maintenance windows", amounts(&before.maintenance, &after.maintenance, |window| window.name.value.clone())),
        ("objectives", amounts(&before.objectives, &after.objectives, |objective| objective.name.value.clone())),
        ("routes", in_order(&before.routes, &after.routes)),
        ("alarms of the host", in_order(&[&before.host_alarms], &[&after.host_alarms])),
    ];
    let changed = kinds.into_iter().filter(|(_, amounts)| *amounts != Amounts::default());
    changed.map(|(kind, amounts)| (kind.to_owned(), amounts)).collect()
}

/// Compares what has names.
fn amounts<T: PartialEq, N: Ord>(before: &[T], after: &[T], name: impl Fn(&T) -> N) -> Amounts {
    let known: BTreeMap<N, &T> = before.iter().map(|one| (name(one), one)).collect();
    let now: BTreeMap<N, &T> = after.iter().map(|one| (name(one), one)).collect();
    Amounts {
        added: now.keys().filter(|name| !known.contains_key(name)).count(),
        changed: now.iter().filter(|(name, one)| known.get(name).is_some_and(|before| before != *one)).count(),
        removed: known.keys().filter(|name| !now.contains_key(name)).count(),
    }
}

/// Compares what has none, one after the other.
fn in_order<T: PartialEq>(before: &[T], after: &[T]) -> Amounts {
    Amounts {
        added: after.len().saturating_sub(before.len()),
        changed: before.iter().zip(after).filter(|(before, after)| before != after).count(),
        removed: before.len().saturating_sub(after.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_name_changes_by_it_and_what_has_none_by_its_place() {
        let named = amounts(&[("a", 1), ("b", 1), ("c", 1)], &[("d", 1), ("b", 2), ("a", 1)], |one| one.0);
        assert_eq!(named, Amounts { added: 1, changed: 1, removed: 1 });
        assert_eq!(in_order(&[1, 2], &[1, 3, 4]), Amounts { added: 1, changed: 1, removed: 0 });
        assert_eq!(in_order(&[1, 2], &[1]), Amounts { added: 0, changed: 0, removed: 1 });
    }
}
