//! Certificates that are wrong: measured like good ones, told by an event, and failing the run only where the job says so.

use crate::*;

/// A certificate that is as it should be.
#[tokio::test]
async fn a_good_certificate_is_measured_by_every_way_in() {
    let authority = Authority::new().unwrap();
    let tls = authority.server(&[NAME]).unwrap();
    for way in WAYS {
        let ran = run(way, &tls, &authority, &json!({ "require": ["trusted", "name", "time"] })).await;
        assert_eq!((ran.failure(), events(&ran)), (None, vec![]), "{way:?}: {ran:#?}");
        let ones = [TRUSTED, NAME_MATCHES, CHAIN_LENGTH].map(|metric| ran.value(metric));
        assert_eq!((ones, ran.value(KEY_BITS)), ([Some(1.0); 3], Some(256.0)));
        assert!(ran.value(EXPIRES_IN) > Some(86_400.0) && ran.value(EXPIRES_IN) == ran.value(CHAIN_EXPIRES_IN), "{ran:#?}");
        assert_eq!(labelled(&ran, "session"), [("TLSv1.3 TLS_AES_256_GCM_SHA384".to_owned(), 1.0)]);
        let phases = [RESOLVE_TIME, CONNECT_TIME, BANNER_TIME, EHLO_TIME, TLS_TIME];
        assert_eq!(ran.nanos(TOTAL_TIME), Some(phases.into_iter().filter_map(|phase| ran.nanos(phase)).sum()), "{ran:#?}");
        let greeted = matches!(way, Some("smtp" | "imap" | "pop3"));
        assert_eq!((ran.value(BANNER_TIME).is_some(), ran.value(EHLO_TIME).is_some()), (greeted, way == Some("smtp")));
        assert!(ran.nanos(TLS_TIME) > Some(0));
    }
}

/// What is measured of a bad certificate, by every way in; and what each requirement says of it.
async fn check(authority: &Authority, tls: &ServerTls, name_matches: f64, event: &str, required: [Option<&str>; 3]) {
    for way in WAYS {
        let ran = run(way, tls, authority, &json!({})).await;
        assert_eq!(ran.failure(), None, "{way:?}: {ran:#?}");
        let figures = [TRUSTED, NAME_MATCHES, CHAIN_LENGTH, KEY_BITS].map(|metric| ran.value(metric));
        assert_eq!(figures, [Some(0.0), Some(name_matches), Some(1.0), Some(256.0)]);
        assert!(ran.value(EXPIRES_IN).is_some() && ran.value(TOTAL_TIME).is_some());
        let [told] = &events(&ran)[..] else { panic!("{ran:#?}") };
        assert!(told.starts_with(event), "{told}");
    }
    for (requirement, fails) in ["trusted", "name", "time"].into_iter().zip(required) {
        let ran = run(None, tls, authority, &json!({ "require": [requirement] })).await;
        match (ran.failure(), fails) {
            (None, None) => {}
            (Some(("tls", why)), Some(text)) => assert!(why.contains(text), "{why}"),
            (found, _) => panic!("{requirement}: {found:?}"),
        }
        assert!(ran.value(EXPIRES_IN).is_some() && events(&ran).len() == 1, "a run that fails keeps what it measured: {ran:#?}");
        assert_eq!(ran.value(TOTAL_TIME).is_some(), fails.is_none());
    }
}

#[tokio::test]
async fn an_expired_certificate_is_measured() {
    let authority = Authority::new().unwrap();
    let tls = authority.expired(&[NAME]).unwrap();
    check(
        &authority,
        &tls,
        1.0,
        "expired the certificate expired on 2020-12-31",
        [Some("expired on 2020-12-31"), None, Some("the certificate expired ")],
    )
    .await;
    let ran = run(None, &tls, &authority, &json!({})).await;
    // The end of 2020, seen from any day after 2025.
    assert!(ran.value(EXPIRES_IN) < Some(-5.0 * 365.0 * 86_400.0), "{ran:#?}");
}

#[tokio::test]
async fn a_certificate_of_the_future_is_measured() {
    let authority = Authority::new().unwrap();
    let tls = authority.not_yet(&[NAME]).unwrap();
    check(&authority, &tls, 1.0, "not_yet_valid ", [Some("not valid before 3000-01-01"), None, Some("is not valid for another ")]).await;
}

#[tokio::test]
async fn a_certificate_for_another_name_is_measured() {
    let authority = Authority::new().unwrap();
    let tls = authority.server(&["other.lab.test", "*.mx.lab.test"]).unwrap();
    let named = "the certificate is for other.lab.test, *.mx.lab.test, not for mx.lab.test";
    check(&authority, &tls, 0.0, &format!("wrong_name {named}"), [Some(named), Some(named), None]).await;
}

#[tokio::test]
async fn certificates_of_unknown_origin_are_measured() {
    let (authority, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    let tls = other.server(&[NAME]).unwrap();
    check(&authority, &tls, 1.0, "unknown_issuer ", [Some("authority is not in "), None, None]).await;
    let tls = Authority::self_signed(&[NAME]).unwrap();
    check(&authority, &tls, 1.0, "self_signed ", [Some("signed by itself"), None, None]).await;
}

#[tokio::test]
async fn an_address_is_a_name_too() {
    let authority = Authority::new().unwrap();
    let tls = authority.server(&["127.0.0.1"]).unwrap();
    let ran = run(None, &tls, &authority, &json!({ "server_name": "127.0.0.1" })).await;
    assert_eq!((ran.failure(), ran.value(NAME_MATCHES), ran.value(TRUSTED)), (None, Some(1.0), Some(1.0)), "{ran:#?}");
    let ran = run(None, &tls, &authority, &json!({ "server_name": "127.0.0.2" })).await;
    assert_eq!((ran.failure(), ran.value(NAME_MATCHES), ran.value(TRUSTED)), (None, Some(0.0), Some(0.0)), "{ran:#?}");
}

#[tokio::test]
async fn versions_are_asked_for_one_by_one() {
    let authority = Authority::new().unwrap();
    let newer = authority.server(&[NAME]).unwrap();
    let older = newer.clone().older();
    for way in WAYS {
        for (tls, session, taken) in [(&newer, "TLSv1.3", [1.0, 1.0]), (&older, "TLSv1.2", [1.0, 0.0])] {
            let server = Server::start(enter(way, tls)).await.unwrap();
            let ran = kit(&server, way, &authority, &json!({ "versions": true })).run().await;
            assert_eq!(ran.failure(), None, "{way:?}: {ran:#?}");
            let expected = ["TLSv1.2", "TLSv1.3"].map(str::to_owned).into_iter().zip(taken).collect::<Vec<_>>();
            assert_eq!(labelled(&ran, "accepts"), expected, "{way:?}: {ran:#?}");
            assert!(labelled(&ran, "session")[0].0.starts_with(session));
            let phases = [RESOLVE_TIME, CONNECT_TIME, BANNER_TIME, EHLO_TIME, TLS_TIME];
            assert_eq!(
                ran.nanos(TOTAL_TIME),
                Some(phases.into_iter().filter_map(|phase| ran.nanos(phase)).sum()),
                "questions cost no phase"
            );
        }
    }
}
