//! Who is asked: a name or an address, and a port, as one word of a configuration.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    num::NonZeroU16,
    str::FromStr,
};

use watchpost_plugin_api::{AgentError, Cx, RecordType, Resolver};

/// A DNS server: `ns1.example.org`, `192.0.2.53:5300`, `2001:db8::53`, `[2001:db8::53]:53`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// Name or address, without brackets.
    pub host: String,
    /// The port, where one was given.
    pub port: Option<NonZeroU16>,
}

impl Server {
    /// The port, given or usual.
    pub fn port(&self, usual: u16) -> u16 {
        self.port.map_or(usual, NonZeroU16::get)
    }

    /// `host:port`, an IPv6 address in brackets.
    pub fn target(&self, usual: u16) -> String {
        let (host, port) = (&self.host, self.port(usual));
        match host.parse::<Ipv6Addr>() {
            Ok(address) => format!("[{address}]:{port}"),
            Err(_) => format!("{host}:{port}"),
        }
    }

    /// Finds its addresses, in the way of this machine.
    ///
    /// Errors: kind `resolve`.
    pub async fn addresses(&self, cx: &Cx, usual: u16) -> Result<Vec<SocketAddr>, AgentError> {
        let addresses = cx.resolve(&self.host, RecordType::Any, Resolver::System).await?;
        Ok(addresses.into_iter().map(|address| (address, self.port(usual)).into()).collect())
    }
}

impl FromStr for Server {
    type Err = &'static str;

    /// Takes host and port apart; an IPv6 address without brackets has no port.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err("a host name has neither spaces nor characters beyond ASCII");
        }
        let whole = |host: &str| Ok(Self { host: host.to_owned(), port: None });
        if text.parse::<IpAddr>().is_ok() {
            return whole(text);
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']').ok_or("a bracket is not closed")?;
                address.parse::<Ipv6Addr>().map_err(|_| "what stands in brackets is no IPv6 address")?;
                (address, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or("more than a port after the bracket")?) })
            }
            None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        if host.is_empty() || host.contains(['/', '@', '[', ']']) {
            return Err("a name or an address is wanted, and a port after a colon");
        }
        match port {
            None => whole(host),
            Some(port) => match port.parse() {
                Ok(port) => Ok(Self { host: host.to_owned(), port: Some(port) }),
                Err(_) => Err("a port is a number from 1 to 65535"),
            },
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => f.write_str(&self.target(port.get())),
            None => f.write_str(&self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_and_perhaps_a_port() {
        let check = |text: &str, host: &str, port: Option<u16>, target: &str| {
            let server: Server = text.parse().unwrap();
            assert_eq!((server.host.as_str(), server.port.map(NonZeroU16::get)), (host, port), "{text}");
            assert_eq!(server.target(53), target, "{text}");
        };
        check("ns1.example.org", "ns1.example.org", None, "ns1.example.org:53");
        check("192.0.2.53:5300", "192.0.2.53", Some(5300), "192.0.2.53:5300");
        check("2001:db8::53", "2001:db8::53", None, "[2001:db8::53]:53");
        check("[2001:db8::53]", "2001:db8::53", None, "[2001:db8::53]:53");
        check("[2001:db8::53]:853", "2001:db8::53", Some(853), "[2001:db8::53]:853");
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for text in ["", ":53", "ns1:", "ns1:0", "ns1:70000", "ns1:53:53", "[::1", "[ns1]", "[::1]53", "dns://ns1", "ns 1", "nß1", "a@b"] {
            assert!(text.parse::<Server>().is_err(), "{text}");
        }
    }
}
