//! Tells whether what a domain publishes for mail is there and right: mail exchangers, SPF, DKIM keys, DMARC, MTA-STS with its policy,
//! reports about TLS; and whether its addresses stand on block lists.
//!
//! Target: a domain, as a resolver sees it: `example.org @192.0.2.53:53`. Reading order: [`Config`] (what a job says) · [`MailAuth`] (one
//! run) · `ask` (questions to the resolver) · `finding` (what a check found, and what of it is news) · `exchangers`, `spf`, `dkim`,
//! `dmarc`, `sts` (the checks) · `tags` (what records are made of).
//!
//! A `…_valid` is 1 when exactly one record is there and right, 0 when there is none, more than one, or a wrong one. What cannot be found
//! out (the resolver is silent, or its answer is SERVFAIL) leaves its metrics unknown and fails the run, once everything else is known.
//! Block lists are others' servers: one that does not say leaves `dnsbl_listed` unknown, and the run is as good as before.
//!
//! An event tells of each check that found something wrong when it did so first, and of every change after that: another policy, a key
//! withdrawn, a listing and its reason, all well again. What was told stays known over restarts.
//!
//! - SPF is counted as the worst sender costs (RFC 7208 4.6.4): every branch is walked. A name with a macro in it is counted, not looked up.
//! - DMARC is looked for under the domain itself: which parent's record a subdomain without one falls under takes a list of public
//!   suffixes, which nobody ships here. Name the parent as `domain` of another job.
//! - An MTA-STS policy is fetched as senders do it: from `mta-sts.` before the domain, its certificate verified, no redirect followed.
//! - Whether mail is really signed and passes is not seen here; what receivers are told is.

mod ask;
mod config;
mod dkim;
mod dmarc;
mod exchangers;
mod finding;
mod spf;
mod sts;
mod tags;

use domain::base::Rtype;
use watchpost_plugin_api::{Agent, AgentError, Cx, Laps, Metric, Needs, Unit, export_agents, standard};
use watchpost_records::Server;

use ask::Names;
pub use config::{Check, Config};
use exchangers::Exchangers;
use finding::{Finding, Findings, State};
use spf::walk::Walk;
use sts::Place;
use tags::{is_version, shown};

/// MX records.
pub const MX_RECORDS: Metric = Metric::gauge("mx_records", Unit::Answers, "MX records of the domain.");
/// Exchangers that lead nowhere.
pub const MX_UNRESOLVED: Metric = Metric::gauge("mx_unresolved", Unit::Answers, "Mail exchangers without an address.");
/// SPF records.
pub const SPF_RECORDS: Metric = Metric::gauge("spf_records", Unit::Answers, "SPF records of the domain; one is right.");
/// Whether receivers can use SPF.
pub const SPF_VALID: Metric = Metric::gauge("spf_valid", Unit::Number, "1 when receivers can evaluate the SPF record, else 0.");
/// What SPF costs.
pub const SPF_LOOKUPS: Metric = Metric::gauge("spf_lookups", Unit::Queries, "DNS lookups that the SPF record costs; 10 are allowed.");
/// What SPF costs in vain.
pub const SPF_VOID_LOOKUPS: Metric =
    Metric::gauge("spf_void_lookups", Unit::Queries, "Lookups of the SPF record that find nothing; 2 are allowed.");
/// How SPF ends.
pub const SPF_ALL: Metric =
    Metric::gauge("spf_all", Unit::Number, "What SPF says of everybody else: 0 pass, 1 neutral, 2 softfail, 3 fail.");
/// Whether a key is there and right.
pub const DKIM_VALID: Metric =
    Metric::gauge("dkim_valid", Unit::Number, "1 when the DKIM key is there and right, else 0.").by(&["selector"]);
/// Size of a key.
pub const DKIM_KEY_BITS: Metric = Metric::gauge("dkim_key_bits", Unit::Number, "Bits of the DKIM key.").by(&["selector"]);
/// Whether a key was withdrawn.
pub const DKIM_REVOKED: Metric =
    Metric::gauge("dkim_revoked", Unit::Number, "1 when the DKIM key was withdrawn, else 0.").by(&["selector"]);
