//! Maps that are ready, one file for each kind of server and service.
//!
//! They are written as a job's own are. Every one of them is optional: a server that does not count something leaves it unknown; the run
//! fails only when nothing at all that a job takes is there.

use watchpost_plugin_api::AgentError;

use crate::config::{Map, Service, Source};

/// What is taken from each source.
const READY: &[(Source, Option<Service>, &str)] = &[
    (Source::Dovecot, Some(Service::Imap), include_str!("../ready/dovecot-imap.json")),
    (Source::Dovecot, Some(Service::Lmtp), include_str!("../ready/dovecot-lmtp.json")),
    (Source::Dovecot, Some(Service::Auth), include_str!("../ready/dovecot-auth.json")),
    (Source::Doveadm, Some(Service::Imap), include_str!("../ready/doveadm-imap.json")),
    (Source::Doveadm, Some(Service::Pop3), include_str!("../ready/doveadm-pop3.json")),
    (Source::Doveadm, Some(Service::Lmtp), include_str!("../ready/doveadm-lmtp.json")),
    (Source::Doveadm, Some(Service::Auth), include_str!("../ready/doveadm-auth.json")),
    (Source::Slapd, None, include_str!("../ready/slapd.json")),
    (Source::Bind, None, include_str!("../ready/bind.json")),
];

/// Gives what is taken from a source; `None` where the job has to say it.
pub(crate) fn of(source: Source, service: Option<Service>) -> Result<Option<Vec<Map>>, AgentError> {
    let found = READY.iter().find(|(of, for_service, _)| (*of, *for_service) == (source, service));
    let parse = |(_, _, text): &(_, _, &str)| serde_json::from_str::<Vec<Map>>(text).map_err(|error| AgentError::local(error.to_string()));
    let ready = found.map(parse).transpose()?;
    Ok(ready.map(|maps| maps.into_iter().map(|map| Map { optional: true, ..map }).collect()))
}

#[cfg(test)]
mod tests {
    use watchpost_plugin_api::Agent;

    use super::*;
    use crate::{ServerStats, map::Mapping};

    #[test]
    fn everything_that_is_ready_is_a_map_to_a_metric_that_is_declared() {
        for (source, service, _) in READY {
            let maps = of(*source, *service).unwrap().unwrap();
            assert!(!maps.is_empty());
            for map in maps {
                let mapping = Mapping::of(&map, ServerStats::METRICS).unwrap_or_else(|fault| panic!("{source:?} {map:?}: {}", fault.at(0)));
                assert!(mapping.is_known(), "{source:?} {service:?}: {} is no metric of the agent", map.to);
            }
        }
    }
}
