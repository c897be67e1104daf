//! Searches of every sort: as many entries and referrals as `ldapsearch` finds.

use watchpost_ldap::{ENTRIES, REFERRALS};

use crate::*;

#[tokio::test]
async fn as_much_is_found_as_ldapsearch_finds() {
    let Some(lab) = Lab::up() else { return };
    let root = "dc=lab,dc=test";
    let searches = [
        (root, "base", "(objectClass=*)", 1),
        (root, "one", "(objectClass=*)", 2),
        (root, "sub", "(uid=*)", 3),
        ("ou=people,dc=lab,dc=test", "sub", "(|(mail=alice@*)(mail=*@nowhere.test)(&(uid=bob)(!(mail=*@other.test))))", 2),
        ("ou=crowd,dc=lab,dc=test", "one", "(cn=nobody00*)", 99),
        ("ou=crowd,dc=lab,dc=test", "sub", "(cn=*7)", 120),
        ("ou=people,dc=lab,dc=test", "one", "(&(createTimestamp>=20200101000000Z)(!(createTimestamp<=20200101000000Z)))", 3),
        ("ou=crowd,dc=lab,dc=test", "sub", "(cn:caseExactMatch:=NOBODY0001)", 0),
        ("ou=crowd,dc=lab,dc=test", "sub", "(cn=\\6eobody0001)", 1),
        ("cn=Monitor", "sub", "(objectClass=monitorServer)", 1),
    ];
    for (base, scope, filter, expected) in searches {
        let ran = run(&with(lab.plain(), &json!({ "base": base, "scope": scope, "filter": filter }))).await;
        assert_eq!(ran.failure(), None, "{filter} {ran:#?}");
        let (entries, referrals) = lab.ldapsearch(base, scope, filter);
        assert_eq!((ran.value(ENTRIES), ran.value(REFERRALS)), (Some(entries as f64), Some(referrals as f64)), "{base} {scope} {filter}");
        assert_eq!(entries, expected, "{base} {scope} {filter}");
    }
}

#[tokio::test]
async fn a_referral_is_counted_and_what_is_elsewhere_is_not_here() {
    let Some(lab) = Lab::up() else { return };
    let ran = run(&with(lab.plain(), &json!({ "base": "dc=lab,dc=test", "scope": "one" }))).await;
    assert_eq!((ran.failure(), ran.value(REFERRALS)), (None, Some(1.0)), "{ran:#?}");
    let ran = run(&with(lab.plain(), &json!({ "base": "ou=elsewhere,dc=lab,dc=test" }))).await;
    let (kind, message) = ran.failure().unwrap();
    assert!(kind == "protocol" && message.starts_with("search: the server answered referral (10)"), "{message}");
    assert!(message.ends_with("it refers to ldap://127.0.0.1:9/ou=elsewhere,dc=lab,dc=test??base"), "{message}");
    assert_eq!((ran.value(ENTRIES), ran.value(REFERRALS)), (None, Some(1.0)));
}

#[tokio::test]
async fn a_capped_search_has_no_count() {
    let Some(lab) = Lab::up() else { return };
    // Ours is the lower bound, then slapd's own.
    for entries_max in [50, 5000] {
        let keys = json!({ "base": "ou=crowd,dc=lab,dc=test", "scope": "one", "entries_max": entries_max });
        let ran = run(&with(lab.plain(), &keys)).await;
        assert_eq!(ran.failure(), Some(("limit", "search: the server answered sizeLimitExceeded (4)")), "{ran:#?}");
        assert_eq!(ran.value(ENTRIES), None);
    }
}
