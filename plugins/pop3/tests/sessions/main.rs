//! Whole sessions against servers that follow a script: good ones, and every way in which one breaks.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod breaks;
mod certificates;
mod ends;
mod logins;
mod mailboxes;
mod sums;

use std::time::Duration;

use serde_json::{Value, json};
use watchpost_pop3::Pop3;
use watchpost_testkit::{Kit, Ran, Script, Served, Server, TestNetwork};

/// The password of every login here: long enough to be found by chance nowhere.
const PASSWORD: &str = "Kirschbaum-7719";
/// A banner's timestamp.
const TIMESTAMP: &str = "<4711.1761@pop.lab.test>";

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
    let mut kit = Kit::<Pop3>::new(&config(&server, keys)).unwrap().timeout(timeout).explain();
    let ran = kit.run().await;
    // A run that was cut off at its deadline leaves its connection to the agent; it closes with it.
    drop(kit);
    let served = server.served().await.unwrap();
    (ran, served)
}

/// Runs once in a network of its own. Under a paused clock nobody waits, and a deadline comes as soon as nothing else can.
async fn run_at_once(timeout: Duration, script: Script, keys: &Value) -> Ran {
    let network = TestNetwork::new();
    let _talks = network.serve(([127, 0, 0, 1], 110).into(), script);
    let mut config = json!({ "host": "127.0.0.1", "port": 110 });
    config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    Kit::<Pop3>::new(&config).unwrap().network(&network).timeout(timeout).explain().run().await
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

fn greeted() -> Script {
    Script::new().say("+OK pop.lab.test ready")
}

/// Answers CAPA.
fn capa(offers: &[&str]) -> Script {
    let lines = offers.iter().map(|offer| format!("{offer}\n")).collect::<String>();
    Script::new().expect("CAPA").say(&format!("+OK\n{lines}."))
}

/// Takes a login by AUTH PLAIN.
fn logged_in() -> Script {
    capa(&["SASL PLAIN"]).expect("AUTH PLAIN").say("+OK in")
}

/// Answers STAT and LIST of a mailbox with two messages.
fn queried() -> Script {
    Script::new().expect("STAT").say("+OK 2 320").expect("LIST").say("+OK\n1 120\n2 200\n.")
}

fn retrieved() -> Script {
    Script::new().expect("RETR 2").say("+OK 200 octets\nSubject: probe\n\n..\n..quoted\nend\n.")
}

fn goodbye() -> Script {
    Script::new().expect("QUIT").say("+OK bye")
}
