//! What is told of a certificate that is replaced, breaks, and is mended: each once, over restarts too.

use crate::*;

#[tokio::test]
async fn a_certificate_that_is_replaced_is_told_once_and_so_is_another_issuer() {
    let (authority, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    let [first, second] = [(); 2].map(|()| authority.server(&[NAME]).unwrap());
    let (expired, strange) = (authority.expired(&[NAME]).unwrap(), other.server(&[NAME]).unwrap());
    let server = Server::start(Script::new()).await.unwrap();
    let mut kit = kit(&server, None, &authority, &json!({}));
    let mut told = Vec::new();
    for tls in [&first, &first, &second, &expired, &expired, &strange, &second] {
        server.play(enter(None, tls));
        let ran = kit.run().await;
        assert_eq!(ran.failure(), None, "{ran:#?}");
        let codes: Vec<String> = ran.outcome.events.iter().map(|event| event.code.clone()).collect();
        told.push(codes.join(" "));
    }
    let expected = [
        "",
        "",
        "certificate_replaced",
        "certificate_replaced expired",
        "",
        "issuer_changed unknown_issuer",
        "issuer_changed certificate_valid",
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn what_was_seen_stays_known_over_a_restart() {
    let authority = Authority::new().unwrap();
    let (first, second) = (authority.server(&[NAME]).unwrap(), authority.server(&[NAME]).unwrap());
    let server = Server::start(enter(None, &first)).await.unwrap();
    let left = kit(&server, None, &authority, &json!({})).run().await.outcome.cursor.unwrap();
    server.play(enter(None, &second));
    let ran = kit(&server, None, &authority, &json!({})).cursor(left).run().await;
    let [told] = &events(&ran)[..] else { panic!("{ran:#?}") };
    assert!(told.starts_with("certificate_replaced there is another certificate: issued by CN=test authority "), "{told}");
    assert!(told.contains(", valid for another ") && told.contains(", SHA-256 "), "{told}");
}

#[tokio::test]
async fn a_run_that_has_to_fail_tells_what_is_wrong_once() {
    let authority = Authority::new().unwrap();
    let tls = authority.expired(&[NAME]).unwrap();
    let server = Server::start(enter(None, &tls)).await.unwrap();
    let mut kit = kit(&server, None, &authority, &json!({ "require": ["time"] }));
    for events_told in [1, 0] {
        let ran = kit.run().await;
        assert_eq!((ran.failure().unwrap().0, events(&ran).len()), ("tls", events_told), "{ran:#?}");
    }
}
