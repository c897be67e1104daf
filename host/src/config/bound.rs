//! A config as it crosses to its agent, or as much of it as could be made.

use std::fmt;

use serde_json::Value;

use super::Fault;

/// A job's config as its agent takes it, secrets and all; shown by nothing.
///
/// Two are equal when the agent is told the same.
#[derive(Clone)]
pub struct Bound {
    pub(super) config: Value,
    pub(super) secrets: Vec<String>,
    pub(super) warnings: Vec<Fault>,
}

impl Bound {
    /// Lends the config that crosses to the agent; it holds secrets in the clear.
    pub fn config(&self) -> &Value {
        &self.config
    }

    /// Lends the secrets, so that whatever is shown can be masked.
    pub fn secrets(&self) -> &[String] {
        &self.secrets
    }

    /// Lends what somebody should look at.
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }
}

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config
    }
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("warnings", &self.warnings).finish_non_exhaustive()
    }
}

/// An assignment that its agent's schema refuses, or whose secrets cannot be fetched.
pub struct Unbound {
    /// Everything wrong with it, warnings among it.
    pub faults: Vec<Fault>,
    /// What the agent's own check can be asked all the same, if anything can.
    pub rest: Option<Rest>,
}

/// A config that is whole but for its secrets, of which some are stand-ins.
pub struct Rest {
    pub(super) bound: Bound,
    /// Their paths.
    pub(super) stand_ins: Vec<String>,
}

impl Rest {
    /// Lends what the agent is asked with.
    pub fn bound(&self) -> &Bound {
        &self.bound
    }

    /// Says whether what an agent says of this part of its config may speak of a stand-in.
    pub fn is_of_a_stand_in(&self, path: &str) -> bool {
        self.stand_ins.iter().any(|secret| is_within(secret, path) || is_within(path, secret))
    }
}

/// Says whether a path leads into what another one leads to.
fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| outer.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']))
}

impl fmt::Debug for Unbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unbound").field("faults", &self.faults).finish_non_exhaustive()
    }
}
