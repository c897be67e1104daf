//! Ports of the lab: well-known ones plus 1000s by default, a block of a hundred on request.

use crate::error::{Error, Outcome};

/// One port that a server of the lab listens on.
#[derive(Debug, PartialEq)]
pub(crate) struct Port {
    /// Its name in `lab env` and `lab.json`.
    pub(crate) name: &'static str,
    /// Its number in the usual lab.
    pub(crate) usual: u16,
    /// Its place in the block of a lab with a port base: the last digits of the well-known number.
    pub(crate) slot: u16,
}

/// How many ports a lab with a port base may take.
pub(crate) const BLOCK: u16 = 100;
/// The lowest port base: below 1024 ports are the system's.
const BASE_MIN: u16 = 1024;
/// The highest port base: above 32767 the kernel gives ports to outgoing connections.
/// Source: ip(7), `ip_local_port_range`.
const BASE_MAX: u16 = 32_767 - BLOCK + 1;

impl Port {
    /// Names a port, its usual number and its slot.
    pub(crate) const fn new(name: &'static str, usual: u16, slot: u16) -> Self {
        Self { name, usual, slot }
    }

    /// Gives the number that this port has in a lab.
    pub(crate) fn number(&self, base: Option<u16>) -> u16 {
        base.map_or(self.usual, |base| base + self.slot)
    }
}

/// Reads a port base.
///
/// Errors: [`Error::Usage`] unless the whole block is free for servers.
pub(crate) fn parse_base(text: &str) -> Outcome<u16> {
    let base = text.parse().ok().filter(|base| (BASE_MIN..=BASE_MAX).contains(base));
    base.ok_or_else(|| Error::Usage(format!("--port-base {text} is not a number from {BASE_MIN} to {BASE_MAX}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::SERVERS;
    use std::collections::HashSet;

    #[test]
    fn no_two_servers_share_a_port_or_a_name() {
        let all: Vec<&Port> = SERVERS.iter().flat_map(|server| server.ports()).collect();
        let count = |of: fn(&Port) -> String| all.iter().map(|it| of(it)).collect::<HashSet<_>>().len();
        assert_eq!(count(|port| port.usual.to_string()), all.len());
        assert_eq!(count(|port| port.slot.to_string()), all.len());
        assert_eq!(count(|port| port.name.to_string()), all.len());
        assert!(all.iter().all(|port| port.slot < BLOCK));
    }

    #[test]
    fn a_base_moves_every_port_into_its_block() {
        let smtp = Port::new("smtp", 2525, 25);
        assert_eq!((smtp.number(None), smtp.number(Some(20_000))), (2525, 20_025));
    }

    #[test]
    fn a_base_outside_the_free_range_is_wrong_usage() {
        assert_eq!(parse_base("20000").unwrap(), 20_000);
        for text in ["80", "32669", "70000", "many", "-1"] {
            assert!(matches!(parse_base(text), Err(Error::Usage(_))), "{text}");
        }
    }
}