/// DMARC records.
pub const DMARC_RECORDS: Metric = Metric::gauge("dmarc_records", Unit::Answers, "DMARC records of the domain; one is right.");
/// Whether receivers can use DMARC.
pub const DMARC_VALID: Metric = Metric::gauge("dmarc_valid", Unit::Number, "1 when the DMARC record is there and right, else 0.");
/// How strict DMARC is.
pub const DMARC_POLICY: Metric = Metric::gauge("dmarc_policy", Unit::Number, "DMARC policy: 0 none, 1 quarantine, 2 reject.");
/// What part DMARC is for.
pub const DMARC_PART: Metric = Metric::gauge("dmarc_part", Unit::Ratio, "Part of the messages that the DMARC policy is for (tag pct).");
/// Where reports go.
pub const DMARC_REPORTS: Metric = Metric::gauge("dmarc_reports", Unit::Number, "Addresses that get DMARC's aggregate reports (tag rua).");
/// MTA-STS records.
pub const STS_RECORDS: Metric = Metric::gauge("sts_records", Unit::Answers, "Records that announce an MTA-STS policy; one is right.");
/// Whether senders can use MTA-STS.
pub const STS_VALID: Metric =
    Metric::gauge("sts_valid", Unit::Number, "1 when the MTA-STS policy is announced, there, right, and names the exchangers, else 0.");
/// How strict MTA-STS is.
pub const STS_MODE: Metric = Metric::gauge("sts_mode", Unit::Number, "Mode of the MTA-STS policy: 0 none, 1 testing, 2 enforce.");
/// How long a policy is kept.
pub const STS_MAX_AGE: Metric = Metric::gauge("sts_max_age", Unit::Seconds, "Time for which senders keep the MTA-STS policy.");
/// Exchangers that a policy forgot.
pub const STS_MX_UNMATCHED: Metric =
    Metric::gauge("sts_mx_unmatched", Unit::Answers, "Mail exchangers that the MTA-STS policy does not name.");
/// Records for reports about TLS.
pub const TLSRPT_RECORDS: Metric = Metric::gauge("tlsrpt_records", Unit::Answers, "Records that ask for reports about TLS; one is right.");
/// Whether senders can report about TLS.
pub const TLSRPT_VALID: Metric =
    Metric::gauge("tlsrpt_valid", Unit::Number, "1 when the record that asks for reports about TLS is there and right, else 0.");
/// Whether an address stands on a list.
pub const DNSBL_LISTED: Metric =
    Metric::gauge("dnsbl_listed", Unit::Number, "1 when the address stands on the block list, else 0.").by(&["list", "address"]);
/// How many listings there are.
pub const DNSBL_LISTINGS: Metric =
    Metric::gauge("dnsbl_listings", Unit::Number, "Listings of all addresses in all block lists, when all of them said so.");
/// How long the policy takes.
pub const POLICY_TIME: Metric = Metric::gauge("policy_time", Unit::Seconds, "Time to fetch the MTA-STS policy.");

/// The agent `mailauth`, made for one job.
pub struct MailAuth {
    config: Config,
    resolver: Server,
    require: Vec<&'static str>,
    /// What was told; `None` before the first run.
    known: Option<Findings>,
}

impl Agent for MailAuth {
    type Config = Config;
    const NAME: &'static str = "mailauth";
    const METRICS: &'static [Metric] = &[
        standard::RESOLVE_TIME,
        standard::QUERY_TIME,
        POLICY_TIME,
        standard::TOTAL_TIME,
        MX_RECORDS,
        MX_UNRESOLVED,
        SPF_RECORDS,
        SPF_VALID,
        SPF_LOOKUPS,
        SPF_VOID_LOOKUPS,
        SPF_ALL,
        DKIM_VALID,
        DKIM_KEY_BITS,
        DKIM_REVOKED,
        DMARC_RECORDS,
        DMARC_VALID,
        DMARC_POLICY,
        DMARC_PART,
        DMARC_REPORTS,
        STS_RECORDS,
        STS_VALID,
        STS_MODE,
        STS_MAX_AGE,
        STS_MX_UNMATCHED,
        TLSRPT_RECORDS,
        TLSRPT_VALID,
        DNSBL_LISTED,
        DNSBL_LISTINGS,
    ];

    fn new(config: Config) -> Result<Self, AgentError> {
        config.check()?;
        let require = config.require.iter().map(|check| check.name()).collect();
        Ok(Self { resolver: config.resolver()?, config, require, known: None })
    }

    fn target(config: &Config) -> String {
        let resolver = config.resolver().map_or_else(|_| config.resolver.clone(), |server| server.target(53));
        format!("{} @{resolver}", config.domain)
    }

    fn needs(config: &Config) -> Needs {
        config.needs()
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let mut laps = cx.laps();
        let servers = self.resolver.addresses(cx, 53).await?;
        laps.lap(standard::RESOLVE_TIME);
        let names = Names::new(cx, servers);
        let mut findings = Findings::default();
        let looked = self.look(cx, &names, &mut findings, &mut laps).await;
        // What could not be asked took no time that would tell anything.
        if looked.is_ok() {
            laps.lap(standard::QUERY_TIME);
        }
        let ended = looked.and_then(|()| findings.require(&self.require));
        // A run that reads what was left and fails would lose what it measured, so only one that is as good as over reads it.
        let before = match self.known.take() {
            Some(known) => known,
            None if ended.is_ok() => cx.cursor().and_then(|left| serde_json::from_slice(&left).ok()).unwrap_or_default(),
            None => Findings::default(),
        };
        findings.report(cx, &self.config.domain, &before);
        let known = self.known.insert(findings.over(before));
        cx.set_cursor(&serde_json::to_vec(known).map_err(|error| AgentError::local(error.to_string()))?)?;
        ended?;
        laps.total(standard::TOTAL_TIME);
        Ok(())
    }
}

