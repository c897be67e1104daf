//! One of a job's targets: what it adds to the job's name, its config and its labels.

use std::net::Ipv6Addr;

use super::{
    At, Fault, Faults, Place, Rule, name,
    reader::Field,
    schedule_file::{RawTarget, TargetSaid, TargetTable},
    text::{Data, Entry, Table},
};

/// What a port may be.
const PORTS: &str = "1 to 65535";

/// What would be right.
const FORMS: &str = "write \"mx1\", \"mx1:25\", \"[2001:db8::1]:25\" or { host = \"mx1\", port = 25 }";

/// A checked target.
#[derive(Default)]
pub(super) struct Target {
    /// What follows the `@` of the job's name; none if that was told of.
    pub(super) suffix: Option<String>,
    /// What it lays over the job's config.
    pub(super) config: Table,
    /// Whether a part of that was told of and is lost.
    pub(super) config_lost: bool,
    /// What it lays over the job's labels.
    pub(super) labels: Field<Table>,
}

impl Target {
    /// A target of which nothing can be known.
    pub(super) fn lost() -> Self {
        Self { config_lost: true, ..Self::default() }
    }

    pub(super) fn check(raw: RawTarget, faults: &mut Faults) -> Self {
        match raw.said {
            TargetSaid::Text(text) => match split(&text) {
                Ok((host, port)) => Self::of_text(host, port, &raw.place),
                Err(refused) => {
                    faults.push(refused.fault(&text, &raw.place));
                    Self::lost()
                }
            },
            TargetSaid::Table(table) => Self::of_table(*table, &raw.place, faults),
            TargetSaid::Broken => Self::lost(),
        }
    }

    fn of_text(host: &str, port: Option<u16>, place: &Place) -> Self {
        let entry = |data| Entry { key: place.clone(), value: At { value: data, place: place.clone() } };
        let mut config = Table::default();
        config.0.insert("host".into(), entry(Data::Text(host.into())));
        if let Some(port) = port {
            config.0.insert("port".into(), entry(Data::Whole(port.into())));
        }
        Self { suffix: Some(suffix(host, port)), config, ..Self::default() }
    }

    fn of_table(table: TargetTable, place: &Place, faults: &mut Faults) -> Self {
        let TargetTable { name, host, port, labels, mut config, config_lost } = table;
        if name.is_absent() && host.is_absent() {
            faults.push(Fault::new(Rule::TargetNameless, place, "target: neither `host` nor `name`").hint(FORMS));
        }
        let port = checked(port, &mut config, "port", |port| check_port(port, faults));
        let by_host = name.is_absent();
        let host = checked(host, &mut config, "host", |host| match check_host(host) {
            Ok(()) => Some(host.value.clone()),
            Err(refused) => {
                faults.push(refused.fault(host, &host.place));
                None
            }
        });
        let name = name.given().and_then(|name| check_name(name, faults));
        let suffix = if by_host { host.flatten().zip(port).map(|(host, port)| suffix(&host, port)) } else { name };
        Self { suffix, config, config_lost, labels }
    }
}

/// Checks a key that is the host's and the agent's; told of here, its value is nothing that the agent could be asked about.
///
/// Shape: none if it is wrong, `Some(None)` if it is absent.
fn checked<T, C>(field: Field<T>, config: &mut Table, key: &str, check: impl FnOnce(&At<T>) -> Option<C>) -> Option<Option<C>> {
    match field {
        Field::Absent => Some(None),
        Field::Broken => None,
        Field::Given(value) => {
            let good = check(&value);
            if good.is_none() {
                config.break_off(key);
            }
            good.map(Some)
        }
    }
}

fn check_port(port: &At<i64>, faults: &mut Faults) -> Option<u16> {
    let good = u16::try_from(port.value).ok().filter(|port| *port > 0);
    if good.is_none() {
        let fault = Fault::new(Rule::TargetPortOutOfRange, &port.place, format!("`port`: {} is out of range", port.value));
        faults.push(fault.hint(PORTS));
    }
    good
}

/// A name that is written stands in the job's name as it is.
fn check_name(name: At<String>, faults: &mut Faults) -> Option<String> {
    if !name.is_empty() && name::fits(&name) {
        return Some(name.value);
    }
    let message = format!("`name`: \"{}\" is no name of a target", name.escape_debug());
    faults.push(Fault::new(Rule::TargetNameIllegal, &name.place, message).hint("lower case letters, digits, `.`, `_`, `@` and `-`"));
    None
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

/// Why a text is no target.
#[derive(Debug, PartialEq)]
enum Refused {
    Form(&'static str),
    Port,
}

impl Refused {
    fn fault(self, text: &str, place: &Place) -> Fault {
        let shown = text.escape_debug();
        match self {
            Self::Form(why) => Fault::new(Rule::TargetIllegal, place, format!("target \"{shown}\": {why}")).hint(FORMS),
            Self::Port => {
                Fault::new(Rule::TargetPortOutOfRange, place, format!("target \"{shown}\": its port is out of range")).hint(PORTS)
            }
        }
    }
}

/// Splits `host:port`; an IPv6 address with a port stands in brackets.
fn split(text: &str) -> Result<(&str, Option<u16>), Refused> {
    let (host, port) = match text.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once(']').ok_or(Refused::Form("its bracket is not closed"))?;
            host.parse::<Ipv6Addr>().map_err(|_| Refused::Form("no IPv6 address in brackets"))?;
            match rest {
                "" => (host, None),
                _ => (host, Some(rest.strip_prefix(':').ok_or(Refused::Form("only a port may follow the bracket"))?)),
            }
        }
        None if text.matches(':').count() > 1 => return Err(Refused::Form("an IPv6 address stands in brackets")),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    check_host(host)?;
    Ok((host, port.map(port_number).transpose()?))
}

fn port_number(text: &str) -> Result<u16, Refused> {
    if text.is_empty() || text.bytes().any(|byte| !byte.is_ascii_digit()) {
        return Err(Refused::Form("its port is no number"));
    }
    text.parse().ok().filter(|port| *port > 0).ok_or(Refused::Port)
}

fn check_host(host: &str) -> Result<(), Refused> {
    if host.is_empty() {
        return Err(Refused::Form("its host is empty"));
    }
    if host.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '/' | '@')) {
        return Err(Refused::Form("a host is a name or an address, nothing else"));
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
