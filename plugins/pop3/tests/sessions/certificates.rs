//! Servers with good and bad certificates, and servers that speak no TLS where it was wanted.

use watchpost_testkit::{Authority, ServerTls};

use crate::*;

/// Runs with both kinds of TLS; the handshake fails with a message that has all these parts.
async fn check_fails(tls: &ServerTls, keys: &Value, parts: &[&str]) {
    let starttls = greeted().then(capa(&["STLS"])).expect("STLS").say("+OK go").tls(tls);
    let kept: [(&str, Script, &[&str]); 2] = [
        ("starttls", starttls, &["resolve_time", "connect_time", "banner_time"]),
        ("implicit", Script::new().tls(tls), &["resolve_time", "connect_time"]),
    ];
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
async fn a_bad_certificate_is_told_with_what_is_wrong_with_it() {
    let (authority, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    let keys = json!({ "ca_file": authority.file() });
    check_fails(&authority.expired(&["127.0.0.1"]).unwrap(), &keys, &["expired", "2020-12-31"]).await;
    check_fails(&authority.server(&["pop.lab.test"]).unwrap(), &keys, &["127.0.0.1", "pop.lab.test", "server_name"]).await;
    let file = authority.file().display().to_string();
    check_fails(&other.server(&["127.0.0.1"]).unwrap(), &keys, &["authority is not in", &file]).await;
}

#[tokio::test]
async fn a_good_certificate_passes_under_the_host_or_under_the_name_given() {
    let authority = Authority::new().unwrap();
    let tls = authority.server(&["127.0.0.1", "pop.lab.test"]).unwrap();
    for mut keys in [json!({}), json!({ "server_name": "pop.lab.test" })] {
        keys["ca_file"] = json!(authority.file());
        keys["tls"] = json!("implicit");
        assert_ok(&run(Script::new().tls(&tls).then(greeted()).then(goodbye()), &keys).await);
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_told_apart() {
    let authority = Authority::new().unwrap();
    let keys = json!({ "tls": "implicit", "ca_file": authority.file() });
    let (ran, _) = run(greeted().silence(), &keys).await;
    assert_failed(&ran, "tls", "the server does not speak TLS here", &["resolve_time", "connect_time"]);
}

#[tokio::test]
async fn stls_that_is_not_offered_is_not_tried() {
    for offers in [capa(&["USER", "TOP"]), Script::new().expect("CAPA").say("-ERR unknown command")] {
        let (ran, served) = run(greeted().then(offers), &login(json!({ "tls": "starttls" }))).await;
        assert_failed(&ran, "tls", "the server offers no STLS", &["resolve_time", "connect_time", "banner_time"]);
        assert_eq!(served.heard, ["CAPA"]);
    }
}

#[tokio::test]
async fn what_is_said_in_the_clear_after_stls_does_not_count_as_said_under_tls() {
    let script = greeted().then(capa(&["STLS"])).expect("STLS").send("+OK go\r\n+OK injected\r\n").silence();
    let (ran, _) = run(script, &json!({ "tls": "starttls" })).await;
    let message = "STLS: the server sent more before the TLS handshake; it may have been put there by another";
    assert_failed(&ran, "protocol", message, &["resolve_time", "connect_time", "banner_time"]);
}

#[tokio::test]
async fn what_was_offered_in_the_clear_is_not_believed_under_tls() {
    let authority = Authority::new().unwrap();
    let tls = authority.server(&["127.0.0.1"]).unwrap();
    let secure = greeted().then(capa(&["STLS", "SASL PLAIN"])).expect("STLS").say("+OK go").tls(&tls);
    let (ran, _) = run(secure.then(capa(&["TOP"])), &login(json!({ "tls": "starttls", "ca_file": authority.file() }))).await;
    let message = "the server offers neither AUTH PLAIN nor USER nor APOP here (some offer them only under TLS)";
    assert_eq!(ran.failure(), Some(("auth", message)));
}
