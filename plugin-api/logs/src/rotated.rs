//! Which files are the older part of a log.

use std::{
    cmp::Ordering,
    path::{Path, PathBuf},
};

use watchpost_plugin_api::{AgentError, Cx, FileStat};

/// Rotated files that are looked at, at most: more than any rotation keeps.
const FILES_MAX: usize = 1000;
/// Times a folder is read until two readings in a row agree: a rotation renames one file after another.
const READINGS_MAX: usize = 5;
/// Digits of a number that counts rotations; more are a date, or a time.
const NUMBER_DIGITS_MAX: usize = 5;

/// A rotated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rotated {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) stat: FileStat,
}

/// The log's folder.
pub(crate) fn folder(log: &Path) -> &Path {
    match log.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Lists the rotated files of a log, oldest first; the file that has just been opened at the log's path is not among them.
///
/// Errors: kind `limit` above 1,000 of them, `local` as `scan`, or when the folder does not stand still.
pub(crate) async fn of(cx: &Cx, log: &Path, opened: Option<&FileStat>) -> Result<Vec<Rotated>, AgentError> {
    let mut last = None;
    for _ in 0..READINGS_MAX {
        let files = listed(cx, log, opened).await?;
        let shape: Vec<_> = files.iter().map(|file| (file.name.clone(), file.stat.device, file.stat.inode)).collect();
        if last.as_ref() == Some(&shape) {
            return Ok(files);
        }
        last = Some(shape);
    }
    Err(AgentError::local(format!("the files of {} are being renamed all the time", log.display())))
}

async fn listed(cx: &Cx, log: &Path, opened: Option<&FileStat>) -> Result<Vec<Rotated>, AgentError> {
    let base = log.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = folder(log);
    let mut scan = cx.scan(folder).await?;
    let mut files: Vec<Rotated> = Vec::new();
    while let Some(entry) = scan.next().await? {
        if entry.stat.is_file() && mark_of(&base, &entry.name).is_some() && opened.is_none_or(|opened| !opened.same_file(&entry.stat)) {
            if files.len() == FILES_MAX {
                return Err(AgentError::limit(format!("{FILES_MAX} rotated files")));
            }
            files.push(Rotated { path: folder.join(&entry.name), name: entry.name, stat: entry.stat });
        }
    }
    // While a file is compressed both are there, the new one in parts only.
    let plain: Vec<String> = files.iter().filter(|file| !file.name.ends_with(".gz")).map(|file| file.name.clone()).collect();
    files.retain(|file| file.name.strip_suffix(".gz").is_none_or(|name| !plain.iter().any(|plain| plain == name)));
    files.sort_by(|one, other| order(&base, one, other));
    Ok(files)
}

/// What a rotation put behind the log's name: a number, a date, a time; `None` for other files.
fn mark_of<'a>(base: &str, name: &'a str) -> Option<&'a str> {
    let mark = name.strip_prefix(base)?;
    let mark = mark.strip_suffix(".gz").unwrap_or(mark);
    let told = mark.strip_prefix(['.', '-', '_'])?;
    let of_rotation = |c: char| c.is_ascii_digit() || matches!(c, '-' | '_' | '.' | ':' | 'T' | 'Z' | '+');
    (told.starts_with(|c: char| c.is_ascii_digit()) && told.chars().all(of_rotation)).then_some(told)
}

/// By number (the largest is the oldest), by date as it is written, and by time of the last change only where both kinds are mixed:
/// a clock may have been set.
fn order(base: &str, one: &Rotated, other: &Rotated) -> Ordering {
    let number = |file: &Rotated| {
        let mark = mark_of(base, &file.name).filter(|mark| mark.len() <= NUMBER_DIGITS_MAX);
        mark.and_then(|mark| mark.parse::<u32>().ok())
    };
    match (number(one), number(other)) {
        (Some(one), Some(other)) => other.cmp(&one),
        (None, None) => mark_of(base, &one.name).cmp(&mark_of(base, &other.name)),
        _ => one.stat.modified.cmp(&other.stat.modified),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use watchpost_plugin_api::FileKind;

    use super::*;

    fn check(names: &[&str], expected: &[&str]) {
        let (kind, modified) = (FileKind::File, SystemTime::UNIX_EPOCH);
        let stat = FileStat { device: 1, inode: 1, size: 0, kind, mode: 0, user: 0, group: 0, modified };
        let file = |name: &&str| Rotated { path: PathBuf::from(name), name: (*name).into(), stat };
        let mut files: Vec<Rotated> = names.iter().filter(|name| mark_of("mail.log", name).is_some()).map(file).collect();
        files.sort_by(|one, other| order("mail.log", one, other));
        assert_eq!(files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn rotated_files_are_known_by_number_or_date_and_come_oldest_first() {
        check(&["mail.log.1", "mail.log.10.gz", "mail.log.2.gz", "mail.log"], &["mail.log.10.gz", "mail.log.2.gz", "mail.log.1"]);
        check(&["mail.log-20261124", "mail.log-20261031.gz"], &["mail.log-20261031.gz", "mail.log-20261124"]);
        check(&["mail.log-20261124-1764000000", "mail.log-20261123"], &["mail.log-20261123", "mail.log-20261124-1764000000"]);
        check(&["mail.log.bak", "mail.log.1.swp", "mail.log~", "mail.logger.1", "mail.log.1.xz", "mail.log.", "other.log.1"], &[]);
    }
}
