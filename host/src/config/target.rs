//! One of a job's targets: what it adds to the job's name, its config and its labels.

use std::net::Ipv6Addr;

use super::{
    fault::{At, Fault, Faults, Place},
    reader::Field,
    schedule_file::{RawTarget, TargetTable},
    text::{Data, Entry, Table},
};

/// What would be right.
const FORMS: &str = "write \"mx1\", \"mx1:25\", \"[2001:db8::1]:25\" or { host = \"mx1\", port = 25 }";

/// A checked target.
pub(super) struct Target {
    /// What follows the `@` of the job's name.
    pub(super) suffix: String,
    /// What it lays over the job's config.
    pub(super) config: Table,
    /// What it lays over the job's labels.
    pub(super) labels: Field<Table>,
}

impl Target {
    pub(super) fn check(raw: At<RawTarget>, faults: &mut Faults) -> Option<Self> {
        match raw.value {
            RawTarget::Text(text) => match split(&text) {
                Ok((host, port)) => Some(Self::of_text(host, port, &raw.place)),
                Err(why) => {
                    faults.push(Fault::new(&raw.place, format!("target \"{}\": {why}", text.escape_debug())).hint(FORMS));
                    None
                }
            },
            RawTarget::Table(table) => Self::of_table(table, &raw.place, faults),
        }
    }

    fn of_text(host: &str, port: Option<u16>, place: &Place) -> Self {
        let entry = |data| Entry { key: place.clone(), value: At { value: data, place: place.clone() } };
        let mut config = Table::default();
        config.0.insert("host".into(), entry(Data::Text(host.into())));
        if let Some(port) = port {
            config.0.insert("port".into(), entry(Data::Whole(port.into())));
        }
        Self { suffix: suffix(host, port), config, labels: Field::Absent }
    }

    fn of_table(table: TargetTable, place: &Place, faults: &mut Faults) -> Option<Self> {
        let TargetTable { name, host, port, labels, config } = table;
        let (named, hosted) = (!name.is_absent(), !host.is_absent());
        if !named && !hosted {
            faults.push(Fault::new(place, "target: neither `host` nor `name`").hint(FORMS));
        }
        let port = match port.given() {
            Some(port) => match u16::try_from(port.value).ok().filter(|port| *port > 0) {
                Some(number) => Some(number),
                None => {
                    faults.push(Fault::new(&port.place, format!("`port`: {} is not in 1 to 65535", port.value)));
                    return None;
                }
            },
            None => None,
        };
        if let Field::Given(host) = &host
            && let Err(why) = check_host(host)
        {
            faults.push(Fault::new(&host.place, format!("target \"{}\": {why}", host.escape_debug())).hint(FORMS));
            return None;
        }
        let suffix = match (name.given(), host.given()) {
            (Some(name), _) => name.value,
            (None, Some(host)) if !named => suffix(&host, port),
            _ => return None,
        };
        Some(Self { suffix, config, labels })
    }
}

/// Makes the part of a job's name behind the `@`: lower case, every other character `-`.
fn suffix(host: &str, port: Option<u16>) -> String {
    let fitting = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '-') { c.to_ascii_lowercase() } else { '-' };
    let host: String = host.chars().map(fitting).collect();
    match port {
        Some(port) => format!("{host}-{port}"),
        None => host,
    }
}

/// Splits `host:port`; an IPv6 address with a port stands in brackets.
fn split(text: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, port) = match text.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once(']').ok_or("its bracket is not closed")?;
            host.parse::<Ipv6Addr>().map_err(|_| "no IPv6 address in brackets")?;
            match rest {
                "" => (host, None),
                _ => (host, Some(rest.strip_prefix(':').ok_or("only a port may follow the bracket")?)),
            }
        }
        None if text.matches(':').count() > 1 => return Err("an IPv6 address stands in brackets"),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    check_host(host)?;
    Ok((host, port.map(port_number).transpose()?))
}

fn port_number(text: &str) -> Result<u16, &'static str> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0).ok_or("its port is not in 1 to 65535")
}

fn check_host(host: &str) -> Result<(), &'static str> {
    if host.is_empty() {
        return Err("its host is empty");
    }
    if host.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '/' | '@')) {
        return Err("a host is a name or an address, nothing else");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_host_and_maybe_a_port() {
        for (text, host, port, name) in [
            ("mx1", "mx1", None, "mx1"),
            ("MX1.Lab.test:25", "MX1.Lab.test", Some(25), "mx1.lab.test-25"),
            ("127.0.0.1:65535", "127.0.0.1", Some(65535), "127.0.0.1-65535"),
            ("[::1]:25", "::1", Some(25), "--1-25"),
            ("[::1]", "::1", None, "--1"),
            ("bücher.test:1", "bücher.test", Some(1), "b-cher.test-1"),
        ] {
            assert_eq!(split(text), Ok((host, port)), "{text}");
            assert_eq!(suffix(host, port), name, "{text}");
        }
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for text in ["", ":25", "mx1:", "mx1:0", "mx1:65536", "mx1:+25", "::1", "[::1", "[mx1]:25", "[::1]25", "mx 1", "smtp://mx1"] {
            assert!(split(text).is_err(), "{text:?} passed");
        }
    }
}
