//! What was done to names of series files since a checkpoint: how much of it the disk has, and how it is taken back.
//!
//! Each thing is noted durably before it is done, and done to the disk in that order. After a loss of power the disk may have none of it,
//! all, or the first part; of which part it is tell the names that are there.

use std::collections::{BTreeMap, BTreeSet};

use crate::series::catalogue::Change;
use crate::series::header::Image;

/// What is to be done for all names to be what they were, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Since {
    pub(super) undoings: Vec<Undoing>,
    /// Heads as they were at the checkpoint, by the name that the file had then and will have again.
    pub(super) heads: BTreeMap<String, Image>,
}

/// One step back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Undoing {
    /// A file has its name of before again, in the place of whatever lies there.
    Rename { now: String, before: String },
    /// A file that was made since is removed.
    Remove(String),
    /// A file was made where the checkpoint has one, which was gone; who knows whether that one came back instead.
    Doubt(String),
}

/// Who lies at a name: a file that did so at the checkpoint, by its name then; nothing for one that was made since.
type Who<'a> = Option<&'a str>;

/// The names at one moment, of files that anything was done to.
struct Names<'a, F> {
    who: BTreeMap<&'a str, Who<'a>>,
    is_there: F,
}

impl<F: Fn(&str) -> bool> Names<'_, F> {
    /// How many of these names speak against this moment: where a file of the checkpoint is not there, or one is where nothing should be;
    /// and how many do so less: one that was made since may not have come to be.
    fn against(&self, names: &[&str]) -> (usize, usize) {
        let count = |speaks: &dyn Fn(&str, Option<&Who>) -> bool| names.iter().filter(|name| speaks(name, self.who.get(**name))).count();
        let wrong = count(&|name, who| match who {
            Some(who) => who.is_some() && !(self.is_there)(name),
            None => (self.is_there)(name),
        });
        (wrong, count(&|name, who| who == Some(&None) && !(self.is_there)(name)))
    }
}

impl Since {
    /// Follows what was noted, given the names of files that the checkpoint knows, and which names are there now.
    pub(super) fn of(changes: &[Change], known: &BTreeSet<String>, is_there: impl Fn(&str) -> bool) -> Self {
        let mut since = Self::default();
        let mut names = Names { who: at_the_checkpoint(changes, known), is_there };
        let mentioned: BTreeSet<&str> = changes.iter().flat_map(names_of).collect();
        let mut against = names.against(&mentioned.into_iter().collect::<Vec<_>>());
        let (mut least, mut done) = (against, 0);
        for change in changes {
            let touched = names_of(change);
            let before = names.against(&touched);
            match change {
                Change::Born { path } => {
                    let is_in_doubt = names.who.get(path.as_str()).is_some_and(Option::is_some);
                    names.who.entry(path).or_insert(None);
                    since.undoings.push(if is_in_doubt { Undoing::Doubt(path.clone()) } else { Undoing::Remove(path.clone()) });
                }
                Change::Moved { from, to } => {
                    let who = names.who.remove(from.as_str()).unwrap_or(None);
                    names.who.insert(to, who);
                    since.undoings.push(Undoing::Rename { now: to.clone(), before: from.clone() });
                }
                Change::Written { path, image } => {
                    if let Some(then) = names.who.get(path.as_str()).copied().unwrap_or(Some(path)) {
                        since.heads.entry(then.to_owned()).or_insert_with(|| image.clone());
                    }
                }
            }
            let after = names.against(&touched);
            against = (against.0 + after.0 - before.0, against.1 + after.1 - before.1);
            if against <= least {
                (least, done) = (against, since.undoings.len());
            }
        }
        since.undoings.truncate(done);
        since.undoings.reverse();
        since
    }
}

/// Files that something was done to: those that the catalogue knows, and strangers that were moved out of the way.
fn at_the_checkpoint<'a>(changes: &'a [Change], known: &BTreeSet<String>) -> BTreeMap<&'a str, Who<'a>> {
    let (mut who, mut seen) = (BTreeMap::new(), BTreeSet::new());
    for change in changes {
        let names = names_of(change);
        if let [first, ..] = names[..] {
            let is_moved = matches!(change, Change::Moved { .. });
            if (is_moved && !seen.contains(first)) || known.contains(first) {
                who.insert(first, Some(first));
            }
        }
        if let Some(to) = names.get(1).filter(|to| known.contains(**to)) {
            who.insert(to, Some(*to));
        }
        seen.extend(names);
    }
    who
}

