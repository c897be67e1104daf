//! Whole sessions against servers that follow a script: good ones, and every way in which one breaks.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod breaks;
mod certificates;
mod ends;
mod greetings;
mod logins;
mod messages;
mod sums;

use std::time::Duration;

use serde_json::{Value, json};
use watchpost_smtp::Smtp;
use watchpost_testkit::{Kit, Ran, Script, Served, Server, TestNetwork};

/// The password of every login here: long enough to be found by chance nowhere.
const PASSWORD: &str = "Kirschbaum-7719";

/// The configuration against that server, with these keys besides.
fn config(server: &Server, keys: &Value) -> Value {
    let mut config = json!({ "host": "127.0.0.1", "port": server.port() });
    config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    config
}

/// Runs once against a server with that script.
async fn run(script: Script, keys: &Value) -> (Ran, Served) {
    run_within(Duration::from_secs(10), script, keys).await
}

async fn run_within(timeout: Duration, script: Script, keys: &Value) -> (Ran, Served) {
    let server = Server::start(script).await.unwrap();
    let mut kit = Kit::<Smtp>::new(&config(&server, keys)).unwrap().timeout(timeout).explain();
    let ran = kit.run().await;
    // A run that was cut off at its deadline leaves its connection to the agent; it closes with it.
    drop(kit);
    let served = server.served().await.unwrap();
    (ran, served)
}

/// Runs once in a network of its own. Under a paused clock nobody waits, and a deadline comes as soon as nothing else can.
async fn run_at_once(timeout: Duration, script: Script, keys: &Value) -> Ran {
    let network = TestNetwork::new();
    let _talks = network.serve(([127, 0, 0, 1], 25).into(), script);
    let mut config = json!({ "host": "127.0.0.1", "port": 25 });
    config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    Kit::<Smtp>::new(&config).unwrap().network(&network).timeout(timeout).explain().run().await
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
    assert_eq!(ran.recorded(), kept.iter().map(|phase| format!("{phase}_time")).collect::<Vec<_>>(), "{ran:#?}");
}

fn greeted(offers: &[&str]) -> Script {
    Script::new().say("220 mx.lab.test ESMTP").then(hello(offers))
}

fn hello(offers: &[&str]) -> Script {
    let lines = offers.iter().map(|offer| format!("\n250-{offer}")).collect::<String>();
    Script::new().expect("EHLO [127.0.0.1]").say(&format!("250-mx.lab.test{lines}\n250 8BITMIME"))
}

fn transaction() -> Script {
    Script::new().expect("MAIL FROM:<probe@lab.test>").say("250 2.1.0 ok").expect("RCPT TO:<alice@lab.test>").say("250 2.1.5 ok")
}

fn delivered() -> Script {
    Script::new().expect("DATA").say("354 go").expect_until(".").say("250 2.0.0 queued as 4711")
}

fn goodbye() -> Script {
    Script::new().expect("QUIT").say("221 bye")
}
