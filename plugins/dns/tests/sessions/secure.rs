//! Questions by TLS that fail: whose fault it is, and what was measured before. How one succeeds the lab's name server shows.

use watchpost_testkit::{Authority, Server, ServerTls};

use crate::*;

const CONNECTED: &[&str] = &["resolve_time", "connect_time"];
const SECURED: &[&str] = &["resolve_time", "connect_time", "tls_time"];

async fn run_by_tls(script: Script, keys: &Value) -> Ran {
    let server = Server::start(script).await.unwrap();
    let mut config = json!({ "host": "127.0.0.1", "port": server.port(), "name": "lab.test", "transport": "tls" });
    config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    Kit::<Dns>::new(&config).unwrap().timeout(Duration::from_secs(2)).run().await
}

async fn check(authority: &Authority, tls: &ServerTls, rest: Script, kind: &str, message: &str, kept: &[&str]) {
    let ran = run_by_tls(Script::new().tls(tls).then(rest), &json!({ "ca_file": authority.file() })).await;
    assert_failed(&ran, kind, message, kept);
}

/// How long a message is whose length stands before it.
fn length(bytes: &[u8]) -> Option<usize> {
    let [high, low, ..] = *bytes else { return None };
    Some(2 + usize::from(u16::from_be_bytes([high, low])))
}

#[tokio::test]
async fn a_server_that_cannot_be_trusted_is_asked_nothing() {
    let (authority, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    let names = ["127.0.0.1"];
    let ran = run_by_tls(Script::new().tls(&authority.expired(&names).unwrap()), &json!({ "ca_file": authority.file() })).await;
    let (kind, message) = ran.failure().unwrap();
    assert!(kind == "tls" && message.starts_with("the certificate expired on 2020-12-31"), "{message}");
    assert_eq!(ran.recorded(), CONNECTED);
    let message = "the certificate is for other.test, not for 127.0.0.1; server_name sets the name to expect";
    check(&authority, &authority.server(&["other.test"]).unwrap(), Script::new(), "tls", message, CONNECTED).await;
    let message = format!("the certificate's authority is not in {}", authority.file().display());
    check(&authority, &other.server(&names).unwrap(), Script::new(), "tls", &message, CONNECTED).await;
}

#[tokio::test]
async fn what_breaks_after_the_handshake_is_the_servers_doing() {
    let authority = Authority::new().unwrap();
    let tls = authority.server(&["127.0.0.1"]).unwrap();
    let asked = || Script::new().expect_message(length, b"\x03lab\x04test".as_slice());
    let closed = "lab.test. A: connection closed by the other side";
    check(&authority, &tls, asked().cut(), "protocol", closed, SECURED).await;
    let ran = run_by_tls(Script::new().tls(&tls).then(asked().silence()), &json!({ "ca_file": authority.file() })).await;
    let (kind, message) = ran.failure().unwrap();
    let (begins, ends) = ("no end within 2 s: no answer to `lab.test. A? (id ", ")`; tls_time was the last it recorded");
    assert!(kind == "timeout" && message.starts_with(begins) && message.ends_with(ends), "{message}");
    assert_eq!(ran.recorded(), SECURED);
    let strangers = asked().send([0, 3, 1, 2, 3]).cut();
    check(&authority, &tls, strangers, "protocol", closed, SECURED).await;
}

#[tokio::test]
async fn a_port_without_tls_is_told_apart() {
    let ran = run_by_tls(Script::new().say("220 hello").silence(), &json!({})).await;
    assert_failed(&ran, "tls", "the server does not speak TLS here", CONNECTED);
}
