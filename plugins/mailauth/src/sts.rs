//! MTA-STS: the record that announces a policy, the policy, and whether the domain's exchangers fit it (RFC 8461 3).

use std::{net::SocketAddr, time::Duration};

use domain::base::Rtype;
use watchpost_plugin_api::{AgentError, Cx, ErrorKind, HttpRequest, Keep, Laps, PathBuf, Tls, standard};

use crate::{
    POLICY_TIME, STS_MAX_AGE, STS_MODE, STS_MX_UNMATCHED, STS_RECORDS, STS_VALID,
    ask::Names,
    finding::Finding,
    tags::{Tags, is_version, shown},
};

/// Longest policy read: those in use have some hundred bytes.
const POLICY_BYTES_MAX: usize = 64 * 1024;
/// RFC 8461 3.2: a year and some hours, the longest that may be asked for.
const MAX_AGE_MAX: u64 = 31_557_600;
/// Longest id: RFC 8461 3.1.
const ID_CHARS_MAX: usize = 32;
/// RFC 8461 3.3: how long senders wait for a policy.
const FETCH_WITHIN: Duration = Duration::from_secs(60);

/// What senders are to do about servers that do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    None,
    Testing,
    Enforce,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Testing => "testing",
            Self::Enforce => "enforce",
        }
    }

    fn strictness(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Testing => 1,
            Self::Enforce => 2,
        }
    }
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) mode: Mode,
    /// Seconds for which senders keep it.
    pub(crate) max_age: u64,
    /// Names of exchangers; `*.` stands for one label.
    pub(crate) exchangers: Vec<String>,
}

impl Policy {
    /// Reads a policy.
    ///
    /// Errors: what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (mut version, mut mode, mut max_age, mut exchangers) = (None, None, None, Vec::new());
        for line in text.split('\n').map(|line| line.trim_end_matches('\r')).filter(|line| !line.trim().is_empty()) {
            let (key, value) = line.split_once(':').ok_or_else(|| format!("`{}` is no line of a policy", shown(line)))?;
            let value = value.trim();
            // RFC 8461 3.2: of keys that come twice the first counts; unknown ones are ignored.
            match key.trim() {
                "version" => drop(version.get_or_insert(value)),
                "mode" => drop(mode.get_or_insert(value)),
                "max_age" => drop(max_age.get_or_insert(value)),
                "mx" => exchangers.push(value.trim_end_matches('.').to_ascii_lowercase()),
                _ => {}
            }
        }
        if version != Some("STSv1") {
            return Err("its version is not STSv1".into());
        }
        let mode = match mode.ok_or("it has no mode")? {
            "none" => Mode::None,
            "testing" => Mode::Testing,
            "enforce" => Mode::Enforce,
            other => return Err(format!("its mode `{}` is none", shown(other))),
        };
        let age = max_age.ok_or("it has no max_age")?;
        let max_age =
            age.parse().ok().filter(|seconds| *seconds <= MAX_AGE_MAX).ok_or_else(|| format!("its max_age is `{}`", shown(age)))?;
        if exchangers.is_empty() && mode != Mode::None {
            return Err("it names no mail exchanger".into());
        }
        Ok(Self { mode, max_age, exchangers })
    }

    /// Says whether an exchanger fits: RFC 8461 4.1.
    pub(crate) fn fits(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let rest = host.split_once('.').map(|(_, rest)| rest);
        self.exchangers.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(parent) => rest == Some(parent),
            None => *pattern == host,
        })
    }
}

/// Reads the record that announces a policy; gives its id.
///
/// Errors: what is wrong with it.
pub(crate) fn announced(text: &str) -> Result<&str, String> {
    let id = Tags::parse(text)?.get("id").ok_or("it has no id")?;
    match (1..=ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        true => Ok(id),
        false => Err(format!("its id `{}` is not 1 to {ID_CHARS_MAX} letters and digits", shown(id))),
    }
}

/// Where a policy is fetched.
pub(crate) struct Place<'a> {
    pub(crate) domain: &'a str,
    pub(crate) port: u16,
    pub(crate) ca_file: Option<&'a PathBuf>,
}

/// Looks at the record, and at the policy if there is one; `exchangers` are the domain's, if they are known.
pub(crate) async fn check(
    cx: &Cx,
    names: &Names<'_>,
    place: &Place<'_>,
    exchangers: Option<&[String]>,
    laps: &mut Laps<'_>,
) -> Result<Finding, AgentError> {
    let found = names.find(&format!("_mta-sts.{}", place.domain), Rtype::TXT).await?;
    let records: Vec<&str> = found.texts().filter(|text| is_version(text, "STSv1")).collect();
    cx.record(STS_RECORDS, records.len());
    let id = match records.as_slice() {
        [] => {
            cx.record(STS_VALID, false);
            return Ok(Finding::absent("there is no record that announces a policy"));
        }
        [one] => announced(one).map_err(|why| format!("the record is wrong: {why}")),
        several => Err(format!("there are {} records; senders take none of them", several.len())),
    };
    let id = match id {
        Ok(id) => id,
        Err(why) => {
            cx.record(STS_VALID, false);
            return Ok(Finding::faulty(why));
        }
    };
    let host = format!("mta-sts.{}", place.domain);
    let addresses: Vec<SocketAddr> = names.addresses(&host).await?.addresses().map(|address| (address, place.port).into()).collect();
    laps.lap(standard::QUERY_TIME);
    let fetched = fetch(cx, place, &host, &addresses).await;
    laps.lap(POLICY_TIME);
    let policy = match fetched? {
        Ok(text) => Policy::parse(&text).map_err(|why| format!("the policy is wrong: {why}")),
        Err(why) => Err(format!("the policy cannot be fetched: {why}")),
    };
    Ok(judge(cx, id, policy, exchangers))
}

