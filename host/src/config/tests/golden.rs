//! Files under `cases/` and what is said of each; `UPDATE=1` writes what is said today.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// Lists the files or folders of `cases/<claim>`, what is said of them left out.
pub(super) fn cases(claim: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/cases").join(claim);
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (said, mut cases): (Vec<_>, Vec<_>) = entries.partition(|path| path.extension().is_some_and(|ending| ending == "txt"));
    let told: Vec<_> = cases.iter().map(|case| case.with_extension("txt")).collect();
    let orphans: Vec<_> = said.iter().filter(|said| !told.contains(said)).collect();
    assert!(orphans.is_empty(), "said of no case: {orphans:?}");
    cases.sort();
    assert!(!cases.is_empty(), "no case of {claim}");
    cases
}

/// Compares what is said of a case with the text beside it.
pub(super) fn compare(case: &Path, said: &str) -> Result<(), String> {
    let file = case.with_extension("txt");
    if env::var_os("UPDATE").is_some() {
        fs::write(&file, format!("{said}\n")).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    if expected.trim_end() == said {
        return Ok(());
    }
    Err(format!("{}\n--- expected\n{expected}\n--- said\n{said}\n", file.display()))
}

/// Runs every case of a claim and shows all that differ.
pub(super) fn check(claim: &str, say: impl Fn(&Path) -> String) {
    let differing: Vec<_> = cases(claim).iter().filter_map(|case| compare(case, &say(case)).err()).collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
