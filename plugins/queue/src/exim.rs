//! Exim's spool: `input`, in which each message has a file for its envelope and headers (`ID-H`) and one for its data (`ID-D`); one folder,
//! or several named by one character (`split_spool_directory`).
//!
//! Source: the Exim specification, "Format of spool files". Volumes are those of `exim -bp`: headers, an empty line, and the body.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use watchpost_plugin_api::{AgentError, Cx, DirEntry, ErrorKind};

use crate::{
    found::Found,
    spool::{Doubts, envelope},
    tally::{CORRUPT, FROZEN},
};

/// A file that is not as it should be: why it cannot be read, or what it counts as if that is all.
enum About {
    Unreadable(AgentError),
    Broken { bytes: u64, since: SystemTime },
}

/// The two files of a message, as far as they were listed.
#[derive(Default)]
struct Files {
    head: Option<DirEntry>,
    data: Option<u64>,
}

/// Counts what waits.
pub(crate) async fn count(cx: &Cx, spool: &Path, found: &mut Found) -> Result<(), AgentError> {
    found.tally.has(&["incoming", "deferred", FROZEN, CORRUPT]);
    let input = spool.join("input");
    let mut doubts = Doubts::none();
    for folder in count_folder(cx, &input, found, &mut doubts).await? {
        count_folder(cx, &folder, found, &mut doubts).await?;
    }
    for about in doubts.settle(cx).await? {
        match about {
            About::Unreadable(error) => return Err(error),
            About::Broken { bytes, since } => found.tally.add(CORRUPT, Some(bytes), since)?,
        }
    }
    Ok(())
}

/// Counts the messages of a folder; gives the folders in it that hold messages, too.
async fn count_folder(cx: &Cx, folder: &Path, found: &mut Found, doubts: &mut Doubts<About>) -> Result<Vec<PathBuf>, AgentError> {
    let (messages, split) = list(cx, folder, found).await?;
    for (id, files) in messages {
        // Data without an envelope is a message that has not come whole.
        let Some(head) = files.head else { continue };
        let broken = About::Broken { bytes: head.size.saturating_add(files.data.unwrap_or(0)), since: head.modified };
        let bytes = match envelope(cx, &folder.join(&head.name), head.size).await {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::LOCAL => {
                doubts.add(folder, &head.name, About::Unreadable(error));
                continue;
            }
            Err(error) => return Err(error),
        };
        let (Some(envelope), Some(data)) = (Envelope::of(&bytes, &id), files.data) else {
            doubts.add(folder, &head.name, broken);
            continue;
        };
        for recipient in &envelope.recipients {
            found.tops.recipient(recipient);
        }
        // The data file begins with its own name on a line.
        let body = data.saturating_sub(id.len() as u64 + 3);
        found.tally.add(envelope.queue(), Some(envelope.header_bytes + 1 + body), envelope.since)?;
    }
    Ok(split)
}

async fn list(cx: &Cx, folder: &Path, found: &Found) -> Result<(HashMap<String, Files>, Vec<PathBuf>), AgentError> {
    let (mut messages, mut split) = (HashMap::<String, Files>::new(), Vec::new());
    let mut scan = cx.scan(folder).await?;
    while let Some(entry) = scan.next().await? {
        if entry.is_dir() && entry.name.chars().count() == 1 {
            split.push(folder.join(&entry.name));
        }
        if !entry.is_file() {
            continue;
        }
        let Some((id, sort)) = entry.name.rsplit_once('-') else { continue };
        if !matches!(sort, "H" | "D") {
            continue;
        }
        if !messages.contains_key(id) {
            found.tally.has_room_for(messages.len())?;
        }
        let files = messages.entry(id.to_owned()).or_default();
        match sort {
            "H" => files.head = Some(entry),
            _ => files.data = Some(entry.size),
        }
    }
    Ok((messages, split))
}

/// What an envelope says that matters here.
#[derive(Debug, PartialEq)]
struct Envelope {
    since: SystemTime,
    is_frozen: bool,
    /// Whether no delivery was tried yet.
    is_new: bool,
    /// All recipients, those that have the message already included; the last list of those follows.
    recipients: Vec<String>,
    header_bytes: u64,
}

