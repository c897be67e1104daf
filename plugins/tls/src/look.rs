//! What a chain of certificates is worth, by the clock and by the name.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use watchpost_plugin_api::{AgentError, CertificateDetails, TlsFacts, TlsVerdict};

use crate::config::Requirement;

/// Names of a certificate that a message lists.
const NAMES_MAX: usize = 5;

/// A chain, as one run saw it.
pub(crate) struct Look<'a> {
    pub(crate) facts: &'a TlsFacts,
    /// The name that was asked for.
    pub(crate) name: &'a str,
    pub(crate) now: SystemTime,
}

impl<'a> Look<'a> {
    /// What stands in the server's own certificate; `None` if it cannot be read.
    pub(crate) fn own(&self) -> Option<&'a CertificateDetails> {
        self.facts.chain.first()?.details.as_ref()
    }

    /// Seconds until the server's own certificate expires.
    pub(crate) fn expires_in(&self) -> Option<f64> {
        Some(seconds(self.now, self.own()?.not_after))
    }

    /// Seconds until the first of the chain expires; unknown if one of them cannot be read.
    pub(crate) fn chain_expires_in(&self) -> Option<f64> {
        let ends = self.facts.chain.iter().map(|one| Some(one.details.as_ref()?.not_after)).collect::<Option<Vec<_>>>()?;
        ends.into_iter().min().map(|first| seconds(self.now, first))
    }

    /// Whether the certificate is for the name; unknown if it cannot be read.
    pub(crate) fn name_matches(&self) -> Option<bool> {
        let own = self.own()?;
        Some(match self.name.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => own.addresses.contains(&address),
            Err(_) => own.dns_names.iter().any(|pattern| covers(pattern, self.name)),
        })
    }

    /// Fails if it is not what it has to be.
    ///
    /// Errors: kind `tls`.
    pub(crate) fn require(&self, requirement: Requirement) -> Result<(), AgentError> {
        match requirement {
            Requirement::Trusted => match &self.facts.verdict {
                TlsVerdict::Valid => Ok(()),
                TlsVerdict::Invalid { reason, .. } => Err(AgentError::tls(reason)),
            },
            Requirement::Name => match self.name_matches() {
                Some(true) => Ok(()),
                Some(false) => Err(AgentError::tls(format!("the certificate is for {}, not for {}", self.names(), self.name))),
                None => Err(unreadable()),
            },
            Requirement::Time => self.facts.chain.iter().enumerate().try_for_each(|(at, one)| {
                let details = one.details.as_ref().ok_or_else(unreadable)?;
                let which = if at == 0 {
                    "the certificate".to_owned()
                } else {
                    format!("certificate {} of the chain ({})", at + 1, details.subject)
                };
                match (seconds(self.now, details.not_before), seconds(self.now, details.not_after)) {
                    (begins, _) if begins > 0.0 => Err(AgentError::tls(format!("{which} is not valid for another {}", days(begins)))),
                    (_, ends) if ends <= 0.0 => Err(AgentError::tls(format!("{which} expired {} ago", days(-ends)))),
                    _ => Ok(()),
                }
            }),
        }
    }

    /// The names that the certificate is for, the first few.
    fn names(&self) -> String {
        let own = self.own();
        let names = own.into_iter().flat_map(|own| own.dns_names.iter().cloned().chain(own.addresses.iter().map(IpAddr::to_string)));
        let names: Vec<String> = names.take(NAMES_MAX).collect();
        if names.is_empty() { "no name at all".into() } else { watchpost_plugin_api::quoted(&names.join(", ")) }
    }
}

fn unreadable() -> AgentError {
    AgentError::tls("a certificate of the server's cannot be read")
}

/// Seconds from one moment to another; below 0 if that has passed.
pub(crate) fn seconds(from: SystemTime, to: SystemTime) -> f64 {
    match to.duration_since(from) {
        Ok(ahead) => ahead.as_secs_f64(),
        Err(behind) => -behind.duration().as_secs_f64(),
    }
}

/// A time as a message tells it.
pub(crate) fn days(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds.abs()).unwrap_or_default().as_secs();
    match (whole / 86_400, whole / 3600) {
        (0, 0) => format!("{} minutes", whole / 60),
        (0, hours) => format!("{hours} hours"),
        (days, _) => format!("{days} days"),
    }
}

/// Whether a name of a certificate covers a host: RFC 9525 6.3. A star stands for one whole label, the first.
fn covers(pattern: &str, host: &str) -> bool {
    let (pattern, host) = (pattern.trim_end_matches('.'), host.trim_end_matches('.'));
    match pattern.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(first, rest)| !first.is_empty() && rest.eq_ignore_ascii_case(parent)),
        None => pattern.eq_ignore_ascii_case(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_whole_label() {
        let check = |pattern: &str, host: &str, expected| assert_eq!(covers(pattern, host), expected, "{pattern} {host}");
        check("mx.lab.test", "MX.lab.test.", true);
        check("*.lab.test", "mx.lab.test", true);
        check("*.lab.test", "a.mx.lab.test", false);
        check("*.lab.test", "lab.test", false);
        check("*.lab.test", ".lab.test", false);
        check("m*.lab.test", "mx.lab.test", false);
        check("lab.test", "mx.lab.test", false);
    }

    #[test]
    fn a_moment_that_has_passed_is_below_zero() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        assert_eq!(seconds(now, now + Duration::from_millis(1500)), 1.5);
        assert_eq!(seconds(now, SystemTime::UNIX_EPOCH), -1000.0);
    }

    #[test]
    fn a_time_is_told_in_the_largest_unit_that_fits() {
        assert_eq!([days(59.0), days(7300.0), days(-200_000.0)], ["0 minutes", "2 hours", "2 days"]);
    }
}
