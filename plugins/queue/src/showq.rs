//! What Postfix's `showq` says: lists of attributes, read byte by byte as they come.
//!
//! Shape, as Postfix 3.7 writes it and `postqueue -j` reads it: each name and each value ends in a zero byte, each list in one more. First a
//! list with the name of the protocol (from Postfix 3.6 on), then a list for each message (`queue_name`, `queue_id`, `time`, `size`,
//! `forced_expire`, `sender`, then `recipient` and perhaps `reason` in turn), last a list without attributes. Without that one the
//! listing is not whole.

use std::time::{Duration, SystemTime};

use watchpost_plugin_api::{AgentError, quoted};

/// How the protocol calls itself.
const PROTOCOL: &str = "mail_queue_list_protocol";
/// Bytes of a name or a value. Postfix cuts lines of its own logs far below.
const FIELD_BYTES_MAX: usize = 64 * 1024;
/// Queues that it lists, as it names them.
pub(crate) const QUEUES: [&str; 5] = ["maildrop", "incoming", "active", "deferred", "hold"];

/// A message that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) queue: &'static str,
    pub(crate) id: String,
    pub(crate) bytes: u64,
    pub(crate) since: SystemTime,
}

/// Who is told what a listing says.
pub(crate) trait Listener {
    /// A message was read to its end.
    fn message(&mut self, message: Message) -> Result<(), AgentError>;
    /// Somebody waits for a message.
    fn recipient(&mut self, address: &str);
    /// Why the recipient told last waits.
    fn reason(&mut self, reason: &str);
}

/// A listing that is being read.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// The field that has begun and not ended.
    field: Vec<u8>,
    /// The name whose value is to come.
    name: Option<Name>,
    /// What the list that is being read has told so far.
    list: List,
    /// Lists that have ended.
    lists: u64,
    is_whole: bool,
}

/// The attributes that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Protocol,
    Queue,
    Id,
    Time,
    Size,
    Recipient,
    Reason,
    Other,
}

#[derive(Debug, Default)]
struct List {
    is_begun: bool,
    is_hello: bool,
    queue: Option<&'static str>,
    id: Option<String>,
    since: Option<SystemTime>,
    bytes: Option<u64>,
}

impl Listing {
    /// Reads on; says whether the listing is whole now.
    ///
    /// Errors: kind `protocol` for what no `showq` says; that of the listener.
    pub(crate) fn read(&mut self, mut piece: &[u8], to: &mut impl Listener) -> Result<bool, AgentError> {
        while !self.is_whole
            && let Some(end) = piece.iter().position(|&byte| byte == 0)
        {
            self.extend(&piece[..end])?;
            piece = &piece[end + 1..];
            let field = std::mem::take(&mut self.field);
            self.take(&String::from_utf8_lossy(&field), to)?;
            // Its room serves the next one.
            self.field = field;
            self.field.clear();
        }
        if self.is_whole {
            return if piece.is_empty() { Ok(true) } else { Err(AgentError::protocol("showq says more after the end of its listing")) };
        }
        self.extend(piece)?;
        Ok(false)
    }

    fn extend(&mut self, part: &[u8]) -> Result<(), AgentError> {
        self.field.extend_from_slice(&part[..part.len().min(FIELD_BYTES_MAX + 1)]);
        match self.field.len() {
            0..=FIELD_BYTES_MAX => Ok(()),
            _ => Err(AgentError::protocol(format!("an attribute without an end: more than {} KiB", FIELD_BYTES_MAX / 1024))),
        }
    }

    /// Takes a name, a value, or the end of a list.
    fn take(&mut self, field: &str, to: &mut impl Listener) -> Result<(), AgentError> {
        if let Some(name) = self.name.take() {
            return self.value(name, field, to);
        }
        if field.is_empty() {
            return self.end(to);
        }
        let is_first = self.lists == 0 && !self.list.is_begun;
        self.name = Some(match field {
            "protocol" if is_first => Name::Protocol,
            // What is not this from its first word on is another service, or a Postfix before 3.1, which wrote lines for people.
            _ if is_first && field != "queue_name" => {
                return Err(AgentError::protocol(format!("this is no listing of showq's: it begins with \"{}\"", quoted(field))));
            }
            "queue_name" => Name::Queue,
            "queue_id" => Name::Id,
            "time" => Name::Time,
            "size" => Name::Size,
            "recipient" => Name::Recipient,
            "reason" => Name::Reason,
            // A newer Postfix may tell more.
            _ => Name::Other,
        });
        self.list.is_begun = true;
        Ok(())
    }