impl MailAuth {
    /// Looks at everything, however much of it cannot be found out.
    ///
    /// Errors: the first thing that cannot.
    async fn look(&self, cx: &Cx, names: &Names<'_>, findings: &mut Findings, laps: &mut Laps<'_>) -> Result<(), AgentError> {
        let domain = &self.config.domain;
        let mut failed = Ok(());
        let mut note = |findings: &mut Findings, of: String, found: Result<Finding, AgentError>| match found {
            Ok(finding) => findings.add(of, finding),
            Err(error) if failed.is_ok() => failed = Err(error),
            Err(_) => {}
        };
        let (exchangers, found) = match exchangers::find(cx, names, domain).await {
            Ok((exchangers, finding)) => (Some(exchangers), Ok(finding)),
            Err(error) => (None, Err(error)),
        };
        // Only those whose number is known are all of them.
        let exchangers = exchangers.filter(|_| !matches!(&found, Ok(finding) if finding.state == State::Unknown));
        note(findings, "mx".into(), found);
        note(findings, "spf".into(), spf(cx, names, domain).await);
        for selector in &self.config.selectors {
            note(findings, format!("dkim {selector}"), dkim(cx, names, domain, selector).await);
        }
        note(findings, "dmarc".into(), dmarc(cx, names, domain).await);
        note(findings, "tls_rpt".into(), tls_rpt(cx, names, domain).await);
        let place = Place { domain, port: self.config.sts_port(), ca_file: self.config.ca_file.as_ref() };
        let hosts = exchangers.as_ref().map(|exchangers| exchangers.hosts.as_slice());
        note(findings, "mta_sts".into(), sts::check(cx, names, &place, hosts, laps).await);
        let listed = self.block_lists(cx, names, exchangers.as_ref(), findings).await;
        failed.and(listed)
    }

    async fn block_lists(
        &self,
        cx: &Cx,
        names: &Names<'_>,
        exchangers: Option<&Exchangers>,
        findings: &mut Findings,
    ) -> Result<(), AgentError> {
        let of_exchangers = exchangers.map(|exchangers| exchangers.addresses.as_slice());
        let addresses = if self.config.addresses.is_empty() { of_exchangers } else { Some(self.config.addresses.as_slice()) };
        match (addresses, self.config.lists.is_empty()) {
            (Some(addresses), false) => exchangers::look_up(cx, names, &self.config.lists, addresses, findings).await,
            _ => Ok(()),
        }
    }
}

async fn spf(cx: &Cx, names: &Names<'_>, domain: &str) -> Result<Finding, AgentError> {
    let found = names.find(domain, Rtype::TXT).await?;
    let records: Vec<&str> = found.texts().filter(|text| spf::is_spf(text)).collect();
    cx.record(SPF_RECORDS, records.len());
    let record = match records.as_slice() {
        [] => {
            cx.record(SPF_VALID, false);
            return Ok(Finding::absent("there is no SPF record"));
        }
        // RFC 7208 4.5: of several none counts.
        [_, _, ..] => {
            cx.record(SPF_VALID, false);
            return Ok(Finding::faulty(format!("there are {} SPF records; receivers take none of them", records.len())));
        }
        [one] => *one,
    };
    let walk = Walk::from(names, domain).await?;
    cx.record(SPF_VALID, walk.fault.is_none());
    if walk.whole {
        cx.record(SPF_LOOKUPS, walk.lookups);
        cx.record(SPF_VOID_LOOKUPS, walk.voids);
    }
    if let Some(all) = walk.all {
        cx.record(SPF_ALL, all.strictness());
    }
    Ok(match (walk.fault, walk.all) {
        (Some(fault), _) => Finding::faulty(format!("the SPF record is wrong: {fault}")),
        (None, Some(spf::Qualifier::Pass)) => Finding::faulty(format!("the SPF record lets everybody send: {}", shown(record))),
        (None, all) => Finding::good(format!("{} (all: {})", shown(record), all.map_or('?', spf::Qualifier::sign))),
    })
}

