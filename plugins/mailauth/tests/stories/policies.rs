//! Policies of MTA-STS as senders fetch them: each way in which one is none is told, and none of them fails the run by itself.

use watchpost_testkit::{Authority, HttpServer, Page, Pages};

use crate::*;

const PATH: &str = "GET /.well-known/mta-sts.txt";
const NAMES: [&str; 1] = ["mta-sts.lab.test"];
const POLICY: &str = "version: STSv1\nmode: enforce\nmx: mx.lab.test\nmax_age: 86400\n";

fn announced() -> Zone {
    good().txt("_mta-sts.lab.test", "v=STSv1; id=1;").a("mta-sts.lab.test", [127, 0, 0, 1])
}

fn plain(text: &str) -> Page {
    Page::ok(text).header("Content-Type", "text/plain")
}

async fn fetched(pages: Pages, authority: &Authority) -> Ran {
    let server = HttpServer::start(pages).await.unwrap();
    run(announced().answers(), &json!({ "sts_port": server.port(), "ca_file": authority.file() })).await
}

async fn check(page: Page, valid: Option<f64>, text: &str) {
    let authority = Authority::new().unwrap();
    let tls = authority.server(&NAMES).unwrap();
    let ran = fetched(Pages::new().tls(&tls).on(PATH, page), &authority).await;
    assert_eq!((ran.failure(), value(&ran, "sts_valid")), (None, valid), "{text}: {ran:#?}");
    assert_eq!(events(&ran).iter().filter(|event| event.contains(text)).count(), usize::from(!text.is_empty()), "{text}: {ran:#?}");
    assert!(value(&ran, "policy_time") > Some(0.0));
}

#[tokio::test]
async fn a_policy_that_senders_would_take_is_taken() {
    check(plain(POLICY), Some(1.0), "").await;
    check(plain("version: STSv1\nmode: none\nmax_age: 0\n"), Some(1.0), "").await;
}

#[tokio::test]
async fn a_policy_that_senders_would_not_take_is_told() {
    check(
        plain(&POLICY.replace("mx.lab", "other.lab")),
        Some(0.0),
        "mta_sts_faulty lab.test, mta_sts: the policy does not name the mail exchanger mx.lab.test",
    )
    .await;
    check(plain("version: STSv2"), Some(0.0), "the policy is wrong: its version is not STSv1").await;
    check(Page::new("404 Not Found").body("no"), Some(0.0), "the policy cannot be fetched: protocol: the server answered 404").await;
    check(Page::redirect("/other"), Some(0.0), "the policy cannot be fetched: protocol: the server answered 302").await;
    check(Page::ok(POLICY), Some(0.0), "the server calls it ``, not text/plain").await;
    check(plain(&"x".repeat(70_000)), Some(0.0), "the policy cannot be fetched: limit: more than 65536 bytes").await;
    check(Page::raw(Script::new().cut()), Some(0.0), "the policy cannot be fetched: protocol: ").await;
}

#[tokio::test]
async fn a_server_that_cannot_be_trusted_has_no_policy() {
    let (authority, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    let faults = [
        (authority.expired(&NAMES).unwrap(), "tls: the certificate expired on 2020-12-31"),
        (authority.server(&["www.lab.test"]).unwrap(), "tls: the certificate is for www.lab.test, not for mta-sts.lab.test"),
        (other.server(&NAMES).unwrap(), "tls: the certificate's authority is not in"),
    ];
    for (tls, text) in faults {
        let ran = fetched(Pages::new().tls(&tls).on(PATH, plain(POLICY)), &authority).await;
        assert_eq!((ran.failure(), value(&ran, "sts_valid"), value(&ran, "sts_mode")), (None, Some(0.0), None), "{ran:#?}");
        assert!(events(&ran)[0].contains(text), "{text}: {ran:#?}");
    }
}

#[tokio::test]
async fn a_policy_host_without_an_address_is_told() {
    let mut zone = announced();
    zone.0.remove(&("mta-sts.lab.test".into(), Rtype::A));
    let ran = run(zone.answers(), &json!({})).await;
    assert_eq!((ran.failure(), value(&ran, "sts_valid")), (None, Some(0.0)));
    assert!(events(&ran)[0].ends_with("the policy cannot be fetched: mta-sts.lab.test has no address"), "{ran:#?}");
}

#[tokio::test]
async fn a_list_that_is_none_or_lists_everybody_says_nothing_of_anybody() {
    let check = async |zone: Zone, addresses: &[&str], listed: Option<f64>, wanted: &[&str]| {
        let ran = run(zone.answers(), &json!({ "lists": ["list.test"], "addresses": addresses })).await;
        assert_eq!((ran.failure(), value(&ran, "dnsbl_listings"), value(&ran, "dnsbl_listed")), (None, listed, listed), "{ran:#?}");
        assert_eq!(events(&ran), wanted);
    };
    let entry = |zone: Zone, address: &str| zone.a(&format!("{address}.list.test"), [127, 0, 0, 2]);
    let mapped = "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0";
    check(entry(good(), "2.0.0.127"), &["192.0.2.1"], Some(0.0), &[]).await;
    check(entry(good(), mapped), &["2001:db8::1"], Some(0.0), &[]).await;
    check(
        entry(entry(good(), "2.0.0.127"), "1.2.0.192"),
        &["192.0.2.1"],
        Some(1.0),
        &["dnsbl_faulty lab.test, dnsbl list.test: 192.0.2.1 is listed"],
    )
    .await;
    check(good(), &["192.0.2.1"], None, &["dnsbl_unknown lab.test, dnsbl list.test: 192.0.2.1: it does not list 127.0.0.2, as each list does: there is no such list, or none for this resolver"]).await;
    let everybody = ["1.0.0.127", "2.0.0.127", "1.2.0.192"].into_iter().fold(good(), entry);
    check(
        everybody,
        &["192.0.2.1"],
        None,
        &["dnsbl_unknown lab.test, dnsbl list.test: 192.0.2.1: it lists 127.0.0.1, as no list does: it lists everybody"],
    )
    .await;
}
