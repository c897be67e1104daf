//! The faults of the agent `imap`. Its commands are tagged w1, w2 and so on.

use watchpost_testkit::{Script, ServerTls};

use crate::{
    lines::{Own, Place, Service, protocol, tls},
    row::Ends,
};

/// A mailbox that is searched, and of which the newest message is read: every phase there is.
pub(crate) const IMAP: Service = Service {
    agent: "imap",
    keys: "ca_file = \"ca.pem\"\nuser = \"probe\"\npassword = { file = \"secret\" }",
    by_command: |tls| greeted().then(capability(1, "STARTTLS")).expect("w2 STARTTLS").say("w2 OK go").tls(tls).then(read(3)),
    from_the_first: |tls| Script::new().tls(tls).then(greeted()).then(read(1)),
    places: &[
        Place::new("banner", "banner", 2),
        Place::new("capability", "CAPABILITY", 3),
        Place::new("starttls", "STARTTLS", 3),
        Place::new("handshake", "STARTTLS", 3),
        Place::new("capability-again", "CAPABILITY", 4),
        Place::new("login", "AUTHENTICATE PLAIN", 4),
        Place::new("examine", "EXAMINE", 5),
        Place::new("search", "SEARCH", 7),
        Place::new("fetch", "FETCH", 9),
        Place::new("message", "FETCH", 9),
        Place::new("logout", "LOGOUT", 11),
    ],
    metrics: &[
        "resolve_time",
        "connect_time",
        "banner_time",
        "tls_time",
        "authenticate_time",
        "select_time",
        "mailbox_size",
        "search_time",
        "search_found",
        "download_time",
        "download_bytes",
        "logout_time",
        "total_time",
    ],
    begins: "* OK",
    no_reply: "no IMAP response: ",
    under_tls: "examine",
    farewell: "logout",
    own,
    neighbour,
};

/// What goes wrong in IMAP only.
fn own(good: &ServerTls) -> Vec<Own> {
    let say = |text: &str| Script::new().say(text);
    let at = |name: &str, why: &str| protocol(IMAP.place(name), why);
    let injected = Script::new().send("w2 OK go\r\n* OK said by another\r\n").tls(good);
    let refused = "AUTHENTICATE PLAIN: the server answered NO [AUTHENTICATIONFAILED] no".to_owned();
    let endless = at("capability", "an answer without an end: more than 10000 responses");
    let too_large = Ends::Fails("limit", "FETCH: more than download_max allows".into());
    vec![
        ("busy", "banner", 2, say("* BYE too busy").cut(), at("banner", "the server answered BYE too busy")),
        ("endless-answer", "capability", 3, Script::new().endless_lines("* OK wait"), endless),
        ("not-offered", "capability", 3, say("* CAPABILITY IMAP4rev1\nw1 OK done"), tls("the server offers no STARTTLS")),
        ("not-now", "starttls", 3, say("w2 NO not now"), tls("STARTTLS: the server answered NO not now")),
        ("injected", "starttls", 3, injected, at("starttls", "the server sent more before the TLS handshake")),
        ("login-refused", "login", 4, say("w4 NO [AUTHENTICATIONFAILED] no"), Ends::Fails("auth", refused)),
        ("locked", "login", 4, say("w4 NO [INUSE] locked"), at("login", "the server answered NO [INUSE] locked")),
        ("another-tag", "examine", 5, say("w9 OK done"), at("examine", "the server answered another command")),
        // Ours: we will not read that much, and so know nothing.
        ("too-large", "fetch", 9, say("* 2 FETCH (BODY[]<0> {104857600}"), too_large),
    ]
}

fn greeted() -> Script {
    Script::new().say("* OK imap.lab.test ready")
}

fn capability(number: u32, offers: &str) -> Script {
    Script::new().expect(&format!("w{number} CAPABILITY")).say(&format!("* CAPABILITY IMAP4rev1 {offers}\nw{number} OK done"))
}

/// All that is said under TLS, from the command of that number on.
fn read(first: u32) -> Script {
    let command = |script: Script, at: u32, command: &str| script.expect(&format!("w{} {command}", first + at));
    let done = |at: u32, data: &str| format!("{data}\nw{} OK done", first + at);
    let login = command(capability(first, "AUTH=PLAIN SASL-IR"), 1, "AUTHENTICATE PLAIN").say(&format!("w{} OK in", first + 1));
    let opened = command(login, 2, "EXAMINE").say(&done(2, "* 2 EXISTS"));
    let searched = command(opened, 3, "SEARCH UNSEEN").say(&done(3, "* SEARCH 1 2"));
    let fetched = command(searched, 4, "FETCH 2").say("* 2 FETCH (BODY[]<0> {5}").say(&done(4, "hello)"));
    command(fetched, 5, "LOGOUT").say(&done(5, "* BYE bye"))
}

/// A server that is asked nothing but to be there.
fn neighbour() -> Script {
    greeted().expect("w1 LOGOUT").say("* BYE bye\nw1 OK done")
}