impl Envelope {
    /// Reads an envelope; `None` for what is none.
    fn of(bytes: &[u8], id: &str) -> Option<Self> {
        let mut rest = bytes;
        if line(&mut rest)? != format!("{id}-H").as_bytes() {
            return None;
        }
        let (_user, sender, times) = (line(&mut rest)?, line(&mut rest)?, line(&mut rest)?);
        if !sender.starts_with(b"<") {
            return None;
        }
        let seconds = number(times.split(|&byte| byte == b' ').next()?)?;
        let since = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
        let (mut is_frozen, mut is_new) = (false, false);
        let mut tree = line(&mut rest)?;
        while tree.starts_with(b"-") {
            let option = option(tree);
            is_frozen |= option.starts_with(b"frozen");
            is_new |= option == b"deliver_firsttime";
            if option.starts_with(b"acl") {
                // A variable of an ACL: its value stands below, of so many bytes, and may look like anything.
                let length = number(option.rsplit(|&byte| byte == b' ').next()?)?;
                rest = rest.get(usize::try_from(length).ok()?.checked_add(1)?..)?;
            }
            tree = line(&mut rest)?;
        }
        let has_it = read_tree(tree, &mut rest)?;
        let count = number(line(&mut rest)?)?;
        let mut recipients = Vec::new();
        for _ in 0..count {
            let recipient = line(&mut rest)?;
            // An address may be followed by where errors go, and by its parent.
            let address = recipient.split(|&byte| byte == b' ').next().unwrap_or_default();
            if !has_it.contains(&address) {
                recipients.push(String::from_utf8_lossy(address).into_owned());
            }
        }
        if !line(&mut rest)?.is_empty() {
            return None;
        }
        Some(Self { since, is_frozen, is_new, recipients, header_bytes: header_bytes(rest)? })
    }

    fn queue(&self) -> &'static str {
        match self {
            Self { is_frozen: true, .. } => FROZEN,
            Self { is_new: true, .. } => "incoming",
            _ => "deferred",
        }
    }
}

/// Takes a line.
fn line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|&byte| byte == b'\n')?;
    let (line, after) = rest.split_at(end);
    *rest = &after[1..];
    Some(line)
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// An option without its dashes (two mark what came from outside) and without the parenthesis of a lookup.
fn option(line: &[u8]) -> &[u8] {
    let dashes = line.iter().take_while(|&&byte| byte == b'-').count();
    let option = &line[dashes..];
    match option.starts_with(b"(") {
        true => option.iter().position(|&byte| byte == b')').map_or(option, |end| &option[end + 1..]),
        false => option,
    }
}

/// Reads the tree of those who have the message: each node a line that says whether there is one to its left and to its right (`YN`), a
/// space, an address; "XX" for none.
fn read_tree<'a>(first: &'a [u8], rest: &mut &'a [u8]) -> Option<Vec<&'a [u8]>> {
    let mut addresses = Vec::new();
    if first == b"XX" {
        return Some(addresses);
    }
    let (mut node, mut missing) = (first, 1_usize);
    loop {
        let ([left @ (b'Y' | b'N'), right @ (b'Y' | b'N')], address) = node.split_first_chunk::<2>()? else { return None };
        addresses.push(address.strip_prefix(b" ")?);
        missing = missing - 1 + usize::from(*left == b'Y') + usize::from(*right == b'Y');
        if missing == 0 {
            return Some(addresses);
        }
        node = line(rest)?;
    }
}

