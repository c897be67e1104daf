//! Sendmail's queue directory: for each message a file for its envelope (`qf`, `hf` when it is quarantined, `Qf` when it was lost) and one
//! for its data (`df`); in the directory itself or in directories of it (queue groups), in each perhaps parted into `qf` and `df`.
//!
//! Source: the Sendmail Installation and Operation Guide, "Appendix B: summary of support files", and "queue control file format".
//! Volumes are those of `mailq`: bodies without their headers.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use watchpost_plugin_api::{AgentError, Cx, DirEntry, ErrorKind};

use crate::{
    found::Found,
    spool::{Doubts, envelope},
    tally::CORRUPT,
};

/// A file that is not as it should be: why it cannot be read, or what it counts as if that is all.
enum About {
    Unreadable(AgentError),
    Broken { bytes: u64, since: SystemTime },
}

/// What files are called: sorts of envelopes, and data.
const ENVELOPES: [&str; 3] = ["qf", "hf", "Qf"];
const DATA: &str = "df";

/// A directory of messages.
#[derive(Default)]
struct Listed {
    /// By sort and id.
    envelopes: HashMap<String, (PathBuf, DirEntry)>,
    /// Bytes by id.
    data: HashMap<String, u64>,
    folders: Vec<String>,
}

/// Counts what waits.
pub(crate) async fn count(cx: &Cx, path: &Path, found: &mut Found) -> Result<(), AgentError> {
    found.tally.has(&["incoming", "deferred", "hold", CORRUPT]);
    let mut doubts = Doubts::none();
    for group in count_group(cx, path, found, &mut doubts).await? {
        count_group(cx, &group, found, &mut doubts).await?;
    }
    for about in doubts.settle(cx).await? {
        match about {
            About::Unreadable(error) => return Err(error),
            About::Broken { bytes, since } => found.tally.add(CORRUPT, Some(bytes), since)?,
        }
    }
    Ok(())
}

/// Counts the messages of a directory; gives the directories in it that are groups of their own.
async fn count_group(cx: &Cx, group: &Path, found: &mut Found, doubts: &mut Doubts<About>) -> Result<Vec<PathBuf>, AgentError> {
    let mut listed = Listed::default();
    list(cx, group, found, &mut listed).await?;
    let folders = std::mem::take(&mut listed.folders);
    for part in folders.iter().filter(|name| matches!(name.as_str(), "qf" | "df")) {
        list(cx, &group.join(part), found, &mut listed).await?;
    }
    for (name, (folder, entry)) in &listed.envelopes {
        let (sort, id) = name.split_at(2);
        count_message(cx, (sort, folder, entry), listed.data.get(id).copied(), found, doubts).await?;
    }
    let is_group = |name: &&String| !matches!(name.as_str(), "qf" | "df" | "xf") && !name.starts_with('.');
    Ok(folders.iter().filter(is_group).map(|name| group.join(name)).collect())
}

async fn list(cx: &Cx, folder: &Path, found: &Found, listed: &mut Listed) -> Result<(), AgentError> {
    let mut scan = cx.scan(folder).await?;
    while let Some(entry) = scan.next().await? {
        if entry.is_dir() {
            listed.folders.push(entry.name);
            continue;
        }
        let Some((sort, id)) = entry.name.split_at_checked(2).filter(|_| entry.is_file()) else { continue };
        if sort == DATA {
            found.tally.has_room_for(listed.data.len())?;
            listed.data.insert(id.to_owned(), entry.size);
        } else if ENVELOPES.contains(&sort) {
            found.tally.has_room_for(listed.envelopes.len())?;
            listed.envelopes.insert(entry.name.clone(), (folder.to_owned(), entry));
        }
    }
    Ok(())
}

