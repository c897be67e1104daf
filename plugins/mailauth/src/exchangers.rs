//! Where mail for the domain goes (RFC 5321 5.1, RFC 7505), and which of those addresses stand on block lists (RFC 5782).

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

use domain::base::Rtype;
use watchpost_plugin_api::{AgentError, Cx};
use watchpost_records::together;

use crate::{
    DNSBL_LISTED, DNSBL_LISTINGS, MX_RECORDS, MX_UNRESOLVED,
    ask::{Names, reversed},
    finding::{Finding, Findings},
    tags::shown,
};

/// Exchangers of a domain that are looked up; large ones have a dozen.
const EXCHANGERS_MAX: usize = 30;
/// Pairs of address and list: each has a series of its own.
const PAIRS_MAX: usize = 80;
/// Listings whose reason is asked for and told.
const TOLD_MAX: usize = 5;
/// What each list lists, as a test of itself. Source: RFC 5782 5.
const ALWAYS_LISTED: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), IpAddr::V6(Ipv4Addr::new(127, 0, 0, 2).to_ipv6_mapped())];
/// What no list lists, but one that lists the whole world. Source: RFC 5782 5.
const NEVER_LISTED: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));

/// What takes the domain's mail.
#[derive(Debug, Default)]
pub(crate) struct Exchangers {
    /// Names, none where the domain takes no mail.
    pub(crate) hosts: Vec<String>,
    /// Their addresses, each once.
    pub(crate) addresses: Vec<IpAddr>,
}

/// Looks up the exchangers of a domain.
///
/// Errors: what cannot be found out.
pub(crate) async fn find(cx: &Cx, names: &Names<'_>, domain: &str) -> Result<(Exchangers, Finding), AgentError> {
    let found = names.find(domain, Rtype::MX).await?;
    cx.record(MX_RECORDS, found.records.len());
    let mut hosts: Vec<String> = Vec::new();
    for record in &found.records {
        let host = record.data.split_once(' ').map_or(record.data.as_str(), |(_, host)| host);
        let host = if host == "." { "." } else { host.trim_end_matches('.') };
        hosts.push(host.to_ascii_lowercase());
    }
    hosts.sort_unstable();
    hosts.dedup();
    let none = |finding| Ok((Exchangers::default(), finding));
    match hosts.as_slice() {
        [] => return none(Finding::absent("there is no MX record")),
        // RFC 7505 3: alone it says that the domain takes no mail.
        [only] if only == "." => {
            cx.record(MX_UNRESOLVED, 0);
            return none(Finding::good("it takes no mail"));
        }
        all if all.len() > EXCHANGERS_MAX => {
            let why = format!("there are {} mail exchangers; {EXCHANGERS_MAX} are looked at", all.len());
            return none(Finding::unknown(why));
        }
        _ => {}
    }
    let (mut addresses, mut lost, mut fault) = (Vec::new(), 0, None);
    for host in &hosts {
        let found = names.addresses(host).await?;
        let wrong = match (found.addresses().next(), found.alias) {
            _ if host == "." => Some("`.` stands beside other mail exchangers".to_owned()),
            (None, _) => Some(format!("the mail exchanger {} has no address", shown(host))),
            // RFC 2181 10.3, RFC 5321 5.1.
            (Some(_), true) => Some(format!("the mail exchanger {} is an alias", shown(host))),
            (Some(_), false) => None,
        };
        lost += u32::from(found.records.is_empty());
        fault = fault.or(wrong);
        addresses.extend(found.addresses());
    }
    cx.record(MX_UNRESOLVED, lost);
    addresses.sort_unstable();
    addresses.dedup();
    let finding = fault.map_or_else(|| Finding::good(shown(&hosts.join(" "))), Finding::faulty);
    Ok((Exchangers { hosts, addresses }, finding))
}

/// What a list says of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Listing {
    Listed,
    Clear,
    /// The list does not say, and why.
    Unknown(String),
}

/// Asks each list about each address.
///
/// Errors: kind `limit` for too many of them.
pub(crate) async fn look_up(
    cx: &Cx,
    names: &Names<'_>,
    lists: &[String],
    addresses: &[IpAddr],
    findings: &mut Findings,
) -> Result<(), AgentError> {
    let pairs: Vec<(&String, IpAddr)> = lists.iter().flat_map(|list| addresses.iter().map(move |&address| (list, address))).collect();
    if pairs.len() > PAIRS_MAX {
        return Err(AgentError::limit(format!("the bound of {PAIRS_MAX} pairs of address and list")));
    }
    let tests = together(lists.iter().map(|list| test(names, list))).await;
    let tests: BTreeMap<&String, Test> = lists.iter().zip(tests).collect();
    let said = together(pairs.iter().map(|(list, address)| ask(names, list, *address))).await;
    let said: Vec<Listing> = pairs.iter().zip(said).map(|((list, _), listing)| believed(listing, tests.get(list))).collect();
    let (mut listings, mut all_known) = (0, true);
    let mut by_list: BTreeMap<&String, Vec<(IpAddr, &Listing)>> = BTreeMap::new();
    for ((list, address), listing) in pairs.iter().zip(&said) {
        by_list.entry(list).or_default().push((*address, listing));
        let labels = [("list", list.as_str()), ("address", &address.to_string())];
        match listing {
            Listing::Unknown(_) => all_known = false,
            known => {
                let listed = *known == Listing::Listed;
                listings += u32::from(listed);
                cx.record_with(DNSBL_LISTED, &labels, listed);
            }
        }
    }
    if all_known {
        cx.record(DNSBL_LISTINGS, listings);
    }
    for (list, said) in by_list {
        findings.add(format!("dnsbl {list}"), of_list(names, list, &said).await);
    }
    Ok(())
}

