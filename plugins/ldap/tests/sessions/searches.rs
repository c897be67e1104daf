//! Searches: what is found, refused, sent elsewhere, expected.

use watchpost_ldap::{ENTRIES, REFERRALS};
use watchpost_plugin_api::standard::{ENTRIES_TIME, SEARCH_TIME, TOTAL_TIME};

use crate::*;

const BOUND: [&str; 3] = ["resolve_time", "connect_time", "bind_time"];

async fn answered(answers: Vec<u8>, keys: &Value) -> Ran {
    run(bound(1).then(search_asked()).send(answers).then(unbound()), keys).await.0
}

fn done(code: u8, rest: &[u8]) -> Vec<u8> {
    result(2, SEARCH, code, "", rest)
}

#[tokio::test]
async fn what_is_searched_for_is_what_the_job_says() {
    let keys = json!({
        "base": "ou=people,dc=lab", "scope": "one", "filter": "(&(objectClass=person)(uid=a*))", "attributes": ["cn"],
        "entries_max": 5, "expect": "cn=a",
    });
    let ended = run_within(Duration::from_secs(30), whole(), &keys).await;
    assert_ok(&ended);
    let asked = "\u{4}\u{10}ou=people,dc=lab\n\u{1}\u{1}\n\u{1}\0\u{2}\u{1}\u{5}\u{2}\u{1}\u{1e}\u{1}\u{1}\0";
    assert!(ended.1.heard[1].contains(asked), "within 30 s, 5 entries: {:?}", ended.1.heard[1]);
    assert!(ended.1.heard[1].ends_with("0\u{4}\u{4}\u{2}cn"), "{:?}", ended.1.heard[1]);
}

#[tokio::test]
async fn a_search_that_finds_nothing_is_a_good_one_without_a_time_for_entries() {
    let ran = answered(done(0, &[]), &json!({})).await;
    assert_eq!(ran.failure(), None);
    assert_eq!((ran.value(ENTRIES), ran.value(REFERRALS), ran.value(ENTRIES_TIME)), (Some(0.0), Some(0.0), None));
    assert!(ran.value(SEARCH_TIME).is_some() && ran.value(TOTAL_TIME).is_some());
}

#[tokio::test]
async fn a_refused_search_has_a_time_and_no_count() {
    let kinds = [
        (32, "protocol", "noSuchObject (32)"),
        (50, "auth", "insufficientAccessRights (50)"),
        (1, "protocol", "operationsError (1)"),
        (51, "protocol", "busy (51)"),
        (3, "timeout", "timeLimitExceeded (3)"),
        (4, "limit", "sizeLimitExceeded (4)"),
        (11, "limit", "adminLimitExceeded (11)"),
    ];
    for (code, kind, name) in kinds {
        let ran = answered(done(code, &[]), &json!({})).await;
        let message = format!("search: the server answered {name}");
        assert_failed(&ran, kind, &message, &[&BOUND[..], &["search_time"]].concat());
        // Also after entries: what came before the refusal is no count.
        let ran = answered([two(2), done(code, &[])].concat(), &json!({})).await;
        assert_failed(&ran, kind, &message, &[&BOUND[..], &["search_time", "entries_time"]].concat());
    }
}

#[tokio::test]
async fn how_far_the_directory_knows_the_base_is_told() {
    let body = [&[10, 1, 32], string("dc=lab,dc=test").as_slice(), &string("")].concat();
    let ran = answered(message(2, SEARCH, &body), &json!({})).await;
    let message = "search: the server answered noSuchObject (32); it knows \"dc=lab,dc=test\"";
    assert_eq!(ran.failure(), Some(("protocol", message)));
}

#[tokio::test]
async fn referrals_are_counted_and_not_followed() {
    let answers = [reference(2, "ldap://127.0.0.1:1/dc=b??sub"), two(2), reference(2, "ldap://c"), done(0, &[])].concat();
    let ran = answered(answers, &json!({})).await;
    assert_eq!(ran.failure(), None, "{ran:#?}");
    assert_eq!((ran.value(ENTRIES), ran.value(REFERRALS)), (Some(2.0), Some(2.0)));
}

#[tokio::test]
async fn a_directory_that_has_nothing_but_a_referral_fails_the_run_and_is_counted() {
    let places = element(0xa3, &[string("ldap://b/dc=lab"), string("ldap://c/dc=lab")].concat());
    let ran = answered(done(10, &places), &json!({})).await;
    let message = "search: the server answered referral (10); it refers to ldap://b/dc=lab ldap://c/dc=lab";
    assert_failed(&ran, "protocol", message, &[&BOUND[..], &["search_time", "referrals"]].concat());
    assert_eq!(ran.value(REFERRALS), Some(1.0));
}

#[tokio::test]
async fn too_few_entries_fail_the_run_and_their_count_is_kept() {
    let all = [&BOUND[..], &["search_time", "entries_time", "referrals", "entries"]].concat();
    let answers = || [two(2), done(0, &[])].concat();
    let ran = answered(answers(), &json!({ "entries_min": 3 })).await;
    assert_failed(&ran, "protocol", "search: entries found: 2, expected were 3 at least", &all);
    assert_eq!(answered(answers(), &json!({ "entries_min": 2 })).await.failure(), None);
}

#[tokio::test]
async fn an_expected_value_is_there_or_the_run_fails() {
    let all = [&BOUND[..], &["search_time", "entries_time", "referrals", "entries"]].concat();
    let answers = || [two(2), done(0, &[])].concat();
    for expect in [json!("mail=b@lab.test"), json!(["cn=a", "cn=b", "Mail=a@lab.test"])] {
        assert_eq!(answered(answers(), &json!({ "expect": expect })).await.failure(), None, "{expect}");
    }
    let ran = answered(answers(), &json!({ "expect": ["cn=a", "mail=c@lab.test"] })).await;
    assert_failed(&ran, "protocol", "search: no entry has mail=\"c@lab.test\"; other values of mail: 2", &all);
}

#[tokio::test]
async fn the_bound_of_entries_is_the_last_that_is_taken() {
    let ran = answered([two(2), reference(2, "ldap://b"), done(0, &[])].concat(), &json!({ "entries_max": 2 })).await;
    assert_eq!(ran.failure(), None, "{ran:#?}");
    assert_eq!((ran.value(ENTRIES), ran.value(REFERRALS)), (Some(2.0), Some(1.0)));
}
