//! Handshakes with servers that follow a script: certificates good and bad, by each way in, and what is told of them.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod breaks;
mod faults;
mod news;

use std::time::Duration;

use serde_json::{Value, json};
use watchpost_plugin_api::standard::*;
use watchpost_testkit::{Authority, Kit, Ran, Script, Server, ServerTls};
use watchpost_tls::*;

/// Ways in, by the word of the configuration.
const WAYS: [Option<&str>; 5] = [None, Some("smtp"), Some("imap"), Some("pop3"), Some("ldap")];
/// The name that certificates are for.
const NAME: &str = "mx.lab.test";

/// How long an LDAP message is; those here are short.
fn length(bytes: &[u8]) -> Option<usize> {
    Some(2 + usize::from(*bytes.get(1)?))
}

/// What a server says up to the handshake, and what it hears after it.
fn enter(way: Option<&str>, tls: &ServerTls) -> Script {
    let begun = Script::new();
    match way {
        None => begun.tls(tls),
        Some("smtp") => begun
            .say("220 mx.lab.test ESMTP")
            .expect("EHLO [127.0.0.1]")
            .say("250-mx.lab.test\n250 STARTTLS")
            .expect("STARTTLS")
            .say("220 go")
            .tls(tls)
            .expect("QUIT"),
        Some("imap") => {
            begun.say("* OK [CAPABILITY IMAP4rev1 STARTTLS] hi").expect("w1 STARTTLS").say("w1 OK go").tls(tls).expect("w2 LOGOUT")
        }
        Some("pop3") => begun.say("+OK hi").expect("CAPA").say("+OK\nSTLS\n.").expect("STLS").say("+OK go").tls(tls).expect("QUIT"),
        Some(_) => {
            let asked = begun.expect_message(length, b"1.3.6.1.4.1.1466.20037".as_slice());
            asked.send([0x30, 12, 2, 1, 1, 0x78, 7, 10, 1, 0, 4, 0, 4, 0]).tls(tls).expect_message(length, [0x42, 0])
        }
    }
}

fn kit(server: &Server, way: Option<&str>, authority: &Authority, keys: &Value) -> Kit<TlsAgent> {
    let mut config = json!({ "host": "127.0.0.1", "port": server.port(), "server_name": NAME, "ca_file": authority.file() });
    if let Some(way) = way {
        config["starttls"] = json!(way);
    }
    config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    Kit::new(&config).unwrap()
}

/// Runs once by that way in, against a server with that certificate.
async fn run(way: Option<&str>, tls: &ServerTls, authority: &Authority, keys: &Value) -> Ran {
    let server = Server::start(enter(way, tls)).await.unwrap();
    let ran = kit(&server, way, authority, keys).run().await;
    assert_eq!(server.served().await.unwrap().broke, None, "{way:?}");
    ran
}

fn events(ran: &Ran) -> Vec<String> {
    ran.outcome.events.iter().map(|event| format!("{} {}", event.code, event.text)).collect()
}

fn labelled(ran: &Ran, metric: &str) -> Vec<(String, f64)> {
    ran.outcome.samples.iter().filter(|sample| sample.metric == metric).map(|sample| (sample.labels.join(" "), sample.value)).collect()
}