    fn value(&mut self, name: Name, value: &str, to: &mut impl Listener) -> Result<(), AgentError> {
        let malformed = |what: &str| AgentError::protocol(format!("showq says {what} \"{}\"", quoted(value)));
        let number = |what: &str| value.parse::<u64>().map_err(|_| malformed(what));
        let list = &mut self.list;
        match name {
            Name::Protocol if value == PROTOCOL => list.is_hello = true,
            Name::Protocol => return Err(malformed("that it speaks")),
            Name::Queue => {
                let known = QUEUES.into_iter().find(|queue| *queue == value);
                list.queue = Some(known.ok_or_else(|| malformed("that there is a queue"))?);
            }
            Name::Id => list.id = Some(value.to_owned()),
            Name::Time => {
                let since = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(number("that a message came at")?));
                list.since = Some(since.ok_or_else(|| malformed("that a message came at"))?);
            }
            Name::Size => list.bytes = Some(number("that a message has the size")?),
            Name::Recipient => to.recipient(value),
            Name::Reason => to.reason(value),
            Name::Other => {}
        }
        Ok(())
    }

    fn end(&mut self, to: &mut impl Listener) -> Result<(), AgentError> {
        self.lists += 1;
        match std::mem::take(&mut self.list) {
            List { is_begun: false, .. } => self.is_whole = true,
            List { is_hello: true, queue: None, id: None, .. } => {}
            List { is_hello: false, queue: Some(queue), id: Some(id), since: Some(since), bytes: Some(bytes), .. } => {
                to.message(Message { queue, id, bytes, since })?;
            }
            _ => return Err(AgentError::protocol("showq tells of a message without its queue, id, time or size")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Default, PartialEq)]
    struct Heard {
        messages: Vec<Message>,
        recipients: Vec<String>,
        reasons: Vec<String>,
    }

    impl Listener for Heard {
        fn message(&mut self, message: Message) -> Result<(), AgentError> {
            self.messages.push(message);
            Ok(())
        }
        fn recipient(&mut self, address: &str) {
            self.recipients.push(address.into());
        }
        fn reason(&mut self, reason: &str) {
            self.reasons.push(reason.into());
        }
    }

    fn read(bytes: &[u8]) -> (Result<bool, AgentError>, Heard) {
        let mut heard = Heard::default();
        let read = Listing::default().read(bytes, &mut heard);
        (read, heard)
    }

    /// As Postfix 3.7 said it, words of the lab.
    const REAL: &str = "protocol\0mail_queue_list_protocol\0\0\
        queue_name\0deferred\0queue_id\0D884398C016\0time\x001795545552\0size\x00261\0forced_expire\x000\0sender\0bob@lab.test\0\
        recipient\0alice@lab.test\0reason\0connect to 127.0.0.1[127.0.0.1]:31124: Connection refused\0\
        recipient\0probe@lab.test\0reason\0connect to 127.0.0.1[127.0.0.1]:31124: Connection refused\0\0\
        queue_name\0hold\0queue_id\0E3B1498C017\0time\x001795545553\0size\x00251\0forced_expire\x000\0sender\0MAILER-DAEMON\0\
        recipient\0bob@lab.test\0\0\0";

    #[test]
    fn what_postfix_says_is_read() {
        let (read, heard) = read(REAL.as_bytes());
        assert_eq!(read, Ok(true));
        let message = |queue, id: &str, bytes, seconds| {
            let since = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            Message { queue, id: id.into(), bytes, since }
        };
        let expected = [message("deferred", "D884398C016", 261, 1_795_545_552), message("hold", "E3B1498C017", 251, 1_795_545_553)];
        assert_eq!(heard.messages, expected);
        assert_eq!(heard.recipients, ["alice@lab.test", "probe@lab.test", "bob@lab.test"]);
        assert_eq!(heard.reasons, ["connect to 127.0.0.1[127.0.0.1]:31124: Connection refused"; 2]);
    }

    #[test]
    fn a_value_may_be_empty_and_end_no_list() {
        let listing = "queue_name\0active\0queue_id\0A\0time\x001\0size\x000\0sender\0\0recipient\0a@b\0\0\0";
        let (read, heard) = read(listing.as_bytes());
        assert_eq!((read, heard.messages.len(), heard.recipients), (Ok(true), 1, vec!["a@b".into()]));
    }

    #[test]
    fn an_empty_queue_is_a_whole_listing_with_the_protocols_name_or_without() {
        for listing in ["protocol\0mail_queue_list_protocol\0\0\0", "\0"] {
            assert_eq!(read(listing.as_bytes()), (Ok(true), Heard::default()), "{listing:?}");
        }
    }

    #[test]
    fn what_is_no_listing_is_refused() {
        let check = |listing: &str, message: &str| {
            let error = read(listing.as_bytes()).0.unwrap_err();
            assert_eq!((error.kind().name(), error.message()), ("protocol", message), "{listing:?}");
        };
        let hello = "protocol\0mail_queue_list_protocol\0\0";
        check("220 mail\r\n\0", "this is no listing of showq's: it begins with \"220 mail\\r\\n\"");
        check("queue_id\0A\0", "this is no listing of showq's: it begins with \"queue_id\"");
        check("protocol\0cleanup\0", "showq says that it speaks \"cleanup\"");
        check(&format!("{hello}queue_name\0future\0"), "showq says that there is a queue \"future\"");
        check(&format!("{hello}time\0-1\0"), "showq says that a message came at \"-1\"");
        check(&format!("{hello}time\0{}\0", u64::MAX), &format!("showq says that a message came at \"{}\"", u64::MAX));
        check(&format!("{hello}size\x001e3\0"), "showq says that a message has the size \"1e3\"");
        check(&format!("{hello}\0x"), "showq says more after the end of its listing");
        let missing = "showq tells of a message without its queue, id, time or size";
        for list in ["queue_name\0hold\0\0", "queue_name\0hold\0queue_id\0A\0time\x001\0\0", "sender\0a\0\0"] {
            check(&format!("{hello}{list}"), missing);
        }
        check(&"a".repeat(FIELD_BYTES_MAX + 1), "an attribute without an end: more than 64 KiB");
    }

    proptest! {
        #[test]
        fn bytes_of_any_sort_are_read_or_refused_and_kept_within_bounds(pieces in prop::collection::vec(prop::collection::vec(0u8..4, 0..300), 0..20)) {
            let (mut listing, mut heard) = (Listing::default(), Heard::default());
            for piece in pieces {
                if listing.read(&piece, &mut heard) != Ok(false) {
                    break;
                }
                prop_assert!(listing.field.len() <= FIELD_BYTES_MAX);
            }
            prop_assert!(heard.messages.is_empty());
        }

        #[test]
        fn a_listing_says_the_same_however_it_is_cut(cuts in prop::collection::vec(0..REAL.len(), 0..20)) {
            let (mut cuts, mut from) = (cuts, 0);
            cuts.sort_unstable();
            cuts.push(REAL.len());
            let (mut listing, mut heard) = (Listing::default(), Heard::default());
            for to in cuts {
                let is_whole = listing.read(&REAL.as_bytes()[from..to], &mut heard).unwrap();
                prop_assert_eq!(is_whole, to == REAL.len());
                from = to;
            }
            prop_assert_eq!(heard, read(REAL.as_bytes()).1);
        }

        #[test]
        fn a_listing_with_another_byte_in_it_tells_no_message_more(at in 0..REAL.len(), byte in any::<u8>()) {
            let mut bytes = REAL.as_bytes().to_vec();
            bytes[at] = byte;
            let (_, heard) = read(&bytes);
            prop_assert!(heard.messages.len() <= 2);
        }
    }
}
