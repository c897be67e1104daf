//! Ports of the lab: well-known ones plus 1000s by default, a block of a hundred on request.

use super::SERVERS;
use crate::error::{Error, Outcome};
use std::net::{Ipv4Addr, TcpListener};

/// One port that a server of the lab listens on.
#[derive(Debug, PartialEq)]
pub(crate) struct Port {
    /// Its name in `lab env` and `lab.json`.
    pub(crate) name: &'static str,
    /// Its number in the usual lab.
    pub(crate) usual: u16,
    /// Its place in the block of a lab with a port base: the last digits of the well-known number.
    pub(crate) slot: u16,
    /// What is served there, in a few words.
    pub(crate) word: &'static str,
}

/// How many ports a lab with a port base may take.
pub(crate) const BLOCK: u16 = 100;
/// The lowest port base: below 1024 ports are the system's.
const BASE_MIN: u16 = 1024;
/// The highest port base: above 32767 the kernel gives ports to outgoing connections.
/// Source: ip(7), `ip_local_port_range`.
const BASE_MAX: u16 = 32_767 - BLOCK + 1;
/// What asks for a block that nobody uses.
const FREE: &str = "free";
/// Where looking for one begins: above the ports that people give to services by hand.
const FREE_FROM: u16 = 20_000;

impl Port {
    /// Names a port, its usual number, its slot, and what is served there.
    pub(crate) const fn new(name: &'static str, usual: u16, slot: u16, word: &'static str) -> Self {
        Self { name, usual, slot, word }
    }

    /// Gives the number that this port has in a lab.
    pub(crate) fn number(&self, base: Option<u16>) -> u16 {
        base.map_or(self.usual, |base| base + self.slot)
    }
}

/// Where a lab's ports are.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    /// The base of its block; `None` for the usual ports.
    pub(crate) base: Option<u16>,
    /// Keeps a block that was found free from other labs that look for one at the same time.
    _claim: Option<TcpListener>,
}

impl Ports {
    /// Reads `--port-base`: a number, or `free` for a block that nobody uses.
    ///
    /// Errors: [`Error::Usage`] unless the whole block is for servers.
    pub(crate) fn parse(text: &str) -> Outcome<Self> {
        if text == FREE {
            return find_free();
        }
        let base = text.parse().ok().filter(|base| (BASE_MIN..=BASE_MAX).contains(base));
        let right = || format!("--port-base {text} is neither `{FREE}` nor a number from {BASE_MIN} to {BASE_MAX}");
        base.map(Self::at).ok_or_else(|| Error::Usage(right()))
    }

    /// Means the block that begins at a base.
    pub(crate) fn at(base: u16) -> Self {
        Self { base: Some(base), _claim: None }
    }
}

/// Looks through the blocks from one that depends on our pid, so that neighbours seldom meet.
fn find_free() -> Outcome<Ports> {
    let blocks = (BASE_MAX - FREE_FROM) / BLOCK;
    let first = u16::try_from(std::process::id() % u32::from(blocks)).unwrap_or(0);
    let bases = (0..blocks).map(|turn| FREE_FROM + (first + turn) % blocks * BLOCK);
    let found = bases.filter_map(|base| Some((base, claim(base)?))).next();
    let (base, claim) = found.ok_or_else(|| Error::Refused("no block of ports is free".into()))?;
    Ok(Ports { base: Some(base), _claim: Some(claim) })
}

/// Takes the last port of a block, which no server has, if all others are free.
fn claim(base: u16) -> Option<TcpListener> {
    let claim = bind(base + BLOCK - 1)?;
    let mut ports = SERVERS.iter().flat_map(|server| server.ports());
    ports.all(|port| bind(base + port.slot).is_some()).then_some(claim)
}

fn bind(port: u16) -> Option<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_servers_share_a_port_or_a_name() {
        let all: Vec<&Port> = SERVERS.iter().flat_map(|server| server.ports()).collect();
        let count = |of: fn(&Port) -> String| all.iter().map(|it| of(it)).collect::<HashSet<_>>().len();
        assert_eq!(count(|port| port.usual.to_string()), all.len());
        assert_eq!(count(|port| port.slot.to_string()), all.len());
        assert_eq!(count(|port| port.name.to_string()), all.len());
        assert!(all.iter().all(|port| port.slot < BLOCK - 1)); // the last one is for claims
    }

    #[test]
    fn a_base_moves_every_port_into_its_block() {
        let smtp = Port::new("smtp", 2525, 25, "mail in");
        assert_eq!((smtp.number(None), smtp.number(Some(20_000))), (2525, 20_025));
    }

    #[test]
    fn a_base_outside_the_free_range_is_wrong_usage() {
        assert_eq!(Ports::parse("20000").unwrap().base, Some(20_000));
        for text in ["80", "32669", "70000", "many", "-1"] {
            assert!(matches!(Ports::parse(text), Err(Error::Usage(_))), "{text}");
        }
    }

    #[test]
    fn two_that_look_for_a_free_block_get_different_ones() {
        let one = Ports::parse("free").unwrap();
        let other = Ports::parse("free").unwrap();
        assert_ne!(one.base, other.base);
    }

    #[test]
    fn a_block_with_a_port_in_use_is_not_free() {
        let base = Ports::parse("free").unwrap().base.unwrap();
        let _in_use = bind(base + SERVERS[0].ports()[0].slot).unwrap();
        assert!(claim(base).is_none());
    }
}
