//! Names to addresses, as every program of this machine does it.

use std::net::IpAddr;

use watchpost_plugin_api::{AgentError, RecordType, wire::Resolve};

use crate::{network, stream::reason};

/// Finds the addresses of a name; an address is its own answer.
pub(crate) async fn resolve(wanted: &Resolve) -> Result<Vec<IpAddr>, AgentError> {
    if let Some(address) = literal(&wanted.name) {
        return Ok(vec![address]);
    }
    let name = wanted.name.trim_matches(['[', ']']);
    if let Some(network) = network::here() {
        let found: Vec<IpAddr> = network.addresses(name).into_iter().filter(|address| fits(wanted.record, address)).collect();
        return if found.is_empty() { Err(AgentError::resolve(format!("no address for {name}"))) } else { Ok(found) };
    }
    let found = tokio::net::lookup_host((name, 0)).await.map_err(|error| {
        let text = reason(&error);
        let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
        AgentError::resolve(format!("no address for {name}: {text}"))
    })?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found.map(|found| found.ip()).filter(|address| fits(wanted.record, address)) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(AgentError::resolve(format!("no address of that family for {name}")));
    }
    Ok(addresses)
}

/// The address that stands in a name's place, in brackets or not.
pub(crate) fn literal(name: &str) -> Option<IpAddr> {
    name.trim_matches(['[', ']']).parse().ok()
}

fn fits(record: RecordType, address: &IpAddr) -> bool {
    match record {
        RecordType::A => address.is_ipv4(),
        RecordType::Aaaa => address.is_ipv6(),
        _ => true,
    }
}
