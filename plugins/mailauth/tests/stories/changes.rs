//! What is told of a change, once, over restarts too; and what is no change.

use crate::*;

#[tokio::test]
async fn a_change_is_told_once_and_so_is_its_end() {
    let resolver = resolver(good().answers()).await;
    let mut kit = kit(&resolver, &json!({}));
    let mut withdrawn = good();
    withdrawn.0.remove(&("_dmarc.lab.test".into(), Rtype::TXT));
    let quarantined = withdrawn.clone().txt("_dmarc.lab.test", "v=DMARC1; p=quarantine");
    let broken = withdrawn.clone().txt("_dmarc.lab.test", "v=DMARC1; p=block");
    let mut told = Vec::new();
    for zone in [good(), good(), quarantined, broken.clone(), broken, withdrawn, good(), good()] {
        resolver.answer(zone.answers());
        let ran = kit.run().await;
        assert_eq!(ran.failure(), None, "{ran:#?}");
        told.push(events(&ran));
    }
    let expected: [&[&str]; 8] = [
        &[],
        &[],
        &["dmarc_good lab.test, dmarc: policy quarantine for 100 %, reports to "],
        &["dmarc_faulty lab.test, dmarc: the DMARC record is wrong: its policy `block` is none"],
        &[],
        &["dmarc_absent lab.test, dmarc: there is no DMARC record"],
        &["dmarc_good lab.test, dmarc: policy reject for 100 %, reports to "],
        &[],
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn what_was_told_is_not_told_again_after_a_restart() {
    let faulty = || good().txt("lab.test", "v=spf1 -all").answers();
    let resolver = resolver(faulty()).await;
    let ran = kit(&resolver, &json!({})).run().await;
    assert_eq!(events(&ran).len(), 1, "{ran:#?}");
    let mut again = kit(&resolver, &json!({})).cursor(ran.outcome.cursor.unwrap());
    assert!(events(&again.run().await).is_empty());
    resolver.answer(good().answers());
    assert_eq!(events(&again.run().await), ["spf_good lab.test, spf: v=spf1 mx -all (all: -)"]);
}

#[tokio::test]
async fn a_run_that_fails_keeps_what_it_found_and_tells_it_once() {
    let resolver = resolver(good().txt("lab.test", "v=spf1 -all").answers()).await;
    let mut kit = kit(&resolver, &json!({ "require": ["spf"] }));
    for events_told in [1, 0] {
        let ran = kit.run().await;
        assert_eq!(ran.failure(), Some(("protocol", "spf: there are 2 SPF records; receivers take none of them")));
        assert_eq!((value(&ran, "spf_records"), value(&ran, "dmarc_policy"), value(&ran, "total_time")), (Some(2.0), Some(2.0), None));
        assert_eq!(events(&ran).len(), events_told, "{ran:#?}");
    }
}

#[tokio::test]
async fn a_resolver_that_cannot_find_out_is_no_change() {
    let resolver = resolver(good().answers()).await;
    let mut kit = kit(&resolver, &json!({}));
    assert_eq!(kit.run().await.failure(), None);
    let known = good();
    resolver.answer(answers(move |name, rtype| match (name, known.0.get(&(name.to_owned(), rtype))) {
        ("_dmarc.lab.test", _) => (Rcode::SERVFAIL, Vec::new()),
        (_, Some(data)) => (Rcode::NOERROR, data.clone()),
        (_, None) => (Rcode::NXDOMAIN, Vec::new()),
    }));
    let ran = kit.run().await;
    let message = "_dmarc.lab.test. TXT: the resolver answered SERVFAIL: it has failed to find out";
    assert_eq!((ran.failure(), events(&ran).len()), (Some(("protocol", message)), 0), "{ran:#?}");
    let known = ["dmarc_records", "dmarc_valid", "spf_valid", "tlsrpt_valid", "sts_valid"].map(|metric| value(&ran, metric));
    assert_eq!(known, [None, None, Some(1.0), Some(0.0), Some(0.0)], "what comes after it is looked at, too");
    resolver.answer(good().answers());
    assert!(events(&kit.run().await).is_empty());
}
