//! Servers that do not get through a handshake at all: the kind says whose fault, and nothing is said of a certificate nobody saw.

use crate::*;

async fn check(way: Option<&str>, script: Script, kind: &str, message: &str, kept: &[&str]) {
    let authority = Authority::new().unwrap();
    let server = Server::start(script).await.unwrap();
    let ran = kit(&server, way, &authority, &json!({ "versions": true })).timeout(Duration::from_secs(2)).run().await;
    assert_eq!((ran.failure(), ran.recorded()), (Some((kind, message)), kept.to_vec()), "{way:?}: {ran:#?}");
}

const CONNECTED: &[&str] = &["resolve_time", "connect_time"];
const GREETED: &[&str] = &["resolve_time", "connect_time", "banner_time"];
const OFFERED: &[&str] = &["resolve_time", "connect_time", "banner_time", "ehlo_time"];

#[tokio::test]
async fn a_server_without_tls_is_told_apart_from_one_that_breaks_off() {
    check(None, Script::new().say("220 hello").silence(), "tls", "the server does not speak TLS here", CONNECTED).await;
    let closed = "the server closed the connection in the middle of the TLS handshake";
    check(None, Script::new().cut(), "tls", closed, CONNECTED).await;
    let late = "no end within 2 s: no end of the TLS handshake with mx.lab.test; connect_time was the last it recorded";
    check(None, Script::new().silence(), "timeout", late, CONNECTED).await;
}

#[tokio::test]
async fn a_server_that_does_not_offer_tls_fails_the_run() {
    let smtp = Script::new().say("220 mx").expect("EHLO").say("250 mx").expect("QUIT");
    check(Some("smtp"), smtp, "tls", "the server offers no STARTTLS", OFFERED).await;
    let imap = Script::new().say("* OK [CAPABILITY IMAP4rev1] hi").expect("w1 LOGOUT");
    check(Some("imap"), imap, "tls", "the server offers no STARTTLS", GREETED).await;
    let pop3 = Script::new().say("+OK hi").expect("CAPA").say("-ERR what").expect("QUIT");
    check(Some("pop3"), pop3, "tls", "the server offers no STLS", GREETED).await;
    let refused = [0x30, 12, 2, 1, 1, 0x78, 7, 10, 1, 2, 4, 0, 4, 0];
    let ldap = Script::new().expect_message(length, b"1466".as_slice()).send(refused).expect_message(length, [0x42, 0]);
    check(Some("ldap"), ldap, "tls", "StartTLS: the server answered protocolError (2)", CONNECTED).await;
}

#[tokio::test]
async fn another_protocol_than_the_job_says_is_a_breach_of_it() {
    check(Some("smtp"), Script::new().say("* OK hi").silence(), "protocol", "banner: no SMTP reply: \"* OK hi\"", CONNECTED).await;
    check(Some("pop3"), Script::new().say("220 mx").silence(), "protocol", "banner: no POP3 reply: \"220 mx\"", CONNECTED).await;
}
