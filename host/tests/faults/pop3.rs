//! The faults of the agent `pop3`.

use watchpost_testkit::{Script, ServerTls};

use crate::{
    lines::{Own, Place, Service, protocol, tls},
    row::Ends,
};

/// A mailbox of which the newest message is read: every phase there is.
pub(crate) const POP3: Service = Service {
    agent: "pop3",
    keys: "ca_file = \"ca.pem\"\nuser = \"probe\"\npassword = { file = \"secret\" }",
    by_command: |tls| greeted().then(capa("STLS")).expect("STLS").say("+OK go").tls(tls).then(read()),
    from_the_first: |tls| Script::new().tls(tls).then(greeted()).then(read()),
    places: &[
        Place::new("banner", "banner", 2),
        Place::new("capa", "CAPA", 3),
        Place::new("stls", "STLS", 3),
        Place::new("handshake", "STLS", 3),
        Place::new("capa-again", "CAPA", 4),
        Place::new("login", "AUTH PLAIN", 4),
        Place::new("stat", "STAT", 5),
        Place::new("list", "LIST", 5),
        Place::new("listing", "LIST", 5),
        Place::new("retr", "RETR", 8),
        Place::new("message", "RETR", 8),
        Place::new("quit", "QUIT", 9),
    ],
    metrics: &[
        "resolve_time",
        "connect_time",
        "banner_time",
        "tls_time",
        "authenticate_time",
        "query_time",
        "mailbox_size",
        "mailbox_bytes",
        "download_time",
        "quit_time",
        "total_time",
    ],
    begins: "+OK",
    no_reply: "no POP3 reply: ",
    under_tls: "stat",
    farewell: "quit",
    own,
    neighbour,
};

/// What goes wrong in POP3 only.
fn own(good: &ServerTls) -> Vec<Own> {
    let say = |text: &str| Script::new().say(text);
    let at = |name: &str, why: &str| protocol(POP3.place(name), why);
    let injected = Script::new().send("+OK go\r\n+OK said by another\r\n").tls(good);
    let refused = "AUTH PLAIN: the server answered -ERR [AUTH] no".to_owned();
    let large = say("+OK 1 104857600").expect("LIST").say("+OK\n1 104857600\n.").expect("QUIT");
    let too_large = Ends::Fails("limit", "RETR: more than the bound of 64 MiB for a message allows".into());
    vec![
        ("busy", "banner", 2, say("-ERR [SYS/TEMP] busy").cut(), at("banner", "the server answered -ERR [SYS/TEMP] busy")),
        ("endless-answer", "capa", 3, say("+OK").endless_lines("X"), at("capa", "a list without an end: more than 100 lines")),
        ("not-offered", "capa", 3, say("+OK\nTOP\n."), tls("the server offers no STLS")),
        ("not-now", "stls", 3, say("-ERR not now"), tls("STLS: the server answered -ERR not now")),
        ("injected", "stls", 3, injected, at("stls", "the server sent more before the TLS handshake")),
        ("login-refused", "login", 4, say("-ERR [AUTH] no"), Ends::Fails("auth", refused)),
        ("locked", "login", 4, say("-ERR [IN-USE] locked"), at("login", "the server answered -ERR [IN-USE] locked")),
        ("nonsense", "stat", 5, say("+OK two 320"), at("stat", "no count and size: \"two 320\"")),
        ("endless-list", "listing", 5, Script::new().endless_lines("1 120"), at("listing", "more messages than the 2 that STAT counted")),
        // Ours: we will not read that much, and so know nothing.
        ("too-large", "stat", 8, large, too_large),
    ]
}

fn greeted() -> Script {
    Script::new().say("+OK pop.lab.test ready")
}

fn capa(offer: &str) -> Script {
    Script::new().expect("CAPA").say(&format!("+OK\n{offer}\n."))
}

/// All that is said under TLS.
fn read() -> Script {
    let login = capa("SASL PLAIN").expect("AUTH PLAIN").say("+OK in");
    let listed = login.expect("STAT").say("+OK 2 320").expect("LIST").say("+OK").say("1 120\n2 200\n.");
    listed.expect("RETR 2").say("+OK 200 octets").say("Subject: probe\n\nend\n.").expect("QUIT").say("+OK bye")
}

/// A server that is asked nothing but to be there.
fn neighbour() -> Script {
    greeted().expect("QUIT").say("+OK bye")
}
