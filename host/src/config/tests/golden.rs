//! Files under `cases/` and what is said of each; `UPDATE=1` writes what is said today.
//!
//! A case is named after the rule that it breaks, `name-illegal.toml`, or after that and what is special, `name-illegal--with-targets.toml`.
//! Those of `together/` break several rules at once.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use super::House;
use crate::config::{Faults, Rule};

/// The folder of the cases of a claim.
pub(super) fn folder(claim: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/cases").join(claim)
}

/// Lists the files or folders of `cases/<claim>`, what is said of them left out.
pub(super) fn cases(claim: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder(claim)).unwrap().map(|entry| entry.unwrap().path());
    let (said, mut cases): (Vec<_>, Vec<_>) = entries.partition(|path| path.extension().is_some_and(|ending| ending == "txt"));
    let told: Vec<_> = cases.iter().map(|case| case.with_extension("txt")).collect();
    let orphans: Vec<_> = said.iter().filter(|said| !told.contains(said)).collect();
    assert!(orphans.is_empty(), "said of no case: {orphans:?}");
    cases.sort();
    assert!(!cases.is_empty(), "no case of {claim}");
    cases
}

/// The name of the rule that a case is to break.
pub(super) fn rule_of(case: &Path) -> &str {
    let stem = case.file_stem().unwrap().to_str().unwrap();
    stem.split_once("--").map_or(stem, |(rule, _)| rule)
}

/// Each case breaks the rule that it is named after, and no other, with the message beside it.
pub(super) fn check(claim: &str, say: impl Fn(&Path) -> (House, Faults)) {
    check_but(claim, None, say);
}

/// Checks as [`check`] does, but for the case of one rule, which not everybody can set up.
pub(super) fn check_but(claim: &str, left_out: Option<Rule>, say: impl Fn(&Path) -> (House, Faults)) {
    let cases = cases(claim).into_iter().filter(|case| left_out.is_none_or(|rule| rule.name() != rule_of(case)));
    compare(cases, say, |case, broken| broken == [rule_of(case)]);
}

/// Each case breaks several rules, or one several times, with the messages beside it.
pub(super) fn check_together(claim: &str, say: impl Fn(&Path) -> (House, Faults)) {
    compare(cases(claim), say, |_, broken| broken.len() > 1);
}

fn compare(
    cases: impl IntoIterator<Item = PathBuf>,
    say: impl Fn(&Path) -> (House, Faults),
    breaks_what_it_should: impl Fn(&Path, &[&str]) -> bool,
) {
    let differs = |case: PathBuf| {
        let (house, faults) = say(&case);
        let broken: Vec<_> = faults.iter().map(|fault| fault.rule.name()).collect();
        if !breaks_what_it_should(&case, &broken) {
            return Some(format!("{} breaks {broken:?}:\n{faults}\n", case.display()));
        }
        differs_from_file(&case, &house.shown(&faults))
    };
    let differing: Vec<_> = cases.into_iter().filter_map(differs).collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// Compares what is said of a case with the text beside it.
fn differs_from_file(case: &Path, said: &str) -> Option<String> {
    let file = case.with_extension("txt");
    if env::var_os("UPDATE").is_some() {
        fs::write(&file, format!("{said}\n")).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    (expected.trim_end() != said).then(|| format!("{}\n--- expected\n{expected}\n--- said\n{said}\n", file.display()))
}
