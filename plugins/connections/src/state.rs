//! The states of a socket, as the kernel's tables number them.

/// Connected: what `connections_active` counts.
pub(crate) const ESTABLISHED: &str = "established";

/// Waits for connections.
pub(crate) const LISTEN: &str = "listen";
/// Over, and kept for a while so that late packets are known.
const TIME_WAIT: &str = "time_wait";

/// States of TCP in the order of their numbers, from 1 on. Source: the kernel's `include/net/tcp_states.h`; names as `ss` has them.
pub(crate) const TCP: &[&str] =
    &[ESTABLISHED, "syn_sent", "syn_recv", "fin_wait_1", "fin_wait_2", TIME_WAIT, "closed", "close_wait", "last_ack", LISTEN, "closing"];

/// States of a Unix socket, as far as it is an end of a connection or waits for one. Source: the kernel's `unix_seq_show`.
pub(crate) const UNIX: &[&str] = &[LISTEN, "waiting", ESTABLISHED, "closing"];

/// Names a state of TCP.
pub(crate) fn of_tcp(number: u8) -> Option<&'static str> {
    TCP.get(usize::from(number).checked_sub(1)?).copied()
}

/// Names the state of a Unix socket; `None` for one that is no end of a connection.
pub(crate) fn of_unix(number: u8, listens: bool) -> Option<&'static str> {
    match number {
        _ if listens => UNIX.first().copied(),
        2..=4 => UNIX.get(usize::from(number) - 1).copied(),
        _ => None,
    }
}

/// Says whether a socket of that state shows that a server is there, or was until all that it accepted has ended.
pub(crate) fn is_of_a_server(state: &str) -> bool {
    state != TIME_WAIT
}
