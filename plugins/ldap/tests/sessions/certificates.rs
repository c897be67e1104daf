//! Servers with good and bad certificates, and servers that speak no TLS where it was wanted.

use watchpost_testkit::ServerTls;

use crate::*;

const BEFORE: &[&str] = &["resolve_time", "connect_time"];

fn start_tls_asked() -> Script {
    expect("1.3.6.1.4.1.1466.20037")
}

/// Runs with both kinds of TLS; the handshake fails with a message that has all these parts.
async fn check_fails(tls: &ServerTls, keys: &Value, parts: &[&str]) {
    let starttls = start_tls_asked().send(result(1, START_TLS, 0, "", &[])).tls(tls);
    for (mode, script) in [("starttls", starttls), ("implicit", Script::new().tls(tls))] {
        let mut keys = keys.clone();
        keys["tls"] = json!(mode);
        let (ran, _) = run(script, &keys).await;
        let (kind, message) = ran.failure().unwrap();
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        assert_failed(&ran, kind, message, BEFORE);
        assert_eq!(kind, "tls");
    }
}

#[tokio::test]
async fn a_bad_certificate_is_told_with_what_is_wrong_with_it() {
    let (authority, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    let keys = json!({ "ca_file": authority.file() });
    check_fails(&authority.expired(&["127.0.0.1"]).unwrap(), &keys, &["expired", "2020-12-31"]).await;
    check_fails(&authority.server(&["ldap.lab.test"]).unwrap(), &keys, &["127.0.0.1", "ldap.lab.test", "server_name"]).await;
    let file = authority.file().display().to_string();
    check_fails(&other.server(&["127.0.0.1"]).unwrap(), &keys, &["authority is not in", &file]).await;
}

#[tokio::test]
async fn a_good_certificate_passes_under_the_host_or_under_the_name_given() {
    let authority = Authority::new().unwrap();
    let tls = authority.server(&["127.0.0.1", "ldap.lab.test"]).unwrap();
    for mut keys in [json!({}), json!({ "server_name": "ldap.lab.test" })] {
        keys["ca_file"] = json!(authority.file());
        keys["tls"] = json!("implicit");
        assert_ok(&run(Script::new().tls(&tls).then(whole()), &keys).await);
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_told_apart() {
    let authority = Authority::new().unwrap();
    let keys = json!({ "tls": "implicit", "ca_file": authority.file() });
    let (ran, _) = run(Script::new().send(disconnection(2, "")).silence(), &keys).await;
    assert_failed(&ran, "tls", "the server does not speak TLS here", BEFORE);
}

#[tokio::test]
async fn starttls_that_is_refused_is_not_gone_without() {
    for (code, name) in [(2, "protocolError"), (52, "unavailable"), (1, "operationsError")] {
        let script = start_tls_asked().send(result(1, START_TLS, code, "no TLS", &[])).then(unbound());
        let (ran, served) = run(script, &login(json!({ "tls": "starttls" }))).await;
        assert_failed(&ran, "tls", &format!("StartTLS: the server answered {name} ({code}): no TLS"), BEFORE);
        assert_eq!(served.heard.len(), 2, "nobody logs in: {:?}", served.heard);
    }
}

#[tokio::test]
async fn what_is_said_in_the_clear_after_starttls_does_not_count_as_said_under_tls() {
    let injected = result(2, BIND, 0, "", &[]);
    for injected in [injected.clone(), injected[..1].to_vec()] {
        let script = start_tls_asked().send([result(1, START_TLS, 0, "", &[]), injected].concat()).silence();
        let (ran, _) = run(script, &login(json!({ "tls": "starttls" }))).await;
        let message = "StartTLS: the server sent more before the TLS handshake; it may have been put there by another";
        assert_failed(&ran, "protocol", message, BEFORE);
    }
}
