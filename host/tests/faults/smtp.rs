//! The faults of the agent `smtp`.

use watchpost_testkit::{Script, ServerTls};

use crate::{
    lines::{Own, Place, Service, protocol, tls},
    row::Ends,
};

/// A submission: every phase there is.
pub(crate) const SMTP: Service = Service {
    agent: "smtp",
    keys: "ca_file = \"ca.pem\"\nuser = \"probe\"\npassword = { file = \"secret\" }\n\
           from = \"probe@lab.test\"\nto = \"alice@lab.test\"\nsubmit = true",
    by_command: |tls| greeted().then(hello(&["STARTTLS"])).expect("STARTTLS").say("220 go").tls(tls).then(submitted()),
    from_the_first: |tls| Script::new().tls(tls).then(greeted()).then(submitted()),
    places: &[
        Place::new("banner", "banner", 2),
        Place::new("hello", "EHLO", 3),
        Place::new("starttls", "STARTTLS", 4),
        Place::new("handshake", "STARTTLS", 4),
        Place::new("hello-again", "EHLO", 5),
        Place::new("login", "AUTH PLAIN", 5),
        Place::new("mail", "MAIL", 6),
        Place::new("rcpt", "RCPT", 7),
        Place::new("data", "DATA", 8),
        Place::new("message", "end of DATA", 8),
        Place::new("quit", "QUIT", 10),
    ],
    metrics: &[
        "resolve_time",
        "connect_time",
        "banner_time",
        "ehlo_time",
        "tls_time",
        "authenticate_time",
        "mail_time",
        "rcpt_time",
        "data_time",
        "transmission_time",
        "quit_time",
        "total_time",
    ],
    begins: "220",
    no_reply: "no SMTP reply: ",
    under_tls: "mail",
    farewell: "quit",
    own,
    neighbour,
};

/// What goes wrong in SMTP only.
fn own(good: &ServerTls) -> Vec<Own> {
    let say = |text: &str| Script::new().say(text);
    let at = |name: &str, why: &str| protocol(SMTP.place(name), why);
    let injected = Script::new().send("220 go\r\n250 said by another\r\n").tls(good);
    let refused = "AUTH PLAIN: the server answered 535 5.7.8 no".to_owned();
    vec![
        ("busy", "banner", 2, say("421 4.3.2 too busy").cut(), at("banner", "the server answered 421 4.3.2 too busy")),
        ("two-codes", "hello", 3, say("250-yes\n550 no"), at("hello", "one reply with two codes, 250 and 550")),
        ("endless-answer", "hello", 3, Script::new().endless_lines("250-X"), at("hello", "a reply without an end: more than ")),
        ("not-offered", "hello", 4, say("250 mx.lab.test").expect("QUIT"), tls("the server offers no STARTTLS")),
        ("not-now", "starttls", 4, say("454 4.7.0 not now"), tls("STARTTLS: the server answered 454 4.7.0 not now")),
        ("injected", "starttls", 4, injected, at("starttls", "the server sent more before the TLS handshake")),
        ("login-refused", "login", 5, say("535 5.7.8 no"), Ends::Fails("auth", refused)),
        ("relay-denied", "rcpt", 7, say("554 5.7.1 denied"), at("rcpt", "the server answered 554 5.7.1 denied")),
    ]
}

fn greeted() -> Script {
    Script::new().say("220 mx.lab.test ESMTP")
}

fn hello(offers: &[&str]) -> Script {
    let lines = offers.iter().map(|offer| format!("\n250-{offer}")).collect::<String>();
    Script::new().expect("EHLO").say(&format!("250-mx.lab.test{lines}\n250 8BITMIME"))
}

/// All that is said under TLS.
fn submitted() -> Script {
    let login = hello(&["AUTH PLAIN"]).expect("AUTH PLAIN").say("235 in");
    let envelope = login.expect("MAIL").say("250 ok").expect("RCPT").say("250 ok");
    envelope.expect("DATA").say("354 go").expect_until(".").say("250 queued").expect("QUIT").say("221 bye")
}

/// A server that is asked nothing but to be there.
fn neighbour() -> Script {
    greeted().then(hello(&[])).expect("QUIT").say("221 bye")
}
