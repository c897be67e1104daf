//! What the kernel of this machine enforces of a confinement.

#![expect(unsafe_code, reason = "asks landlock for its version, which its crate keeps to itself")]

use serde::{Deserialize, Serialize};

/// Something that confined workers are not held to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// What, in a word or two.
    pub what: String,
    /// What that leaves to agents, and what would close it.
    pub why: String,
}

/// What no kernel that we know how to ask holds a worker to.
const NOWHERE: [(&str, &str); 7] = [
    ("addresses", "an agent reaches any host at the TCP ports that it declares, and at port 53"),
    ("UDP", "an agent sends datagrams to any host and port"),
    ("names", "an agent that reads a folder above the data folder, or above a secret, lists the names in it, and opens none of these"),
    ("metadata", "an agent learns size, owner and times of any file whose path it knows and its user may reach, and opens none of these"),
    ("hard links", "an agent that declares a folder in which a secret has another name, of a file system's own, reads it by that"),
    ("Unix sockets", "an agent that declares one reaches any that its user may; watchpost's own turns it away"),
    ("processes", "an agent that declares a program starts any number of processes, and they any program that the first may read as data"),
];

/// What a newer interface of landlock brings.
const BROUGHT: [(i32, &str, &str); 4] = [
    (1, "files", "an agent touches any that the user may: this takes Linux 5.13 with landlock"),
    (3, "cutting files short", "an agent empties any that the user may: this takes Linux 6.2"),
    (4, "TCP ports", "an agent connects to any and listens at any: this takes Linux 6.7"),
    (6, "other processes", "an agent that declares a program signals any of the user's: this takes Linux 6.12"),
];

/// Lists what this machine does not hold confined workers to.
pub fn gaps() -> Vec<Gap> {
    of(landlock())
}

fn of(interface: i32) -> Vec<Gap> {
    let gap = |(what, why): (&str, &str)| Gap { what: what.into(), why: why.into() };
    let missing = BROUGHT.iter().filter(|(since, ..)| interface < *since).map(|&(_, what, why)| (what, why));
    NOWHERE.into_iter().chain(missing).map(gap).collect()
}

/// The interface of landlock that the kernel has; 0 where it has none.
fn landlock() -> i32 {
    /// landlock_create_ruleset(2), "LANDLOCK_CREATE_RULESET_VERSION".
    const VERSION: u32 = 1;
    // SAFETY: with this flag the call takes no memory and makes nothing.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<libc::c_void>(), 0, VERSION) };
    i32::try_from(version).unwrap_or(0).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_kernel_enforces_less_and_says_so() {
        let lacks = |interface: i32, what: &str| of(interface).iter().any(|told| told.what == what);
        assert!(lacks(0, "files") && lacks(3, "TCP ports") && lacks(5, "other processes"));
        assert!(!lacks(4, "TCP ports") && !lacks(7, "files") && lacks(7, "UDP"));
        assert_eq!(of(7).len(), NOWHERE.len());
    }
}
