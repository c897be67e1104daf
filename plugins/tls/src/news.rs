//! What is new about a certificate since the last run.

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::{Cx, Severity, TlsVerdict, quoted};

use crate::look::{Look, days};

/// What is remembered of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Seen {
    /// SHA-256 of the server's own; empty before the first.
    sha256: String,
    issuer: String,
    /// What is wrong with it, by name; empty if nothing is.
    fault: String,
}

impl Seen {
    /// What is to be remembered now.
    pub(crate) fn of(look: &Look<'_>) -> Self {
        let fault = match &look.facts.verdict {
            TlsVerdict::Valid => String::new(),
            TlsVerdict::Invalid { fault, .. } => fault.name().to_owned(),
        };
        Self {
            sha256: look.facts.chain.first().map(|own| own.sha256.clone()).unwrap_or_default(),
            issuer: look.own().map(|own| quoted(&own.issuer)).unwrap_or_default(),
            fault,
        }
    }

    /// Reports what differs from what was known before.
    pub(crate) fn report(&self, cx: &Cx, look: &Look<'_>, before: &Self) {
        if !before.sha256.is_empty() && before.sha256 != self.sha256 {
            let what = self.told(look);
            match before.issuer == self.issuer {
                true => cx.event(Severity::Indeterminate, "certificate_replaced", &format!("there is another certificate: {what}")),
                false => {
                    let text = format!("there is a certificate of another issuer: {what}; before it was {}", before.issuer);
                    cx.event(Severity::Warning, "issuer_changed", &text);
                }
            }
        }
        if before.fault != self.fault {
            match &look.facts.verdict {
                TlsVerdict::Valid => {
                    cx.event(Severity::Indeterminate, "certificate_valid", &format!("the certificate is valid: {}", self.told(look)))
                }
                TlsVerdict::Invalid { fault, reason } => cx.event(Severity::Major, fault.name(), &quoted(reason)),
            }
        }
    }

    fn told(&self, look: &Look<'_>) -> String {
        let valid = match look.expires_in() {
            Some(left) if left > 0.0 => format!("for another {}", days(left)),
            Some(past) => format!("until {} ago", days(past)),
            None => "for a time that cannot be read".to_owned(),
        };
        format!("issued by {}, valid {valid}, SHA-256 {}", self.issuer, self.sha256)
    }
}