/// Adds up the headers, each of which stands behind its length and a letter; one that was deleted (`*`) is sent to nobody.
fn header_bytes(mut rest: &[u8]) -> Option<u64> {
    let mut sum = 0_u64;
    while !rest.is_empty() {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let length = number(&rest[..digits])?;
        let (flag, header) = rest[digits..].split_first_chunk::<2>()?;
        rest = header.get(usize::try_from(length).ok()?..)?;
        if flag[0] != b'*' {
            sum += length;
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "1xVvSq-0000g1-2k";

    /// As Exim 4.96 wrote it, but for the marked lines.
    fn written(options: &str, tree: &str, recipients: &str) -> String {
        format!(
            "{ID}-H\nroot 0 0\n<bob@lab.test>\n1795545720 0\n-received_time_usec .853541\n-received_time_complete 1795545720.876443\n\
             -ident root\n-received_protocol local\n-body_linecount 2\n-max_received_linelength 16\n-allow_unqualified_recipient\n\
             {options}-tls_resumption A\n{tree}\n{recipients}\n\n\
             013  Subject: one\n017T To: a@stuck.test\n019F From: bob@lab.test\n"
        )
    }

    fn read(text: &str) -> Option<Envelope> {
        Envelope::of(text.as_bytes(), ID)
    }

    #[test]
    fn an_envelope_tells_its_time_its_state_and_who_still_waits() {
        let check = |options: &str, tree: &str, queue: &str, recipients: &[&str]| {
            let envelope = read(&written(options, tree, "3\na@stuck.test\nb@stuck.test\nc@lab.test")).unwrap();
            assert_eq!(envelope.since, SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_545_720));
            assert_eq!((envelope.queue(), envelope.header_bytes), (queue, 13 + 17 + 19));
            assert_eq!(envelope.recipients, recipients);
        };
        let all = ["a@stuck.test", "b@stuck.test", "c@lab.test"];
        check("", "XX", "deferred", &all);
        check("-deliver_firsttime\n", "XX", "incoming", &all);
        check("-frozen 1795545721\n", "XX", "frozen", &all);
        check("-deliver_firsttime\n-frozen 1795545721\n", "XX", "frozen", &all);
        check("", "NN c@lab.test", "deferred", &all[..2]);
        check("", "YN c@lab.test\nNN a@stuck.test", "deferred", &all[1..2]);
        check("", "YY b@stuck.test\nNN a@stuck.test\nNN c@lab.test", "deferred", &[]);
    }

    #[test]
    fn what_a_client_had_put_into_a_variable_is_no_option() {
        let value = "-frozen 1\nXX\n-d";
        for name in ["-aclm 0", "--aclc _x", "--(mysql)aclm 1"] {
            let options = format!("{name} {}\n{value}\n", value.len());
            assert_eq!(read(&written(&options, "XX", "1\na@b")).unwrap().queue(), "deferred", "{name}");
        }
    }

    #[test]
    fn an_address_with_its_parent_is_still_an_address() {
        let envelope = read(&written("", "XX", "1\na@stuck.test p@lab.test 10,-1#1")).unwrap();
        assert_eq!(envelope.recipients, ["a@stuck.test"]);
    }

    #[test]
    fn a_deleted_header_is_not_counted_and_a_long_one_is() {
        let long = "x".repeat(1234);
        let text = written("", "XX", "1\na@b") + &format!("010* X: gone..1234  {long}");
        assert_eq!(read(&text), None, "the length says where the next one begins");
        let text = written("", "XX", "1\na@b") + &format!("010* X: gone..\n1234  {long}");
        assert_eq!(read(&text).map(|envelope| envelope.header_bytes), Some(13 + 17 + 19 + 1234));
    }

    #[test]
    fn another_ids_envelope_is_none() {
        assert_eq!(Envelope::of(written("", "XX", "1\na@b").as_bytes(), "1xVvSq-0000g1-2l"), None);
    }

    #[test]
    fn no_part_of_an_envelope_is_an_envelope_before_its_headers() {
        let text = written("-frozen 1\n", "NN c@lab.test", "1\na@b");
        let headers = text.len() - (13 + 17 + 19 + 15);
        for end in 0..headers {
            assert_eq!(read(&text[..end]), None, "{:?}", &text[..end]);
        }
        assert!(read(&text[..headers]).is_some());
    }

    proptest! {
        #[test]
        fn whatever_stands_in_an_envelope_is_read_or_refused(at in 0..600usize, with in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut bytes = written("-aclm 0 3\nabc\n", "YN c@lab.test\nNN d@e", "2\na@b\nc@d").into_bytes();
            let at = at.min(bytes.len());
            let end = (at + with.len()).min(bytes.len());
            bytes.splice(at..end, with);
            // It ends, and does not panic; what it gives is bounded by what it was given.
            if let Some(envelope) = Envelope::of(&bytes, ID) {
                prop_assert!(envelope.recipients.len() <= bytes.len() && envelope.header_bytes <= bytes.len() as u64);
            }
        }

        #[test]
        fn numbers_as_large_as_can_be_are_refused(number in any::<u64>()) {
            let text = written(&format!("-aclm 0 {number}\n"), "XX", &format!("{number}\na@b"));
            let _ = read(&text);
            prop_assert_eq!(header_bytes(format!("{number}  x").as_bytes()).is_some(), number == 1);
        }
    }
}
