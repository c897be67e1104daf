//! Records and resolvers that mean no good: every run ends, and nothing capped is told as if it were all.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::*;

#[tokio::test]
async fn includes_without_end_are_given_up_and_their_number_is_unknown() {
    let count = Arc::new(AtomicU32::new(0));
    let counted = count.clone();
    let endless = answers(move |_, rtype| {
        let text = format!("v=spf1 include:n{}.lab.test -all", counted.fetch_add(1, Ordering::Relaxed));
        match rtype {
            Rtype::TXT => (Rcode::NOERROR, vec![[&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()]),
            _ => (Rcode::NXDOMAIN, Vec::new()),
        }
    });
    let ran = run(endless, &json!({})).await;
    assert_eq!((ran.failure(), value(&ran, "spf_valid"), value(&ran, "spf_lookups")), (None, Some(0.0), None), "{ran:#?}");
    assert!(events(&ran).iter().any(|event| event.contains("it needs more than 60 DNS lookups; receivers do 10")), "{ran:#?}");
    assert!(count.load(Ordering::Relaxed) < 100);
}

#[tokio::test]
async fn a_record_that_branches_at_every_turn_costs_no_more_than_one_that_does_not() {
    let wide = answers(|_, rtype| {
        let text = (0..8).map(|at| format!(" include:{at}.x{at}.lab.test")).collect::<String>();
        let text = format!("v=spf1{text} -all");
        match rtype {
            Rtype::TXT => (Rcode::NOERROR, vec![[&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()]),
            _ => (Rcode::NXDOMAIN, Vec::new()),
        }
    });
    let ran = run(wide, &json!({})).await;
    assert_eq!((ran.failure(), value(&ran, "spf_valid"), value(&ran, "spf_lookups")), (None, Some(0.0), None), "{ran:#?}");
}

#[tokio::test]
async fn a_text_that_fills_a_message_is_read_and_bounded() {
    let terms = format!("v=spf1{} -all", " a".repeat(30_000));
    let ran = run(good().txt("other.lab.test", "x").txt("_dmarc.lab.test", &"x".repeat(60_000)).answers(), &json!({})).await;
    assert_eq!((ran.failure(), value(&ran, "dmarc_records"), value(&ran, "dmarc_valid")), (None, Some(1.0), Some(1.0)), "{ran:#?}");
    let mut zone = good();
    zone.0.remove(&("lab.test".into(), Rtype::TXT));
    let ran = run(zone.txt("lab.test", &terms).answers(), &json!({})).await;
    assert_eq!((ran.failure(), value(&ran, "spf_valid")), (None, Some(0.0)));
    assert!(events(&ran)[0].ends_with("it has more than 500 terms"), "{ran:#?}");
    assert!(ran.outcome.cursor.unwrap().len() < 4096, "what is remembered of it is short");
}

#[tokio::test]
async fn control_characters_of_a_record_reach_nobodys_screen() {
    let ran = run(good().txt("_dmarc.lab.test", "v=DMARC1; p=\u{1b}[2J").answers(), &json!({})).await;
    let ran_two = run(Zone::default().mx("lab.test", "mx.lab.test").txt("lab.test", "v=spf1 \u{1b}[2J").answers(), &json!({})).await;
    for event in events(&ran).into_iter().chain(events(&ran_two)) {
        assert!(!event.contains(char::is_control), "{event:?}");
    }
    assert!(!events(&ran_two).is_empty());
}

#[tokio::test]
async fn many_exchangers_are_told_and_not_half_looked_up() {
    let zone = (0..40).fold(Zone::default(), |zone, at| zone.mx("lab.test", &format!("mx{at}.lab.test")));
    let ran = run(zone.answers(), &json!({ "lists": ["list.test"] })).await;
    assert_eq!((ran.failure(), value(&ran, "mx_records"), value(&ran, "mx_unresolved")), (None, Some(40.0), None), "{ran:#?}");
    assert!(events(&ran)[0].starts_with("mx_unknown lab.test, mx: there are 40 mail exchangers"), "{ran:#?}");
    assert_eq!(value(&ran, "dnsbl_listings"), None);
}

#[tokio::test]
async fn a_resolver_that_is_silent_or_not_there_fails_the_run_and_nothing_is_known() {
    let silent = resolver(Answers::new().to_datagrams(|_| Script::new())).await;
    let ran = kit(&silent, &json!({})).timeout(Duration::from_secs(2)).run().await;
    assert_eq!(ran.failure().unwrap().0, "timeout");
    assert_eq!(ran.recorded(), ["resolve_time"]);
    let ran = run(Answers::new(), &json!({})).await;
    let (kind, message) = ran.failure().unwrap();
    assert!(kind == "connect" && message.ends_with("Connection refused"), "{message}");
    assert_eq!(ran.recorded(), ["resolve_time"]);
}

#[tokio::test]
async fn a_datagram_that_is_lost_is_asked_again() {
    let lost = Arc::new(AtomicU32::new(0));
    let zone = good();
    let found = move |name: &str, rtype| match zone.0.get(&(name.to_owned(), rtype)) {
        Some(data) => (Rcode::NOERROR, data.clone()),
        None => (Rcode::NXDOMAIN, Vec::new()),
    };
    let answers = Answers::new().to_datagrams(move |asked| match lost.fetch_add(1, Ordering::Relaxed) {
        2 => Script::new(),
        _ => Script::new().send(reply(asked, &found)),
    });
    let ran = run(answers, &json!({})).await;
    assert_eq!((ran.failure(), value(&ran, "spf_valid")), (None, Some(1.0)), "{ran:#?}");
}
