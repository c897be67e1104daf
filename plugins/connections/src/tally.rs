//! What is counted: sockets by state.

use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
};

use watchpost_plugin_api::{Cx, standard};

use crate::{SOCKETS, state};

/// Sockets that matched, by state.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    states: BTreeMap<&'static str, u64>,
    /// Both ends and the inode of those of TCP that were counted.
    seen: HashSet<(SocketAddr, SocketAddr, u64)>,
}

impl Tally {
    /// Says whether a connection was not met before; it is from now on.
    pub(crate) fn is_new(&mut self, connection: (SocketAddr, SocketAddr, u64)) -> bool {
        self.seen.insert(connection)
    }

    /// Counts one.
    pub(crate) fn count(&mut self, state: &'static str) {
        *self.states.entry(state).or_default() += 1;
    }

    /// Says whether something that was counted belongs to a server that is there.
    pub(crate) fn shows_a_server(&self) -> bool {
        self.states().any(|(state, _)| state::is_of_a_server(state))
    }

    /// Each state that was met, and how often.
    pub(crate) fn states(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.states.iter().map(|(state, count)| (*state, *count))
    }

    /// Leaves the samples: the table was read to its end, so a state that was not met has 0.
    pub(crate) fn record(&self, cx: &Cx, states: &[&str]) {
        let of = |state| self.states.get(state).copied().unwrap_or_default();
        cx.record(standard::CONNECTIONS_ACTIVE, of(state::ESTABLISHED));
        for &state in states {
            cx.record_with(SOCKETS, &[("state", state)], of(state));
        }
    }
}
