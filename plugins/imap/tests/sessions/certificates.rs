//! Servers with good and bad certificates, and servers that speak no TLS where it was wanted.

use watchpost_testkit::{Authority, ServerTls};

use crate::*;

const GREETED: [&str; 3] = ["resolve_time", "connect_time", "banner_time"];

fn started(tls: &ServerTls) -> Script {
    offering("STARTTLS").then(takes(1, "STARTTLS")).tls(tls)
}

/// Runs with both kinds of TLS; the handshake fails with a message that has all these parts.
async fn check_fails(tls: &ServerTls, keys: &Value, parts: &[&str]) {
    let kept: [(&str, Script, &[&str]); 2] = [("starttls", started(tls), &GREETED), ("implicit", Script::new().tls(tls), &GREETED[..2])];
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
    check_fails(&authority.server(&["imap.lab.test"]).unwrap(), &keys, &["127.0.0.1", "imap.lab.test", "server_name"]).await;
    let file = authority.file().display().to_string();
    check_fails(&other.server(&["127.0.0.1"]).unwrap(), &keys, &["authority is not in", &file]).await;
}

#[tokio::test]
async fn a_good_certificate_passes_under_the_host_or_under_the_name_given() {
    let authority = Authority::new().unwrap();
    let tls = authority.server(&["127.0.0.1", "imap.lab.test"]).unwrap();
    for mut keys in [json!({}), json!({ "server_name": "imap.lab.test" })] {
        keys["ca_file"] = json!(authority.file());
        for (mode, script) in
            [("implicit", Script::new().tls(&tls).then(greeted()).then(goodbye(1))), ("starttls", started(&tls).then(goodbye(2)))]
        {
            keys["tls"] = json!(mode);
            assert_ok(&run(script, &keys).await);
        }
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_told_apart() {
    let authority = Authority::new().unwrap();
    let keys = json!({ "tls": "implicit", "ca_file": authority.file() });
    let (ran, _) = run(greeted().silence(), &keys).await;
    assert_failed(&ran, "tls", "the server does not speak TLS here", &GREETED[..2]);
}

#[tokio::test]
async fn starttls_that_is_not_offered_is_not_tried() {
    let asked = Script::new().say("* OK ready").then(answers(1, "CAPABILITY", "* CAPABILITY IMAP4rev1 XSTARTTLS\nOK"));
    for (script, heard) in [(offering("ID"), &["LOGOUT"][..]), (asked, &["CAPABILITY", "LOGOUT"])] {
        let (ran, served) = run(script.expect(""), &login(json!({ "tls": "starttls" }))).await;
        assert_failed(&ran, "tls", "the server offers no STARTTLS", &GREETED);
        assert_eq!(commands(&served), heard);
    }
}

#[tokio::test]
async fn a_server_that_knows_us_already_gives_no_starttls() {
    let script = Script::new().say("* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] welcome back").expect("");
    let (ran, served) = run(script, &login(json!({ "tls": "starttls" }))).await;
    assert_failed(&ran, "tls", "the server greets with PREAUTH, after which there is no STARTTLS", &GREETED);
    assert_eq!(commands(&served), ["LOGOUT"]);
}

#[tokio::test]
async fn what_is_said_in_the_clear_after_starttls_does_not_count_as_said_under_tls() {
    for injected in ["* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] injected\r\n", "w2 OK injected\r\n", "*"] {
        let script = offering("STARTTLS").then(asked(1, "STARTTLS")).send(format!("w1 OK go\r\n{injected}")).silence();
        let (ran, _) = run(script, &login(json!({ "tls": "starttls" }))).await;
        let message = "STARTTLS: the server sent more before the TLS handshake; it may have been put there by another";
        assert_failed(&ran, "protocol", message, &GREETED);
    }
}

#[tokio::test]
async fn what_was_offered_in_the_clear_is_not_believed_under_tls() {
    let authority = Authority::new().unwrap();
    let tls = authority.server(&["127.0.0.1"]).unwrap();
    let secure = offering("STARTTLS AUTH=PLAIN").then(answers(1, "STARTTLS", "* CAPABILITY IMAP4rev1 AUTH=PLAIN\nOK go")).tls(&tls);
    let script = secure.then(answers(2, "CAPABILITY", "* CAPABILITY IMAP4rev1 LOGINDISABLED\nOK"));
    let (ran, _) = run(script, &login(json!({ "tls": "starttls", "ca_file": authority.file() }))).await;
    let message = "the server offers no AUTHENTICATE PLAIN and forbids LOGIN (some servers offer more under TLS)";
    assert_eq!(ran.failure(), Some(("auth", message)));
}
