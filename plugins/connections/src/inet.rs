//! A line of `/proc/net/tcp` or `/proc/net/tcp6`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::{end::End, state, tally::Tally};

/// Counts the connection of a line if it has those ends; an empty list is any end. `None` for a line that is none.
pub(crate) fn count(line: &str, local: &[End], remote: &[End], tally: &mut Tally) -> Option<()> {
    let (ours, theirs, number, inode) = read(line)?;
    let is_one = |ends: &[End], end| ends.is_empty() || ends.iter().any(|wanted| wanted.is(end));
    // What listens on a port for every address listens for each that was asked for.
    let listens = |end: &End| end.is(ours) || ours.ip().is_unspecified() && end.is_port(ours.port());
    let state = state::of_tcp(number)?;
    let matches = match state {
        state::LISTEN => remote.is_empty() && local.iter().any(listens),
        _ => is_one(local, ours) && is_one(remote, theirs),
    };
    // While others come and go, the kernel may show a line a second time.
    if matches && tally.is_new((ours, theirs, inode)) {
        tally.count(state);
    }
    Some(())
}

/// Reads our end, the other one, the number of the state, and the socket's inode: several may listen for one address.
///
/// Shape: `  12: 0100007F:09DD 00000000:0000 0A …`. Source: the kernel's `Documentation/networking/proc_net_tcp.rst`.
fn read(line: &str) -> Option<(SocketAddr, SocketAddr, u8, u64)> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (ours, theirs, number) = (words.next()?, words.next()?, words.next()?);
    let inode = words.nth(5).and_then(|inode| inode.parse().ok()).unwrap_or_default();
    Some((end(ours)?, end(theirs)?, u8::from_str_radix(number, 16).ok()?, inode))
}

fn end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    Some(SocketAddr::new(self::address(address)?, u16::from_str_radix(port, 16).ok()?))
}

/// Words of four bytes, each a number as this machine's processor keeps it; its bytes are in the order of the network.
fn address(text: &str) -> Option<IpAddr> {
    let mut bytes = [0; 16];
    let count = text.len() / 8;
    if !text.len().is_multiple_of(8) || !text.is_ascii() || count > 4 {
        return None;
    }
    for at in 0..count {
        let word = u32::from_str_radix(&text[at * 8..at * 8 + 8], 16).ok()?;
        bytes[at * 4..at * 4 + 4].copy_from_slice(&word.to_ne_bytes());
    }
    match count {
        1 => Some(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into()),
        // A connection over IPv4 to a server that listens for both is written as one over IPv6.
        4 => Some(IpAddr::from(Ipv6Addr::from(bytes)).to_canonical()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::end::FromOne;

    const LISTEN: &str =
        "   0: 0100007F:09DD 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 95966 1 0000000000000000 100 0 0 10 0";
    const ESTABLISHED: &str =
        "  12: 0100007F:09DD 0202007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 95967 1 0000000000000000 20 4 30 10 -1";
    const SIX: &str =
        "   3: 00000000000000000000000001000000:0019 00000000000000000000000001000000:C351 08 00000000:00000000 00:00000000 0";
    const MAPPED: &str =
        "   4: 0000000000000000FFFF00000100007F:0019 0000000000000000FFFF00000202007F:C352 01 00000000:00000000 00:00000000";
    const EVERYWHERE: &str =
        "   5: 00000000000000000000000000000000:0019 00000000000000000000000000000000:0000 0A 00000000:00000000 00:0000";

    fn ends(texts: &[&str]) -> Vec<End> {
        let end = |text: &&str| text.parse().ok().and_then(End::from_number).or_else(|| End::from_text(text)).unwrap();
        texts.iter().map(end).collect()
    }

    fn check(line: &str, local: &[&str], remote: &[&str], expected: Option<&str>) {
        let mut tally = Tally::default();
        assert_eq!(count(line, &ends(local), &ends(remote), &mut tally), Some(()), "{line}");
        let found: Vec<_> = tally.states().collect();
        assert_eq!(found, expected.map(|state| (state, 1)).into_iter().collect::<Vec<_>>(), "{line} {local:?} {remote:?}");
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_connection_is_counted_at_the_end_that_was_asked_for() {
        check(ESTABLISHED, &["2525"], &[], Some("established"));
        check(ESTABLISHED, &["25", "127.0.0.1:2525"], &[], Some("established"));
        check(ESTABLISHED, &["127.0.0.2:2525"], &[], None);
        check(ESTABLISHED, &["50000"], &[], None);
        check(ESTABLISHED, &[], &["50000"], Some("established"));
        check(ESTABLISHED, &[], &["127.0.2.2:50000"], Some("established"));
        check(ESTABLISHED, &[], &["2525"], None);
        check(ESTABLISHED, &["2525"], &["127.0.2.2:50000"], Some("established"));
        check(ESTABLISHED, &["2525"], &["127.0.0.1:50000"], None);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn an_address_of_ipv6_is_read_and_one_of_ipv4_in_it_is_one_of_ipv4() {
        check(SIX, &["[::1]:25"], &[], Some("close_wait"));
        check(SIX, &["127.0.0.1:25"], &[], None);
        check(MAPPED, &["127.0.0.1:25"], &["127.0.2.2:50002"], Some("established"));
        check(MAPPED, &["[::ffff:127.0.0.1]:25"], &[], Some("established"));
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn what_listens_counts_for_the_address_it_listens_for_and_never_as_the_client_of_somebody() {
        check(LISTEN, &["2525"], &[], Some("listen"));
        check(LISTEN, &["127.0.0.1:2525"], &[], Some("listen"));
        check(LISTEN, &["127.0.0.2:2525"], &[], None);
        check(LISTEN, &[], &["2525"], None);
        check(LISTEN, &["2525"], &["25"], None);
        check(EVERYWHERE, &["127.0.0.2:25"], &[], Some("listen"));
        check(EVERYWHERE, &["[2001:db8::1]:25"], &[], Some("listen"));
        check(EVERYWHERE, &["26"], &[], None);
    }

    #[test]
    fn what_is_no_line_of_the_table_is_told() {
        for line in ["", "0:", "0: 0100007F:09DD", "0: 0100007F:09DD 00000000:0000 0D", "0: 0100007:09DD 0:0 01", "0: é0007F:1 é:0 01"] {
            assert_eq!(count(line, &[], &[], &mut Tally::default()), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_whatsoever_panics_and_each_counts_once_at_most(line in ".{0,200}") {
            let mut tally = Tally::default();
            let _ = count(&line, &ends(&["25"]), &[], &mut tally);
            prop_assert!(tally.states().map(|(_, count)| count).sum::<u64>() <= 1);
        }

        #[test]
        fn an_end_is_read_as_it_was_written(address in any::<u32>(), port in 1..=u16::MAX, state in 1u8..=11) {
            let line = format!("  1: {address:08X}:{port:04X} 00000000:0000 {state:02X} rest");
            let found = read(&line).unwrap();
            prop_assert_eq!(found.0, SocketAddr::new(IpAddr::from(address.to_ne_bytes()), port));
            prop_assert_eq!(found.2, state);
        }
    }
}
