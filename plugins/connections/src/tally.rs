//! What is counted: sockets by state.

use std::collections::BTreeMap;

use watchpost_plugin_api::{Cx, standard};

use crate::{SOCKETS, state};

/// Sockets that matched, by state.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    /// Counts one.
    pub(crate) fn count(&mut self, state: &'static str) {
        *self.0.entry(state).or_default() += 1;
    }

    /// Says whether something that was counted belongs to a server that is there.
    pub(crate) fn shows_a_server(&self) -> bool {
        self.states().any(|(state, _)| state::is_of_a_server(state))
    }

    /// Each state that was met, and how often.
    pub(crate) fn states(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(state, count)| (*state, *count))
    }

    /// Leaves the samples: the table was read to its end, so a state that was not met has 0.
    pub(crate) fn record(&self, cx: &Cx, states: &[&str]) {
        let of = |state| self.0.get(state).copied().unwrap_or_default();
        cx.record(standard::CONNECTIONS_ACTIVE, of(state::ESTABLISHED));
        for &state in states {
            cx.record_with(SOCKETS, &[("state", state)], of(state));
        }
    }
}