async fn ask(names: &Names<'_>, list: &str, address: IpAddr) -> Listing {
    match names.find(&reversed(address, list), Rtype::A).await {
        Ok(found) => said(found.addresses().collect()),
        Err(error) => Listing::Unknown(error.to_string()),
    }
}

/// What a list says of the addresses by which it can be tested.
struct Test {
    /// Of what each list lists.
    always: Listing,
    /// Of what no list lists.
    never: Listing,
}

async fn test(names: &Names<'_>, list: &str) -> Test {
    let mut always = Listing::Clear;
    for address in ALWAYS_LISTED {
        if always == Listing::Clear {
            always = ask(names, list, address).await;
        }
    }
    Test { always, never: ask(names, list, NEVER_LISTED).await }
}

/// What is known of an address: a name that is no list, or no longer one, says "not listed" of everybody, and some say "listed".
fn believed(said: Listing, test: Option<&Test>) -> Listing {
    match (said, test) {
        (Listing::Clear, Some(Test { always: Listing::Clear, .. })) => {
            Listing::Unknown("it does not list 127.0.0.2, as each list does: there is no such list, or none for this resolver".to_owned())
        }
        (Listing::Clear, Some(Test { always: Listing::Unknown(why), .. })) => Listing::Unknown(why.clone()),
        (Listing::Listed, Some(Test { never: Listing::Listed, .. })) => {
            Listing::Unknown("it lists 127.0.0.1, as no list does: it lists everybody".to_owned())
        }
        (said, _) => said,
    }
}

/// RFC 5782 2.1: an address of 127.0.0.0/8 says that it is listed. Those of 127.255.255.0/24 are lists' words for "you may not ask so".
fn said(codes: Vec<IpAddr>) -> Listing {
    let codes: Vec<Ipv4Addr> = codes
        .into_iter()
        .filter_map(|code| match code {
            IpAddr::V4(code) => Some(code),
            IpAddr::V6(_) => None,
        })
        .collect();
    let strange = codes.iter().find(|code| !code.is_loopback() || code.octets()[..3] == [127, 255, 255]);
    match (strange, codes.is_empty()) {
        (Some(code), _) if code.is_loopback() => Listing::Unknown(format!("the list refuses to answer ({code})")),
        (Some(code), _) => Listing::Unknown(format!("the list answers {code}, which is no answer of a list")),
        (None, true) => Listing::Clear,
        (None, false) => Listing::Listed,
    }
}

/// What a list says altogether, with the reasons it gives.
async fn of_list(names: &Names<'_>, list: &str, said: &[(IpAddr, &Listing)]) -> Finding {
    let listed: Vec<IpAddr> = said.iter().filter(|(_, listing)| **listing == Listing::Listed).map(|(address, _)| *address).collect();
    if listed.is_empty() {
        let unknown = said.iter().find_map(|(address, listing)| match listing {
            Listing::Unknown(why) => Some(format!("{address}: {why}")),
            _ => None,
        });
        return unknown.map_or_else(|| Finding::good("none is listed"), Finding::unknown);
    }
    let mut told = Vec::new();
    for address in listed.iter().take(TOLD_MAX) {
        // A reason is a courtesy; without one it is listed all the same.
        let reason = names.find(&reversed(*address, list), Rtype::TXT).await.ok();
        let reason = reason.and_then(|found| found.texts().next().map(shown));
        told.push(reason.map_or_else(|| format!("{address} is listed"), |reason| format!("{address} is listed: {reason}")));
    }
    if listed.len() > TOLD_MAX {
        told.push(format!("{} more are listed", listed.len() - TOLD_MAX));
    }
    Finding::faulty(told.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_of_a_list_lists() {
        let check =
            |codes: &[&str], expected: Listing| assert_eq!(said(codes.iter().map(|code| code.parse().unwrap()).collect()), expected);
        check(&[], Listing::Clear);
        check(&["127.0.0.2"], Listing::Listed);
        check(&["127.0.0.4", "127.0.0.11"], Listing::Listed);
        check(&["127.255.255.254"], Listing::Unknown("the list refuses to answer (127.255.255.254)".into()));
        check(&["192.0.2.80"], Listing::Unknown("the list answers 192.0.2.80, which is no answer of a list".into()));
        check(&["127.0.0.2", "192.0.2.80"], Listing::Unknown("the list answers 192.0.2.80, which is no answer of a list".into()));
    }
}
