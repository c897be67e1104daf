//! Whole sessions against servers that follow a script: good ones, and every way in which one breaks.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod breaks;
mod certificates;
mod downloads;
mod ends;
mod logins;
mod mailboxes;
mod strangers;
mod sums;

use std::time::Duration;

use serde_json::{Value, json};
use watchpost_imap::Imap;
use watchpost_testkit::{Kit, Ran, Script, Served, Server, TestNetwork};

/// The password of every login here: long enough to be found by chance nowhere.
const PASSWORD: &str = "Kirschbaum-7719";
/// What is recorded of a session in the clear, in order, up to the login, and then up to the download.
const IN: [&str; 4] = ["resolve_time", "connect_time", "banner_time", "authenticate_time"];
const ASKED: [&str; 4] = ["select_time", "mailbox_size", "search_time", "search_found"];

/// The configuration against that server, with these keys besides.
fn config(server: &Server, keys: &Value) -> Value {
    let mut config = json!({ "host": "127.0.0.1", "port": server.port() });
    config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    config
}

/// The keys of a login, with these besides.
fn login(keys: Value) -> Value {
    let mut login = json!({ "user": "probe", "password": PASSWORD });
    login.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    login
}

/// Runs once against a server with that script.
async fn run(script: Script, keys: &Value) -> (Ran, Served) {
    run_within(Duration::from_secs(10), script, keys).await
}

async fn run_within(timeout: Duration, script: Script, keys: &Value) -> (Ran, Served) {
    let server = Server::start(script).await.unwrap();
    let mut kit = Kit::<Imap>::new(&config(&server, keys)).unwrap().timeout(timeout).explain();
    let ran = kit.run().await;
    // A run that was cut off at its deadline leaves its connection to the agent; it closes with it.
    drop(kit);
    let served = server.served().await.unwrap();
    (ran, served)
}

/// Runs once in a network of its own. Under a paused clock nobody waits, and a deadline comes as soon as nothing else can.
async fn run_at_once(timeout: Duration, script: Script, keys: &Value) -> Ran {
    let network = TestNetwork::new();
    let _talks = network.serve(([127, 0, 0, 1], 143).into(), script);
    let mut config = json!({ "host": "127.0.0.1", "port": 143 });
    config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    Kit::<Imap>::new(&config).unwrap().network(&network).timeout(timeout).explain().run().await
}

/// The run ended well, and so did the script.
#[track_caller]
fn assert_ok((ran, served): &(Ran, Served)) {
    assert_eq!(ran.failure(), None, "{ran:#?}");
    assert_eq!(served.broke, None);
}

/// The run failed so, and kept exactly these metrics.
#[track_caller]
fn assert_failed(ran: &Ran, kind: &str, message: &str, kept: &[&str]) {
    assert_eq!(ran.failure(), Some((kind, message)), "{ran:#?}");
    assert_eq!(ran.recorded(), kept, "{ran:#?}");
}

/// The commands that a server heard, without their tags.
fn commands(served: &Served) -> Vec<&str> {
    served.heard.iter().map(|line| line.split_once(' ').map_or(line.as_str(), |(_, command)| command)).collect()
}

/// A banner that says what the server offers.
fn offering(capabilities: &str) -> Script {
    Script::new().say(&format!("* OK [CAPABILITY IMAP4rev1 {capabilities}] imap.lab.test ready"))
}

fn greeted() -> Script {
    offering("SASL-IR AUTH=PLAIN")
}

/// Takes the next command if it begins so, and ends it with `OK`; `tag` is the number of the command in its session.
fn takes(tag: u32, command: &str) -> Script {
    answers(tag, command, "OK done")
}

/// Takes the next command if it begins so, and says these lines; the last one gets the tag.
fn answers(tag: u32, command: &str, answer: &str) -> Script {
    let (data, end) = answer.rsplit_once('\n').map_or((String::new(), answer), |(data, end)| (format!("{data}\n"), end));
    asked(tag, command).say(&format!("{data}w{tag} {end}"))
}

fn asked(tag: u32, command: &str) -> Script {
    Script::new().expect(&format!("w{tag} {command}"))
}

/// Takes a login by AUTHENTICATE PLAIN.
fn logged_in() -> Script {
    takes(1, "AUTHENTICATE PLAIN ")
}

/// Opens a mailbox with two messages, as the next command after a login.
fn examined() -> Script {
    answers(2, "EXAMINE \"INBOX\"", "* FLAGS (\\Seen)\n* 2 EXISTS\n* 1 RECENT\n* OK [UIDVALIDITY 1] valid\nOK [READ-ONLY] done")
}

fn searched() -> Script {
    answers(3, "SEARCH UNSEEN", "* SEARCH 2\nOK done")
}

fn fetched() -> Script {
    let message = "Subject: probe\r\n\r\nw5 OK )\r\n";
    let answer = format!("* 2 FETCH (BODY[]<0> {{{}}}\r\n{message})\r\nw4 OK done\r\n", message.len());
    asked(4, "FETCH 2 BODY.PEEK[]<0.1048576>").send(answer)
}

fn goodbye(tag: u32) -> Script {
    answers(tag, "LOGOUT", "* BYE see you\nOK done")
}

/// A session after its banner, with everything in it.
fn whole() -> Script {
    logged_in().then(examined()).then(searched()).then(fetched()).then(goodbye(5))
}