/// The names that a change fills or empties.
fn names_of(change: &Change) -> Vec<&str> {
    match change {
        Change::Born { path } => vec![path],
        Change::Moved { from, to } => vec![from, to],
        Change::Written { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(from: &str, to: &str) -> Change {
        Change::Moved { from: from.into(), to: to.into() }
    }

    fn born(path: &str) -> Change {
        Change::Born { path: path.into() }
    }

    /// What is done to a disk with these files, `who` of each as at the checkpoint, or `+` for one that was made since.
    fn taken_back(changes: &[Change], disk: &[(&str, &str)]) -> Vec<(String, String)> {
        let known: BTreeSet<String> = ["a", "b", "c"].map(str::to_owned).into();
        let mut disk: BTreeMap<String, String> = disk.iter().map(|(name, who)| ((*name).to_owned(), (*who).to_owned())).collect();
        for undoing in Since::of(changes, &known, |name| disk.contains_key(name)).undoings {
            match undoing {
                Undoing::Rename { now, before } => drop(disk.remove(&now).map(|who| disk.insert(before, who))),
                Undoing::Remove(path) | Undoing::Doubt(path) => drop(disk.remove(&path)),
            }
        }
        disk.into_iter().collect()
    }

    /// Whatever first part of the changes the disk has, and whether files that were made since came to be or not (one that was moved did), all
    /// is as it was; and so it is when it is taken back for a second time.
    fn check(changes: &[Change]) {
        let checkpoint: BTreeMap<String, String> = ["a", "b", "c"].map(|name| (name.to_owned(), name.to_owned())).into();
        let strangers = changes.iter().find_map(|change| match change {
            Change::Moved { from, .. } if from == "stranger" => Some(("stranger".to_owned(), "stranger".to_owned())),
            _ => None,
        });
        let checkpoint: BTreeMap<_, _> = checkpoint.into_iter().chain(strangers).collect();
        for done in 0..=changes.len() {
            let is_moved = |path: &str| changes[..done].iter().any(|change| matches!(change, Change::Moved { from, .. } if from == path));
            for unborn in 0..1_u32 << changes.len() {
                let mut disk = checkpoint.clone();
                for (n, change) in changes[..done].iter().enumerate() {
                    match change {
                        Change::Born { path } if unborn & 1 << n == 0 || is_moved(path) => drop(disk.insert(path.clone(), "+".into())),
                        Change::Moved { from, to } => drop(disk.remove(from).map(|who| disk.insert(to.clone(), who))),
                        _ => {}
                    }
                }
                let found: Vec<_> = disk.iter().map(|(name, who)| (name.as_str(), who.as_str())).collect();
                let back = taken_back(changes, &found);
                assert_eq!(back, checkpoint.clone().into_iter().collect::<Vec<_>>(), "{done} done of {changes:?}: {found:?}");
                let again: Vec<_> = back.iter().map(|(name, who)| (name.as_str(), who.as_str())).collect();
                assert_eq!(taken_back(changes, &again), back, "taken back twice: {changes:?}");
            }
        }
    }

    #[test]
    fn names_are_what_they_were_whatever_part_of_the_changes_the_disk_has() {
        check(&[born("d")]);
        check(&[moved("a", "a.1"), born("a")]);
        check(&[moved("a", "a.1"), born("a"), moved("a", "a.2"), born("a")]);
        check(&[born("d"), moved("d", "d.1"), born("d")]);
        check(&[moved("a", "a.1"), moved("a.1", "a.2")]);
        check(&[moved("stranger", "stranger.1"), born("stranger")]);
        // A job that is called otherwise has its files where another one's were.
        check(&[moved("a", "a.1"), moved("b", "a")]);
        check(&[moved("a", "a.1"), moved("b", "a"), born("b"), moved("c", "c.1"), moved("a", "c")]);
        check(&[moved("a", "a.1"), born("a"), moved("a", "a.2"), moved("b", "a"), born("b")]);
    }

    #[test]
    fn a_head_belongs_to_the_file_that_had_the_name_when_it_was_noted() {
        let heads = [1_u8, 2].map(|n| postcard::from_bytes::<Image>(&postcard::to_stdvec(&(128_u64, 7_u32, vec![n])).unwrap()).unwrap());
        let written = |path: &str, n: usize| Change::Written { path: path.into(), image: heads[n].clone() };
        let changes = [written("a", 0), moved("a", "a.1"), moved("b", "a"), written("a", 1), written("a.1", 1)];
        let known = ["a", "b"].map(str::to_owned).into();
        let since = Since::of(&changes, &known, |name| ["a", "a.1"].contains(&name));
        assert_eq!(since.heads, [("a".to_owned(), heads[0].clone()), ("b".to_owned(), heads[1].clone())].into());
    }

    #[test]
    fn a_file_made_where_one_of_the_checkpoint_was_gone_is_in_doubt() {
        let known = ["a".to_owned()].into();
        assert_eq!(Since::of(&[born("a")], &known, |_| true).undoings, [Undoing::Doubt("a".into())]);
        assert_eq!(Since::of(&[moved("a", "a.1"), born("a")], &known, |_| true).undoings[0], Undoing::Remove("a".into()));
    }
}
