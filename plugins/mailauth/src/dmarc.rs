//! A DMARC record, and the address for reports about TLS (RFC 7489 6.3, RFC 8460 3).

use crate::tags::{Tags, shown};

/// What to do with mail that does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    None,
    Quarantine,
    Reject,
}

impl Policy {
    fn parse(text: &str) -> Option<Self> {
        [Self::None, Self::Quarantine, Self::Reject].into_iter().find(|policy| policy.name().eq_ignore_ascii_case(text))
    }

    /// As the record writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    /// How strict it is, from 0.
    pub(crate) fn strictness(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Quarantine => 1,
            Self::Reject => 2,
        }
    }
}

/// What a DMARC record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dmarc {
    pub(crate) policy: Policy,
    /// Of a hundred messages, how many it is for.
    pub(crate) percent: u8,
    /// Where reports go.
    pub(crate) reports: Vec<String>,
}

/// Reads a DMARC record.
///
/// Errors: what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Dmarc, String> {
    let tags = Tags::parse(text)?;
    let policy = tags.get("p").ok_or("it has no policy (tag `p`)")?;
    let policy = Policy::parse(policy).ok_or_else(|| format!("its policy `{}` is none", shown(policy)))?;
    if let Some(policy) = tags.get("sp").filter(|policy| Policy::parse(policy).is_none()) {
        return Err(format!("its policy for subdomains `{}` is none", shown(policy)));
    }
    for tag in ["adkim", "aspf"] {
        if let Some(mode) = tags.get(tag).filter(|mode| !matches!(*mode, "r" | "s")) {
            return Err(format!("its tag `{tag}` is `{}`, neither `r` nor `s`", shown(mode)));
        }
    }
    let percent = tags.get("pct").unwrap_or("100");
    let percent = percent.parse().ok().filter(|percent| *percent <= 100).ok_or_else(|| format!("its tag `pct` is `{}`", shown(percent)))?;
    let reports = tags.get("rua").map_or(Ok(Vec::new()), |list| addresses(list, &["mailto:"]))?;
    tags.get("ruf").map_or(Ok(Vec::new()), |list| addresses(list, &["mailto:"]))?;
    Ok(Dmarc { policy, percent, reports })
}

/// Reads a record for reports about TLS; gives where they go.
///
/// Errors: what is wrong with it.
pub(crate) fn tls_reports(text: &str) -> Result<Vec<String>, String> {
    let list = Tags::parse(text)?.get("rua").ok_or("it has no address (tag `rua`)")?;
    addresses(list, &["mailto:", "https:"])
}

/// A list of URIs, each perhaps with a size behind `!`.
fn addresses(list: &str, schemes: &[&str]) -> Result<Vec<String>, String> {
    let one = |text: &str| {
        let text = text.trim();
        let lower = text.to_ascii_lowercase();
        let rest = schemes.iter().find_map(|scheme| lower.strip_prefix(scheme)).unwrap_or_default();
        let fits = if lower.starts_with("mailto:") { rest.contains('@') } else { rest.len() > 2 && rest.starts_with("//") };
        match fits && text.chars().all(|c| c.is_ascii_graphic()) {
            true => Ok(text.split('!').next().unwrap_or_default().to_owned()),
            false => Err(format!("`{}` is no address for reports", shown(text))),
        }
    };
    list.split(',').map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_what_to_do_with_how_much_and_where_reports_go() {
        let check = |text: &str, policy, percent, reports: &[&str]| {
            let reports = reports.iter().map(|&text| text.to_owned()).collect();
            assert_eq!(parse(text), Ok(Dmarc { policy, percent, reports }), "{text}");
        };
        check("v=DMARC1; p=none", Policy::None, 100, &[]);
        check("v=DMARC1;p=Reject;sp=none;adkim=s;aspf=r;pct=0;x=y", Policy::Reject, 0, &[]);
        check(
            "v=DMARC1; p=quarantine; rua=mailto:a@b.test!10m, MAILTO:c@d.test",
            Policy::Quarantine,
            100,
            &["mailto:a@b.test", "MAILTO:c@d.test"],
        );
    }

    #[test]
    fn what_is_no_record_is_told() {
        let check = |text: &str, expected: &str| assert_eq!(parse(text), Err(expected.to_owned()), "{text}");
        check("v=DMARC1", "it has no policy (tag `p`)");
        check("v=DMARC1; p=block", "its policy `block` is none");
        check("v=DMARC1; p=none; sp=x", "its policy for subdomains `x` is none");
        check("v=DMARC1; p=none; pct=101", "its tag `pct` is `101`");
        check("v=DMARC1; p=none; pct=-1", "its tag `pct` is `-1`");
        check("v=DMARC1; p=none; aspf=strict", "its tag `aspf` is `strict`, neither `r` nor `s`");
        check("v=DMARC1; p=none; rua=a@b.test", "`a@b.test` is no address for reports");
        check("v=DMARC1; p=none; ruf=mailto:", "`mailto:` is no address for reports");
        check("v=DMARC1; p=none p=none", "its policy `none p=none` is none");
    }

    #[test]
    fn reports_about_tls_go_by_mail_or_by_https() {
        assert_eq!(
            tls_reports("v=TLSRPTv1; rua=https://a.test/tls,mailto:b@c.test"),
            Ok(vec!["https://a.test/tls".into(), "mailto:b@c.test".into()])
        );
        assert_eq!(tls_reports("v=TLSRPTv1;"), Err("it has no address (tag `rua`)".into()));
        assert_eq!(tls_reports("v=TLSRPTv1; rua=http://a.test"), Err("`http://a.test` is no address for reports".into()));
    }
}
