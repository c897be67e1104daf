//! Whole sessions against servers that follow a script: good ones, and every way in which one breaks.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod binds;
mod breaks;
mod certificates;
mod ends;
mod hostile;
mod searches;
mod sums;

use std::time::Duration;

use serde_json::{Value, json};
use watchpost_ldap::Ldap;
use watchpost_testkit::{Authority, Kit, Ran, Script, Served, Server};

/// The password of every login here: long enough to be found by chance nowhere.
const PASSWORD: &str = "Kirschbaum-7719";
/// Who logs in.
const USER: &str = "cn=probe,dc=lab,dc=test";

/// The configuration against that server, with these keys besides.
fn config(server: &Server, keys: &Value) -> Value {
    let mut config = json!({ "host": "127.0.0.1", "port": server.port() });
    config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    config
}

/// The keys of a login, with these besides.
fn login(keys: Value) -> Value {
    let mut login = json!({ "user": USER, "password": PASSWORD });
    login.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    login
}

/// Runs once against a server with that script.
async fn run(script: Script, keys: &Value) -> (Ran, Served) {
    run_within(Duration::from_secs(10), script, keys).await
}

async fn run_within(timeout: Duration, script: Script, keys: &Value) -> (Ran, Served) {
    let server = Server::start(script).await.unwrap();
    let mut kit = Kit::<Ldap>::new(&config(&server, keys)).unwrap().timeout(timeout).explain();
    let ran = kit.run().await;
    // A run that was cut off at its deadline leaves its connection to the agent; it closes with it.
    drop(kit);
    let served = server.served().await.unwrap();
    (ran, served)
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

/// An element as a directory writes it: tag, length in four bytes (as some write every length), contents.
fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u32::try_from(contents.len()).unwrap().to_be_bytes();
    [&[tag, 0x84], length.as_slice(), contents].concat()
}

fn string(text: &str) -> Vec<u8> {
    element(0x04, text.as_bytes())
}

/// A message under an id.
fn message(id: u8, tag: u8, body: &[u8]) -> Vec<u8> {
    element(0x30, &[vec![2, 1, id], element(tag, body)].concat())
}

/// The result of an operation, with these components after it.
fn result(id: u8, tag: u8, code: u8, text: &str, rest: &[u8]) -> Vec<u8> {
    message(id, tag, &[&[10, 1, code], string("").as_slice(), &string(text), rest].concat())
}

const START_TLS: u8 = 0x78;
const BIND: u8 = 0x61;
const SEARCH: u8 = 0x65;

fn entry(id: u8, name: &str, attributes: &[(&str, &[&str])]) -> Vec<u8> {
    let attribute = |(name, values): &(&str, &[&str])| {
        let values: Vec<u8> = values.iter().flat_map(|value| string(value)).collect();
        element(0x30, &[string(name), element(0x31, &values)].concat())
    };
    let attributes: Vec<u8> = attributes.iter().flat_map(attribute).collect();
    message(id, 0x64, &[string(name), element(0x30, &attributes)].concat())
}

fn reference(id: u8, place: &str) -> Vec<u8> {
    message(id, 0x73, &string(place))
}

/// What a server sends before it closes.
fn disconnection(code: u8, text: &str) -> Vec<u8> {
    result(0, 0x78, code, text, &element(0x8a, b"1.3.6.1.4.1.1466.20036"))
}

/// How long a client's message is, as soon as that has come.
fn length(bytes: &[u8]) -> Option<usize> {
    let (&first, rest) = bytes.get(1..)?.split_first()?;
    if first < 0x80 {
        return Some(2 + usize::from(first));
    }
    let count = usize::from(first - 0x80);
    let digits = rest.get(..count)?;
    Some(2 + count + digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)))
}

/// Waits for a request that has these bytes in it.
fn expect(part: impl AsRef<[u8]>) -> Script {
    Script::new().expect_message(length, part.as_ref())
}

fn bind_asked() -> Script {
    expect([2, 1, 3])
}

/// Takes a bind under this id.
fn bound(id: u8) -> Script {
    bind_asked().send(result(id, BIND, 0, "", &[]))
}

fn search_asked() -> Script {
    expect("objectClass")
}

/// Two entries under this id.
fn two(id: u8) -> Vec<u8> {
    [entry(id, "cn=a", &[("cn", &["a"]), ("mail", &["a@lab.test", "b@lab.test"])]), entry(id, "cn=b", &[("cn", &["b"])])].concat()
}

/// Answers a search with two entries, all at once.
fn found(id: u8) -> Script {
    search_asked().send([two(id), result(id, SEARCH, 0, "", &[])].concat())
}

/// Takes the client's leave.
fn unbound() -> Script {
    expect([0x42, 0])
}

/// A session in the clear with everything.
fn whole() -> Script {
    bound(1).then(found(2)).then(unbound())
}

/// Begins TLS.
fn secured(authority: &Authority) -> Script {
    let tls = authority.server(&["127.0.0.1"]).unwrap();
    expect("1.3.6.1.4.1.1466.20037").send(result(1, START_TLS, 0, "", &[])).tls(&tls)
}
