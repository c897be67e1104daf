//! A line of `/proc/net/unix`.

use crate::{state, tally::Tally};

/// What a listening socket has among its flags. Source: the kernel's `include/uapi/linux/net.h`, `__SO_ACCEPTCON`.
const LISTENS: u32 = 0x10000;
/// A stream, of which only there are connections that are accepted; datagrams go without.
const STREAM: u32 = 1;
/// One that keeps the bounds of messages.
const SEQPACKET: u32 = 5;

/// Counts the socket of a line if it is bound to one of those paths. `None` for a line that is none.
///
/// A connection that was accepted has the path of the socket that it came in by; the client's end has none.
pub(crate) fn count(line: &str, paths: &[String], tally: &mut Tally) -> Option<()> {
    // Num RefCount Protocol Flags Type St Inode [Path]: only the path may have spaces in it.
    let mut rest = line.trim_start();
    let mut word = || {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = after.trim_start();
        word
    };
    let [_number, _references, _protocol, flags, kind, number, _inode] = std::array::from_fn(|_| word());
    let number = u8::from_str_radix(number, 16).ok()?;
    let [flags, kind] = [flags, kind].map(|word| u32::from_str_radix(word, 16).ok());
    let (flags, kind) = (flags?, kind?);
    if matches!(kind, STREAM | SEQPACKET) && paths.iter().any(|path| is(path, rest)) {
        let state = state::of_unix(number, flags & LISTENS != 0);
        state.into_iter().for_each(|state| tally.count(state));
    }
    Some(())
}

/// Says whether a socket that was bound so is that one; a server may bind relative to a folder of its own, which the kernel does not tell.
fn is(path: &str, bound: &str) -> bool {
    let is_relative = bound.contains('/') && !bound.starts_with('/');
    path == bound || is_relative && path.strip_suffix(bound).is_some_and(|folder| folder.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(line: &str, expected: Option<&str>) {
        let (mut tally, paths) = (Tally::default(), ["/run/auth".to_owned(), "private/with space".to_owned()]);
        assert_eq!(count(line, &paths, &mut tally), Some(()), "{line}");
        assert_eq!(tally.states().map(|(state, _)| state).next(), expected, "{line}");
    }

    #[test]
    fn accepted_and_waiting_connections_and_the_listener_are_told_apart() {
        check("000000008c93ea21: 00000002 00000000 00010000 0001 01 95966 /run/auth", Some("listen"));
        check("00000000fb936367: 00000003 00000000 00000000 0001 03 101630 /run/auth", Some("established"));
        check("00000000fb936367: 00000002 00000000 00000000 0001 02     0 /run/auth", Some("waiting"));
        check("00000000fb936367: 00000003 00000000 00000000 0005 03 101630 /run/auth", Some("established"));
        check("00000000fb936367: 00000003 00000000 00000000 0001 03 101630 private/with space", Some("established"));
    }

    #[test]
    fn the_clients_end_other_paths_and_datagrams_are_no_connection_of_ours() {
        check("00000000fb936367: 00000003 00000000 00000000 0001 03 101629", None);
        check("00000000fb936367: 00000003 00000000 00000000 0001 03 101630 /run/auth-login", None);
        check("00000000fb936367: 00000003 00000000 00000000 0001 03 101630 /run/auth ", None);
        check("00000000fb936367: 00000002 00000000 00000000 0002 01 101630 /run/auth", None);
        check("00000000fb936367: 00000002 00000000 00000000 0001 01 101630 /run/auth", None);
    }

    #[test]
    fn a_socket_that_is_bound_relative_is_met_by_the_end_of_its_path() {
        let check = |path: &str, bound: &str, expected: bool| assert_eq!(is(path, bound), expected, "{path} {bound}");
        check("/var/spool/postfix/private/lmtp", "private/lmtp", true);
        check("private/lmtp", "private/lmtp", true);
        check("/var/spool/postfix/private/lmtp", "vate/lmtp", false);
        check("/run/dovecot/lmtp", "lmtp", false);
        check("/srv/run/dovecot/lmtp", "/run/dovecot/lmtp", false);
        check("/run/dovecot/lmtp", "", false);
    }

    #[test]
    fn what_is_no_line_of_the_table_is_told() {
        for line in ["", "h i j k l m n", "0: 1 0 00010000 0001", "0: 1 0 00010000 0001 x 1 /run/auth"] {
            assert_eq!(count(line, &["/run/auth".to_owned()], &mut Tally::default()), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_whatsoever_panics(line in ".{0,200}") {
            let _ = count(&line, &[String::new()], &mut Tally::default());
        }
    }
}
