//! Finds the daemon of a configuration that names another data folder than when that daemon was started.
//!
//! Only then are processes looked at; what they say of themselves is as good as who runs them, and decides nothing.

use std::{
    ffi::OsString,
    fs,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use clap::Parser;

use super::{Arguments, Command, load::PLACES};

/// A daemon that runs a configuration.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Elsewhere {
    /// Its process.
    pub(super) pid: u32,
    /// Its data folder; unknown if the process is another user's.
    pub(super) data: Option<PathBuf>,
}

/// Finds the daemon that was started with this file.
pub(super) fn find(file: &Path) -> Option<Elsewhere> {
    let file = fs::canonicalize(file).ok()?;
    let processes = fs::read_dir("/proc").ok()?;
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut runs = pids.filter(|pid| configuration(*pid).is_some_and(|named| named == file));
    let pid = runs.next()?;
    Some(Elsewhere { pid, data: locked(pid) })
}

/// The configuration that a process was told to run, if it is a daemon of ours.
fn configuration(pid: u32) -> Option<PathBuf> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = line.strip_suffix(b"\0")?.split(|byte| *byte == 0);
    let words: Vec<OsString> = words.map(|word| OsString::from_vec(word.to_vec())).collect();
    if Path::new(words.first()?).file_name()? != "watchpost" {
        return None;
    }
    let arguments = Arguments::try_parse_from(words).ok()?;
    let Command::Run(_) = arguments.command else { return None };
    let folder = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    let named = match arguments.config {
        Some(file) => folder.join(file),
        None => PLACES.iter().map(|place| folder.join(place)).find(|path| path.exists())?,
    };
    fs::canonicalize(named).ok()
}

/// The data folder that a daemon holds, by the lock that it has open.
fn locked(pid: u32) -> Option<PathBuf> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let files = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let mut locks = files.filter(|path| path.file_name().is_some_and(|name| name == "lock"));
    locks.find_map(|lock| lock.parent().map(Path::to_owned).filter(|folder| folder.join("journal").is_dir()))
}
