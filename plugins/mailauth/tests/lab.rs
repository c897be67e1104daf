//! Domains of the lab, good and bad, as its real name server publishes them, beside what `dig` says of the same records.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{collections::BTreeMap, process::Command};

use serde_json::{Value, json};
use watchpost_mailauth::MailAuth;
use watchpost_testkit::{Authority, HttpServer, Kit, Lab, Page, Pages, Ran};

const POLICY: &str = "version: STSv1\r\nmode: enforce\r\nmx: *.good.auth.test\r\nmax_age: 604800\r\n";

/// The lines that `dig` prints of a question.
fn dig(lab: &Lab, name: &str, rtype: &str) -> Vec<String> {
    let port = lab.port("dns").to_string();
    let output = Command::new("dig").args(["@127.0.0.1", "-p", &port, "+short", "+time=5", "+tries=1", name, rtype]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn config(lab: &Lab, domain: &str, keys: Value) -> Value {
    let mut config = json!({ "domain": format!("{domain}.auth.test"), "resolver": format!("127.0.0.1:{}", lab.port("dns")) });
    config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    config
}

async fn run(config: &Value) -> Ran {
    Kit::<MailAuth>::new(config).unwrap().run().await
}

/// What was recorded, times left out: by metric, with the values of its labels.
fn figures(ran: &Ran) -> BTreeMap<String, f64> {
    let samples = ran.outcome.samples.iter().filter(|sample| !sample.metric.ends_with("_time"));
    samples.map(|sample| ([&[sample.metric.clone()][..], &sample.labels].concat().join(" "), sample.value)).collect()
}

fn codes(ran: &Ran) -> Vec<&str> {
    ran.outcome.events.iter().map(|event| event.code.as_str()).collect()
}

#[tokio::test]
async fn domains_good_and_bad_are_told_apart() {
    let Some(lab) = Lab::up(&["named"], &["bind9", "bind9-dnsutils", "openssl"]).unwrap() else { return };
    a_good_domain_has_everything(&lab).await;
    each_fault_is_told_and_counted(&lab).await;
    what_cannot_be_found_out_is_unknown(&lab).await;
    listings_are_told_with_their_reasons(&lab).await;
}

async fn a_good_domain_has_everything(lab: &Lab) {
    let authority = Authority::new().unwrap();
    let tls = authority.server(&["mta-sts.good.auth.test"]).unwrap();
    let page = Page::ok(POLICY).header("Content-Type", "text/plain; charset=utf-8");
    let pages = HttpServer::start(Pages::new().tls(&tls).on("GET /.well-known/mta-sts.txt", page)).await.unwrap();
    let selectors = ["s2048", "s1024", "ed", "moved"];
    let keys = json!({ "selectors": selectors, "lists": ["list.test"], "addresses": ["192.0.2.1"], "sts_port": pages.port(),
        "ca_file": authority.file(), "require": ["mx", "spf", "dkim", "dmarc", "mta_sts", "tls_rpt", "dnsbl"] });
    let ran = run(&config(lab, "good", keys)).await;
    assert_eq!((ran.failure(), codes(&ran)), (None, vec![]), "{ran:#?}");
    let of_dig = |name: &str, rtype, part: &str| dig(lab, name, rtype).iter().filter(|line| line.contains(part)).count() as f64;
    let mut expected: BTreeMap<String, f64> = [
        ("mx_records", of_dig("good.auth.test", "MX", " mx")),
        ("mx_unresolved", 0.0),
        ("spf_records", of_dig("good.auth.test", "TXT", "v=spf1")),
        ("spf_valid", 1.0),
        // a, mx, include, and exists in what is included.
        ("spf_lookups", 4.0),
        ("spf_void_lookups", 0.0),
        ("spf_all", 3.0),
        ("dmarc_records", of_dig("_dmarc.good.auth.test", "TXT", "v=DMARC1")),
        ("dmarc_valid", 1.0),
        ("dmarc_policy", 1.0),
        ("dmarc_part", 0.5),
        ("dmarc_reports", 2.0),
        ("sts_records", of_dig("_mta-sts.good.auth.test", "TXT", "v=STSv1")),
        ("sts_valid", 1.0),
        ("sts_mode", 2.0),
        ("sts_max_age", 604_800.0),
        ("sts_mx_unmatched", 0.0),
        ("tlsrpt_records", of_dig("_smtp._tls.good.auth.test", "TXT", "v=TLSRPTv1")),
        ("tlsrpt_valid", 1.0),
        ("dnsbl_listed list.test 192.0.2.1", of_dig("1.2.0.192.list.test", "A", ".")),
        ("dnsbl_listings", 0.0),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    for (selector, bits) in selectors.iter().zip([2048.0, 1024.0, 256.0, 2048.0]) {
        for (metric, value) in [("valid", 1.0), ("revoked", 0.0), ("key_bits", bits)] {
            expected.insert(format!("dkim_{metric} {selector}"), value);
        }
    }
    assert_eq!(figures(&ran), expected);
    let nanos = |metric: &str| {
        let sample = ran.outcome.samples.iter().find(|sample| sample.metric == metric).unwrap();
        (sample.value * 1e9).round() as u64
    };
    assert_eq!(nanos("total_time"), ["resolve_time", "query_time", "policy_time"].into_iter().map(nanos).sum::<u64>());
    assert_eq!(pages.asked().await.unwrap().header("Host"), Some(format!("mta-sts.good.auth.test:{}", pages.port()).as_str()));
}

/// A domain with a fault: what it costs in figures, and the event that tells of it.
async fn check(lab: &Lab, domain: &str, keys: Value, wanted: &[(&str, Option<f64>)], code: &str, text: &str) {
    let ran = run(&config(lab, domain, keys)).await;
    assert_eq!(ran.failure(), None, "{domain}: {ran:#?}");
    let found = figures(&ran);
    for (name, value) in wanted {
        assert_eq!(found.get(*name).copied(), *value, "{domain}, {name}: {found:#?}");
    }
    let told = ran.outcome.events.iter().any(|event| event.code == code && event.text.contains(text));
    assert!(code.is_empty() || told, "{domain}: {:#?}", ran.outcome.events);
}

async fn each_fault_is_told_and_counted(lab: &Lab) {
    let none = || json!({});
    let spf = |valid, lookups: Option<f64>, voids: Option<f64>, all| {
        [("spf_records", Some(1.0)), ("spf_valid", Some(valid)), ("spf_lookups", lookups), ("spf_void_lookups", voids), ("spf_all", all)]
    };
    check(lab, "null", none(), &[("mx_records", Some(1.0)), ("mx_unresolved", Some(0.0)), ("spf_valid", Some(1.0))], "", "").await;
    check(
        lab,
        "bare",
        none(),
        &[("mx_records", Some(0.0)), ("spf_records", Some(0.0)), ("spf_valid", Some(0.0)), ("spf_all", None)],
        "",
        "",
    )
    .await;
    let lost = [("mx_records", Some(2.0)), ("mx_unresolved", Some(1.0))];
    check(lab, "lost-mx", none(), &lost, "mx_faulty", "the mail exchanger nowhere.auth.test has no address").await;
    check(lab, "alias-mx", none(), &[("mx_unresolved", Some(0.0))], "mx_faulty", "alias.alias-mx.auth.test is an alias").await;
    let two = [("spf_records", Some(2.0)), ("spf_valid", Some(0.0)), ("spf_lookups", None), ("spf_all", None)];
    check(lab, "two-spf", none(), &two, "spf_faulty", "there are 2 SPF records").await;
    check(lab, "misspelt-spf", none(), &spf(0.0, Some(0.0), Some(0.0), None), "spf_faulty", "`ipv4:127.0.0.1` is no mechanism").await;
    let back = "leads back to itself: looping-spf.auth.test → second.looping-spf.auth.test → looping-spf.auth.test";
    check(lab, "looping-spf", none(), &spf(0.0, Some(2.0), Some(0.0), Some(3.0)), "spf_faulty", back).await;
    let torn = spf(0.0, Some(1.0), Some(1.0), Some(3.0));
    check(lab, "torn-spf", none(), &torn, "spf_faulty", "bare.auth.test: there is no SPF record").await;
    let long = spf(0.0, Some(11.0), Some(0.0), Some(3.0));
    check(lab, "long-spf", none(), &long, "spf_faulty", "it needs 11 DNS lookups; receivers do 10").await;
    let void = spf(0.0, Some(3.0), Some(3.0), Some(2.0));
    check(lab, "void-spf", none(), &void, "spf_faulty", "3 of its DNS lookups find nothing; receivers stop after 2").await;
    check(lab, "open-spf", none(), &spf(1.0, Some(1.0), Some(0.0), Some(0.0)), "spf_faulty", "lets everybody send").await;
    let key = |valid, revoked, bits| [("dkim_valid k", Some(valid)), ("dkim_revoked k", revoked), ("dkim_key_bits k", bits)];
    for (selector, figures, code, text) in [
        ("s512", key(0.0, Some(0.0), Some(512.0)), "dkim_faulty", "its RSA key has 512 bits; below 1024 it counts for nothing"),
        ("revoked", key(0.0, Some(1.0), None), "dkim_faulty", "dkim revoked: the key was withdrawn"),
        ("torn", key(0.0, Some(0.0), None), "dkim_faulty", "its key is no RSA key"),
        ("nowhere", key(0.0, None, None), "", ""),
    ] {
        let figures = figures.map(|(name, value)| (name.replace(" k", &format!(" {selector}")), value));
        let figures: Vec<(&str, Option<f64>)> = figures.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        // The policy of this domain is not looked at here: nobody serves it.
        check(lab, "good", json!({ "selectors": [selector], "sts_port": 1 }), &figures, code, text).await;
    }
    let dmarc = [("dmarc_records", Some(1.0)), ("dmarc_valid", Some(0.0)), ("dmarc_policy", None), ("dmarc_part", None)];
    check(lab, "no-policy", none(), &dmarc, "dmarc_faulty", "it has no policy").await;
    check(lab, "two-dmarc", none(), &[("dmarc_records", Some(2.0)), ("dmarc_valid", Some(0.0))], "dmarc_faulty", "there are 2 of them")
        .await;
    check(lab, "no-id", none(), &[("sts_records", Some(1.0)), ("sts_valid", Some(0.0))], "mta_sts_faulty", "it has no id").await;
    check(lab, "no-rua", none(), &[("tlsrpt_valid", Some(0.0))], "tls_rpt_faulty", "it has no address").await;
    let refused = [("sts_records", Some(1.0)), ("sts_valid", Some(0.0)), ("sts_mode", None)];
    check(lab, "good", json!({ "sts_port": 1 }), &refused, "mta_sts_faulty", "cannot be fetched: connect: ").await;
    let ran = run(&config(lab, "two-spf", json!({ "require": ["mx", "spf"] }))).await;
    assert_eq!(ran.failure(), Some(("protocol", "mx: there is no MX record")), "{ran:#?}");
    let ran = run(&config(lab, "two-spf", json!({ "require": ["spf"] }))).await;
    assert_eq!(ran.failure(), Some(("protocol", "spf: there are 2 SPF records; receivers take none of them")), "{ran:#?}");
}

async fn what_cannot_be_found_out_is_unknown(lab: &Lab) {
    let ran = run(&config(lab, "away", json!({}))).await;
    let message = "mx.example.org. A: the resolver answered REFUSED: it does not want to";
    assert_eq!(ran.failure(), Some(("protocol", message)), "{ran:#?}");
    let found = figures(&ran);
    assert_eq!((found.get("mx_records"), found.get("mx_unresolved")), (Some(&1.0), None));
    assert_eq!(found.get("spf_valid"), Some(&0.0), "what is known is told: {found:#?}");
    let mut broken = config(lab, "x", json!({}));
    broken["domain"] = json!("mail.broken.test");
    let ran = run(&broken).await;
    assert!(ran.failure().is_some_and(|(kind, why)| kind == "protocol" && why.contains("SERVFAIL")), "{ran:#?}");
    assert!(figures(&ran).is_empty(), "{ran:#?}");
}

async fn listings_are_told_with_their_reasons(lab: &Lab) {
    let addresses = ["192.0.2.1", "192.0.2.66", "2001:db8::1", "127.0.0.2"];
    let names = ["1.2.0.192", "66.2.0.192", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2", "2.0.0.127"];
    let keys = |addresses: &[&str]| json!({ "lists": ["list.test"], "addresses": addresses });
    let ran = run(&config(lab, "bare", keys(&addresses))).await;
    let found = figures(&ran);
    for (address, name) in addresses.iter().zip(names) {
        let listed = !dig(lab, &format!("{name}.list.test"), "A").is_empty();
        assert_eq!(found.get(&format!("dnsbl_listed list.test {address}")), Some(&f64::from(u8::from(listed))), "{address}");
    }
    assert_eq!(found.get("dnsbl_listings"), Some(&3.0));
    let [event] = ran.outcome.events.as_slice() else { panic!("{ran:#?}") };
    assert!(event.code == "dnsbl_faulty" && event.text.contains("192.0.2.66 is listed: seen sending what nobody wants"), "{event:?}");

    let ran = run(&config(lab, "bare", keys(&["192.0.2.1", "192.0.2.67", "192.0.2.68"]))).await;
    assert_eq!(ran.failure(), None, "a list that does not say is no fault of the domain");
    let found = figures(&ran);
    let listed = |address: &str| found.get(&format!("dnsbl_listed list.test {address}")).copied();
    assert_eq!([listed("192.0.2.1"), listed("192.0.2.67"), listed("192.0.2.68")], [Some(0.0), None, None]);
    assert_eq!((found.get("dnsbl_listings"), codes(&ran)), (None, vec!["dnsbl_unknown"]), "{ran:#?}");

    let of_exchangers = run(&config(lab, "lost-mx", json!({ "lists": ["list.test"] }))).await;
    let found = figures(&of_exchangers);
    assert_eq!(found.get("dnsbl_listed list.test 127.0.0.1"), Some(&0.0), "the address of the exchanger that has one: {found:#?}");
}