async fn dkim(cx: &Cx, names: &Names<'_>, domain: &str, selector: &str) -> Result<Finding, AgentError> {
    let labels = [("selector", selector)];
    let found = names.find(&format!("{selector}._domainkey.{domain}"), Rtype::TXT).await?;
    let texts: Vec<&str> = found.texts().collect();
    let key = match texts.as_slice() {
        [one] => dkim::parse(one),
        [] => {
            cx.record_with(DKIM_VALID, &labels, false);
            return Ok(Finding::absent("there is no key"));
        }
        // RFC 6376 3.6.2.2: what becomes of several is undefined.
        several => Err((format!("there are {} keys; which one counts is undefined", several.len()), None)),
    };
    let (valid, revoked, bits, finding) = match key {
        Ok(dkim::Key::Valid { sort, bits, testing }) => {
            let testing = if testing { ", said to be a test" } else { "" };
            (true, false, Some(bits), Finding::good(format!("{sort} key of {bits} bits{testing}")))
        }
        Ok(dkim::Key::Revoked) => (false, true, None, Finding::faulty("the key was withdrawn")),
        Err((why, bits)) => (false, false, bits, Finding::faulty(format!("the key is wrong: {why}"))),
    };
    cx.record_with(DKIM_VALID, &labels, valid);
    cx.record_with(DKIM_REVOKED, &labels, revoked);
    if let Some(bits) = bits {
        cx.record_with(DKIM_KEY_BITS, &labels, bits);
    }
    Ok(finding)
}

async fn dmarc(cx: &Cx, names: &Names<'_>, domain: &str) -> Result<Finding, AgentError> {
    let found = names.find(&format!("_dmarc.{domain}"), Rtype::TXT).await?;
    let records: Vec<&str> = found.texts().filter(|text| is_version(text, "DMARC1")).collect();
    cx.record(DMARC_RECORDS, records.len());
    let record = match records.as_slice() {
        [] => {
            cx.record(DMARC_VALID, false);
            return Ok(Finding::absent("there is no DMARC record"));
        }
        [one] => dmarc::parse(one),
        // RFC 7489 6.6.3: of several none counts.
        several => Err(format!("there are {} of them; receivers take none", several.len())),
    };
    cx.record(DMARC_VALID, record.is_ok());
    Ok(match record {
        Err(why) => Finding::faulty(format!("the DMARC record is wrong: {why}")),
        Ok(record) => {
            cx.record(DMARC_POLICY, record.policy.strictness());
            cx.record(DMARC_PART, f64::from(record.percent) / 100.0);
            cx.record(DMARC_REPORTS, record.reports.len());
            let reports = shown(&record.reports.join(","));
            Finding::good(format!("policy {} for {} %, reports to {reports}", record.policy.name(), record.percent))
        }
    })
}

async fn tls_rpt(cx: &Cx, names: &Names<'_>, domain: &str) -> Result<Finding, AgentError> {
    let found = names.find(&format!("_smtp._tls.{domain}"), Rtype::TXT).await?;
    let records: Vec<&str> = found.texts().filter(|text| is_version(text, "TLSRPTv1")).collect();
    cx.record(TLSRPT_RECORDS, records.len());
    let record = match records.as_slice() {
        [] => {
            cx.record(TLSRPT_VALID, false);
            return Ok(Finding::absent("no reports about TLS are asked for"));
        }
        [one] => dmarc::tls_reports(one),
        // RFC 8460 3: of several none counts.
        several => Err(format!("there are {} of them; senders take none", several.len())),
    };
    cx.record(TLSRPT_VALID, record.is_ok());
    Ok(match record {
        Err(why) => Finding::faulty(format!("the record for reports about TLS is wrong: {why}")),
        Ok(reports) => Finding::good(format!("reports to {}", shown(&reports.join(",")))),
    })
}

export_agents!(MailAuth);
