//! What a real directory does wrong, or finds wrong with us.

use crate::*;

const CONNECTED: [&str; 2] = ["resolve_time", "connect_time"];

#[tokio::test]
async fn a_refusal_has_its_kind_and_its_name() {
    let Some(lab) = Lab::up() else { return };
    let check = async |keys: &Value, kind: &str, message: &str| {
        let ran = run(&with(lab.plain(), keys)).await;
        assert_eq!(ran.failure(), Some((kind, message)), "{ran:#?}");
    };
    check(&json!({ "password": "wrong" }), "auth", "bind: the server answered invalidCredentials (49)").await;
    check(&json!({ "user": "uid=nobody,dc=lab,dc=test" }), "auth", "bind: the server answered invalidCredentials (49)").await;
    check(&json!({ "user": "probe" }), "auth", "bind: the server answered invalidDNSyntax (34): invalid DN").await;
    let known = "search: the server answered noSuchObject (32); it knows \"dc=lab,dc=test\"";
    check(&json!({ "base": "ou=nobody,dc=lab,dc=test" }), "protocol", known).await;
    check(&json!({ "base": "nonsense" }), "protocol", "search: the server answered invalidDNSyntax (34): invalid DN").await;
    check(&json!({ "base": "dc=lab,dc=test", "expect": "o=Lob" }), "protocol", "search: no entry has o=\"Lob\"; other values of o: 1")
        .await;
    let tls =
        "the certificate is for mail.lab.test, localhost, *.lab.test, 127.0.0.1, not for other.test; server_name sets the name to expect";
    let keys = json!({ "tls": "starttls", "server_name": "other.test", "ca_file": lab.ca_file() });
    check(&keys, "tls", tls).await;
}

#[tokio::test]
async fn a_stalled_directory_meets_the_deadline_and_a_dead_one_refuses() {
    let Some(lab) = Lab::up() else { return };
    assert_eq!(run(&lab.plain()).await.failure(), None);
    lab.signal("-STOP");
    // The kernel still takes the connection.
    let ran = run_within(Duration::from_secs(1), &lab.plain()).await;
    let message = "no end within 1 s: no answer to `bindRequest uid=probe,ou=people,dc=lab,dc=test simple <secret>`; connect_time was the last it recorded";
    assert_eq!((ran.failure(), ran.recorded()), (Some(("timeout", message)), CONNECTED.to_vec()), "{ran:#?}");
    lab.signal("-CONT");
    assert_eq!(run(&lab.plain()).await.failure(), None);
    lab.signal("-KILL");
    let dead = async || run(&lab.plain()).await.failure().map(|(kind, _)| kind.to_owned());
    let mut seen = dead().await;
    for _ in 0..100 {
        if seen.as_deref() == Some("connect") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await; // until the kernel has ended it
        seen = dead().await;
    }
    panic!("{seen:?}");
}