async fn count_message(
    cx: &Cx,
    (sort, folder, entry): (&str, &Path, &DirEntry),
    data: Option<u64>,
    found: &mut Found,
    doubts: &mut Doubts<About>,
) -> Result<(), AgentError> {
    if sort == "Qf" {
        return found.tally.add(CORRUPT, Some(entry.size.saturating_add(data.unwrap_or(0))), entry.modified);
    }
    // Sendmail makes the file before it has anything to write into it: the message is still coming.
    if entry.size == 0 {
        return Ok(());
    }
    let bytes = match envelope(cx, &folder.join(&entry.name), entry.size).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::LOCAL => {
            doubts.add(folder, &entry.name, About::Unreadable(error));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let text = String::from_utf8_lossy(&bytes);
    let (Some(envelope), Some(data)) = (Envelope::of(&text), data) else {
        let bytes = entry.size.saturating_add(data.unwrap_or(0));
        doubts.add(folder, &entry.name, About::Broken { bytes, since: entry.modified });
        return Ok(());
    };
    envelope.recipients.iter().for_each(|recipient| found.tops.recipient(recipient));
    envelope.reasons.iter().for_each(|reason| found.tops.reason(reason));
    let queue = match (sort, envelope.tries) {
        ("hf", _) => "hold",
        (_, 0) => "incoming",
        _ => "deferred",
    };
    found.tally.add(queue, Some(data), envelope.since)
}

/// What an envelope says that matters here.
#[derive(Debug, PartialEq)]
struct Envelope<'a> {
    since: SystemTime,
    tries: u64,
    reasons: Vec<&'a str>,
    recipients: Vec<&'a str>,
}

impl<'a> Envelope<'a> {
    /// Reads an envelope, lines that begin with a letter that says what they are, up to a line with just a dot; `None` for what is none.
    fn of(text: &'a str) -> Option<Self> {
        let (mut since, mut tries, mut reasons, mut recipients, mut is_whole) = (None, 0, Vec::new(), Vec::new(), false);
        for line in text.lines() {
            let Some(letter) = line.chars().next() else { continue };
            let value = &line[letter.len_utf8()..];
            match letter {
                'T' => since = Some(SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(value.parse().ok()?))?),
                'N' => tries = value.parse().ok()?,
                'M' => reasons.push(value),
                // Flags and a colon stand before the address.
                'R' => recipients.push(value.split_once(':').map_or(value, |(_, address)| address)),
                '.' => is_whole = true,
                _ => {}
            }
        }
        let since = since.filter(|_| is_whole)?;
        Some(Self { since, tries, reasons, recipients })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WRITTEN: &str = "V8\nT1795545720\nK1795545730\nN2\nP30401\nI254/1/131842\nMDeferred: Connection refused by [127.0.0.1]\nFs\n\
        $_root@localhost\n${daemon_flags}c u\nS<bob@lab.test>\nMDeferred\nrRFC822; a@stuck.test\nRPFD:<a@stuck.test>\nRPFD:<b@stuck.test>\n\
        H?P?Return-Path: <\u{81}g>\nH??Received: (from root@localhost)\n\tby mail.lab.test\n\tN99 no letter: a header goes on\n\
        H??Subject: one\n.\n";

    #[test]
    fn an_envelope_tells_its_time_its_tries_and_who_waits_for_what() {
        let expected = Envelope {
            since: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_545_720),
            tries: 2,
            reasons: vec!["Deferred: Connection refused by [127.0.0.1]", "Deferred"],
            recipients: vec!["<a@stuck.test>", "<b@stuck.test>"],
        };
        assert_eq!(Envelope::of(WRITTEN), Some(expected));
    }

    #[test]
    fn an_envelope_without_its_end_or_its_time_is_none() {
        for end in WRITTEN.char_indices().map(|(at, _)| at).take_while(|at| at + 2 < WRITTEN.len()) {
            assert_eq!(Envelope::of(&WRITTEN[..end]), None, "{end}");
        }
        assert_eq!(Envelope::of("V8\nN0\n.\n"), None);
        for time in ["", "x", "-1", &u64::MAX.to_string()] {
            assert_eq!(Envelope::of(&format!("V8\nT{time}\nN0\n.\n")), None, "{time}");
        }
    }

    proptest! {
        #[test]
        fn whatever_stands_in_an_envelope_is_read_or_refused(text in "([A-Z$.é\u{1}]?[0-9a-z:<>@ é]{0,20}\n){0,30}") {
            let read = Envelope::of(&text);
            prop_assert!(read.is_none() || text.contains("\n.") || text.starts_with('.'));
        }
    }
}