fn judge(cx: &Cx, id: &str, policy: Result<Policy, String>, exchangers: Option<&[String]>) -> Finding {
    let policy = match policy {
        Ok(policy) => policy,
        Err(why) => {
            cx.record(STS_VALID, false);
            return Finding::faulty(why);
        }
    };
    cx.record(STS_MODE, policy.mode.strictness());
    cx.record(STS_MAX_AGE, policy.max_age);
    let said = format!("id {id}, mode {}, max_age {}, mx {}", policy.mode.name(), policy.max_age, shown(&policy.exchangers.join(" ")));
    if policy.mode == Mode::None {
        cx.record(STS_VALID, true);
        return Finding::good(said);
    }
    // Whether it fits exchangers that nobody knows is unknown.
    let Some(exchangers) = exchangers else { return Finding::unknown(said) };
    let strangers: Vec<&str> = exchangers.iter().filter(|host| !policy.fits(host)).map(String::as_str).collect();
    cx.record(STS_MX_UNMATCHED, strangers.len());
    cx.record(STS_VALID, strangers.is_empty());
    match strangers.first() {
        None => Finding::good(said),
        Some(first) => Finding::faulty(format!("the policy does not name the mail exchanger {}; {said}", shown(first))),
    }
}

/// Fetches a policy. What the domain gets wrong is told in words.
///
/// Errors: what is this machine's fault.
async fn fetch(cx: &Cx, place: &Place<'_>, host: &str, addresses: &[SocketAddr]) -> Result<Result<String, String>, AgentError> {
    let Some(&address) = addresses.first() else { return Ok(Err(format!("{} has no address", shown(host)))) };
    let port = if place.port == 443 { String::new() } else { format!(":{}", place.port) };
    let request = HttpRequest::get(format!("https://{host}{port}/.well-known/mta-sts.txt"))
        .tls(Tls::verify(host).ca_file(place.ca_file))
        .connect_to(address)
        .keep(Keep::Never);
    let time = FETCH_WITHIN.min(cx.remaining().mul_f64(0.8));
    let fetched = cx.within(time, async {
        let response = cx.http(request).await?;
        // RFC 8461 3.3: nothing but 200 is one, and redirects are not followed.
        if response.status() != 200 {
            return Err(AgentError::protocol(format!("the server answered {}", response.status())));
        }
        let sort = response.header("Content-Type").unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if sort != "text/plain" {
            return Err(AgentError::protocol(format!("the server calls it `{}`, not text/plain", shown(&sort))));
        }
        response.text(POLICY_BYTES_MAX).await
    });
    match fetched.await {
        Ok(text) => Ok(Ok(text)),
        Err(error) if error.kind().blames_target() || error.kind() == ErrorKind::LIMIT => Ok(Err(format!("{}: {error}", error.kind()))),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "version: STSv1\r\nmode: enforce\r\nmx: mx1.a.test\r\nmx: *.B.test.\r\nmax_age: 604800\r\nx: y\r\n";

    #[test]
    fn a_policy_names_exchangers_a_mode_and_an_age() {
        let policy = Policy::parse(GOOD).unwrap();
        assert_eq!((policy.mode, policy.max_age), (Mode::Enforce, 604_800));
        for (host, expected) in [
            ("mx1.a.test", true),
            ("MX1.a.test.", true),
            ("x.b.test", true),
            ("b.test", false),
            ("x.y.b.test", false),
            ("mx2.a.test", false),
        ] {
            assert_eq!(policy.fits(host), expected, "{host}");
        }
        assert!(Policy::parse(&GOOD.replace("\r\n", "\n")).is_ok());
        assert_eq!(Policy::parse("version: STSv1\nmode: none\nmax_age: 0").unwrap().exchangers, [""; 0]);
    }

    #[test]
    fn what_is_no_policy_is_told() {
        let check = |from: &str, to: &str, expected: &str| assert_eq!(Policy::parse(&GOOD.replace(from, to)), Err(expected.to_owned()));
        check("STSv1", "STSv2", "its version is not STSv1");
        check("mode", "mood", "it has no mode");
        check("enforce", "strict", "its mode `strict` is none");
        check("max_age", "age", "it has no max_age");
        check("604800", "31557601", "its max_age is `31557601`");
        check("604800", "-1", "its max_age is `-1`");
        check("mx:", "nx:", "it names no mail exchanger");
        check("x: y", "<html>", "`<html>` is no line of a policy");
    }

    #[test]
    fn an_announcement_has_an_id() {
        assert_eq!(announced("v=STSv1; id=20261129T010101;"), Ok("20261129T010101"));
        assert_eq!(announced("v=STSv1"), Err("it has no id".into()));
        assert_eq!(announced("v=STSv1; id=a-b"), Err("its id `a-b` is not 1 to 32 letters and digits".into()));
    }

    proptest! {
        #[test]
        fn no_text_is_more_than_an_error(text in "[a-z0-9_:. \\*\r\n\u{0}é]{0,200}") {
            let _ = (Policy::parse(&text), announced(&text));
        }
    }
}
