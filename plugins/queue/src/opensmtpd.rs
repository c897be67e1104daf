//! OpenSMTPD's spool: `queue/XX/MMMMMMMM`, a folder for each message, whose number it carries; in it `message` and for each recipient an
//! envelope named by that number and eight digits more.
//!
//! Source: OpenSMTPD's queue_fs.c and envelope.c (6.8 to 7.5). Volumes are those of `message`.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use watchpost_plugin_api::{AgentError, Cx, ErrorKind};

use crate::{
    found::Found,
    spool::{Doubts, envelope},
};

/// Counts what waits.
pub(crate) async fn count(cx: &Cx, spool: &Path, found: &mut Found) -> Result<(), AgentError> {
    found.tally.has(&["incoming", "deferred"]);
    let queue = spool.join("queue");
    let mut doubts = Doubts::none();
    for bucket in folders(cx, &queue, 2).await? {
        let messages = match folders(cx, &queue.join(&bucket), 8).await {
            Ok(messages) => messages,
            Err(error) => {
                doubts.add(&queue, &bucket, error);
                continue;
            }
        };
        found.tally.has_room_for(messages.len().saturating_sub(1))?;
        for message in messages {
            count_message(cx, &queue.join(&bucket), &message, found, &mut doubts).await?;
        }
    }
    match doubts.settle(cx).await?.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Names of folders that are numbers of so many hexadecimal digits.
async fn folders(cx: &Cx, path: &Path, digits: usize) -> Result<Vec<String>, AgentError> {
    let mut scan = cx.scan(path).await?;
    let mut names = Vec::new();
    while let Some(entry) = scan.next().await? {
        if entry.is_dir() && is_number(&entry.name, digits) {
            names.push(entry.name);
        }
    }
    Ok(names)
}

fn is_number(name: &str, digits: usize) -> bool {
    name.len() == digits && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

async fn count_message(cx: &Cx, bucket: &Path, id: &str, found: &mut Found, doubts: &mut Doubts<AgentError>) -> Result<(), AgentError> {
    let folder = bucket.join(id);
    let (envelopes, bytes) = match list(cx, &folder, id).await {
        Ok(listed) => listed,
        Err(error) => {
            doubts.add(bucket, id, error);
            return Ok(());
        }
    };
    let (mut since, mut was_tried) = (None::<SystemTime>, false);
    for (name, listed) in envelopes {
        let path = folder.join(&name);
        match envelope(cx, &path, listed).await {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                let read = Envelope::of(&text).ok_or_else(|| not_understood(&path))?;
                since = Some(since.map_or(read.since, |since| since.min(read.since)));
                was_tried |= read.was_tried;
                found.tops.recipient(read.recipient);
                if !read.reason.is_empty() {
                    found.tops.reason(read.reason);
                }
            }
            // Delivered meanwhile, perhaps.
            Err(error) if error.kind() == ErrorKind::LOCAL => doubts.add(&folder, &name, error),
            Err(error) => return Err(error),
        }
    }
    // One that nobody waits for is being removed.
    let Some(since) = since else { return Ok(()) };
    found.tally.add(if was_tried { "deferred" } else { "incoming" }, bytes, since)
}

/// Names and sizes of the envelopes of a message, and the size of its text.
async fn list(cx: &Cx, folder: &Path, id: &str) -> Result<(Vec<(String, u64)>, Option<u64>), AgentError> {
    let mut scan = cx.scan(folder).await?;
    let (mut envelopes, mut bytes) = (Vec::new(), None);
    while let Some(entry) = scan.next().await? {
        if !entry.is_file() {
            continue;
        }
        if entry.name == "message" {
            bytes = Some(entry.size);
        } else if is_number(&entry.name, 16) && entry.name.starts_with(id) {
            envelopes.push((entry.name, entry.stat.size));
        }
    }
    Ok((envelopes, bytes))
}

fn not_understood(path: &Path) -> AgentError {
    AgentError::local(format!("{} is no envelope that can be read here; OpenSMTPD may be told to compress or encrypt them", path.display()))
}

/// What an envelope says that matters here.
#[derive(Debug, PartialEq)]
struct Envelope<'a> {
    since: SystemTime,
    was_tried: bool,
    recipient: &'a str,
    reason: &'a str,
}

impl<'a> Envelope<'a> {
    /// Reads an envelope, lines of `key: value`; `None` for what is none.
    fn of(text: &'a str) -> Option<Self> {
        let value = |key: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| Some(line.strip_prefix(key)?.trim_start().strip_prefix(':')?.trim_start()))
        };
        value("version")?;
        let since = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(value("ctime")?.parse().ok()?))?;
        // Not written as long as it is 0.
        let tries: u64 = value("retry").map_or(Some(0), |tries| tries.parse().ok())?;
        let recipient = value("dest").or_else(|| value("rcpt"))?;
        Some(Self { since, was_tried: tries > 0, recipient, reason: value("errorline").unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WRITTEN: &str = "version: 3\ndispatcher: out\ntag: \ntype: mta\nsmtpname: mail.lab.test\nhelo: localhost\n\
        hostname: localhost\nerrorline: Network error on destination MXs\nsockaddr: local\nsender: bob@lab.test\nrcpt: a@lab.test\n\
        dest: a@stuck.test\nctime: 1795545720\nlast-try: 1795545730\nlast-bounce: 0\nttl: 345600\nretry: 2\nflags: \ndsn-notify: 0\n\
        esc-class: 4\nesc-code: 0\n";

    #[test]
    fn an_envelope_tells_its_time_whether_it_was_tried_and_who_waits_for_what() {
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_545_720);
        let reason = "Network error on destination MXs";
        let expected = Envelope { since, was_tried: true, recipient: "a@stuck.test", reason };
        assert_eq!(Envelope::of(WRITTEN), Some(expected));
        let tried = |text: String| Envelope::of(&text).unwrap().was_tried;
        assert!(!tried(WRITTEN.replace("retry: 2", "retry: 0")));
        assert!(!tried(WRITTEN.replace("retry: 2\n", "")));
    }

    #[test]
    fn what_lacks_something_or_has_it_wrong_is_no_envelope() {
        for (line, other) in [("version: 3\n", ""), ("ctime: 1795545720", ""), ("ctime: ", "ctime: -"), ("retry: 2", "retry: two")] {
            assert_eq!(Envelope::of(&WRITTEN.replace(line, other)), None, "{line} {other}");
        }
        assert_eq!(Envelope::of("\u{1f}\u{8b}\u{8}"), None);
    }

    proptest! {
        #[test]
        fn whatever_stands_in_an_envelope_is_read_or_refused(text in "((version|ctime|retry|dest|x):? ?[0-9a-zé\u{1}]{0,25}\n){0,12}") {
            let read = Envelope::of(&text);
            prop_assert!(read.is_none() || text.contains("version"));
        }
    }
}
