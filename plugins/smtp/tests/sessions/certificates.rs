//! Servers with good and bad certificates: the failure says what is wrong with which one.

use watchpost_testkit::{Authority, ServerTls};

use crate::*;

/// Runs with both kinds of TLS; the handshake fails with a message that has all these parts.
async fn check_fails(tls: &ServerTls, keys: &Value, parts: &[&str]) {
    let starttls = greeted(&["STARTTLS"]).expect("STARTTLS").say("220 go").tls(tls);
    let kept: [(&str, Script, &[&str]); 2] =
        [("starttls", starttls, &["resolve", "connect", "banner", "ehlo"]), ("implicit", Script::new().tls(tls), &["resolve", "connect"])];
    for (mode, script, kept) in kept {
        let mut keys = keys.clone();
        keys["tls"] = json!(mode);
        let (ran, _) = run(script, &keys).await;
        let (kind, message) = ran.failure().unwrap();
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        assert_failed(&ran, kind, message, kept);
        assert_eq!(kind, "tls");
    }
}

#[tokio::test]
async fn an_expired_certificate_is_told_with_its_date() {
    let authority = Authority::new().unwrap();
    let keys = json!({ "ca_file": authority.file() });
    check_fails(&authority.expired(&["127.0.0.1"]).unwrap(), &keys, &["expired", "2020-12-31"]).await;
}

#[tokio::test]
async fn a_certificate_of_the_future_is_told_with_its_date() {
    let authority = Authority::new().unwrap();
    let keys = json!({ "ca_file": authority.file() });
    check_fails(&authority.not_yet(&["127.0.0.1"]).unwrap(), &keys, &["not valid before 3000-01-01"]).await;
}

#[tokio::test]
async fn a_certificate_of_another_name_is_told_with_both_names() {
    let authority = Authority::new().unwrap();
    let keys = json!({ "ca_file": authority.file(), "server_name": "mx.lab.test" });
    let tls = authority.server(&["other.lab.test", "second.lab.test"]).unwrap();
    check_fails(&tls, &keys, &["mx.lab.test", "other.lab.test", "second.lab.test", "server_name"]).await;
    check_fails(&tls, &json!({ "ca_file": authority.file() }), &["127.0.0.1", "other.lab.test", "server_name"]).await;
}

#[tokio::test]
async fn a_certificate_of_an_authority_that_is_not_trusted_is_told_with_the_file() {
    let (ours, theirs) = (Authority::new().unwrap(), Authority::new().unwrap());
    let keys = json!({ "ca_file": ours.file() });
    let file = ours.file().display().to_string();
    check_fails(&theirs.server(&["127.0.0.1"]).unwrap(), &keys, &["authority is not in", &file]).await;
    let renewed = ours.renewed().unwrap();
    check_fails(&renewed.server(&["127.0.0.1"]).unwrap(), &keys, &["has the name of one in", &file, "another key"]).await;
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_told_apart() {
    let authority = Authority::new().unwrap();
    let check = async |script: Script, expected: &str| {
        let (ran, _) = run(script, &json!({ "tls": "implicit", "ca_file": authority.file() })).await;
        assert_failed(&ran, "tls", expected, &["resolve", "connect"]);
    };
    check(Script::new().say("220 this is the port for STARTTLS").silence(), "the server does not speak TLS here").await;
    check(Script::new().cut(), "the server closed the connection in the middle of the TLS handshake").await;
}

#[tokio::test]
async fn an_authority_file_that_is_not_there_is_our_own_fault() {
    let (ran, _) = run(Script::new().silence(), &json!({ "tls": "implicit", "ca_file": "/nowhere/ca.pem" })).await;
    let message = "cannot read authorities /nowhere/ca.pem: No such file or directory";
    assert_failed(&ran, "local", message, &["resolve", "connect"]);
}

#[tokio::test]
async fn a_good_certificate_passes_under_the_host_or_under_the_name_given() {
    let authority = Authority::new().unwrap();
    let tls = authority.server(&["127.0.0.1", "mx.lab.test"]).unwrap();
    for keys in [json!({}), json!({ "server_name": "mx.lab.test" })] {
        let mut keys = keys;
        keys["ca_file"] = json!(authority.file());
        keys["tls"] = json!("implicit");
        let ended = run(Script::new().tls(&tls).then(greeted(&[])).then(goodbye()), &keys).await;
        assert_ok(&ended);
    }
}
